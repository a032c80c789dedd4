"""When transactions start and end, and when energy may flow."""

from itertools import chain, combinations

import pytest

from ocpp_core.domain.layout import Layout
from ocpp_core.errors import LocalProtocolError
from ocpp_core.station import DoLock, TxPoint

from .bench import V2X, V16, V201, VERSIONS, Bench

CONNECTED, AUTHORIZED, CLOSED, ENERGY = TxPoint
POINTS = [
    frozenset(points)
    for points in chain.from_iterable(combinations(TxPoint, count) for count in range(1, len(TxPoint) + 1))
]


def name(points):
    return "+".join(sorted(points)) if isinstance(points, frozenset) else None


def started_at(points, order):
    """The step of a session (in order) at which a transaction starts: the first whose condition holds."""
    steps = {
        "cable": {CONNECTED} if order[0] == "cable" else {CONNECTED, CLOSED},
        "token": {AUTHORIZED} if order[0] == "token" else {AUTHORIZED, CLOSED},
        "power": {ENERGY},
    }
    return next(step for step in (*order, "power") if steps[step] & points)


@pytest.mark.requirement(
    "E01.FR.02",
    "E01.FR.03",
    "E01.FR.05",
    "E01.FR.06",
    "E02.FR.06",
    "E02.FR.20",
    "E03.FR.01",
    "E01.FR.07",
    "E01.FR.10",
    "E01.FR.16",
    "E02.FR.07",
    "E03.FR.06",
    "1.6-4.8",
)
@pytest.mark.parametrize("order", [("cable", "token"), ("token", "cable")], ids="-".join)
@pytest.mark.parametrize("points", POINTS, ids=name)
@pytest.mark.parametrize("version", VERSIONS)
def test_where_a_transaction_starts(version, points, order):
    bench = Bench(version, tx_start_points=points)
    bench.contactor = False
    began = None
    for step in (*order, "power"):
        if step == "cable":
            bench.plug_in()
        elif step == "token":
            bench.present("A1")
        else:
            assert bench.evse()["power"] == "closing"
            bench.switch(on=True)
        if began is None and bench.evse()["transaction"]:
            began = step
    assert began == started_at(points, order)
    assert len(bench.begun()) == 1
    if version is V16:  # where cable and token are together, or energy flows
        assert len(bench.sent("StartTransaction")) == 1
    else:
        events = bench.sent("TransactionEvent")
        assert [event["seqNo"] for event in events] == list(range(len(events)))
        assert sum("idToken" in event for event in events) == 1
        assert sum("evse" in event for event in events) == 1
        assert events[-1]["transactionInfo"]["chargingState"] == "Charging"


@pytest.mark.requirement("1.6-4.8")
@pytest.mark.parametrize(
    "points", [frozenset({CONNECTED}), frozenset({AUTHORIZED}), frozenset({CLOSED})], ids=name
)
def test_in_16_a_transaction_begins_where_cable_and_token_meet(points):
    bench = Bench(V16, tx_start_points=points)
    bench.plug_in()
    bench.run(30)
    assert bench.begun() == []
    bench.present("A1")
    assert bench.begun()[0]["timestamp"] == "2026-03-01T12:00:30.000Z"
    assert bench.evse()["transaction"]


STOPS = {
    # what happens: the stop points at which it ends the transaction
    "token": {AUTHORIZED, CLOSED, ENERGY},
    "remote": {AUTHORIZED, CLOSED, ENERGY},
    "refusal": {AUTHORIZED, CLOSED, ENERGY},
    "pause": {ENERGY},
    "cable": set(TxPoint),
}


@pytest.mark.requirement(
    *("E05.FR.04", "E05.FR.09", "E05.FR.10", "E06.FR.02", "E06.FR.03", "E06.FR.04", "E06.FR.06", "E06.FR.07"),
    *("E06.FR.08", "E06.FR.14", "E06.FR.15", "E07.FR.02", "E07.FR.05", "E07.FR.06", "E07.FR.11", "E09.FR.04"),
    *("F03.FR.02", "F03.FR.03", "C15.FR.03", "C15.FR.04", "1.6-4.10", "1.6-5.12"),
)
@pytest.mark.parametrize("event", STOPS)
@pytest.mark.parametrize("points", POINTS, ids=name)
@pytest.mark.parametrize("version", VERSIONS)
def test_where_a_transaction_ends(version, points, event):
    bench = Bench(version, tx_stop_points=points)
    if event == "refusal":
        bench.ignores |= {"StartTransaction"}
    bench.plug_in()
    bench.present("A1")
    transaction = bench.evse()["transaction"]
    if event == "token":
        bench.present("A1")
    elif event == "remote":
        stop(bench, transaction)
    elif event == "pause":
        bench.suspend()
    elif event == "cable":
        bench.unplug()
    else:
        refuse(bench)
    over = bench.evse()["transaction"] is None
    assert over is bool(STOPS[event] & points)
    assert len(bench.ended()) == over
    if event != "pause":
        assert bench.evse()["power"] == "off"
    bench.unplug() if event != "cable" else None
    assert bench.evse()["transaction"] is None
    assert len(bench.ended()) == 1
    check_end(bench, event, over)


