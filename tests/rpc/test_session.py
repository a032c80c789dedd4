"""One session: calls, answers, the queue, time-outs, lost links, refusals of the local caller."""

from json import loads
from math import nan

import pytest

from ocpp_core.errors import LocalProtocolError
from ocpp_core.messages import Tolerance, v16, v21, v201
from ocpp_core.rpc import (
    ORDERED_ACTIONS,
    AnswerCache,
    CallFailed,
    CallRank,
    CallReceived,
    CallSucceeded,
    ErrorCode,
    FailureReason,
    NoticeKind,
    ResponseRefused,
    RpcNotice,
    RpcSession,
    SendFrame,
    SendReceived,
    default_rank,
)
from tests.rpc.rpc_samples import (
    CSMS,
    NOON,
    STATION,
    V16,
    V21,
    V201,
    VERSIONS,
    authorize16,
    boot16,
    data_transfer,
    data_transfer_response,
    frames,
    heartbeat,
    heartbeat_response,
    session,
    start16,
    start16_response,
    status16,
    stream21,
)

RESULT = '[3,"{}",{{"currentTime":"2024-03-01T12:00:00.000Z"}}]'


def kinds(actions):
    return [action.kind for action in actions if isinstance(action, RpcNotice)]


def failure(actions):
    (action,) = [action for action in actions if isinstance(action, CallFailed)]
    return action


# Calls of ours


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.requirement("J16-4.2.1", "J16-4.2.2", "J201-4.2.1", "J201-4.2.2", "J21-4.2.1")
def test_a_call_is_answered(version):
    station, csms = session(version, STATION), session(version, CSMS, seed=2)
    request, response = heartbeat(version), heartbeat_response(version)
    call_id = station.call(request, 0.0)
    (sent,) = station.actions()
    assert loads(sent.text) == [2, call_id, "Heartbeat", {}]
    csms.receive_frame(sent.text, 0.1)
    assert csms.actions() == [CallReceived(call_id, "Heartbeat", request, repeated=False)]
    csms.respond(call_id, response, 0.2)
    (answer,) = csms.actions()
    assert loads(answer.text) == [3, call_id, {"currentTime": "2024-03-01T12:00:00.000Z"}]
    station.receive_frame(answer.text, 0.3)
    (succeeded,) = station.actions()
    assert succeeded == CallSucceeded(call_id, "Heartbeat", request, response)
    assert succeeded.request is request
    assert station.idle
    assert csms.unanswered == ()


def test_actions_are_handed_over_once():
    station = session(role=STATION)
    station.call(heartbeat(V16), 0.0)
    assert len(station.actions()) == 1
    assert station.actions() == []


@pytest.mark.requirement("J16-4.1.4", "J201-4.1.4", "J21-4.1.4")
def test_ids_are_drawn_from_the_entropy_and_fit():
    first, second = session(role=STATION), session(role=STATION)
    ids = [first.call(heartbeat(V16), 0.0) for _ in range(20)]
    assert ids == [second.call(heartbeat(V16), 0.0) for _ in range(20)]
    assert len(set(ids)) == 20
    assert {len(call_id) for call_id in ids} == {36}


@pytest.mark.requirement("J16-4.1.1", "J201-4.1.1", "J21-4.1.1", "FR.01")
def test_the_next_call_waits_for_the_answer_or_the_time_out():
    station = session(role=STATION, message_timeout=30.0)
    first = station.call(heartbeat(V16), 0.0)
    second = station.call(heartbeat(V16), 1.0)
    third = station.call(heartbeat(V16), 2.0)
    assert [frame[1] for frame in frames(station.actions())] == [first]
    station.receive_frame(RESULT.format(first), 3.0)
    succeeded, sent = station.actions()
    assert isinstance(succeeded, CallSucceeded)
    assert loads(sent.text)[1] == second
    assert station.next_timer() == 33.0
    station.handle_timer(32.9)
    assert station.actions() == []
    station.handle_timer(33.0)
    failed, sent = station.actions()
    assert (failed.call_id, failed.reason, failed.code) == (second, FailureReason.TIMEOUT, "")
    assert loads(sent.text)[1] == third
    assert station.next_timer() == 63.0


