"""The verbs against the station core in virtual time: no process, no network, no waiting."""

import json
from dataclasses import replace
from typing import Any

import anyio
import pytest

from ocpp_core import OcppVersion
from ocpp_core.domain.network import NetworkProfile
from tests.apps.emulator_rig import CONFIG, Rig


@pytest.fixture
def rig() -> Rig:
    return Rig()


def charge(rig: Rig, evse: int = 1) -> None:
    rig.do("plug_in", evse=evse)
    rig.do("present_token", token="CAFE", evse=evse)
    assert rig.emulator.hardware.evse(evse).power > 0


def test_a_session_is_billed_what_the_meter_counted(rig: Rig) -> None:
    rig.do("set_meter", evse=1, wh=500)
    charge(rig)
    rig.do("set_power", evse=1, watts=36_000, phases=3)
    rig.wait(100)
    rig.do("suspend", evse=1, by="EV")
    rig.wait(50)
    rig.do("resume", evse=1, by="EV")
    rig.wait(50)
    rig.do("present_token", token="CAFE")
    ended = rig.last("transaction")
    assert (ended["phase"], ended["meter_wh"], ended["stop_reason"]) == ("ended", 2000.0, "Local")
    assert rig.phases()[0] == "started"
    rig.wait(50)
    rig.do("plug_out", evse=1)
    state = rig.do("state").answer
    assert state["hardware"][0] == {
        "evse": 1,
        "plugged": None,
        "contactor_closed": False,
        "locked": [],
        "suspended_by": [],
        "watts": 0.0,
        "register_wh": 2000.0,
    }


def test_periodic_readings_are_taken_at_the_moment_they_are_due(rig: Rig) -> None:
    rig.do("set_power", evse=1, watts=3600)
    charge(rig)
    rig.wait(30)
    readings = [it["meter_wh"] for it in rig.events if it.get("trigger") == "MeterValuePeriodic"]
    assert readings == [10.0, 20.0, 30.0]


def test_a_token_at_evse_0_is_presented_at_the_station(rig: Rig) -> None:
    rig.do("plug_in", evse=2)
    rig.do("present_token", token="CAFE", evse=0)
    assert rig.emulator.hardware.evse(2).power > 0


def test_unplugging_ends_the_session_at_the_reading_of_that_moment(rig: Rig) -> None:
    rig.do("set_power", evse=2, watts=3600)
    rig.do("plug_in", evse=2, connector=2)
    rig.do("present_token", token="CAFE", evse=2)
    rig.wait(7)
    rig.do("plug_out", evse=2)
    assert rig.last("transaction")["meter_wh"] == 7.0
    assert rig.last("transaction")["stop_reason"] == "EVDisconnected"


def test_cars_stay_plugged_over_a_power_cycle_and_the_cut_session_ends(rig: Rig) -> None:
    rig.do("set_power", evse=1, watts=3600)
    charge(rig)
    rig.do("plug_in", evse=2, connector=2)
    rig.do("suspend", evse=2, by="EV")
    rig.wait(20)
    rig.power_cycle()
    ended = next(it for it in rig.events if it.get("phase") == "ended")
    assert (ended["meter_wh"], ended["stop_reason"]) == (20.0, "PowerLoss")
    assert [it["plugged"] for it in rig.do("state").answer["evses"]] == [1, 2]
    assert rig.do("state").answer["evses"][1]["suspended_by"] == ["EV"]
    assert rig.emulator.hardware.evse(1).power == 0


def test_the_hardware_moves_without_power_the_station_learns_later(rig: Rig) -> None:
    rig.emulator.power_down()
    for verb, members in (
        ("present_token", {"token": "A"}),
        ("connect", {}),
        ("disconnect", {}),
        ("power_cycle", {}),
    ):
        assert rig.refused(verb, **members) == "the station has no power"
    rig.perform("plug_in", evse=1)
    rig.perform("plug_in", evse=2)
    rig.perform("plug_out", evse=2)
    rig.perform("set_clock", utc=None)
    assert rig.refused("suspend", evse=1, by="EV") == "the station has no power"
    state = rig.perform("state").answer
    assert (state["power"], state["hardware"][0]["plugged"]) == (False, 1)
    rig.power_up(None)
    state = rig.do("state").answer
    assert [it["plugged"] for it in state["evses"]] == [1, None]
    assert state["clock"]["utc_ms"] is None


