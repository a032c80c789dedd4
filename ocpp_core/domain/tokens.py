"""Id tokens and what a CSMS says of them."""

from dataclasses import dataclass
from enum import StrEnum


class AuthorizationStatus(StrEnum):
    """What a token may do (2.x AuthorizationStatusEnumType; 1.6 knows five of these)."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    CONCURRENT_TX = "ConcurrentTx"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    NO_CREDIT = "NoCredit"
    NOT_ALLOWED_TYPE_EVSE = "NotAllowedTypeEVSE"
    NOT_AT_THIS_LOCATION = "NotAtThisLocation"
    NOT_AT_THIS_TIME = "NotAtThisTime"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class IdToken:
    """A driver's identification. Tokens compare without regard to case (C01, 1.6 §7.28).

    ``type`` is a 2.x token type: ``Central``, ``eMAID``, ``ISO14443``, ``ISO15693``, ``KeyCode``, ``Local``,
    ``MacAddress``, ``NoAuthorization``, or one that 2.1 adds. 1.6 carries the value alone.
    """

    value: str
    type: str = "ISO14443"

    def matches(self, other: "IdToken | None") -> bool:
        """Whether both name the same driver; the type is not compared, since 1.6 does not carry it."""
        return other is not None and self.value.casefold() == other.value.casefold()

    def __repr__(self) -> str:
        # Personal data must not reach a log by way of a traceback or a debug print.
        return f"IdToken('…{self.value[-2:]}', {self.type!r})"


@dataclass(frozen=True, slots=True)
class IdTokenInfo:
    """What the CSMS said of a token: its status, the group it belongs to, until when (UTC, epoch ms).

    ``evses`` are the EVSEs of the station where it may charge; empty: at all of them (C01.FR.19, C01.FR.20).
    1.6 does not carry them.
    """

    status: AuthorizationStatus
    group: IdToken | None = None
    expires_ms: int | None = None
    evses: tuple[int, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the token may charge."""
        return self.status is AuthorizationStatus.ACCEPTED
