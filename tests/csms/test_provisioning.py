"""BootNotification, the gates before it, the time (B01 to B03, G02; 1.6 §4.2, §4.6)."""

import json

import pytest

from ocpp_core import LocalProtocolError, OcppVersion, StoreError
from ocpp_core.csms import (
    AskRegistration,
    CloseLink,
    CommandAnswered,
    CommandFailed,
    CsmsConfig,
    HeartbeatReceived,
    Registration,
    RequestStart,
    RequestStop,
    StationBooted,
    StatusReported,
    Topic,
    Trigger,
)
from ocpp_core.domain.status import RegistrationStatus, StationInfo
from ocpp_core.domain.tokens import IdToken
from ocpp_core.errors import ConfigurationError
from ocpp_core.messages import Request, message_set, v16, v21, v201
from ocpp_core.rpc import CallFailed, SendFrame, SendReceived
from ocpp_core.store import MemoryStore
from tests.csms.csms_kit import (
    ACCEPTED,
    BOTH_2X,
    GOOD,
    V16,
    V21,
    V201,
    VERSIONS,
    Driver,
    Host,
    answer,
    boot,
    noticed,
    of,
    one,
    stamp,
    told,
)

INFO = StationInfo("Model", "Vendor", "SN1", iccid="I")
STATUSES = tuple(RegistrationStatus)


def _config(status: RegistrationStatus) -> CsmsConfig:
    return CsmsConfig(registration=Registration(status, 60), authorization=GOOD)


