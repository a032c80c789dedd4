"""Registration with the CSMS, and the heartbeat (2.x B01-B03, G02; 1.6 §4.2, §4.6)."""

from ...domain.network import NetworkProfile
from ...domain.status import BootReason, RegistrationStatus
from ...messages import Response
from ...versions import OcppVersion
from ..actions import NoticeKind, RegistrationChanged
from ..context import Accepted, Context, Deadline, Failure, Intent, Work
from ..dialect import StationDialect
from ..tables import BootRow, Table
from .connectivity import Connectivity

_BOOT = (Deadline.BOOT, 0)
_HEARTBEAT = (Deadline.HEARTBEAT, 0)
_LONGEST_INTERVAL = 2**31
"""Seconds: what a CSMS may ask for at most (an integer in JSON has no bound)."""
_LONGEST_SILENCE = 86400.0
"""Seconds without a heartbeat, whatever else is said: it tells the time (G02.FR.07, 1.6 §4.6)."""


class Provisioning:
    """Whether the CSMS takes the station, and when it hears from it next."""

    __slots__ = (
        "_boot_by",
        "_boot_due",
        "_boot_triggered",
        "_boots",
        "_connectivity",
        "_context",
        "_heartbeat_by",
        "_heartbeat_due",
        "_heartbeat_owed",
        "_heartbeat_triggered",
        "_interval",
        "_registered_by",
        "status",
    )

    def __init__(self, context: Context, connectivity: Connectivity, boots: Table[BootRow]) -> None:
        self._context = context
        self._connectivity = connectivity
        self._boots = boots
        self._boot_by: dict[str, float | None] = {}
        """Before when each other CSMS wants no BootNotification."""
        self._boot_due = True
        self._boot_triggered = False
        self._heartbeat_by = 0.0
        self._heartbeat_owed = 0.0
        """When one was due as the link was lost."""
        self._heartbeat_due = False
        self._heartbeat_triggered = False
        self._interval = context.config.heartbeat_interval
        self._registered_by: tuple[OcppVersion, NetworkProfile] | None = None
        self.status: RegistrationStatus | None = None
        """What the CSMS last said; it belongs to the identity and outlives the link (pitfall of B01)."""

    @property
    def accepted(self) -> bool:
        """Whether the station may send what it likes now."""
        return self._connectivity.online and self.status is RegistrationStatus.ACCEPTED

    @property
    def heartbeat_interval(self) -> float:
        """Seconds between heartbeats."""
        return self._interval

    def link_opened(self, version: OcppVersion, profile: NetworkProfile, now: float) -> None:
        """A reconnect needs no new boot while the station is accepted, unless by another version or network
        profile (B10.FR.10)."""
        if self._registered_by != (version, profile):
            if self._registered_by is not None and self._registered_by[1].csms != profile.csms:
                self._change_csms(self._registered_by[1].csms, profile.csms)
            self._registered_by = (version, profile)
            self.status = None
        if self.status is RegistrationStatus.ACCEPTED:
            self._arm_heartbeat(now)
            self._context.timers.set(_HEARTBEAT, max(now, self._heartbeat_owed))
        else:
            # B02.FR.04: not before the interval is over, unless that was asked for over the link before.
            self._boot_due = self._boot_triggered or _BOOT not in self._context.timers

    def _change_csms(self, old: str, new: str) -> None:
        """What one CSMS asked for counts for it alone: an interval, a trigger."""
        timers = self._context.timers
        self._boot_by[old] = timers.deadline(_BOOT)
        timers.cancel(_BOOT)
        by = self._boot_by.get(new)
        if by is not None:
            timers.set(_BOOT, by)  # if that is over, the timer is due at once
        self._boot_triggered = False

    def link_lost(self) -> None:
        """Heartbeats need a link; one that falls due meanwhile is sent over the next.

        Links that never last as long as the interval would else end before anybody was asked anything.
        """
        at = self._context.timers.deadline(_HEARTBEAT)
        if at is not None:
            self._heartbeat_owed = at
        self._heartbeat_due = self._heartbeat_triggered = False
        self._context.timers.cancel(_HEARTBEAT)

    def trigger_boot(self) -> None:
        """The CSMS asked for a BootNotification now (B02.FR.04)."""
        self._boot_due = self._boot_triggered = True

    def trigger_heartbeat(self) -> None:
        """The CSMS asked for a Heartbeat now."""
        self._heartbeat_triggered = True

    def next_triggered(self, dialect: StationDialect) -> Intent | None:
        """A Heartbeat that the CSMS asked for."""
        if not self._heartbeat_triggered:
            return None
        self._heartbeat_triggered = False
        return Intent(Work.HEARTBEAT, dialect.heartbeat())

    def next_boot(self, dialect: StationDialect) -> Intent | None:
        """The BootNotification, when due."""
        if not self._boot_due:
            return None
        config = self._context.config
        reason = BootReason.TRIGGERED if self._boot_triggered else config.boot_reason
        self._boot_due = self._boot_triggered = False
        self._context.timers.cancel(_BOOT)
        return Intent(Work.BOOT, dialect.boot(config.info, reason))

    def next_heartbeat(self, dialect: StationDialect) -> Intent | None:
        """The Heartbeat, when due."""
        if not self._heartbeat_due:
            return None
        self._heartbeat_due = False
        return Intent(Work.HEARTBEAT, dialect.heartbeat())

    def handle(self, deadline: Deadline) -> None:
        """A deadline of this block passed."""
        if deadline is Deadline.BOOT:
            self._boot_due = True
        else:
            self._heartbeat_due = True

    def boot_answered(self, response: Response, dialect: StationDialect, now: float) -> None:
        """The CSMS said whether it takes the station."""
        answer = dialect.boot_answer(response)
        interval = float(min(answer.interval, _LONGEST_INTERVAL))
        self.status = answer.status
        self._context.out.do(RegistrationChanged(answer.status))
        self.learn_utc(answer.utc_ms, now)
        if answer.status is RegistrationStatus.ACCEPTED:
            if interval > 0:
                self._interval = interval
            self._arm_heartbeat(now)
            self._context.events.append(Accepted())
        else:
            self._retry_boot(interval, now)

    def boot_failed(self, failure: Failure, now: float) -> None:
        """No usable answer to the BootNotification; a lost link boots anew when it is back."""
        if failure is Failure.DISCONNECTED:
            self._boot_due = True
        else:
            self._retry_boot(0.0, now)

    def heartbeat_answered(self, response: Response, dialect: StationDialect, now: float) -> None:
        """The CSMS told the time (G02)."""
        self.learn_utc(dialect.heartbeat_answer(response), now)
        self._arm_heartbeat(now)

    def heartbeat_failed(self, failure: Failure, now: float) -> None:
        """Try again after the interval, or over the next link."""
        if failure is Failure.DISCONNECTED:
            self._heartbeat_owed = now
            self._context.timers.cancel(_HEARTBEAT)
        else:
            self._arm_heartbeat(now)

    def learn_utc(self, utc_ms: int | None, now: float) -> None:
        """Set the wall clock; the first time in a boot this dates all of the boot's earlier records."""
        clock = self._context.clock
        was = clock.utc_ms(now)
        if clock.set_utc(utc_ms, now):
            self._boots.put(str(clock.boot), BootRow(clock.current.started, clock.current.anchor))
        if was is None and utc_ms is not None:
            self._context.notice(NoticeKind.CLOCK_SET, f"UTC is {utc_ms} ms since 1970")

    def _retry_boot(self, interval: float, now: float) -> None:
        wait = interval if interval > 0 else self._context.config.boot_retry_interval
        self._context.timers.set(_BOOT, now + wait)

    def called(self, now: float) -> None:
        """A call went out: it shows that the station is alive as well as a heartbeat does (G02.FR.05)."""
        if _HEARTBEAT in self._context.timers:
            self._context.timers.set(_HEARTBEAT, min(now + self._interval, self._heartbeat_by))

    def _arm_heartbeat(self, now: float) -> None:
        self._heartbeat_by = now + max(self._interval, _LONGEST_SILENCE)
        self._context.timers.set(_HEARTBEAT, now + self._interval)