def test_a_time_out_of_its_own():
    station = session(role=STATION)
    station.call(heartbeat(V16), 10.0, timeout=2.5)
    assert station.next_timer() == 12.5
    station.handle_timer(12.5)
    assert failure(station.actions()).description == "no answer within 2.5 s"
    assert station.next_timer() is None
    station.handle_timer(99.0)
    assert station.actions() == []


def test_waiting_calls_go_out_by_rank_and_arrival():
    station = session(role=STATION)
    requests = {
        "in flight": (heartbeat(V16), None),
        "bulk": (heartbeat(V16), CallRank.BULK),
        "start": (start16(), None),
        "status 1": (status16(1), None),
        "triggered": (status16(3), CallRank.TRIGGERED),
        "authorize": (authorize16(), None),
        "status 2": (status16(2), None),
        "boot": (boot16(), None),
    }
    for call_id, (request, rank) in requests.items():
        station.call(request, 0.0, call_id=call_id, rank=rank)
    order = []
    while not station.idle:
        (frame,) = frames(station.actions())
        order.append(frame[1])
        station.receive_frame(f'[4,"{frame[1]}","GenericError","",{{}}]', 1.0)
    assert order == ["in flight", "boot", "triggered", "authorize", "status 1", "status 2", "start", "bulk"]


@pytest.mark.parametrize(
    ("action", "rank"),
    [
        ("BootNotification", CallRank.BOOT),
        ("Authorize", CallRank.INTERACTIVE),
        ("DataTransfer", CallRank.INTERACTIVE),
        ("RequestStartTransaction", CallRank.INTERACTIVE),
        ("StatusNotification", CallRank.STATUS),
        ("TransactionEvent", CallRank.ORDERED),
        ("NotifyReport", CallRank.BULK),
    ],
)
def test_default_ranks(action, rank):
    assert default_rank(action) is rank
    assert (action in ORDERED_ACTIONS) is (rank is CallRank.ORDERED)


@pytest.mark.requirement("J16-4.2.3", "J201-4.2.3", "J21-4.2.3")
@pytest.mark.parametrize("code", ["NotSupported", "InternalError", "VendorSpecificNonsense", ""])
def test_a_callerror_ends_the_call_with_its_code_as_text(code):
    station = session(V201, STATION)
    call_id = station.call(heartbeat(V201), 0.0)
    station.actions()
    station.receive_frame(f'[4,"{call_id}","{code}","because",{{"a":[1]}}]', 1.0)
    failed = failure(station.actions())
    assert failed.reason is FailureReason.CALL_ERROR
    assert (failed.code, failed.description, failed.details) == (code, "because", {"a": [1]})
    assert station.idle


@pytest.mark.parametrize(
    "tail",
    ["", ',"Code"', ',"Code","why"', ",5,6,7", ',"Code","why",[]', ',"Code","why",{},1', ',"Code",{'],
)
def test_an_incomplete_callerror_ends_the_call_too(tail):
    station = session(V201, STATION)
    call_id = station.call(heartbeat(V201), 0.0)
    station.actions()
    station.receive_frame(f'[4,"{call_id}"{tail}]', 1.0)
    assert failure(station.actions()).reason is FailureReason.CALL_ERROR
    assert station.idle


@pytest.mark.requirement("J21-4.2.3")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("tail", "code"),
    [
        ('{"currentTime":5}', "TypeConstraintViolation"),
        ("[]", "FormatViolation"),
        ('{"currentTime":', "FormatViolation"),
        ("{},{}", "RpcFrameworkError"),
    ],
)
def test_a_bad_response_frees_the_slot_and_2_1_answers_it(version, tail, code):
    station = session(version, STATION)
    call_id = station.call(heartbeat(version), 0.0)
    follower = station.call(heartbeat(version), 0.0)
    station.actions()
    station.receive_frame(f'[3,"{call_id}",{tail}]', 1.0)
    actions = station.actions()
    failed = failure(actions)
    assert (failed.call_id, failed.reason) == (call_id, FailureReason.BAD_RESPONSE)
    assert failed.code == (ErrorCode(code).spelling(version))
    sent = frames(actions)
    if version is V21:
        answer = sent.pop(0)
        assert answer[:3] == [5, call_id, code]
    assert [frame[:2] for frame in sent] == [[2, follower]]


