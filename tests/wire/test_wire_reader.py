"""Receiving frames: the short path, wsproto and websockets must be indistinguishable."""

from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ocpp_core.wire import Action, ServerConfig, Text
from ocpp_core.wire.reader import Close, Control, Failure, FrameReader, Ping, _Limits
from tests.wire.wire_kit import PLACES, cut, feed, frame, sent, server
from tests.wire.wire_oracles import Received, websockets_receives, wsproto_receives

BIG = 1 << 40


def receives(chunks: list[bytes], *, client: bool, short_path: bool = True, limit: int = BIG) -> Received:
    reader = FrameReader(client=client, limit=limit, deflate=False, short_path=short_path)
    received: Received = []
    for chunk in chunks:
        texts: list[Action] = []
        controls = reader.receive(chunk, texts)
        received += [("text", action.text) for action in texts if isinstance(action, Text)]
        received += [_told(control) for control in controls if isinstance(control, Ping | Close | Failure)]
    return received


def _told(control: Control) -> tuple[object, ...]:
    match control:
        case Close(code, reason):
            return ("close", code, reason)
        case Failure(code, _):
            return ("fail", code)
        case _:
            return ("ping", control.payload)


def sorted_apart(received: Received) -> tuple[Received, Received]:
    """Texts and the rest each in order: within one chunk a reader hands the two out separately."""
    return [item for item in received if item[0] == "text"], [item for item in received if item[0] != "text"]


TEXTS = st.one_of(
    st.text(max_size=8),
    st.integers(120, 135).map(lambda size: "a" * size),
    st.text("aé€😀", min_size=100, max_size=600),
)
KEYS = st.binary(min_size=4, max_size=4)


@st.composite
def fragmented(draw: st.DrawFn, masked: bool) -> list[bytes]:
    """One text message in several frames, cut anywhere, with control frames in between."""
    payload = draw(TEXTS).encode()
    pieces = cut(payload, draw(st.lists(st.integers(0, 700), max_size=3)))
    frames = []
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        frames.append(frame(0 if index else 1, piece, fin=last, masked=masked, key=draw(KEYS)))
        if not last and draw(st.booleans()):
            opcode = draw(st.sampled_from([9, 10]))
            frames.append(frame(opcode, draw(st.binary(max_size=125)), masked=masked, key=draw(KEYS)))
    return frames


def valid_frames(masked: bool) -> st.SearchStrategy[list[bytes]]:
    text = st.builds(
        lambda text, key: [frame(1, text.encode(), masked=masked, key=key)], text=TEXTS, key=KEYS
    )
    control = st.builds(
        lambda opcode, payload: [frame(opcode, payload, masked=masked)],
        opcode=st.sampled_from([9, 10]),
        payload=st.binary(max_size=125),
    )
    return st.one_of(text, text, control, fragmented(masked))


def closes(masked: bool) -> st.SearchStrategy[bytes]:
    payload = st.one_of(
        st.just(b""),
        st.builds(
            lambda code, reason: code.to_bytes(2, "big") + reason.encode()[:123],
            code=st.sampled_from([1000, 1001, 1003, 1009, 1011, 3000, 4999]),
            reason=st.text("ab", max_size=40),
        ),
    )
    return payload.map(lambda payload: frame(8, payload, masked=masked))


def invalid_frames(masked: bool) -> st.SearchStrategy[bytes]:
    """What both other implementations refuse, too (RFC 6455 §5.2, §5.4, §5.5, §7.4)."""
    texts = st.sampled_from([b"", b"hello", b"x" * 200])
    return st.one_of(
        st.builds(lambda p, rsv: frame(1, p, rsv=rsv, masked=masked), texts, st.integers(1, 7)),
        st.builds(
            lambda p, op: frame(op, p, masked=masked), texts, st.sampled_from([3, 4, 5, 6, 7, 11, 12, 15])
        ),
        st.builds(lambda p: frame(1, p, masked=not masked), texts),
        st.builds(lambda p: frame(0, p, masked=masked), texts),
        st.builds(lambda op: frame(op, b"x", fin=False, masked=masked), st.sampled_from([8, 9, 10])),
        st.builds(lambda op: frame(op, b"x" * 126, masked=masked), st.sampled_from([8, 9, 10])),
        st.sampled_from(
            [b"x", b"\x03\xed", b"\x03\xee", b"\x03\xe7", b"\x03\xec", b"\x13\x88", b"\x0b\xb7"]
        ).map(lambda payload: frame(8, payload, masked=masked)),
        st.builds(
            lambda p: frame(1, p, fin=False, masked=masked) + frame(1, p, masked=masked),
            st.sampled_from([b"hello", b"x" * 200]),
        ),
    )