def stop(bench, transaction):
    if bench.version is V16:
        answer = bench.ask("RemoteStopTransaction", {"transactionId": 1})
    else:
        answer = bench.ask("RequestStopTransaction", {"transactionId": transaction})
    assert answer["status"] == "Accepted"


def refuse(bench):
    """The CSMS says of the token of a running transaction that it is not good."""
    if bench.version is V16:
        bench.tokens["A1"] = {"status": "Invalid"}
        bench.answer(bench.calls("StartTransaction")[0])
    else:
        # 2.x: the word comes with any answer to an event that carried the token
        bench.unplug()
        bench.forget()
        bench.ignores.add("TransactionEvent")
        bench.plug_in()
        bench.answer(bench.calls("TransactionEvent")[-1])
        bench.present("A1")
        bench.tokens["A1"] = {"status": "Invalid"}
        bench.ignores.clear()
        bench.answer(bench.calls("TransactionEvent")[-1])


ENDS = {
    # event: (triggerReason, stoppedReason, 1.6's reason) where it ends the transaction
    "token": ("StopAuthorized", "Local", "Local"),
    "remote": ("RemoteStop", "Remote", "Remote"),
    "refusal": ("Deauthorized", "DeAuthorized", "DeAuthorized"),
    "pause": ("ChargingStateChanged", "StoppedByEV", "Other"),
    "cable": ("EVCommunicationLost", "EVDisconnected", "EVDisconnected"),
}


def check_end(bench, event, over):
    (ended,) = bench.ended()
    trigger, reason, reason_16 = ENDS[event if over else "cable"]
    if bench.version is V16:
        assert ended["reason"] == reason_16
        assert ended.get("idTag") == ("A1" if over and event == "token" else None)
        return
    assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == (trigger, reason)
    numbers = [said["seqNo"] for said in bench.sent("TransactionEvent")]
    assert numbers == list(range(len(numbers)))
    assert ("idToken" in ended) is (over and event == "token")
    if not over and event in ("token", "remote", "refusal"):
        told = [said for said in bench.sent("TransactionEvent") if said["triggerReason"] == ENDS[event][0]]
        assert [said["eventType"] for said in told] == ["Updated"]
        assert told[0]["transactionInfo"]["chargingState"] == "EVConnected"
        assert ("idToken" in told[0]) is (event == "token")


@pytest.mark.requirement("E05.FR.10")
@pytest.mark.parametrize("version", V2X)
def test_a_driver_refused_before_the_cable_leaves_nothing_behind(version):
    bench = Bench(version)
    bench.ignores.add("TransactionEvent")
    bench.present("A1")
    bench.tokens["A1"] = {"status": "Blocked"}
    bench.ignores.clear()
    bench.answer(bench.calls("TransactionEvent")[0])
    assert bench.ended()[0]["triggerReason"] == "Deauthorized"
    assert bench.done(DoLock) == []
    bench.present("B2")
    assert bench.evse()["driver"] == "B2"


@pytest.mark.requirement("E05.FR.02", "C15.FR.06", "1.6-errata-3.17")
@pytest.mark.parametrize("points", [frozenset({CONNECTED, AUTHORIZED}), frozenset({ENERGY})], ids=name)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_refused_driver_may_keep_the_transaction_without_energy(version, points):
    bench = Bench(version, stop_tx_on_invalid_id=False, tx_stop_points=points)
    bench.ignores |= {"StartTransaction"}
    bench.plug_in()
    bench.present("A1")
    refuse(bench)
    assert bench.evse()["power"] == "off"
    if ENERGY in points:
        assert bench.evse()["transaction"] is None
        (ended,) = bench.ended()
        reason = ended["reason"] if version is V16 else ended["transactionInfo"]["stoppedReason"]
        assert reason == "DeAuthorized"
        return
    assert bench.evse()["charging_state"] == "SuspendedEVSE"
    assert bench.state()["connectors"][0]["status_16"] == "SuspendedEVSE"
    if version is not V16:
        last = bench.sent("TransactionEvent")[-1]
        assert (last["triggerReason"], last["transactionInfo"]["chargingState"]) == (
            "ChargingStateChanged",
            "SuspendedEVSE",
        )
    bench.present("A1")
    assert len(bench.ended()) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_word_on_a_transaction_that_is_over_is_only_remembered(version):
    bench = Bench(version)
    bench.ignores |= {"StartTransaction", "TransactionEvent"}
    bench.plug_in()
    if version is not V16:
        bench.answer(bench.calls("TransactionEvent")[-1])
    bench.present("A1")
    bench.unplug()
    bench.tokens["A1"] = {"status": "Blocked"}
    bench.ignores.clear()
    bench.answer(bench.calls("StartTransaction" if version is V16 else "TransactionEvent")[-1])
    assert len(bench.ended()) == 1
    assert '"Blocked"' in bench.station.snapshot()["tokens"]["a1"]


