"""One WebSocket over an anyio byte stream, either role, on asyncio or trio: three tasks around a machine."""

import asyncio
import logging
import math
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeAlias

import anyio
import anyio.to_thread
from anyio.abc import ByteStream, TaskGroup
from anyio.streams.tls import TLSAttribute

from ocpp_core.entropy import Entropy
from ocpp_core.wire import (
    ClientConfig,
    Closed,
    HandshakeFailed,
    LinkState,
    WebSocketClient,
    WebSocketServer,
)

from .anyio_dial import connect as connect
from .anyio_tls import secure
from .driver import Driver
from .routes import Route
from .server_driver import Registry
from .sessions import GOING_AWAY, Limits, Session
from .stores import Finish, Submit
from .tls_failures import diagnose
from .tls_wire import SecuredServer, tls_handshake_failed

_READ_SIZE = 64 << 10
_UNREAD = 256 << 10
"""Bytes not yet written from which on nothing more is read: what comes in would only add to them."""
_GOODBYE = 1.0
"""Seconds for the Close of a link whose task is cancelled."""
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError, OSError)
_log = logging.getLogger(__name__)


def loop_clock() -> Callable[[], float]:
    """The time of the loop that the calling task is on, which may be asked for without a task, too.

    A disk's thread, say, answers by a callback of asyncio's, where anyio knows of no loop.
    """
    try:
        on_asyncio = asyncio.current_task() is not None
    except RuntimeError:
        on_asyncio = False
    return asyncio.get_running_loop().time if on_asyncio else anyio.current_time


class Alarm:
    """A deadline that moves: ``run`` calls ``due(now)`` each time that ``next_timer()`` has passed."""

    __slots__ = ("_due", "_moved", "_next_timer", "_until")

    def __init__(self, next_timer: Callable[[], float | None], due: Callable[[float], None]) -> None:
        self._next_timer = next_timer
        self._due = due
        self._until = math.inf
        self._moved = anyio.Event()

    async def run(self) -> NoReturn:
        """Watch the time until cancelled."""
        while True:
            at = self._next_timer()
            self._until = math.inf if at is None else at
            self._moved = anyio.Event()
            with anyio.CancelScope(deadline=self._until) as sleep:
                await self._moved.wait()
            if sleep.cancelled_caught:
                self._due(max(self._until, anyio.current_time()))  # the clock may lag behind its timers

    def rearm(self) -> None:
        """Look at ``next_timer()`` again; a deadline that has moved back is noticed when it would be due."""
        at = self._next_timer()
        if at is not None and at < self._until:
            self._moved.set()


class StreamDriver(Driver):
    """A driver whose transport is an anyio stream; :meth:`run` is its life.

    The link ends when its peer, its session or ``abort()`` ends it. If ``run`` is cancelled it says goodbye
    with 1001, for a second at most, and its session hears ``link_closed`` before ``run`` is left.
    """

    _tasks: TaskGroup
    _wire: WebSocketServer | WebSocketClient | SecuredServer

    def set_up(self, stream: ByteStream, close_timeout: float, limits: Limits) -> None:
        """The transport's part of construction."""
        self._stream = stream
        self._close_timeout = close_timeout
        self._limits = limits
        self._out = bytearray()
        self._writing = False
        self._finishing = False
        self._aborted = False
        self._held = False
        self._outcome: Closed | HandshakeFailed | None = None
        self._clock = loop_clock()
        self._alarm = Alarm(self._next_timer, self._timer_due)
        self._to_write = anyio.Event()
        self._may_read = anyio.Event()

    def now(self) -> float:
        """The loop's time."""
        return self._clock()

    async def run(self) -> Closed | HandshakeFailed:
        """Drive the link to its end, close the stream, and return how the link ended."""
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._write_all)
                self._tasks.start_soon(self._alarm.run)
                self._pump(self.now())
                await self._read_all()
        finally:
            with anyio.CancelScope(shield=True):
                await self._leave()
        assert self._outcome is not None
        return self._outcome

    async def _read_all(self) -> None:
        while True:
            while self._held or len(self._out) > _UNREAD:
                self._may_read = anyio.Event()
                await self._may_read.wait()
            try:
                data = await self._stream.receive(_READ_SIZE)
            except _GONE as error:
                self._lost(error)
                break
            now = self.now()
            self._wire.receive_data(data, now)
            self._pump(now)
        now = self.now()
        self._wire.receive_eof(now)
        self._pump(now)

    def _lost(self, error: Exception) -> None:
        """The stream has ended."""
        _log.debug("%s: %r", self.identity, error)

    async def _write_all(self) -> None:
        while True:
            while not self._out:
                if self._finishing:
                    self._tasks.cancel_scope.cancel()
                self._to_write = anyio.Event()
                await self._to_write.wait()
            data, self._out = bytes(self._out), bytearray()
            self._writing = True
            try:
                await self._stream.send(data)
            except _GONE as error:
                self._lost(error)
                self.abort()
            self._writing = False
            self._may_read.set()

    async def _leave(self) -> None:
        """Whatever ended the tasks: say goodbye if it was not the link itself, leave nothing open."""
        if self._wire.state is not LinkState.CLOSED and not self._aborted and not self._writing:
            self.close(*GOING_AWAY)
            with anyio.move_on_after(_GOODBYE):
                await self._say_goodbye()
        now = self.now()
        self._wire.receive_eof(now)
        self._pump(now)
        await anyio.aclose_forcefully(self._stream)

    async def _say_goodbye(self) -> None:
        try:
            await self._stream.send(bytes(self._out))
            while self._wire.state is not LinkState.CLOSED:
                data = await self._stream.receive(_READ_SIZE)
                self._wire.receive_data(data, self.now())
        except _GONE:
            _log.debug("%s: gone before the goodbye", self.identity)

    # What the driver wants.

    def hold(self, on: bool) -> None:
        """Stop, or go on, to read from the peer."""
        self._held = on
        self._may_read.set()

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._aborted = True
        self._tasks.cancel_scope.cancel()

    def _write(self, out: list[bytes]) -> None:
        for data in out:
            self._out += data
        self._to_write.set()
        if len(self._out) > self._limits.unsent_bytes:
            _log.warning("%s does not read: cut off", self.identity)
            self.abort()

    def _close_transport(self) -> None:
        self._finishing = True
        self._to_write.set()
        # A peer that never reads would keep it open for ever.
        self._tasks.cancel_scope.deadline = self.now() + self._close_timeout

    def _arm(self) -> None:
        self._alarm.rearm()

    def _end(self, outcome: Closed | HandshakeFailed, now: float) -> None:
        self._outcome = outcome
        super()._end(outcome, now)


