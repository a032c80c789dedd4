"""What a station asks its adapter to do, in the order in which it must be done.

``Do…`` commands the hardware and is answered by an input; ``OpenLink``, ``CloseLink`` and ``SendFrame`` are
for the network; the rest tells what happened and needs no answer.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from ..domain.layout import ConnectorRef
from ..domain.status import ConnectorStatus, RegistrationStatus
from ..domain.transactions import ChargingState, Phase, StopReason, TransactionFact, TriggerReason
from ..messages import Request
from ..rpc.actions import CallFailed as CallFailed
from ..rpc.actions import CallSucceeded as CallSucceeded
from ..rpc.actions import SendFrame as SendFrame
from ..store import Commit
from ..versions import OcppVersion


@dataclass(frozen=True, slots=True)
class OpenLink:
    """Connect to a CSMS, offering these subprotocols in order of preference.

    ``slot`` names the network profile. ``round`` counts how often all profiles were tried in vain since
    one led to a CSMS: whoever has several passwords or certificates for one, new and old, begins with the new
    and takes another each round (A02.FR.28).
    Answer with ``link_opened`` or ``link_failed``.
    """

    versions: tuple[OcppVersion, ...]
    slot: int = 0
    round: int = 0


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Close the WebSocket with this code; answer with ``link_closed``, or ``link_failed`` if it never opened.

    ``abort``: cut the connection, as nobody at the other end could answer a Close.
    """

    code: int
    reason: str
    abort: bool = False


@dataclass(frozen=True, slots=True)
class DoPower:
    """Close (``on``) or open the contactor of an EVSE; answer with ``power_switched``."""

    evse: int
    on: bool


@dataclass(frozen=True, slots=True)
class DoLock:
    """Lock or unlock the cable in a connector. Nothing waits for it."""

    ref: ConnectorRef
    locked: bool


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The link to the CSMS of a network profile is usable under this version, or gone (None)."""

    version: OcppVersion | None
    reason: str = ""
    slot: int = 0


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A call of the CSMS that the station's own software answers (``StationConfig.requests``).

    Answer with ``respond`` or ``respond_error`` within ``StationConfig.question_timeout``.
    """

    call_id: str
    request: Request


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """The CSMS answered a BootNotification."""

    status: RegistrationStatus


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """A connector's status, in 2.x terms and as the nine states of 1.6 have it."""

    ref: ConnectorRef
    status: ConnectorStatus
    status_16: str


@dataclass(frozen=True, slots=True)
class TransactionChanged:
    """A fact about a transaction was recorded (and is durable when this comes out)."""

    transaction: str
    evse: int
    phase: Phase
    trigger: TriggerReason
    charging_state: ChargingState | None
    meter_wh: float
    stop_reason: StopReason | None = None


@dataclass(frozen=True, slots=True)
class FactHandedOver:
    """A fact of a transaction that no CSMS will hear of: the operator's now; it may come out again.

    ``version`` is the one that the transaction was told under so far, ``csms`` whom it was told to and
    ``csms_id`` its number there (1.6); ``attempted``: the fact was sent, and may have arrived.
    """

    fact: TransactionFact
    version: OcppVersion
    csms_id: int | None
    attempted: bool
    csms: str = ""


class NoticeKind(StrEnum):
    """What a notice is about."""

    TOKEN_REFUSED = "token refused"
    TOKEN_ACCEPTED = "token accepted"
    TRANSACTION_REFUSED = "transaction refused"
    FACT_DISCARDED = "fact discarded"
    FACTS_THINNED = "facts thinned"
    STORE_FAILED = "store failed"
    STORE_RECOVERED = "store recovered"
    HARDWARE_SILENT = "hardware silent"
    SOFTWARE_SILENT = "software silent"
    CLOCK_SET = "clock set"
    TIME_ESTIMATED = "time estimated"
    PEER = "peer"
    PINNED = "version pinned"
    SECURITY = "security"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the operator may want to know; may be lost in a crash."""

    kind: NoticeKind
    detail: str


StationAction: TypeAlias = (
    Commit
    | OpenLink
    | CloseLink
    | SendFrame
    | DoPower
    | DoLock
    | LinkChanged
    | RequestReceived
    | CallSucceeded
    | CallFailed
    | RegistrationChanged
    | StatusChanged
    | TransactionChanged
    | FactHandedOver
    | Notice
)
