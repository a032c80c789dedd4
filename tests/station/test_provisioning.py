"""Registration: what may be said before the CSMS has accepted the station, and the heartbeat after."""

import pytest

from ocpp_core.domain.network import NetworkProfile
from ocpp_core.domain.status import BootReason
from ocpp_core.station import NoticeKind, RegistrationChanged

from .bench import EPOCH, V2X, V16, VERSIONS, Bench, config, iso


@pytest.mark.requirement("B01.FR.01", "B01.FR.03", "B01.FR.05", "B01.FR.08", "1.6-4.2", "1.6-errata-3.22")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_boot_tells_who_the_station_is_and_then_how_its_connectors_are(version):
    bench = Bench(version)
    subjects = 3 if version is V16 else 2
    assert [frame[2] for frame in bench.calls()] == ["BootNotification"] + ["StatusNotification"] * subjects
    assert bench.done(RegistrationChanged) == [RegistrationChanged("Accepted")]
    bench.forget()
    bench.power_loss()
    assert len(bench.sent("BootNotification")) == 1


@pytest.mark.requirement("B01.FR.09")
@pytest.mark.parametrize("version", V2X)
@pytest.mark.parametrize("reason", BootReason)
def test_a_boot_has_its_reason(version, reason):
    bench = Bench(version, boot_reason=reason)
    assert bench.sent("BootNotification")[0]["reason"] == reason


@pytest.mark.parametrize("version", VERSIONS)
def test_a_boot_tells_all_that_is_configured(version):
    from ocpp_core.domain.status import StationInfo

    info = StationInfo("M", "V" * 50, "SN", "FW", "ICC", "IMSI", "MT", "MSN")
    told = Bench(version, info=info).sent("BootNotification")[0]
    if version is V16:
        assert told == {
            "chargePointVendor": "V" * 20,
            "chargePointModel": "M",
            "chargePointSerialNumber": "SN",
            "firmwareVersion": "FW",
            "iccid": "ICC",
            "imsi": "IMSI",
            "meterType": "MT",
            "meterSerialNumber": "MSN",
        }
    else:
        assert told["chargingStation"] == {
            "serialNumber": "SN",
            "model": "M",
            "modem": {"iccid": "ICC", "imsi": "IMSI"},
            "vendorName": "V" * 50,
            "firmwareVersion": "FW",
        }


def booting(version, registration, interval=120, **settings):
    bench = Bench(version, start=False, **settings)
    bench.registration, bench.interval = registration, interval
    bench.power_up()
    return bench


@pytest.mark.requirement(
    "B01.FR.08", "B02.FR.02", "B02.FR.04", "B02.FR.06", "B02.FR.08", "B03.FR.02", "B03.FR.06"
)
@pytest.mark.parametrize("registration", ["Pending", "Rejected"])
@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_but_the_next_boot_until_accepted(version, registration):
    bench = booting(version, registration)
    bench.plug_in()
    bench.run(119.9)
    assert [frame[2] for frame in bench.calls()] == ["BootNotification"]
    assert bench.online
    bench.registration = "Accepted"
    bench.run(0.1)
    assert bench.registered == "Accepted"
    assert bench.statuses()[-1] == ("Preparing" if version is V16 else "Occupied")


@pytest.mark.requirement("B02.FR.07", "B03.FR.05", "1.6-4.2")
@pytest.mark.parametrize("interval", [0, -7])
@pytest.mark.parametrize("registration", ["Pending", "Rejected"])
@pytest.mark.parametrize("version", VERSIONS)
def test_without_an_interval_the_station_has_its_own(version, registration, interval):
    bench = booting(version, registration, interval)
    bench.run(95)
    assert len(bench.sent("BootNotification")) == 4


@pytest.mark.requirement("B02.FR.04")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_interval_outlives_the_link(version):
    bench = booting(version, "Pending")
    bench.cut(back=True)
    bench.run(100)
    assert bench.online
    assert len(bench.sent("BootNotification")) == 1
    bench.run(20)
    assert len(bench.sent("BootNotification")) == 2


