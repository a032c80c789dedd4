"""The link to the CSMS: when to dial, what to offer, how long to wait (2.x B09/B10, RetryBackOff…)."""

from enum import StrEnum

from ...entropy import fraction
from ...errors import LocalProtocolError
from ...versions import OcppVersion
from ..actions import CloseLink, LinkChanged, NoticeKind, OpenLink
from ..context import Context, Deadline

_DIAL = (Deadline.DIAL, 0)
_REDIAL = (Deadline.REDIAL, 0)

NORMAL_CLOSURE = 1000


class LinkFailure(StrEnum):
    """Why a link could not be opened."""

    UNREACHABLE = "unreachable"
    REFUSED_SUBPROTOCOL = "refused subprotocol"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not found"
    BAD_CERTIFICATE = "bad certificate"
    HTTP = "http"
    TIMEOUT = "timeout"


class Link(StrEnum):
    """Where the link stands."""

    IDLE = "idle"
    """Not wanted."""
    WAITING = "waiting"
    """Until the back-off is over."""
    DIALING = "dialing"
    OPEN = "open"
    CLOSING = "closing"
    """Asked to close, not closed yet."""


class Connectivity:
    """Keeps the link open while it is wanted."""

    __slots__ = ("_context", "_eager", "_failures", "_offered", "link", "lost_at", "version", "wanted")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._failures = 0
        self._eager = False
        """Whether to dial anew without back-off once the link that is closing is gone."""
        self._offered: tuple[OcppVersion, ...] = ()
        self.link = Link.IDLE
        self.version: OcppVersion | None = None
        self.wanted = context.config.autoconnect
        self.lost_at: float | None = None
        """When the link was last lost; None before it was first open."""

    @property
    def online(self) -> bool:
        """Whether frames can be sent."""
        return self.link is Link.OPEN

    def connect(self, versions: tuple[OcppVersion, ...], now: float) -> None:
        """Want the link, at once (one that is closing is dialled anew when it is gone)."""
        self.wanted = True
        if self.link in (Link.IDLE, Link.WAITING):
            self._dial(versions, now)
        elif self.link is Link.CLOSING:
            self._eager = True

    def disconnect(self) -> None:
        """No longer want the link, until :meth:`connect`."""
        self.wanted = self._eager = False
        if self.link in (Link.OPEN, Link.DIALING):
            self._close(NORMAL_CLOSURE, "disconnect")
        elif self.link is Link.WAITING:
            self._context.timers.cancel(_REDIAL)
            self.link = Link.IDLE

    def opened(self, subprotocol: str) -> OcppVersion | None:
        """The adapter opened the link. Returns the version, or None if the link is to be closed again.

        Raises :class:`LocalProtocolError` where no link was asked for.
        """
        if self.link is Link.CLOSING:
            return None
        if self.link is not Link.DIALING:
            raise LocalProtocolError(f"no link was asked for (the link is {self.link})")
        offered = {version.value: version for version in self._offered}
        if subprotocol not in offered:
            self._context.notice(NoticeKind.PEER, f"the CSMS chose {subprotocol!r}, which was not offered")
            self._close(NORMAL_CLOSURE, "subprotocol was not offered")
            return None
        self._context.timers.cancel(_DIAL)
        self.link = Link.OPEN
        self.version = offered[subprotocol]
        self._context.out.do(LinkChanged(self.version))
        self._failures = 0
        return self.version

    def failed(self, reason: LinkFailure, detail: str, now: float) -> None:
        """The adapter could not open the link. Raises :class:`LocalProtocolError` if none was asked for."""
        if self.link not in (Link.DIALING, Link.CLOSING):
            raise LocalProtocolError(f"no link was asked for (the link is {self.link})")
        self._gone(f"{reason}: {detail}" if detail else str(reason), now)

    def closed(self, code: int, reason: str, now: float) -> None:
        """The link is gone. Raises :class:`LocalProtocolError` where none was there."""
        if self.link not in (Link.OPEN, Link.CLOSING):
            raise LocalProtocolError(f"there is no link to lose (the link is {self.link})")
        self._gone(f"{code} {reason}".strip(), now)

    def handle(self, deadline: Deadline, versions: tuple[OcppVersion, ...], now: float) -> None:
        """A deadline of this block passed."""
        if deadline is Deadline.REDIAL:
            self._dial(versions, now)
        else:
            self._close(NORMAL_CLOSURE, "dialling took too long")

    def _dial(self, versions: tuple[OcppVersion, ...], now: float) -> None:
        timers = self._context.timers
        timers.cancel(_REDIAL)
        timers.set(_DIAL, now + self._context.config.dial_timeout)
        self.link = Link.DIALING
        self._offered = versions
        self._context.out.do(OpenLink(versions))

    def _close(self, code: int, reason: str) -> None:
        self._context.timers.cancel(_DIAL)
        self.link = Link.CLOSING
        self._context.out.do(CloseLink(code, reason))

    def _gone(self, reason: str, now: float) -> None:
        context = self._context
        context.timers.cancel(_DIAL)
        if self.version is not None:
            self.lost_at = now
        self.version = None
        context.out.do(LinkChanged(None, reason))
        if not self.wanted:
            self.link = Link.IDLE
            return
        self.link = Link.WAITING
        if self._eager:
            self._eager = False
            context.timers.set(_REDIAL, now)
            return
        self._failures += 1
        wait = context.config.backoff.wait(self._failures, fraction(context.entropy))
        context.timers.set(_REDIAL, now + wait)