@pytest.mark.requirement("C09.FR.03")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_group_learned_with_the_start_counts_for_the_stop(version):
    from .bench import group

    bench = Bench(version, offline_tx_for_unknown_id=True)
    bench.tokens["B2"] = group("G", version)
    bench.present("B2", 2)
    bench.present("B2", 2)
    bench.cut()
    bench.plug_in()
    bench.present("A1")
    bench.tokens["A1"] = group("G", version)
    bench.mend()
    bench.present("B2", 1)
    assert bench.evse(1)["transaction"] is None


@pytest.mark.requirement("E01.FR.18", "E01.FR.19", "E02.FR.13", "E02.FR.17")
@pytest.mark.parametrize("version", V2X)
def test_every_change_of_the_charging_state_is_told(version):
    bench = Bench(version)
    bench.start_charging()
    bench.suspend(by="EV")
    bench.suspend(by="EVSE")
    bench.resume(by="EV")
    bench.resume(by="EVSE")
    bench.switch(on=False)
    bench.unplug()
    states = [
        (event["triggerReason"], event["transactionInfo"].get("chargingState"))
        for event in bench.sent("TransactionEvent")
    ]
    changed = "ChargingStateChanged"
    assert states == [
        ("CablePluggedIn", "EVConnected"),
        ("Authorized", None),
        (changed, "Charging"),
        (changed, "SuspendedEV"),
        (changed, "SuspendedEVSE"),
        (changed, "Charging"),
        (changed, "EVConnected"),
        ("EVCommunicationLost", "Idle"),
    ]


@pytest.mark.requirement("E01.FR.15", "E02.FR.01", "E03.FR.12", "E01.FR.16")
@pytest.mark.parametrize("version", V2X)
def test_a_session_that_begins_with_the_token(version):
    bench = Bench(version)
    bench.present("A1")
    bench.plug_in()
    first, second = bench.sent("TransactionEvent")[:2]
    assert (first["triggerReason"], "idToken" in first, "evse" in first) == ("Authorized", True, False)
    assert (second["triggerReason"], "idToken" in second) == ("CablePluggedIn", False)
    assert second["evse"] == {"id": 1, "connectorId": 1}


@pytest.mark.requirement("E01.FR.08", "E02.FR.08")
@pytest.mark.parametrize("version", V2X)
def test_transactions_have_ids_of_their_own(version):
    bench = Bench(version)
    for _ in range(3):
        bench.start_charging()
        bench.unplug()
        bench.power_loss()
    ids = {event["transactionInfo"]["transactionId"] for event in bench.begun()}
    assert len(ids) == 3


@pytest.mark.requirement("E01.FR.14")
def test_one_cable_per_evse():
    bench = Bench(V201, layout=Layout((2,)))
    bench.plug_in(1, 2)
    with pytest.raises(LocalProtocolError, match="already"):
        bench.plug_in(1, 1)
    with pytest.raises(LocalProtocolError, match="no car at connector 1"):
        bench.unplug(1, 1)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("plug_in", (9, 1)),
        ("plug_in", (1, 9)),
        ("plug_out", (1, 1)),
        ("plug_out", (9, 1)),
        ("suspend", (1, "EV")),
        ("suspend", (9, "EV")),
        ("resume", (1, "EV")),
        ("resume", (9, "EVSE")),
        ("power_switched", (9, True)),
        ("meter", (9, ())),
    ],
)
def test_what_cannot_be_is_misuse_and_changes_nothing(verb, arguments):
    bench = Bench()
    before = bench.state()
    with pytest.raises(LocalProtocolError):
        getattr(bench.station, verb)(*arguments, bench.now)
    assert bench.state() == before
    assert bench.station.actions() == []


def test_only_the_ev_and_the_evse_pause():
    bench = Bench()
    bench.plug_in()
    with pytest.raises(LocalProtocolError, match="'driver'"):
        bench.suspend(by="driver")


def test_the_transactions_block_knows_an_empty_evse_itself():
    bench = Bench()
    with pytest.raises(LocalProtocolError, match="no car"):
        bench.station._transactions.plug_out(bench.station._context.evse(1), bench.now)
