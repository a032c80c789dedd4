"""The open link: frames out, keep-alive, closing, failing, replay."""

from collections.abc import Callable
from dataclasses import replace
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol

from ocpp_core.entropy import SeededEntropy
from ocpp_core.wire import (
    Action,
    ClientConfig,
    Closed,
    CloseTransport,
    Link,
    LinkState,
    NoticeKind,
    PongReceived,
    SendBytes,
    ServerConfig,
    Text,
    WebSocketServer,
    WireNotice,
)
from ocpp_core.wire.frames import Opcode, apply_mask, close_payload, encode_frame, frame_size
from tests.wire.wire_kit import PLACES, URL, client, cut, feed, frame, only, rest, sent, server, xor


@pytest.mark.requirement("RFC6455-5.3")
@given(
    st.one_of(st.binary(max_size=40), st.integers(380, 420).map(bytes), st.binary(min_size=400)),
    st.binary(min_size=4, max_size=4),
)
def test_masking_is_the_exclusive_or_of_the_standard_and_its_own_inverse(payload: bytes, key: bytes) -> None:
    masked = apply_mask(payload, key)
    assert masked == xor(payload, key)
    assert apply_mask(bytes(masked), key) == payload


@pytest.mark.requirement("RFC6455-5.2", "RFC6455-5.3")
@given(
    st.one_of(st.binary(max_size=200), st.sampled_from([125, 126, 65535, 65536]).map(bytes)),
    st.one_of(st.none(), st.binary(min_size=4, max_size=4)),
    st.sampled_from(list(Opcode)),
)
def test_the_written_frame_is_the_standards_in_its_shortest_form(
    payload: bytes, key: bytes | None, opcode: Opcode
) -> None:
    written = encode_frame(opcode, payload, key)
    assert written == frame(opcode, payload, masked=key is not None, key=key or b"")
    assert frame_size(written[:10]) == len(written)
    assert all(frame_size(written[:cut]) <= len(written) for cut in range(10))


@pytest.mark.requirement("RFC6455-5.2")
@given(st.text(max_size=300), st.booleans())
def test_wsproto_reads_what_we_write(text: str, from_client: bool) -> None:
    link: Link = client() if from_client else server()
    link.send_text(text, 0.0)
    peer = FrameProtocol(not from_client, [])
    peer.receive_bytes(sent(link.actions()))
    assert "".join(str(piece.payload) for piece in peer.received_frames()) == text


@pytest.mark.requirement("RFC6455-5.5.1")
@given(st.text("aé€😀", min_size=110, max_size=130), st.sampled_from([1000, 1001, 1014, 3000, 4999]))
def test_a_close_reason_is_cut_between_characters(reason: str, code: int) -> None:
    payload = close_payload(code, reason)
    assert len(payload) <= 125
    assert int.from_bytes(payload[:2], "big") == code
    kept = payload[2:].decode()
    assert reason.startswith(kept)
    assert len(reason.encode()) <= 123 or len(payload) > 121


@pytest.mark.requirement("RFC6455-10.3")
@given(st.integers(), PLACES)
def test_the_same_entropy_and_the_same_inputs_give_the_same_bytes(seed: int, places: list[int]) -> None:
    def run() -> list[Action]:
        config = ClientConfig(url=URL, ping_interval=5.0)
        link = client(config, seed=seed)
        link.send_text("hello", 0.0)
        actions = link.actions()
        actions += feed(link, cut(frame(9, b"1", masked=False) + frame(1, b"x", masked=False), places))
        link.handle_timer(5.0)
        link.close(1000, "bye", 6.0)
        return actions + link.actions()

    first, second = run(), run()
    assert first == second
    keys = SeededEntropy(seed)
    keys(16)
    assert sent(first).startswith(frame(1, b"hello", key=keys(4)))


@pytest.mark.requirement("RFC6455-5.3", "RFC6455-10.3")
def test_every_masked_frame_has_a_fresh_key() -> None:
    link = client()
    for _ in range(20):
        link.send_text("same", 0.0)
    frames = [action.data for action in link.actions() if isinstance(action, SendBytes)]
    assert len(set(frames)) == 20


# Keep-alive


def pinging(**changes: Any) -> WebSocketServer:
    return server(replace(ServerConfig(ping_interval=30.0, pong_timeout=10.0), **changes))


def ping_payload(actions: list[Action]) -> bytes:
    data = sent(actions)
    assert data[:2] == b"\x89\x04"
    return data[2:]


@pytest.mark.parametrize("make", [server, client])
def test_a_dead_peer_is_found_out_by_default(make: Callable[[], Link]) -> None:
    link = make()
    while (at := link.next_timer()) is not None:
        assert at <= 120.0
        link.handle_timer(at)
    assert link.state is LinkState.CLOSED


