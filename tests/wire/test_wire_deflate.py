"""permessage-deflate: negotiated without context takeover, inflated with a bound."""

import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.wire import Action, Closed, LinkState, ServerConfig, Text, WebSocketServer
from ocpp_core.wire.deflate import InflateError, Inflater, accept_offer, deflate
from tests.wire.wire_kit import PLACES, cut, feed, frame, only, request, sent, server

OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

HELLO = bytes.fromhex("f348cdc9c9070000")
"""The example of RFC 7692 §7.2.3.4: a final block, and a zero byte after it."""


def compressed(payload: bytes, *, level: int = -1, wbits: int = -15) -> bytes:
    machine = zlib.compressobj(level, wbits=wbits)
    return (machine.compress(payload) + machine.flush(zlib.Z_SYNC_FLUSH))[:-4]


def deflating(**limits: Any) -> WebSocketServer:
    link = server(ServerConfig(**limits), opening=request("/ocpp/CP001", OFFER))
    assert link.state is LinkState.OPEN
    return link


@pytest.mark.requirement("RFC7692-5.1", "RFC7692-7.1", "2.0.1-J-3.3", "2.1-J-3.4")
@pytest.mark.parametrize(
    ("offer", "answer", "bits"),
    [
        ("permessage-deflate", ANSWER, 15),
        (" permessage-deflate ; client_max_window_bits ", ANSWER, 15),
        ("permessage-deflate; client_max_window_bits=8", ANSWER, 15),
        ('permessage-deflate; client_max_window_bits="12"', ANSWER, 15),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", ANSWER, 15),
        ("permessage-deflate; server_max_window_bits=9", f"{ANSWER}; server_max_window_bits=9", 9),
        ("permessage-deflate; server_max_window_bits=8", None, 0),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", ANSWER, 15),
        ("permessage-deflate; server_max_window_bits=16", None, 0),
        ("permessage-deflate; server_max_window_bits=010", None, 0),
        ("permessage-deflate; server_max_window_bits", None, 0),
        ("permessage-deflate; client_max_window_bits=7", None, 0),
        ("permessage-deflate; client_no_context_takeover=1", None, 0),
        ("permessage-deflate; server_no_context_takeover=1", None, 0),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None, 0),
        ("permessage-deflate; mystery", None, 0),
        ("permessage-deflate; a=b=c", None, 0),
        ("x-webkit-deflate-frame, permessage-deflate", ANSWER, 15),
        ("x-webkit-deflate-frame", None, 0),
        ("", None, 0),
    ],
)
def test_the_negotiation(offer: str, answer: str | None, bits: int) -> None:
    assert accept_offer(offer) == (None if answer is None else (answer, bits))
    machine = WebSocketServer(ServerConfig(), 0.0)
    machine.receive_data(request("/CP", f"Sec-WebSocket-Extensions: {offer}"), 0.0)
    machine.accept(0.0)
    head = sent(machine.actions()).decode()
    assert (f"Sec-WebSocket-Extensions: {answer}\r\n" in head) == (answer is not None)


@pytest.mark.requirement("RFC7692-7.1")
def test_a_server_may_be_told_not_to_compress() -> None:
    machine = WebSocketServer(ServerConfig(deflate=False), 0.0)
    machine.receive_data(request("/CP", OFFER), 0.0)
    machine.accept(0.0)
    assert b"Extensions" not in sent(machine.actions())
    assert only(feed(machine, [frame(1, compressed(b"x"), rsv=4)]), Closed).code == 1002


MESSAGES = st.one_of(st.text(max_size=50), st.text("abé€😀", min_size=200, max_size=2000))


@pytest.mark.requirement("RFC7692-7.2.2", "2.0.1-J-3.3", "2.1-J-3.4")
@given(st.lists(st.tuples(MESSAGES, st.sampled_from([-1, 0, 9]), st.booleans(), PLACES), max_size=4), PLACES)
def test_compressed_messages_in_any_fragments_and_chunks(
    messages: list[tuple[str, int, bool, list[int]]], places: list[int]
) -> None:
    stream = b""
    for text, level, plain, fragments in messages:
        payload = text.encode()
        pieces = cut(payload if plain else compressed(payload, level=level), fragments)
        for index, piece in enumerate(pieces):
            opcode, rsv = (0, 0) if index else (1, 0 if plain else 4)
            last = index == len(pieces) - 1
            stream += frame(opcode, piece, fin=last, rsv=rsv) + (b"" if last else frame(9, b"between"))
    actions = [action for action in feed(deflating(), cut(stream, places)) if isinstance(action, Text)]
    assert actions == [Text(text) for text, *_ in messages]


@pytest.mark.requirement("RFC7692-7.2.1")
@given(MESSAGES, st.integers(9, 15))
def test_what_we_compress_inflates_on_its_own_within_the_agreed_window(text: str, bits: int) -> None:
    payload = text.encode() * 20
    machine = zlib.decompressobj(wbits=-bits)
    assert machine.decompress(deflate(payload, bits) + b"\x00\x00\xff\xff") == payload
    opening = request("/CP", f"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits={bits}")
    link = server(opening=opening)
    link.send_text(text, 0.0)
    data = sent(link.actions())
    plain = len(text.encode()) < 128
    assert data == frame(
        1, text.encode() if plain else deflate(text.encode(), bits), rsv=0 if plain else 4, masked=False
    )


