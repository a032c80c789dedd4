"""What a CSMS asks of a dialect, in domain terms."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias

from pydantic import JsonValue

from ..domain.status import StationInfo
from ..domain.tokens import IdToken, IdTokenInfo
from ..domain.transactions import Phase
from ..messages import Request, Response
from ..values import value
from ..versions import OcppVersion
from .commands import Command
from .config import Registration
from .events import MeterValuesReported, SecurityEventReported, StatusReported, TransferStatus
from .readings import Readings


@value
class Boot:
    """BootNotification."""

    info: StationInfo
    reason: str


@value
class Heartbeat:
    """Heartbeat."""


@value
class Authorize:
    """Authorize."""

    token: IdToken


@value
class DataTransfer:
    """A vendor's own message."""

    vendor: str
    message: str | None
    data: JsonValue


@value
class StatusReports:
    """The statuses that a StatusNotification, or a NotifyEvent in its place (2.x), tells."""

    action: str
    reports: tuple[StatusReported, ...]


class RegisterSpan(NamedTuple):
    """The energy register in Wh at the earliest and the latest moment (epoch ms) that a message tells of."""

    first_ms: int
    first_wh: float
    last_ms: int
    last_wh: float


@dataclass(slots=True, kw_only=True)
class TransactionReport:
    """A message about a transaction, its facts not yet known to be new.

    ``transaction`` is None where the CSMS has to find it: it gives the id of a 1.6 transaction at the start,
    and a station that never got it says -1 (1.6 errata 3.18). ``verify``: the answer must carry the CSMS's
    word on ``id_token``. ``began_ms``: when the transaction began, where a message without id tells it (epoch
    ms). Not frozen, as one is made per message and never handed out.
    """

    phase: Phase
    transaction: str | None
    at: datetime
    trigger: str
    evse: int | None = None
    connector: int | None = None
    offline: bool = False
    register: RegisterSpan | None = None
    began_ms: int | None = None
    readings: Readings = field(default_factory=Readings)
    charging_state: str | None = None
    id_token: IdToken | None = None
    verify: bool = False
    seq_no: int | None = None
    remote_start_id: int | None = None
    reservation_id: int | None = None
    stop_reason: str = ""


Incoming: TypeAlias = (
    Boot
    | Heartbeat
    | Authorize
    | DataTransfer
    | TransactionReport
    | StatusReports
    | MeterValuesReported
    | SecurityEventReported
)
"""What a station can say that a block handles; what is merely acknowledged is an event already."""


@value
class Outcome:
    """A station's answer to a command."""

    status: str
    reason: str | None = None
    transaction: str | None = None


class Dialect(Protocol):
    """One OCPP version as the blocks see it. Every method is a pure function of its arguments."""

    version: OcppVersion
    may_trigger_boot: bool
    """Whether an accepted station may be asked to boot once more (not in 1.6: errata 3.40)."""

    def incoming(self, request: Request) -> Incoming | None:
        """What the station says, or None if no block handles it."""
        ...

    def acknowledgement(self, action: str) -> Response:
        """The empty response to a report."""
        ...

    def boot_response(self, registration: Registration, at: datetime) -> Response:
        """The answer to :class:`Boot`."""
        ...

    def heartbeat_response(self, at: datetime) -> Response:
        """The answer to :class:`Heartbeat`."""
        ...

    def authorize_response(self, info: IdTokenInfo) -> Response:
        """The answer to :class:`Authorize`."""
        ...

    def data_transfer_response(self, status: TransferStatus, data: JsonValue) -> Response:
        """The answer to :class:`DataTransfer`."""
        ...

    def transaction_response(self, phase: Phase, transaction: str, info: IdTokenInfo | None) -> Response:
        """The answer to a :class:`TransactionReport`; ``info`` is there if it asked for verification."""
        ...

    def request(self, command: Command) -> Request:
        """The call that a command is. Raises LocalProtocolError for what the version cannot say."""
        ...

    def outcome(self, response: Response) -> Outcome:
        """What the station said to a command."""
        ...

    def solicits(self, request: Request) -> frozenset[str]:
        """The actions that this call makes the station send, also while not accepted (B02.FR.02)."""
        ...


def word(vocabulary: type[StrEnum], text: str) -> str:
    """The member of a domain enumeration with this value, or the text itself."""
    try:
        return vocabulary(text)
    except ValueError:
        return text


def in_utc(moment: datetime) -> datetime:
    """An aware datetime in UTC."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # within a day of the first or last moment of the calendar: no station's time
        return moment.replace(tzinfo=UTC)
