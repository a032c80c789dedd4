"""Fuzz the open link, both roles: ``python fuzz/fuzz_websocket_frames.py fuzz/corpus/websocket_frames``.

The first byte chooses the role, the limit and compression, the second how the rest is cut. Each stream goes
through a link with the short path and one without: they must not differ in anything.
"""

import atheris

with atheris.instrument_imports(include=["ocpp_core", "wsproto"]):
    from ocpp_core.entropy import SeededEntropy
    from ocpp_core.wire import (
        Action,
        ClientConfig,
        Closed,
        Link,
        LinkState,
        SendBytes,
        ServerConfig,
        Text,
        WebSocketClient,
        WebSocketServer,
    )
    from ocpp_core.wire.frames import may_send_close
    from ocpp_core.wire.handshake import accept_key
    from ocpp_core.wire.reader import FrameReader

from _harness import chunks, run

LIMITS = (1, 125, 1000, 1 << 16)
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def open_link(flags: int) -> Link:
    limit, deflate = LIMITS[flags >> 1 & 3], bool(flags & 8)
    extension = DEFLATE if deflate else b""
    if flags & 1:
        config = ClientConfig(url="ws://c/CP", subprotocols=("a",), max_message_size=limit, deflate=deflate)
        link: Link = WebSocketClient(config, SeededEntropy(0), 0.0)
        (request,) = link.actions()
        assert isinstance(request, SendBytes)
        key = request.data.split(b"Key: ")[1].split(b"\r\n")[0]
        head = b"HTTP/1.1 101 OK\r\n" + UPGRADE + extension
        head += b"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Accept: " + accept_key(key) + b"\r\n\r\n"
        link.receive_data(head, 0.0)
    else:
        link = WebSocketServer(ServerConfig(subprotocols=("a",), max_message_size=limit), 0.0)
        head = b"GET /CP HTTP/1.1\r\nHost: c\r\n" + UPGRADE + extension + b"Sec-WebSocket-Version: 13\r\n"
        link.receive_data(head + b"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n", 0.0)
        link.accept(0.0)
    link.actions()
    assert link.state is LinkState.OPEN
    if flags & 16:
        link.close(1000, "", 0.0)
        link.actions()
    return link


def drive(link: Link, stream: bytes, rhythm: int, limit: int) -> list[Action]:
    seen: list[Action] = []
    for chunk in chunks(stream, rhythm):
        link.receive_data(chunk, 1.0)
        reader = link._reader
        if reader is not None:
            assert len(reader._head) <= 10
            assert reader._buffer is None or len(reader._buffer) <= limit
        actions = link.actions()
        assert sum(isinstance(action, SendBytes) for action in actions) <= 2
        seen += actions
    link.receive_eof(2.0)
    return seen + link.actions()


def one_input(data: bytes) -> None:
    if len(data) < 2:
        return
    flags, rhythm, stream = data[0], data[1], data[2:]
    limit = LIMITS[flags >> 1 & 3]
    short, long = open_link(flags), open_link(flags)
    long._reader = FrameReader(client=bool(flags & 1), limit=limit, deflate=bool(flags & 8), short_path=False)
    seen = drive(short, stream, rhythm, limit)
    assert seen == drive(long, stream, rhythm, limit)
    assert all(len(action.text.encode()) <= limit for action in seen if isinstance(action, Text))
    (closed,) = [action for action in seen if isinstance(action, Closed)]
    assert seen[-1] is closed
    assert may_send_close(closed.code) or closed.code in (1005, 1006)


if __name__ == "__main__":
    run(one_input)
