"""What a CSMS can ask of a station: triggers, remote start and stop (2.x F01-F03, F06; 1.6 §5.11-5.17).

A command is judged, then answered, then carried out: the answer precedes what it brings about (F06.FR.04).
"""

from ...domain.metering import ReadingContext, Sample
from ...domain.status import RegistrationStatus
from ...domain.transactions import StopReason, TriggerReason
from ...messages import Request
from ..context import Context, Intent, Work
from ..dialect import (
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

    def judge(self, command: Command, dialect: StationDialect, now: float) -> tuple[Verdict, str | None]:
        """What to answer, and the running transaction that a remote start would go on with."""
        if isinstance(command, Trigger):
            return self._judge_trigger(command, dialect, now), None
        # B02.FR.05: not before the CSMS has accepted the station.
        if self._provisioning.status is not RegistrationStatus.ACCEPTED:
            return Verdict.REJECTED, None
        if isinstance(command, RemoteStart):
            evse = self._start_target(command)
            if evse is None or not self._transactions.room:
                return Verdict.REJECTED, None
            return Verdict.ACCEPTED, evse.transaction
        return Verdict.REJECTED if self._stop_target(command) is None else Verdict.ACCEPTED, None

    def carry_out(self, command: Command, dialect: StationDialect, now: float) -> None:
        """Do what was accepted."""
        if isinstance(command, Trigger):
            self._pull(command, dialect, now)
        elif isinstance(command, RemoteStart):
            self._start(command, now)
        else:
            evse = self._stop_target(command)
            assert evse is not None  # it was judged a moment ago
            self._transactions.stop(evse, TriggerReason.REMOTE_STOP, StopReason.REMOTE, now)

    def next_triggered(self, dialect: StationDialect, now: float) -> Intent | None:
        """A call that the CSMS asked for; allowed also before it has accepted the station (B02.FR.02)."""
        intent = self._provisioning.next_triggered(dialect) or self._availability.next_triggered(dialect, now)
        if intent is not None:
            return intent
        for number in self._readings:
            request = self._reading(number, dialect, now)
            if request is not None:
                self._readings.remove(number)
                return Intent(Work.READING, request)
        return None

    def link_lost(self) -> None:
        """Whoever asked is gone."""
        self._readings.clear()

    def _judge_trigger(self, command: Trigger, dialect: StationDialect, now: float) -> Verdict:
        """F06.FR.10: what is accepted will be sent; F06.FR.03: an EVSE counts where the topic has one."""
        if command.topic is None:
            return Verdict.NOT_IMPLEMENTED
        if command.topic is Topic.BOOT:
            # F06.FR.17; 1.6 errata 3.35 recommends the same.
            sendable = self._provisioning.status is not RegistrationStatus.ACCEPTED
        elif command.topic is Topic.HEARTBEAT:
            sendable = True
        elif command.topic is Topic.STATUS:
            sendable = command.possible and self._availability.tells(command.ref, dialect)
        else:
            sendable = command.possible and bool(self._readable(command, dialect, now))
        return Verdict.ACCEPTED if sendable else Verdict.REJECTED

    def _pull(self, command: Trigger, dialect: StationDialect, now: float) -> None:
        if command.topic is Topic.BOOT:
            self._provisioning.trigger_boot()
        elif command.topic is Topic.HEARTBEAT:
            self._provisioning.trigger_heartbeat()
        elif command.topic is Topic.STATUS:
            self._availability.trigger(command.ref)
        else:
            wanted = self._readable(command, dialect, now)
            self._readings += [number for number in wanted if number not in self._readings]

    def _readable(self, command: Trigger, dialect: StationDialect, now: float) -> list[int]:
        """The EVSEs of a trigger whose meters have something to say; EVSE 0, the grid, has none here."""
        named = self._context.evses if command.ref is None else [command.ref.evse]
        return [
            number
            for number in named
            if number in self._context.evses and self._reading(number, dialect, now) is not None
        ]

    def _reading(self, number: int, dialect: StationDialect, now: float) -> Request | None:
        """MeterValues with the meter's latest values of the measurands that are sampled (F06.FR.06)."""
        clock = self._context.clock
        evse = self._context.evse(number)
        sample = Sample(
            clock.stamp(now),
            ReadingContext.TRIGGER,
            evse.select(self._context.config.sampled_measurands),
        )
        moment = clock.resolve(sample.at)
        if moment is None:
            return None
        csms_id = None if evse.transaction is None else self._delivery.csms_id_of(evse.transaction)
        return dialect.reading(self._context.config.layout, number, sample, csms_id, lambda _: moment.utc_ms)

    def _start_target(self, command: RemoteStart) -> Evse | None:
        if command.evse is None:
            return self._authorization.choose()
        evse = self._context.evses.get(command.evse)
        if evse is None or not evse.waits_for_driver or self._authorization.deciding(evse):
            return None
        return evse

    def _start(self, command: RemoteStart, now: float) -> None:
        evse = self._start_target(command)
        assert evse is not None  # it was judged a moment ago
        order = RemoteOrder(command.remote_start_id)
        if self._context.config.authorize_remote_start:
            self._authorization.ask(command.token, evse, order, now, named=True)
        else:
            self._transactions.authorize(evse, command.token, None, now, order)

    def _stop_target(self, command: RemoteStop) -> Evse | None:
        for evse in self._context.evses.values():
            transaction = evse.transaction
            if transaction is None or evse.ending is not None:
                continue
            if command.csms_id is None:
                found = transaction == command.transaction
            else:
                found = self._delivery.csms_id_of(transaction) == command.csms_id
            if found:
                return evse
        return None