def bad_texts(masked: bool) -> st.SearchStrategy[bytes]:
    """Text that is not UTF-8, whole and across fragments (RFC 6455 §8.1)."""
    payloads = st.sampled_from(
        [
            b"\xff",
            b"ok\xc3",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xc0\xaf",
            b"x" * 300 + b"\x80",
            b"\xe2\x82",
        ]
    )
    return st.one_of(
        payloads.map(lambda payload: frame(1, payload, masked=masked)),
        payloads.map(
            lambda payload: (
                frame(1, payload[:1], fin=False, masked=masked) + frame(0, payload[1:] + b"a", masked=masked)
            )
        ),
    )


@st.composite
def streams(draw: st.DrawFn, masked: bool) -> bytes:
    """Valid frames, then perhaps a close or something broken, then perhaps more."""
    frames = [part for parts in draw(st.lists(valid_frames(masked), max_size=6)) for part in parts]
    ending = draw(st.one_of(st.just(b""), closes(masked), invalid_frames(masked), bad_texts(masked)))
    more = draw(st.sampled_from([b"", frame(1, b"after", masked=masked), b"garbage"]))
    return b"".join(frames) + ending + (more if ending else b"")


@pytest.mark.requirement("RFC6455-5.2", "RFC6455-5.4", "RFC6455-5.5", "RFC6455-7.1.7", "RFC6455-8.1")
@given(data=st.data(), client=st.booleans(), places=PLACES)
def test_a_stream_means_the_same_to_the_short_path_wsproto_and_websockets(
    data: st.DataObject, client: bool, places: list[int]
) -> None:
    stream = data.draw(streams(masked=not client))
    chunks = cut(stream, places)
    ours = receives(chunks, client=client)
    assert sorted_apart(ours) == sorted_apart(receives(chunks, client=client, short_path=False))
    assert sorted_apart(ours) == sorted_apart(wsproto_receives(chunks, client=client))
    if not any(item == ("fail", 1007) for item in ours):
        assert sorted_apart(ours) == sorted_apart(websockets_receives(chunks, client=client))


@pytest.mark.requirement("RFC6455-5.2")
@given(data=st.data(), client=st.booleans(), places=PLACES, limit=st.sampled_from([0, 10, 126, 300, BIG]))
def test_no_bytes_tell_the_short_path_from_the_long_one(
    data: st.DataObject, client: bool, places: list[int], limit: int
) -> None:
    """Any bytes, any chunking, any limit: streams of frames with a few bytes overwritten."""
    stream = bytearray(data.draw(st.one_of(streams(masked=not client), st.binary(max_size=40))))
    for _ in range(data.draw(st.integers(0, 3)) if stream else 0):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    chunks = cut(bytes(stream), places)
    short = receives(chunks, client=client, limit=limit)
    assert sorted_apart(short) == sorted_apart(receives(chunks, client=client, limit=limit, short_path=False))


@pytest.mark.requirement("RFC6455-5.2")
@given(data=st.data(), client=st.booleans(), places=PLACES)
def test_any_bytes_mean_to_us_what_they_mean_to_wsproto(
    data: st.DataObject, client: bool, places: list[int]
) -> None:
    stream = bytearray(data.draw(streams(masked=not client)))
    for _ in range(data.draw(st.integers(0, 3)) if stream else 0):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    chunks = cut(bytes(stream), places)
    ours = receives(chunks, client=client)
    # Where we refuse at the header what wsproto reads to its end, the two part: tested on their own.
    assume(not any(item in {("fail", 1003), ("fail", 1009)} for item in ours))
    assert sorted_apart(ours) == sorted_apart(wsproto_receives(chunks, client=client))


@pytest.mark.requirement("RFC6455-5.2")
@given(data=st.data(), places=PLACES)
def test_the_whole_machine_with_and_without_the_short_path_says_and_sends_the_same(
    data: st.DataObject, places: list[int]
) -> None:
    chunks = cut(data.draw(streams(masked=True)), places)
    machines = [server(), server()]
    reader = FrameReader(client=False, limit=1 << 20, deflate=False, short_path=False)
    machines[1]._reader = reader
    assert feed(machines[0], chunks) == feed(machines[1], chunks)
    assert machines[0].state is machines[1].state
    assert machines[0].next_timer() == machines[1].next_timer()


@pytest.mark.requirement("RFC6455-5.2")
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_buffer_may_be_used_again_at_once(kind: type) -> None:
    whole = frame(1, b"a whole frame") + frame(1, b"half", fin=False) + frame(9, b"ping") + frame(0, b"half")
    machine = server()
    got: list[Action] = []
    for start in range(0, len(whole), 7):
        storage = bytearray(whole[start : start + 7])
        machine.receive_data(kind(storage), 1.0)
        storage[:] = b"\xff" * len(storage)
        got += machine.actions()
    assert [action.text for action in got if isinstance(action, Text)] == ["a whole frame", "halfhalf"]
    assert sent(got) == frame(10, b"ping", masked=False)


