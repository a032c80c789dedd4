"""Turning what happens in a transaction into facts and rows, with the meter readings that go along.

Every fact and the transaction's own row change together, so they become durable together.
"""

from dataclasses import replace

from ...domain.metering import ReadingContext, Sample
from ...domain.tokens import IdToken
from ...domain.transactions import Phase, StopReason, TransactionFact, TriggerReason
from ...entropy import message_id
from ..actions import TransactionChanged
from ..context import Context, Deadline
from ..evse import Ending, Evse
from ..tables import Table, TransactionRow, order_key
from .delivery import Delivery


class Recording:
    """Writes transactions down; decides nothing about them."""

    __slots__ = ("_context", "_delivery", "_rows", "_samples")

    def __init__(
        self,
        context: Context,
        delivery: Delivery,
        rows: Table[TransactionRow],
        samples: Table[Sample],
    ) -> None:
        self._context = context
        self._delivery = delivery
        self._rows = rows
        self._samples = samples

    def unfinished(self) -> list[tuple[str, TransactionRow]]:
        """The transactions that were under way when the station last stopped."""
        return list(self._rows.items())

    @property
    def room(self) -> bool:
        """Whether a new transaction can be kept safely: the store works and the outbox is not full."""
        return self._context.out.healthy and not self._delivery.full

    def start(self, evse: Evse, trigger: TriggerReason, now: float) -> None:
        """A transaction begins on this EVSE (E01.FR.08: its id is never used again)."""
        evse.transaction = message_id(self._context.entropy)
        evse.row = TransactionRow(
            evse=evse.id,
            connector=evse.plugged or 1,
            begin=self._sample(evse, ReadingContext.TRANSACTION_BEGIN, now),
            meter_wh=evse.meter_wh,
            driver=evse.driver,
            group=evse.group,
        )
        evse.told_state = None
        evse.finished = False
        begin = evse.row.begin
        samples = (begin,) if begin.quantities else ()
        self._record(evse, Phase.STARTED, trigger, now, samples=samples)
        self.arm(evse, now)

    def update(self, evse: Evse, trigger: TriggerReason, now: float, token: IdToken | None = None) -> None:
        """Something happened in the transaction on this EVSE; ``token`` ended its authorization."""
        self._record(evse, Phase.UPDATED, trigger, now, token=token)

    def end(self, evse: Evse, ending: Ending, now: float) -> None:
        """The transaction on this EVSE is over; its kept readings move into the last fact."""
        assert evse.row is not None
        assert evse.transaction is not None
        series = self._series(evse.transaction)
        last = self._sample(evse, ReadingContext.TRANSACTION_END, now)
        samples = tuple(
            sample for sample in (evse.row.begin, *(kept for _, kept in series), last) if sample.quantities
        )
        self._record(
            evse,
            Phase.ENDED,
            ending.trigger,
            now,
            token=ending.token,
            stop_reason=ending.reason,
            samples=samples,
        )
        for key, _ in series:
            self._samples.delete(key)
        self._rows.delete(evse.transaction)
        evse.transaction = None
        evse.row = None
        evse.ending = None
        for deadline in (Deadline.SAMPLE, Deadline.ENDED_SAMPLE, Deadline.RECOVERY, Deadline.EV_CONNECT):
            self._context.timers.cancel((deadline, evse.id))

    def judged(self, evse: Evse) -> None:
        """Keep what the CSMS said of the driver's group."""
        assert evse.row is not None
        assert evse.transaction is not None
        evse.row = replace(evse.row, group=evse.group)
        self._rows.put(evse.transaction, evse.row)

    # periodic readings

    def arm(self, evse: Evse, now: float) -> None:
        """Set the timers of the periodic readings, counted from the transaction's begin: none drifts."""
        assert evse.row is not None
        config = self._context.config
        for deadline, interval in (
            (Deadline.SAMPLE, config.sample_interval),
            (Deadline.ENDED_SAMPLE, config.ended_interval),
        ):
            if interval > 0:
                begun = evse.row.begin.at.mono
                turns = int((now - begun) / interval + 1e-9) + 1
                self._context.timers.set((deadline, evse.id), begun + turns * interval)

    def take_periodic(self, evse: Evse, deadline: Deadline, now: float) -> None:
        """A periodic reading is due: tell it (E02.FR.10), or keep it for the end (E06.FR.11)."""
        config = self._context.config
        measurands = config.sampled_measurands if deadline is Deadline.SAMPLE else config.ended_measurands
        sample = Sample(
            self._context.clock.stamp(now), ReadingContext.SAMPLE_PERIODIC, evse.select(measurands)
        )
        if sample.quantities:
            if deadline is Deadline.SAMPLE:
                self._record(evse, Phase.UPDATED, TriggerReason.METER_VALUE_PERIODIC, now, samples=(sample,))
            else:
                self._keep(evse, sample)
        self.arm(evse, now)

    def _keep(self, evse: Evse, sample: Sample) -> None:
        assert evse.row is not None
        assert evse.transaction is not None
        kept = self._series(evse.transaction)
        if len(kept) >= self._context.config.ended_samples_limit:
            for key, _ in kept[::2]:  # E06.FR.13: the 1st, 3rd, 5th … go
                self._samples.delete(key)
        evse.row = replace(evse.row, samples=evse.row.samples + 1)
        self._rows.put(evse.transaction, evse.row)
        self._samples.put(f"{evse.transaction}/{order_key(evse.row.samples)}", sample)

    def _series(self, transaction: str) -> list[tuple[str, Sample]]:
        return [(key, sample) for key, sample in self._samples.items() if key.startswith(transaction)]

    def _sample(self, evse: Evse, context: ReadingContext, now: float) -> Sample:
        return Sample(
            self._context.clock.stamp(now), context, evse.select(self._context.config.ended_measurands)
        )

    # facts

    def _record(
        self,
        evse: Evse,
        phase: Phase,
        trigger: TriggerReason,
        now: float,
        *,
        token: IdToken | None = None,
        stop_reason: StopReason | None = None,
        samples: tuple[Sample, ...] = (),
    ) -> None:
        row, transaction = evse.row, evse.transaction
        assert row is not None
        assert transaction is not None
        if evse.untold_remote_start_id is not None:
            trigger = TriggerReason.REMOTE_START  # F02.FR.21: whatever else it was that began the transaction
        state = evse.charging_state
        energised = evse.power_path and not row.energised and phase is not Phase.ENDED
        tells_evse = evse.plugged is not None and not row.told_evse
        meter_wh = max(row.meter_wh, evse.meter_wh)  # a register never counts back within a transaction
        fact = TransactionFact(
            transaction=transaction,
            phase=phase,
            trigger=trigger,
            at=self._context.clock.stamp(now),
            evse=evse.id,
            connector=evse.plugged or row.connector,
            meter_wh=meter_wh,
            charging_state=state if state is not evse.told_state else None,
            energised=energised,
            tells_evse=tells_evse,
            driver=evse.driver or row.driver,
            id_token=token or evse.untold_token,
            remote_start_id=evse.untold_remote_start_id,
            stop_reason=stop_reason,
            samples=samples,
        )
        evse.row = replace(
            row,
            connector=fact.connector,
            meter_wh=meter_wh,
            driver=fact.driver,
            group=evse.group or row.group,
            energised=row.energised or energised,
            told_evse=row.told_evse or tells_evse,
        )
        evse.untold_token = evse.untold_remote_start_id = None
        self._rows.put(transaction, evse.row)
        if not self._delivery.record(fact):
            return
        evse.told_state = state
        self._context.out.do(
            TransactionChanged(transaction, evse.id, phase, trigger, state, meter_wh, stop_reason),
            durable=True,
        )
