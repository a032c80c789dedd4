"""The outbox: every fact reaches the CSMS in order, at least once and alike, or the operator hears why."""

import json
from datetime import datetime, timedelta

import pytest

from ocpp_core.station import DoLock, NoticeKind
from ocpp_core.store import MemoryStore

from .bench import EPOCH, FACTS, POWER_PATH, V2X, V16, V201, VERSIONS, Bench, group, iso


@pytest.mark.requirement("E04.FR.01", "E04.FR.02", "E11.FR.01", "E12.FR.01", "C15.FR.02", "1.6-3.7")
@pytest.mark.parametrize("version", VERSIONS)
def test_what_happens_offline_is_told_later_in_order(version):
    bench = Bench(version, offline_tx_for_unknown_id=True, sample_interval=60.0)
    bench.cut()
    bench.start_charging()
    bench.run(150)
    bench.unplug()
    assert bench.facts() == []
    bench.mend()
    times = [
        payload.get("timestamp") or payload["meterValue"][0]["timestamp"] for _, payload in bench.facts()
    ]
    assert times == sorted(times)
    assert times[0] == iso(EPOCH)
    assert times[-1] == "2026-03-01T12:02:30.000Z"
    assert bench.queued == 0


@pytest.mark.requirement("E04.FR.03", "E11.FR.02", "E11.FR.07", "E12.FR.02")
@pytest.mark.parametrize("version", V2X)
def test_what_happened_or_waited_offline_is_marked(version):
    bench = Bench(version, sample_interval=60.0, tx_start_points=POWER_PATH)
    bench.ignores.add("TransactionEvent")
    bench.start_charging()  # Started goes out unanswered, the rest waits
    bench.cut()
    bench.run(60)
    bench.ignores.clear()
    bench.mend()
    bench.run(60)
    told = [(event["seqNo"], event.get("offline")) for event in bench.sent("TransactionEvent")]
    # The first repeats what was said online; what waited, and what happened meanwhile, is offline.
    assert told == [(0, None), (0, None), (1, True), (2, True), (3, None)]


@pytest.mark.requirement(
    *("E08.FR.01", "E08.FR.02", "E08.FR.03", "E08.FR.04", "E08.FR.05", "E08.FR.06", "E08.FR.07", "E08.FR.08")
)
@pytest.mark.parametrize("token", ["A1", "B2"])
@pytest.mark.parametrize("version", V2X)
def test_a_driver_or_one_of_the_group_stops_offline(version, token):
    bench = Bench(version)
    bench.tokens = {"A1": group("G", version), "B2": group("G", version)}
    bench.present("B2", 2)
    bench.present("B2", 2)
    bench.forget()
    bench.start_charging("A1")
    bench.cut()
    bench.present(token, 1)
    assert bench.evse()["power"] == "off"
    assert [lock.locked for lock in bench.done(DoLock)] == [True, False]
    assert bench.ended() == []
    bench.mend()
    (ended,) = bench.ended()
    assert ended["offline"] is True
    assert ended["idToken"]["idToken"] == token
    numbers = [event["seqNo"] for event in bench.sent("TransactionEvent")]
    assert numbers == list(range(len(numbers)))


@pytest.mark.requirement("E04.FR.03")
def test_after_a_restart_what_was_not_sent_is_offline():
    bench = Bench(V201, tx_start_points=POWER_PATH)
    bench.ignores.add("TransactionEvent")
    bench.start_charging()
    bench.ignores.clear()
    bench.power_loss()
    bench.run(6)
    told = [event.get("offline") for event in bench.sent("TransactionEvent")]
    assert told == [None, None, True, None]