def test_what_cannot_be_is_refused_and_changes_nothing(rig: Rig) -> None:
    before = rig.do("state").answer
    assert "no EVSE 3" in rig.refused("plug_in", evse=3)
    assert "no EVSE 0; this station has 1 to 2" in rig.refused("plug_in", evse=0)
    assert "longer than OCPP carries" in rig.refused("present_token", token="A" * 300)
    assert "no connector 2" in rig.refused("plug_in", evse=1, connector=2)
    assert "no car" in rig.refused("plug_out", evse=1)
    assert "no car" in rig.refused("suspend", evse=1, by="EV")
    assert "no EVSE 9" in rig.refused("present_token", token="A", evse=9)
    assert "no EVSE 9" in rig.refused("set_meter", evse=9, wh=1)
    assert "set_meter" in rig.refused(
        "set_measurand", evse=1, measurand="Energy.Active.Import.Register", value=1
    )
    assert "takes utc, drift_ppm" in rig.refused("set_clock")
    assert rig.do("state").answer == before
    rig.do("plug_in", evse=2, connector=2)
    assert "connector 2" in rig.refused("plug_out", evse=2, connector=1)
    assert "already" in rig.refused("plug_in", evse=2, connector=1)
    assert "not paused" in rig.refused("resume", evse=2, by="EVSE")


def test_other_readings_reach_the_station(rig: Rig) -> None:
    rig.do("set_measurand", evse=1, measurand="SoC", value=55, unit="Percent", location="EV")
    readings = rig.emulator.hardware.read(1, rig.now)
    assert [(it.value, it.unit, it.location) for it in readings if it.measurand == "SoC"] == [
        (55.0, "Percent", "EV")
    ]


def test_a_meter_that_cannot_be_remembered_is_not_reported(rig: Rig) -> None:
    rig.do("set_power", evse=1, watts=3600)
    charge(rig)
    rig.memory_fails = True
    rig.wait(10)
    assert rig.last("notice")["kind"] == "meter not remembered"
    assert rig.last("transaction")["meter_wh"] == 0.0
    rig.memory_fails = False
    rig.do("present_token", token="CAFE")
    assert rig.last("transaction")["meter_wh"] == 10.0


def test_the_clock_can_be_set_wrong_or_forgotten(rig: Rig) -> None:
    rig.do("set_clock", utc="2030-01-01T00:00:00+01:00")
    assert rig.do("state").answer["clock"]["utc_ms"] == 1893452400000
    rig.do("set_clock", drift_ppm=100_000)
    rig.now += 100
    assert rig.clock.utc_ms == 1893452400000 + 110_000
    assert rig.do("state").answer["clock"]["utc_ms"] == 1893452400000 + 100_000
    assert rig.clock.drifted(5000, 1.0) == 5100
    rig.do("set_clock", drift_ppm=-400)
    assert [rig.clock.drifted(0, 1.0) for _ in range(5)] == [0, 0, -1, 0, -1]
    rig.do("set_clock", utc=None)
    assert rig.clock.utc_ms is None
    assert rig.do("state").answer["clock"]["utc_ms"] is None


def test_what_concerns_the_world_happens_after_the_answer(rig: Rig) -> None:
    outcome = rig.perform("cut", half_open=True)
    assert rig.do("state").answer["network"] == "up"
    assert outcome.then is not None
    anyio.run(outcome.then)
    assert rig.do("state").answer["network"] == "half-open"
    rig.do("mend", half_open=True)
    assert rig.do("state").answer["network"] == "up"
    rig.do("power_cycle", off_seconds=3)
    rig.do("quit")
    assert (rig.cycled, rig.quits) == ([3], 1)


def test_the_link_is_the_operators(rig: Rig) -> None:
    rig.do("connect")
    assert rig.last("connection") == {"event": "connection", "state": "connecting"}
    rig.do("disconnect")
    assert rig.do("state").answer["connection"]["wanted"] is False


