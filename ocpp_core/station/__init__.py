"""A complete charging station as a pure machine: hardware and frames in, actions out."""

from .actions import (
    CloseLink,
    DoLock,
    DoPower,
    LinkChanged,
    Notice,
    NoticeKind,
    OpenLink,
    RegistrationChanged,
    SendFrame,
    StationAction,
    StatusChanged,
    TransactionChanged,
)
from .blocks.connectivity import LinkFailure
from .config import Backoff, StationConfig, TxPoint
from .station import Station

__all__ = [
    "Station",
    "StationConfig",
    "Backoff",
    "TxPoint",
    "LinkFailure",
    "StationAction",
    "SendFrame",
    "OpenLink",
    "CloseLink",
    "DoPower",
    "DoLock",
    "LinkChanged",
    "RegistrationChanged",
    "StatusChanged",
    "TransactionChanged",
    "Notice",
    "NoticeKind",
]