@pytest.mark.requirement("B02.FR.04")
def test_the_interval_is_over_while_there_is_no_link():
    bench = booting(V2X[0], "Pending")
    bench.cut()
    bench.run(200)
    bench.mend()
    assert len(bench.sent("BootNotification")) == 2


@pytest.mark.requirement("B01.FR.03")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_reconnect_is_no_boot(version):
    bench = Bench(version)
    bench.forget()
    bench.cut()
    bench.mend()
    assert bench.calls() == []


@pytest.mark.requirement("B10.FR.10")
def test_another_version_is_another_registration():
    bench = Bench(V2X[0], config=config())
    bench.cut()
    bench.version = V16
    bench.ignores.add("BootNotification")
    bench.mend()
    assert bench.registered is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("how", ["refuses", "ignores"])
def test_a_boot_without_a_usable_answer_is_tried_again(version, how):
    bench = Bench(version, start=False, boot_retry_interval=45.0)
    getattr(bench, how).add("BootNotification")
    bench.power_up()
    bench.receive("a word: it is there")
    wait = 45.0 + (30.0 if how == "ignores" else 0.0)
    bench.run(wait - 0.1)
    assert len(bench.sent("BootNotification")) == 1
    assert bench.registered is None
    getattr(bench, how).clear()
    bench.run(0.1)
    assert bench.registered == "Accepted"


@pytest.mark.requirement("B10.FR.03", "2.0.1-J-5.3", "2.1-J-5.4")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_link_over_which_nobody_answers_is_left(version):
    """However long it stays open: there is a load balancer, but no CSMS behind it."""
    ways = NetworkProfile(slot=0), NetworkProfile(slot=1, message_timeout=20.0)
    bench = Bench(version, start=False, network_profiles=ways, network_attempts=2)
    bench.ignores.add("BootNotification")
    bench.power_up()
    # Each attempt takes a message's time-out; the waits between them double: 10, 20, 40.
    for seconds, slot in ((29.9, 0), (10 + 29.9, 0), (20 + 19.9, 1), (40 + 19.9, 1)):
        bench.run(seconds)
        connection = bench.state()["connection"]
        assert (connection["state"], connection["slot"]) == ("open", slot)
        bench.run(0.1)
        assert bench.state()["connection"]["state"] == "waiting"
    assert len(bench.sent("BootNotification")) == 4
    bench.ignores.clear()
    bench.run(40.0)
    assert bench.registered == "Accepted"


@pytest.mark.requirement("G02.FR.01", "1.6-4.6")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("heard", [True, False])
def test_a_reconnected_csms_that_answers_no_heartbeat(version, heard):
    """One that never said a word over the link is not there; one that did may have missed one."""
    bench = Bench(version, heartbeat_interval=300.0)
    bench.ignores.add("Heartbeat")
    bench.cut(back=True)
    bench.run(11.0)
    assert bench.state()["connection"]["state"] == "open"
    if heard:
        bench.receive("a word: it is there")
    bench.run(289.0 + 29.9)
    assert bench.state()["connection"]["state"] == "open"
    bench.run(0.1)
    assert bench.state()["connection"]["state"] == ("open" if heard else "waiting")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_interval_of_any_size_is_none_too_big(version):
    bench = booting(version, "Pending", 10**400)
    assert bench.state()["timers"]["boot"] == 2**31
    bench = booting(version, "Accepted", 10**400)
    assert bench.state()["heartbeat_interval"] == 2**31


GATE = [
    # While …: (remote start, trigger of a heartbeat)
    (None, "Rejected", "Accepted"),
    ("Pending", "Rejected", "Accepted"),
    ("Accepted", "Accepted", "Accepted"),
]