class ClientStream(StreamDriver):
    """A station's end of a link."""

    def __init__(self, stream: ByteStream, config: ClientConfig, session: Session, entropy: Entropy) -> None:
        super().__init__(session, config.identity)
        self.set_up(stream, config.close_timeout, Limits())
        self._wire = WebSocketClient(config, entropy, self.now())
        self._tls_error: ssl.SSLError | None = None

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS connection; None if there is none."""
        found: ssl.SSLObject | None = self._stream.extra(TLSAttribute.ssl_object, None)
        return found

    def _lost(self, error: Exception) -> None:
        super()._lost(error)
        if isinstance(error, ssl.SSLError):
            self._tls_error = error

    def _end(self, outcome: Closed | HandshakeFailed, now: float) -> None:
        if self._tls_error is not None and isinstance(outcome, HandshakeFailed):
            # With TLS 1.3 a CSMS refuses a station's certificate after the station's own handshake is over.
            outcome = tls_handshake_failed(diagnose(self._tls_error))
        super()._end(outcome, now)


class AnyioConcurrency:
    """Events and tasks of anyio, for :class:`~ocpp_adapters.rpc_link.RpcLink`."""

    __slots__ = ("_tasks",)

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks

    def event(self) -> anyio.Event:
        """A new event."""
        return anyio.Event()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside everything else."""
        self._tasks.start_soon(await_it, work)


async def await_it(work: Coroutine[Any, Any, None]) -> None:
    """For ``start_soon``, which wants a function."""
    await work


async def end_links(registry: Registry, grace: float) -> None:
    """Take nobody in any more, close every link with 1001; after ``grace`` seconds cut what is left."""
    empty, others = anyio.Event(), registry.emptied

    def emptied() -> None:
        others()
        empty.set()

    registry.emptied = emptied
    registry.close()
    if registry.empty:
        return
    with anyio.move_on_after(grace):
        await empty.wait()
    registry.abort()
    await empty.wait()


def in_thread(tasks: TaskGroup) -> Submit:
    """Work in worker threads. What was begun is ended and told, whatever is cancelled meanwhile.

    Where the system has no thread to give, the loop waits for the disk: better that than rows that are lost.
    """

    async def run(work: Callable[[], Finish]) -> None:
        with anyio.CancelScope(shield=True):
            try:
                finish = await anyio.to_thread.run_sync(work)
            except RuntimeError as error:
                _log.warning("there is no thread for the disk: %s", error)
                finish = work()
        finish()

    def submit(work: Callable[[], Finish]) -> None:
        tasks.start_soon(run, work)

    return submit


Dial: TypeAlias = Callable[[Route], Awaitable[ByteStream]]
"""Opens the transport by a route, with TLS for ``wss://``, as :func:`dial` does."""


async def dial(route: Route) -> ByteStream:
    """Connect by a route, with TLS for ``wss://``.

    Raises:
        OSError: nobody is there, or as :func:`~ocpp_adapters.anyio_tls.secure`.
    """
    return await secure(await connect(route), route)


async def dial_in_worker(route: Route) -> ByteStream:
    """As :func:`dial`, but worker threads shake hands: for a key in a TPM, which takes its time to sign."""
    return await secure(await connect(route), route, in_worker=True)


def unwrap(error: BaseException) -> BaseException:
    """What really happened, where a task group wrapped it without need."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
