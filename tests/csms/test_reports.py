"""Status, security events, data transfer, and requests that nobody or the application handles."""

from typing import Any

import pytest

from ocpp_core import LocalProtocolError, OcppVersion, StoreError
from ocpp_core.csms import (
    AskDataTransfer,
    CsmsConfig,
    DataTransferred,
    RequestReceived,
    SecurityEventReported,
    StatusError,
    StatusReported,
    TransferStatus,
)
from ocpp_core.domain.layout import ConnectorRef, Layout
from ocpp_core.domain.status import ConnectorStatus
from ocpp_core.messages import message_set, v201
from ocpp_core.rpc import ErrorCode, SendFrame
from ocpp_core.store import MemoryStore
from tests.csms.csms_kit import (
    ACCEPTED,
    BOTH_2X,
    GOOD,
    START,
    V16,
    V21,
    V201,
    VERSIONS,
    Host,
    answer,
    noticed,
    of,
    one,
    stamp,
    told,
)


def _host(version: OcppVersion, **more: Any) -> Host:
    host = Host(version, CsmsConfig(registration=ACCEPTED, authorization=GOOD, **more))
    host.boot()
    return host


# Status.


@pytest.mark.requirement("1.6-4.9")
@pytest.mark.parametrize(
    ("wire", "status"),
    [
        ("Available", ConnectorStatus.AVAILABLE),
        ("Preparing", ConnectorStatus.OCCUPIED),
        ("Charging", ConnectorStatus.OCCUPIED),
        ("SuspendedEV", ConnectorStatus.OCCUPIED),
        ("SuspendedEVSE", ConnectorStatus.OCCUPIED),
        ("Finishing", ConnectorStatus.OCCUPIED),
        ("Reserved", ConnectorStatus.RESERVED),
        ("Unavailable", ConnectorStatus.UNAVAILABLE),
        ("Faulted", ConnectorStatus.FAULTED),
    ],
)
def test_the_nine_states_of_16(wire: str, status: ConnectorStatus) -> None:
    host = _host(V16, layout=Layout((1, 2)))
    payload = {"connectorId": 3, "errorCode": "NoError", "status": wire}
    actions = host.say("StatusNotification", payload)
    assert answer(actions)[2] == {}
    assert told(actions) == [StatusReported(ConnectorRef(2, 2), status, wire, None)]


@pytest.mark.requirement("1.6-4.9")
def test_an_error_of_16() -> None:
    payload = {
        "connectorId": 0,
        "errorCode": "OtherError",
        "info": "hot",
        "status": "Faulted",
        "timestamp": stamp(),
        "vendorId": "v",
        "vendorErrorCode": "E7",
    }
    report = one(_host(V16).say("StatusNotification", payload), StatusReported)
    assert report.error == StatusError("OtherError", "hot", "v", "E7")
    assert (report.ref, report.at) == (ConnectorRef(0, 0), START)
    payload |= {"errorCode": "NoError"}
    report = one(_host(V16).say("StatusNotification", payload), StatusReported)
    assert report.error == StatusError("NoError", "hot", "v", "E7"), "a hint without an error is told as well"


@pytest.mark.parametrize("status", ConnectorStatus)
@pytest.mark.parametrize("version", BOTH_2X)
def test_the_five_states_of_2x(version: OcppVersion, status: ConnectorStatus) -> None:
    payload = {
        "evseId": 3,
        "connectorId": 2,
        "connectorStatus": status,
        "timestamp": "2026-11-20T12:00:00+02:00",
    }
    report = one(_host(version).say("StatusNotification", payload), StatusReported)
    assert report == StatusReported(ConnectorRef(3, 2), status, status.value, START)
    assert report.at is not None
    assert report.at.tzinfo is START.tzinfo


def _event(
    component: str, value: str, evse: dict[str, int] | None = None, variable: str = "AvailabilityState"
) -> Any:
    return {
        "eventId": 1,
        "timestamp": stamp(),
        "trigger": "Delta",
        "actualValue": value,
        "eventNotificationType": "HardWiredNotification",
        "component": {"name": component} if evse is None else {"name": component, "evse": evse},
        "variable": {"name": variable},
    }


