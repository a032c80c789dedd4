"""A full outbox: what it gives up, in which order, and what it never does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.station import (
    NoticeKind,
    TransactionChanged,
)

from .bench import V2X, V16, VERSIONS, Bench


def offline_session(version, limit, samples, evses=(1,), **settings):
    bench = Bench(
        version, outbox_limit=limit, sample_interval=60.0, offline_tx_for_unknown_id=True, **settings
    )
    bench.cut()
    for evse in evses:
        bench.start_charging(f"T{evse}", evse)
    for _ in range(samples):
        for evse in evses:
            bench.wh[evse] += 10
            bench._meter(evse)
        bench.run(60)
    return bench


@pytest.mark.requirement(
    "E04.FR.07", "E04.FR.08", "E11.FR.04", "E11.FR.05", "E12.FR.04", "E12.FR.05", "J02.FR.13"
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_outbox_gives_up_every_second_reading(version):
    bench = offline_session(version, 10, 8)
    assert len(bench.notices(NoticeKind.FACTS_THINNED)) == 1
    bench.unplug()
    bench.mend()
    assert len(bench.begun()) == len(bench.ended()) == 1
    if version is V16:
        told = [values["meterValue"][0]["sampledValue"][0]["value"] for values in bench.sent("MeterValues")]
    else:
        events = bench.sent("TransactionEvent")
        assert [event["seqNo"] for event in events] == list(range(len(events)))
        told = [
            event["meterValue"][0]["sampledValue"][0]["value"]
            for event in events
            if event["triggerReason"] == "MeterValuePeriodic"
        ]
    assert [float(value) for value in told] == [1020, 1040, 1060, 1080]


@pytest.mark.requirement("E04.FR.08")
@pytest.mark.parametrize("version", V2X)
def test_no_transaction_loses_all_its_readings_to_another(version):
    bench = offline_session(version, 16, 5, (1, 2))
    for evse in (1, 2):
        bench.unplug(evse)
    bench.mend()
    kept = {}
    for event in bench.sent("TransactionEvent"):
        if event["triggerReason"] == "MeterValuePeriodic":
            transaction = event["transactionInfo"]["transactionId"]
            kept[transaction] = kept.get(transaction, 0) + 1
    assert len(kept) == 2
    assert max(kept.values()) - min(kept.values()) <= 1


@pytest.mark.parametrize("version", VERSIONS)
def test_where_readings_are_gone_state_changes_follow_and_then_new_ones_are_refused(version):
    bench = Bench(version, outbox_limit=7, offline_tx_for_unknown_id=True, sample_interval=60.0)
    bench.cut()
    bench.start_charging()
    for _ in range(10):
        bench.suspend()
        bench.resume()
    assert bench.queued <= 7
    assert bench.notices(NoticeKind.FACTS_THINNED)
    bench.mend()
    if version is not V16:
        assert bench.sent("TransactionEvent")[0]["eventType"] == "Started"
        assert bench.sent("TransactionEvent")[-1]["transactionInfo"]["chargingState"] == "Charging"


@pytest.mark.requirement("E04.FR.07")
@pytest.mark.parametrize("version", VERSIONS)
def test_an_outbox_full_of_what_must_be_told_refuses_new_transactions(version):
    bench = Bench(version, outbox_limit=4, offline_tx_for_unknown_id=True, sample_interval=60.0)
    bench.cut()
    bench.start_charging()
    bench.unplug()  # Started, Authorized, state changed, Ended
    bench.plug_in()
    bench.present("B2")
    bench.unplug()
    assert bench.notices(NoticeKind.FACTS_THINNED)
    bench.plug_in()
    assert bench.evse()["transaction"] is None
    assert bench.notices(NoticeKind.TRANSACTION_REFUSED)
    bench.present("C3")
    assert bench.evse()["power"] == "off"
    full = bench.queued
    for _ in range(20):
        bench.unplug()
        bench.plug_in()
        bench.present("C3")
    assert bench.queued == full
    bench.unplug()
    bench.mend()
    bench.plug_in()
    bench.present("C3")
    assert bench.evse()["charging_state"] == "Charging"
    assert bench.queued == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reading_without_room_is_given_up_and_said(version):
    bench = Bench(version, outbox_limit=2, offline_tx_for_unknown_id=True, sample_interval=60.0)
    bench.cut()
    bench.start_charging()
    assert bench.queued <= 3
    before = bench.queued
    news = len(bench.done(TransactionChanged))
    bench.run(300)
    assert bench.queued == before
    assert any("no room" in notice for notice in bench.notices(NoticeKind.FACTS_THINNED))
    assert len(bench.done(TransactionChanged)) == news


@pytest.mark.requirement("E02.FR.13")
@pytest.mark.parametrize("version", V2X)
def test_a_state_that_found_no_room_goes_with_the_next_fact(version):
    bench = Bench(version, outbox_limit=2, offline_tx_for_unknown_id=True, sample_interval=60.0)
    bench.cut()
    bench.start_charging()  # Started, Authorized: full; Charging finds no room
    bench.mend()
    bench.run(60)
    told = [
        (event["triggerReason"], event["transactionInfo"].get("chargingState")) for _, event in bench.facts()
    ]
    assert told == [
        ("CablePluggedIn", "EVConnected"),
        ("Authorized", None),
        ("MeterValuePeriodic", "Charging"),
    ]


@pytest.mark.parametrize("version", VERSIONS)
@given(
    limit=st.integers(1, 12), moves=st.lists(st.sampled_from(["run", "pause", "car", "token"]), max_size=40)
)
def test_the_outbox_stays_within_its_bound(version, limit, moves):
    """At its limit only what transactions under way must still tell is added: three facts per EVSE."""
    bench = Bench(version, outbox_limit=limit, offline_tx_for_unknown_id=True, sample_interval=60.0)
    bench.cut()
    bench.wh[1] = 0.0
    for move in moves:
        state = bench.evse()
        if move == "run":
            bench.run(60)
        elif move == "token":
            bench.present("A1")
        elif move == "car":
            bench.plug_in() if state["plugged"] is None else bench.unplug()
        elif state["plugged"] is not None:
            bench.resume() if state["suspended_by"] else bench.suspend()
        assert bench.queued <= limit + 3
    if bench.evse()["plugged"]:
        bench.unplug()
    bench.mend()
    bench.run(100)
    assert bench.queued == 0
    assert len(bench.begun()) == len(bench.ended()) or version is not V16
