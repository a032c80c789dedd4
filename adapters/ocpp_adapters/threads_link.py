"""A driver carried by two threads: one reads, one writes and keeps the time. Both block, neither polls."""

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from .poll import Poll
from .poll_dial import Race
from .routes import Route
from .server_driver import Registry
from .socket_link import READ_SIZE, ServerSocket, SocketDriver
from .threads_monitor import Monitor

_log = logging.getLogger(__name__)
_NOTICED: Final = 0.1
"""Seconds after which a connection on its way notices that it is given up."""
_PATIENCE: Final = 1.0
"""Seconds after which a write to a peer that does not read looks at the time again."""


class ThreadSafeServer(ServerSocket):
    """One station's connection; its session's link may be used from any thread."""

    def __init__(
        self,
        sock: socket.socket,
        registry: Registry,
        monitor: Monitor,
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(sock, registry, monitor, ssl_context=ssl_context)
        self._monitor = monitor

    def send_text(self, text: str) -> None:
        """Send one text message; dropped if the link is no longer open."""
        with self._monitor:
            super().send_text(text)

    def close(self, code: int, reason: str) -> None:
        """Begin to close the link; harmless if it closes already."""
        with self._monitor:
            super().close(code, reason)

    def hold(self, on: bool) -> None:
        """Stop, or go on, to read from the peer."""
        with self._monitor:
            super().hold(on)

    def rearm(self) -> None:
        """Look at the session's ``next_timer()`` again."""
        with self._monitor:
            super().rearm()


class Carried:
    """The two threads of one link; made while holding the monitor."""

    def __init__(self, driver: SocketDriver, monitor: Monitor) -> None:
        self._driver = driver
        self._monitor = monitor
        self.done = False
        """Both threads have nothing left to do, the socket is closed."""
        self._changed = monitor.condition()
        self._socket = driver.socket
        self._socket.settimeout(_PATIENCE)
        driver.stir = self._changed.notify_all
        self._writer = threading.Thread(target=self._write_all, name="ocpp-writer", daemon=True)

    def start(self) -> None:
        """Begin. Raises RuntimeError: the system has no thread for it, which is the caller's to end."""
        threading.Thread(target=self.run, name="ocpp-reader", daemon=True).start()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait, holding the monitor, until something that the driver does makes a condition true."""
        self._changed.wait_for(condition)

    def run(self) -> None:
        """Carry the link to its end in this thread, which does not hold the monitor, and one more."""
        try:
            self._writer.start()
            with self._monitor:
                self._driver.begin()
            while data := self._read():
                with self._monitor:
                    self._driver.received(data)
        except RuntimeError as error:
            if self._writer.ident is not None:
                raise
            _log.warning("%s: cut off, there is no thread for it: %s", self._driver.identity, error)
        finally:
            with self._monitor:
                self._driver.lost()
            self._shut()
            if self._writer.ident is not None:
                self._writer.join()
            self._socket.close()
            with self._monitor:
                self.done = True
                self._changed.notify_all()

    def _read(self) -> bytes:
        """The next bytes, when they are wanted; none: the connection has ended."""
        driver = self._driver
        while True:
            with self._monitor:
                while not driver.reads and not driver.over:
                    self._changed.wait()
                if driver.over:
                    return b""
            try:
                return self._socket.recv(READ_SIZE)
            except TimeoutError:
                continue
            except OSError:
                return b""

    def _write_all(self) -> None:
        driver = self._driver
        with self._monitor:
            while not (driver.over or driver.ended):
                now, at = driver.now(), driver.due()
                if at is not None and at <= now:
                    driver.handle_timer(now)
                elif driver.writes:
                    data = driver.unsent()
                    with self._monitor.released():
                        count = self._write(data)
                    driver.sent(count)
                else:
                    self._changed.wait(None if at is None else at - now)
        self._shut()

    def _write(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except TimeoutError:
            return 0
        except OSError:
            self._shut()  # the reader tells
            return len(data)

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


Dial: TypeAlias = Callable[[Route, float], socket.socket]
"""Opens the transport by a route, without TLS, blocking, within so many seconds; raises OSError."""


def dial(route: Route, timeout: float) -> socket.socket:
    """Open the connection of a route, without TLS: through its proxy, bound as it says, the addresses racing.

    Returns a socket that blocks. Raises:
        OSError: there is none; :class:`TimeoutError`: not in so many seconds.
    """
    return Dialling().dial(route, timeout)


class Dialling:
    """A connection that one thread waits for, and any other may give up."""

    def __init__(self) -> None:
        self._stopped = False

    def dial(self, route: Route, timeout: float) -> socket.socket:
        """As :func:`dial`. Raises also :class:`ConnectionAbortedError`: given up."""
        outcome: list[socket.socket | OSError] = []
        limited = replace(route, config=replace(route.config, handshake_timeout=timeout))
        with Poll() as poll:
            Race(poll, limited, outcome.append)
            delay = poll.step()
            while not outcome:
                if self._stopped:
                    raise ConnectionAbortedError("given up")
                poll.wait(min(delay, _NOTICED))
                delay = poll.step()
        (connection,) = outcome
        if isinstance(connection, OSError):
            raise connection
        connection.setblocking(True)
        return connection

    def stop(self) -> None:
        """Give up: the sockets are closed within a tenth of a second, or when the host has been looked up."""
        self._stopped = True
