"""Calls of ours: answers, the queue, time-outs, lost links."""

from json import loads

import pytest

from ocpp_core.errors import LocalProtocolError
from ocpp_core.rpc import (
    ORDERED_ACTIONS,
    CallRank,
    CallReceived,
    CallSucceeded,
    ErrorCode,
    FailureReason,
    NoticeKind,
    ResponseRefused,
    SendReceived,
    default_rank,
)
from tests.rpc.rpc_samples import (
    CSMS,
    RESULT,
    STATION,
    V16,
    V21,
    V201,
    VERSIONS,
    authorize16,
    boot16,
    failure,
    frames,
    heartbeat,
    heartbeat_response,
    kinds,
    session,
    start16,
    status16,
    stream21,
)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.requirement("1.6-J-4.2.1", "1.6-J-4.2.2", "2.0.1-J-4.2.1", "2.0.1-J-4.2.2", "2.1-J-4.2.1")
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


@pytest.mark.requirement("1.6-J-4.1.4", "2.0.1-J-4.1.4", "2.1-J-4.1.4")
def test_ids_are_drawn_from_the_entropy_and_fit():
    first, second = session(role=STATION), session(role=STATION)
    ids = [first.call(heartbeat(V16), 0.0) for _ in range(20)]
    assert ids == [second.call(heartbeat(V16), 0.0) for _ in range(20)]
    assert len(set(ids)) == 20
    assert {len(call_id) for call_id in ids} == {36}


@pytest.mark.requirement("1.6-J-4.1.1", "2.0.1-J-4.1.1", "2.1-J-4.1.1", "FR.01")
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


@pytest.mark.requirement("1.6-J-4.2.3", "2.0.1-J-4.2.3", "2.1-J-4.2.3")
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


@pytest.mark.requirement("2.1-J-4.2.3")
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


@pytest.mark.requirement("2.1-J-4.2.3")
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


@pytest.mark.requirement("2.0.1-J-4.1.1")
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


@pytest.mark.requirement("2.1-J-4.2.4", "2.1-J-4.1.1")
def test_send_needs_no_slot_and_gets_no_answer():
    station, csms = session(V21, STATION), session(V21, CSMS, seed=2)
    station.call(heartbeat(V21), 0.0)
    station.actions()
    call_id = station.send(stream21(), 0.0)
    (sent,) = station.actions()
    csms.receive_frame(sent.text, 0.0)
    assert csms.actions() == [SendReceived(call_id, "NotifyPeriodicEventStream", stream21())]
    assert csms.unanswered == ()
