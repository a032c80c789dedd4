"""The outbox: every fact reaches the CSMS in order, at least once and alike, or the operator hears why."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.station import (
    FactHandedOver,
    LinkFailure,
    NoticeKind,
    OpenLink,
    PinPolicy,
    TransactionChanged,
    TxPoint,
)

from .bench import EPOCH, V2X, V16, V21, V201, VERSIONS, Bench, config, iso

FACTS = {"TransactionEvent", "StartTransaction", "MeterValues", "StopTransaction"}


POWER_PATH = frozenset({TxPoint.POWER_PATH_CLOSED})


def facts(bench):
    """The transaction messages sent, as (message id, payload)."""
    return [(frame[1], frame[3]) for frame in bench.calls() if frame[2] in FACTS]


def queued(bench):
    return bench.state()["queue"]["facts"]


@pytest.mark.requirement("E04.FR.01", "E04.FR.02", "E11.FR.01", "E12.FR.01", "1.6-3.7")
@pytest.mark.parametrize("version", VERSIONS)
def test_what_happens_offline_is_told_later_in_order(version):
    bench = Bench(version, offline_tx_for_unknown_id=True, sample_interval=60.0)
    bench.cut()
    bench.start_charging()
    bench.run(150)
    bench.unplug()
    assert facts(bench) == []
    bench.mend()
    times = [payload.get("timestamp") or payload["meterValue"][0]["timestamp"] for _, payload in facts(bench)]
    assert times == sorted(times)
    assert times[0] == iso(EPOCH)
    assert times[-1] == "2026-03-01T12:02:30.000Z"
    assert queued(bench) == 0


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
    assert len({json.dumps(fact) for fact in facts(bench)[:3]}) == 1, (
        "a retry says the same under the same id"
    )
    getattr(bench, how).clear()
    bench.run(400)
    assert queued(bench) == 0
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
    assert queued(bench) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_retry_does_not_wait_on_the_next_link(version):
    bench = Bench(version, attempt_interval=1000.0)
    bench.refuses |= FACTS
    bench.start_charging()
    bench.refuses.clear()
    bench.run(1)
    assert queued(bench)
    bench.cut()
    bench.mend()
    assert queued(bench) == 0


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
    assert facts(bench)[0] == facts(bench)[1]


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
    assert queued(bench) == 0


@pytest.mark.requirement("E01.FR.07", "E02.FR.07", "E03.FR.06", "E04.FR.04", "E07.FR.11", "E09.FR.04")
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
    assert queued(bench) == 0


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
    assert queued(bench)


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
    assert queued(bench) == 0
    times = [datetime.fromisoformat(body.get("timestamp") or "") for _, body in facts(bench)]
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
    times = [body["timestamp"] for _, body in facts(bench)]
    assert len(times) == (4 if version is V16 else 8)
    assert times == sorted(times)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_clock_put_back_turns_no_transaction_back(version):
    bench = Bench(version, sample_interval=60.0)
    bench.start_charging()
    bench.run(60)
    bench.station.set_utc(round(EPOCH.timestamp() * 1000) - 3_600_000, bench.now)
    bench.run(60)
    bench.unplug()
    times = [body.get("timestamp") or body["meterValue"][0]["timestamp"] for _, body in facts(bench)]
    assert times == sorted(times)
    for _, body in facts(bench):
        inside = [value["timestamp"] for value in body.get("meterValue", [])]
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


# thinning


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
    assert queued(bench) <= 7
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
    full = queued(bench)
    for _ in range(20):
        bench.unplug()
        bench.plug_in()
        bench.present("C3")
    assert queued(bench) == full
    bench.unplug()
    bench.mend()
    bench.plug_in()
    bench.present("C3")
    assert bench.evse()["charging_state"] == "Charging"
    assert queued(bench) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reading_without_room_is_given_up_and_said(version):
    bench = Bench(version, outbox_limit=2, offline_tx_for_unknown_id=True, sample_interval=60.0)
    bench.cut()
    bench.start_charging()
    assert queued(bench) <= 3
    before = queued(bench)
    news = len(bench.done(TransactionChanged))
    bench.run(300)
    assert queued(bench) == before
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
        (event["triggerReason"], event["transactionInfo"].get("chargingState")) for _, event in facts(bench)
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
        assert queued(bench) <= limit + 3
    if bench.evse()["plugged"]:
        bench.unplug()
    bench.mend()
    bench.run(100)
    assert queued(bench) == 0
    assert len(bench.begun()) == len(bench.ended()) or version is not V16


# a transaction is bound to its version


@pytest.mark.requirement("B10.FR.05")
@pytest.mark.parametrize("version", VERSIONS)
def test_open_transactions_hold_the_station_to_their_version(version):
    bench = Bench(version, config=config())
    bench.start_charging()
    assert bench.state()["queue"]["pinned"] == version
    bench.cut(back=True)
    bench.run(20)
    assert bench.done(OpenLink)[-1] == OpenLink((version,))
    bench.power_loss()
    assert bench.done(OpenLink)[-1] == OpenLink((version,))
    bench.run(10)
    assert bench.state()["queue"]["pinned"] is None
    bench.cut(back=True)
    bench.run(20)
    assert bench.done(OpenLink)[-1] == OpenLink((V21, V201, V16))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_never_on_the_wire_goes_out_under_any_version(version):
    bench = Bench(version, config=config(offline_tx_for_unknown_id=True), start=False)
    bench.dials = False
    bench.power_up()
    bench.start_charging()
    bench.charge(100)
    assert bench.state()["queue"]["pinned"] is None
    bench.mend()
    bench.unplug()
    assert len(bench.begun()) == len(bench.ended()) == 1


def pinned_then_refused(version, policy):
    """A transaction told in ``version``; then the server speaks another one only."""
    bench = Bench(version, config=config(pin_policy=policy, sample_interval=60.0))
    bench.start_charging()
    bench.cut(back=True)
    bench.run(5)
    bench.version = V16 if version is not V16 else V201
    bench.forget()
    return bench


@pytest.mark.parametrize("version", VERSIONS)
def test_hold_offers_the_version_again_and_says_so(version):
    bench = pinned_then_refused(version, PinPolicy.HOLD)
    bench.run(100)
    assert set(bench.done(OpenLink)) == {OpenLink((version,))}
    assert str(version) in bench.notices(NoticeKind.PINNED)[0]
    assert bench.done(FactHandedOver) == []
    bench.version = version
    bench.run(100)
    bench.unplug()
    assert queued(bench) == 0


@pytest.mark.requirement("B10.FR.05")
@pytest.mark.parametrize("version", VERSIONS)
def test_hand_over_gives_the_operator_what_no_csms_will_hear(version):
    bench = pinned_then_refused(version, PinPolicy.HAND_OVER)
    bench.run(100)
    assert bench.done(OpenLink)[-1] == OpenLink((V21, V201, V16))
    assert bench.online
    first = bench.done(FactHandedOver)
    assert {(handed.version, handed.csms_id) for handed in first} == {
        (version, 1 if version is V16 else None)
    }
    bench.start_charging("B2", 2)  # news for the new CSMS
    bench.run(60)
    assert bench.ask(*remote_stop(bench, 1))["status"] == ("Accepted" if bench.version is V16 else "Rejected")
    bench.unplug(1)
    bench.run(1)
    handed = bench.done(FactHandedOver)
    assert handed[-1].fact.phase == "Ended"
    transactions = {one.fact.transaction for one in handed}
    assert len(transactions) == 1
    told = json.dumps(bench.frames)
    assert not any(transaction in told for transaction in transactions)
    bench.station.set_utc(None, bench.now)  # any input: what was handed over is forgotten
    bench.drain()
    bench.unplug(2) if bench.evse(2)["plugged"] else None
    bench.run(1)
    assert queued(bench) == 0
    assert bench.station.snapshot().get("wires") is None


def remote_stop(bench, number):
    if bench.version is V16:
        return "RemoteStopTransaction", {"transactionId": number}
    return "RequestStopTransaction", {"transactionId": str(number)}


def test_what_was_handed_over_is_handed_over_again_after_a_crash():
    bench = pinned_then_refused(V201, PinPolicy.HAND_OVER)
    bench.dials = False
    bench.suspend()
    bench.station.connect(bench.now)
    bench.station.actions()
    bench.station.link_failed(LinkFailure.REFUSED_SUBPROTOCOL, "", bench.now)
    for action in bench.station.actions():
        if type(action).__name__ == "Commit":
            bench.store.commit(action)
    bench.power_up()
    handed = bench.done(FactHandedOver)
    assert handed
    assert not handed[0].attempted
    bench.run(6)
    assert bench.done(FactHandedOver)[-1].fact.phase == "Ended"
    bench.run(60)
    assert queued(bench) == 0


def test_a_refused_subprotocol_without_open_transactions_is_just_that():
    bench = Bench(V201)
    bench.cut(back=True)
    bench.version = V16
    bench.run(30)
    assert bench.notices(NoticeKind.PINNED) == []
    assert not bench.online


@pytest.mark.parametrize("version", VERSIONS)
def test_an_attempted_fact_is_handed_over_as_such(version):
    bench = Bench(version, config=config(pin_policy=PinPolicy.HAND_OVER))
    bench.start_charging()
    bench.ignores |= FACTS
    bench.unplug()
    bench.cut(back=True)
    bench.version = V16 if version is not V16 else V201
    bench.run(100)
    (handed,) = bench.done(FactHandedOver)
    assert handed.attempted
    assert handed.fact.phase == "Ended"
    assert queued(bench) == 0
