"""What a CSMS machine asks its adapter and its application to do, in the order in which it must be done.

First the :class:`~ocpp_core.store.Commit`, if there is one; frames and the link are for the adapter; ``Ask…``
wants an answer from the application before ``deadline``, or a safe one is given in its place; the rest tells
what happened.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from pydantic import JsonValue

from ..domain.status import StationInfo
from ..domain.tokens import IdToken
from ..rpc import CallFailed, CallSucceeded, ResponseRefused, RpcNotice, SendFrame, SendReceived
from ..store import Commit
from .commands import CommandAnswered, CommandFailed
from .events import CsmsEvent


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Close the WebSocket with this code."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class AskRegistration:
    """Shall this station be accepted? Answer with ``answer_registration``.

    Without an answer: the configured ``unanswered_registration``, Pending if nothing else is said.
    """

    question: int
    deadline: float
    info: StationInfo
    reason: str


@dataclass(frozen=True, slots=True)
class AskAuthorization:
    """What of this token? Answer with ``answer_authorization``.

    ``transaction`` is None for an Authorize. If it is set, the token was presented for that transaction,
    which may be running already: the station may have known the token from its lists (E01.FR.11, E05.FR.01).
    Without an answer: the configured ``unanswered_authorization``, Unknown if nothing else is said.
    """

    question: int
    deadline: float
    token: IdToken
    transaction: str | None = None
    evse: int | None = None


@dataclass(frozen=True, slots=True)
class AskDataTransfer:
    """A message of a vendor that the configuration names. Answer with ``answer_data_transfer``.

    Without an answer: Rejected.
    """

    question: int
    deadline: float
    vendor: str
    message: str | None
    data: JsonValue


class NoticeKind(StrEnum):
    """What a notice is about."""

    NOT_ACCEPTED = "not accepted"
    """A station that is not accepted sent what it may not; it was refused."""
    REQUEST_REFUSED = "request refused"
    """A request that neither a block nor the application handles."""
    QUESTION_UNANSWERED = "question unanswered"
    """The application did not answer in time; the safe answer was given."""
    REPEATED = "repeated"
    """The same facts came again; they were answered and not told again."""
    SEQUENCE_GAP = "sequence gap"
    """Messages of a transaction are missing (2.x); they may still come."""
    START_UNKNOWN = "start unknown"
    """A message of a transaction whose start has not arrived."""
    CONTRADICTION = "contradiction"
    """A message contradicts an earlier one; the earlier one stands."""
    FORGOTTEN = "forgotten"
    """Too many open transactions: the oldest is no longer kept."""
    SERIAL_NUMBER = "serial number"
    """The station's serial number is not the one of its certificate."""
    STORE_FAILED = "store failed"
    """What the station told could not be stored; the link is closed, the station will say it again."""
    CLOCK_UNKNOWN = "clock unknown"
    """The station asked for the time before ``set_utc`` told it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the operator may want to know; may be lost in a crash."""

    kind: NoticeKind
    detail: str


CsmsAction: TypeAlias = (
    Commit
    | SendFrame
    | CloseLink
    | AskRegistration
    | AskAuthorization
    | AskDataTransfer
    | CsmsEvent
    | CommandAnswered
    | CommandFailed
    | CallSucceeded
    | CallFailed
    | SendReceived
    | ResponseRefused
    | RpcNotice
    | Notice
)
