"""Every action of every version through two sessions, and every broken payload to its CALLERROR."""

from json import dumps, loads

import pytest
from hypothesis import HealthCheck, given, settings

from ocpp_core.messages import Direction, message_set
from ocpp_core.rpc import (
    CallReceived,
    CallSucceeded,
    Codec,
    ErrorCode,
    Malformed,
    SendReceived,
    codec_for,
)
from tests.messages.strategies.nodes import mutations
from tests.messages.strategies.payloads import payloads, shapes
from tests.rpc.rpc_samples import CSMS, STATION, V16, V21, VERSIONS, session

ACTIONS = [(version, action) for version in VERSIONS for action in message_set(version).actions.values()]
CODES_OF_PAYLOADS = {
    ErrorCode.FORMAT_VIOLATION,
    ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    ErrorCode.PROTOCOL_ERROR,
    ErrorCode.TYPE_CONSTRAINT_VIOLATION,
}
every_action = pytest.mark.parametrize(
    ("version", "action"), ACTIONS, ids=[f"{version.number} {action.name}" for version, action in ACTIONS]
)
few = settings(
    max_examples=max(settings.default.max_examples // 12, 3), suppress_health_check=list(HealthCheck)
)


def two_sessions(version, action):
    """The session that calls ``action``, and the one that is called."""
    roles = (CSMS, STATION) if action.direction is Direction.CSMS_TO_STATION else (STATION, CSMS)
    return [session(version, role, validate_outgoing=True) for role in roles]


@pytest.mark.parametrize(
    ("version", "action"),
    [(version, action) for version, action in ACTIONS if action.confirmed],
    ids=lambda value: getattr(value, "name", value),
)
def test_there_and_back(version, action):
    messages = message_set(version)

    @few
    @given(payloads(messages.request(action.name)), payloads(messages.response(action.name)))
    def check(request, response):
        caller, callee = two_sessions(version, action)
        call_id = caller.call(request, 0.0)
        callee.receive_frame(caller.actions()[0].text, 0.0)
        (received,) = callee.actions()
        assert received == CallReceived(call_id, action.name, received.request)
        assert received.request.to_json() == request.to_json()
        callee.respond(call_id, response, 0.0)
        caller.receive_frame(callee.actions()[0].text, 0.0)
        (succeeded,) = caller.actions()
        assert succeeded == CallSucceeded(call_id, action.name, request, succeeded.response)
        assert succeeded.response.to_json() == response.to_json()

    check()


@pytest.mark.requirement("2.1-J-4.2.4")
@given(payloads(message_set(V21).request("NotifyPeriodicEventStream")))
def test_there_and_not_back(request):
    sender, receiver = session(V21, STATION, validate_outgoing=True), session(V21, CSMS)
    call_id = sender.send(request, 0.0)
    receiver.receive_frame(sender.actions()[0].text, 0.0)
    (received,) = receiver.actions()
    assert received == SendReceived(call_id, "NotifyPeriodicEventStream", received.request)
    assert received.request.to_json() == request.to_json()


@pytest.mark.requirement("1.6-J-4.2.3", "2.0.1-J-4.1.7", "2.0.1-J-4.3", "2.1-J-4.1.7", "2.1-J-4.3")
@every_action
def test_every_broken_payload_has_an_error_of_its_kind(version, action):
    """The strict model decides whether a mutation is broken; both paths then name the same error."""
    codec = Codec(version)
    kind = 2 if action.confirmed else 6
    model = message_set(version).request(action.name)
    for _, _, value in mutations(shapes(version)[model.__name__]):
        payload = dumps(value)
        text = f'[{kind},"i","{action.name}",{payload}]'
        short, long = codec.decode(text), codec.decode(f"{text} ")  # a space leads over the long path
        if isinstance(short, Malformed):
            assert isinstance(long, Malformed)
            assert (short.call_id, short.code, short.description) == ("i", long.code, long.description)
            assert short.code in CODES_OF_PAYLOADS
            assert 0 < len(short.description) <= 255
            assert short.code is not ErrorCode.PROTOCOL_ERROR or ":" in short.description
        else:
            assert short == long
            assert loads(short.payload.to_json()) is not None


def test_a_server_prebuilds_everything_it_receives():
    codec = codec_for(V16, CSMS)
    codec.prebuild()
    for name, action in message_set(V16).actions.items():
        received = action.direction is not Direction.CSMS_TO_STATION
        assert (f"2{name}" in codec._validators) is received