@pytest.mark.requirement("RFC6455-5.5.2", "RFC6455-5.5.3")
def test_a_ping_goes_out_every_interval_and_its_pong_is_reported() -> None:
    link = pinging()
    for start in (0.0, 30.0, 60.0):
        assert link.next_timer() == start + 30
        link.handle_timer(start + 29.9)
        assert link.actions() == []
        link.handle_timer(start + 30)
        payload = ping_payload(link.actions())
        assert link.next_timer() == start + 40
        link.receive_data(frame(10, payload), start + 30.5)
        assert link.actions() == [PongReceived(0.5)]


@pytest.mark.requirement("RFC6455-5.5.2")
def test_a_missing_pong_ends_the_link_and_only_it_does() -> None:
    link = pinging()
    link.handle_timer(30.0)
    payload = ping_payload(link.actions())
    for other in (b"", b"\x00\x00\x00\x00", payload + b"x"):
        link.receive_data(frame(10, other), 31.0)
    link.receive_data(frame(1, b"busy"), 39.0)
    assert link.actions() == [Text("busy")]
    link.handle_timer(40.0)
    assert link.actions() == [
        WireNotice(NoticeKind.TIMEOUT, "no pong in time"),
        CloseTransport(abort=True),
        Closed(1006, "no pong in time", clean=False),
    ]


@pytest.mark.requirement("RFC6455-5.5.3")
def test_an_unsolicited_pong_is_ignored() -> None:
    link = pinging()
    link.receive_data(frame(10, b"\x00\x00\x00\x00"), 1.0)
    assert (link.actions(), link.next_timer()) == ([], 30.0)


def test_a_late_pong_makes_the_next_ping_due_at_once_and_not_earlier() -> None:
    link = pinging(ping_interval=5.0, pong_timeout=60.0)
    link.handle_timer(5.0)
    link.receive_data(frame(10, ping_payload(link.actions())), 30.0)
    assert link.next_timer() == 30.0


def test_without_a_pong_time_out_pings_go_on() -> None:
    link = pinging(pong_timeout=None)
    link.handle_timer(30.0)
    first = ping_payload(link.actions())
    assert link.next_timer() == 60.0
    link.handle_timer(60.0)
    second = ping_payload(link.actions())
    assert first != second
    link.receive_data(frame(10, first), 61.0)
    assert link.actions() == []
    link.receive_data(frame(10, second), 61.0)
    assert link.actions() == [PongReceived(1.0)]


@pytest.mark.requirement("RFC6455-5.5.2")
def test_a_ping_by_hand() -> None:
    link = server(ServerConfig(ping_interval=None, pong_timeout=10.0))
    assert link.next_timer() is None
    link.ping(3.0)
    payload = ping_payload(link.actions())
    assert link.next_timer() == 13.0
    link.ping(4.0)
    assert (link.actions(), link.next_timer()) == ([], 13.0)
    link.receive_data(frame(10, payload), 5.0)
    assert (link.actions(), link.next_timer()) == ([PongReceived(2.0)], None)
    link = server(ServerConfig(ping_interval=None, pong_timeout=None))
    link.ping(3.0)
    assert link.next_timer() is None


def test_the_count_in_pings_wraps() -> None:
    link = server()
    link._ping_count = 0xFFFFFFFF
    link.ping(0.0)
    assert ping_payload(link.actions()) == b"\0\0\0\0"
    link.receive_data(frame(10, b"\0\0\0\0"), 1.0)
    assert link.actions() == [PongReceived(1.0)]


@pytest.mark.requirement("RFC6455-5.5.2", "RFC6455-5.5.3")
@pytest.mark.parametrize("count", [1, 2, 5000])
def test_of_a_flood_of_pings_only_the_latest_is_answered(count: int) -> None:
    link = server()
    flood = b"".join(frame(9, pack("!I", number)) for number in range(count))
    (answer,) = feed(link, [flood])
    assert answer == SendBytes(frame(10, pack("!I", count - 1), masked=False))


@pytest.mark.requirement("RFC6455-5.5.1", "RFC6455-5.5.2")
def test_a_pong_goes_out_before_the_close() -> None:
    link = server()
    actions = feed(
        link, [frame(1, b"last") + frame(9, b"p") + frame(8, pack("!H", 1001) + b"bye") + frame(9)]
    )
    assert sent(actions) == frame(10, b"p", masked=False) + frame(8, pack("!H", 1001) + b"bye", masked=False)
    assert rest(actions) == [Text("last"), CloseTransport(), Closed(1001, "bye", clean=True)]


# Closing


