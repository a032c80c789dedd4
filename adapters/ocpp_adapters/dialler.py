"""Getting a connection to a CSMS: look up, race the addresses (RFC 8305), ask a proxy; without any I/O.

A :class:`Dialler` has the verbs of every machine: give it what happened, carry out its ``actions()``, call
``handle_timer()`` when ``next_timer()`` says so. It ends with :class:`Connected` or :class:`DialFailed`; each
attempt that it began by :class:`Connect` is by then told as failed, abandoned, or the one that is connected.
"""

import errno
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, TypeAlias

from ocpp_core import LocalProtocolError

from .binding import DialError, SocketAddress, dial_error, family_of, is_address
from .proxy import Tunnel, authority
from .routes import Route

ADDRESSES: Final = 16
"""Addresses of one host that are tried at most."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Look a host up, for stream sockets; answer ``looked_up`` or ``lookup_failed``."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Connect:
    """Begin to connect a bound socket to an address; answer ``connected`` or ``failed``."""

    number: int
    family: int
    address: SocketAddress


@dataclass(frozen=True, slots=True)
class Abandon:
    """Close the socket of an attempt, whatever has become of it."""

    number: int


@dataclass(frozen=True, slots=True)
class Send:
    """Send bytes by a connection, and read from it: ``receive_data``, ``receive_eof``."""

    number: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Connected:
    """This connection is the one. The last action."""

    number: int


@dataclass(frozen=True, slots=True)
class DialFailed:
    """There is none. The last action."""

    error: DialError


Action: TypeAlias = Lookup | Connect | Abandon | Send | Connected | DialFailed


class _Stage(Enum):
    LOOKUP = auto()
    RACE = auto()
    TUNNEL = auto()
    OVER = auto()


class Dialler:
    """One attempt to get a connection by a route, within its ``handshake_timeout``.

    A numeric address is not looked up. Where the connection has a source address, addresses of the other
    family are left out. Addresses of both families take turns, beginning with the system's first; the next
    one is tried when one has failed, or after the route's ``attempt_delay``. The first that connects wins.
    With a proxy all this is about the proxy, which is then asked to connect.
    """

    __slots__ = (
        "_actions",
        "_deadline",
        "_failures",
        "_host",
        "_next_at",
        "_number",
        "_port",
        "_route",
        "_stage",
        "_target",
        "_tunnel",
        "_under_way",
        "_waiting",
    )

    def __init__(self, route: Route, now: float) -> None:
        hop = route.config.endpoint if route.proxy is None else route.proxy
        self._route = route
        self._host, self._port = hop.host, hop.port
        name = authority(hop.host, hop.port)
        self._target = name if route.proxy is None else f"proxy {name}"
        self._deadline = now + route.config.handshake_timeout
        self._stage = _Stage.LOOKUP
        self._waiting: deque[tuple[int, SocketAddress]] = deque()
        self._next_at: float | None = None
        self._number = 0
        self._under_way: dict[int, SocketAddress] = {}
        """The addresses of attempts; in the end that of the winner only."""
        self._failures: list[tuple[str, DialError]] = []
        self._tunnel: Tunnel | None = None
        self._actions: list[Action] = []
        if is_address(self._host):
            self._race([(family_of(self._host), _socket_address(self._host, self._port))], now)
        else:
            self._actions.append(Lookup(self._host, self._port))

    def actions(self) -> list[Action]:
        """Everything to do since the last call, in order."""
        actions, self._actions = self._actions, []
        return actions

    def next_timer(self) -> float | None:
        """When ``handle_timer`` must be called; None: it is over."""
        if self._stage is _Stage.OVER:
            return None
        return self._deadline if self._next_at is None else min(self._next_at, self._deadline)

    # What happens. What comes too late is of no consequence.

    def looked_up(self, addresses: Sequence[tuple[int, SocketAddress]], now: float) -> None:
        """The addresses of the host, (family, socket address) each, in the system's order of preference."""
        if self._stage is _Stage.LOOKUP:
            self._race(addresses, now)

    def lookup_failed(self, error: DialError, now: float) -> None:
        """The host cannot be looked up."""
        if self._stage is _Stage.LOOKUP:
            self._fail(error)

    def connected(self, number: int, now: float) -> None:
        """An attempt has connected."""
        if not self._is_under_way(number):
            return
        self._waiting.clear()
        self._next_at = None
        for other in [it for it in self._under_way if it != number]:
            self._abandon(other)
        if self._route.proxy is None:
            self._win(number)
            return
        self._stage = _Stage.TUNNEL
        endpoint = self._route.config.endpoint
        self._tunnel = Tunnel(self._route.proxy, endpoint.server_name, endpoint.port)
        self._actions.append(Send(number, self._tunnel.request))

    def failed(self, number: int, error: DialError, now: float) -> None:
        """An attempt has failed, its socket is closed; or the connection of a proxy is broken."""
        if not self._is_under_way(number):
            return
        address = self._under_way.pop(number)
        if self._stage is _Stage.TUNNEL:
            self._fail(self._named(error))
            return
        self._failures.append((str(address[0]), error))
        if self._waiting:
            self._connect(now)
        elif not self._under_way:
            self._fail(self._summary())

    def receive_data(self, data: bytes, now: float) -> None:
        """Bytes came by the connection to the proxy."""
        if self._stage is not _Stage.TUNNEL or self._tunnel is None or not data:
            return
        try:
            if self._tunnel.receive_data(data):
                self._win(next(iter(self._under_way)))
        except DialError as error:
            self._fail(error)

    def receive_eof(self, now: float) -> None:
        """The proxy has closed the connection."""
        if self._stage is _Stage.TUNNEL and self._tunnel is not None:
            self._fail(self._tunnel.receive_eof())

    def handle_timer(self, now: float) -> None:
        """A deadline passed; calling early is harmless."""
        if self._stage is _Stage.OVER:
            return
        if now >= self._deadline:
            self._time_out()
        elif self._next_at is not None and now >= self._next_at:
            self._connect(now)

    # The race.

    def _race(self, addresses: Sequence[tuple[int, SocketAddress]], now: float) -> None:
        self._stage = _Stage.RACE
        family = self._route.binding.family
        usable = [it for it in dict.fromkeys(addresses) if family in (None, it[0])]
        self._waiting.extend(_interleaved(usable)[:ADDRESSES])
        if self._waiting:
            self._connect(now)
        else:
            self._fail(self._no_address(family))

    def _connect(self, now: float) -> None:
        family, address = self._waiting.popleft()
        self._number += 1
        self._under_way[self._number] = address
        self._next_at = now + self._route.attempt_delay if self._waiting else None
        self._actions.append(Connect(self._number, family, address))

    def _is_under_way(self, number: int) -> bool:
        if not 0 < number <= self._number:
            raise LocalProtocolError(f"there was no attempt {number}")
        return number in self._under_way

    def _abandon(self, number: int) -> None:
        del self._under_way[number]
        self._actions.append(Abandon(number))

    # The end.

    def _win(self, number: int) -> None:
        self._stage = _Stage.OVER
        self._under_way.clear()
        self._actions.append(Connected(number))

    def _fail(self, error: DialError) -> None:
        self._stage = _Stage.OVER
        self._waiting.clear()
        for number in list(self._under_way):
            self._abandon(number)
        self._actions.append(DialFailed(error))

    def _time_out(self) -> None:
        patience = f"within {self._route.config.handshake_timeout:g} s"
        if self._stage is _Stage.RACE:
            unanswered = dial_error(errno.ETIMEDOUT, f"no answer {patience}")
            self._failures += [(str(address[0]), unanswered) for address in self._under_way.values()]
            self._fail(self._summary())
        elif self._stage is _Stage.TUNNEL:
            self._fail(dial_error(errno.ETIMEDOUT, f"{self._target} does not answer {patience}"))
        else:
            words = f"{self._host} was not looked up {patience}: does the DNS server answer?"
            self._fail(dial_error(errno.ETIMEDOUT, words))

    def _no_address(self, family: socket.AddressFamily | None) -> DialError:
        if family is None:
            return self._named(dial_error(errno.EADDRNOTAVAIL, "it has no address"))
        kind = "IPv4" if family is socket.AF_INET else "IPv6"
        words = f"it has no {kind} address to reach from {self._route.binding.source}"
        return self._named(dial_error(errno.EAFNOSUPPORT, words))

    def _named(self, error: DialError) -> DialError:
        return dial_error(error.errno, f"{self._target}: {error}")

    def _summary(self) -> DialError:
        """One error of those of all addresses: the first is the one that most can be done about."""
        failures = sorted(self._failures, key=lambda failure: _rank(failure[1]))
        hosts: dict[str, list[str]] = {}
        for host, error in failures:
            hosts.setdefault(str(error), []).append(host)
        told = [
            words if where == [self._host] else f"{words} ({', '.join(where)})"
            for words, where in hosts.items()
        ]
        return self._named(dial_error(failures[0][1].errno, "; ".join(told)))


_HELPFUL: Final = (
    errno.ENODEV,
    errno.EPERM,
    errno.EACCES,
    errno.ENOPROTOOPT,
    errno.EADDRNOTAVAIL,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EAFNOSUPPORT,
)
"""Told in this order: our own configuration, then who has answered, last a family that is not there."""


def _rank(error: DialError) -> int:
    return _HELPFUL.index(error.errno) if error.errno in _HELPFUL else len(_HELPFUL)


def _interleaved(addresses: Sequence[tuple[int, SocketAddress]]) -> list[tuple[int, SocketAddress]]:
    """The families in turns, beginning with that of the first (RFC 8305 §4)."""
    families: dict[int, deque[tuple[int, SocketAddress]]] = {}
    for family, address in addresses:
        families.setdefault(family, deque()).append((family, address))
    order: list[tuple[int, SocketAddress]] = []
    while any(families.values()):
        order += [waiting.popleft() for waiting in families.values() if waiting]
    return order


def _socket_address(host: str, port: int) -> SocketAddress:
    """A numeric address as the socket module has it; a zone is left for the system to look up."""
    return (host, port, 0, 0) if ":" in host else (host, port)
