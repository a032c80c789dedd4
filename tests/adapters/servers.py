"""Servers to test against, and a client that speaks bytes."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.abc import ByteStream, TaskGroup

from ocpp_adapters import anyio_server, asyncio_server, poll_server, threads_server
from ocpp_adapters.anyio_link import AnyioConcurrency
from ocpp_adapters.poll import Poll
from ocpp_adapters.sessions import Admit, Decision, Peer, Reject, Session, TextLink
from ocpp_adapters.threads_monitor import Monitor
from ocpp_core.wire import Closed, HandshakeReceived

HERE = {"host": "127.0.0.1"}


@dataclass(frozen=True)
class Adapter:
    """A server adapter on a loop."""

    backend: str
    native: bool

    def __str__(self) -> str:
        return "native" if self.native else self.backend

    @asynccontextmanager
    async def serve(self, admit: Admit, **options: Any) -> AsyncIterator[int]:
        """A server on a free port of the loopback; its port."""
        async with self.server(admit, **options) as server:
            yield server.port

    @asynccontextmanager
    async def server(self, admit: Admit, **options: Any) -> AsyncIterator[Any]:
        """The same; its handle."""
        if self.native:
            async with await asyncio_server.serve(admit, **HERE | options) as server:
                yield server
        else:
            async with anyio.create_task_group() as tasks:
                yield await tasks.start(partial(anyio_server.serve, admit, **HERE | options))
                tasks.cancel_scope.cancel()

    def concurrency(self, tasks: TaskGroup) -> Any:
        return asyncio_server.AsyncioConcurrency() if self.native else AnyioConcurrency(tasks)


@dataclass(frozen=True)
class Polled(Adapter):
    """A poll, stepped by a task of the test's loop."""

    poll: Poll = field(default_factory=Poll)
    direct: bool = False
    """Admissions wait for the poll's events, not for the test's loop."""

    def __str__(self) -> str:
        return "poll"

    @asynccontextmanager
    async def server(self, admit: Admit, **options: Any) -> AsyncIterator[Any]:
        async with anyio.create_task_group() as tasks:

            def ask(handshake: HandshakeReceived, peer: Peer) -> Any:
                decision = admit(handshake, peer)
                return decision if isinstance(decision, Session | Reject) else self._later(decision, tasks)

            asked = admit if self.direct else ask
            server = poll_server.serve(self.poll, asked, **HERE | options)
            tasks.start_soon(self._run)
            yield server
            server.close()
            with anyio.move_on_after(1):
                while not server.empty:
                    await anyio.sleep(0.001)
            server.abort()
            while not server.empty:
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()

    async def _later(self, decision: Awaitable[Decision], tasks: TaskGroup) -> Decision:
        """What the test's loop decides, awaited where only the poll's events can be."""
        decided = self.poll.event()
        outcome: list[Decision | Exception] = []

        async def decide() -> None:
            try:
                outcome.append(await decision)
            except Exception as error:
                outcome.append(error)
            decided.set()

        tasks.start_soon(decide)
        await decided.wait()
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    async def _run(self) -> None:
        while True:
            await anyio.sleep(min(self.poll.step(), 0.001))

    def concurrency(self, tasks: TaskGroup) -> Any:
        return self.poll


@dataclass(frozen=True)
class Threaded(Adapter):
    """Threads beside the test's loop; an admission that is a coroutine waits in its thread."""

    monitor: Monitor = field(default_factory=Monitor)
    direct: bool = False
    """Admissions that are coroutines block their thread."""

    def __str__(self) -> str:
        return "threads"

    @asynccontextmanager
    async def server(self, admit: Admit, **options: Any) -> AsyncIterator[Any]:
        async with anyio.from_thread.BlockingPortal() as portal:

            def ask(handshake: HandshakeReceived, peer: Peer) -> Decision:
                decision = admit(handshake, peer)
                if isinstance(decision, Session | Reject):
                    return decision

                async def wait() -> Decision:
                    return await decision

                return portal.call(wait)

            asked = admit if self.direct else ask
            server = threads_server.serve(asked, monitor=self.monitor, **HERE | options)
            try:
                yield server
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(partial(server.close, grace=1))
                    await portal.stop(cancel_remaining=True)  # admissions that nobody waits for any more

    def concurrency(self, tasks: TaskGroup) -> Any:
        return self.monitor