def _minimal(version: OcppVersion, action: str) -> dict[str, object]:
    """A payload for each action that a block handles."""
    at = stamp()
    reading_16 = {"timestamp": at, "sampledValue": [{"value": "1"}]}
    reading = {"timestamp": at, "sampledValue": [{"value": 1}]}
    event = {"eventType": "Updated", "timestamp": at, "triggerReason": "Trigger", "seqNo": 0}
    token = {"idToken": "T", "type": "Central"}
    old = version is V16
    payloads: dict[str, dict[str, object]] = {
        "Authorize": {"idTag": "T"} if old else {"idToken": token},
        "BootNotification": boot(version),
        "DataTransfer": {"vendorId": "x"},
        "Heartbeat": {},
        "MeterValues": (
            {"connectorId": 1, "meterValue": [reading_16]} if old else {"evseId": 1, "meterValue": [reading]}
        ),
        "SecurityEventNotification": {"type": "t", "timestamp": at},
        "StartTransaction": {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": at},
        "StopTransaction": {"transactionId": 5, "meterStop": 0, "timestamp": at},
        "StatusNotification": (
            {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
            if old
            else {"evseId": 1, "connectorId": 1, "connectorStatus": "Available", "timestamp": at}
        ),
        "TransactionEvent": {**event, "transactionInfo": {"transactionId": "t"}},
        "FirmwareStatusNotification": {"status": "Idle"},
    }
    return payloads[action]


ACTIONS_16 = (
    "Authorize",
    "DataTransfer",
    "Heartbeat",
    "MeterValues",
    "SecurityEventNotification",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
    "FirmwareStatusNotification",
)
ACTIONS_2X = (
    "Authorize",
    "DataTransfer",
    "Heartbeat",
    "MeterValues",
    "SecurityEventNotification",
    "StatusNotification",
    "TransactionEvent",
    "FirmwareStatusNotification",
)
EVERY_ACTION = [(V16, action) for action in ACTIONS_16] + [
    (version, action) for version in BOTH_2X for action in ACTIONS_2X
]


@pytest.mark.requirement("B01.FR.02", "1.6-4.2")
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_boot_is_answered_by_policy(version: OcppVersion, status: RegistrationStatus) -> None:
    host = Host(version, _config(status))
    actions = host.boot()
    assert answer(actions)[2] == {"status": status, "currentTime": stamp(), "interval": 60}
    assert one(actions, StationBooted) == StationBooted(INFO, "Unknown", status)
    assert host.csms.registration is status


@pytest.mark.requirement("B01.FR.02", "1.6-4.2")
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_boot_is_answered_by_the_application(version: OcppVersion, status: RegistrationStatus) -> None:
    host = Host(version, CsmsConfig())
    asked = one(host.boot(), AskRegistration)
    assert (asked.info, asked.reason, asked.deadline) == (INFO, "Unknown", host.now + 20)
    host.now += 7
    assert host.csms.answer_registration(asked.question, Registration(status, 5), host.now)
    actions = host.drain()
    assert answer(actions)[2] == {"status": status, "currentTime": stamp(7), "interval": 5}
    assert one(actions, StationBooted).registration is status
    assert not host.csms.answer_registration(asked.question, ACCEPTED, host.now), "too late"
    assert host.drain() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unanswered_boot_is_pending(version: OcppVersion) -> None:
    host = Host(version, CsmsConfig())
    asked = one(host.boot(), AskRegistration)
    assert host.wait(19.9) == []
    actions = host.wait(0.2)
    assert answer(actions)[2]["status"] == "Pending"
    assert noticed(actions) == ["question unanswered"]
    assert one(actions, StationBooted).registration is RegistrationStatus.PENDING
    assert not host.csms.answer_registration(asked.question, ACCEPTED, host.now)
    assert host.csms.next_timer() is None


@pytest.mark.requirement("B01.FR.10", "B02.FR.09", "B03.FR.07", "FR.04", "1.6-4.2")
@pytest.mark.parametrize("status", [RegistrationStatus.PENDING, RegistrationStatus.REJECTED])
@pytest.mark.parametrize(("version", "action"), EVERY_ACTION)
def test_a_station_not_accepted_may_say_nothing_else(
    version: OcppVersion, action: str, status: RegistrationStatus
) -> None:
    host = Host(version, _config(status))
    host.boot()
    actions = host.say(action, _minimal(version, action))
    frame = answer(actions)
    assert (frame[0], frame[2]) == (4, "SecurityError")
    assert told(actions) == []
    assert noticed(actions) == ["not accepted"]
    assert answer(host.boot())[0] == 3, "it may always boot"


@pytest.mark.requirement("B01.FR.10", "B02.FR.01", "B02.FR.09", "1.6-4.2")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_pending_station_may_say_what_it_was_asked_for(version: OcppVersion) -> None:
    host = Host(version, _config(RegistrationStatus.PENDING))
    host.boot()
    host.csms.call(Trigger(Topic.STATUS, 1), host.now)
    host.drain()
    actions = host.say("StatusNotification", _minimal(version, "StatusNotification"))
    assert of(actions, StatusReported)
    assert answer(host.say("Heartbeat", {}))[2] == "SecurityError"
    host.boot()
    refused = host.say("StatusNotification", _minimal(version, "StatusNotification"))
    assert answer(refused)[2] == "SecurityError", "the next boot ends the permission"


@pytest.mark.requirement("B02.FR.01", "B02.FR.09")
@pytest.mark.parametrize(
    ("version", "request_", "action", "payload"),
    [
        (
            V201,
            v201.GetBaseReportRequest(request_id=1, report_base=v201.ReportBaseEnum.FULL_INVENTORY),
            "NotifyReport",
            {"requestId": 1, "generatedAt": stamp(), "seqNo": 0},
        ),
        (
            V21,
            v21.GetReportRequest(request_id=1),
            "NotifyReport",
            {"requestId": 1, "generatedAt": stamp(), "seqNo": 0},
        ),
        (
            V201,
            v201.TriggerMessageRequest(
                requested_message=v201.MessageTriggerEnum.SIGN_CHARGING_STATION_CERTIFICATE
            ),
            "SignCertificate",
            {"csr": "x"},
        ),
        (
            V16,
            v16.ExtendedTriggerMessageRequest(
                requested_message=v16.MessageTriggerEnum.SIGN_CHARGE_POINT_CERTIFICATE
            ),
            "SignCertificate",
            {"csr": "x"},
        ),
    ],
)
def test_reports_and_certificates_can_be_asked_for_while_pending(
    version: OcppVersion, request_: Request, action: str, payload: dict[str, object]
) -> None:
    config = CsmsConfig(
        registration=Registration(RegistrationStatus.PENDING),
        requests=frozenset({action}),
        authorization=GOOD,
    )
    host = Host(version, config)
    host.boot()
    assert answer(host.say(action, payload))[2] == "SecurityError"
    host.csms.call(request_, host.now)
    host.drain()
    assert of(host.say(action, payload), SendFrame) == [], "the application is asked"


@pytest.mark.requirement("B03.FR.03", "1.6-4.2")
@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_asked_of_a_rejected_station(version: OcppVersion) -> None:
    host = Host(version, _config(RegistrationStatus.REJECTED))
    host.boot()
    with pytest.raises(LocalProtocolError, match="rejected"):
        host.csms.call(Trigger(Topic.HEARTBEAT), host.now)
    assert host.drain() == []


@pytest.mark.requirement("B03.FR.03", "1.6-4.2")
@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_calls_that_wait_are_withdrawn_from_a_station_that_is_rejected(
    version: OcppVersion, answered: bool
) -> None:
    rejection = Registration(RegistrationStatus.REJECTED)
    host = Host(version, CsmsConfig(unanswered_registration=rejection))
    waiting = [host.csms.call(Trigger(Topic.HEARTBEAT), host.now) for _ in range(2)]
    waiting.append(host.csms.call(message_set(version).request("ClearCache")(), host.now))
    assert len(of(host.drain(), SendFrame)) == 1
    asked = one(host.boot(), AskRegistration)
    if answered:
        host.csms.answer_registration(asked.question, rejection, host.now)
        actions = host.drain()
    else:
        actions = host.wait(20)
    failed = [action.call_id for action in actions if isinstance(action, CommandFailed | CallFailed)]
    assert sorted(failed) == sorted(waiting)
    assert answer(actions)[0] == 3, "nothing but the answer to the boot is sent"
    assert not of(host.wait(100), SendFrame)
    assert told(host.boot()) == [AskRegistration(2, host.now + 20, INFO, "Unknown")]


@pytest.mark.requirement("1.6-4.2")
@pytest.mark.parametrize("version", VERSIONS)
def test_no_remote_start_or_stop_while_pending(version: OcppVersion) -> None:
    host = Host(version, _config(RegistrationStatus.PENDING))
    host.boot()
    for command in (RequestStart(IdToken("T"), 1), RequestStop("1")):
        with pytest.raises(LocalProtocolError, match="pending"):
            host.csms.call(command, host.now)
    assert host.drain() == []


@pytest.mark.requirement("1.6-5.17", "1.6-errata-3.40")
@pytest.mark.parametrize("version", VERSIONS)
def test_only_2x_may_ask_an_accepted_station_to_boot_again(version: OcppVersion) -> None:
    host = Host(version)
    trigger = Trigger(Topic.BOOT)
    host.csms.call(trigger, host.now)
    host.drain()
    host.boot()
    if version is V16:
        with pytest.raises(LocalProtocolError, match=r"errata 3\.40"):
            host.csms.call(trigger, host.now)
    else:
        assert host.csms.call(trigger, host.now)


@pytest.mark.requirement("1.6-4.2")
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_standing_belongs_to_the_identity(version: OcppVersion, status: RegistrationStatus) -> None:
    host = Host(version, _config(status))
    host.boot()
    later = host.reconnect(V201, CsmsConfig(registration_without_boot=RegistrationStatus.ACCEPTED))
    assert later.csms.registration is status
    accepted = answer(later.say("Heartbeat", {}))[0] == 3
    assert accepted is (status is RegistrationStatus.ACCEPTED)


@pytest.mark.parametrize("status", STATUSES)
def test_the_standing_of_the_unknown_is_configured(status: RegistrationStatus) -> None:
    host = Host(V16, CsmsConfig(registration_without_boot=status))
    assert host.csms.registration is status
    assert (answer(host.say("Heartbeat", {}))[0] == 3) is (status is RegistrationStatus.ACCEPTED)


@pytest.mark.requirement("G02.FR.03", "1.6-4.6")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_heartbeat_tells_the_time(version: OcppVersion) -> None:
    host = Host(version)
    host.boot()
    host.now += 12.5
    actions = host.say("Heartbeat", {})
    assert answer(actions)[2] == {"currentTime": stamp(12.5)}
    assert told(actions) == [HeartbeatReceived()]


@pytest.mark.requirement("G02.FR.03")
@pytest.mark.parametrize("version", VERSIONS)
def test_no_time_is_invented(version: OcppVersion) -> None:
    host = Host(version, utc_ms=None)
    actions = host.boot()
    assert answer(actions)[2] == "InternalError"
    assert noticed(actions) == ["clock unknown"]
    assert told(actions) == []
    host.csms.set_utc(0, host.now)
    assert answer(host.boot())[2]["currentTime"] == "1970-01-01T00:00:00.000Z"
    host.csms.set_utc(None, host.now)
    assert answer(host.say("Heartbeat", {}))[2] == "InternalError"


def test_a_fraction_is_no_time() -> None:
    host = Host(V201, utc_ms=5)
    with pytest.raises(LocalProtocolError, match=r"whole milliseconds since 1970, not 1\.5"):
        host.csms.set_utc(1.5, host.now)  # type: ignore[arg-type]
    assert answer(host.boot())[2]["currentTime"] == "1970-01-01T00:00:00.005Z"


def test_a_clock_lost_while_the_application_thinks() -> None:
    host = Host(V201, CsmsConfig())
    asked = one(host.boot(), AskRegistration)
    host.csms.set_utc(None, host.now)
    assert host.csms.answer_registration(asked.question, ACCEPTED, host.now)
    actions = host.drain()
    assert answer(actions)[2] == "InternalError"
    assert told(actions) == []
    assert host.csms.registration is RegistrationStatus.PENDING


@pytest.mark.requirement("B01.FR.11", "B01.FR.12")
@pytest.mark.parametrize("version", BOTH_2X)
def test_the_serial_number_is_that_of_the_certificate(version: OcppVersion) -> None:
    host = Host(version, certificate_serial="SN1")
    assert of(host.boot(), StationBooted)
    host = Host(version, certificate_serial="SN2")
    call_id = host.csms.call(Trigger(Topic.HEARTBEAT), host.now)
    host.drain()
    actions = host.boot()
    assert answer(actions)[2] == "SecurityError"
    assert one(actions, CloseLink).code == 1008
    assert one(actions, CommandFailed).call_id == call_id
    assert noticed(actions) == ["serial number"]
    assert host.say("Heartbeat", {}) == [], "the link is given up"
    with pytest.raises(LocalProtocolError, match="no link"):
        host.csms.call(Trigger(Topic.HEARTBEAT), host.now)
    host.csms.link_lost(host.now)
    assert host.drain() == []


@pytest.mark.requirement("B01.FR.10")
def test_a_send_obeys_the_gate() -> None:
    assert not message_set(V21).actions["NotifyPeriodicEventStream"].confirmed
    element = {"t": 1, "v": "x"}
    payload = {"id": 1, "pending": 0, "basetime": stamp(), "data": [element]}
    text = f'[6,"x","NotifyPeriodicEventStream",{json.dumps(payload)}]'
    host = Host(V21)
    assert noticed(host.raw(text)) == ["not accepted"]
    host.boot()
    assert of(host.raw(text), SendReceived)


@pytest.mark.parametrize("row", ["", "[]", "{}", '{"status": "Welcome"}', '{"status": []}'])
def test_a_damaged_registration_is_told(row: str) -> None:
    store = MemoryStore({"csms/CP-1": {"registration": row}})
    with pytest.raises(StoreError, match="registration of 'CP-1'"):
        Host(V201, store=store)


def test_intervals_are_not_negative() -> None:
    with pytest.raises(ConfigurationError):
        Registration(RegistrationStatus.ACCEPTED, -1)


def test_the_answer_to_a_trigger_comes_back() -> None:
    host = Host(V16)
    host.boot()
    driver = Driver(host)
    trigger = Trigger(Topic.METER_VALUES)
    call_id = host.csms.call(trigger, host.now)
    assert answer(host.drain())[2:] == ["TriggerMessage", {"requestedMessage": "MeterValues"}]
    actions = host.reply(call_id, {"status": "Rejected"})
    assert one(actions, CommandAnswered) == CommandAnswered(call_id, trigger, False, "Rejected")
    driver.heartbeat()
