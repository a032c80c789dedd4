"""Transactions: each fact told once, each transaction billed once (E; 1.6 §3.7, §4.7, §4.8, §4.10).

A station delivers at least once and, where its start got no answer, under an id that is none; the other
side of exactly-once is here. A message that comes again is known by its content: in 2.x by the transaction's
id and the seqNo, in 1.6 by what it says. Start and end count once per transaction whatever their numbers, so
that a station that counts wrongly loses readings at worst, never a bill.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from ...domain.time import to_utc_ms
from ...domain.tokens import IdTokenInfo
from ...domain.transactions import Phase
from ...errors import StoreError
from ..actions import AskAuthorization, NoticeKind
from ..context import Context
from ..dialect import TransactionReport
from ..events import TransactionEnded, TransactionStarted, TransactionUpdated
from ..ledger import FINGERPRINTS, Ledger, Record
from ..questions import TransactionQuestion

_KEY = "next transaction"
_HIGHEST_ID = 2**31 - 1
_UNNUMBERED = "MeterValues"

AnyTransactionEvent: TypeAlias = TransactionStarted | TransactionUpdated | TransactionEnded


class Transactions:
    """Takes in what a station says of its transactions."""

    __slots__ = ("_context", "_next_id", "_table", "ledger")

    def __init__(self, context: Context, table: str, ledger: Ledger) -> None:
        self._context = context
        self._table = table
        self.ledger = ledger
        row = context.tables.get(table, _KEY)
        try:
            self._next_id = None if row is None else int(row)
        except ValueError as error:
            raise StoreError(
                f"the transaction counter of {context.identity!r} is damaged: {error}"
            ) from error

    def report(self, call_id: str, report: TransactionReport, now: float) -> None:
        """A message about a transaction."""
        unnumbered = report.phase is Phase.UPDATED and report.seq_no is None
        fingerprint = self._context.fingerprint(_UNNUMBERED) if unnumbered else 0
        record = self._find(report, fingerprint) or self._create(report)
        fresh = self._take_in(record, report, fingerprint)
        info = self._word_on(record, report)
        if info is None and report.verify:
            if fresh:
                self._tell(record, report)
            self._ask(call_id, record, report, now)
            return
        response = self._context.dialect.transaction_response(report.phase, record.transaction, info)
        self._context.answer(call_id, response, now)
        if fresh:
            self._tell(record, report)

    def answered(
        self, number: int, question: TransactionQuestion, info: IdTokenInfo, now: float, *, given: bool
    ) -> None:
        """The word on a token: the application's (``given``), or the one for want of it, not kept."""
        context = self._context
        response = context.dialect.transaction_response(question.phase, question.transaction, info)
        context.settle(number)
        context.answer(question.call_id, response, now)
        record = self.ledger.records.get(question.transaction)
        if given and record is not None and question.token.matches(record.token):
            record.info = info
            self.ledger.save(record)

    # Which transaction it is.

    def _find(self, report: TransactionReport, fingerprint: int) -> Record | None:
        records = self.ledger.records
        if report.transaction is not None:
            return records.get(report.transaction)
        if report.phase is Phase.STARTED:
            return next((record for record in records.values() if _began_so(record, report)), None)
        record = self._find_nameless(report, fingerprint)
        if record is not None:
            detail = f"a message without transaction id was taken for {record.transaction}"
            self._context.notice(NoticeKind.START_UNKNOWN, detail)
        return record

    def _find_nameless(self, report: TransactionReport, fingerprint: int) -> Record | None:
        """The transaction of a station that never learned its id (1.6 errata 3.18), if it is beyond doubt.

        It is one whose id the station has never used. A StopTransaction does not even name a connector.
        """
        unnamed = [record for record in self.ledger.records.values() if not record.confirmed]
        running = [record for record in unnamed if not record.ended]
        if report.phase is Phase.UPDATED:
            repeated = [record for record in unnamed if fingerprint in record.fingerprints]
            place = report.evse, report.connector
            here = [r for r in running if (r.evse, r.connector) == place and _goes_on_so(r, report)]
            return next(iter([*repeated, *here[-1:]]), None)
        repeated = [record for record in unnamed if _ended_so(record, report)]
        if repeated:
            return repeated[0]
        possible = [record for record in running if _goes_on_so(record, report)]
        token = report.id_token
        if token is not None:  # another one, be it of the driver's group, is not beyond doubt
            same = [record for record in possible if token.matches(record.token)]
            possible = same or [record for record in possible if record.token is None]
        if report.began_ms is not None:
            began = [record for record in possible if record.started_ms == report.began_ms]
            possible = began or [record for record in possible if record.started_ms is None]
        elif len(possible) > 1 and report.register is not None:  # the first reading may be that at the start
            possible = [record for record in possible if record.started_ms == report.register.first_ms]
        return possible[0] if len(possible) == 1 else None

    def _create(self, report: TransactionReport) -> Record:
        started = report.phase is Phase.STARTED
        transaction = report.transaction
        if transaction is None:
            transaction = (
                self._number() if started else f"lost-{to_utc_ms(report.at)}-{self.ledger.serial + 1}"
            )
        record, forgotten = self.ledger.create(transaction)
        if forgotten is not None:
            self._context.notice(NoticeKind.FORGOTTEN, f"open transaction {forgotten.transaction}")
        if not started:
            detail = f"{transaction}: the first message is not its start"
            self._context.notice(NoticeKind.START_UNKNOWN, detail)
        return record

    def _number(self) -> str:
        """A positive id that no transaction of this station has (1.6 errata 3.54).

        The first is drawn, so that a CSMS that lost its store does not use the ids of its past again.
        """
        number = self._next_id
        if number is None:
            number = int.from_bytes(self._context.entropy(4), "big") % 2**30 + 1
        while str(number) in self.ledger.records:
            number = number % _HIGHEST_ID + 1
        self._next_id = number % _HIGHEST_ID + 1
        self._context.tables.put(self._table, _KEY, str(self._next_id))
        return str(number)

    # What is new of it.

    def _take_in(self, record: Record, report: TransactionReport, fingerprint: int) -> bool:
        """Write a message's facts down; False if they were known."""
        counted = self._count(record, report, fingerprint)
        if report.phase is Phase.UPDATED:
            if not counted:
                self._context.notice(NoticeKind.REPEATED, f"{record.transaction}: a message")
                return False
        elif not self._is_first(record, report, counted):
            return False
        changed = _supplement(record, report)
        _note_register(record, report)
        if report.phase is Phase.UPDATED and not changed:
            self.ledger.save_progress(record)
        else:
            self.ledger.save(record)
        return True

    def _count(self, record: Record, report: TransactionReport, fingerprint: int) -> bool:
        """Whether this message, by its number or else its content, was not there yet."""
        number = report.seq_no
        if number is not None:
            runs = record.seen.intervals
            if runs and number > runs[-1][1] + 1:
                detail = f"{record.transaction}: {runs[-1][1] + 1} to {number - 1} are missing"
                self._context.notice(NoticeKind.SEQUENCE_GAP, detail)
            return record.seen.add(number)
        if fingerprint in record.fingerprints:
            return False
        if fingerprint:
            record.fingerprints = [*record.fingerprints[1 - FINGERPRINTS :], fingerprint]
        return True

    def _is_first(self, record: Record, report: TransactionReport, counted: bool) -> bool:
        """Whether this is the first start or end of a transaction, and not another."""
        name = f"{record.transaction}: {report.phase}"
        known = record.started_ms if report.phase is Phase.STARTED else record.ended_ms
        at = to_utc_ms(report.at)
        if known is not None:
            kind = NoticeKind.REPEATED if known == at else NoticeKind.CONTRADICTION
            self._context.notice(kind, name)
            return False
        if not counted:
            self._context.notice(NoticeKind.CONTRADICTION, f"{name} has the seqNo of another message")
        register = report.register
        if report.phase is Phase.STARTED:
            record.started_ms = at
            record.start_wh = None if register is None else register.first_wh
        else:
            record.ended_ms = at
            record.stop_wh = None if register is None else register.last_wh
            record.stop_reason = report.stop_reason
        return True

    # What is said of it.

    def _word_on(self, record: Record, report: TransactionReport) -> IdTokenInfo | None:
        """What is known of the message's token: from earlier in the transaction, or by configured policy."""
        token = report.id_token
        if token is None:
            return None
        ours = token.matches(record.token)
        if ours and record.info is not None:
            return record.info
        info = self._context.config.authorization if report.verify else None
        if ours and info is not None:
            record.info = info
            self.ledger.save(record)
        return info

    def _ask(self, call_id: str, record: Record, report: TransactionReport, now: float) -> None:
        token = report.id_token
        assert token is not None, "what is to be verified is there"
        question = TransactionQuestion(call_id, report.phase, record.transaction, token)
        number, deadline = self._context.ask(question, now)
        self._context.emit(AskAuthorization(number, deadline, token, record.transaction, record.evse))

    def _tell(self, record: Record, report: TransactionReport) -> None:
        register = report.register
        build: Callable[..., AnyTransactionEvent] = _EVENTS[report.phase]
        if report.phase is Phase.ENDED:
            build = partial(build, stop_reason=report.stop_reason)
        if register is None:
            meter_wh = None
        else:
            meter_wh = register.first_wh if report.phase is Phase.STARTED else register.last_wh
        event = build(
            transaction=record.transaction,
            evse=record.evse if report.evse is None else report.evse,
            connector=record.connector if report.connector is None else report.connector,
            at=report.at,
            trigger=report.trigger,
            offline=report.offline,
            meter_wh=meter_wh,
            readings=report.readings,
            charging_state=report.charging_state,
            id_token=report.id_token,
            seq_no=report.seq_no,
            remote_start_id=report.remote_start_id,
            reservation_id=report.reservation_id,
        )
        self._context.emit(event)