@pytest.mark.parametrize(
    ("names", "old", "new"),
    [
        ({"key": "metervaluesampleinterval"}, "10", "30"),
        ({"component": "SampledDataCtrlr", "variable": "TxUpdatedInterval"}, "10", "15.5"),
        ({"key": "StopTransactionOnInvalidId"}, "true", "false"),
        ({"component": "TxCtrlr", "variable": "TxStartPoint"}, "Authorized,EVConnected", "PowerPathClosed"),
        ({"key": "MeterValuesSampledData"}, "Energy.Active.Import.Register,Power.Active.Import", "SoC"),
        ({"key": "TransactionMessageAttempts"}, "3", "5"),
        ({"key": "TransactionMessageAttempts"}, "3", 7),
        ({"key": "HeartbeatInterval"}, "300", 12.5),
        ({"key": "LocalAuthorizeOffline"}, "true", False),
    ],
)
def test_settings_are_read_and_written(
    rig: Rig, names: dict[str, str], old: str, new: str | float | bool
) -> None:
    assert rig.do("get_variable", **names).answer == {"value": old}
    assert rig.do("set_variable", **names, value=new).answer == {"status": "RebootRequired"}
    new = str(new).lower() if isinstance(new, bool) else str(new)
    assert rig.do("get_variable", **names).answer == {"value": new}
    assert rig.station.config == CONFIG
    rig.power_cycle()
    assert rig.station.config != CONFIG


def test_settings_that_are_not_there_or_not_so_are_refused(rig: Rig) -> None:
    assert "by component and variable, or by key" in rig.refused("get_variable")
    assert "by component" in rig.refused("get_variable", component="TxCtrlr")
    assert "by component" in rig.refused("get_variable", key="K", component="C", variable="V")
    assert "LightIntensity is not there yet" in rig.refused("get_variable", key="LightIntensity")
    assert "A.B is not there yet" in rig.refused("get_variable", component="A", variable="B")
    for key, value in (
        ("HeartbeatInterval", "-1"),
        ("HeartbeatInterval", "soon"),
        ("StopTransactionOnInvalidId", "maybe"),
        ("TransactionMessageAttempts", "0"),
    ):
        assert "is no value" in rig.refused("set_variable", key=key, value=value)
    wrong = {"component": "TxCtrlr", "variable": "TxStartPoint", "value": "Moonrise"}
    assert "is no value" in rig.refused("set_variable", **wrong)
    assert rig.emulator.config == CONFIG


def test_the_link_is_opened_by_the_profile_that_is_named() -> None:
    rig = Rig(config=replace(CONFIG, network_profiles=(NetworkProfile(3), NetworkProfile(7, "other"))))
    before = list(rig.events)
    assert "network profile 4 cannot be used; those that can: 3, 7" in rig.refused("connect", slot=4)
    assert rig.events == before
    rig.do("connect", slot=7)
    assert rig.last("connection") == {"event": "connection", "state": "connecting", "slot": 7}
    assert rig.do("state").answer["connection"]["slot"] == 7
    assert "network profile 3 is not in use; allowed: 7" in rig.refused("disconnect", slot=3)
    assert rig.do("state").answer["connection"]["wanted"]
    rig.do("disconnect", slot=7)
    assert not rig.do("state").answer["connection"]["wanted"]


def test_the_only_profile_has_a_slot_too(rig: Rig) -> None:
    rig.do("connect", slot=0)
    assert rig.last("connection") == {"event": "connection", "state": "connecting"}
    assert "those that can: 0" in rig.refused("connect", slot=1)


def test_the_host_knows_of_a_network_before_the_station_does() -> None:
    rig = Rig(config=replace(CONFIG, network_profiles=(NetworkProfile(3), NetworkProfile(7))))
    rig.do("connect")
    rig.do("network_lost", interface="eth0")
    assert rig.do("state").answer["connection"]["networks_gone"] == [3]
    rig.do("network_back", slot=3)
    assert rig.do("state").answer["connection"]["networks_gone"] == []
    rig.do("network_lost")
    assert rig.do("state").answer["connection"]["networks_gone"] == [3]
    rig.do("network_back")
    assert rig.do("state").answer["connection"]["networks_gone"] == []
    assert "there are 3, 7" in rig.refused("network_lost", slot=4)
    assert "not both" in rig.refused("network_back", slot=3, interface="eth0")
    assert "no network profile leaves by eth7 alone" in rig.refused("network_lost", interface="eth7")


