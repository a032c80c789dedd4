"""A charging station on plain threads: dials, keeps the link, commits, commands the hardware.

As :mod:`ocpp_adapters.anyio_station`, for firmware that blocks. Inputs are given within a turn, from any
thread; the hardware is commanded while the monitor is held, and must not wait for another thread that wants a
turn.
"""

import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from ocpp_core import LocalProtocolError
from ocpp_core.entropy import Entropy
from ocpp_core.messages import Request, Response
from ocpp_core.station import Station

from .routes import Route, Routes, RouteTable
from .sessions import GOING_AWAY, TextLink
from .socket_link import ClientSocket, now
from .station_runner import Hardware, Observer, Runner, StationSession, committer_for, nobody
from .stores import Committer, Store
from .threads_link import Carried, Dial, Dialling
from .threads_monitor import Monitor, finish, monitor_or_own


class Connected(NamedTuple):
    """A connection, and the context that was made for it if TLS is to be put on it."""

    socket: socket.socket
    context: ssl.SSLContext | None


_log = logging.getLogger(__name__)
_HANGING: Final = 4
"""Attempts whose threads wait for the system (a look-up, a key), given up or not; beyond, none begins."""
_GOODBYE: Final = 1.0
"""Seconds for the Close of a link at the end of the context."""


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
        monitor: Monitor,
        entropy: Entropy,
        dial: Dial | None,
    ) -> None:
        super().__init__(station, routes, hardware, observe, committer, monitor)
        self._monitor = monitor
        self._entropy = entropy
        self._dial = dial
        self._dialling: Dialling | None = None
        self._attempts = 0
        """Whose threads have not said yet what came of them."""
        self._changed = monitor.condition()
        self._leaving = False
        self._ended = False

    def now(self) -> float:
        """The system's monotonic time."""
        return now()

    @contextmanager
    def turn(self) -> Iterator[float]:
        """Give the station inputs, from any thread; see :meth:`.Runner.turn`."""
        with self._monitor, super().turn() as moment:
            yield moment

    def call(self, request: Request, *, timeout: float | None = None) -> Response:
        """Call the CSMS and wait for the response, from any thread; it blocks.

        Raises what :meth:`ocpp_adapters.anyio_station.StationRunner.call` raises, and LocalProtocolError
        where the station waits for the caller: in ``observe`` and in the hardware's functions.
        """
        with self._monitor:
            if self._host.busy:
                raise LocalProtocolError("the station waits for this function: call from another thread")
            return self._monitor.run(self._call(request, timeout))

    def power_off(self) -> None:
        """As if the mains had gone: no goodbye, nothing more is carried out."""
        with self._monitor:
            super().power_off()
            self._leaving = self._ended = True
            self._changed.notify_all()

    def run(self) -> None:
        """Keep time until :meth:`leave` or :meth:`power_off`."""
        with self._monitor:
            self._after()
            while not self._ended:
                now, at = self.now(), self.station.next_timer()
                if at is not None and at <= now:
                    self._keep_time(now)
                else:
                    self._changed.wait(None if at is None else at - now)

    def _keep_time(self, now: float) -> None:
        """There is nobody above this thread whom a fault of the hardware's functions could be raised to."""
        try:
            self._timer_due(now)
        except Exception:
            _log.exception("what the station wanted could not be carried out")

    def leave(self) -> None:
        """Close the link and see to it that the rows are durable; then time is no longer kept."""
        with self._monitor:
            if self._ended:
                return
            self._leaving = True
            if self._link is None:
                self._give_up()
            else:
                self._link.close(*GOING_AWAY)
                if not self._changed.wait_for(lambda: self._link is None, _GOODBYE):
                    self._link.abort()
                    self._changed.wait_for(lambda: self._link is None)
            self._changed.wait_for(lambda: not self._host.waits)
            self._ended = True
            self._changed.notify_all()

    def _rearm(self) -> None:
        self._changed.notify_all()

    def forget(self, link: TextLink) -> None:
        """This link is gone; a later one stays."""
        super().forget(link)
        self._changed.notify_all()

    def _open_link(self, route: Route) -> None:
        if self._leaving:
            return
        if self._attempts >= _HANGING:
            self._dial_failed(TimeoutError("earlier attempts still hang, in a look-up or with a key"))
            return
        attempt = Dialling()
        thread = threading.Thread(target=self._connect, args=(route, attempt), name="ocpp-link", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._dial_failed(OSError(f"there is no thread for it: {error}"))
            return
        self._dialling = attempt
        self._attempts += 1

    def _stop_dialling(self) -> None:
        dialling, self._dialling = self._dialling, None
        if dialling is not None:
            dialling.stop()

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            threading.Thread(target=lambda: finish(work()), name="ocpp-vet", daemon=True).start()
        except RuntimeError as error:
            _log.warning("the CSMS's certificate is not asked about: there is no thread for it: %s", error)

    def _connect(self, route: Route, attempt: Dialling) -> None:
        outcome: Connected | Exception
        try:
            context = route.context()
            dial = self._dial or attempt.dial
            outcome = Connected(dial(route, route.config.handshake_timeout), context)
        except Exception as error:
            outcome = error
        with self._monitor:
            self._attempts -= 1
            link = self._arrived(route, attempt, outcome)
            if link is None:
                return
            carried = Carried(link, self._monitor)
        try:
            carried.run()
        finally:
            with self._monitor:
                assert link.outcome is not None
                self._link_over(link, link.outcome)

    def _arrived(
        self, route: Route, attempt: Dialling, outcome: Connected | Exception
    ) -> ClientSocket | None:
        """What an attempt has come to; returns the link, if there is one."""
        if attempt is not self._dialling:
            if isinstance(outcome, Connected):
                outcome.socket.close()
            return None
        self._dialling = None
        if isinstance(outcome, Exception):
            self._dial_failed(outcome)
            return None
        session = StationSession(self)
        try:
            link = ClientSocket(
                outcome.socket, route.config, session, self._entropy, ssl_context=outcome.context
            )
        except Exception as error:
            self._dial_failed(error)
            return None
        self._attach(link)
        return link


@contextmanager
def connect_station(
    station: Station,
    routes: Routes,
    store: Store,
    hardware: Hardware,
    *,
    observe: Observer = nobody,
    ssl_context: ssl.SSLContext | None = None,
    entropy: Entropy = os.urandom,
    dial: Dial | None = None,
    monitor: Monitor | None = None,
) -> Iterator[StationRunner]:
    """Run a station in threads of its own; at the context's end its link is closed, its rows are durable.

    The arguments are those of :func:`ocpp_adapters.anyio_station.connect_station`, but for ``monitor``, for
    stations that share one, and ``dial``, which opens the transport without TLS, and blocks. The station is
    made with :func:`time.monotonic` as its ``now``.
    """
    table = RouteTable(routes, station.config, ssl_context)
    with monitor_or_own(monitor) as monitor:
        runner = StationRunner(
            station,
            table,
            hardware,
            observe,
            committer=committer_for(store, monitor.submit),
            monitor=monitor,
            entropy=entropy,
            dial=dial,
        )
        clock = threading.Thread(target=runner.run, name="ocpp-station", daemon=True)
        clock.start()
        try:
            yield runner
        finally:
            runner.leave()
            clock.join()
