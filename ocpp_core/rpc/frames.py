"""The frames of OCPP-J as data (1.6-J §4.2, 2.x part 4 §4.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ocpp_core.messages import Repair, Request, Response

from .error_codes import ErrorCode

ID_LIMIT = 36
"""Characters of a message id (1.6-J table 3, 2.x part 4 table 4)."""
UNREADABLE_ID = "-1"
"""The id of a CALLERROR about a message whose id cannot be read (2.x part 4 §4.2.3)."""


class MessageType(IntEnum):
    """The Message Type Numbers (2.1 part 4 table 3)."""

    CALL = 2
    CALLRESULT = 3
    CALLERROR = 4
    CALLRESULTERROR = 5
    """Only OCPP 2.1."""
    SEND = 6
    """Only OCPP 2.1."""


@dataclass(slots=True)
class Call:
    """A valid CALL."""

    call_id: str
    action: str
    payload: Request
    repairs: tuple[Repair, ...] = ()


@dataclass(slots=True)
class CallResult:
    """A valid CALLRESULT to a call of ours."""

    call_id: str
    action: str
    payload: Response
    repairs: tuple[Repair, ...] = ()


@dataclass(slots=True)
class CallError:
    """A CALLERROR, with the error code as the peer spelled it."""

    call_id: str
    code: str
    description: str
    details: Mapping[str, Any]


@dataclass(slots=True)
class CallResultError:
    """A CALLRESULTERROR (OCPP 2.1), with the error code as the peer spelled it."""

    call_id: str
    code: str
    description: str
    details: Mapping[str, Any]


@dataclass(slots=True)
class Send:
    """A valid SEND (OCPP 2.1)."""

    call_id: str
    action: str
    payload: Request
    repairs: tuple[Repair, ...] = ()


@dataclass(slots=True)
class UnmatchedResult:
    """A CALLRESULT to no call of ours; its payload was not looked at."""

    call_id: str


@dataclass(slots=True)
class Malformed:
    """Text that is no valid frame, and what to say about it.

    ``message_type`` and ``call_id`` are None where they cannot be read; ``message_type`` is as received, so
    it may be no :class:`MessageType`.
    """

    message_type: int | None
    call_id: str | None
    code: ErrorCode
    description: str


Frame = Call | CallResult | CallError | CallResultError | Send | UnmatchedResult | Malformed
