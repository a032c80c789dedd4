"""Typed payloads of OCPP 1.6, 2.0.1 and 2.1, one package per version, one module per functional block.

>>> from ocpp_core.messages import v201
>>> v201.HeartbeatRequest().to_json()
'{}'

Importing this package imports no version; ``v16``, ``v201`` and ``v21`` import a block when one of its names
is used.
"""

from .base import Datatype, Direction, Enumeration, OpenDatatype, Payload, Request, Response
from .registry import Action, MessageSet, message_set
from .tolerance import (
    STRICT,
    FieldError,
    Repair,
    RepairKind,
    Tolerance,
    Violation,
    field_errors,
    validate_tolerantly,
)

__all__ = [
    "Payload",
    "Request",
    "Response",
    "Datatype",
    "OpenDatatype",
    "Enumeration",
    "MessageSet",
    "Action",
    "Direction",
    "message_set",
    "Tolerance",
    "STRICT",
    "Repair",
    "RepairKind",
    "validate_tolerantly",
    "FieldError",
    "Violation",
    "field_errors",
]
