"""Actions as events of the contract, and events as lines for people."""

from typing import Any

import pytest

from ocpp_core import OcppVersion
from ocpp_core.domain.layout import ConnectorRef
from ocpp_core.domain.status import ConnectorStatus, RegistrationStatus
from ocpp_core.domain.time import Stamp
from ocpp_core.domain.tokens import IdToken
from ocpp_core.domain.transactions import ChargingState, Phase, StopReason, TransactionFact, TriggerReason
from ocpp_core.station import (
    DoPower,
    FactHandedOver,
    LinkChanged,
    Notice,
    NoticeKind,
    OpenLink,
    RegistrationChanged,
    SendFrame,
    StationAction,
    StatusChanged,
    TransactionChanged,
)
from ocpp_core.wire import Text
from ocpp_station.events import event_of
from ocpp_station.transcript import line_of

STARTED = TransactionChanged(
    "T1", 2, Phase.STARTED, TriggerReason.CABLE_PLUGGED_IN, ChargingState.EV_CONNECTED, 12.5
)
ENDED = TransactionChanged(
    "T1", 2, Phase.ENDED, TriggerReason.STOP_AUTHORIZED, None, 1234567.0, StopReason.LOCAL
)


@pytest.mark.parametrize(
    ("action", "event", "line"),
    [
        (
            OpenLink((OcppVersion.V16,)),
            {"event": "connection", "state": "connecting"},
            "link connecting",
        ),
        (
            LinkChanged(OcppVersion.V16),
            {"event": "connection", "state": "connected", "subprotocol": "ocpp1.6"},
            "link connected ocpp1.6",
        ),
        (
            LinkChanged(None, "1006"),
            {"event": "connection", "state": "disconnected", "reason": "1006"},
            "link disconnected 1006",
        ),
        (LinkChanged(None), {"event": "connection", "state": "disconnected"}, "link disconnected"),
        (SendFrame("[2]"), {"event": "frame", "dir": "out", "text": "[2]"}, "-> [2]"),
        (Text("[3]"), {"event": "frame", "dir": "in", "text": "[3]"}, "<- [3]"),
        (
            StatusChanged(ConnectorRef(2, 1), ConnectorStatus.OCCUPIED, "Preparing"),
            {
                "event": "status",
                "evse": 2,
                "connector": 1,
                "status": "Occupied",
                "status_16": "Preparing",
            },
            "EVSE 2 connector 1 is Occupied",
        ),
        (
            STARTED,
            {
                "event": "transaction",
                "id": "T1",
                "evse": 2,
                "phase": "started",
                "trigger": "CablePluggedIn",
                "meter_wh": 12.5,
                "charging_state": "EVConnected",
            },
            "EVSE 2 transaction T1 started: CablePluggedIn, 12.5 Wh EVConnected",
        ),
        (
            ENDED,
            {
                "event": "transaction",
                "id": "T1",
                "evse": 2,
                "phase": "ended",
                "trigger": "StopAuthorized",
                "meter_wh": 1234567.0,
                "stop_reason": "Local",
            },
            "EVSE 2 transaction T1 ended: StopAuthorized, 1234567 Wh Local",
        ),
        (
            RegistrationChanged(RegistrationStatus.PENDING),
            {"event": "notice", "kind": "registration", "status": "Pending"},
            "notice registration Pending",
        ),
        (
            Notice(NoticeKind.PEER, "odd"),
            {"event": "notice", "kind": "peer", "detail": "odd"},
            "notice peer odd",
        ),
    ],
)
def test_what_the_station_does_is_told(
    action: StationAction | Text, event: dict[str, Any], line: str
) -> None:
    told = event_of(action)
    assert told == event
    assert line_of({"at": 1.5, **told}) == f"    1.500  {line}"


def test_what_no_csms_will_hear_is_told_with_all_that_it_takes_to_bill_it() -> None:
    at = Stamp(1, 5.0, 1_800_000_000_000)
    driver = IdToken("A1")
    fact = TransactionFact("T1", Phase.ENDED, TriggerReason.STOP_AUTHORIZED, at, 2, 1, 99.5, driver=driver)
    told = event_of(FactHandedOver(fact, OcppVersion.V16, 7, True, "old"))
    assert told == {
        "event": "notice",
        "kind": "fact handed over",
        "csms": "old",
        "version": "ocpp1.6",
        "csms_id": 7,
        "attempted": True,
        "transaction": "T1",
        "evse": 2,
        "phase": "ended",
        "trigger": "StopAuthorized",
        "token": "A1",
        "meter_wh": 99.5,
        "utc_ms": 1_800_000_000_000,
    }


def test_what_only_the_hardware_sees_is_not_told() -> None:
    assert event_of(DoPower(1, True)) is None


def test_long_lines_are_cut() -> None:
    line = line_of({"event": "frame", "at": 0.0, "dir": "in", "text": "x" * 1000})
    assert len(line) == 160
    assert line.endswith("…")


@pytest.mark.parametrize(
    ("action", "line"),
    [
        (OpenLink((OcppVersion.V16,), 2), "link (2) connecting"),
        (LinkChanged(OcppVersion.V16, slot=2), "link (2) connected ocpp1.6"),
        (LinkChanged(None, "1006", 2), "link (2) disconnected 1006"),
    ],
)
def test_of_several_network_profiles_it_is_told_which(action: StationAction, line: str) -> None:
    event = event_of(action, slots=True)
    assert event is not None
    assert event["slot"] == 2
    assert line_of({"at": 0.0, **event}).endswith(f"  {line}")
