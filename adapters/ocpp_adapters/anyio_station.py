"""A charging station on asyncio or trio: dials, keeps the link, commits, commands the hardware.

All decisions are the :class:`~ocpp_core.station.Station`'s. Its inputs are given within a turn, which brings
the time and sees to what follows::

    async with connect_station(station, config, store, hardware) as runner:
        with runner.turn() as now:
            station.plug_in(1, 1, now)
"""

import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeAlias

import anyio
from anyio.abc import ByteStream, TaskGroup

from ocpp_core.domain.layout import ConnectorRef
from ocpp_core.domain.metering import Quantity
from ocpp_core.entropy import Entropy
from ocpp_core.rpc import SendFrame
from ocpp_core.station import (
    CloseLink,
    DoLock,
    DoPower,
    LinkFailure,
    OpenLink,
    Station,
    StationAction,
)
from ocpp_core.store import Commit, MemoryStore
from ocpp_core.wire import ClientConfig, Closed, Endpoint, FailureReason, HandshakeFailed, Text

from .anyio_link import Alarm, ClientStream, dial, in_thread, unwrap
from .host import Host
from .sessions import Session, TextLink
from .stores import Committer, Done, Store, attempt, inline

_FAILURES = {
    FailureReason.REFUSED_SUBPROTOCOL: LinkFailure.REFUSED_SUBPROTOCOL,
    FailureReason.UNAUTHORIZED: LinkFailure.UNAUTHORIZED,
    FailureReason.NOT_FOUND: LinkFailure.NOT_FOUND,
    FailureReason.HTTP_STATUS: LinkFailure.HTTP,
    FailureReason.BAD_HANDSHAKE: LinkFailure.HTTP,
    FailureReason.TIMEOUT: LinkFailure.TIMEOUT,
    FailureReason.TRANSPORT: LinkFailure.UNREACHABLE,
}

Observer: TypeAlias = Callable[[StationAction | Text], None]
"""Sees every action as it is carried out, the storage's excepted, and every frame that came as a ``Text``."""

Dial: TypeAlias = Callable[[Endpoint, ssl.SSLContext | None], Awaitable[ByteStream]]


class Hardware(Protocol):
    """The charger behind the station. Plain functions, called in the loop: they start things, nothing
    waits."""

    def meters(self) -> Iterable[tuple[int, tuple[Quantity, ...]]]:
        """The latest readings, (EVSE, quantities) each; asked before every input."""
        ...

    def switch_power(self, evse: int, on: bool) -> None:
        """Close or open a contactor; report ``power_switched`` within a turn when it has."""
        ...

    def lock(self, ref: ConnectorRef, locked: bool) -> None:
        """Lock or unlock a cable."""
        ...


