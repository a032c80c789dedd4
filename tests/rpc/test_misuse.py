"""What the local caller may not do: it is told so, and nothing has changed."""

from math import nan

import pytest

from ocpp_core.errors import LocalProtocolError
from ocpp_core.messages import v16, v21
from ocpp_core.rpc import (
    ErrorCode,
    RpcSession,
)
from tests.rpc.rpc_samples import (
    CSMS,
    NOON,
    STATION,
    V16,
    V21,
    V201,
    data_transfer,
    data_transfer_response,
    frames,
    heartbeat,
    heartbeat_response,
    session,
    stream21,
)


def misuse_cases():
    yield "other version", V16, STATION, lambda s: s.call(heartbeat(V201), 0.0)
    yield "no request", V16, STATION, lambda s: s.call(heartbeat_response(V16), 0.0)
    yield "other direction", V16, CSMS, lambda s: s.call(heartbeat(V16), 0.0)
    yield "a SEND called", V21, STATION, lambda s: s.call(stream21(), 0.0)
    yield "a CALL sent", V21, STATION, lambda s: s.send(heartbeat(V21), 0.0)
    yield "no SEND in 2.0.1", V201, STATION, lambda s: s.send(heartbeat(V201), 0.0)
    yield "long id", V16, STATION, lambda s: s.call(heartbeat(V16), 0.0, call_id="x" * 37)
    yield "id in flight", V16, STATION, lambda s: s.call(heartbeat(V16), 0.0, call_id="flying")
    yield "id queued", V16, STATION, lambda s: s.call(heartbeat(V16), 0.0, call_id="waiting")
    yield "no time-out", V16, STATION, lambda s: s.call(heartbeat(V16), 0.0, timeout=0.0)
    yield "nan time-out", V16, STATION, lambda s: s.call(heartbeat(V16), 0.0, timeout=nan)
    yield "cancel unknown", V16, STATION, lambda s: s.cancel("stranger", 0.0)
    yield "answer unknown", V16, CSMS, lambda s: s.respond("stranger", heartbeat_response(V16), 0.0)
    yield (
        "error for unknown",
        V16,
        CSMS,
        lambda s: s.respond_error("stranger", ErrorCode.GENERIC_ERROR, "", None, 0.0),
    )
    yield "answers another action", V16, CSMS, lambda s: s.respond("owed", data_transfer_response(V16), 0.0)
    yield "answers another version", V16, CSMS, lambda s: s.respond("owed", heartbeat_response(V201), 0.0)
    yield "no response", V16, CSMS, lambda s: s.respond("owed", heartbeat(V16), 0.0)
    yield "lone surrogate", V16, STATION, lambda s: s.call(broken_request("\ud800"), 0.0)
    for name, details in (("nan", {"a": nan}), ("object", {"a": object()}), ("keys", {(1,): 1})):
        yield (
            f"details with {name}",
            V16,
            CSMS,
            lambda s, d=details: s.respond_error("owed", ErrorCode.GENERIC_ERROR, "", d, 0.0),
        )


def broken_request(vendor):
    return v16.DataTransferRequest.model_construct(vendor_id=vendor)


def busy_session(version, role) -> RpcSession:
    """A session with a call in flight, one waiting and one owed."""
    busy = session(version, role)
    busy.call(data_transfer(version), 0.0, call_id="flying")
    busy.call(data_transfer(version), 0.0, call_id="waiting")
    text = '[2,"owed","Heartbeat",{}]'
    busy.receive_frame(text if role is CSMS else '[2,"owed","DataTransfer",{"vendorId":"v"}]', 0.0)
    busy.actions()
    return busy


@pytest.mark.parametrize(
    ("version", "role", "misuse"), [pytest.param(*case, id=name) for name, *case in misuse_cases()]
)
def test_misuse_raises_and_changes_nothing(version, role, misuse):
    busy, untouched = busy_session(version, role), busy_session(version, role)
    with pytest.raises(LocalProtocolError):
        misuse(busy)
    for one in (busy, untouched):
        one.receive_frame('[4,"flying","GenericError","",{}]', 1.0)
        one.respond_error("owed", ErrorCode.NOT_SUPPORTED, "no", {"a": 1}, 2.0)
    assert busy.actions() == untouched.actions()
    assert busy.unanswered == untouched.unanswered
    assert busy.next_timer() == untouched.next_timer()


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_a_full_queue_refuses(limit):
    station = session(role=STATION, queue_limit=limit)
    for _ in range(1 + limit):
        station.call(heartbeat(V16), 0.0)
    with pytest.raises(LocalProtocolError):
        station.call(heartbeat(V16), 0.0)
    assert len(station.actions()) == 1
    station.link_lost(1.0)
    assert len(station.actions()) == 1 + limit


def test_a_call_cannot_be_cancelled_or_answered_twice():
    station = session(role=STATION)
    station.call(heartbeat(V16), 0.0, call_id="once")
    station.cancel("once", 0.0)
    with pytest.raises(LocalProtocolError):
        station.cancel("once", 0.0)
    csms = session()
    csms.receive_frame('[2,"owed","Heartbeat",{}]', 0.0)
    csms.respond("owed", heartbeat_response(V16), 0.0)
    with pytest.raises(LocalProtocolError):
        csms.respond("owed", heartbeat_response(V16), 0.0)


def test_outgoing_payloads_are_validated_on_request():
    bad = v16.DataTransferRequest.model_construct(vendor_id="x" * 256)
    careless = session(role=STATION)
    careless.call(bad, 0.0)
    assert frames(careless.actions())
    careful = session(role=STATION, validate_outgoing=True)
    with pytest.raises(LocalProtocolError):
        careful.call(bad, 0.0)
    with pytest.raises(LocalProtocolError):
        careful.call(broken_request("\ud800"), 0.0)
    assert careful.actions() == []
    careful.call(data_transfer(V16), 0.0)
    assert frames(careful.actions())


def test_outgoing_responses_and_sends_are_validated_on_request():
    csms = session(validate_outgoing=True)
    csms.receive_frame('[2,"owed","Heartbeat",{}]', 0.0)
    with pytest.raises(LocalProtocolError):
        csms.respond("owed", v16.HeartbeatResponse.model_construct(current_time="noon"), 0.0)
    csms.respond("owed", v16.HeartbeatResponse(current_time=NOON), 0.0)
    station = session(V21, STATION, validate_outgoing=True)
    with pytest.raises(LocalProtocolError):
        station.send(v21.NotifyPeriodicEventStream.model_construct(id=1), 0.0)
