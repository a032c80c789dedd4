"""What a server puts behind a station's WebSocket, whatever loop and transport carry it.

A server asks its ``admit`` callback about every opening handshake; the answer is a :class:`Session`, which
from then on gets the link's text messages, or a :class:`Reject`. A session is plain synchronous code: the
server calls it in the loop's thread, it never waits. The sessions for the other two levels are built on
this one: :class:`~ocpp_adapters.rpc_link.RpcLink` for typed calls,
:class:`~ocpp_adapters.central.StationLink` for the CSMS machine.
"""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ocpp_core import LocalProtocolError
from ocpp_core.wire import Closed, HandshakeReceived

from .tls_peer import TlsElsewhere


class TextLink(Protocol):
    """An open WebSocket as its session sees it."""

    @property
    def identity(self) -> str:
        """The station's identity, from the path it connected to."""
        ...

    @property
    def subprotocol(self) -> str:
        """What both sides agreed on, as ``ocpp2.0.1``."""
        ...

    def now(self) -> float:
        """The loop's monotonic time in seconds."""
        ...

    def send_text(self, text: str) -> None:
        """Send one text message. Dropped if the link is no longer open: ``link_closed`` tells or has told."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Begin to close; ``link_closed`` tells when it is done. Harmless on a link that closes already."""
        ...

    def hold(self, on: bool) -> None:
        """Stop, or go on, to read from the station: for a session that has enough to do."""
        ...

    def rearm(self) -> None:
        """Look at ``next_timer()`` again: call it when the session changed outside of the server's calls."""
        ...


class Session:
    """The receiver of one link's messages; ``now`` is the loop's monotonic time in seconds.

    An exception raised here closes the link with 1011 and is logged.
    """

    __slots__ = ()

    def link_opened(self, link: TextLink, now: float) -> None:
        """The link is usable; called once, first."""

    def receive_text(self, text: str, now: float) -> None:
        """One complete text message came."""

    def link_closed(self, closed: Closed, now: float) -> None:
        """The link is gone; called once, last, and only after ``link_opened``."""

    def handle_timer(self, now: float) -> None:
        """``next_timer()`` has passed; may be called early."""

    def next_timer(self) -> float | None:
        """When ``handle_timer`` has to be called; None: not at all. Asked after each of the calls above."""
        return None


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the handshake: 404 for an unknown identity, 401 for bad credentials (2.x part 4 §3.3).

    Raises LocalProtocolError for a ``status`` that is no HTTP error.
    """

    status: int
    reason: str = ""

    def __post_init__(self) -> None:
        """Check the status."""
        if not 400 <= self.status <= 599:
            raise LocalProtocolError(f"{self.status} is no HTTP error, those are 400 to 599")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end."""

    address: tuple[str, int] | None
    tls: ssl.SSLObject | TlsElsewhere | None
    """The TLS connection, None if there is none; :func:`.tls_peer.peer_certificate` has the certificate."""


Decision: TypeAlias = Session | Reject
Admit: TypeAlias = Callable[[HandshakeReceived, Peer], Decision | Awaitable[Decision]]
"""Decides on a handshake, at once or later; the handshake's time-out goes on meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a server takes on.

    Arguments:
        connections: open links; a further station is answered 503.
        handshakes: connections whose handshake is not over; a further one is cut off unheard.
        unsent_bytes: bytes that wait for a station to read them; beyond, the link is cut.
    """

    connections: int = 50_000
    handshakes: int = 1_000
    unsent_bytes: int = 4 << 20


REPLACED = (1000, "replaced by a newer connection of the same station")
"""How a link ends whose station opened another one: a station that reconnects knows best that the old is
dead."""
GOING_AWAY = (1001, "going away")
