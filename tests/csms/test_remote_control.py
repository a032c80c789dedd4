"""Commands, the same for every version, and plain requests (F, G03, B11; 1.6 §5)."""

import json
from typing import Any

import pytest

from ocpp_core import LocalProtocolError, OcppVersion
from ocpp_core.csms import (
    ChangeAvailability,
    Command,
    CommandAnswered,
    CommandFailed,
    CsmsConfig,
    RequestStart,
    RequestStop,
    Reset,
    Topic,
    Trigger,
    UnlockConnector,
)
from ocpp_core.domain.layout import Layout
from ocpp_core.domain.tokens import IdToken
from ocpp_core.messages import v16, v201
from ocpp_core.rpc import CallFailed, CallSucceeded, FailureReason, RpcConfig, SendFrame
from tests.csms.csms_kit import (
    ACCEPTED,
    BOTH_2X,
    OPEN_HOUSE,
    V16,
    V201,
    VERSIONS,
    Host,
    answer,
    of,
    one,
    told,
)

TOKEN = IdToken("T", "Central")
WIRE_TOKEN = {"idToken": "T", "type": "Central"}
TRIGGER = "TriggerMessage"
AVAILABILITY = "ChangeAvailability"


def _host(version: OcppVersion, config: CsmsConfig = OPEN_HOUSE) -> Host:
    host = Host(version, config)
    host.boot()
    return host


@pytest.mark.requirement("1.6-5.2", "1.6-5.11", "1.6-5.12", "1.6-5.14", "1.6-5.17", "1.6-5.18")
@pytest.mark.parametrize(
    ("command", "action", "payload"),
    [
        (RequestStart(TOKEN), "RemoteStartTransaction", {"idTag": "T"}),
        (RequestStart(TOKEN, 2), "RemoteStartTransaction", {"idTag": "T", "connectorId": 2}),
        (RequestStop("77"), "RemoteStopTransaction", {"transactionId": 77}),
        (Trigger(Topic.STATUS), TRIGGER, {"requestedMessage": "StatusNotification"}),
        (Trigger(Topic.HEARTBEAT), TRIGGER, {"requestedMessage": "Heartbeat"}),
        (Trigger(Topic.METER_VALUES, 2), TRIGGER, {"requestedMessage": "MeterValues", "connectorId": 2}),
        (UnlockConnector(3), "UnlockConnector", {"connectorId": 3}),
        (ChangeAvailability(False), AVAILABILITY, {"connectorId": 0, "type": "Inoperative"}),
        (ChangeAvailability(True, 2), AVAILABILITY, {"connectorId": 2, "type": "Operative"}),
        (ChangeAvailability(True, 2, 1), AVAILABILITY, {"connectorId": 2, "type": "Operative"}),
        (Reset(), "Reset", {"type": "Soft"}),
        (Reset(immediate=True), "Reset", {"type": "Hard"}),
    ],
)
def test_commands_in_16(command: Command, action: str, payload: dict[str, Any]) -> None:
    host = _host(V16)
    call_id = host.csms.call(command, host.now)
    assert answer(host.drain()) == [2, call_id, action, payload]


@pytest.mark.requirement(
    "F01.FR.04", "F02.FR.12", "F03.FR.01", "F06.FR.01", "F06.FR.02", "F06.FR.13", "F01.FR.06", "F02.FR.14"
)
@pytest.mark.parametrize("version", BOTH_2X)
@pytest.mark.parametrize(
    ("command", "action", "payload"),
    [
        (
            RequestStart(TOKEN, None, 9),
            "RequestStartTransaction",
            {"idToken": WIRE_TOKEN, "remoteStartId": 9},
        ),
        (
            RequestStart(TOKEN, 2, 9),
            "RequestStartTransaction",
            {"idToken": WIRE_TOKEN, "remoteStartId": 9, "evseId": 2},
        ),
        (RequestStop("tx"), "RequestStopTransaction", {"transactionId": "tx"}),
        (Trigger(Topic.BOOT), TRIGGER, {"requestedMessage": "BootNotification"}),
        (
            Trigger(Topic.STATUS, 2),
            TRIGGER,
            {"requestedMessage": "StatusNotification", "evse": {"id": 2, "connectorId": 1}},
        ),
        (Trigger(Topic.METER_VALUES, 2), TRIGGER, {"requestedMessage": "MeterValues", "evse": {"id": 2}}),
        (UnlockConnector(3, 2), "UnlockConnector", {"evseId": 3, "connectorId": 2}),
        (ChangeAvailability(False), AVAILABILITY, {"operationalStatus": "Inoperative"}),
        (ChangeAvailability(True, 2), AVAILABILITY, {"operationalStatus": "Operative", "evse": {"id": 2}}),
        (
            ChangeAvailability(True, 2, 3),
            AVAILABILITY,
            {"operationalStatus": "Operative", "evse": {"id": 2, "connectorId": 3}},
        ),
        (Reset(), "Reset", {"type": "OnIdle"}),
        (Reset(immediate=True, evse=2), "Reset", {"type": "Immediate", "evseId": 2}),
    ],
)
def test_commands_in_2x(version: OcppVersion, command: Command, action: str, payload: dict[str, Any]) -> None:
    host = _host(version)
    call_id = host.csms.call(command, host.now)
    assert answer(host.drain()) == [2, call_id, action, payload]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_start_is_numbered(version: OcppVersion) -> None:
    host = _host(version)
    host.csms.call(RequestStart(TOKEN, 1), host.now)
    (_, call_id, _, payload) = answer(host.drain())
    command = one(host.reply(call_id, {"status": "Rejected"}), CommandAnswered).command
    assert isinstance(command, RequestStart)
    assert command.remote_start_id is not None
    assert payload.get("remoteStartId", command.remote_start_id) == command.remote_start_id
    assert 0 <= command.remote_start_id < 2**31


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("command", "status", "accepted"),
    [
        (RequestStart(TOKEN, 1, 5), "Accepted", True),
        (RequestStart(TOKEN, 1, 5), "Rejected", False),
        (RequestStop("7"), "Accepted", True),
        (Trigger(Topic.HEARTBEAT), "NotImplemented", False),
        (UnlockConnector(1), "Unlocked", True),
        (UnlockConnector(1), "UnlockFailed", False),
        (ChangeAvailability(True), "Scheduled", True),
        (Reset(), "Accepted", True),
    ],
)
def test_answers(version: OcppVersion, command: Command, status: str, accepted: bool) -> None:
    host = _host(version)
    call_id = host.csms.call(command, host.now)
    host.drain()
    assert told(host.reply(call_id, {"status": status})) == [
        CommandAnswered(call_id, command, accepted, status)
    ]
    assert not host.csms._remote_control._calls


