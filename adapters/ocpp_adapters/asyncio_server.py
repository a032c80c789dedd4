"""The CSMS's end of many WebSockets on native asyncio: no task per connection, no task per message.

Bytes are read into one buffer that all connections share, everything that one read led to leaves in one
write, and a connection has at most one timer, which is moved by letting it fire early. A station that does
not read is not read from either.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Coroutine, Mapping
from enum import Flag, auto
from types import MappingProxyType, TracebackType
from typing import Any, Self, cast

from ocpp_core.wire import (
    Action,
    Closed,
    CloseTransport,
    HandshakeReceived,
    LinkState,
    Opened,
    SendBytes,
    ServerConfig,
    Text,
    WebSocketServer,
    WireNotice,
)

from .sessions import GOING_AWAY, REPLACED, Admit, Decision, Limits, Peer, Reject, Session

_READ_SIZE = 256 << 10
_log = logging.getLogger(__name__)
_NOBODY = Session()


class _Pause(Flag):
    """Why a station is not read from."""

    UNREAD = auto()
    """It does not read what we wrote."""
    SESSION = auto()
    """Its session has enough to do."""


_READING = _Pause(0)


class Connection(asyncio.BufferedProtocol):
    """One station's connection; a :class:`~ocpp_adapters.sessions.TextLink` once it is open."""

    __slots__ = (
        "_admission",
        "_busy",
        "_handshaking",
        "_paused",
        "_server",
        "_session",
        "_timer",
        "_transport",
        "_wire",
        "identity",
        "subprotocol",
    )

    _transport: asyncio.Transport
    _wire: WebSocketServer

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._session: Session = _NOBODY
        self._timer: asyncio.TimerHandle | None = None
        self._admission: asyncio.Task[None] | None = None
        self._handshaking = True
        self._busy = False
        self._paused = _READING
        self.identity = ""
        self.subprotocol = ""

    # What a session may ask for.

    def send_text(self, text: str) -> None:
        """Send one text message; dropped if the link is no longer open."""
        if self._wire.state is LinkState.OPEN:
            now = self._server.loop.time()
            self._wire.send_text(text, now)
            self._pump(now)

    def close(self, code: int, reason: str) -> None:
        """Begin to close the link; harmless if it closes already."""
        now = self._server.loop.time()
        self._wire.close(code, reason, now)
        self._pump(now)

    def now(self) -> float:
        """The loop's time."""
        return self._server.loop.time()

    def hold(self, on: bool) -> None:
        """Stop, or go on, to read from the station."""
        self._pause(_Pause.SESSION, on)

    def rearm(self) -> None:
        """Look at the session's ``next_timer()`` again."""
        if not self._busy:
            self._arm()

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, or cut off one too many."""
        self._transport = transport = cast(asyncio.Transport, transport)
        now = self._server.loop.time()
        self._wire = WebSocketServer(self._server.config, now)
        if self._server.enter(self):
            self._arm()
        else:
            transport.abort()

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
        now = self._server.loop.time()
        self._wire.receive_eof(now)
        self._pump(now)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        del exc
        now = self._server.loop.time()
        self._wire.receive_eof(now)
        self._pump(now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._admission is not None:
            self._admission.cancel()
        self._server.leave(self)

    def pause_writing(self) -> None:
        """The station does not read: neither do we (its next request would only add to the pile)."""
        self._pause(_Pause.UNREAD, True)

    def resume_writing(self) -> None:
        """The station reads again."""
        self._pause(_Pause.UNREAD, False)

    def _pause(self, reason: "_Pause", on: bool) -> None:
        self._paused = self._paused | reason if on else self._paused & ~reason
        if self._transport.is_closing():
            return
        if self._paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # The loop: mutate, drain, mutate, drain.

    def _pump(self, now: float) -> None:
        """Carry out what the wire wants until it wants nothing, then write once.

        A session may send from within a callback: that lands here again, and is picked up by the outer turn.
        """
        if self._busy:
            return
        self._busy = True
        out: list[bytes] = []
        while actions := self._wire.actions():
            for action in actions:
                if type(action) is Text:
                    try:
                        self._session.receive_text(action.text, now)
                    except Exception as error:
                        self._failed(error, now)
                elif type(action) is SendBytes:
                    out.append(action.data)
                else:
                    self._perform(action, out, now)
        self._busy = False
        if out:
            self._write(out)
        self._arm()

    def _perform(self, action: Action, out: list[bytes], now: float) -> None:
        match action:
            case HandshakeReceived():
                self._ask(action, now)
            case Opened(subprotocol):
                self._open(subprotocol or "", now)
            case CloseTransport(abort):
                self._write(out)
                out.clear()
                self._close_transport(abort=abort)
            case Closed():
                self._detach(action, now)
            case WireNotice(kind, detail):
                _log.info("%s %s: %s: %s", self.identity, _address(self._transport), kind, detail)

    def _write(self, out: list[bytes]) -> None:
        transport = self._transport
        if transport.is_closing():
            return
        transport.write(out[0] if len(out) == 1 else b"".join(out))
        if transport.get_write_buffer_size() > self._server.limits.unsent_bytes:
            _log.warning("%s does not read: cut off", self.identity)
            transport.abort()

    def _close_transport(self, *, abort: bool) -> None:
        transport = self._transport
        if abort:
            transport.abort()
            return
        transport.close()
        if transport.get_write_buffer_size():  # a station that never reads would keep it open for ever
            self._server.loop.call_later(self._server.config.close_timeout, transport.abort)

    def _failed(self, error: Exception, now: float) -> None:
        """The application raised: this link ends, the others go on."""
        context = {"message": "a session failed", "exception": error, "protocol": self}
        self._server.loop.call_exception_handler(context)
        if self._wire.state is LinkState.ANSWERING:
            self._wire.reject(500, now, "internal error")
        else:
            self._wire.close(1011, "internal error", now)

    # Timers.

    def _arm(self) -> None:
        at, other = self._wire.next_timer(), self._session.next_timer()
        if at is None or (other is not None and other < at):
            at = other
        timer = self._timer
        if at is None or (timer is not None and timer.when() <= at):
            return  # a timer that fires early costs less than one that is cancelled
        if timer is not None:
            timer.cancel()
        self._timer = self._server.loop.call_at(at, self._timer_due)

    def _timer_due(self) -> None:
        timer, self._timer = self._timer, None
        assert timer is not None
        now = max(timer.when(), self._server.loop.time())  # a loop's clock may lag behind its timers
        self._wire.handle_timer(now)
        try:
            self._session.handle_timer(now)
        except Exception as error:
            self._failed(error, now)
        self._pump(now)

    # The handshake, and the end.

    def _ask(self, handshake: HandshakeReceived, now: float) -> None:
        self.identity = handshake.identity
        if self._server.full:
            self._wire.reject(503, now, "too many connections")
            return
        try:
            answer = self._server.admit(handshake, _peer(self._transport))
        except Exception as error:
            self._failed(error, now)
            return
        if isinstance(answer, Session | Reject):
            self._answer(answer, now)
        else:
            self._admission = self._server.loop.create_task(self._answer_later(answer))

    async def _answer_later(self, answer: Awaitable[Decision]) -> None:
        try:
            decision = await answer
        except Exception as error:
            now = self._server.loop.time()
            self._failed(error, now)
        else:
            now = self._server.loop.time()
            self._answer(decision, now)
        self._admission = None
        self._pump(now)

    def _answer(self, answer: Decision, now: float) -> None:
        if self._wire.state is not LinkState.ANSWERING:
            return  # it took too long, or the station has gone
        if isinstance(answer, Reject):
            self._wire.reject(answer.status, now, answer.reason)
        else:
            self._session = answer
            self._wire.accept(now)

    def _open(self, subprotocol: str, now: float) -> None:
        self.subprotocol = subprotocol
        self._server.opened(self, now)
        self._handshaking = False
        try:
            self._session.link_opened(self, now)
        except Exception as error:
            self._failed(error, now)

    def replaced(self, now: float) -> None:
        """The station has opened a newer link: the session ends at once, the WebSocket in good order."""
        self._detach(Closed(*REPLACED, clean=False), now)
        self.close(*REPLACED)

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._transport.abort()

    def _detach(self, closed: Closed, now: float) -> None:
        session, self._session = self._session, _NOBODY
        if self._handshaking:
            return  # a session whose link never opened hears nothing
        try:
            session.link_closed(closed, now)
        except Exception as error:
            self._failed(error, now)


class Server:
    """A listening CSMS. Made by :func:`serve`; an async context manager that closes in good order."""

    def __init__(self, admit: Admit, config: ServerConfig, limits: Limits) -> None:
        self.admit = admit
        self.config = config
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.buffer = memoryview(bytearray(_READ_SIZE))
        self._listener: asyncio.Server | None = None
        self._all: set[Connection] = set()
        self._open: dict[str, Connection] = {}
        self._empty = asyncio.Event()
        self._closing = False

    @property
    def connections(self) -> Mapping[str, Connection]:
        """The open links, by identity; a live view."""
        return MappingProxyType(self._open)

    @property
    def port(self) -> int:
        """The port of the first listening socket."""
        assert self._listener is not None
        return int(self._listener.sockets[0].getsockname()[1])

    async def close(self, *, grace: float = 15.0) -> None:
        """Stop listening, close every link with 1001; after ``grace`` seconds cut those that are left."""
        self._closing = True
        if self._listener is not None:
            self._listener.close()
        for connection in list(self._all):
            connection.close(*GOING_AWAY)
        if not self._all:
            return
        try:
            async with asyncio.timeout(grace):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self._all):
                connection.abort()
            await self._empty.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # For connections.

    @property
    def full(self) -> bool:
        """Whether there is no room for a further open link."""
        return len(self._open) >= self.limits.connections

    def enter(self, connection: Connection) -> bool:
        """Take a connection in, unless too many are in their handshake."""
        if self._closing or len(self._all) - len(self._open) >= self.limits.handshakes:
            return False
        self._all.add(connection)
        self._empty.clear()
        return True

    def opened(self, connection: Connection, now: float) -> None:
        """A handshake is over; an older link of the same station gives way."""
        older = self._open.get(connection.identity)
        self._open[connection.identity] = connection
        if older is not None:
            older.replaced(now)

    def leave(self, connection: Connection) -> None:
        """A connection is gone."""
        self._all.discard(connection)
        if self._open.get(connection.identity) is connection:
            del self._open[connection.identity]
        if not self._all:
            self._empty.set()

    async def listen(self, **options: Any) -> None:
        """Begin to listen; the options are those of ``loop.create_server``."""
        self._listener = await self.loop.create_server(lambda: Connection(self), **options)


async def serve(
    admit: Admit,
    host: str | None = None,
    port: int = 0,
    *,
    ssl: ssl.SSLContext | None = None,
    config: ServerConfig | None = None,
    limits: Limits | None = None,
    **options: Any,
) -> Server:
    """Listen for stations.

    Arguments:
        admit: decides on each handshake, with a session or a refusal; may be a coroutine function.
        host: where to listen; None: everywhere.
        port: 0: any that is free, see :attr:`Server.port`.
        ssl: for ``wss://``.
        config: of every link.
        limits: how much to take on.
        options: further ones for ``loop.create_server``: ``reuse_port``, ``backlog``, ``sock`` ...

    Raises:
        OSError: it cannot listen there.
    """
    server = Server(admit, config or ServerConfig(), limits or Limits())
    await server.listen(host=host, port=port, ssl=ssl, **options)
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


def _address(transport: asyncio.Transport) -> tuple[str, int] | None:
    name = transport.get_extra_info("peername")
    return (name[0], name[1]) if isinstance(name, tuple) else None


def _peer(transport: asyncio.Transport) -> Peer:
    return Peer(_address(transport), transport.get_extra_info("ssl_object"))
