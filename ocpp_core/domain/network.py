"""Network profiles: the ways in which a station can get to a CSMS (2.x B09, B10)."""

from dataclasses import dataclass
from enum import IntEnum

from ..errors import ConfigurationError
from ..versions import OcppVersion


class SecurityProfile(IntEnum):
    """The security profiles; 0 is none, for laboratories only (A00, 1.6 security whitepaper)."""

    NONE = 0
    BASIC = 1
    TLS_BASIC = 2
    TLS_CERTIFICATE = 3

    @property
    def secure(self) -> bool:
        """Whether TLS protects the link."""
        return self >= SecurityProfile.TLS_BASIC

    @property
    def password(self) -> bool:
        """Whether the station proves who it is by HTTP Basic authentication."""
        return self in {SecurityProfile.BASIC, SecurityProfile.TLS_BASIC}


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """What a station has to know of a way to a CSMS; URL, interface and credentials are its adapter's.

    Arguments:
        slot: the configuration slot, by which the adapter knows it.
        csms: which CSMS it leads to, by any name: a transaction told to one CSMS is told to no other, and
            profiles of the same name (by cable and by modem, say) go on with each other's transactions.
        security_profile: how secure it is. After a connection no less secure profile is used (A05.FR.06).
        versions: offered in this order; empty: those of the station.
        message_timeout: seconds; None: that of the station.

    Raises:
        ConfigurationError: a value makes no sense.
    """

    slot: int = 0
    csms: str = ""
    security_profile: SecurityProfile = SecurityProfile.NONE
    versions: tuple[OcppVersion, ...] = ()
    message_timeout: float | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.slot < 0:
            raise ConfigurationError("slot: 0 or more")
        if len(set(self.versions)) != len(self.versions):
            raise ConfigurationError(f"slot {self.slot}: versions: each once")
        if self.message_timeout is not None and not self.message_timeout > 0:
            raise ConfigurationError(f"slot {self.slot}: message_timeout: more than 0 seconds")