@pytest.mark.parametrize("version", BOTH_2X)
def test_what_else_2x_answers(version: OcppVersion) -> None:
    host = _host(version)
    call_id = host.csms.call(RequestStart(TOKEN, 1, 5), host.now)
    host.drain()
    payload = {"status": "Accepted", "transactionId": "tx", "statusInfo": {"reasonCode": "TxStarted"}}
    result = one(host.reply(call_id, payload), CommandAnswered)
    assert (result.transaction, result.reason) == ("tx", "TxStarted")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_command_fails_once(version: OcppVersion) -> None:
    host = _host(version)
    command = Trigger(Topic.HEARTBEAT)
    refused = host.csms.call(command, host.now)
    host.drain()
    actions = host.raw(json.dumps([4, refused, "GenericError", "no", {}]))
    assert told(actions) == [CommandFailed(refused, command, FailureReason.CALL_ERROR, "GenericError", "no")]
    timed_out = host.csms.call(command, host.now, timeout=5)
    assert one(host.wait(5), CommandFailed) == CommandFailed(
        timed_out, command, FailureReason.TIMEOUT, "", "no answer within 5 s"
    )
    lost = host.csms.call(command, host.now)
    host.csms.link_lost(host.now)
    actions = host.drain()
    assert of(actions, SendFrame) == [], "there is no link to send over"
    assert [failed.call_id for failed in of(actions, CommandFailed)] == [lost]
    assert not host.csms._remote_control._calls
    with pytest.raises(LocalProtocolError, match="no link"):
        host.csms.call(command, host.now)


def test_plain_requests_come_back_as_they_are() -> None:
    host = _host(V201)
    request = v201.GetTransactionStatusRequest()
    call_id = host.csms.call(request, host.now)
    host.drain()
    result = one(host.reply(call_id, {"messagesInQueue": False}), CallSucceeded)
    assert result.request is request
    call_id = host.csms.call(request, host.now)
    assert one(host.wait(30), CallFailed).call_id == call_id


def test_requests_of_another_version_are_refused() -> None:
    host = _host(V201)
    with pytest.raises(LocalProtocolError):
        host.csms.call(v16.ClearCacheRequest(), host.now)
    assert host.drain() == []


def test_calls_wait_their_turn_up_to_a_limit() -> None:
    host = _host(V201, CsmsConfig(registration=ACCEPTED, rpc=RpcConfig(queue_limit=1)))
    first, second = (host.csms.call(Trigger(Topic.HEARTBEAT), host.now) for _ in range(2))
    with pytest.raises(LocalProtocolError):
        host.csms.call(Trigger(Topic.HEARTBEAT), host.now)
    assert len(of(host.drain(), SendFrame)) == 1
    actions = host.reply(first, {"status": "Accepted"})
    assert answer(actions)[1] == second


@pytest.mark.parametrize(
    ("version", "command", "why"),
    [
        (V16, RequestStop("tx"), "no transaction"),
        (V16, Reset(evse=1), "not an EVSE"),
        (V16, UnlockConnector(1, 2), "no connector 2 at EVSE 1"),
        (V16, UnlockConnector(0), "no connector 1 at EVSE 0"),
        (V16, RequestStart(IdToken("x" * 21)), "cannot say"),
        (V201, RequestStart(IdToken("x" * 37)), "cannot say"),
        (V201, RequestStart(IdToken("x", "Telepathy")), "token type"),
        (V201, Trigger(Topic.STATUS), r"F06\.FR\.13"),
    ],
)
def test_what_a_version_cannot_say(version: OcppVersion, command: Command, why: str) -> None:
    host = _host(version)
    with pytest.raises(LocalProtocolError, match=why):
        host.csms.call(command, host.now)
    assert host.drain() == []


@pytest.mark.requirement("1.6-3.8")
@pytest.mark.parametrize(
    ("command", "connector"),
    [
        (UnlockConnector(1), 1),
        (UnlockConnector(2, 2), 3),
        (ChangeAvailability(True, 1), 1),
        (ChangeAvailability(True, 2, 2), 3),
        (RequestStart(TOKEN, 2), 2),
        (ChangeAvailability(True, 2), None),
        (UnlockConnector(3), None),
        (UnlockConnector(2, 3), None),
    ],
)
def test_the_layout_numbers_the_connectors_of_16(command: Command, connector: int | None) -> None:
    host = _host(V16, CsmsConfig(registration=ACCEPTED, layout=Layout((1, 2))))
    if connector is None:
        with pytest.raises(LocalProtocolError):
            host.csms.call(command, host.now)
    else:
        host.csms.call(command, host.now)
        assert answer(host.drain())[3]["connectorId"] == connector
