"""Connections on their way in a :class:`~ocpp_adapters.poll.Poll`: nothing waits but the system's look-up."""

import math
import socket
import ssl
from collections.abc import Callable
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Final, Protocol, TypeAlias

from .binding import DialError, begin, explain, finish, look_up
from .dialler import Abandon, Action, Connect, Connected, DialFailed, Dialler, Lookup, Send
from .poll import Poll
from .routes import Route
from .socket_link import now

_CHUNK: Final = 4 << 10
"""Bytes of a proxy's answer read at a time."""

Told: TypeAlias = Callable[[socket.socket | Exception, ssl.SSLContext | None], None]
"""Called once, with a connection, and the context if TLS is to be put on it, or with why there is none."""


class OnItsWay(Protocol):
    """A connection that may come to be."""

    def stop(self) -> None:
        """Give up; nobody is told."""
        ...


Dial: TypeAlias = Callable[[Poll, Route, Told], OnItsWay]
"""Opens the transport by a route, without TLS, as :class:`Dialling` does."""


class Race:
    """A :class:`Dialler` carried by a poll, each thing that it wants as a piece of work of its own.

    Arguments:
        poll: what it belongs to.
        route: by which to connect.
        raced: called once, with a connection or with why there is none.
    """

    __slots__ = ("_binding", "_dialler", "_over", "_poll", "_raced", "_sockets", "_unsent", "armed")

    def __init__(self, poll: Poll, route: Route, raced: Callable[[socket.socket | DialError], None]) -> None:
        self.armed = math.inf
        self._poll = poll
        self._binding = route.binding
        self._dialler = Dialler(route, now())
        self._raced = raced
        self._sockets: dict[int, socket.socket] = {}
        self._unsent = bytearray()
        self._over = False
        poll.changed(self)

    def stop(self) -> None:
        """Give up; nobody is told."""
        self._over = True
        for sock in self._sockets.values():
            self._poll.drop(sock)
        self._sockets.clear()

    def due(self) -> float | None:
        """When the dialler has a deadline."""
        return None if self._over else self._dialler.next_timer()

    def handle_timer(self, now: float) -> None:
        """Tell the dialler."""
        self._dialler.handle_timer(now)

    def settle(self) -> None:
        """See what the dialler wants."""
        for action in self._dialler.actions():
            self._poll.soon(partial(self._perform, action))

    def _perform(self, action: Action) -> None:
        if self._over:
            return
        match action:
            case Lookup(host, port):
                self._look_up(host, port)
            case Connect():
                self._begin(action)
            case Abandon(number):
                self._close(number)
            case Send(number, data):
                self._unsent += data
                self._poll.watch(self._sockets[number], EVENT_WRITE, partial(self._send, number))
            case Connected(number):
                sock = self._sockets.pop(number)
                self._poll.release(sock)
                self._raced(sock)
            case DialFailed(error):
                self._raced(error)
        self._poll.changed(self)

    def _look_up(self, host: str, port: int) -> None:
        """The system may take its time."""
        try:
            found = look_up(host, port, self._binding)
        except DialError as error:
            self._dialler.lookup_failed(error, now())
        else:
            self._dialler.looked_up(found, now())

    def _begin(self, action: Connect) -> None:
        try:
            sock = begin(self._binding, action.family, action.address)
        except DialError as error:
            self._dialler.failed(action.number, error, now())
            return
        self._sockets[action.number] = sock
        self._poll.watch(sock, EVENT_WRITE, partial(self._finish, action))

    def _finish(self, action: Connect, events: int) -> None:
        del events
        sock = self._sockets[action.number]
        try:
            finish(sock, self._binding, action.address)
        except DialError as error:
            self._failed(action.number, error)
            return
        self._poll.watch(sock, 0, partial(self._receive, action.number))
        self._dialler.connected(action.number, now())
        self._poll.changed(self)

    def _send(self, number: int, events: int) -> None:
        del events
        sock = self._sockets[number]
        try:
            del self._unsent[: sock.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._failed(number, explain(error, self._binding, ""))
            return
        if not self._unsent:
            self._poll.watch(sock, EVENT_READ, partial(self._receive, number))

    def _receive(self, number: int, events: int) -> None:
        del events
        try:
            data = self._sockets[number].recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._failed(number, explain(error, self._binding, ""))
            return
        if data:
            self._dialler.receive_data(data, now())
        else:
            self._dialler.receive_eof(now())
        self._poll.changed(self)

    def _failed(self, number: int, error: DialError) -> None:
        self._close(number)
        self._dialler.failed(number, error, now())
        self._poll.changed(self)

    def _close(self, number: int) -> None:
        sock = self._sockets.pop(number, None)
        if sock is not None:
            self._poll.drop(sock)


class Dialling:
    """A connection on its way: the context that TLS needs, in a step of its own, then a :class:`Race`."""

    __slots__ = ("_connected", "_poll", "_race", "_route", "_stopped")

    def __init__(self, poll: Poll, route: Route, connected: Told) -> None:
        self._poll = poll
        self._route = route
        self._connected = connected
        self._race: Race | None = None
        self._stopped = False
        poll.soon(self._begin)

    def stop(self) -> None:
        """Give up; nobody is told."""
        self._stopped = True
        if self._race is not None:
            self._race.stop()

    def _begin(self) -> None:
        if self._stopped:
            return
        try:
            context = self._route.context()
        except Exception as error:
            self._connected(error, None)
            return
        self._race = Race(self._poll, self._route, lambda outcome: self._connected(outcome, context))