class StationRunner:
    """Carries a station's actions out. Made by :func:`connect_station`."""

    def __init__(
        self,
        station: Station,
        config: ClientConfig,
        hardware: Hardware,
        observe: Observer,
        *,
        committer: Committer,
        tasks: TaskGroup,
        ssl_context: ssl.SSLContext | None,
        entropy: Entropy,
        dial: Dial,
    ) -> None:
        self.station = station
        self._config = config
        self._hardware = hardware
        self._observe = observe
        self._tasks = tasks
        self._ssl_context = ssl_context
        self._entropy = entropy
        self._dial = dial
        self._dialling: anyio.CancelScope | None = None
        self._link: ClientStream | None = None
        self._host = Host(station, committer, self._perform, anyio.current_time, self._settled)
        self._alarm = Alarm(station.next_timer, self._timer_due)

    @contextmanager
    def turn(self) -> Iterator[float]:
        """Give the station inputs: brings the meters up to date, yields ``now``, carries out what follows."""
        now = anyio.current_time()
        self._read_meters(now)
        try:
            yield now
        finally:
            self._after()

    def power_off(self) -> None:
        """As if the mains had gone: no goodbye, nothing more is carried out, the context ends."""
        self._host.stop()
        if self._link is not None:
            self._link.abort()
        self._tasks.cancel_scope.cancel()

    async def run(self) -> None:
        """Keep time until cancelled."""
        self._after()
        await self._alarm.run()

    # Inputs.

    def _read_meters(self, now: float) -> None:
        # What follows may change the flow of energy.
        for evse, quantities in self._hardware.meters():
            self.station.meter(evse, quantities, now)

    def _after(self) -> None:
        self._host.drain()
        self._alarm.rearm()

    def _timer_due(self, now: float) -> None:
        self._read_meters(now)
        self._host.handle_timer(now)

    def _settled(self) -> None:
        if self._link is not None:
            self._link.hold(False)
        self._alarm.rearm()

    # Actions.

    def _perform(self, action: StationAction) -> None:
        match action:
            case SendFrame(text):
                if self._link is not None:
                    self._link.send_text(text)
            case OpenLink():
                self._dialling = dialling = anyio.CancelScope()  # now, as the next action may call it off
                self._tasks.start_soon(self._connect, action, dialling)
            case CloseLink(code, reason):
                if self._link is not None:
                    self._link.close(code, reason)
                elif self._dialling is not None:
                    self._dialling.cancel()
            case DoPower(evse, on):
                self._hardware.switch_power(evse, on)
            case DoLock(ref, locked):
                self._hardware.lock(ref, locked)
        self._observe(action)

    async def _connect(self, action: OpenLink, dialling: anyio.CancelScope) -> None:
        config = replace(self._config, subprotocols=tuple(action.versions))
        failed = await self._attempt(config, dialling)
        if failed is not None:
            with self.turn() as now:
                self.station.link_failed(*failed, now)

    async def _attempt(
        self, config: ClientConfig, dialling: anyio.CancelScope
    ) -> tuple[LinkFailure, str] | None:
        """Dial, and drive the link to its end; returns why it did not open, None if it did."""
        stream: ByteStream | None = None
        try:
            with dialling:
                dialling.deadline = anyio.current_time() + config.handshake_timeout
                stream = await self._dial(config.endpoint, self._ssl_context)
        except ssl.SSLCertVerificationError as error:
            return LinkFailure.BAD_CERTIFICATE, str(error)
        except OSError as error:
            return LinkFailure.UNREACHABLE, str(error)
        finally:
            self._dialling = None
        if stream is None:
            if anyio.current_time() < dialling.deadline:
                return LinkFailure.UNREACHABLE, "given up"
            return LinkFailure.TIMEOUT, "no connection in time"
        self._link = link = ClientStream(stream, config, _StationSession(self), self._entropy)
        try:
            outcome = await link.run()
        finally:
            self.forget(link)
        if isinstance(outcome, HandshakeFailed):
            return _FAILURES[outcome.reason], outcome.detail
        return None

    # For the session of the link.

    def forget(self, link: TextLink) -> None:
        """This link is gone; a later one stays."""
        if self._link is link:
            self._link = None

    def receive(self, text: str, link: TextLink, now: float) -> None:
        """A frame came."""
        self._observe(Text(text))
        self._read_meters(now)
        if self._host.receive(text, now):
            link.hold(True)
        self._alarm.rearm()


class _StationSession(Session):
    """Passes on what the link tells."""

    __slots__ = ("_link", "_runner")

    _link: TextLink

    def __init__(self, runner: StationRunner) -> None:
        self._runner = runner

    def link_opened(self, link: TextLink, now: float) -> None:
        self._link = link
        with self._runner.turn():
            self._runner.station.link_opened(link.subprotocol, now)

    def receive_text(self, text: str, now: float) -> None:
        self._runner.receive(text, self._link, now)

    def link_closed(self, closed: Closed, now: float) -> None:
        self._runner.forget(self._link)
        with self._runner.turn():
            self._runner.station.link_closed(closed.code, closed.reason, now)


def _committer(store: Store, tasks: TaskGroup) -> Committer:
    """Memory at once; anything else from a worker thread, so that the loop does not wait for the disk."""
    if isinstance(store, MemoryStore):
        return inline(store)
    submit = in_thread(tasks)

    def commit(commit: Commit, done: Done) -> None:
        submit(lambda: partial(done, attempt(lambda: store.commit(commit))))

    return commit


def nobody(action: StationAction | Text) -> None:
    """The observer that does not look."""
    del action


@asynccontextmanager
async def connect_station(
    station: Station,
    config: ClientConfig,
    store: Store,
    hardware: Hardware,
    *,
    observe: Observer = nobody,
    ssl_context: ssl.SSLContext | None = None,
    entropy: Entropy = os.urandom,
    dial: Dial = dial,
) -> AsyncIterator[StationRunner]:
    """Run a station in the background of a context; at its end the link is closed and the rows are durable.

    Arguments:
        station: made with ``store.load()`` as its snapshot and ``anyio.current_time()`` as its ``now``.
        config: the connection URL, credentials and limits of its links; the station says which versions are
            offered.
        store: where its rows go: a MemoryStore at once, any other from a worker thread.
        hardware: what it commands.
        observe: sees what happens.
        ssl_context: for ``wss://``; None: the system's default.
        entropy: of the WebSocket's masking keys; must be cryptographic in the field.
        dial: opens the transport.
    """
    try:
        async with anyio.create_task_group() as tasks:
            runner = StationRunner(
                station,
                config,
                hardware,
                observe,
                committer=_committer(store, tasks),
                tasks=tasks,
                ssl_context=ssl_context,
                entropy=entropy,
                dial=dial,
            )
            tasks.start_soon(runner.run)
            yield runner
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise unwrap(group) from None
