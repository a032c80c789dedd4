"""What a CSMS can ask: remote start and stop, and triggers; the answer precedes what it brings about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.domain.layout import Layout
from ocpp_core.station import NoticeKind, TxPoint

from .bench import V2X, V16, V21, V201, VERSIONS, Bench, group


def start(bench, token="A1", evse=1, remote_start_id=7, **more):
    if bench.version is V16:
        payload = {"idTag": token} | ({} if evse is None else {"connectorId": evse})
        return bench.ask("RemoteStartTransaction", payload | more)
    payload = {"idToken": {"idToken": token, "type": "Central"}, "remoteStartId": remote_start_id}
    return bench.ask("RequestStartTransaction", payload | ({} if evse is None else {"evseId": evse}) | more)


def stop(bench, evse=1, csms_id=1):
    if bench.version is V16:
        return bench.ask("RemoteStopTransaction", {"transactionId": csms_id})["status"]
    transaction = bench.evse(evse)["transaction"] or "nothing"
    return bench.ask("RequestStopTransaction", {"transactionId": transaction})["status"]


def order(bench):
    """What the station sent: actions of calls, and "answer"."""
    return [frame[2] if frame[0] == 2 else "answer" for frame in bench.frames]


@pytest.mark.requirement("F01.FR.02", "F01.FR.05", "F02.FR.10", "F02.FR.13", "F02.FR.21", "1.6-5.11")
@pytest.mark.parametrize("first", ["cable", "call"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_start_without_asking(version, first):
    bench = Bench(version)
    bench.forget()
    if first == "cable":
        bench.plug_in()
    answer = start(bench)
    assert answer["status"] == "Accepted"
    if first == "call":
        bench.plug_in()
    assert bench.evse()["charging_state"] == "Charging"
    assert "Authorize" not in order(bench)
    assert len(bench.begun()) == 1
    if version is V16:
        assert bench.begun()[0]["idTag"] == "A1"


@pytest.mark.requirement(
    "F01.FR.13",
    "F01.FR.17",
    "F01.FR.19",
    "F01.FR.25",
    "F02.FR.01",
    "F02.FR.05",
    "F02.FR.12",
    "F01.FR.03",
    "F02.FR.11",
)
@pytest.mark.parametrize("version", V2X)
def test_the_next_event_after_a_remote_start_says_so_once(version):
    bench = Bench(version)
    bench.plug_in()
    transaction = bench.evse()["transaction"]
    assert start(bench)["transactionId"] == transaction
    events = bench.sent("TransactionEvent")[1:]
    assert events[0]["triggerReason"] == "RemoteStart"
    assert events[0]["idToken"] == {"idToken": "A1", "type": "Central"}
    assert events[0]["transactionInfo"]["remoteStartId"] == 7
    assert not any("remoteStartId" in event["transactionInfo"] for event in events[1:])
    bench = Bench(version)
    assert "transactionId" not in start(bench)
    assert bench.begun()[0]["transactionInfo"]["remoteStartId"] == 7


@pytest.mark.requirement("F02.FR.21")
@pytest.mark.parametrize("point", TxPoint)
@pytest.mark.parametrize("version", V2X)
def test_wherever_a_transaction_starts_the_remote_start_is_its_reason(version, point):
    bench = Bench(version, tx_start_points=frozenset({point}))
    start(bench)
    bench.plug_in()
    told = [
        (event["triggerReason"], event["transactionInfo"].get("remoteStartId")) for _, event in bench.facts()
    ]
    assert told[0] == ("RemoteStart", 7)
    assert all(reason != "RemoteStart" and number is None for reason, number in told[1:])
    assert bench.evse()["charging_state"] == "Charging"


@pytest.mark.requirement("F01.FR.01", "F02.FR.09", "1.6-5.11")
@pytest.mark.parametrize("good", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_start_with_asking(version, good):
    bench = Bench(version, authorize_remote_start=True)
    bench.tokens["A1"] = {"status": "Accepted" if good else "Blocked"}
    bench.plug_in()
    bench.forget()
    bench.ignores.add("Authorize")
    assert start(bench)["status"] == "Accepted"
    assert order(bench) == ["answer", "Authorize"]
    assert start(bench, "B2")["status"] == "Rejected"  # one decision at a time
    bench.answer(bench.calls("Authorize")[0])
    assert (bench.evse()["driver"] == "A1") is good
    if good and version is not V16:
        assert bench.sent("TransactionEvent")[-2]["transactionInfo"]["remoteStartId"] == 7


@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_start_stops_nobody(version):
    """A token of the group of the driver who came meanwhile is refused, and does not end his charging."""
    bench = Bench(version, authorize_remote_start=True)
    bench.tokens = {"A1": group("G", version)}
    bench.ignores.add("Authorize")
    start(bench)
    asked = bench.calls("Authorize")[0]
    bench.ignores.clear()
    bench.station._context.evse(1).driver = None
    from ocpp_core.domain.tokens import IdToken

    parent = IdToken("G", "Central")
    bench.plug_in()
    bench.station._transactions.authorize(bench.station._context.evse(1), IdToken("C3"), parent, bench.now)
    bench.drain()
    bench.answer(asked)
    assert bench.evse()["driver"] == "C3"


@pytest.mark.requirement("F01.FR.20", "F02.FR.22")
@pytest.mark.parametrize("version", VERSIONS)
def test_without_an_evse_the_station_chooses(version):
    bench = Bench(version)
    bench.plug_in(2)
    assert start(bench, evse=None)["status"] == "Accepted"
    assert bench.evse(2)["driver"] == "A1"
    assert start(bench, "B2", evse=None)["status"] == "Accepted"
    assert bench.evse(1)["driver"] == "B2"
    assert start(bench, "C3", evse=None)["status"] == "Rejected"


@pytest.mark.requirement("F01.FR.24", "F02.FR.26")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("evse", [0, 9])
def test_a_remote_start_where_it_cannot_be(version, evse):
    bench = Bench(version)
    bench.start_charging("B2")
    assert start(bench)["status"] == "Rejected"
    # 2.1's schema knows no EVSE 0
    invalid = evse == 0 and version is V21
    assert start(bench, evse=evse) == ("PropertyConstraintViolation" if invalid else {"status": "Rejected"})
    bench.contactor = False
    bench.present("B2")  # ends
    assert start(bench)["status"] == "Rejected"


@pytest.mark.requirement("F01.FR.12", "F02.FR.20", "1.6-5.11")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_charging_profile_is_ignored(version):
    bench = Bench(version)
    bench.plug_in()
    period = {"startPeriod": 0, "limit": 10}
    if version is V16:
        profile = {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [period]},
        }
    else:
        profile = {
            "id": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": [{"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [period]}],
        }
    assert start(bench, chargingProfile=profile)["status"] == "Accepted"
    assert bench.evse()["charging_state"] == "Charging"


@pytest.mark.parametrize("version", VERSIONS)
def test_no_remote_start_where_nothing_can_be_kept(version):
    bench = Bench(version)
    bench.disk = False
    bench.plug_in(2)
    bench.present("B2", 2)
    bench.run(40)
    assert start(bench)["status"] == "Rejected"
    full = Bench(version, outbox_limit=4, offline_tx_for_unknown_id=True)
    full.refuses |= {"StartTransaction", "TransactionEvent"}
    for _ in range(3):
        full.plug_in()
        full.present("B2")
        full.unplug()
    assert start(full)["status"] == ("Rejected" if full.state()["queue"]["facts"] >= 4 else "Accepted")
    assert full.state()["queue"]["facts"] >= 4 or version is V16


@pytest.mark.requirement("F03.FR.07", "F03.FR.08", "F03.FR.09", "1.6-5.12", "1.6-errata-3.33")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_stop(version):
    bench = Bench(version)
    assert stop(bench) == "Rejected"
    bench.start_charging()
    bench.forget()
    assert stop(bench) == "Accepted"
    assert order(bench)[0] == "answer"
    assert len(bench.ended()) == 1
    assert stop(bench) == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_stop_while_the_transaction_ends_comes_too_late(version):
    bench = Bench(version)
    bench.start_charging()
    bench.contactor = False
    bench.present("A1")
    assert stop(bench) == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_stop_finds_the_right_one(version):
    bench = Bench(version)
    bench.start_charging("A1", 1)
    bench.start_charging("B2", 2)
    assert stop(bench, 2, csms_id=2) == "Accepted"
    assert bench.evse(1)["transaction"]
    assert bench.evse(2)["transaction"] is None


@pytest.mark.requirement("1.6-5.12")
def test_a_number_that_a_16_csms_uses_twice_means_the_transaction_under_way():
    bench = Bench(V16)
    bench.transaction_ids = iter([5, 5])
    bench.start_charging("A1", 1)
    bench.ignores.add("StopTransaction")
    bench.unplug(1)
    bench.run(31)
    bench.ignores.clear()
    bench.start_charging("B2", 2)
    bench.run(100)
    assert stop(bench, csms_id=5) == "Accepted"
    assert bench.evse(2)["transaction"] is None


@pytest.mark.requirement("F03.FR.02")
@pytest.mark.parametrize("version", V2X)
def test_a_remote_stop_that_ends_only_the_authorization(version):
    bench = Bench(version, tx_stop_points=frozenset({TxPoint.EV_CONNECTED}))
    bench.start_charging()
    assert stop(bench) == "Accepted"
    assert bench.evse()["power"] == "off"
    assert bench.sent("TransactionEvent")[-1]["triggerReason"] == "RemoteStop"
    assert bench.ended() == []


@pytest.mark.requirement("1.6-5.12")
def test_a_16_transaction_is_found_again_after_a_restart():
    bench = Bench(V16)
    bench.start_charging()
    bench.ignores.add("StopTransaction")
    bench.power_loss()
    assert stop(bench) == "Rejected"  # it ends already, of the power loss


# triggers


def trigger(bench, message, evse=None, connector=None):
    payload = {"requestedMessage": message}
    if evse is not None and bench.version is V16:
        payload["connectorId"] = evse
    elif evse is not None:
        payload["evse"] = {"id": evse} | ({} if connector is None else {"connectorId": connector})
    return bench.ask("TriggerMessage", payload)["status"]


@pytest.mark.requirement("F06.FR.03", "F06.FR.04", "F06.FR.05", "F06.FR.10", "1.6-5.17")
@pytest.mark.parametrize("evse", [None, 1, 99])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_heartbeat_for_whatever_evse(version, evse):
    bench = Bench(version)
    bench.forget()
    assert trigger(bench, "Heartbeat", evse) == "Accepted"
    assert order(bench) == ["answer", "Heartbeat"]


STATUS = [
    # EVSE (1.6: connectorId), connector: what 1.6 sends, what 2.x sends
    (None, None, [0, 1, 2, 3], [(1, 1), (1, 2), (2, 1)]),
    (0, None, [0], None),
    (1, None, [1], [(1, 1), (1, 2)]),
    (1, 2, [1], [(1, 2)]),
    (1, 3, [1], None),
    (9, None, None, None),
]


@pytest.mark.requirement("F06.FR.04", "F06.FR.11", "F06.FR.12", "1.6-5.17")
@pytest.mark.parametrize(("evse", "connector", "told_16", "told_2x"), STATUS)
@pytest.mark.parametrize("version", VERSIONS)
def test_statuses_of_what_there_is(version, evse, connector, told_16, told_2x):
    bench = Bench(version, layout=Layout((2, 1)))
    bench.forget()
    expected = told_16 if version is V16 else told_2x
    assert trigger(bench, "StatusNotification", evse, connector) == (
        "Rejected" if expected is None else "Accepted"
    )
    said = bench.sent("StatusNotification")
    key = (
        (lambda one: one["connectorId"])
        if version is V16
        else (lambda one: (one["evseId"], one["connectorId"]))
    )
    assert [key(one) for one in said] == (expected or [])
    assert order(bench)[0] == "answer"


READINGS = [(None, [1, 2]), (1, [1]), (0, None), (9, None)]


@pytest.mark.requirement("F06.FR.06", "F06.FR.09", "F06.FR.11", "1.6-5.17", "1.6-errata-3.46")
@pytest.mark.parametrize(("evse", "expected"), READINGS)
@pytest.mark.parametrize("version", VERSIONS)
def test_readings_of_the_meters_there_are(version, evse, expected):
    bench = Bench(version, sampled_measurands=("Power.Active.Import",))
    for number in (1, 2):
        bench.wh[number] = 5.0
        bench._meter(number)
    bench.forget()
    assert trigger(bench, "MeterValues", evse) == ("Rejected" if expected is None else "Accepted")
    told = bench.sent("MeterValues")
    assert [said["connectorId" if version is V16 else "evseId"] for said in told] == (expected or [])
    for said in told:
        (sample,) = said["meterValue"][0]["sampledValue"]
        assert (sample["measurand"], sample["context"]) == ("Power.Active.Import", "Trigger")
        assert "transactionId" not in said


@pytest.mark.requirement("F06.FR.10")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_meter_that_never_spoke_promises_nothing(version):
    bench = Bench(version)
    assert trigger(bench, "MeterValues") == "Rejected"
    bench.wh[2] = 1.0
    bench._meter(2)
    assert trigger(bench, "MeterValues") == "Accepted"
    assert len(bench.sent("MeterValues")) == 1


@pytest.mark.requirement("1.6-4.7", "1.6-5.17")
def test_a_triggered_reading_in_16_names_the_transaction_under_way():
    bench = Bench(V16)
    bench.start_charging()
    assert trigger(bench, "MeterValues", 1) == "Accepted"
    assert bench.sent("MeterValues")[0]["transactionId"] == 1


@pytest.mark.requirement("F06.FR.08", "1.6-5.17")
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_there_yet_is_not_implemented(version):
    bench = Bench(version)
    assert trigger(bench, "FirmwareStatusNotification") == "NotImplemented"
    if version is not V16:
        assert trigger(bench, "TransactionEvent", 1) == "NotImplemented"


@pytest.mark.requirement("B02.FR.02", "F06.FR.10")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_pending_station_tells_what_it_is_asked_and_no_more(version):
    bench = Bench(version, start=False)
    bench.registration, bench.interval = "Pending", 500
    bench.power_up()
    bench.wh[1] = 1.0
    bench._meter(1)
    bench.forget()
    for message in ("Heartbeat", "StatusNotification", "MeterValues"):
        assert trigger(bench, message) == "Accepted"
    told = {frame[2] for frame in bench.calls()}
    assert told == {"Heartbeat", "StatusNotification", "MeterValues"}
    bench.forget()
    bench.run(300)
    assert bench.calls() == []


@pytest.mark.requirement("F06.FR.10")
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_asked_before_the_time_is_known_waits_for_it(version):
    bench = Bench(version, start=False)
    bench.refuses.add("BootNotification")
    bench.power_up()
    bench.wh[1] = 1.0
    bench._meter(1)
    assert trigger(bench, "StatusNotification", 1, 1) == "Accepted"
    assert trigger(bench, "MeterValues") == "Rejected"
    assert bench.sent("StatusNotification") == []
    bench.refuses.clear()
    bench.registration = "Pending"
    bench.run(30)
    assert len(bench.sent("StatusNotification")) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_what_can_no_longer_be_told_holds_nothing_up(version):
    """The meter lost the measurand, or the station the time, after the promise."""
    bench = Bench(version)
    for number in (1, 2):
        bench.wh[number] = 5.0
        bench._meter(number)
    bench.ignores.add("Heartbeat")
    trigger(bench, "Heartbeat")
    assert trigger(bench, "MeterValues") == "Accepted"
    bench.station.meter(1, (), bench.now)
    bench.answer(bench.calls("Heartbeat")[0])
    assert [said.get("evseId", said.get("connectorId")) for said in bench.sent("MeterValues")] == [2]


@pytest.mark.parametrize("version", VERSIONS)
def test_whoever_asked_is_gone_with_the_link(version):
    bench = Bench(version)
    bench.wh[1] = 1.0
    bench._meter(1)
    bench.ignores |= {"Heartbeat", "StatusNotification", "MeterValues"}
    for message in ("Heartbeat", "MeterValues", "StatusNotification", "Heartbeat"):
        assert trigger(bench, message) == "Accepted"
    bench.cut()
    bench.forget()
    bench.ignores.clear()
    bench.mend()
    assert bench.calls() == []


@given(st.lists(st.sampled_from(["Heartbeat", "MeterValues", "StatusNotification"]), max_size=60))
def test_asking_again_and_again_makes_no_queue(messages):
    bench = Bench(V201)
    for number in (1, 2):
        bench.wh[number] = 1.0
        bench._meter(number)
    bench.ignores |= {"Heartbeat", "StatusNotification", "MeterValues"}
    for message in messages:
        assert trigger(bench, message) == "Accepted"
    bench.forget()
    bench.ignores.clear()
    bench.run(40)
    assert len(bench.calls()) <= 5


@pytest.mark.parametrize("version", VERSIONS)
def test_a_triggered_reading_that_is_refused_is_let_go(version):
    bench = Bench(version)
    bench.wh[1] = 1.0
    bench._meter(1)
    bench.refuses.add("MeterValues")
    trigger(bench, "MeterValues")
    bench.run(100)
    assert len(bench.sent("MeterValues")) == 1
    assert len(bench.notices(NoticeKind.PEER)) == 1