def test_what_is_held_for_nobody_is_shown(rig: Rig) -> None:
    assert rig.do("held").answer == {"held": []}
    assert "nothing is held for CSMS 'old'" in rig.refused("release", csms="old")
    assert "nothing is held" in rig.refused("release", csms="old", to="new")


def report(type: object, **more: object) -> dict[str, Any]:  # noqa: A002  # the contract's word
    return {"what": "security_event", "with": {"type": type, **more}}


@pytest.mark.requirement("A04.FR.01", "A04.FR.04")
def test_a_security_event_is_reported(rig: Rig) -> None:
    rig.do("report", **report("TamperDetectionActivated", techInfo="lid"))
    (entry,) = rig.station.security_log()
    assert (entry["type"], entry["tech_info"], entry["untold"]) == ("TamperDetectionActivated", "lid", True)
    rig.do("report", **report("DoorOpened"))
    assert rig.station.security_log()[-1]["tech_info"] is None


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (
            {"what": "security_event"},
            "type is missing; security_event takes type (text of 1 to 50 characters)",
        ),
        (report(""), "type must be text of 1 to 50 characters"),
        (report("x" * 51), "type must be text of 1 to 50 characters"),
        (report("X", techInfo="x" * 256), "techInfo must be text of 1 to 255 characters"),
        (report("X", do=1), "security_event has no member do"),
    ],
)
def test_a_security_event_that_is_none_is_refused(rig: Rig, members: dict[str, Any], said: str) -> None:
    assert said in rig.refused("report", **members)
    assert rig.station.security_log() == []


def test_without_power_nothing_is_reported_or_connected(rig: Rig) -> None:
    rig.emulator.power_down()
    for verb, members in (("connect", {"slot": 0}), ("disconnect", {"slot": 0}), ("report", report("X"))):
        assert "no power" in rig.refused(verb, **members)


def sent(rig: Rig, action: str) -> list[list[Any]]:
    """The calls of the station."""
    frames = [json.loads(it["text"]) for it in rig.events if it["event"] == "frame" and it["dir"] == "out"]
    return [frame for frame in frames if frame[0] == 2 and frame[2] == action]


def answer(rig: Rig, action: str, payload: dict[str, Any]) -> None:
    with rig.turn() as now:
        rig.station.receive_frame(json.dumps([3, sent(rig, action)[-1][1], payload]), now)


TRANSFER = {"what": "data_transfer", "with": {"vendorId": "com.example", "data": "x"}}


@pytest.mark.parametrize("version", OcppVersion)
def test_a_vendors_message_is_sent_and_its_answer_told(rig: Rig, version: OcppVersion) -> None:
    assert "there is no link" in rig.refused("report", **TRANSFER)
    rig.do("connect")
    with rig.turn() as now:
        rig.station.link_opened(version, now)
    assert "accepted" in rig.refused("report", **TRANSFER)
    boot = {"status": "Accepted", "currentTime": "2026-03-01T12:00:00Z", "interval": 300}
    answer(rig, "BootNotification", boot)
    rig.do("report", **TRANSFER)
    while not sent(rig, "DataTransfer"):
        answer(rig, "StatusNotification", {})
    assert sent(rig, "DataTransfer")[-1][3] == TRANSFER["with"]
    answer(rig, "DataTransfer", {"status": "UnknownVendorId"})
    told = rig.last("notice")
    assert (told["kind"], told["with"]) == ("answered", {"status": "UnknownVendorId"})
    rig.do("report", **TRANSFER)
    with rig.turn() as now:
        rig.station.link_closed(1006, "", now)
    notices = [it for it in rig.events if it.get("kind") == "not answered"]
    assert [it["reason"] for it in notices] == ["disconnected"]


def test_a_vendors_message_that_a_version_has_not_is_refused(rig: Rig) -> None:
    rig.do("connect")
    rig.station.link_opened(OcppVersion.V16, rig.now)
    number = {"what": "data_transfer", "with": {"vendorId": "com.example", "data": 7}}
    assert "no DataTransfer of ocpp1.6" in rig.refused("report", **number)