@pytest.mark.parametrize("version", BOTH_2X)
def test_an_event_may_tell_the_status(version: OcppVersion) -> None:
    events = [
        _event("Connector", "Occupied", {"id": 2, "connectorId": 1}),
        _event("EVSE", "Reserved", {"id": 2}),
        _event("chargingStation", "Dreaming"),
    ]
    payload = {"generatedAt": stamp(), "seqNo": 0, "eventData": events}
    actions = _host(version).say("NotifyEvent", payload)
    assert answer(actions)[2] == {}
    assert told(actions) == [
        StatusReported(ConnectorRef(2, 1), ConnectorStatus.OCCUPIED, "Occupied", START),
        StatusReported(ConnectorRef(2, 0), ConnectorStatus.RESERVED, "Reserved", START),
        StatusReported(ConnectorRef(0, 0), ConnectorStatus.OCCUPIED, "Dreaming", START),
    ]


@pytest.mark.parametrize("version", BOTH_2X)
@pytest.mark.parametrize("other", [("Connector", "Problem"), ("Tamper", "AvailabilityState")])
def test_other_events_are_the_applications(version: OcppVersion, other: tuple[str, str]) -> None:
    host = _host(version, requests=frozenset({"NotifyEvent"}))
    events = [_event("EVSE", "Reserved", {"id": 2}), _event(other[0], "true", variable=other[1])]
    payload = {"generatedAt": stamp(), "seqNo": 0, "eventData": events}
    assert [type(event) for event in told(host.say("NotifyEvent", payload))] == [RequestReceived]


# Security events.


@pytest.mark.requirement("A04.FR.03")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_security_event_is_told_once(version: OcppVersion) -> None:
    host = _host(version)
    payload = {"type": "TamperDetectionActivated", "timestamp": stamp(), "techInfo": "lid"}
    first = host.say("SecurityEventNotification", payload)
    assert told(first) == [SecurityEventReported("TamperDetectionActivated", START, "lid")]
    assert answer(first)[2] == {}
    host = host.reconnect()
    again = host.say("SecurityEventNotification", payload)
    assert (answer(again)[2], told(again), noticed(again)) == ({}, [], ["repeated"])


def test_reports_are_remembered_up_to_a_limit() -> None:
    host = _host(V201)
    payloads = [{"type": str(number), "timestamp": stamp()} for number in range(9)]
    for payload in payloads:
        assert told(host.say("SecurityEventNotification", payload))
    assert told(host.say("SecurityEventNotification", payloads[1])) == []
    assert told(host.say("SecurityEventNotification", payloads[0])), "eight came since"


@pytest.mark.parametrize("row", ["x", "7", '["a"]', "[null]"])
def test_damaged_reports_are_told(row: str) -> None:
    with pytest.raises(StoreError, match="reports of 'CP-1'"):
        Host(V201, store=MemoryStore({"csms/CP-1": {"reports": row}}))


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_ends_of_the_calendar(version: OcppVersion, at: str) -> None:
    actions = _host(version).say("SecurityEventNotification", {"type": "t", "timestamp": at})
    assert one(actions, SecurityEventReported).at.tzinfo is START.tzinfo


# Data transfer.


@pytest.mark.requirement("P01.FR.05", "1.6-4.3")
@pytest.mark.parametrize("version", VERSIONS)
def test_an_unknown_vendor(version: OcppVersion) -> None:
    actions = _host(version, vendors=frozenset({"known"})).say("DataTransfer", {"vendorId": "x", "data": "d"})
    assert answer(actions)[2] == {"status": "UnknownVendorId"}
    assert told(actions) == [DataTransferred("x", None, "d", TransferStatus.UNKNOWN_VENDOR_ID)]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_known_vendor_is_the_applications(version: OcppVersion) -> None:
    host = _host(version, vendors=frozenset({"known"}))
    asked = one(host.say("DataTransfer", {"vendorId": "known", "messageId": "m"}), AskDataTransfer)
    assert (asked.vendor, asked.message, asked.data) == ("known", "m", None)
    assert host.csms.answer_data_transfer(asked.question, TransferStatus.ACCEPTED, "done", host.now)
    actions = host.drain()
    assert answer(actions)[2] == {"status": "Accepted", "data": "done"}
    assert told(actions) == [DataTransferred("known", "m", None, TransferStatus.ACCEPTED)]
    assert not host.csms.answer_data_transfer(asked.question, TransferStatus.REJECTED, None, host.now)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_transfer_without_an_answer_is_rejected(version: OcppVersion) -> None:
    host = _host(version, vendors=frozenset({"known"}))
    host.say("DataTransfer", {"vendorId": "known"})
    actions = host.wait(20)
    assert answer(actions)[2] == {"status": "Rejected"}
    assert one(actions, DataTransferred).status is TransferStatus.REJECTED


