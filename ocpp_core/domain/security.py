"""Security events: the list of the standard, and which a CSMS has to be told (2.x A04, appendix 1)."""

from enum import StrEnum

from ..versions import OcppVersion

LONGEST_TYPE = 50
"""Characters of a security event's type on the wire."""
LONGEST_TECH_INFO = 255
"""Characters of its techInfo."""


class SecurityEvent(StrEnum):
    """The security events of the standard as 2.1 names them; a vendor may have others, as plain text."""

    FIRMWARE_UPDATED = "FirmwareUpdated"
    FAILED_TO_AUTHENTICATE_AT_CSMS = "FailedToAuthenticateAtCsms"
    CSMS_FAILED_TO_AUTHENTICATE = "CsmsFailedToAuthenticate"
    SETTING_SYSTEM_TIME = "SettingSystemTime"
    STARTUP_OF_THE_DEVICE = "StartupOfTheDevice"
    RESET_OR_REBOOT = "ResetOrReboot"
    SECURITY_LOG_WAS_CLEARED = "SecurityLogWasCleared"
    RECONFIGURATION_OF_SECURITY_PARAMETERS = "ReconfigurationOfSecurityParameters"
    MEMORY_EXHAUSTION = "MemoryExhaustion"
    INVALID_MESSAGES = "InvalidMessages"
    ATTEMPTED_REPLAY_ATTACKS = "AttemptedReplayAttacks"
    TAMPER_DETECTION_ACTIVATED = "TamperDetectionActivated"
    INVALID_FIRMWARE_SIGNATURE = "InvalidFirmwareSignature"
    INVALID_FIRMWARE_SIGNING_CERTIFICATE = "InvalidFirmwareSigningCertificate"
    INVALID_CSMS_CERTIFICATE = "InvalidCsmsCertificate"
    INVALID_CHARGING_STATION_CERTIFICATE = "InvalidChargingStationCertificate"
    DISCARDED_RENEWED_CLIENT_CERTIFICATE = "DiscardedRenewedClientCertificate"
    INVALID_TLS_VERSION = "InvalidTLSVersion"
    INVALID_TLS_CIPHER_SUITE = "InvalidTLSCipherSuite"
    MAINTENANCE_LOGIN_ACCEPTED = "MaintenanceLoginAccepted"
    MAINTENANCE_LOGIN_FAILED = "MaintenanceLoginFailed"

    @property
    def critical(self) -> bool:
        """Whether a CSMS has to be told (A04.FR.01).

        Six that 2.x holds critical (the certificates', TLS's and firmware's) are not in 1.6's list: a 1.6
        CSMS is told of them all the same, for how bad they are does not depend on the version.
        """
        return self not in _NOT_CRITICAL

    def spelling(self, version: OcppVersion) -> str:
        """The event's name on the wire: 1.6 has its own for four of them (whitepaper, edition 3)."""
        return _V16_NAMES.get(self, self.value) if version is OcppVersion.V16 else self.value


_NOT_CRITICAL = {
    SecurityEvent.FAILED_TO_AUTHENTICATE_AT_CSMS,
    SecurityEvent.CSMS_FAILED_TO_AUTHENTICATE,
    SecurityEvent.RECONFIGURATION_OF_SECURITY_PARAMETERS,
    SecurityEvent.INVALID_MESSAGES,
    SecurityEvent.ATTEMPTED_REPLAY_ATTACKS,
}

_V16_NAMES = {
    SecurityEvent.FAILED_TO_AUTHENTICATE_AT_CSMS: "FailedToAuthenticationAtCentralSystem",
    SecurityEvent.CSMS_FAILED_TO_AUTHENTICATE: "CentralSystemFailedToAuthentication",
    SecurityEvent.INVALID_CSMS_CERTIFICATE: "InvalidCentralSystemCertificate",
    SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE: "InvalidChargePointCertificate",
}


def standard_event(kind: str) -> SecurityEvent | None:
    """The event of the standard with this name in 2.x; None for a vendor's own."""
    try:
        return SecurityEvent(kind)
    except ValueError:
        return None


def spelled(kind: str, version: OcppVersion) -> str:
    """The name of any event on the wire: a vendor's own is the same in every version."""
    event = standard_event(kind)
    return kind if event is None else event.spelling(version)