@pytest.mark.parametrize("text", ['[3,"stranger",{"currentTime":5}]', '[3,"stranger",{', '[3,"stranger"]'])
@pytest.mark.parametrize("limit", [10, 1000])
def test_a_bad_response_to_no_call_of_ours_touches_no_other(text, limit):
    station = session(V21, STATION, max_frame_size=limit)
    station.call(heartbeat(V21), 0.0)
    station.actions()
    station.receive_frame(text, 1.0)
    (notice,) = station.actions()
    assert notice.kind is NoticeKind.UNKNOWN_ID
    assert not station.idle


@pytest.mark.requirement("J21-4.2.3")
def test_a_refused_response_is_reported():
    csms = session(V21)
    csms.receive_frame('[5,"a","FormatViolation","why",{"b":1}]', 0.0)
    assert csms.actions() == [ResponseRefused("a", "FormatViolation", "why", {"b": 1})]


def test_a_late_response_is_no_duplicate_and_no_stranger():
    station = session(role=STATION)
    late = station.call(heartbeat(V16), 0.0, timeout=1.0)
    answered = station.call(heartbeat(V16), 0.0)
    station.handle_timer(1.0)
    station.receive_frame(RESULT.format(answered), 2.0)
    station.actions()
    for call_id, kind in (
        (late, NoticeKind.LATE_RESPONSE),
        (answered, NoticeKind.DUPLICATE_RESPONSE),
        ("stranger", NoticeKind.UNKNOWN_ID),
    ):
        for text in (RESULT.format(call_id), f'[4,"{call_id}","GenericError","",{{}}]', f'[3,"{call_id}",{{'):
            station.receive_frame(text, 3.0)
            (notice,) = station.actions()
            assert notice.kind is kind
            assert call_id in notice.detail


def test_only_the_last_ended_calls_are_remembered():
    station = session(role=STATION)
    ids = [f"id {n}" for n in range(6)]
    for call_id in [*ids[:4], ids[1], *ids[4:]]:
        station.call(heartbeat(V16), 0.0, call_id=call_id)
        station.receive_frame(RESULT.format(call_id), 0.0)
    station.actions()
    for call_id in ids:
        station.receive_frame(RESULT.format(call_id), 0.0)
    unknown, duplicate = NoticeKind.UNKNOWN_ID, NoticeKind.DUPLICATE_RESPONSE
    assert kinds(station.actions()) == [unknown, duplicate, unknown, duplicate, duplicate, duplicate]


def test_the_answer_to_the_first_attempt_answers_the_retry_with_the_same_id():
    station = session(role=STATION)
    station.call(heartbeat(V16), 0.0, call_id="kept")
    station.handle_timer(30.0)
    station.call(heartbeat(V16), 31.0, call_id="kept")
    station.actions()
    station.receive_frame(RESULT.format("kept"), 32.0)
    (succeeded,) = station.actions()
    assert isinstance(succeeded, CallSucceeded)


def test_cancel_of_a_queued_call():
    station = session(role=STATION)
    station.call(heartbeat(V16), 0.0, call_id="first")
    station.call(heartbeat(V16), 0.0, call_id="second")
    station.actions()
    station.cancel("second", 1.0)
    failed = failure(station.actions())
    assert (failed.call_id, failed.reason) == ("second", FailureReason.CANCELLED)
    station.receive_frame(RESULT.format("first"), 2.0)
    assert not frames(station.actions())
    assert station.idle


def test_a_call_that_was_not_sent_after_all_leaves_no_trace():
    station = session(role=STATION)
    station.call(heartbeat(V16), 0.0, call_id="first")
    station.call(heartbeat(V16), 0.0, call_id="second")
    station.actions()
    station.recall(1.0)
    (sent,) = station.actions()
    assert loads(sent.text)[1] == "second"
    station.receive_frame(RESULT.format("second"), 2.0)
    assert station.idle
    station.call(heartbeat(V16), 3.0, call_id="first")
    assert station.next_timer() == 33.0
    station.receive_frame(RESULT.format("first"), 4.0)
    assert station.idle
    with pytest.raises(LocalProtocolError):
        station.recall(5.0)


