"""What a station and its connectors say of themselves."""

from dataclasses import dataclass
from enum import StrEnum

from ..errors import ConfigurationError


class ConnectorStatus(StrEnum):
    """The five states of a connector in 2.x (ConnectorStatusEnumType)."""

    AVAILABLE = "Available"
    OCCUPIED = "Occupied"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class RegistrationStatus(StrEnum):
    """The CSMS's answer to a BootNotification."""

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


class BootReason(StrEnum):
    """Why the station booted (2.x BootReasonEnumType; 1.6 does not carry it)."""

    APPLICATION_RESET = "ApplicationReset"
    FIRMWARE_UPDATE = "FirmwareUpdate"
    LOCAL_RESET = "LocalReset"
    POWER_UP = "PowerUp"
    REMOTE_RESET = "RemoteReset"
    SCHEDULED_RESET = "ScheduledReset"
    TRIGGERED = "Triggered"
    UNKNOWN = "Unknown"
    WATCHDOG = "Watchdog"


_LIMITS = (
    (("model", "iccid", "imsi"), 20),
    (("serial_number", "meter_type", "meter_serial_number"), 25),
    (("vendor", "firmware_version"), 50),
)


@dataclass(frozen=True, slots=True)
class StationInfo:
    """Who the station is, as a BootNotification tells it.

    Raises :class:`~ocpp_core.errors.ConfigurationError` for a text longer than a BootNotification can carry:
    20 characters for the model, the ICCID and the IMSI, 25 for serial numbers and the meter's type, 50 for
    the rest (1.6 cuts the vendor at 20).
    """

    model: str
    vendor: str
    serial_number: str | None = None
    firmware_version: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    meter_type: str | None = None
    meter_serial_number: str | None = None

    def __post_init__(self) -> None:
        for names, limit in _LIMITS:
            for name in names:
                if len(getattr(self, name) or "") > limit:
                    raise ConfigurationError(f"{name}: at most {limit} characters")