@pytest.mark.requirement("RFC7692-7.2.3.4")
def test_a_stream_may_end_in_a_final_block() -> None:
    assert feed(deflating(), [frame(1, HELLO, rsv=4)]) == [Text("Hello")]
    assert feed(deflating(), [frame(1, HELLO[:-1], rsv=4)]) == [Text("Hello")]


@pytest.mark.requirement("RFC7692-6.2", "RFC7692-7.2.2")
@pytest.mark.parametrize(
    "payload",
    [b"\xff\xff\xff", HELLO + b"x", HELLO[:-1] + b"x", HELLO + b"\x00", b"\x07"],
)
@pytest.mark.parametrize("chunk", [1, 100])
def test_what_does_not_inflate_fails_the_link(payload: bytes, chunk: int) -> None:
    stream = frame(1, payload, rsv=4)
    actions = feed(deflating(), [stream[start : start + chunk] for start in range(0, len(stream), chunk)])
    assert only(actions, Closed).code == 1007


@pytest.mark.requirement("RFC7692-6.1", "RFC6455-5.2")
@pytest.mark.parametrize(
    "stream",
    [
        frame(9, b"x", rsv=4),
        frame(1, compressed(b"x"), rsv=2),
        frame(1, compressed(b"x"), rsv=6),
        frame(1, compressed(b"x")[:1], fin=False, rsv=4) + frame(0, b"", rsv=4),
        frame(1, b"x", fin=False) + frame(0, b"y", rsv=4),
    ],
)
def test_the_bit_stands_only_on_a_messages_first_frame(stream: bytes) -> None:
    assert only(feed(deflating(), [stream]), Closed).code == 1002


@pytest.mark.requirement("RFC7692-6.1")
def test_inflated_text_must_be_utf_8() -> None:
    assert only(feed(deflating(), [frame(1, compressed(b"\xff"), rsv=4)]), Closed).code == 1007


@pytest.mark.requirement("RFC7692-8", "RFC6455-10.4")
@pytest.mark.parametrize("level", [0, 9])
@pytest.mark.parametrize("fragments", [[], [1], [40, 41, 500]])
def test_the_limit_is_on_what_comes_out(level: int, fragments: list[int]) -> None:
    for size, passes in ((5000, True), (5001, False)):
        pieces = cut(compressed(b"x" * size, level=level), fragments)
        stream = b"".join(
            frame(0 if index else 1, piece, fin=index == len(pieces) - 1, rsv=0 if index else 4)
            for index, piece in enumerate(pieces)
        )
        actions = feed(deflating(max_message_size=5000), [stream, stream])
        if passes:
            assert actions == [Text("x" * size)] * 2
        else:
            assert only(actions, Closed).code == 1009


@pytest.mark.requirement("RFC7692-8", "RFC6455-10.4")
def test_a_bomb_is_refused_before_memory_grows() -> None:
    bomb = compressed(bytes(100 << 20))
    assert len(bomb) < 1 << 17
    stream = frame(1, bomb, rsv=4)
    link = deflating(max_message_size=100_000)
    tracemalloc.start()
    actions: list[Action] = []
    for start in range(0, len(stream), 1 << 14):
        actions += feed(link, [stream[start : start + (1 << 14)]])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert only(actions, Closed).code == 1009
    assert peak < 1_000_000


@pytest.mark.requirement("RFC7692-8")
def test_an_endless_stream_of_nothing_grows_nothing() -> None:
    """Empty stored blocks inflate to no byte: never too big, and never held."""
    link = deflating(max_message_size=1000)
    assert feed(link, [frame(1, b"", fin=False, rsv=4)]) == []
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(200):
        assert feed(link, [frame(0, b"\x00\x00\x00\xff\xff" * 200, fin=False)]) == []
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000
    assert feed(link, [frame(0, compressed(b"done"))]) == [Text("done")]


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=80).map(compressed)), st.integers(0, 90), PLACES)
def test_the_inflater_gives_what_zlib_gives_or_says_why_not(
    data: bytes, room: int, places: list[int]
) -> None:
    inflater = Inflater()
    out = b""
    refusal: InflateError | None = None
    try:
        for chunk in cut(data, places):
            out += inflater.feed(chunk, room - len(out))
        out += inflater.finish(room - len(out))
    except InflateError as error:
        refusal = error
    oracle = zlib.decompressobj(wbits=-15)
    try:
        whole = oracle.decompress(data + b"\x00\x00\xff\xff")
    except zlib.error:
        assert refusal is not None
        return
    if refusal is None:
        assert out == whole
    elif refusal.too_big:
        assert len(whole) > room
    else:
        assert oracle.unused_data not in (b"\x00\x00\xff\xff", b"\x00\x00\x00\xff\xff")