ADAPTERS = (
    Adapter("asyncio", True),
    Adapter("asyncio", False),
    Adapter("trio", False),
)
SERVERS = (*ADAPTERS, Polled("asyncio", False), Threaded("asyncio", False))
"""Where sessions need no loop for themselves, everybody is put to the same tests."""


TEXT = b"\x81\x05hello"


class Echo(Session):
    """Sends back what it gets, and remembers how it went."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.log = [] if log is None else log
        self.link: TextLink | None = None
        self.closed: Closed | None = None

    def link_opened(self, link: TextLink, now: float) -> None:
        self.link = link
        self.log.append(f"opened {link.identity} {link.subprotocol}")

    def receive_text(self, text: str, now: float) -> None:
        assert self.link is not None
        if text == "crash":
            raise RuntimeError("a bug of the application")
        self.link.send_text(text)

    def link_closed(self, closed: Closed, now: float) -> None:
        self.closed = closed
        self.log.append(f"closed {closed.code} {closed.reason}")


def request(identity: str = "CP1", *headers: str) -> bytes:
    """An opening handshake."""
    lines = [
        f"GET /ocpp/{identity} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: ocpp2.0.1",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(payload: bytes | str, opcode: int = 1) -> bytes:
    """A client's frame, final and masked."""
    data = payload.encode() if isinstance(payload, str) else payload
    size = len(data)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([0x80 | opcode, 0xFE]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 0xFF]) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + data


def close_frame(code: int) -> bytes:
    return frame(code.to_bytes(2, "big"), 8)


class RawClient:
    """A station that speaks bytes."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.buffer = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def until(self, mark: bytes) -> bytes:
        """What comes up to and including ``mark``."""
        while mark not in self.buffer:
            self.buffer += await self.stream.receive()
        head, _, self.buffer = self.buffer.partition(mark)
        return head + mark

    async def to_the_end(self) -> bytes:
        """All that still comes."""
        try:
            while True:
                self.buffer += await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return self.buffer

    async def open(self, identity: str = "CP1") -> None:
        await self.send(request(identity))
        head = await self.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head


@asynccontextmanager
async def raw_client(port: int) -> AsyncIterator[RawClient]:
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        yield RawClient(stream)


async def eventually(condition: Any, seconds: float = 5.0) -> None:
    """Wait until a condition holds, polling; fails if it does not in time."""
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.005)


async def until_close(client: RawClient) -> bytes:
    await client.until(b"\x88")
    await client.send(close_frame(1000))
    return await client.to_the_end()


class Talker(Session):
    """Sends without end, as long as it may."""

    def __init__(self) -> None:
        self.closed = False
        self.link: TextLink | None = None

    def link_opened(self, link: TextLink, now: float) -> None:
        self.link = link

    def link_closed(self, closed: object, now: float) -> None:
        self.closed = True


class Echoes:
    """Lets everybody in; a session for each, by identity."""

    def __init__(self) -> None:
        self.of: dict[str, Echo] = {}
        self.log: list[str] = []
        self.peers: list[Peer] = []

    def __call__(self, handshake: HandshakeReceived, peer: Peer) -> Decision:
        self.peers.append(peer)
        self.of[handshake.identity] = echo = Echo(self.log)
        return echo


class Alarmed(Session):
    """Wants to be woken, and moves its deadline about."""

    def __init__(self) -> None:
        self.at: float | None = None
        self.woken: list[float] = []
        self.link: TextLink | None = None

    def link_opened(self, link: TextLink, now: float) -> None:
        self.link = link
        self.at = now + 60.0

    def next_timer(self) -> float | None:
        return self.at

    def handle_timer(self, now: float) -> None:
        if self.at is not None and now >= self.at:
            self.woken.append(now - self.at)
            self.at = None
            assert self.link is not None
            self.link.send_text("hello")
