"""The CSMS's end of many WebSockets on native asyncio: no task per connection, no task per message.

Bytes are read into one buffer that all connections share, everything that one read led to leaves in one
write, and a connection has at most one timer, which is moved by letting it fire early. A station that does
not read is not read from either.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Flag, auto
from types import TracebackType
from typing import Any, Self, cast

from ocpp_core.wire import ServerConfig, WebSocketServer

from .server_driver import Registry, ServerDriver
from .sessions import Admit, Limits, Peer
from .socket_link import address_of, listener_at
from .stores import Finish
from .tls_wire import SecuredServer

_READ_SIZE = 256 << 10
_log = logging.getLogger(__name__)


class _Pause(Flag):
    """Why a station is not read from."""

    UNREAD = auto()
    """It does not read what we wrote."""
    SESSION = auto()
    """Its session has enough to do."""


_READING = _Pause(0)


class Connection(asyncio.BufferedProtocol, ServerDriver):
    """One station's connection; the :class:`~ocpp_adapters.sessions.TextLink` of its session."""

    __slots__ = ("_admission", "_paused", "_server", "_timer", "_transport")

    _transport: asyncio.Transport
    _wire: WebSocketServer | SecuredServer

    def __init__(self, server: "Server") -> None:
        ServerDriver.__init__(self, server.registry)
        self._server = server
        self._timer: asyncio.TimerHandle | None = None
        self._admission: asyncio.Task[None] | None = None
        self._paused = _READING

    def now(self) -> float:
        """The loop's time."""
        return self._server.loop.time()

    def peer(self) -> Peer:
        """Who is at the other end."""
        name = self._transport.get_extra_info("peername")
        return Peer(address_of(name), self._wire.tls if isinstance(self._wire, SecuredServer) else None)

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, or cut off one too many."""
        self._transport = cast(asyncio.Transport, transport)
        self._wire = self._server.wire(self.now())
        if self._registry.enter(self):
            self._arm()
        else:
            self.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to. One buffer for all: what it holds is consumed before the loop reads again."""
        del sizehint
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came."""
        now = self._server.loop.time()
        self._wire.receive_data(self._server.buffer[:nbytes], now)
        self._pump(now)

    def eof_received(self) -> None:
        """The station will send no more; the transport closes after what is still to be written."""
        now = self.now()
        self._wire.receive_eof(now)
        self._pump(now)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        del exc
        self.eof_received()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._admission is not None:
            self._admission.cancel()
        self._registry.leave(self)

    def pause_writing(self) -> None:
        """The station does not read: neither do we (its next request would only add to the pile)."""
        self._pause(_Pause.UNREAD, on=True)

    def resume_writing(self) -> None:
        """The station reads again."""
        self._pause(_Pause.UNREAD, on=False)

    def hold(self, on: bool) -> None:
        """Stop, or go on, to read from the station."""
        self._pause(_Pause.SESSION, on=on)

    def _pause(self, reason: _Pause, *, on: bool) -> None:
        self._paused = self._paused | reason if on else self._paused & ~reason
        if self._transport.is_closing():
            return
        if self._paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # What the driver wants.

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._transport.abort()

    def _write(self, out: list[bytes]) -> None:
        transport = self._transport
        if transport.is_closing():
            return
        transport.write(out[0] if len(out) == 1 else b"".join(out))
        if transport.get_write_buffer_size() > self._registry.limits.unsent_bytes:
            _log.warning("%s does not read: cut off", self.identity)
            transport.abort()

    def _close_transport(self) -> None:
        transport = self._transport
        transport.close()
        if transport.get_write_buffer_size():  # a station that never reads would keep it open for ever
            self._server.loop.call_later(self._registry.config.close_timeout, transport.abort)

    def _arm(self) -> None:
        at, timer = self._next_timer(), self._timer
        if at is None or (timer is not None and timer.when() <= at):
            return  # a timer that fires early costs less than one that is cancelled
        if timer is not None:
            timer.cancel()
        self._timer = self._server.loop.call_at(at, self._alarm)

    def _alarm(self) -> None:
        timer, self._timer = self._timer, None
        assert timer is not None
        self._timer_due(max(timer.when(), self.now()))  # a loop's clock may lag behind its timers

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._admission = self._server.loop.create_task(work)


class Server:
    """A listening CSMS. Made by :func:`serve`; an async context manager that closes in good order."""

    def __init__(self, registry: Registry, ssl_context: ssl.SSLContext | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.registry = registry
        self.ssl_context = ssl_context
        """For connections to come; set a new one when a certificate was renewed. None: without TLS."""
        self.buffer = memoryview(bytearray(_READ_SIZE))
        self._listener: asyncio.Server | None = None
        self._empty = asyncio.Event()
        registry.emptied = self._empty.set

    @property
    def port(self) -> int:
        """The port of the first listening socket."""
        assert self._listener is not None
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def connections(self) -> Mapping[str, ServerDriver]:
        """The open links, by identity; a live view."""
        return self.registry.connections

    def wire(self, now: float) -> WebSocketServer | SecuredServer:
        """The machine of a new connection."""
        if self.ssl_context is None:
            return WebSocketServer(self.registry.config, now)
        return SecuredServer(self.registry.config, now, self.ssl_context)

    async def listen(self, **options: Any) -> None:
        """Begin to listen; the options are those of ``loop.create_server``."""
        self._listener = await self.loop.create_server(lambda: Connection(self), **options)

    async def close(self, *, grace: float = 15.0) -> None:
        """Stop listening, close every link with 1001; after ``grace`` seconds cut those that are left."""
        if self._listener is not None:
            self._listener.close()
        self.registry.close()
        self._empty.clear()
        if self.registry.empty:
            return
        try:
            async with asyncio.timeout(grace):
                await self._empty.wait()
        except TimeoutError:
            self.registry.abort()
            await self._empty.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def serve(
    admit: Admit,
    host: str | None = None,
    port: int = 0,
    *,
    ssl_context: ssl.SSLContext | None = None,
    config: ServerConfig | None = None,
    limits: Limits | None = None,
    **options: Any,
) -> Server:
    """Listen for stations.

    Arguments:
        admit: decides on each handshake, with a session or a refusal; may be a coroutine function.
        host: where to listen; None: everywhere.
        port: 0: any that is free, see :attr:`Server.port`.
        ssl_context: for ``wss://``; best a policy's (:mod:`ocpp_adapters.tls_policy`).
        config: of every link.
        limits: how much to take on.
        options: further ones for ``loop.create_server``: ``reuse_port``, ``backlog``, ``sock`` ...

    Raises:
        OSError: it cannot listen there.
    """
    server = Server(Registry(admit, config, limits), ssl_context)
    if host is None and port == 0 and "sock" not in options:
        options["sock"] = listener_at(None, 0)  # else IPv4 and IPv6 would be given a port each
    else:
        options |= {"host": host, "port": port}
    await server.listen(**options)
    return server


class AsyncioConcurrency:
    """Events and tasks of asyncio, for :class:`~ocpp_adapters.rpc_link.RpcLink`."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def event(self) -> asyncio.Event:
        """A new event."""
        return asyncio.Event()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)


class DiskThread:
    """One thread that works for asyncio; for :class:`~ocpp_adapters.stores.GroupCommitter`."""

    __slots__ = ("_executor", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(1, "ocpp-disk")

    def submit(self, work: Callable[[], Finish]) -> None:
        """Work in the thread, finish in the loop."""
        future = self._loop.run_in_executor(self._executor, work)
        future.add_done_callback(lambda done: done.result()())

    def close(self) -> None:
        """Wait for what was begun."""
        self._executor.shutdown()
