"""Conversations under way: what the station waits for while the application thinks."""

from dataclasses import dataclass
from typing import TypeAlias

from pydantic import JsonValue

from ..domain.status import StationInfo
from ..domain.tokens import IdToken
from ..domain.transactions import Phase


@dataclass(frozen=True, slots=True)
class BootQuestion:
    """Whether to accept the station."""

    call_id: str
    info: StationInfo
    reason: str


@dataclass(frozen=True, slots=True)
class AuthorizeQuestion:
    """What of a token that was presented."""

    call_id: str


@dataclass(frozen=True, slots=True)
class TransactionQuestion:
    """What of a token that goes with a transaction's message."""

    call_id: str
    phase: Phase
    transaction: str
    token: IdToken


@dataclass(frozen=True, slots=True)
class TransferQuestion:
    """What of a vendor's message."""

    call_id: str
    vendor: str
    message: str | None
    data: JsonValue


@dataclass(frozen=True, slots=True)
class RequestQuestion:
    """A request that the application answers itself."""

    call_id: str
    action: str


Question: TypeAlias = (
    BootQuestion | AuthorizeQuestion | TransactionQuestion | TransferQuestion | RequestQuestion
)
