"""Sockets that a :class:`~ocpp_adapters.poll.Poll` looks after: links, and connections on their way."""

import errno
import math
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any, Final, TypeAlias

from .poll import Poll
from .routes import Route
from .socket_link import SocketDriver, now

_CHUNK: Final = 16 << 10
"""Bytes read at a time: what they hold is handled within one step."""
_UNDER_WAY: Final = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY}

Connected: TypeAlias = Callable[[socket.socket | OSError, ssl.SSLContext | None], None]
"""Called once, with a connection, and the context if TLS is to be put on it, or with why there is none."""


class Carried:
    """A link looked after by a poll; ``ended`` is called when its socket is closed."""

    __slots__ = ("_driver", "_ended", "_poll", "_socket", "armed")

    def __init__(self, poll: Poll, driver: SocketDriver, ended: Callable[[], None]) -> None:
        self.armed = math.inf
        self._poll = poll
        self._driver = driver
        self._ended = ended
        self._socket = driver.socket
        self._socket.setblocking(False)
        driver.stir = self._stir
        poll.watch(self._socket, 0, self._ready)
        driver.begin()

    def _stir(self) -> None:
        self._poll.changed(self)

    def due(self) -> float | None:
        """When the driver has a deadline."""
        return None if self._driver.ended else self._driver.due()

    def handle_timer(self, now: float) -> None:
        """Tell the driver."""
        self._driver.handle_timer(now)

    def settle(self) -> None:
        """Write what can be written, watch for what is wanted, close what is over."""
        driver = self._driver
        if self._socket.fileno() < 0:
            return
        self._write()
        if driver.over:
            driver.lost()
        if driver.ended:
            self._poll.drop(self._socket)
            self._ended()
            return
        wanted = (EVENT_READ if driver.reads else 0) | (EVENT_WRITE if driver.writes else 0)
        self._poll.watch(self._socket, wanted, self._ready)

    def _ready(self, events: int) -> None:
        if events & EVENT_READ:
            self._read()
        self._stir()  # to write, if that is what it is ready for

    def _read(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._driver.received(data)
        else:
            self._driver.lost()

    def _write(self) -> None:
        driver = self._driver
        while driver.writes:
            try:
                count = self._socket.send(driver.unsent())
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                driver.lost()
                return
            driver.sent(count)


class Dialling:
    """A connection on its way, one address of the host after the other, each with its share of the time."""

    __slots__ = (
        "_addresses",
        "_connected",
        "_context",
        "_deadline",
        "_poll",
        "_route",
        "_socket",
        "armed",
    )

    def __init__(self, poll: Poll, route: Route, connected: Connected) -> None:
        self.armed = math.inf
        self._poll = poll
        self._route = route
        self._context: ssl.SSLContext | None = None
        self._connected: Connected | None = connected
        self._deadline: float | None = None
        self._addresses: list[tuple[Any, ...]] = []
        self._socket: socket.socket | None = None
        poll.soon(self._resolve)

    def stop(self) -> None:
        """Give up; nobody is told."""
        self._connected = None
        self._drop()

    def due(self) -> float | None:
        """When the attempt has taken too long."""
        return self._deadline

    def handle_timer(self, now: float) -> None:
        """No connection in time."""
        del now
        self._failed(TimeoutError("no connection in time"))

    def settle(self) -> None:
        """Nothing but its deadline changes."""

    def _resolve(self) -> None:
        """A step of its own: the system may take its time, unless the address is numeric."""
        if self._connected is None:
            return
        endpoint = self._route.config.endpoint
        try:
            self._context = self._route.context()
            found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        except OSError as error:
            self._tell(error)
            return
        self._addresses = [(family, address) for family, _, _, _, address in found]
        self._next()

    def _next(self) -> None:
        family, address = self._addresses.pop(0)
        self._deadline = now() + self._route.config.handshake_timeout / (len(self._addresses) + 1)
        self._poll.changed(self)
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no such address family here
            self._failed(error)
            return
        self._poll.watch(self._socket, 0, self._ready)
        self._socket.setblocking(False)
        status = self._socket.connect_ex(address)
        if status in _UNDER_WAY:
            self._poll.watch(self._socket, EVENT_WRITE, self._ready)
        else:
            self._failed(OSError(status, os.strerror(status)))

    def _ready(self, events: int) -> None:
        del events
        connection = self._socket
        assert connection is not None
        status = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            self._failed(OSError(status, os.strerror(status)))
            return
        self._poll.release(connection)
        self._socket = None
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tell(connection)

    def _failed(self, error: OSError) -> None:
        self._drop()
        if self._addresses:
            self._next()
        else:
            self._tell(error)

    def _drop(self) -> None:
        self._deadline = None
        connection, self._socket = self._socket, None
        if connection is not None:
            self._poll.drop(connection)

    def _tell(self, outcome: socket.socket | OSError) -> None:
        self._deadline = None
        connected, self._connected = self._connected, None
        assert connected is not None
        connected(outcome, self._context)
