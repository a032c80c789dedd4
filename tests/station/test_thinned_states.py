"""What a full outbox gives up never leaves the CSMS with a charging state that is not the last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.station import NoticeKind
from ocpp_core.versions import OcppVersion
from tests.station.bench import V2X, Bench


@pytest.mark.requirement("E04.FR.07", "E04.FR.08", "E02.FR.13")
@pytest.mark.parametrize("version", V2X)
@given(st.integers(3, 7), st.lists(st.sampled_from(["EV", "EVSE", "time"]), max_size=24))
def test_the_last_charging_state_told_is_the_true_one(
    version: OcppVersion, limit: int, pauses: list[str]
) -> None:
    bench = Bench(version, outbox_limit=limit, sample_interval=60.0)
    bench.start_charging()
    bench.cut()
    paused: set[str] = set()
    for what in pauses:
        bench.run(30.0)
        if what == "time":
            bench.run(120.0)
        elif what in paused:
            paused.remove(what)
            bench.resume(by=what)
        else:
            paused.add(what)
            bench.suspend(by=what)
    true = bench.evse()["charging_state"]
    bench.mend()
    bench.run(200.0)
    told = [event["transactionInfo"].get("chargingState") for event in bench.sent("TransactionEvent")]
    assert [state for state in told if state][-1] == true
    numbers = [event["seqNo"] for event in bench.sent("TransactionEvent")]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("version", V2X)
def test_state_changes_are_given_up_when_nothing_else_can_be(version: OcppVersion) -> None:
    bench = Bench(version, outbox_limit=6)
    bench.start_charging()
    bench.cut()
    for _ in range(10):
        bench.suspend()
        bench.resume()
    assert bench.notices(NoticeKind.FACTS_THINNED)
    bench.mend()
    bench.run(60.0)
    assert bench.sent("TransactionEvent")[-1]["transactionInfo"]["chargingState"] == "Charging"
