"""Every state, every input, for both roles: what is refused, what is ignored, where it leads."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.errors import LocalProtocolError
from ocpp_core.wire import (
    Closed,
    CloseTransport,
    HandshakeFailed,
    Link,
    LinkState,
    Opened,
    SendBytes,
    WebSocketServer,
)
from tests.wire.wire_kit import STATES, bring, frame

Input = Callable[[Link], object]

FAR = 1e9
HANDSHAKE, ANSWERING, OPEN = LinkState.HANDSHAKE, LinkState.ANSWERING, LinkState.OPEN
CLOSING, DRAINING, CLOSED = LinkState.CLOSING, LinkState.DRAINING, LinkState.CLOSED


def _theirs(opcode: int, payload: bytes = b"") -> Input:
    """A frame from the peer, masked as its role demands."""
    return lambda link: link.receive_data(
        frame(opcode, payload, masked=isinstance(link, WebSocketServer)), 1.0
    )


def _accept(link: Link) -> None:
    assert isinstance(link, WebSocketServer)
    link.accept(1.0)


def _reject(link: Link) -> None:
    assert isinstance(link, WebSocketServer)
    link.reject(404, 1.0)


INPUTS: dict[str, Input] = {
    "accept": _accept,
    "reject": _reject,
    "send_text": lambda link: link.send_text("hello", 1.0),
    "ping": lambda link: link.ping(1.0),
    "close": lambda link: link.close(1000, "", 1.0),
    "text": _theirs(1, b"hello"),
    "their ping": _theirs(9, b"x"),
    "their pong": _theirs(10, b"x"),
    "their close": _theirs(8, b"\x03\xe8"),
    "garbage": lambda link: link.receive_data(b"\xff\xff\xff\xff", 1.0),
    "nothing": lambda link: link.receive_data(b"", 1.0),
    "eof": lambda link: link.receive_eof(1.0),
    "timer, early": lambda link: link.handle_timer(1.0),
    "timer, late": lambda link: link.handle_timer(FAR),
}

REFUSED = "refused"
"""LocalProtocolError, and nothing has changed."""
SAME = "same"
"""Nothing changes state."""

# One row per input, one column per state.
# fmt: off
SERVER: dict[str, list[LinkState | str]] = {
    #                 HANDSHAKE ANSWERING OPEN      CLOSING   CLOSED
    "accept":        [REFUSED,  OPEN,     REFUSED,  REFUSED,  REFUSED],
    "reject":        [REFUSED,  CLOSED,   REFUSED,  REFUSED,  REFUSED],
    "send_text":     [REFUSED,  REFUSED,  SAME,     REFUSED,  REFUSED],
    "ping":          [REFUSED,  REFUSED,  SAME,     REFUSED,  REFUSED],
    "close":         [CLOSED,   CLOSED,   CLOSING,  SAME,     SAME],
    "text":          [SAME,     SAME,     SAME,     SAME,     SAME],
    "their ping":    [SAME,     SAME,     SAME,     SAME,     SAME],
    "their pong":    [SAME,     SAME,     SAME,     SAME,     SAME],
    "their close":   [SAME,     SAME,     CLOSED,   CLOSED,   SAME],
    "garbage":       [SAME,     SAME,     CLOSED,   CLOSED,   SAME],
    "nothing":       [SAME,     SAME,     SAME,     SAME,     SAME],
    "eof":           [CLOSED,   CLOSED,   CLOSED,   CLOSED,   SAME],
    "timer, early":  [SAME,     SAME,     SAME,     SAME,     SAME],
    "timer, late":   [CLOSED,   CLOSED,   SAME,     CLOSED,   SAME],
}
CLIENT: dict[str, list[LinkState | str]] = {
    #                 HANDSHAKE OPEN      CLOSING   DRAINING  CLOSED
    "send_text":     [REFUSED,  SAME,     REFUSED,  REFUSED,  REFUSED],
    "ping":          [REFUSED,  SAME,     REFUSED,  REFUSED,  REFUSED],
    "close":         [CLOSED,   CLOSING,  SAME,     SAME,     SAME],
    "text":          [SAME,     SAME,     SAME,     SAME,     SAME],
    "their ping":    [SAME,     SAME,     SAME,     SAME,     SAME],
    "their pong":    [SAME,     SAME,     SAME,     SAME,     SAME],
    "their close":   [SAME,     DRAINING, DRAINING, SAME,     SAME],
    "garbage":       [SAME,     CLOSED,   CLOSED,   SAME,     SAME],
    "nothing":       [SAME,     SAME,     SAME,     SAME,     SAME],
    "eof":           [CLOSED,   CLOSED,   CLOSED,   CLOSED,   SAME],
    "timer, early":  [SAME,     SAME,     SAME,     SAME,     SAME],
    "timer, late":   [CLOSED,   SAME,     CLOSED,   CLOSED,   SAME],
}
# fmt: on
CASES = [
    pytest.param(role, state, name, expected, id=f"{role}-{state.value}-{name}")
    for table, states in ((SERVER, STATES[:5]), (CLIENT, STATES[5:]))
    for name, row in table.items()
    for (role, state), expected in zip(states, row, strict=True)
]


@pytest.mark.requirement("RFC6455-4", "RFC6455-7.1")
@pytest.mark.parametrize(("role", "state", "name", "expected"), CASES)
def test_every_input_in_every_state(
    role: str, state: LinkState, name: str, expected: LinkState | str
) -> None:
    link = bring(role, state)
    timer = link.next_timer()
    if expected == REFUSED:
        with pytest.raises(LocalProtocolError, match=state.value):
            INPUTS[name](link)
        assert (link.state, link.next_timer(), link.actions()) == (state, timer, [])
        return
    INPUTS[name](link)
    assert link.state is (state if expected == SAME else expected)
    actions = link.actions()
    ends = [action for action in actions if isinstance(action, Closed | HandshakeFailed)]
    if expected is CLOSED:
        assert isinstance(actions[-2], CloseTransport)
        assert actions[-1] is ends[0]
        assert link.next_timer() is None
        assert isinstance(ends[0], Closed) == (role == "server" or state is not HANDSHAKE)
    assert len(ends) == (expected is CLOSED)
    assert link.actions() == []


@pytest.mark.requirement("RFC6455-7.4")
@pytest.mark.parametrize(("role", "state"), STATES)
@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 70000])
def test_a_code_that_may_not_be_sent_is_refused_in_every_state(
    role: str, state: LinkState, code: int
) -> None:
    link = bring(role, state)
    with pytest.raises(LocalProtocolError, match="code"):
        link.close(code, "", 1.0)
    assert (link.state, link.actions()) == (state, [])


@pytest.mark.requirement("RFC6455-8.1")
@pytest.mark.parametrize("role", ["server", "client"])
def test_a_text_without_utf_8_is_refused(role: str) -> None:
    link = bring(role, OPEN)
    with pytest.raises(LocalProtocolError, match="text"):
        link.send_text("\ud800", 1.0)
    assert (link.state, link.actions()) == (OPEN, [])


ANY = st.sampled_from([*(name for name in INPUTS if name not in {"accept", "reject"})])


@pytest.mark.requirement("RFC6455-7.1.4")
@given(st.sampled_from(STATES), st.lists(st.one_of(ANY, st.binary(max_size=20)), max_size=12))
def test_whatever_happens_a_link_ends_once_and_is_silent_after(
    start: tuple[str, LinkState], inputs: list[str | bytes]
) -> None:
    link = bring(*start)
    ended = start[1] is CLOSED
    for item in [*inputs, "eof"]:
        try:
            if isinstance(item, bytes):
                link.receive_data(item, 1.0)
            else:
                INPUTS[item](link)
        except LocalProtocolError:
            continue
        for action in link.actions():
            assert not ended
            ended = isinstance(action, Closed | HandshakeFailed)
            assert start[1] is not CLOSING or not isinstance(action, Opened)
    assert ended
    assert link.state is CLOSED


@pytest.mark.requirement("RFC6455-5.5.1")
@pytest.mark.parametrize("role", ["server", "client"])
def test_after_our_close_messages_are_dropped_and_pings_still_answered(role: str) -> None:
    link = bring(role, CLOSING)
    _theirs(1, b"late")(link)
    assert link.actions() == []
    _theirs(9, b"alive?")(link)
    (pong,) = link.actions()
    assert isinstance(pong, SendBytes)
    assert pong.data[0] == 0x8A