def test_16_transfers_text_only() -> None:
    host = _host(V16, vendors=frozenset({"known"}))
    asked = one(host.say("DataTransfer", {"vendorId": "known"}), AskDataTransfer)
    with pytest.raises(LocalProtocolError, match="text"):
        host.csms.answer_data_transfer(asked.question, TransferStatus.ACCEPTED, {"a": 1}, host.now)
    assert host.csms.answer_data_transfer(asked.question, TransferStatus.ACCEPTED, None, host.now)
    later = _host(V21, vendors=frozenset({"known"}))
    asked = one(later.say("DataTransfer", {"vendorId": "known", "data": [1]}), AskDataTransfer)
    assert asked.data == [1]
    assert later.csms.answer_data_transfer(asked.question, TransferStatus.ACCEPTED, {"a": 1}, later.now)
    assert answer(later.drain())[2] == {"status": "Accepted", "data": {"a": 1}}


# Requests beyond the blocks.

FIRMWARE = "FirmwareStatusNotification"


@pytest.mark.requirement("1.6-J-4.2.3", "2.0.1-J-4.3")
@pytest.mark.parametrize("version", VERSIONS)
def test_what_nobody_handles_is_not_supported(version: OcppVersion) -> None:
    actions = _host(version).say(FIRMWARE, {"status": "Idle"})
    frame = answer(actions)
    assert (frame[0], frame[2]) == (4, "NotSupported")
    assert (told(actions), noticed(actions)) == ([], ["request refused"])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_application_answers(version: OcppVersion) -> None:
    host = _host(version, requests=frozenset({FIRMWARE}))
    actions = host.say(FIRMWARE, {"status": "Idle"})
    received = one(told(actions), RequestReceived)
    assert of(actions, SendFrame) == []
    with pytest.raises(LocalProtocolError, match="does not answer"):
        host.csms.respond(
            received.call_id, message_set(version).response("Heartbeat").model_construct(), host.now
        )
    response = message_set(version).response(FIRMWARE)()
    assert not host.csms.respond("another", response, host.now)
    assert host.csms.respond(received.call_id, response, host.now)
    assert answer(host.drain()) == [3, received.call_id, {}]
    assert not host.csms.respond(received.call_id, response, host.now)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_application_refuses(version: OcppVersion) -> None:
    host = _host(version, requests=frozenset({FIRMWARE}))
    received = one(host.say(FIRMWARE, {"status": "Idle"}), RequestReceived)
    assert host.csms.respond_error(received.call_id, ErrorCode.GENERIC_ERROR, "no", host.now)
    assert answer(host.drain())[2:4] == ["GenericError", "no"]
    assert not host.csms.respond_error(received.call_id, ErrorCode.GENERIC_ERROR, "no", host.now)


@pytest.mark.parametrize("version", VERSIONS)
def test_never_silence(version: OcppVersion) -> None:
    host = _host(version, requests=frozenset({FIRMWARE}))
    received = one(host.say(FIRMWARE, {"status": "Idle"}), RequestReceived)
    actions = host.wait(20)
    assert answer(actions)[:3] == [4, received.call_id, "InternalError"]
    assert noticed(actions) == ["question unanswered"]


def test_other_questions_are_no_requests() -> None:
    host = _host(V201, vendors=frozenset({"known"}))
    host.say("DataTransfer", {"vendorId": "known"}, "the-call")
    assert not host.csms.respond("the-call", v201.DataTransferResponse.model_construct(), host.now)
