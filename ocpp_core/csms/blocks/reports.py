"""What a station reports outside of transactions, and what its vendor made up (A04, G01, J01, P01)."""

import json

from pydantic import JsonValue

from ...errors import StoreError
from ..actions import AskDataTransfer, NoticeKind
from ..context import Context
from ..dialect import DataTransfer, StatusReports
from ..events import (
    DataTransferred,
    MeterValuesReported,
    SecurityEventReported,
    TransferStatus,
)
from ..questions import TransferQuestion

REMEMBERED = 8
"""Reports whose repetition is recognised."""
_KEY = "reports"
_METER_VALUES = "MeterValues"
_SECURITY_EVENT = "SecurityEventNotification"


class Reports:
    """Acknowledges reports, and tells each once: a station delivers some at least once (A04.FR.02)."""

    __slots__ = ("_context", "_recent", "_table")

    def __init__(self, context: Context, table: str) -> None:
        self._context = context
        self._table = table
        try:
            self._recent = [
                int(fingerprint) for fingerprint in json.loads(context.tables.get(table, _KEY) or "[]")
            ]
        except (TypeError, ValueError) as error:
            raise StoreError(f"the reports of {context.identity!r} are damaged: {error}") from error

    def statuses(self, call_id: str, reports: StatusReports, now: float) -> None:
        """The status of connectors. It converges, so saying it twice does no harm."""
        self._context.answer(call_id, self._context.dialect.acknowledgement(reports.action), now)
        for report in reports.reports:
            self._context.emit(report)

    def meter_values(self, call_id: str, report: MeterValuesReported, now: float) -> None:
        """Readings outside of transactions."""
        self._tell_once(call_id, _METER_VALUES, report, now)

    def security_event(self, call_id: str, report: SecurityEventReported, now: float) -> None:
        """A security event."""
        self._tell_once(call_id, _SECURITY_EVENT, report, now)

    def _tell_once(
        self, call_id: str, action: str, report: MeterValuesReported | SecurityEventReported, now: float
    ) -> None:
        context = self._context
        context.answer(call_id, context.dialect.acknowledgement(action), now)
        fingerprint = context.fingerprint(action)
        if fingerprint in self._recent:
            context.notice(NoticeKind.REPEATED, action)
            return
        self._recent = [*self._recent[1 - REMEMBERED :], fingerprint]
        context.tables.put(self._table, _KEY, json.dumps(self._recent))
        context.emit(report)

    def data_transfer(self, call_id: str, transfer: DataTransfer, now: float) -> None:
        """A vendor's message: the application's, or nobody's (P01.FR.06; 1.6 §4.3)."""
        context = self._context
        question = TransferQuestion(call_id, transfer.vendor, transfer.message, transfer.data)
        if transfer.vendor not in context.config.vendors:
            self._reply(question, TransferStatus.UNKNOWN_VENDOR_ID, None, now)
            return
        number, deadline = context.ask(question, now)
        context.emit(AskDataTransfer(number, deadline, transfer.vendor, transfer.message, transfer.data))

    def answered(
        self, number: int, question: TransferQuestion, status: TransferStatus, data: JsonValue, now: float
    ) -> None:
        """The application's answer. Raises LocalProtocolError for data the version cannot say."""
        self._reply(question, status, data, now)
        self._context.settle(number)

    def _reply(self, question: TransferQuestion, status: TransferStatus, data: JsonValue, now: float) -> None:
        context = self._context
        context.answer(question.call_id, context.dialect.data_transfer_response(status, data), now)
        context.emit(DataTransferred(question.vendor, question.message, question.data, status))
