"""Calls of the peer: refused, overlapping, repeated, and the record from which they are answered."""

from json import loads

import pytest

from ocpp_core.messages import Tolerance, v201
from ocpp_core.rpc import (
    AnswerCache,
    CallRank,
    CallReceived,
    ErrorCode,
    NoticeKind,
    RpcSession,
    SendFrame,
    SendReceived,
)
from tests.rpc.rpc_samples import (
    CSMS,
    STATION,
    V16,
    V21,
    V201,
    VERSIONS,
    data_transfer_response,
    frames,
    heartbeat,
    heartbeat_response,
    kinds,
    session,
    start16,
    start16_response,
    stream21,
)


@pytest.mark.requirement("1.6-J-4.2.3", "2.0.1-J-4.2.3")
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


@pytest.mark.requirement("1.6-J-4.2.3", "2.0.1-J-4.2.3")
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


@pytest.mark.requirement("2.1-J-4.2.4")
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
