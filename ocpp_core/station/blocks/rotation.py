"""Which network profile is tried next (2.x A05, B10)."""

from ...domain.network import NetworkProfile, SecurityProfile
from ...errors import LocalProtocolError
from ..actions import NoticeKind
from ..context import Context
from ..tables import NetworkRow, Table

_KEY = "0"


class Rotation:
    """The network profiles in the order of their priority, and whose turn it is.

    It begins with the first (B10.FR.04). A profile that has failed as often as it may gives way to the next
    one, after the last comes the first again, for ever (B10.FR.03, B10.FR.09): when all have failed, the one
    that connected last, then all the others anew (B10.FR.07, B10.FR.08). After a connection profiles that are
    less secure are out (A05.FR.06), also after a reboot, for as long as one that is as secure is configured:
    only who provisions a station on the spot can lower its security (A00.FR.005).

    A profile whose network is known to be gone is passed over while there is another, but for one round at
    most: whoever said so may be wrong, or forget to say that it is back.
    """

    __slots__ = (
        "_context",
        "_exhausted",
        "_failures",
        "_gone",
        "_level",
        "_order",
        "_place",
        "_rows",
        "round",
    )

    def __init__(self, context: Context, rows: Table[NetworkRow]) -> None:
        self._context = context
        self._rows = rows
        self._order = context.config.network_profiles
        self._place = 0
        self._gone: set[int] = set()
        """Slots whose network is gone."""
        self._failures = 0
        """Of the profile whose turn it is."""
        self._exhausted = 0
        """How many profiles have failed one after the other."""
        self.round = 0
        """How often all of them have, since one led to a CSMS that was there."""
        row = rows.get(_KEY)
        self._level = SecurityProfile.NONE if row is None else row.security_profile
        """How secure the last connection was."""
        self._leave_out_less_secure()

    @property
    def profile(self) -> NetworkProfile:
        """The profile whose turn it is."""
        return self._order[self._place]

    @property
    def gone(self) -> list[int]:
        """The slots that are passed over, as their network is gone."""
        return sorted(self._gone)

    def choose(self, slot: int) -> None:
        """Take the profile of a slot out of turn. Raises :class:`LocalProtocolError` if it cannot be used."""
        slots = [profile.slot for profile in self._order]
        if slot not in slots:
            allowed = ", ".join(map(str, slots))
            raise LocalProtocolError(f"network profile {slot} cannot be used; those that can: {allowed}")
        self._place = slots.index(slot)
        self._gone.discard(slot)
        self._failures = self._exhausted = 0

    def failed(self) -> None:
        """The profile whose turn it is did not connect."""
        self._failures += 1
        if self._failures >= self._context.config.network_attempts:
            self._next()
            self._pass_over()

    def network_lost(self, slot: int) -> bool:
        """The network of a profile is gone; returns whether that makes it another's turn."""
        self._gone.add(slot)
        return self._pass_over()

    def network_back(self, slot: int | None, *, its_turn: bool) -> None:
        """The network of a profile (None: all of them) can be used again; ``its_turn``: it is tried next."""
        if slot is None:
            self._gone.clear()
            return
        self._gone.discard(slot)
        slots = [profile.slot for profile in self._order]
        if its_turn and slot in slots and slot != self.profile.slot:
            self._place = slots.index(slot)
            self._failures = 0

    def _next(self) -> None:
        """The next profile's turn."""
        self._failures = 0
        self._place = (self._place + 1) % len(self._order)
        self._exhausted += 1
        if self._exhausted == len(self._order):
            self._exhausted = 0
            self.round += 1
            self._gone.clear()

    def _pass_over(self) -> bool:
        """Go on to a profile whose network is there, if there is one; returns whether it did."""
        before = self._place
        while self.profile.slot in self._gone and {profile.slot for profile in self._order} - self._gone:
            self._next()
        return self._place != before

    def served(self) -> None:
        """The profile whose turn it is led to a CSMS that was there."""
        self._failures = self._exhausted = self.round = 0

    def connected(self) -> None:
        """The profile whose turn it is connected, and the CSMS is there: let it count for security."""
        level = self.profile.security_profile
        if level is not self._level:
            self._level = level
            self._rows.put(_KEY, NetworkRow(level))
            self._leave_out_less_secure()

    def _leave_out_less_secure(self) -> None:
        kept = tuple(filter(self._secure_enough, self._order))
        if not kept or kept == self._order:
            return
        left_out = ", ".join(str(profile.slot) for profile in self._order if profile not in kept)
        self._context.notice(
            NoticeKind.SECURITY, f"network profile {left_out} is less secure than the one in use: left out"
        )
        profile = self.profile
        self._order = kept
        self._place = kept.index(profile) if profile in kept else 0

    def _secure_enough(self, profile: NetworkProfile) -> bool:
        if profile.security_profile >= self._level:
            return True
        step = (self._level, profile.security_profile)
        downgrade = step == (SecurityProfile.TLS_CERTIFICATE, SecurityProfile.TLS_BASIC)
        return downgrade and self._context.config.allow_security_profile_downgrade
