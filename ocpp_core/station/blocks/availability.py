"""Connector statuses: told when they differ from what the CSMS last acknowledged (2.x B04, G01; 1.6 §4.9).

Nothing is queued: the status is derived from the domain state when there is room to send it. One that facts
explain waits until they are delivered, but no longer than the link lasts.
"""

from dataclasses import dataclass

from ...domain.layout import ConnectorRef
from ...domain.time import Stamp
from ..actions import StatusChanged
from ..context import Context, Deadline, Failure, Intent, Work
from ..dialect import StationDialect
from ..evse import ConnectorView, view
from .delivery import Delivery

_RETRY = (Deadline.STATUS_RETRY, 0)
_RETRY_AFTER = 10.0

STATION = ConnectorRef(0, 0)


@dataclass(slots=True)
class _Told:
    """What is known of one subject's status."""

    since: Stamp
    seen: ConnectorView | None = None
    """What its status is computed from, after the last input; None for the station itself."""
    shown: str = ""
    """As the operator was last told (1.6 words, the finest)."""
    acknowledged: str | None = None
    """What the CSMS is known to believe; None while it may believe anything (also while a call is out)."""
    barrier: int = 0
    forced: bool = False


class Availability:
    """What each connector's status is, and what the CSMS believes it is."""

    __slots__ = ("_context", "_delivery", "_subjects")

    def __init__(self, context: Context, delivery: Delivery, now: float) -> None:
        self._context = context
        self._delivery = delivery
        stamp = context.clock.stamp(now)
        self._subjects = {ref: _Told(stamp) for ref in (STATION, *context.config.layout.refs)}

    def view(self, ref: ConnectorRef) -> ConnectorView | None:
        """What the status of a connector is computed from; None for the station itself."""
        return None if ref == STATION else view(self._context.evses[ref.evse], ref)

    def refresh(self, now: float) -> None:
        """Notice what changed; called after every input, and before anything is told."""
        for ref, told in self._subjects.items():
            told.seen = seen = self.view(ref)
            if seen is None or (status := seen.status_16) == told.shown:
                continue
            told.shown = status
            told.since = self._context.clock.stamp(now)
            told.barrier = self._delivery.recorded
            self._context.out.do(StatusChanged(ref, seen.status, status))

    def forget(self) -> None:
        """The CSMS has to be told everything anew (B01.FR.05, B04.FR.01)."""
        for told in self._subjects.values():
            told.acknowledged = None

    def link_opened(self) -> None:
        """Facts that could not be delivered hold no status back any longer; what was asked for is void."""
        self._context.timers.cancel(_RETRY)
        for told in self._subjects.values():
            told.barrier = 0
            told.forced = False

    def trigger(self, ref: ConnectorRef | None) -> None:
        """Tell one connector's status, or all, whatever the CSMS last acknowledged (TriggerMessage)."""
        for subject, told in self._subjects.items():
            if _asked(subject, ref):
                told.forced = True

    def tells(self, ref: ConnectorRef | None, dialect: StationDialect) -> bool:
        """Whether there is a status to tell of what :meth:`trigger` names."""
        return any(_asked(subject, ref) for subject in dialect.status_subjects(self._context.config.layout))

    def next_triggered(self, dialect: StationDialect, now: float) -> Intent | None:
        """A status that the CSMS asked for."""
        for ref in dialect.status_subjects(self._context.config.layout):
            if self._subjects[ref].forced:
                return self._intent(ref, dialect, now)
        return None

    def next_call(self, dialect: StationDialect, now: float) -> Intent | None:
        """A status that differs from what the CSMS acknowledged."""
        if _RETRY in self._context.timers:
            return None
        behind = [
            ref
            for ref in dialect.status_subjects(self._context.config.layout)
            if (told := self._subjects[ref]).acknowledged != dialect.status_text(told.seen)
            and self._delivery.told_up_to(told.barrier)
        ]
        # 1.6 §4.9: in the order in which the statuses came about.
        first = min(behind, key=lambda ref: self._subjects[ref].since.mono, default=None)
        return None if first is None else self._intent(first, dialect, now)

    def _intent(self, ref: ConnectorRef, dialect: StationDialect, now: float) -> Intent | None:
        told = self._subjects[ref]
        text = dialect.status_text(told.seen)
        moment = self._context.clock.resolve(told.since) or self._context.clock.resolve(
            self._context.clock.stamp(now)
        )
        if moment is None:
            return None
        told.forced = False
        told.acknowledged = None
        request = dialect.status(self._context.config.layout, ref, text, moment.utc_ms)
        return Intent(Work.STATUS, request, f"{ref.evse}/{ref.connector}/{text}")

    def answered(self, key: str) -> None:
        """The CSMS knows this status now."""
        evse, connector, text = key.split("/")
        self._subjects[ConnectorRef(int(evse), int(connector))].acknowledged = text

    def failed(self, failure: Failure, now: float) -> None:
        """Try again soon; a lost link has its own way back."""
        if failure is not Failure.DISCONNECTED:
            self._context.timers.set(_RETRY, now + _RETRY_AFTER)


def _asked(subject: ConnectorRef, ref: ConnectorRef | None) -> bool:
    """Whether a CSMS that names ``ref`` (None: everything; connector 0: the whole EVSE) means ``subject``."""
    return ref is None or subject == ref or (ref.connector == 0 and subject.evse == ref.evse)