_EVENTS: Mapping[Phase, type[AnyTransactionEvent]] = {
    Phase.STARTED: TransactionStarted,
    Phase.UPDATED: TransactionUpdated,
    Phase.ENDED: TransactionEnded,
}


def _began_so(record: Record, report: TransactionReport) -> bool:
    """Whether a start of 1.6 is this transaction's, come again: same place, token, register and moment."""
    register = report.register
    return (
        record.started_ms == to_utc_ms(report.at)
        and (record.evse, record.connector) == (report.evse, report.connector)
        and record.token == report.id_token
        and record.start_wh == (register and register.first_wh)
    )


def _ended_so(record: Record, report: TransactionReport) -> bool:
    """Whether an end without transaction id is this transaction's, come again."""
    register = report.register
    return record.ended_ms == to_utc_ms(report.at) and record.stop_wh == (register and register.last_wh)


def _goes_on_so(record: Record, report: TransactionReport) -> bool:
    """Whether a message without id can be this transaction's: neither time nor register go back.

    It tells of readings, too: one from before the transaction began is another's.
    """
    start, register = record.bill().start_wh, report.register
    first_ms = to_utc_ms(report.at) if register is None else min(register.first_ms, to_utc_ms(report.at))
    in_time = record.started_ms is None or record.started_ms <= first_ms
    return in_time and (start is None or register is None or start <= register.last_wh)


def _supplement(record: Record, report: TransactionReport) -> bool:
    """Fill in what a message tells of its transaction for the first time; whether there was anything.

    The token of the start is the driver's; until it is there the first one counts.
    """
    before = record.evse, record.connector, record.token, record.confirmed
    if record.evse is None:
        record.evse = report.evse
    if record.connector is None:
        record.connector = report.connector
    if report.id_token is not None and (record.token is None or report.phase is Phase.STARTED):
        record.token = report.id_token
        record.info = None
    record.confirmed = record.confirmed or report.transaction is not None
    return before != (record.evse, record.connector, record.token, record.confirmed)


def _note_register(record: Record, report: TransactionReport) -> None:
    register = report.register
    if register is None:
        return
    if not record.earliest or register.first_ms < record.earliest[0]:
        record.earliest = [register.first_ms, register.first_wh]
    if not record.latest or register.last_ms >= record.latest[0]:
        record.latest = [register.last_ms, register.last_wh]
