"""The outbox: every fact reaches the CSMS, in order, at least once, always alike (2.x E04, E13; 1.6 §3.7).

Facts wait here in the order of recording. The first send of a fact fixes its message id, seqNo and timestamp
durably, so that every retry says the same. A CALLERROR or a time-out on a live link is an attempt; a lost
link is none. After the last attempt the fact is discarded, which the operator is told (E13.FR.04).
"""

from collections import Counter, OrderedDict
from dataclasses import replace
from typing import Any

from ...domain.time import Stamp
from ...domain.transactions import Phase, TransactionFact
from ...entropy import message_id
from ...errors import LocalProtocolError
from ...messages import Response
from ...versions import OcppVersion
from ..actions import FactHandedOver, NoticeKind
from ..config import PinPolicy
from ..context import Context, Deadline, Failure, Intent, TokenJudged, Work
from ..dialect import StationDialect
from ..tables import OutboxRow, Sent, Table, WireRow, order_key

_RETRY = (Deadline.FACT_RETRY, 0)
_PIN = (Deadline.PIN, 0)

NO_CSMS_ID = -1
"""1.6's transactionId where the start could never be delivered (1.6 errata 3.18)."""


class Delivery:
    """What the CSMS still has to learn, and what it was told of each transaction."""

    __slots__ = (
        "_context",
        "_csms",
        "_elsewhere",
        "_facts",
        "_handed_over",
        "_next",
        "_online_from",
        "_outbox",
        "_passed_on",
        "_version",
        "_wires",
    )

    def __init__(self, context: Context, outbox: Table[OutboxRow], wires: Table[WireRow]) -> None:
        self._context = context
        self._outbox = outbox
        self._wires = wires
        self._facts: OrderedDict[int, OutboxRow] = OrderedDict(outbox.numbered())
        self._csms = context.config.network_profiles[0].csms
        """Which one is at the other end of the link, or was last."""
        self._version: OcppVersion | None = None
        """What is spoken with it; None: there is no link."""
        self._elsewhere: set[str] = set()
        """Transactions with which the CSMS at the other end cannot go on, and which no operator was given."""
        self._next = next(reversed(self._facts), -1) + 1
        self._online_from = self._next
        """The first fact that was recorded over the present link."""
        self._handed_over = {key for key, wire in wires.items() if wire.handed_over}
        self._passed_on: dict[int, FactHandedOver] = {}
        """Facts handed to the operator, whose rows go once that was carried out."""

    # what others may ask

    def __len__(self) -> int:
        return len(self._facts)

    @property
    def recorded(self) -> int:
        """How many facts were ever recorded: the barrier for a status that they explain."""
        return self._next

    def told_up_to(self, barrier: int) -> bool:
        """Whether no fact recorded before ``barrier`` still waits, except for a retry or the store."""
        head = self._head()
        waiting = head is not None and head < barrier
        return not waiting or _RETRY in self._context.timers or not self._context.out.healthy

    def pinned(self, csms: str) -> OcppVersion | None:
        """The version that transactions already told to a CSMS hold the station to."""
        wires = (wire for _, wire in self._wires.items() if wire.csms == csms and not wire.handed_over)
        return next((wire.version for wire in wires), None)

    @property
    def elsewhere(self) -> int:
        """How many facts wait for another CSMS than this one."""
        return sum(row.fact.transaction in self._elsewhere for row in self._facts.values())

    @property
    def full(self) -> bool:
        """Whether a new transaction must be refused: no room, and nothing that may be thinned out."""
        return len(self._facts) >= self._context.config.outbox_limit and not self._thinnable()

    def csms_id_of(self, transaction: str) -> int | None:
        """The number by which this 1.6 CSMS knows a transaction, if it gave one (-1 where it never could)."""
        wire = self._wires.get(transaction)
        if wire is None or transaction in self._handed_over or transaction in self._elsewhere:
            return None
        return wire.csms_id

    # recording

    def record(self, fact: TransactionFact) -> bool:
        """Keep a fact until it is acknowledged; False if a full outbox gives it up at once (E04.FR.07)."""
        limit = self._context.config.outbox_limit
        if len(self._facts) >= limit:
            self._thin()
        if len(self._facts) >= limit and (fact.is_sample or fact.is_state_change):
            self._context.notice(
                NoticeKind.FACTS_THINNED, f"no room for a {fact.trigger} of {fact.transaction}"
            )
            return False
        self._put(self._next, OutboxRow(fact))
        self._next += 1
        return True

    def _thinnable(self) -> list[int]:
        """What a full outbox gives up: every second unsent sample, or else every second state change.

        The last state change of a transaction that goes on stays: no fact after it tells the state.
        """
        unsent = [(number, row.fact) for number, row in self._facts.items() if row.sent is None]
        samples = _every_second(
            [item for item in unsent if item[1].is_sample and item[1].charging_state is None]
        )
        changes = [(number, fact) for number, fact in unsent if fact.is_state_change]
        ended = {row.fact.transaction for row in self._facts.values() if row.fact.phase is Phase.ENDED}
        last = {fact.transaction: number for number, fact in changes if fact.transaction not in ended}
        return samples or _every_second([item for item in changes if item[0] not in last.values()])

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
        while (number := self._head()) is not None:
            row = self._facts[number]
            if row.sent is None:
                prepared = self._prepare(number, row, dialect)
                if prepared is None:
                    if number in self._facts:
                        return None  # its time is not known yet
                    continue
                row = prepared
            return self._intent(number, row, dialect)
        return None

    def _head(self) -> int | None:
        """The oldest fact that this CSMS is to be told."""
        others = self._handed_over | self._elsewhere
        if not others:
            return next(iter(self._facts), None)
        return next((key for key, row in self._facts.items() if row.fact.transaction not in others), None)

    def _prepare(self, number: int, row: OutboxRow, dialect: StationDialect) -> OutboxRow | None:
        """Fix what the wire will say of a fact; None: the version says nothing of it, or not yet."""
        fact = row.fact
        wire = replace(self._wires.get(fact.transaction) or WireRow(dialect.version), csms=self._csms)
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
        token = fact.told_token
        if token is not None and not token.fits(dialect.version):
            text = f"{token!r} of {fact.transaction} is longer than {dialect.version} can carry"
            self._context.notice(NoticeKind.TOKEN_REFUSED, text)
        utc_ms = max(moment.utc_ms, wire.last_utc_ms)
        began_utc_ms = wire.began_utc_ms if wire.began else utc_ms
        offline = number < self._online_from
        sent = Sent(message_id(self._context.entropy), wire.next_seq_no, utc_ms, offline)
        row = replace(row, sent=sent)
        self._wires.put(fact.transaction, replace(planned, began_utc_ms=began_utc_ms, last_utc_ms=utc_ms))
        self._put(number, row)
        return row

    def _intent(self, number: int, row: OutboxRow, dialect: StationDialect) -> Intent:
        sent, wire = row.sent, self._wire(row.fact)
        assert sent is not None
        times = self._sample_times(row.fact, sent.utc_ms)
        request = dialect.fact(row.fact, wire, sent, self._context.config.layout, times.__getitem__)
        return Intent(Work.FACT, request, str(number), sent.message_id, durable=True)

    def _sample_times(self, fact: TransactionFact, utc_ms: int) -> dict[Stamp, int]:
        """When the samples of a fact told at ``utc_ms`` were taken: never later, nor one before another."""
        times: dict[Stamp, int] = {}
        latest = None
        for sample in fact.samples:
            moment = self._context.clock.resolve(sample.at)
            taken = utc_ms if moment is None or sample.at == fact.at else min(moment.utc_ms, utc_ms)
            latest = taken if latest is None else max(latest, taken)
            times[sample.at] = latest
        return times

    def _wire(self, fact: TransactionFact) -> WireRow:
        """What the CSMS was told of the transaction of a fact that has been sent."""
        return self._begun(fact.transaction)

    # answers

    def answered(self, key: str, response: Response, dialect: StationDialect) -> None:
        """The CSMS acknowledged a fact."""
        number = int(key)
        fact = self._facts[number].fact
        answer = dialect.fact_answer(response)
        wire = self._wire(fact)
        if answer.csms_id is not None:
            wire = replace(wire, csms_id=answer.csms_id)
        self._settle(number, fact, wire)
        token = fact.told_token
        if answer.info is not None and token is not None:
            self._context.events.append(TokenJudged(fact.transaction, token, answer.info))

    def failed(self, key: str, failure: Failure, detail: str, now: float) -> None:
        """A fact was not acknowledged."""
        if failure is Failure.DISCONNECTED:
            return
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
        wire = self._wire(fact)
        if fact.energised and wire.csms_id is None:
            wire = replace(wire, csms_id=NO_CSMS_ID)
        self._settle(number, fact, wire)

    def link_opened(self, csms: str, version: OcppVersion) -> None:
        """What was recorded so far happened, or waited, while the station was offline."""
        self._online_from = self._next
        self._csms, self._version = csms, version
        self._elsewhere = set()
        for key, wire in self._wires.items():
            if not wire.goes_on(csms, version):
                if not wire.handed_over:
                    self._elsewhere.add(key)
            elif wire.held:
                self._wires.put(key, replace(wire, held_since_ms=None))

    def link_lost(self) -> None:
        """A retry waits on a live link only."""
        self._version = None
        self._context.timers.cancel(_RETRY)

    # a CSMS that is not told the rest of open transactions

    def version_refused(self, csms: str, now: float) -> None:
        """The server refused what was offered; if that was for open transactions, do as configured."""
        pinned = self.pinned(csms)
        if pinned is not None:
            self._pinned(
                f"the CSMS refused {pinned}, to which open transactions are bound",
                {key for key, wire in self._wires.items() if wire.csms == csms and not wire.handed_over},
                now,
            )

    def registered(self, now: float) -> None:
        """The CSMS took the station; what is left to tell another one waits, or as configured (B10.FR.05)."""
        if self._elsewhere:
            told = ", ".join(sorted(self._elsewhere))
            self._pinned(f"this CSMS cannot go on with open transactions: {told}", self._elsewhere, now)

    def held(self) -> list[dict[str, Any]]:
        """What is held, transaction by transaction, as JSON-able values."""
        waiting = Counter(row.fact.transaction for row in self._facts.values())
        return [
            {
                "transaction": key,
                "csms": wire.csms,
                "version": wire.version.value,
                "csms_id": wire.csms_id,
                "facts": waiting[key],
                "since_utc_ms": wire.held_since_ms or None,
            }
            for key, wire in self._held().items()
        ]

    def release(self, csms: str, to: str | None, now: float) -> int:
        """Hold nothing for a CSMS: it goes to the operator, or ``to`` the one that is there.

        Raises :class:`LocalProtocolError`: nothing is held for it, or ``to`` cannot go on with it.
        """
        held = {key: wire for key, wire in self._held().items() if wire.csms == csms}
        if not held:
            others = ", ".join(sorted({repr(wire.csms) for wire in self._held().values()})) or "none"
            raise LocalProtocolError(f"nothing is held for CSMS {csms!r}; CSMSs with something: {others}")
        if to is None:
            self._context.notice(NoticeKind.PINNED, f"no longer held for {csms}: {', '.join(held)}")
            self._hand_over(set(held), now)
        else:
            self._tell_instead(to, held)
        return len(held)

    def held_too_long(self, now: float) -> None:
        """The time for holding is over, for some (``pin_timeout``)."""
        utc_ms = self._context.clock.utc_ms(now)
        limit_ms = self._context.config.pin_timeout * 1000
        late = {
            key
            for key, wire in self._held().items()
            if utc_ms is not None and wire.held_since_ms and utc_ms - wire.held_since_ms >= limit_ms
        }
        if late:
            text = f"held for too long, handed over: {', '.join(sorted(late))}"
            self._context.notice(NoticeKind.PINNED, text)
            self._hand_over(late, now)
        self._hold(set(self._held()), now)

    def _held(self) -> dict[str, WireRow]:
        return {key: wire for key, wire in self._wires.items() if wire.held}

    def _pinned(self, why: str, transactions: set[str], now: float) -> None:
        policy = self._context.config.pin_policy
        self._context.notice(NoticeKind.PINNED, f"{why}: {policy}")
        if policy is PinPolicy.HAND_OVER:
            self._hand_over(transactions, now)
        else:
            self._hold(transactions, now)

    def _hold(self, transactions: set[str], now: float) -> None:
        """Note since when; a time that was not known, or lay ahead of today's, is known better now."""
        utc_ms = self._context.clock.utc_ms(now) or 0
        for transaction in sorted(transactions):
            wire = self._begun(transaction)
            since = wire.held_since_ms
            if since is None or (utc_ms and not 0 < since <= utc_ms):
                self._wires.put(transaction, replace(wire, held_since_ms=utc_ms))
        self._arm(now)

    def _hand_over(self, transactions: set[str], now: float) -> None:
        for transaction in sorted(transactions):
            self._wires.put(transaction, replace(self._begun(transaction), handed_over=True))
        self._handed_over |= transactions
        self._elsewhere -= transactions
        self._arm(now)

    def _tell_instead(self, to: str, held: dict[str, WireRow]) -> None:
        """Let the CSMS that is there go on with what another one saw begin."""
        spoken = f"{self._csms!r} in {self._version}" if self._version else "none"
        others = sorted({wire.version for wire in held.values()} - {self._version})
        if self._version is None or to != self._csms or others:
            told = ", ".join(held)
            wanted = ", ".join(sorted({wire.version for wire in held.values()}))
            raise LocalProtocolError(f"{told} cannot go to {to!r} in {wanted}; there is {spoken}")
        for key, wire in held.items():
            self._wires.put(key, replace(wire, csms=to, held_since_ms=None))
        self._elsewhere -= held.keys()

    def _arm(self, now: float) -> None:
        """Look again when something will have been held for too long, if that is bounded."""
        timers, limit = self._context.timers, self._context.config.pin_timeout
        utc_ms = self._context.clock.utc_ms(now) or 0
        since = min((wire.held_since_ms or utc_ms for wire in self._held().values()), default=None)
        if not limit or since is None:
            timers.cancel(_PIN)
        else:
            timers.set(_PIN, now + max(0.0, limit - max(0, utc_ms - since) / 1000))

    def _begun(self, transaction: str) -> WireRow:
        """What a CSMS was told of a transaction that one was told of."""
        wire = self._wires.get(transaction)
        assert wire is not None
        return wire

    def pass_on(self) -> None:
        """Give the operator the facts of transactions handed over; called after every input.

        The operator hears of a fact when it is durable; its row goes only after the next input, when the
        adapter has carried out what told of it. He may hear of a fact twice, but of each, and of none that
        never was.
        """
        withholds = self._context.out.withholds
        waiting = {number: action for number, action in self._passed_on.items() if withholds(action)}
        for number in self._passed_on:
            if number not in waiting and number in self._facts:  # else it was thinned out since
                fact = self._facts[number].fact
                self._settle(number, fact, self._wire(fact))
        self._passed_on = waiting
        for number, row in self._facts.items() if self._handed_over else ():
            if row.fact.transaction in self._handed_over and number not in waiting:
                wire, attempted = self._wire(row.fact), row.sent is not None
                action = FactHandedOver(row.fact, wire.version, wire.csms_id, attempted, wire.csms)
                self._context.out.do(action, durable=True)
                self._passed_on[number] = action

    # rows

    def _settle(self, number: int, fact: TransactionFact, wire: WireRow) -> None:
        """A fact is done with: keep what the wire row says of its transaction until the transaction's end."""
        self._drop(number)
        if fact.phase is Phase.ENDED:
            self._wires.delete(fact.transaction)
            self._handed_over.discard(fact.transaction)
        else:
            self._wires.put(fact.transaction, wire)

    def _put(self, number: int, row: OutboxRow) -> None:
        self._facts[number] = row
        self._outbox.put(order_key(number), row)

    def _drop(self, number: int) -> None:
        del self._facts[number]
        self._outbox.delete(order_key(number))


def _every_second(facts: list[tuple[int, TransactionFact]]) -> list[int]:
    """The 1st, 3rd, 5th … of each transaction (E04.FR.08)."""
    seen: Counter[str] = Counter()
    chosen = []
    for number, fact in facts:
        seen[fact.transaction] += 1
        if seen[fact.transaction] % 2:
            chosen.append(number)
    return chosen