@pytest.mark.requirement("RFC6455-5.2")
@pytest.mark.parametrize(
    "broken",
    [
        frame(1, b"short", wide=16),
        frame(1, b"short", wide=64),
        frame(1, b"x" * 200, wide=64),
        frame(1, length=1 << 63),
        frame(9, b"", wide=16),
    ],
)
def test_lengths_not_in_their_shortest_form_are_protocol_errors(broken: bytes) -> None:
    assert receives([broken], client=False) == [("fail", 1002)]


@pytest.mark.requirement("1.6-J-4.1.2", "2.0.1-J-4.1.2", "2.1-J-4.1.2", "RFC6455-5.6")
@pytest.mark.parametrize("head", [frame(2, length=1000)[:8], frame(2, b"x", fin=False), frame(2)])
def test_a_binary_message_is_refused_by_its_header(head: bytes) -> None:
    assert receives([head], client=False) == [("fail", 1003)]


@pytest.mark.requirement("RFC6455-5.4")
def test_a_binary_frame_within_a_text_message_is_a_protocol_error() -> None:
    stream = frame(1, b"a", fin=False) + frame(2, b"b")
    assert receives([stream], client=False) == [("fail", 1002)]


@pytest.mark.requirement("RFC6455-10.4")
@pytest.mark.parametrize("limit", [125, 126, 1000, 65535, 65536, 70000])
@pytest.mark.parametrize("chunk", [7, 5000, 1 << 20])
def test_a_message_at_the_limit_passes_and_one_byte_more_does_not(limit: int, chunk: int) -> None:
    def chunks(stream: bytes) -> list[bytes]:
        return [stream[start : start + chunk] for start in range(0, len(stream), chunk)]

    whole = frame(1, b"x" * limit)
    halves = frame(1, b"x" * 100, fin=False) + frame(9, b"p" * 125) + frame(0, b"x" * (limit - 100))
    assert receives(chunks(whole), client=False, limit=limit) == [("text", "x" * limit)]
    # Twice: what a message counted is forgotten with it.
    assert receives(chunks(halves * 2), client=False, limit=limit).count(("text", "x" * limit)) == 2
    for stream in (whole, halves):
        assert receives(chunks(stream), client=False, limit=limit - 1)[-1] == ("fail", 1009)


@pytest.mark.requirement("RFC6455-10.4")
@pytest.mark.parametrize("declared", [1001, 1 << 16, (1 << 63) - 1])
def test_an_oversize_frame_is_refused_by_the_length_it_declares(declared: int) -> None:
    head = frame(1, length=declared)[:-4]
    assert receives([head], client=False, limit=1000) == [("fail", 1009)]


@pytest.mark.requirement("RFC6455-10.4")
def test_a_message_of_countless_fragments_takes_no_more_memory_than_its_text() -> None:
    reader = FrameReader(client=False, limit=1000, deflate=False)
    out: list[Action] = []
    reader.receive(frame(1, b"a", fin=False), out)
    controls: Sequence[Control] = ()
    for _ in range(998):
        controls = reader.receive(frame(0, b"b", fin=False), out)
    controls = reader.receive(frame(0, b"", fin=False) * 5000, out)
    assert reader._buffer is not None
    assert len(reader._buffer) == 999
    assert not controls
    controls = reader.receive(frame(0, b"cc"), out)
    assert controls == [Failure(1009, "message too big")]
    assert out == []


@pytest.mark.requirement("RFC6455-5.4")
def test_between_messages_the_reader_holds_nothing() -> None:
    reader = FrameReader(client=False, limit=1000, deflate=False)
    out: list[Action] = []
    for stream in (frame(9), frame(1, b"ab", fin=False) + frame(0, b"c"), frame(1, b"common")):
        for byte in stream:
            reader.receive(bytes([byte]), out)
        assert reader._wsproto is None
        assert reader._buffer is None
        assert reader._head == b""
    assert out == [Text("abc"), Text("common")]


def test_a_stream_of_common_frames_never_wakes_wsproto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the short path could be dead and every other test here still pass."""
    monkeypatch.setattr("ocpp_core.wire.reader.FrameProtocol", None)
    sizes = [0, 1, 125, 126, 127, 5000, 65535]
    machine = server(ServerConfig())
    got = feed(machine, [b"".join(frame(1, b"x" * size) for size in sizes)])
    assert got == [Text("x" * size) for size in sizes]


def test_what_sits_in_wsproto_offers_no_extension() -> None:
    assert _Limits(1, False).offer() is False
