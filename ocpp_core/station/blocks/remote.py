"""What a CSMS can ask of a station: triggers, remote start and stop (2.x F01-F03, F06; 1.6 §5.11-5.17).

A command is judged, then answered, then carried out: the answer precedes what it brings about (F06.FR.04).
"""

from ...domain.metering import ReadingContext, Sample
from ...domain.status import RegistrationStatus
from ...domain.transactions import StopReason, TriggerReason
from ..context import Context, Intent, Work
from ..dialects.base import (
    Command,
    RemoteStart,
    RemoteStop,
    StationDialect,
    Topic,
    Trigger,
    Verdict,
)
from ..evse import Evse
from .authorization import Authorization
from .availability import Availability
from .delivery import Delivery
from .provisioning import Provisioning
from .transactions import RemoteOrder, Transactions


class Remote:
    """The CSMS's commands."""

    __slots__ = (
        "_authorization",
        "_availability",
        "_context",
        "_delivery",
        "_provisioning",
        "_readings",
        "_transactions",
    )

    def __init__(
        self,
        context: Context,
        provisioning: Provisioning,
        availability: Availability,
        delivery: Delivery,
        transactions: Transactions,
        authorization: Authorization,
    ) -> None:
        self._context = context
        self._provisioning = provisioning
        self._availability = availability
        self._delivery = delivery
        self._transactions = transactions
        self._authorization = authorization
        self._readings: list[int] = []
        """EVSEs whose meter the CSMS wants to hear of; at most each once."""

    def judge(self, command: Command, dialect: StationDialect) -> tuple[Verdict, str | None]:
        """What to answer, and the running transaction that a remote start would go on with."""
        if isinstance(command, Trigger):
            return self._judge_trigger(command, dialect), None
        # B02.FR.05: not before the CSMS has accepted the station.
        if self._provisioning.status is not RegistrationStatus.ACCEPTED:
            return Verdict.REJECTED, None
        if isinstance(command, RemoteStart):
            evse = self._start_target(command)
            if evse is None or not self._context.out.healthy:
                return Verdict.REJECTED, None
            return Verdict.ACCEPTED, evse.transaction
        return Verdict.REJECTED if self._stop_target(command) is None else Verdict.ACCEPTED, None

    def carry_out(self, command: Command, now: float) -> None:
        """Do what was accepted."""
        if isinstance(command, Trigger):
            self._pull(command)
        elif isinstance(command, RemoteStart):
            self._start(command, now)
        else:
            evse = self._stop_target(command)
            if evse is not None:
                self._transactions.stop(evse, TriggerReason.REMOTE_STOP, StopReason.REMOTE, now)

    def next_triggered(self, dialect: StationDialect, now: float) -> Intent | None:
        """A call that the CSMS asked for; allowed also before it has accepted the station (B02.FR.02)."""
        intent = self._provisioning.next_triggered(dialect) or self._availability.next_triggered(dialect, now)
        if intent is not None or not self._readings:
            return intent
        evse = self._context.evse(self._readings.pop(0))
        clock = self._context.clock
        sample = Sample(clock.stamp(now), ReadingContext.TRIGGER, evse.readings)
        moment = clock.resolve(sample.at)
        if moment is None:
            return None
        layout = self._context.config.layout
        request = dialect.reading(layout, evse.id, sample, lambda _: moment.utc_ms)
        return None if request is None else Intent(Work.READING, request)

    def link_lost(self) -> None:
        """Whoever asked is gone."""
        self._readings.clear()

    def _judge_trigger(self, command: Trigger, dialect: StationDialect) -> Verdict:
        ref = command.ref
        if command.topic is None:
            return Verdict.NOT_IMPLEMENTED
        if not command.possible or (ref is not None and ref.evse not in (0, *self._context.evses)):
            return Verdict.REJECTED
        booted = self._provisioning.status is RegistrationStatus.ACCEPTED
        if command.topic is Topic.BOOT and booted and not dialect.boots_again_on_trigger:
            return Verdict.REJECTED
        return Verdict.ACCEPTED

    def _pull(self, command: Trigger) -> None:
        if command.topic is Topic.BOOT:
            self._provisioning.trigger_boot()
        elif command.topic is Topic.HEARTBEAT:
            self._provisioning.trigger_heartbeat()
        elif command.topic is Topic.STATUS:
            self._availability.trigger(command.ref)
        else:
            named = command.ref.evse if command.ref is not None else 0
            wanted = [named] if named else list(self._context.evses)
            self._readings += [number for number in wanted if number not in self._readings]

    def _start_target(self, command: RemoteStart) -> Evse | None:
        if command.evse is None:
            return self._authorization.choose()
        evse = self._context.evses.get(command.evse)
        return evse if evse is not None and evse.waits_for_driver else None

    def _start(self, command: RemoteStart, now: float) -> None:
        evse = self._start_target(command)
        if evse is None:
            return
        order = RemoteOrder(command.remote_start_id)
        if self._context.config.authorize_remote_start:
            self._authorization.ask(command.token, evse, order, now)
        else:
            self._transactions.authorize(evse, command.token, None, now, order)

    def _stop_target(self, command: RemoteStop) -> Evse | None:
        transaction = command.transaction
        if command.csms_id is not None:
            transaction = self._delivery.transaction_of(command.csms_id)
        if transaction is None:
            return None
        return next(
            (
                evse
                for evse in self._context.evses.values()
                if evse.transaction == transaction and evse.ending is None
            ),
            None,
        )
