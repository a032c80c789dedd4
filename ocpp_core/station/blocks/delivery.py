"""The outbox: every fact reaches the CSMS, in order, at least once, always alike (2.x E04, E13; 1.6 §3.7).

Facts wait here in the order of recording. The first send of a fact fixes its message id, seqNo and timestamp
durably, so that every retry says the same. A CALLERROR or a time-out on a live link is an attempt; a lost
link is none. After the last attempt the fact is discarded, which the operator is told (E13.FR.04).
"""

from collections import OrderedDict
from dataclasses import replace

from ...domain.time import Stamp
from ...domain.transactions import Phase, TransactionFact
from ...entropy import message_id
from ...messages import Response
from ...versions import OcppVersion
from ..actions import NoticeKind
from ..context import Context, Deadline, Failure, Intent, TokenJudged, Work
from ..dialect import StationDialect
from ..tables import OutboxRow, Sent, Table, WireRow, order_key

_RETRY = (Deadline.FACT_RETRY, 0)

NO_CSMS_ID = -1
"""1.6's transactionId where the start could never be delivered (1.6 errata 3.18)."""


class Delivery:
    """What the CSMS still has to learn, and what it was told of each transaction."""

    __slots__ = ("_context", "_facts", "_next", "_outbox", "_wires")

    def __init__(self, context: Context, outbox: Table[OutboxRow], wires: Table[WireRow]) -> None:
        self._context = context
        self._outbox = outbox
        self._wires = wires
        self._facts: OrderedDict[int, OutboxRow] = OrderedDict((int(key), row) for key, row in outbox.items())
        self._next = next(reversed(self._facts), -1) + 1

    # what others may ask

    def __len__(self) -> int:
        return len(self._facts)

    @property
    def recorded(self) -> int:
        """How many facts were ever recorded: the barrier for a status that they explain."""
        return self._next

    def told_up_to(self, barrier: int) -> bool:
        """Whether no fact recorded before ``barrier`` still waits, except for a retry or the store."""
        waiting = bool(self._facts) and next(iter(self._facts)) < barrier
        return not waiting or _RETRY in self._context.timers or not self._context.out.healthy

    @property
    def pinned(self) -> OcppVersion | None:
        """The version that transactions already on the wire hold the station to."""
        return next((wire.version for _, wire in self._wires.items()), None)

    @property
    def full(self) -> bool:
        """Whether a new transaction must be refused: no room, and nothing that may be thinned out."""
        return len(self._facts) >= self._context.config.outbox_limit and not self._thinnable()

    def csms_id_of(self, transaction: str) -> int | None:
        """The number by which a 1.6 CSMS knows a transaction, if it gave one (or -1 where it never could)."""
        wire = self._wires.get(transaction)
        return None if wire is None else wire.csms_id

    def stamps(self) -> list[Stamp]:
        """When the waiting facts happened."""
        return [row.fact.at for row in self._facts.values()]

    # recording

    def record(self, fact: TransactionFact) -> None:
        """Keep a fact until it is acknowledged. A full outbox gives up what may be given up (E04.FR.07)."""
        limit = self._context.config.outbox_limit
        if len(self._facts) >= limit:
            self._thin()
        if len(self._facts) >= limit and (fact.is_sample or fact.is_state_change):
            self._context.notice(
                NoticeKind.FACTS_THINNED, f"no room for a {fact.trigger} of {fact.transaction}"
            )
            return
        self._put(self._next, OutboxRow(fact))
        self._next += 1

    def _thinnable(self) -> list[int]:
        """What a full outbox gives up: every second unsent sample, or else every second state change."""
        unsent = [(number, row.fact) for number, row in self._facts.items() if row.sent is None]
        samples = [number for number, fact in unsent if fact.is_sample][::2]
        return samples or [number for number, fact in unsent if fact.is_state_change][::2]

    def _thin(self) -> None:
        numbers = self._thinnable()
        for number in numbers:
            self._drop(number)
        if numbers:
            self._context.notice(
                NoticeKind.FACTS_THINNED, f"{len(numbers)} readings given up: the outbox is full"
            )

    # sending

    def next_call(self, dialect: StationDialect) -> Intent | None:
        """The call that tells the oldest fact, unless a retry has to wait or the store fails."""
        if _RETRY in self._context.timers or not self._context.out.healthy:
            return None
        while self._facts:
            number, row = next(iter(self._facts.items()))
            if row.sent is None:
                prepared = self._prepare(number, row, dialect)
                if prepared is None:
                    if number in self._facts:
                        return None  # its time is not known yet
                    continue
                row = prepared
            return self._intent(number, row, dialect)
        return None

    def _prepare(self, number: int, row: OutboxRow, dialect: StationDialect) -> OutboxRow | None:
        """Fix what the wire will say of a fact; None: the version says nothing of it, or not yet."""
        fact = row.fact
        wire = self._wires.get(fact.transaction) or WireRow(dialect.version)
        planned = dialect.plan(fact, wire)
        if planned is None:
            self._settle(number, fact, wire)
            return None
        moment = self._context.clock.resolve(fact.at)
        if moment is None:
            return None
        if moment.estimated:
            self._context.notice(
                NoticeKind.TIME_ESTIMATED, f"a {fact.phase} of {fact.transaction} carries an estimated time"
            )
        utc_ms = max(moment.utc_ms, wire.last_utc_ms)
        row = replace(row, sent=Sent(message_id(self._context.entropy), wire.next_seq_no, utc_ms))
        self._wires.put(fact.transaction, replace(planned, last_utc_ms=utc_ms))
        self._put(number, row)
        return row

    def _intent(self, number: int, row: OutboxRow, dialect: StationDialect) -> Intent:
        sent = row.sent
        wire = self._wires.get(row.fact.transaction)
        assert sent is not None
        assert wire is not None

        def resolve(stamp: Stamp) -> int:
            moment = self._context.clock.resolve(stamp)
            return sent.utc_ms if moment is None else min(moment.utc_ms, sent.utc_ms)

        request = dialect.fact(row.fact, wire, sent, self._context.config.layout, resolve)
        return Intent(Work.FACT, request, str(number), sent.message_id, durable=True)

    # answers

    def answered(self, key: str, response: Response, dialect: StationDialect) -> None:
        """The CSMS acknowledged a fact."""
        number = int(key)
        fact = self._facts[number].fact
        answer = dialect.fact_answer(response)
        wire = self._wires.get(fact.transaction) or WireRow(dialect.version)
        if answer.csms_id is not None:
            wire = replace(wire, csms_id=answer.csms_id)
        self._settle(number, fact, wire)
        token = fact.id_token or (fact.driver if fact.energised else None)
        if answer.info is not None and token is not None:
            self._context.events.append(TokenJudged(fact.transaction, token, answer.info))

    def failed(self, key: str, failure: Failure, detail: str, now: float) -> None:
        """A fact was not acknowledged."""
        if failure is Failure.DISCONNECTED:
            return
        if failure is Failure.TIMEOUT and self._context.out.take_back_frame():
            return  # it never left: withheld while the store fails
        number = int(key)
        row = self._facts[number]
        row = replace(row, attempts=row.attempts + 1)
        config = self._context.config
        if row.attempts < config.attempts:
            self._put(number, row)
            self._context.timers.set(_RETRY, now + config.attempt_interval * row.attempts)
            return
        fact = row.fact
        self._context.notice(
            NoticeKind.FACT_DISCARDED,
            f"{fact.phase} {fact.trigger} of {fact.transaction} after {row.attempts} attempts: {detail}",
        )
        wire = self._wires.get(fact.transaction) or WireRow(config.versions[0])
        if fact.energised and wire.csms_id is None:
            wire = replace(wire, csms_id=NO_CSMS_ID)
        self._settle(number, fact, wire)

    def link_changed(self) -> None:
        """A retry waits on a live link only."""
        self._context.timers.cancel(_RETRY)

    # rows

    def _settle(self, number: int, fact: TransactionFact, wire: WireRow) -> None:
        """A fact is done with: keep what the wire row says of its transaction until the transaction's end."""
        self._drop(number)
        if fact.phase is Phase.ENDED:
            self._wires.delete(fact.transaction)
        else:
            self._wires.put(fact.transaction, wire)

    def _put(self, number: int, row: OutboxRow) -> None:
        self._facts[number] = row
        self._outbox.put(order_key(number), row)

    def _drop(self, number: int) -> None:
        del self._facts[number]
        self._outbox.delete(order_key(number))
