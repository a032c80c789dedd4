"""The CSMS: what a central system must do, one machine per station's connection, no I/O.

Events and commands are the same for OCPP 1.6, 2.0.1 and 2.1. See :class:`Csms`.
"""

from .actions import (
    AskAuthorization,
    AskDataTransfer,
    AskRegistration,
    CloseLink,
    CsmsAction,
    Notice,
    NoticeKind,
)
from .commands import (
    ChangeAvailability,
    Command,
    CommandAnswered,
    CommandFailed,
    RequestStart,
    RequestStop,
    Reset,
    Topic,
    Trigger,
    UnlockConnector,
)
from .config import CsmsConfig, Registration
from .csms import Csms, tables_of
from .events import (
    CsmsEvent,
    DataTransferred,
    HeartbeatReceived,
    MeterValuesReported,
    RequestReceived,
    SecurityEventReported,
    StationBooted,
    StatusError,
    StatusReported,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
    TransactionUpdated,
    TransferStatus,
)
from .ledger import Bill
from .readings import Reading, Readings

__all__ = [
    "Csms",
    "CsmsConfig",
    "Registration",
    "tables_of",
    "CsmsAction",
    "CloseLink",
    "AskRegistration",
    "AskAuthorization",
    "AskDataTransfer",
    "Notice",
    "NoticeKind",
    "CsmsEvent",
    "StationBooted",
    "HeartbeatReceived",
    "StatusReported",
    "StatusError",
    "TransactionEvent",
    "TransactionStarted",
    "TransactionUpdated",
    "TransactionEnded",
    "MeterValuesReported",
    "SecurityEventReported",
    "DataTransferred",
    "TransferStatus",
    "RequestReceived",
    "Reading",
    "Readings",
    "Bill",
    "Command",
    "RequestStart",
    "RequestStop",
    "Trigger",
    "Topic",
    "UnlockConnector",
    "ChangeAvailability",
    "Reset",
    "CommandAnswered",
    "CommandFailed",
]