@pytest.mark.requirement("RFC6455-5.5.1", "RFC6455-7.1.5")
@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [(b"", 1005, ""), (pack("!H", 1000), 1000, ""), (pack("!H", 4000) + "é".encode(), 4000, "é")],
)
def test_the_peers_close_is_echoed(payload: bytes, code: int, reason: str) -> None:
    link = server()
    assert feed(link, [frame(8, payload)]) == [
        SendBytes(frame(8, payload, masked=False)),
        CloseTransport(abort=False),
        Closed(code, reason, clean=True),
    ]


@pytest.mark.requirement("RFC6455-7.1.1")
def test_the_client_lets_the_server_end_the_connection() -> None:
    link = client(ClientConfig(url=URL, close_timeout=4.0))
    actions = feed(link, [frame(8, pack("!H", 1001), masked=False)], now=1.0)
    assert rest(actions) == []
    assert link.state is LinkState.DRAINING
    link.receive_eof(2.0)
    assert link.actions() == [CloseTransport(abort=False), Closed(1001, "", clean=True)]


@pytest.mark.requirement("RFC6455-7.1.1")
def test_a_server_that_does_not_end_the_connection_is_not_waited_for() -> None:
    link = client(ClientConfig(url=URL, close_timeout=4.0))
    feed(link, [frame(8, pack("!H", 1001), masked=False)], now=1.0)
    assert link.next_timer() == 5.0
    link.handle_timer(5.0)
    assert link.actions() == [CloseTransport(abort=True), Closed(1001, "", clean=True)]


@pytest.mark.requirement("RFC6455-7.1.2", "RFC6455-7.1.4")
def test_our_close_and_the_peers_answer() -> None:
    link = server()
    link.close(1001, "restarting", 5.0)
    assert link.actions() == [SendBytes(frame(8, pack("!H", 1001) + b"restarting", masked=False))]
    assert link.next_timer() == 15.0
    assert feed(link, [frame(1, b"crossed") + frame(8, pack("!H", 1001)) + b"junk"]) == [
        CloseTransport(abort=False),
        Closed(1001, "", clean=True),
    ]


@pytest.mark.requirement("RFC6455-7.1.1")
@pytest.mark.parametrize("make", [server, client])
def test_a_close_without_answer_ends_in_time(make: type) -> None:
    link = make()
    link.close(1000, "", 5.0)
    link.actions()
    link.handle_timer(14.9)
    assert link.actions() == []
    link.handle_timer(15.0)
    actions = link.actions()
    assert only(actions, WireNotice).kind is NoticeKind.TIMEOUT
    assert actions[1:] == [CloseTransport(abort=True), Closed(1006, "no Close in time", clean=False)]


@pytest.mark.requirement("RFC6455-7.1.5")
def test_an_end_without_close_is_1006() -> None:
    for closing in (False, True):
        link = server()
        if closing:
            link.close(1000, "", 0.0)
            link.actions()
        link.receive_eof(1.0)
        transport, closed = link.actions()
        assert transport == CloseTransport(abort=True)
        assert isinstance(closed, Closed)
        assert (closed.code, closed.clean) == (1006, False)


@pytest.mark.requirement("RFC6455-7.1.7", "RFC6455-7.4.1", "RFC6455-8.1")
@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (frame(1, b"\xff"), 1007),
        (frame(8, pack("!H", 1000) + b"\xff"), 1007),
        (frame(2, b"binary"), 1003),
        (frame(1, b"x" * 1001), 1009),
        (frame(0, b"x"), 1002),
        (frame(3), 1002),
        (frame(1, b"x", masked=False), 1002),
        (frame(1, b"x", rsv=4), 1002),
        (frame(8, b"x"), 1002),
        (frame(8, pack("!H", 1005)), 1002),
    ],
)
def test_a_broken_frame_fails_the_link(broken: bytes, code: int) -> None:
    link = server(ServerConfig(max_message_size=1000))
    actions = feed(link, [frame(1, b"good") + broken + frame(1, b"after")])
    (sent_close,) = [action.data for action in actions if isinstance(action, SendBytes)]
    assert sent_close[0] == 0x88
    assert sent_close[2:4] == pack("!H", code)
    text, notice, transport, closed = rest(actions)
    assert text == Text("good")
    assert isinstance(notice, WireNotice)
    assert notice.kind is NoticeKind.PROTOCOL_VIOLATION
    assert transport == CloseTransport(abort=False)
    assert closed == Closed(code, notice.detail, clean=False)
    assert feed(link, [frame(1, b"more")]) == []


@pytest.mark.requirement("RFC6455-7.1.7")
def test_a_broken_frame_after_our_close_gets_no_second_one() -> None:
    link = server()
    link.close(1000, "", 0.0)
    link.actions()
    actions = feed(link, [frame(3)])
    assert sent(actions) == b""
    assert rest(actions)[1:] == [CloseTransport(), Closed(1002, "Invalid opcode 0x3", clean=False)]
