"""A charging station on asyncio or trio: dials, keeps the link, commits, commands the hardware.

All decisions are the :class:`~ocpp_core.station.Station`'s. Its inputs are given within a turn, which brings
the time and sees to what follows::

    async with connect_station(station, config, store, hardware) as runner:
        with runner.turn() as now:
            station.plug_in(1, 1, now)
"""

import os
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import ByteStream, TaskGroup

from ocpp_core.entropy import Entropy
from ocpp_core.messages import Request, Response
from ocpp_core.station import Station

from .anyio_link import Alarm, AnyioConcurrency, ClientStream, Dial, dial, in_thread, unwrap
from .routes import Route, Routes, RouteTable
from .station_runner import Hardware, Observer, Runner, StationSession, committer_for, nobody
from .stores import Committer, Store


class StationRunner(Runner):
    """Carries a station's actions out. Made by :func:`connect_station`."""

    def __init__(
        self,
        station: Station,
        routes: RouteTable,
        hardware: Hardware,
        observe: Observer,
        *,
        committer: Committer,
        tasks: TaskGroup,
        entropy: Entropy,
        dial: Dial,
    ) -> None:
        super().__init__(station, routes, hardware, observe, committer, AnyioConcurrency(tasks))
        self._tasks = tasks
        self._entropy = entropy
        self._dial = dial
        self._dialling: anyio.CancelScope | None = None
        self._alarm = Alarm(station.next_timer, self._timer_due)

    def now(self) -> float:
        """The loop's time."""
        return anyio.current_time()

    def power_off(self) -> None:
        """As if the mains had gone: no goodbye, nothing more is carried out, the context ends."""
        super().power_off()
        self._tasks.cancel_scope.cancel()

    async def call(self, request: Request, *, timeout: float | None = None) -> Response:
        """Call the CSMS when its turn comes, and wait for the response; see :meth:`.Station.call`.

        Raises:
            CallFailedError: there is no response, and will be none. LocalProtocolError: no CSMS has accepted
            the station, too many calls wait, or the request is not one to send.
        """
        return await self._call(request, timeout)

    async def run(self) -> None:
        """Keep time until cancelled."""
        self._after()
        await self._alarm.run()

    def _rearm(self) -> None:
        self._alarm.rearm()

    def _open_link(self, route: Route) -> None:
        self._dialling = dialling = anyio.CancelScope()  # now, as the next action may call it off
        self._tasks.start_soon(self._connect, route, dialling)

    def _stop_dialling(self) -> None:
        dialling, self._dialling = self._dialling, None
        if dialling is not None:
            dialling.cancel()

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks.start_soon(work)

    async def _connect(self, route: Route, dialling: anyio.CancelScope) -> None:
        outcome = await self._attempt(route, dialling)
        if dialling is not self._dialling:
            if not isinstance(outcome, Exception):
                await anyio.aclose_forcefully(outcome)  # it came just when it was given up
            return
        self._dialling = None
        if isinstance(outcome, Exception):
            self._dial_failed(outcome)
            return
        link = ClientStream(outcome, route.config, StationSession(self), self._entropy)
        self._attach(link)
        try:
            over = await link.run()
        finally:
            self.forget(link)
        self._link_over(link, over)

    async def _attempt(self, route: Route, dialling: anyio.CancelScope) -> ByteStream | Exception:
        """Dial; a connection, or why there is none."""
        outcome: ByteStream | Exception = TimeoutError("no connection in time")
        try:
            with dialling:
                # Once for the connection, once for TLS, which are to say what is wrong themselves.
                dialling.deadline = anyio.current_time() + 2 * route.config.handshake_timeout
                outcome = await self._dial(route)
        except Exception as error:
            outcome = error
        return outcome


@asynccontextmanager
async def connect_station(
    station: Station,
    routes: Routes,
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
        routes: the connection URL, credentials and limits of its links, and how to get there; the station
            says which versions are offered.
        store: where its rows go: a MemoryStore at once, any other from a worker thread.
        hardware: what it commands.
        observe: sees what happens.
        ssl_context: for routes to ``wss://`` that have none; None: the system's default.
        entropy: of the WebSocket's masking keys; must be cryptographic in the field.
        dial: opens the transport.

    Raises:
        ConfigurationError: a network profile of the station has no route.
    """
    table = RouteTable(routes, station.config, ssl_context)
    try:
        async with anyio.create_task_group() as tasks:
            runner = StationRunner(
                station,
                table,
                hardware,
                observe,
                committer=committer_for(store, in_thread(tasks)),
                tasks=tasks,
                entropy=entropy,
                dial=dial,
            )
            tasks.start_soon(runner.run)
            yield runner
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise unwrap(group) from None