@pytest.mark.requirement("J201-4.1.1")
@pytest.mark.parametrize("end", ["answer", "time-out", "link"])
def test_a_cancelled_call_in_flight_holds_the_slot(end):
    station = session(role=STATION)
    station.call(heartbeat(V16), 0.0, call_id="first")
    station.call(heartbeat(V16), 0.0, call_id="second")
    station.actions()
    station.cancel("first", 1.0)
    (failed,) = station.actions()
    assert (failed.call_id, failed.reason) == ("first", FailureReason.CANCELLED)
    assert not station.idle
    if end == "answer":
        station.receive_frame(RESULT.format("first"), 2.0)
        notice, sent = station.actions()
        assert notice.kind is NoticeKind.LATE_RESPONSE
        assert loads(sent.text)[1] == "second"
    elif end == "time-out":
        station.handle_timer(30.0)
        (sent,) = station.actions()
        assert loads(sent.text)[1] == "second"
    else:
        station.link_lost(2.0)
        assert failure(station.actions()).call_id == "second"
        assert station.idle


def test_a_lost_link_fails_every_call_once_and_drops_frames():
    station = session(role=STATION)
    ids = [station.call(heartbeat(V16), 0.0) for _ in range(3)]
    station.link_lost(1.0)
    actions = station.actions()
    assert [(action.call_id, action.reason) for action in actions] == [
        (call_id, FailureReason.DISCONNECTED) for call_id in ids
    ]
    assert station.idle
    assert station.next_timer() is None
    station.link_lost(2.0)
    assert station.actions() == []
    station.receive_frame(RESULT.format(ids[0]), 2.0)
    station.receive_frame(RESULT.format(ids[1]), 2.0)
    assert kinds(station.actions()) == [NoticeKind.LATE_RESPONSE, NoticeKind.UNKNOWN_ID]
    station.call(heartbeat(V16), 3.0, call_id=ids[0])
    assert [frame[1] for frame in frames(station.actions())] == [ids[0]]


@pytest.mark.requirement("J21-4.2.4", "J21-4.1.1")
def test_send_needs_no_slot_and_gets_no_answer():
    station, csms = session(V21, STATION), session(V21, CSMS, seed=2)
    station.call(heartbeat(V21), 0.0)
    station.actions()
    call_id = station.send(stream21(), 0.0)
    (sent,) = station.actions()
    csms.receive_frame(sent.text, 0.0)
    assert csms.actions() == [SendReceived(call_id, "NotifyPeriodicEventStream", stream21())]
    assert csms.unanswered == ()


# Misuse by the local caller


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


# Calls of the peer


@pytest.mark.requirement("J16-4.2.3", "J201-4.2.3")
@pytest.mark.parametrize("version", VERSIONS)
def test_errors_are_spelled_for_the_version(version):
    for code in ErrorCode:
        csms = session(version)
        csms.receive_frame('[2,"owed","Heartbeat",{}]', 0.0)
        csms.actions()
        csms.respond_error("owed", code, "d" * 300, None, 0.0)
        (frame,) = frames(csms.actions())
        assert frame == [4, "owed", code.spelling(version), "d" * 255, {}]


def test_calls_overlap_up_to_the_limit():
    csms = session(unanswered_limit=3)
    for n in range(5):
        csms.receive_frame(f'[2,"{n}","Heartbeat",{{}}]', 0.0)
    actions = csms.actions()
    assert [action.call_id for action in actions if isinstance(action, CallReceived)] == ["0", "1", "2"]
    assert kinds(actions) == [NoticeKind.CALLS_OVERLAP] * 2 + [NoticeKind.CALL_REFUSED] * 2
    assert [frame[:3] for frame in frames(actions)] == [[4, "3", "GenericError"], [4, "4", "GenericError"]]
    csms.respond("1", heartbeat_response(V16), 1.0)
    csms.receive_frame('[2,"5","Heartbeat",{}]', 1.0)
    assert csms.unanswered == ("0", "2", "5")


