"""What happened at a station, in the same words whatever its OCPP version.

Timestamps are the station's, in UTC. Where a version does not carry a member it is None; where a station uses
a word that the domain does not know (2.1 adds some, tolerance lets others in), the text stands as it came.
"""

from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from pydantic import JsonValue

from ..domain.layout import ConnectorRef
from ..domain.status import ConnectorStatus, RegistrationStatus, StationInfo
from ..domain.tokens import IdToken
from ..messages import Request
from ..values import keyword_value, value
from .readings import Readings


@value
class StationBooted:
    """A BootNotification was answered with ``registration``.

    ``reason`` is a :class:`~ocpp_core.domain.status.BootReason` where the domain knows it; Unknown in 1.6.
    """

    info: StationInfo
    reason: str
    registration: RegistrationStatus


@value
class HeartbeatReceived:
    """The station is alive. Every message shows that (G02.FR.04); this one shows nothing else."""


@value
class StatusError:
    """An error or warning that goes with a status (1.6): the error code, free text, the vendor's own code."""

    code: str
    info: str | None = None
    vendor: str | None = None
    vendor_code: str | None = None


@value
class StatusReported:
    """The status of a connector, an EVSE (connector 0) or the station (EVSE 0), in 2.x terms.

    ``wire_status`` is the word on the wire; one that the domain does not know counts as Occupied.
    """

    ref: ConnectorRef
    status: ConnectorStatus
    wire_status: str
    at: datetime | None
    error: StatusError | None = None


@keyword_value
class TransactionEvent:
    """What a station tells of a transaction.

    Arguments:
        transaction: its id: the station's (2.x), or the one this CSMS gave it (1.6).
        evse: the EVSE, None while not told; so for ``connector``.
        at: when it happened, by the station's clock.
        trigger: a :class:`~ocpp_core.domain.transactions.TriggerReason` where the domain knows it.
        offline: the station was offline then (2.x).
        meter_wh: the energy register in Wh as this message has it: at the start, the latest, at the end.
        readings: all that was measured, converted when looked at.
        charging_state: a :class:`~ocpp_core.domain.transactions.ChargingState` (2.x).
        id_token: the token that was presented; in 1.6 the one of StartTransaction and StopTransaction.
        seq_no: the position in the transaction's messages (2.x).
        remote_start_id: of the :class:`~ocpp_core.csms.commands.RequestStart` that led to this (2.x).
        reservation_id: of the reservation that it used up.
    """

    transaction: str
    evse: int | None
    connector: int | None
    at: datetime
    trigger: str
    offline: bool = False
    meter_wh: float | None = None
    readings: Readings = field(default_factory=Readings)
    charging_state: str | None = None
    id_token: IdToken | None = None
    seq_no: int | None = None
    remote_start_id: int | None = None
    reservation_id: int | None = None


@keyword_value
class TransactionStarted(TransactionEvent):
    """A transaction started. It may come after an Updated or the Ended, if delivered out of order."""


@keyword_value
class TransactionUpdated(TransactionEvent):
    """Something changed in a transaction, or was measured. It may come late, after the Ended."""


@keyword_value
class TransactionEnded(TransactionEvent):
    """A transaction ended; once per transaction, also where its start was lost.

    ``stop_reason`` is a :class:`~ocpp_core.domain.transactions.StopReason` where the domain knows it; the
    standard's default, Local, where the station gave none (1.6 §4.10, E06.FR.09).
    """

    stop_reason: str


@value
class MeterValuesReported:
    """Readings of an EVSE, or of the station's main meter (EVSE 0), that belong to no transaction."""

    evse: int
    readings: Readings


@value
class SecurityEventReported:
    """A security event happened at the station (A04)."""

    type: str
    at: datetime
    tech_info: str | None


class TransferStatus(StrEnum):
    """The answer to a vendor's message (DataTransferStatusEnumType)."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    UNKNOWN_MESSAGE_ID = "UnknownMessageId"
    UNKNOWN_VENDOR_ID = "UnknownVendorId"


@value
class DataTransferred:
    """A vendor's own message was answered with ``status``."""

    vendor: str
    message: str | None
    data: JsonValue
    status: TransferStatus


@value
class RequestReceived:
    """A request that the application answers itself, by ``Csms.respond()`` or ``Csms.respond_error()``."""

    call_id: str
    request: Request


CsmsEvent: TypeAlias = (
    StationBooted
    | HeartbeatReceived
    | StatusReported
    | TransactionStarted
    | TransactionUpdated
    | TransactionEnded
    | MeterValuesReported
    | SecurityEventReported
    | DataTransferred
    | RequestReceived
)
