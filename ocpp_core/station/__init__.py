"""A complete charging station as a pure machine: hardware and frames in, actions out."""

from ..domain.network import NetworkProfile, SecurityProfile
from ..domain.security import SecurityEvent
from .actions import (
    CallFailed,
    CallSucceeded,
    CloseLink,
    DoLock,
    DoPower,
    FactHandedOver,
    LinkChanged,
    Notice,
    NoticeKind,
    OpenLink,
    RegistrationChanged,
    RequestReceived,
    SendFrame,
    StationAction,
    StatusChanged,
    TransactionChanged,
)
from .blocks.connectivity import LinkFailure
from .blocks.security import LINK_EVENTS
from .config import Backoff, PinPolicy, StationConfig, TxPoint
from .station import Station

__all__ = [
    "Station",
    "StationConfig",
    "Backoff",
    "NetworkProfile",
    "SecurityProfile",
    "TxPoint",
    "PinPolicy",
    "LinkFailure",
    "LINK_EVENTS",
    "SecurityEvent",
    "StationAction",
    "SendFrame",
    "OpenLink",
    "CloseLink",
    "DoPower",
    "DoLock",
    "LinkChanged",
    "RegistrationChanged",
    "RequestReceived",
    "CallSucceeded",
    "CallFailed",
    "StatusChanged",
    "TransactionChanged",
    "FactHandedOver",
    "Notice",
    "NoticeKind",
]
