"""A charging station in a main loop of one's own: dials, keeps the link, commits, commands the hardware.

As :mod:`ocpp_adapters.anyio_station`, for firmware whose one loop also reads buttons and meters::

    poll = Poll()
    runner = connect_station(poll, station, config, store, hardware)
    while True:
        poll.step()
        if cable_came():
            with runner.turn() as now:
                station.plug_in(1, 1, now)
"""

import math
import os
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from ocpp_core.entropy import Entropy
from ocpp_core.messages import Request, Response
from ocpp_core.station import Station

from .poll import Poll, Task
from .poll_dial import Dial, Dialling, OnItsWay
from .poll_link import Carried
from .routes import Route, Routes, RouteTable
from .sessions import GOING_AWAY, TextLink
from .socket_link import ClientSocket, now
from .station_runner import Hardware, Observer, Runner, StationSession, nobody
from .stores import Store, inline


class StationRunner(Runner):
    """Carries a station's actions out. Made by :func:`connect_station`."""

    def __init__(
        self,
        poll: Poll,
        station: Station,
        routes: RouteTable,
        store: Store,
        hardware: Hardware,
        observe: Observer,
        *,
        entropy: Entropy,
        dial: Dial,
    ) -> None:
        super().__init__(station, routes, hardware, observe, inline(store), poll)
        self.armed = math.inf
        self._poll = poll
        self._entropy = entropy
        self._dial = dial
        self._dialling: OnItsWay | None = None
        self._leaving = False
        poll.changed(self)

    @property
    def gone(self) -> bool:
        """After :meth:`leave`: whether the link is closed."""
        return self._leaving and self._link is None

    def call(self, request: Request, *, timeout: float | None = None) -> Task[Response]:
        """Call the CSMS; response and errors are the task's.

        They are those of :meth:`ocpp_adapters.anyio_station.StationRunner.call`.
        """
        return self._poll.spawn(self._call(request, timeout))

    def leave(self) -> None:
        """Close the link, and open no further one; step on until it is :attr:`gone`."""
        self._leaving = True
        if self._link is None:
            self._give_up()
        else:
            self._link.close(*GOING_AWAY)

    def power_off(self) -> None:
        """As if the mains had gone: no goodbye, nothing more is carried out."""
        self._leaving = True
        super().power_off()

    def now(self) -> float:
        """The system's monotonic time."""
        return now()

    def due(self) -> float | None:
        """When the station has a deadline."""
        return None if self.gone else self.station.next_timer()

    def handle_timer(self, now: float) -> None:
        """Tell the station."""
        self._timer_due(now)

    def settle(self) -> None:
        """Carry out what the station wants."""
        self._host.drain()

    def _rearm(self) -> None:
        self._poll.changed(self)

    def _open_link(self, route: Route) -> None:
        if self._leaving:
            return
        try:
            self._dialling = self._dial(self._poll, route, lambda *outcome: self._connected(route, *outcome))
        except Exception as error:
            self._dial_failed(error)

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._poll.spawn(work())

    def _stop_dialling(self) -> None:
        if self._dialling is not None:
            self._dialling.stop()
            self._dialling = None

    def _connected(
        self, route: Route, connection: socket.socket | Exception, context: ssl.SSLContext | None
    ) -> None:
        self._dialling = None
        if isinstance(connection, Exception):
            self._dial_failed(connection)
            return
        session = StationSession(self)
        try:
            link = ClientSocket(connection, route.config, session, self._entropy, ssl_context=context)
        except Exception as error:
            self._dial_failed(error)
            return
        self._attach(link)
        Carried(self._poll, link, lambda: self._over(link))

    def _over(self, link: ClientSocket) -> None:
        assert link.outcome is not None
        self._link_over(link, link.outcome)

    def forget(self, link: TextLink) -> None:
        """This link is gone; a later one stays."""
        super().forget(link)
        self._poll.changed(self)


def connect_station(
    poll: Poll,
    station: Station,
    routes: Routes,
    store: Store,
    hardware: Hardware,
    *,
    observe: Observer = nobody,
    ssl_context: ssl.SSLContext | None = None,
    entropy: Entropy = os.urandom,
    dial: Dial = Dialling,
) -> StationRunner:
    """Run a station in a poll; it begins with the next step.

    Arguments:
        poll: what the station belongs to.
        store: where its rows go, in the step that needs them to be durable: a disk takes its time.
        dial: opens the transport, without TLS; it must not wait.

    The others are those of :func:`ocpp_adapters.anyio_station.connect_station`; the station is made with
    :func:`time.monotonic` as its ``now``. At the end :meth:`StationRunner.leave`.
    """
    table = RouteTable(routes, station.config, ssl_context)
    return StationRunner(poll, station, table, store, hardware, observe, entropy=entropy, dial=dial)
