"""What the tests of the wire level share: a client's bytes by hand, links brought into any state."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from struct import pack
from typing import TypeVar

from hypothesis import strategies as st

from ocpp_core.entropy import SeededEntropy
from ocpp_core.wire import (
    Action,
    ClientConfig,
    Link,
    LinkState,
    SendBytes,
    ServerConfig,
    WebSocketClient,
    WebSocketServer,
)

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The answer to KEY (RFC 6455 §1.3)."""

T = TypeVar("T")


def request(
    target: str = "/ocpp/CP001",
    *extra: str,
    method: str = "GET",
    version: str = "HTTP/1.1",
    without: Iterable[str] = (),
    protocol: str | None = "ocpp2.0.1, ocpp1.6",
) -> bytes:
    """An opening request, header by header; ``without`` leaves headers out, ``extra`` adds lines."""
    headers = {
        "Host": "csms.example",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY.decode(),
        "Sec-WebSocket-Version": "13",
    }
    if protocol is not None:
        headers["Sec-WebSocket-Protocol"] = protocol
    lines = [f"{name}: {value}" for name, value in headers.items() if name not in set(without)]
    return "\r\n".join([f"{method} {target} {version}", *lines, *extra, "", ""]).encode("latin-1")


def response(
    *extra: str, status: str = "101 Switching Protocols", accept: bytes, protocol: str | None
) -> bytes:
    """A server's answer to an opening request."""
    lines = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept.decode()}"]
    if protocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {protocol}")
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, *extra, "", ""]).encode()


def xor(payload: bytes, key: bytes) -> bytes:
    """RFC 6455 §5.3, byte by byte."""
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    key: bytes = b"\x01\x82\x43\xc4",
    length: int | None = None,
    wide: int = 0,
) -> bytes:
    """Any frame, proper or not: ``length`` is declared instead of the true one, ``wide`` is 16 or 64."""
    size = len(payload) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    mask = 0x80 if masked else 0
    if wide == 64 or size >= 1 << 16:
        head += pack("!BQ", mask | 127, size)
    elif wide == 16 or size > 125:
        head += pack("!BH", mask | 126, size)
    else:
        head += bytes([mask | size])
    return head + (key + xor(payload, key) if masked else payload)


def sent(actions: Iterable[Action]) -> bytes:
    """All bytes to write among ``actions``."""
    return b"".join(action.data for action in actions if isinstance(action, SendBytes))


def only(actions: Iterable[Action], kind: type[T]) -> T:
    """The one action of this kind."""
    (found,) = [action for action in actions if isinstance(action, kind)]
    return found


def rest(actions: Iterable[Action]) -> list[Action]:
    """All that is not bytes to write."""
    return [action for action in actions if not isinstance(action, SendBytes)]


def server(config: ServerConfig | None = None, *, opening: bytes | None = None) -> WebSocketServer:
    """A server whose link is open at time 0, nothing left to do."""
    machine = WebSocketServer(config or ServerConfig(), 0.0)
    machine.receive_data(request() if opening is None else opening, 0.0)
    machine.accept(0.0)
    assert machine.state is LinkState.OPEN
    machine.actions()
    return machine


URL = "ws://csms.example/ocpp/CP001"


def client(config: ClientConfig | None = None, *extra: str, seed: int = 0) -> WebSocketClient:
    """A client whose link is open at time 0, nothing left to do."""
    machine, answer = connecting(config, *extra, seed=seed)
    machine.receive_data(answer, 0.0)
    assert machine.state is LinkState.OPEN
    machine.actions()
    return machine


def connecting(
    config: ClientConfig | None = None, *extra: str, seed: int = 0, protocol: str | None = "ocpp1.6"
) -> tuple[WebSocketClient, bytes]:
    """A client that has sent its request, and a good answer to it."""
    from ocpp_core.wire.handshake import accept_key

    machine = WebSocketClient(config or ClientConfig(url=URL), SeededEntropy(seed), 0.0)
    head = sent(machine.actions())
    key = next(line[19:] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    return machine, response(*extra, accept=accept_key(key.strip()), protocol=protocol)


def feed(machine: Link, chunks: Iterable[bytes], now: float = 1.0) -> list[Action]:
    """Everything the machine wants done while it gets ``chunks``, drained after each."""
    actions: list[Action] = []
    for chunk in chunks:
        machine.receive_data(chunk, now)
        actions += machine.actions()
    return actions


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """``data`` in pieces, cut at ``places`` (modulo its length)."""
    edges = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:stop] for start, stop in pairwise(edges)] or [data]


def bring(role: str, state: LinkState) -> Link:
    """A link of this role in this state, nothing left to do."""
    machine = _BRING[role, state]()
    assert machine.state is state
    machine.actions()
    return machine


def _server_answering() -> Link:
    machine = WebSocketServer(ServerConfig(), 0.0)
    machine.receive_data(request(), 0.0)
    return machine


def _closing(machine: Link) -> Link:
    machine.close(1000, "", 0.0)
    return machine


def _closed(machine: Link) -> Link:
    machine.receive_eof(0.0)
    return machine


def _draining() -> Link:
    machine = client()
    machine.receive_data(frame(8, pack("!H", 1000), masked=False), 0.0)
    return machine


_BRING: dict[tuple[str, LinkState], Callable[[], Link]] = {
    ("server", LinkState.HANDSHAKE): lambda: WebSocketServer(ServerConfig(), 0.0),
    ("server", LinkState.ANSWERING): _server_answering,
    ("server", LinkState.OPEN): server,
    ("server", LinkState.CLOSING): lambda: _closing(server()),
    ("server", LinkState.CLOSED): lambda: _closed(server()),
    ("client", LinkState.HANDSHAKE): lambda: connecting()[0],
    ("client", LinkState.OPEN): client,
    ("client", LinkState.CLOSING): lambda: _closing(client()),
    ("client", LinkState.DRAINING): _draining,
    ("client", LinkState.CLOSED): lambda: _closed(client()),
}
STATES = list(_BRING)

PLACES = st.lists(st.integers(0, 1 << 20), max_size=12)
"""Where to cut a stream into chunks."""
