"""How a session answers what is no valid CALL: as the version says, and never an error with an error."""

from json import dumps

import pytest

from ocpp_core.rpc import NoticeKind
from tests.rpc.rpc_samples import CSMS, STATION, V16, V21, V201, VERSIONS, frames, session

# text, what 2.x answers (id and code), what 1.6 answers, the notice of 2.x
TABLE = [
    ("garbage", ("-1", "RpcFrameworkError"), None),
    ('{"a":1}', ("-1", "RpcFrameworkError"), None),
    ('[2,5,"Heartbeat",{}]', ("-1", "RpcFrameworkError"), None),
    ('["2","a","Heartbeat",{}]', ("a", "RpcFrameworkError"), None),
    ('[2,"a","Heartbeat",{}', ("a", "FormatViolation"), ("a", "FormationViolation")),
    ('[2,"a","Heartbeat"]', ("a", "RpcFrameworkError"), ("a", "FormationViolation")),
    ('[2,"a","Heartbeat",{},{}]', ("a", "RpcFrameworkError"), ("a", "FormationViolation")),
    (f'[2,"{"i" * 37}","Heartbeat",{{}}]', ("i" * 37, "RpcFrameworkError"), ("i" * 37, "FormationViolation")),
    (f'[2,"{"i" * 999}","Heartbeat",{{}}]', ("-1", "RpcFrameworkError"), None),
    ('[2,"a","Nonsense",{}]', ("a", "NotImplemented"), ("a", "NotImplemented")),
    ('[2,"a","Reset",{}]', ("a", "NotSupported"), ("a", "NotSupported")),
    ('[2,"a","Heartbeat",{"x":1}]', ("a", "ProtocolError"), ("a", "FormationViolation")),
    ('[2,"a","DataTransfer",{}]', ("a", "OccurrenceConstraintViolation"), ("a", "ProtocolError")),
    ('[7,"a",{}]', ("a", "MessageTypeNotSupported"), None),
    ("[7]", ("-1", "MessageTypeNotSupported"), None),
]


@pytest.mark.requirement("1.6-J-4.1.3", "1.6-J-4.2.3", "2.0.1-J-4.2.3", "2.0.1-J-4.4", "2.1-J-4.2.3", "FR.03")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("text", "answer_2x", "answer_16"), TABLE)
def test_answers(version, text, answer_2x, answer_16):
    csms = session(version)
    csms.receive_frame(text, 0.0)
    actions = csms.actions()
    answer = answer_16 if version is V16 else answer_2x
    if answer is None:
        assert [action.kind for action in actions] == [NoticeKind.UNREADABLE]
    else:
        (frame,) = frames(actions)
        assert frame[:3] == [4, *answer]
        assert frame[3]
        assert frame[4] == {}
        assert actions[1].kind is NoticeKind.CALL_REFUSED
    assert csms.unanswered == ()


@pytest.mark.requirement("2.0.1-J-4.2.3", "2.1-J-4.2.3", "2.1-J-4.2.4")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("role", [STATION, CSMS])
@pytest.mark.parametrize(
    "tail",
    ["", ",", ',"x"', ',"x",{}', ',"x",{},{}', ',"x",{', ",5,{}]", ',"x","Heartbeat",{}', ',"\\u0078",{'],
)
@pytest.mark.parametrize("kind", [3, 4])
def test_answers_are_never_answered(version, role, kind, tail):
    one = session(version, role)
    for text in (f"[{kind}{tail}", f"[{kind}{tail}]"):
        one.receive_frame(text, 0.0)
        assert not frames(one.actions())


@pytest.mark.requirement("2.1-J-4.2.3", "2.1-J-4.2.4")
@pytest.mark.parametrize(
    "tail", ["", ',"x"', ',"x",{}', ',"x","Heartbeat",{}', ',"x","Nonsense",{}', ',"x",{']
)
@pytest.mark.parametrize("kind", [5, 6])
def test_nor_are_a_callresulterror_and_a_send(kind, tail):
    one = session(V21)
    for text in (f"[{kind}{tail}", f"[{kind}{tail}]"):
        one.receive_frame(text, 0.0)
        assert not frames(one.actions())


def test_an_invalid_send_is_noticed():
    csms = session(V21)
    csms.receive_frame('[6,"s","NotifyPeriodicEventStream",{}]', 0.0)
    (notice,) = csms.actions()
    assert notice.kind is NoticeKind.SEND_DROPPED
    assert notice.detail.startswith("s: ")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('[2,"a","Heartbeat",{%s}]', "a"),
        ('[2,"\\u0061","Heartbeat",{%s}]', "a"),
        ("%s", None),
        ('[3,"a",{%s}]', None),
        ('[4,"a","%s"]', None),
    ],
)
def test_a_frame_beyond_the_limit_is_refused_unparsed(version, text, answer):
    csms = session(version, max_frame_size=100)
    csms.receive_frame(text % ("x" * 100), 0.0)
    sent = frames(csms.actions())
    if answer:
        code = "FormationViolation" if version is V16 else "FormatViolation"
        assert [frame[:3] for frame in sent] == [[4, "a", code]]
    else:
        assert [frame[1] for frame in sent] == ([] if text[0] == "[" or version is V16 else ["-1"])


@pytest.mark.parametrize("size", [100, 101])
def test_the_limit_is_exact(size):
    csms = session(V201, max_frame_size=100)
    text = '[2,"a","Heartbeat",{}]'
    csms.receive_frame(" " * (size - len(text)) + text, 0.0)
    assert bool(frames(csms.actions())) is (size > 100)


@pytest.mark.parametrize("version", VERSIONS)
def test_two_sessions_never_argue(version):
    """Whatever garbage starts it, errors are not answered with errors for ever."""
    for text, *_ in TABLE:
        station, csms = session(version, STATION), session(version, CSMS)
        csms.receive_frame(text, 0.0)
        for _ in range(3):
            for one, other in ((csms, station), (station, csms)):
                for frame in frames(one.actions()):
                    other.receive_frame(dumps(frame), 0.0)
        assert not frames(csms.actions())
        assert not frames(station.actions())