def test_a_repeated_call_is_answered_from_the_record():
    csms = session()
    text = session(role=STATION)._codec.encode_call("kept", start16())
    csms.receive_frame(text, 0.0)
    csms.respond("kept", start16_response(), 1.0)
    received, answer = csms.actions()
    assert not received.repeated
    csms.link_lost(2.0)
    csms.receive_frame(text, 3.0)
    notice, again = csms.actions()
    assert notice.kind is NoticeKind.CALL_REPEATED
    assert again == answer
    assert csms.unanswered == ()


def test_the_record_outlives_the_session():
    first = session()
    text = session(role=STATION)._codec.encode_call("kept", start16())
    first.receive_frame(text, 0.0)
    first.respond("kept", start16_response(), 1.0)
    second = RpcSession(V16, CSMS, bytes, answers=first.answers)
    second.receive_frame(text, 2.0)
    assert frames(second.actions()) == frames(first.actions())


def test_another_payload_under_the_same_id_is_delivered_as_repeated():
    csms = session()
    codec = session(role=STATION)._codec
    csms.receive_frame(codec.encode_call("kept", start16(100)), 0.0)
    csms.respond("kept", start16_response(), 1.0)
    csms.actions()
    csms.receive_frame(codec.encode_call("kept", start16(101)), 2.0)
    (received,) = csms.actions()
    assert received.repeated


def test_a_call_repeated_after_an_error_is_handled_anew():
    csms = session()
    text = session(role=STATION)._codec.encode_call("kept", start16())
    csms.receive_frame(text, 0.0)
    csms.respond_error("kept", ErrorCode.INTERNAL_ERROR, "try again", None, 1.0)
    csms.actions()
    csms.receive_frame(text, 2.0)
    (received,) = csms.actions()
    assert isinstance(received, CallReceived)
    assert received.repeated
    csms.respond("kept", start16_response(), 3.0)
    (answer,) = csms.actions()
    csms.receive_frame(text, 4.0)
    assert csms.actions()[1] == answer


def test_a_call_repeated_while_it_is_handled_gets_the_one_answer():
    csms = session()
    text = session(role=STATION)._codec.encode_call("kept", start16())
    csms.receive_frame(text, 0.0)
    csms.actions()
    csms.receive_frame(text, 1.0)
    (notice,) = csms.actions()
    assert notice.kind is NoticeKind.CALL_REPEATED
    csms.respond("kept", start16_response(), 2.0)
    assert len(frames(csms.actions())) == 1


@pytest.mark.requirement("J16-4.2.3", "J201-4.2.3")
def test_another_call_under_an_id_that_is_being_handled_is_refused():
    csms = session()
    codec = session(role=STATION)._codec
    csms.receive_frame(codec.encode_call("kept", start16(100)), 0.0)
    csms.actions()
    csms.receive_frame(codec.encode_call("kept", start16(101)), 1.0)
    sent, notice = csms.actions()
    assert loads(sent.text)[:3] == [4, "kept", "GenericError"]
    assert notice.kind is NoticeKind.CALL_REFUSED


def test_an_answer_after_the_link_was_lost_is_recorded():
    csms = session()
    text = session(role=STATION)._codec.encode_call("kept", start16())
    csms.receive_frame(text, 0.0)
    csms.link_lost(1.0)
    csms.actions()
    csms.respond("kept", start16_response(), 2.0)
    assert kinds(csms.actions()) == [NoticeKind.ANSWER_NOT_SENT]
    csms.receive_frame(text, 3.0)
    assert [frame[0] for frame in frames(csms.actions())] == [3]


def test_a_call_repeated_over_the_next_link_is_answered_there():
    csms = session()
    text = session(role=STATION)._codec.encode_call("kept", start16())
    csms.receive_frame(text, 0.0)
    csms.link_lost(1.0)
    csms.receive_frame(text, 2.0)
    csms.actions()
    csms.respond("kept", start16_response(), 3.0)
    assert [frame[:2] for frame in frames(csms.actions())] == [[3, "kept"]]


def test_calls_of_a_lost_link_make_room_and_do_not_overlap():
    csms = session(unanswered_limit=1)
    csms.receive_frame('[2,"old","Heartbeat",{}]', 0.0)
    csms.link_lost(1.0)
    csms.actions()
    csms.receive_frame('[2,"new","Heartbeat",{}]', 2.0)
    (received,) = csms.actions()
    assert received.call_id == "new"
    assert csms.unanswered == ("new",)


