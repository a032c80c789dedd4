"""The link to the CSMS: when to dial, what to offer, how long to wait (2.x B09/B10, RetryBackOff…)."""

from collections.abc import Callable
from enum import StrEnum

from ...domain.network import NetworkProfile
from ...entropy import fraction
from ...errors import LocalProtocolError
from ...versions import OcppVersion
from ..actions import CloseLink, LinkChanged, NoticeKind, OpenLink
from ..context import Context, Deadline
from .rotation import Rotation

_DIAL = (Deadline.DIAL, 0)
_REDIAL = (Deadline.REDIAL, 0)

NORMAL_CLOSURE = 1000
POLICY_VIOLATION = 1008


class LinkFailure(StrEnum):
    """Why a link could not be opened."""

    UNREACHABLE = "unreachable"
    REFUSED_SUBPROTOCOL = "refused subprotocol"
    UNAUTHORIZED = "unauthorized"
    """The CSMS refused the station's password or certificate."""
    NOT_FOUND = "not found"
    BAD_CERTIFICATE = "bad certificate"
    """The CSMS's."""
    TLS_VERSION = "TLS version"
    """None in common that OCPP allows."""
    TLS_CIPHER_SUITE = "TLS cipher suite"
    """None in common that OCPP allows."""
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
    """Keeps a link open while it is wanted; which one is up to the :class:`Rotation`.

    A link over which the CSMS says nothing although it was asked, or that is gone within the time-out of a
    message, is a failed attempt like one that never opened: else a CSMS that is not there behind its load
    balancer would be dialled without growing waits, and the next network profile never.

    ``offer`` tells which versions to offer by a network profile.
    """

    __slots__ = (
        "_asked",
        "_context",
        "_eager",
        "_failures",
        "_heard",
        "_offer",
        "_offered",
        "_opened_at",
        "_rotation",
        "link",
        "lost_at",
        "profile",
        "version",
        "wanted",
    )

    def __init__(
        self,
        context: Context,
        rotation: Rotation,
        offer: Callable[[NetworkProfile], tuple[OcppVersion, ...]],
    ) -> None:
        self._context = context
        self._rotation = rotation
        self._offer = offer
        self._failures = 0
        self._eager = False
        """Whether to dial anew without back-off once the link that is closing is gone."""
        self._offered: tuple[OcppVersion, ...] = ()
        self._heard = False
        """Whether the CSMS has said anything over this link."""
        self._asked = False
        """Whether it would have had to."""
        self._opened_at = 0.0
        self.link = Link.IDLE
        self.profile = rotation.profile
        """By which the link was dialled last."""
        self.version: OcppVersion | None = None
        self.wanted = context.config.autoconnect
        self.lost_at: float | None = None
        """When the link was last lost; None before it was first open."""

    @property
    def online(self) -> bool:
        """Whether frames can be sent."""
        return self.link is Link.OPEN

    @property
    def message_timeout(self) -> float:
        """Seconds that the CSMS of this link may take to answer."""
        return self.profile.message_timeout or self._context.config.message_timeout

    def connect(self, slot: int | None, now: float) -> None:
        """Want the link, at once; one by another profile than that of ``slot`` is closed first (B10.FR.06).

        Raises :class:`LocalProtocolError` if there is no such profile, or it is not secure enough.
        """
        if slot is not None:
            self._rotation.choose(slot)
        self.wanted = True
        if self.link in (Link.IDLE, Link.WAITING):
            self._dial(now)
        elif self.link is Link.CLOSING:
            self._eager = True
        elif slot not in (None, self.profile.slot):
            self._eager = True
            self._close(NORMAL_CLOSURE, "another network profile")

    def network_lost(self, slot: int | None, now: float) -> None:
        """The network of a profile (None: the one in use) is gone: leave it at once, if there is another.

        Raises :class:`LocalProtocolError` if there is no such profile.
        """
        slot = self.profile.slot if slot is None else self._known(slot)
        moved = self._rotation.network_lost(slot)
        if self.link is Link.WAITING and moved:
            self._context.timers.set(_REDIAL, now)
        elif self.link in (Link.OPEN, Link.DIALING, Link.CLOSING) and slot == self.profile.slot:
            self._eager = self.wanted and (self._eager or moved)
            self._close(NORMAL_CLOSURE, "the network is gone", abort=True)

    def network_back(self, slot: int | None, now: float) -> None:
        """The network of a profile (None: all of them) can be used again: wait no longer.

        Raises :class:`LocalProtocolError` if there is no such profile.
        """
        if slot is not None:
            self._known(slot)
        if self.link is not Link.WAITING:
            self._rotation.network_back(slot, its_turn=False)
            return
        self._rotation.network_back(slot, its_turn=True)
        self._failures = 0
        self._context.timers.set(_REDIAL, now)

    @property
    def networks_gone(self) -> list[int]:
        """The slots of profiles that are passed over, as their network is gone."""
        return self._rotation.gone

    def _known(self, slot: int) -> int:
        slots = [profile.slot for profile in self._context.config.network_profiles]
        if slot not in slots:
            there = ", ".join(map(str, slots))
            raise LocalProtocolError(f"there is no network profile {slot}; there are {there}")
        return slot

    def disconnect(self) -> None:
        """No longer want the link, until :meth:`connect`."""
        self.wanted = self._eager = False
        if self.link in (Link.OPEN, Link.DIALING):
            self._close(NORMAL_CLOSURE, "disconnect")
        elif self.link is Link.WAITING:
            self._context.timers.cancel(_REDIAL)
            self.link = Link.IDLE

    def opened(self, subprotocol: str, now: float) -> OcppVersion | None:
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
        self._context.out.do(LinkChanged(self.version, slot=self.profile.slot))
        self._heard = self._asked = False
        self._opened_at = now
        return self.version

    def heard(self) -> None:
        """The CSMS has said something: there is more behind the WebSocket than its server."""
        if self.online and not self._heard:
            self._heard = True
            self._rotation.connected()

    def asked(self) -> None:
        """A call goes out."""
        self._asked = True

    def unanswered(self) -> bool:
        """The CSMS has not answered what every CSMS answers. Whether it never said a word over this link, and
        so is not there: then the link is closed."""
        if self._heard or not self.online:
            return False
        self._close(NORMAL_CLOSURE, "no answer")
        return True

    def failed(self, reason: LinkFailure, detail: str, now: float) -> None:
        """The adapter could not open the link. Raises :class:`LocalProtocolError` if none was asked for."""
        if self.link not in (Link.DIALING, Link.CLOSING) or self.version is not None:
            raise LocalProtocolError(f"no link is being opened (the link is {self.link})")
        self._gone(f"{reason}: {detail}" if detail else str(reason), now)

    def closed(self, code: int, reason: str, now: float) -> None:
        """The link is gone. Raises :class:`LocalProtocolError` where none was there."""
        if self.link not in (Link.OPEN, Link.CLOSING):
            raise LocalProtocolError(f"there is no link to lose (the link is {self.link})")
        self._gone(f"{code} {reason}".strip(), now)

    def distrusted(self, reason: str) -> None:
        """The CSMS of this link is not who it should be. Raises :class:`LocalProtocolError` without one."""
        if self.link not in (Link.OPEN, Link.CLOSING):
            raise LocalProtocolError(f"there is no link to leave (the link is {self.link})")
        if self.link is Link.OPEN:
            self._close(POLICY_VIOLATION, reason, abort=True)

    def handle(self, deadline: Deadline, now: float) -> None:
        """A deadline of this block passed."""
        if deadline is Deadline.REDIAL:
            self._dial(now)
        else:
            self._close(NORMAL_CLOSURE, "dialling took too long")

    def _dial(self, now: float) -> None:
        timers = self._context.timers
        timers.cancel(_REDIAL)
        timers.set(_DIAL, now + self._context.config.dial_timeout)
        self.link = Link.DIALING
        self.profile = self._rotation.profile
        self._offered = self._offer(self.profile)
        self._context.out.do(OpenLink(self._offered, self.profile.slot, self._rotation.round))

    def _close(self, code: int, reason: str, *, abort: bool = False) -> None:
        self._context.timers.cancel(_DIAL)
        self.link = Link.CLOSING
        self._context.out.do(CloseLink(code, reason, abort))

    def _gone(self, reason: str, now: float) -> None:
        context = self._context
        context.timers.cancel(_DIAL)
        stayed = now - self._opened_at >= self.message_timeout and not self._asked
        served = self.version is not None and (self._heard or stayed)
        if self.version is not None:
            self.lost_at = now
        if served:
            self._failures = 0
            self._rotation.served()
        self.version = None
        context.out.do(LinkChanged(None, reason, self.profile.slot))
        if not self.wanted:
            self.link = Link.IDLE
            return
        self.link = Link.WAITING
        if self._eager:
            self._eager = False
            context.timers.set(_REDIAL, now)
            return
        if not served:
            self._rotation.failed()
        self._failures += 1
        wait = context.config.backoff.wait(self._failures, fraction(context.entropy))
        context.timers.set(_REDIAL, now + wait)