def remote_start(version):
    if version is V16:
        return "RemoteStartTransaction", {"idTag": "A1", "connectorId": 1}
    token = {"idToken": "A1", "type": "Central"}
    return "RequestStartTransaction", {"idToken": token, "remoteStartId": 5, "evseId": 1}


@pytest.mark.requirement("B02.FR.01", "B02.FR.05", "1.6-4.2")
@pytest.mark.parametrize(("registration", "start", "trigger"), GATE)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_csms_may_ask_while(version, registration, start, trigger):
    bench = Bench(version, start=False)
    bench.registration = registration
    if registration is None:
        bench.ignores.add("BootNotification")
    bench.power_up()
    assert bench.ask(*remote_start(version))["status"] == start
    assert bench.ask("TriggerMessage", {"requestedMessage": "Heartbeat"})["status"] == trigger
    if registration is None:
        bench.answer(
            bench.calls("BootNotification")[0],
            {"status": "Pending", "currentTime": iso(EPOCH), "interval": 9},
        )
    assert len(bench.sent("Heartbeat")) == 1
    assert bench.ask("Reset", {"type": "Immediate" if version is not V16 else "Soft"}) == "NotSupported"


@pytest.mark.requirement("B03.FR.08", "1.6-4.2")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_rejected_station_refuses_or_is_silent(version):
    """2.x answers SecurityError, 1.6 not at all, not even to what it cannot read; and neither runs full."""
    bench = booting(version, "Rejected")
    answer = None if version is V16 else "SecurityError"
    for _ in range(10):
        assert bench.ask(*remote_start(version)) == answer
        assert bench.ask("TriggerMessage", {"requestedMessage": "Heartbeat"}) == answer
    assert bench.ask("TriggerMessage", {"requestedMessage": 7}) is (
        None if version is V16 else bench.answers[-1][2]
    )
    if version is V16:
        assert bench.answers == []
    assert [frame[2] for frame in bench.calls()] == ["BootNotification"]
    bench.registration = "Accepted"
    bench.run(120)
    assert bench.ask("TriggerMessage", {"requestedMessage": "Heartbeat"}) == {"status": "Accepted"}


@pytest.mark.requirement("B02.FR.02", "B02.FR.04", "F06.FR.17")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_pending_station_boots_at_once_when_asked(version):
    bench = booting(version, "Pending")
    assert bench.ask("TriggerMessage", {"requestedMessage": "BootNotification"}) == {"status": "Accepted"}
    boots = bench.sent("BootNotification")
    assert len(boots) == 2
    bench.run(120)
    boots = bench.sent("BootNotification")
    assert len(boots) == 3
    if version is not V16:
        assert [boot["reason"] for boot in boots] == ["PowerUp", "Triggered", "PowerUp"]


@pytest.mark.requirement("F06.FR.17", "1.6-errata-3.35", "1.6-errata-3.40")
@pytest.mark.parametrize("version", VERSIONS)
def test_an_accepted_station_boots_for_nobody(version):
    bench = Bench(version)
    assert bench.ask("TriggerMessage", {"requestedMessage": "BootNotification"}) == {"status": "Rejected"}
    assert len(bench.sent("BootNotification")) == 1


# the heartbeat, and the time


@pytest.mark.requirement("B01.FR.04", "G02.FR.01", "G02.FR.02", "1.6-4.6")
@pytest.mark.parametrize("version", VERSIONS)
def test_heartbeats_at_the_interval_that_the_csms_set(version):
    bench = booting(version, "Accepted", 200)
    assert bench.state()["heartbeat_interval"] == 200
    bench.run(1000)
    assert len(bench.sent("Heartbeat")) == 5


@pytest.mark.parametrize("version", VERSIONS)
def test_heartbeats_at_the_interval_configured_where_it_set_none(version):
    bench = booting(version, "Accepted", 0, heartbeat_interval=300.0)
    bench.run(900)
    assert len(bench.sent("Heartbeat")) == 3