@pytest.mark.parametrize(
    ("role", "recorded", "expected"),
    [
        (CSMS, None, False),
        (CSMS, frozenset({"DataTransfer"}), True),
        (CSMS, frozenset(), False),
        (STATION, None, False),
        (STATION, frozenset({"DataTransfer"}), True),
    ],
)
def test_what_is_recorded(role, recorded, expected):
    one = session(role=role, recorded_actions=recorded)
    text = '[2,"a","DataTransfer",{"vendorId":"v"}]'
    one.receive_frame(text, 0.0)
    one.respond("a", data_transfer_response(V16), 0.0)
    assert ("a" in one.answers) is expected


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_the_record_is_bounded(limit):
    csms = session(answer_cache=limit)
    codec = session(role=STATION)._codec
    for n in range(5):
        csms.receive_frame(codec.encode_call(str(n), start16()), 0.0)
        csms.respond(str(n), start16_response(), 0.0)
    assert len(csms.answers) == limit
    assert [str(n) in csms.answers for n in range(5)] == [n >= 5 - limit for n in range(5)]


def test_the_record_forgets_the_oldest_answer():
    record = AnswerCache(2)
    for call_id, answer in (("a", None), ("b", "B"), ("a", "A"), ("c", "C")):
        record.record(call_id, "frame", answer)
    assert [record.find(call_id, "frame") for call_id in "abc"] == ["A", None, "C"]


def test_repairs_are_noticed_one_by_one_and_not_without_end():
    extras = ",".join(f'"x{n}":0' for n in range(20))
    strict, tolerant = session(), session(tolerance=Tolerance())
    text = f'[2,"a","Heartbeat",{{{extras}}}]'
    strict.receive_frame(text, 0.0)
    assert kinds(strict.actions()) == [NoticeKind.CALL_REFUSED]
    tolerant.receive_frame(text, 0.0)
    actions = tolerant.actions()
    assert kinds(actions) == [NoticeKind.REPAIRED] * 17
    assert "x0" in actions[0].detail
    assert "4 further" in actions[16].detail
    assert isinstance(actions[17], CallReceived)


@pytest.mark.requirement("J21-4.2.4")
def test_sends_and_responses_are_repaired_too():
    csms = session(V21, tolerance=Tolerance())
    text = session(V21, STATION)._codec.encode_send("s", stream21()).replace('"id":', '"x":0,"id":')
    csms.receive_frame(text, 0.0)
    notice, received = csms.actions()
    assert notice.kind is NoticeKind.REPAIRED
    assert received == SendReceived("s", "NotifyPeriodicEventStream", stream21())
    station = session(V16, STATION, tolerance=Tolerance())
    call_id = station.call(heartbeat(V16), 0.0)
    station.actions()
    station.receive_frame(f'[3,"{call_id}",{{"currentTime":"2024-03-01T12:00:00"}}]', 0.0)
    notice, succeeded = station.actions()
    assert notice.kind is NoticeKind.REPAIRED
    assert succeeded.response == heartbeat_response(V16)


@pytest.mark.requirement("F06.FR.04")
def test_the_response_precedes_the_call_it_leads_to():
    station = session(V201, STATION)
    station.receive_frame('[2,"t","TriggerMessage",{"requestedMessage":"Heartbeat"}]', 0.0)
    station.actions()
    accepted = v201.TriggerMessageResponse(status=v201.TriggerMessageStatusEnum.ACCEPTED)
    station.respond("t", accepted, 0.0)
    station.call(heartbeat(V201), 0.0, rank=CallRank.TRIGGERED)
    assert [frame[0] for frame in frames(station.actions())] == [3, 2]


def test_frames_go_out_in_the_order_of_the_inputs():
    csms = session()
    csms.receive_frame('[2,"1","Heartbeat",{}]', 0.0)
    csms.respond("1", heartbeat_response(V16), 0.0)
    csms.receive_frame('[2,"2","Nonsense",{}]', 0.0)
    texts = [action.text[:6] for action in csms.actions() if isinstance(action, SendFrame)]
    assert texts == ['[3,"1"', '[4,"2"']
