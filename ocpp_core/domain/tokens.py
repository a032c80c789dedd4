"""Id tokens and what a CSMS says of them."""

from dataclasses import dataclass
from enum import StrEnum

from ..versions import OcppVersion

ANY_TYPE = ""
"""The type of a token that came from a 1.6 CSMS, which tells none."""

_LONGEST = {OcppVersion.V16: 20, OcppVersion.V201: 36, OcppVersion.V21: 255}
LONGEST_TYPE = 20
"""Characters of a token type (identifierString of 2.1)."""


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
    """A driver's identification: at most 255 characters, or ValueError is raised.

    ``type`` is a 2.x token type: ``Central``, ``eMAID``, ``ISO14443``, ``ISO15693``, ``KeyCode``, ``Local``,
    ``MacAddress``, ``NoAuthorization``, or one that 2.1 adds, at most 20 characters. 1.6 carries the value
    alone: a token from there has :data:`ANY_TYPE`.
    """

    value: str
    type: str = "ISO14443"

    def __post_init__(self) -> None:
        if len(self.value) > _LONGEST[OcppVersion.V21] or len(self.type) > LONGEST_TYPE:
            raise ValueError(
                f"a token of {len(self.value)} characters or its type is longer than OCPP carries"
            )

    def matches(self, other: "IdToken | None") -> bool:
        """Whether both name the same driver: value without regard to case, and type if known (C01.FR.25)."""
        if other is None or self.value.casefold() != other.value.casefold():
            return False
        return self.type == other.type or ANY_TYPE in (self.type, other.type)

    def fits(self, version: OcppVersion) -> bool:
        """Whether a version can carry the whole value: 20, 36 or 255 characters. A part is another token."""
        return len(self.value) <= _LONGEST[version]

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
        """Whether the token may charge, at one EVSE at least."""
        return self.status is AuthorizationStatus.ACCEPTED

    def allows(self, evse: int) -> bool:
        """Whether the token may charge at this EVSE (C01.FR.21)."""
        return self.accepted and (not self.evses or evse in self.evses)