@pytest.mark.requirement("E13.FR.01", "E13.FR.02", "E13.FR.03", "E13.FR.04", "1.6-3.7.1")
@pytest.mark.parametrize("how", ["refuses", "ignores"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_fact_that_fails_is_tried_again_after_longer_and_longer_and_then_given_up(version, how):
    bench = Bench(version, attempts=3, attempt_interval=60.0, tx_start_points=POWER_PATH)
    getattr(bench, how).update(FACTS)
    lost = 30.0 if how == "ignores" else 0.0
    begin = bench.now
    bench.start_charging()
    at = [0.0, 60 + lost, 180 + 2 * lost]
    for number, moment in enumerate(at, start=1):
        bench.run(begin + moment - bench.now)
        assert len(bench.begun()) == number
        assert how == "refuses" or bench.notices(NoticeKind.FACT_DISCARDED) == []
    bench.run(lost)
    (discarded,) = bench.notices(NoticeKind.FACT_DISCARDED)
    assert "Started" in discarded
    assert "3 attempts" in discarded
    assert len({json.dumps(fact) for fact in bench.facts()[:3]}) == 1, (
        "a retry says the same under the same id"
    )
    getattr(bench, how).clear()
    bench.run(400)
    assert bench.queued == 0
    assert len(bench.notices(NoticeKind.FACT_DISCARDED)) == 1


@pytest.mark.requirement("E13.FR.02")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_lost_link_is_no_attempt(version):
    bench = Bench(version, attempts=1, tx_start_points=POWER_PATH)
    bench.ignores |= FACTS
    bench.start_charging()
    for _ in range(5):
        bench.cut()
        bench.mend()
    assert len(bench.begun()) == 6
    assert bench.notices(NoticeKind.FACT_DISCARDED) == []
    bench.ignores.clear()
    bench.cut()
    bench.mend()
    assert bench.queued == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_retry_does_not_wait_on_the_next_link(version):
    bench = Bench(version, attempt_interval=1000.0)
    bench.refuses |= FACTS
    bench.start_charging()
    bench.refuses.clear()
    bench.run(1)
    assert bench.queued
    bench.cut()
    bench.mend()
    assert bench.queued == 0


@pytest.mark.requirement("1.6-3.7")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_retry_holds_up_no_driver(version):
    bench = Bench(version)
    bench.refuses |= FACTS
    bench.start_charging()
    bench.present("B2", 2)
    assert bench.evse(2)["driver"] == "B2"


@pytest.mark.parametrize("version", VERSIONS)
def test_attempts_are_counted_across_a_restart(version):
    bench = Bench(version, attempts=2, attempt_interval=10.0)
    bench.refuses |= FACTS
    bench.start_charging()
    bench.power_loss()
    assert len(bench.begun()) == 2
    assert len(bench.notices(NoticeKind.FACT_DISCARDED)) == 1
    assert bench.facts()[0] == bench.facts()[1]


@pytest.mark.requirement("1.6-errata-3.18", "1.6-errata-3.54")
def test_a_16_transaction_whose_start_was_never_taken_goes_on_as_minus_one():
    bench = Bench(V16, attempts=1, sample_interval=60.0)
    bench.refuses.add("StartTransaction")
    bench.start_charging()
    bench.run(60)
    assert bench.ask("RemoteStopTransaction", {"transactionId": 7}) == {"status": "Rejected"}
    bench.present("A1")
    assert [values["transactionId"] for values in bench.sent("MeterValues")] == [-1]
    assert bench.sent("StopTransaction")[0]["transactionId"] == -1
    assert bench.queued == 0


@pytest.mark.requirement("E01.FR.07", "E02.FR.07", "E04.FR.04")
@pytest.mark.parametrize("version", V2X)
def test_sequence_numbers_have_no_gaps_across_everything(version):
    bench = Bench(version, sample_interval=60.0, attempts=2, attempt_interval=1.0)
    bench.start_charging()
    bench.run(100)
    bench.cut()
    bench.run(100)
    bench.mend()
    bench.refuses |= FACTS
    bench.suspend()
    bench.refuses.clear()
    bench.run(100)
    bench.power_loss()
    bench.run(10)
    numbers = sorted({event["seqNo"] for event in bench.sent("TransactionEvent")})
    assert numbers == list(range(len(numbers)))
    assert bench.queued == 0


# time


@pytest.mark.requirement("1.6-4.2.1")
@pytest.mark.parametrize("version", VERSIONS)
def test_facts_wait_for_the_time_and_get_their_own(version):
    """An hour without CSMS or clock; what happened is dated when the time is learned."""
    bench = Bench(version, start=False, offline_tx_for_unknown_id=True)
    bench.dials = False
    bench.power_up()
    bench.run(100)
    bench.start_charging()
    bench.run(3500)
    bench.mend()
    bench.unplug()
    first = bench.begun()[0]
    assert first["timestamp"] == "2026-03-01T12:01:40.000Z"
    assert bench.ended()[0]["timestamp"] == "2026-03-01T13:00:00.000Z"
    assert bench.notices(NoticeKind.TIME_ESTIMATED) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_fact_whose_time_is_not_known_waits(version):
    """A station that knows UTC of no boot has nothing to write; it is not asked for facts before it does."""
    bench = Bench(version, start=False, offline_tx_for_unknown_id=True)
    bench.dials = False
    bench.power_up()
    bench.start_charging()
    dialect = __import__("ocpp_core.station.dialects", fromlist=["dialect_for"]).dialect_for(version)
    if version is V16:
        bench.station._delivery.next_call(dialect)  # settles what 1.6 does not tell
    assert bench.station._delivery.next_call(dialect) is None
    assert bench.queued


@pytest.mark.parametrize("version", VERSIONS)
def test_a_boot_that_never_knew_the_time_is_placed_before_the_next(version):
    bench = Bench(version, start=False, offline_tx_for_unknown_id=True)
    bench.dials = False
    bench.power_up()
    bench.run(100)
    bench.start_charging()
    bench.run(60)
    bench.suspend()
    bench.world += 1000
    bench.power_loss()  # starts at 12:19:50
    began = bench.csms_time
    bench.run(100)
    bench.mend()
    assert bench.queued == 0
    times = [datetime.fromisoformat(body.get("timestamp") or "") for _, body in bench.facts()]
    assert times == sorted(times)
    # The begin is known to be a minute before the last that is known of that boot.
    assert (began - times[0]).total_seconds() == 60
    assert len(bench.notices(NoticeKind.TIME_ESTIMATED)) >= 1


@pytest.mark.parametrize("version", VERSIONS)
def test_two_boots_without_time_stay_in_order(version):
    bench = Bench(version, start=False, offline_tx_for_unknown_id=True)
    bench.dials = False
    bench.power_up()
    for _ in range(2):
        bench.start_charging()
        bench.run(60)
        bench.unplug()
        bench.power_loss()
    bench.mend()
    times = [body["timestamp"] for _, body in bench.facts()]
    assert len(times) == (4 if version is V16 else 8)
    assert times == sorted(times)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_clock_put_back_turns_no_transaction_back(version):
    bench = Bench(version, sample_interval=60.0, ended_interval=25.0)
    bench.start_charging()
    bench.run(60)
    bench.station.set_utc(round(EPOCH.timestamp() * 1000) - 3_600_000, bench.now)
    bench.run(60)
    bench.unplug()
    times = [body.get("timestamp") or body["meterValue"][0]["timestamp"] for _, body in bench.facts()]
    assert times == sorted(times)
    for _, body in bench.facts():
        values = body.get("meterValue") or body.get("transactionData") or []
        inside = [value["timestamp"] for value in values]
        assert inside == sorted(inside)
        assert all(at <= body.get("timestamp", at) for at in inside)


@pytest.mark.requirement("1.6-errata-3.14")
@pytest.mark.parametrize("version", VERSIONS)
def test_readings_of_an_earlier_boot_keep_their_time_though_its_facts_are_told(version):
    bench = Bench(version, start=False, ended_interval=30.0)
    bench.ignores.add("BootNotification")
    bench.power_up()
    bench.wh[1] = 1000.0
    bench.plug_in()  # the time is not known yet
    bench.run(10)
    bench.ignores.clear()
    bench.answer(bench.calls("BootNotification")[0])
    bench.present("A1")
    bench.run(45)
    bench.charge(100)
    bench.power_loss(600)
    bench.run(6)
    (ended,) = bench.ended()
    series = ended["transactionData" if version is V16 else "meterValue"]
    times = [value["timestamp"] for value in series]
    begin = "2026-03-01T12:00:10.000Z" if version is V16 else "2026-03-01T12:00:00.000Z"
    assert times[:2] == [begin, "2026-03-01T12:00:30.000Z"]


def test_what_is_known_of_a_boot_stays_known():
    """When a boot ended dates its facts; that the last of them are gone must not date the others anew."""
    bench = Bench(V201, start=False, offline_tx_for_unknown_id=True)
    bench.dials = False
    bench.power_up()
    bench.start_charging()
    bench.run(60)
    bench.suspend()
    bench.power_loss()
    boot = bench.station.snapshot()["boots"]["1"]
    assert '"last":1060.0' in boot
    rows = bench.store.load()
    del rows["outbox"][max(key for key, row in rows["outbox"].items() if '"boot":1' in row)]
    bench.store = MemoryStore(rows)
    bench.power_up()
    assert bench.station.snapshot()["boots"]["1"] == boot


@pytest.mark.parametrize("version", VERSIONS)
def test_a_boot_without_time_stays_dated_by_the_one_after_it(version):
    """The second boot learned the time and has nothing left to date itself; the first still needs it."""
    bench = Bench(version, start=False, offline_tx_for_unknown_id=True)
    bench.dials = False
    bench.power_up()
    bench.start_charging()
    bench.run(60)
    bench.suspend()
    bench.power_loss()
    second = bench.csms_time
    bench.station.set_utc(round(second.timestamp() * 1000), bench.now)
    bench.run(10)
    bench.power_loss(10_000)
    bench.mend()
    assert bench.queued == 0
    begun = datetime.fromisoformat(bench.begun()[0]["timestamp"])
    assert (second - begun).total_seconds() == 60
    assert bench.ended()[0]["timestamp"] == iso(second + timedelta(seconds=5))
    assert set(bench.station.snapshot()["boots"]) == {"1", "2", "3"}
    bench.power_loss()
    assert set(bench.station.snapshot()["boots"]) == {"4"}
