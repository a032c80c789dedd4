"""What the servers have in common: who is connected, who may, and the handshake's answer."""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from ocpp_core.wire import Closed, HandshakeReceived, LinkState, ServerConfig

from .driver import Driver, Wire
from .sessions import GOING_AWAY, REPLACED, Admit, Decision, Limits, Peer, Reject, Session

RELIEF: Final = 0.1
"""Seconds without accepting, where the system has no room for a further connection."""
_log = logging.getLogger(__name__)


class Registry:
    """The connections of one server; ``emptied`` is called when the last one has gone."""

    def __init__(self, admit: Admit, config: ServerConfig | None, limits: Limits | None) -> None:
        self.admit = admit
        self.config = config or ServerConfig()
        self.limits = limits or Limits()
        self.emptied: Callable[[], None] = lambda: None
        self._all: set[ServerDriver] = set()
        self._handshaking: set[ServerDriver] = set()
        self._open: dict[str, ServerDriver] = {}
        self._closing = False

    @property
    def connections(self) -> "Mapping[str, ServerDriver]":
        """The open links, by identity; a live view."""
        return MappingProxyType(self._open)

    @property
    def empty(self) -> bool:
        """Whether nobody is connected."""
        return not self._all

    def full_for(self, identity: str) -> bool:
        """Whether there is no room for a further open link; one that replaces another takes none."""
        return len(self._open) >= self.limits.connections and identity not in self._open

    def enter(self, connection: "ServerDriver") -> bool:
        """Take a connection in, unless too many are in their handshake."""
        if self._closing or len(self._handshaking) >= self.limits.handshakes:
            return False
        self._all.add(connection)
        self._handshaking.add(connection)
        return True

    def opened(self, connection: "ServerDriver", now: float) -> None:
        """A handshake is over; an older link of the same station gives way."""
        self._handshaking.discard(connection)
        older = self._open.get(connection.identity)
        self._open[connection.identity] = connection
        if older is not None:
            older.replaced(now)

    def leave(self, connection: "ServerDriver") -> None:
        """A connection is gone."""
        self._all.discard(connection)
        self._handshaking.discard(connection)
        if self._open.get(connection.identity) is connection:
            del self._open[connection.identity]
        if not self._all:
            self.emptied()

    def close(self) -> None:
        """Take nobody in any more and close every link with 1001."""
        self._closing = True
        for connection in list(self._all):
            connection.close(*GOING_AWAY)

    def abort(self) -> None:
        """Cut every connection."""
        for connection in list(self._all):
            connection.abort()


class ServerWire(Wire, Protocol):
    """A link's machine that asks before it opens."""

    def accept(self, now: float) -> None:
        """Answer the handshake: the station is let in."""
        ...

    def reject(self, status: int, now: float, reason: str = "") -> None:
        """Answer the handshake with an HTTP error."""
        ...


class ServerDriver(Driver):
    """A link of a server: its session comes out of the handshake."""

    __slots__ = ("_registry",)

    _wire: ServerWire

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self._registry = registry

    def peer(self) -> Peer:
        """Who is at the other end."""
        raise NotImplementedError

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine, which raises nothing, for as long as the connection lasts."""
        raise NotImplementedError

    def replaced(self, now: float) -> None:
        """The station has opened a newer link: the session ends at once, the WebSocket in good order."""
        self._end(Closed(*REPLACED, clean=False), now)
        self.close(*REPLACED)

    def _ask(self, handshake: HandshakeReceived, now: float) -> None:
        self.identity = handshake.identity
        if self._registry.full_for(handshake.identity):
            self._wire.reject(503, now, "too many connections")
            return
        try:
            answer = self._registry.admit(handshake, self.peer())
        except Exception as error:
            self._failed(error, now)
            return
        if isinstance(answer, Session | Reject):
            self._answer(answer, now)
        else:
            self._spawn(self._answer_later(answer))

    async def _answer_later(self, answer: Awaitable[Decision]) -> None:
        try:
            decision = await answer
        except Exception as error:
            self._failed(error, self.now())
        else:
            self._answer(decision, self.now())
        self._pump(self.now())

    def _answer(self, answer: Decision, now: float) -> None:
        if self._wire.state is not LinkState.ANSWERING:
            return  # it took too long, or the station has gone
        if isinstance(answer, Reject):
            self._wire.reject(answer.status, now, answer.reason)
        else:
            self._session = answer
            self._wire.accept(now)

    def _open(self, subprotocol: str, now: float) -> None:
        self._registry.opened(self, now)
        super()._open(subprotocol, now)

    def _failed(self, error: Exception, now: float) -> None:
        if self._wire.state is LinkState.ANSWERING:
            _log.error("%s: the admission failed", self.identity, exc_info=error)
            self._wire.reject(500, now, "internal error")
        else:
            super()._failed(error, now)