@pytest.mark.requirement("G02.FR.05", "1.6-4.6")
@pytest.mark.parametrize("version", VERSIONS)
def test_any_call_stands_for_a_heartbeat(version):
    bench = booting(version, "Accepted", 200)
    for _ in range(5):
        bench.run(150)
        bench.plug_in()
        bench.run(1)
        bench.unplug()
    assert bench.sent("Heartbeat") == []
    bench.run(200)
    assert len(bench.sent("Heartbeat")) == 1


@pytest.mark.requirement("G02.FR.07", "1.6-4.6")
def test_a_busy_station_still_asks_for_the_time_once_a_day():
    bench = booting(V2X[0], "Accepted", 2000, sample_interval=900.0)
    bench.start_charging()
    bench.run(86_400 * 3)
    assert len(bench.sent("Heartbeat")) == 3


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("how", ["refuses", "ignores"])
def test_a_heartbeat_that_fails_is_followed_by_the_next(version, how):
    bench = booting(version, "Accepted", 200)
    getattr(bench, how).add("Heartbeat")
    bench.run(1000)
    assert len(bench.sent("Heartbeat")) >= 4


@pytest.mark.parametrize("version", VERSIONS)
def test_no_heartbeat_without_a_link(version):
    bench = booting(version, "Accepted", 200)
    bench.run(150)
    bench.cut()
    bench.run(1000)
    assert bench.sent("Heartbeat") == []
    bench.mend()
    bench.run(0)
    assert len(bench.sent("Heartbeat")) == 1, "that fell due meanwhile"
    bench.run(200)
    assert len(bench.sent("Heartbeat")) == 2


@pytest.mark.requirement("G02.FR.01", "1.6-4.6", "B10.FR.03")
@pytest.mark.parametrize("version", VERSIONS)
def test_links_that_never_last_as_long_as_a_heartbeat(version):
    """Something in between closes them after a minute, the CSMS is gone: the next profile has its turn."""
    ways = NetworkProfile(slot=0), NetworkProfile(slot=1)
    bench = Bench(version, heartbeat_interval=300.0, network_profiles=ways, network_attempts=2)
    bench.ignores |= {"Heartbeat", "BootNotification"}
    for _ in range(20):
        bench.run(29.0)
        if bench.state()["connection"]["state"] == "open":
            bench.cut(back=True)
        bench.run(50.0)
        if bench.state()["connection"]["slot"] == 1:
            return
    pytest.fail("it stays where nobody is")


@pytest.mark.requirement("B01.FR.06", "G02.FR.06")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_csms_tells_the_time(version):
    bench = booting(version, "Accepted", 200)
    epoch_ms = round(EPOCH.timestamp() * 1000)
    assert bench.state()["clock"] == {"utc_ms": epoch_ms, "boot": 1}
    assert len(bench.notices(NoticeKind.CLOCK_SET)) == 1
    bench.clock_error = 5.0
    bench.run(200)
    assert bench.state()["clock"]["utc_ms"] == epoch_ms + 205_000
    assert len(bench.notices(NoticeKind.CLOCK_SET)) == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("year", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_from_the_edge_of_the_calendar_breaks_nothing(version, year):
    bench = Bench(version, start=False)
    bench.ignores.add("BootNotification")
    bench.power_up()
    bench.plug_in()
    bench.run(1)
    boot = bench.calls("BootNotification")[0]
    bench.answer(boot, {"status": "Accepted", "currentTime": year, "interval": 10**6})
    bench.run(3600)
    bench.unplug()
    assert bench.state()["queue"]["facts"] == 0


def test_the_station_may_know_the_time_itself():
    bench = Bench(V2X[0], start=False)
    bench.dials = False
    bench.power_up()
    bench.station.set_utc(1_700_000_000_000, bench.now)
    assert bench.state()["clock"]["utc_ms"] == 1_700_000_000_000
    bench.station.set_utc(None, bench.now)
    assert bench.state()["clock"]["utc_ms"] is None
