"""The central-system side of one station's connection.

::

    csms = Csms(config, "CP-7", OcppVersion.V201, os.urandom, now, store.load())
    csms.set_utc(utc_ms, now)
    csms.receive_frame(text, now)
    for action in csms.actions():       # Commit first: make it durable, then carry out the rest in order
        ...

One machine is one connection: a station that reconnects, maybe with another version, gets a new one over the
rows that the old one committed. What must outlive a connection is in those rows, under the identity: whether
the station is accepted, its open and recently ended transactions, what it reported last.
"""

from urllib.parse import quote

from pydantic import JsonValue

from ..domain.status import RegistrationStatus
from ..domain.tokens import IdTokenInfo
from ..entropy import Entropy
from ..errors import LocalProtocolError
from ..messages import Request, Response
from ..rpc import (
    CallFailed,
    CallReceived,
    CallSucceeded,
    ErrorCode,
    RpcAction,
    RpcSession,
    SendFrame,
    SendReceived,
)
from ..store import Snapshot, Tables
from ..versions import OcppVersion, Role
from .actions import CsmsAction, NoticeKind
from .blocks.authorization import Authorization
from .blocks.provisioning import Provisioning
from .blocks.remote_control import RemoteControl
from .blocks.reports import Reports
from .blocks.transactions import Transactions
from .commands import Command, CommandAnswered, CommandFailed
from .config import CsmsConfig, Registration
from .context import Context, Link
from .dialect import Authorize, Boot, DataTransfer, Heartbeat, StatusReports, TransactionReport
from .dialects import dialect_for
from .events import (
    MeterValuesReported,
    RequestReceived,
    SecurityEventReported,
    TransferStatus,
)
from .ledger import Bill, Ledger
from .questions import (
    AuthorizeQuestion,
    BootQuestion,
    RequestQuestion,
    TransactionQuestion,
    TransferQuestion,
)

INTERNAL_ERROR = 1011
"""WebSocket close code (RFC 6455 §7.4.1)."""


def tables_of(identity: str) -> tuple[str, str, str]:
    """The tables that hold the rows of an identity, so that one store can hold those of many.

    The identity stands there percent-encoded: with a slash of its own it would name another's tables.
    """
    name = f"csms/{quote(identity, safe='', errors='surrogatepass')}"
    return name, f"{name}/transactions", f"{name}/progress"


_RESULTS = (CommandAnswered, CommandFailed, CallSucceeded, CallFailed)
"""What stays true when a commit fails."""


class Csms:
    """What a CSMS must do on one connection. See the package's documentation for what comes out.

    Arguments:
        config: the settings, shared by any number of machines.
        identity: the station's, as in the URL.
        version: the version that was negotiated.
        entropy: the source of message ids and transaction ids.
        now: monotonic seconds.
        snapshot: rows that include those of this identity; others are not looked at.
        certificate_serial: the serial number in the station's client certificate, to be checked against the
            one that it boots with (B01.FR.11); None: there is none.

    Raises:
        StoreError: the rows are damaged.
        LocalProtocolError: the configuration says of tokens what the version cannot say.
    """

    __slots__ = (
        "_authorization",
        "_context",
        "_handed",
        "_provisioning",
        "_remote_control",
        "_reports",
        "_transactions",
        "identity",
        "version",
    )

    def __init__(
        self,
        config: CsmsConfig,
        identity: str,
        version: OcppVersion,
        entropy: Entropy,
        now: float,
        snapshot: Snapshot | None = None,
        *,
        certificate_serial: str | None = None,
    ) -> None:
        names = tables_of(identity)
        station, transactions, progress = names
        rows = snapshot or {}
        tables = Tables({name: rows[name] for name in names if name in rows})
        session = RpcSession(version, Role.CSMS, entropy, config.rpc)
        dialect = dialect_for(version, config.layout)
        for info in (config.authorization, config.unanswered_authorization):
            if info is not None:
                dialect.authorize_response(info)
        limits = config.open_transactions, config.closed_transactions
        self.identity = identity
        self.version = version
        self._handed: list[CsmsAction] = []
        self._context = context = Context(config, identity, dialect, session, tables, entropy)
        self._provisioning = Provisioning(context, station, certificate_serial)
        self._authorization = Authorization(context)
        self._transactions = Transactions(context, station, Ledger(tables, transactions, progress, limits))
        self._reports = Reports(context, station)
        self._remote_control = RemoteControl(context, self._provisioning)

    # The link.

    def receive_frame(self, text: str, now: float) -> None:
        """Take in one text message of the station; never raises for what the station sends.

        Raises:
            LocalProtocolError: the link was lost.
        """
        context = self._context
        if context.link is not Link.OPEN:
            self._require_link()
            return
        context.frame = text
        context.session.receive_frame(text, now)
        self._route(context.session.actions(), now)
        context.frame = ""

    def link_lost(self, now: float) -> None:
        """The link is gone: every call fails, every question is over. What is left are the last actions.

        Raises:
            LocalProtocolError: the link was lost before.
        """
        self._require_link()
        context = self._context
        context.link = Link.LOST
        context.out = [action for action in context.out if not isinstance(action, SendFrame)]
        self._give_up(now)

    # Time.

    def set_utc(self, utc_ms: int | None, now: float) -> None:
        """Tell what time it is (epoch ms, None: unknown). Until then boots and heartbeats are refused.

        Raises :class:`LocalProtocolError` for a fraction.
        """
        if not isinstance(utc_ms, int | None):
            raise LocalProtocolError(f"utc_ms: whole milliseconds since 1970, not {utc_ms!r}")
        self._context.set_utc(utc_ms, now)

    def handle_timer(self, now: float) -> None:
        """Let what is due happen; harmless at any other time."""
        context = self._context
        context.session.handle_timer(now)
        self._route(context.session.actions(), now)
        for number in context.timers.due(now):
            self._unanswered(number, now)

    def next_timer(self) -> float | None:
        """When ``handle_timer`` must be called; None: no need."""
        call = self._context.session.next_timer()
        question = self._context.timers.next()
        if call is None or question is None:
            return question if call is None else call
        return min(call, question)

    # The store.

    def actions(self) -> list[CsmsAction]:
        """Everything to do since the last call, in order, a Commit first; handed over once."""
        context = self._context
        actions, context.out = context.out, []
        if context.tables.dirty:
            self._handed = [action for action in actions if isinstance(action, _RESULTS)]
            actions.insert(0, context.tables.take())
        return actions

    def snapshot(self) -> dict[str, dict[str, str]]:
        """The rows of this identity, what is not committed yet included."""
        return self._context.tables.snapshot()

    def store_failed(self, reason: str, now: float) -> None:
        """The Commit just handed out is not durable, and nothing that came after it was carried out.

        The machine closes the link (1011) and is of no more use: nothing of that drain or since has happened,
        the station was told nothing, and says it again to a machine over the rows that are durable.
        """
        context = self._context
        context.out = self._handed + [action for action in context.out if isinstance(action, _RESULTS)]
        if context.tables.dirty:  # by inputs that came while the commit was under way
            context.tables.take()
        context.notice(NoticeKind.STORE_FAILED, reason)
        if context.link is Link.OPEN:
            context.close(INTERNAL_ERROR, "storage failure")
            self._give_up(now)

    # The operator.

    def call(self, what: Request | Command, now: float, *, timeout: float | None = None) -> str:
        """Send a request of the station's version, or a command of any version.

        A request ends in CallSucceeded or CallFailed, a command in CommandAnswered or CommandFailed; each
        exactly once, with the id returned here.

        Raises:
            LocalProtocolError: there is no link or no room, or the standard or the version forbids it.
        """
        if self._context.link is not Link.OPEN:
            raise LocalProtocolError("there is no link to the station")
        call_id = self._remote_control.call(what, now, timeout)
        self._route(self._context.session.actions(), now)
        return call_id

    @property
    def registration(self) -> RegistrationStatus:
        """Whether the station is accepted."""
        return self._provisioning.status

    def billed(self) -> tuple[Bill, ...]:
        """What each transaction that is kept comes to, oldest first."""
        return tuple(record.bill() for record in self._transactions.ledger.records.values())

    # The application's answers.

    def answer_registration(self, question: int, registration: Registration, now: float) -> bool:
        """Answer an AskRegistration; False if it is too late: another answer was given, or the link is gone.

        Raises:
            LocalProtocolError: there was no such question (so for every ``answer`` method).
        """
        asked = self._context.question(question, BootQuestion)
        if asked is not None:
            self._provisioning.answered(question, asked, registration, now)
            self._heed_standing(now)
        return asked is not None

    def answer_authorization(self, question: int, info: IdTokenInfo, now: float) -> bool:
        """Answer an AskAuthorization; False if it is too late.

        Raises:
            LocalProtocolError: also if the version cannot say it, as a group of an unknown token type.
        """
        asked = self._context.question(question, AuthorizeQuestion, TransactionQuestion)
        match asked:
            case TransactionQuestion():
                self._transactions.answered(question, asked, info, now, given=True)
            case AuthorizeQuestion():
                self._authorization.answered(question, asked, info, now)
        return asked is not None

    def answer_data_transfer(
        self, question: int, status: TransferStatus, data: JsonValue, now: float
    ) -> bool:
        """Answer an AskDataTransfer; False if it is too late.

        Raises:
            LocalProtocolError: also if the data are not text for 1.6, or not JSON.
        """
        asked = self._context.question(question, TransferQuestion)
        if asked is not None:
            self._reports.answered(question, asked, status, data, now)
        return asked is not None

    def respond(self, call_id: str, response: Response, now: float) -> bool:
        """Answer a RequestReceived; False if it is too late, or there was no such request.

        Raises:
            LocalProtocolError: the response does not answer it.
        """
        number = self._request(call_id)
        if number is not None:
            self._context.answer(call_id, response, now)
            self._context.settle(number)
        return number is not None

    def respond_error(self, call_id: str, code: ErrorCode, description: str, now: float) -> bool:
        """Answer a RequestReceived with a CALLERROR; False as for :meth:`respond`."""
        number = self._request(call_id)
        if number is not None:
            self._context.refuse(call_id, code, description, now)
            self._context.settle(number)
        return number is not None

    def _request(self, call_id: str) -> int | None:
        """The number of the open question that this request of the station is."""
        for number, question in self._context.questions.items():
            if isinstance(question, RequestQuestion) and question.call_id == call_id:
                return number
        return None

    # Routing.

    def _route(self, actions: list[RpcAction], now: float) -> None:
        for action in actions:
            match action:
                case CallReceived():
                    self._on_call(action, now)
                case CallSucceeded():
                    self._remote_control.succeeded(action)
                case CallFailed():
                    self._remote_control.failed(action)
                case SendReceived() if not self._provisioning.admits(action.action):
                    self._context.notice(NoticeKind.NOT_ACCEPTED, action.action)
                case _:
                    self._context.emit(action)

    def _on_call(self, call: CallReceived, now: float) -> None:
        context, call_id = self._context, call.call_id
        if not self._provisioning.admits(call.action):
            context.notice(NoticeKind.NOT_ACCEPTED, call.action)
            context.refuse(call_id, ErrorCode.SECURITY_ERROR, "the station is not accepted", now)
            return
        incoming = context.dialect.incoming(call.request)
        match incoming:
            case TransactionReport():
                self._transactions.report(call_id, incoming, now)
            case MeterValuesReported():
                self._reports.meter_values(call_id, incoming, now)
            case StatusReports():
                self._reports.statuses(call_id, incoming, now)
            case Heartbeat():
                self._provisioning.heartbeat(call_id, now)
            case Authorize():
                self._authorization.authorize(call_id, incoming, now)
            case Boot():
                self._provisioning.boot(call_id, incoming, now)
                self._heed_standing(now)
            case SecurityEventReported():
                self._reports.security_event(call_id, incoming, now)
            case DataTransfer():
                self._reports.data_transfer(call_id, incoming, now)
            case _:
                self._forward(call, now)

    def _heed_standing(self, now: float) -> None:
        """A boot was handled: a station that is not to be talked to is told nothing more."""
        if self._context.link is Link.CLOSING:
            self._give_up(now)
        elif self.registration is RegistrationStatus.REJECTED:
            self._remote_control.withdraw(now)
            self._route(self._context.session.actions(), now)

    def _forward(self, call: CallReceived, now: float) -> None:
        """A request that no block handles: the application's, or nobody's."""
        context = self._context
        if call.action in context.config.requests:
            context.ask(RequestQuestion(call.call_id, call.action), now)
            context.emit(RequestReceived(call.call_id, call.request))
        else:
            context.notice(NoticeKind.REQUEST_REFUSED, call.action)
            context.refuse(call.call_id, ErrorCode.NOT_SUPPORTED, f"{call.action} is not handled here", now)

    def _unanswered(self, number: int, now: float) -> None:
        """The application did not answer in time; the station gets the safe answer."""
        context = self._context
        config, question = context.config, context.questions[number]
        context.notice(NoticeKind.QUESTION_UNANSWERED, type(question).__name__)
        match question:
            case BootQuestion():
                self._provisioning.answered(number, question, config.unanswered_registration, now)
                self._heed_standing(now)
            case AuthorizeQuestion():
                self._authorization.answered(number, question, config.unanswered_authorization, now)
            case TransactionQuestion():
                info = config.unanswered_authorization
                self._transactions.answered(number, question, info, now, given=False)
            case TransferQuestion():
                self._reports.answered(number, question, TransferStatus.REJECTED, None, now)
            case _:
                context.settle(number)
                context.refuse(question.call_id, ErrorCode.INTERNAL_ERROR, "not handled in time", now)

    # The end of the link.

    def _require_link(self) -> None:
        if self._context.link is Link.LOST:
            raise LocalProtocolError("the link was lost")

    def _give_up(self, now: float) -> None:
        """No answer goes out any more and none comes in."""
        context = self._context
        for number in list(context.questions):
            context.settle(number)
        context.session.link_lost(now)
        self._route(context.session.actions(), now)
