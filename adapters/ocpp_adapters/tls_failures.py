"""Why TLS failed: one fault per cause, the OCPP security event it gives rise to, and words for people.

OpenSSL's errors differ in wording between its versions; here they become a :class:`Diagnosis`, the same for
every adapter.
"""

import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ocpp_core.domain.security import SecurityEvent as SecurityEvent


class TlsFault(StrEnum):
    """What went wrong."""

    NOT_TLS = "not TLS"
    VERSION = "TLS version"
    DOWNGRADE = "downgrade"
    CIPHER_SUITE = "cipher suite"
    NO_CERTIFICATE = "no certificate"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    SELF_SIGNED = "self-signed"
    UNKNOWN_ISSUER = "unknown issuer"
    WRONG_NAME = "wrong name"
    WILDCARD = "wildcard"
    WRONG_USAGE = "wrong usage"
    WEAK = "too weak"
    REVOKED = "revoked"
    REVOCATION_UNKNOWN = "revocation unknown"
    BAD_CERTIFICATE = "bad certificate"
    REFUSED_OURS = "own certificate refused"
    OTHER_PROFILE = "other security profile"
    OWN_KEY = "own key"
    TIMEOUT = "time-out"
    ENDED = "connection ended"
    PROTOCOL = "protocol error"


CERTIFICATE_FAULTS: Final = frozenset(
    {
        TlsFault.NO_CERTIFICATE,
        TlsFault.EXPIRED,
        TlsFault.NOT_YET_VALID,
        TlsFault.SELF_SIGNED,
        TlsFault.UNKNOWN_ISSUER,
        TlsFault.WRONG_NAME,
        TlsFault.WILDCARD,
        TlsFault.WRONG_USAGE,
        TlsFault.WEAK,
        TlsFault.REVOKED,
        TlsFault.REVOCATION_UNKNOWN,
        TlsFault.BAD_CERTIFICATE,
    }
)
"""The peer's certificate is not good enough."""

_EVENTS: Final = {
    TlsFault.VERSION: SecurityEvent.INVALID_TLS_VERSION,
    TlsFault.DOWNGRADE: SecurityEvent.INVALID_TLS_VERSION,
    TlsFault.CIPHER_SUITE: SecurityEvent.INVALID_TLS_CIPHER_SUITE,
}

_ADVICE: Final = {
    TlsFault.NOT_TLS: "the peer does not speak TLS: is it a ws:// port, or a proxy?",
    TlsFault.VERSION: "no TLS version in common: both sides must have TLS 1.2 or later",
    TlsFault.DOWNGRADE: "both sides have a newer TLS version than agreed on: somebody in between interferes",
    TlsFault.CIPHER_SUITE: "no cipher suite in common that OCPP allows and the server's certificates fit",
    TlsFault.NO_CERTIFICATE: "the peer has sent no certificate",
    TlsFault.EXPIRED: "a certificate of the peer's chain has expired, or our clock is ahead",
    TlsFault.NOT_YET_VALID: "a certificate of the peer's chain is not valid yet, or our clock is behind",
    TlsFault.SELF_SIGNED: "the peer's chain ends in a self-signed certificate that is no trust anchor here",
    TlsFault.UNKNOWN_ISSUER: "no path to a trust anchor: its root is not installed, or the peer does not "
    "send its intermediate certificates",
    TlsFault.WRONG_NAME: "the certificate is for another name than the one we connect to",
    TlsFault.WILDCARD: "the certificate names the host by a wildcard only, which OCPP does not allow",
    TlsFault.WRONG_USAGE: "the certificate's key usage or extended key usage forbids this use",
    TlsFault.WEAK: "a key of less than 112 bits of security, or an old digest, in the peer's chain",
    TlsFault.REVOKED: "a certificate of the peer's chain has been revoked",
    TlsFault.REVOCATION_UNKNOWN: "the revocation list of an issuer is missing or out of date",
    TlsFault.BAD_CERTIFICATE: "the peer's certificate chain cannot be verified",
    TlsFault.REFUSED_OURS: "the peer refuses our certificate, or our having none",
    TlsFault.OTHER_PROFILE: "the CSMS does not ask for our certificate: it does not use security profile 3",
    TlsFault.OWN_KEY: "our own key could not sign",
    TlsFault.TIMEOUT: "the TLS handshake was not over in time",
    TlsFault.ENDED: "the peer ended the connection in the TLS handshake",
    TlsFault.PROTOCOL: "the peer broke the TLS protocol",
}

_VERIFY: Final = {
    2: TlsFault.UNKNOWN_ISSUER,
    3: TlsFault.REVOCATION_UNKNOWN,
    9: TlsFault.NOT_YET_VALID,
    10: TlsFault.EXPIRED,
    11: TlsFault.REVOCATION_UNKNOWN,
    12: TlsFault.REVOCATION_UNKNOWN,
    18: TlsFault.SELF_SIGNED,
    19: TlsFault.SELF_SIGNED,
    20: TlsFault.UNKNOWN_ISSUER,
    21: TlsFault.UNKNOWN_ISSUER,
    23: TlsFault.REVOKED,
    26: TlsFault.WRONG_USAGE,
    32: TlsFault.WRONG_USAGE,
    62: TlsFault.WRONG_NAME,
    64: TlsFault.WRONG_NAME,
    66: TlsFault.WEAK,
    67: TlsFault.WEAK,
    68: TlsFault.WEAK,
}
"""OpenSSL's X509_V_ERR_... numbers; all others are BAD_CERTIFICATE."""

_REASONS: Final = {
    TlsFault.NOT_TLS: ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST"),
    TlsFault.VERSION: (
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNSUPPORTED_PROTOCOL",
        "WRONG_SSL_VERSION",
        "VERSION_TOO_LOW",
        "NO_PROTOCOLS_AVAILABLE",
    ),
    TlsFault.DOWNGRADE: ("INAPPROPRIATE_FALLBACK", "TLSV1_ALERT_INAPPROPRIATE_FALLBACK"),
    TlsFault.CIPHER_SUITE: (
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "NO_SHARED_CIPHER",
        "WRONG_CIPHER_RETURNED",
        "UNKNOWN_CIPHER_RETURNED",
        "NO_CIPHERS_AVAILABLE",
        "NO_SUITABLE_SIGNATURE_ALGORITHM",
        "NO_SHARED_SIGNATURE_ALGORITHMS",
    ),
    TlsFault.NO_CERTIFICATE: ("PEER_DID_NOT_RETURN_A_CERTIFICATE",),
    TlsFault.WEAK: ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "DH_KEY_TOO_SMALL"),
    TlsFault.REFUSED_OURS: (
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_NO_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    ),
    TlsFault.ENDED: ("UNEXPECTED_EOF_WHILE_READING",),
}
_FAULTS: Final = {reason: fault for fault, reasons in _REASONS.items() for reason in reasons}
_MAX_DETAIL: Final = 200


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why there is no TLS connection."""

    fault: TlsFault
    event: SecurityEvent | None
    """What to report (2.x A04), once for repeated attempts that fail alike (A00.FR.316 note)."""
    detail: str = ""
    """What OpenSSL, the check that failed or our key had to say."""
    cause: Exception | None = field(default=None, compare=False)
    """What our own key has raised, as a key store names it."""

    def __str__(self) -> str:
        text = f"{self.fault}: {_ADVICE[self.fault]}"
        return f"{text} ({self.detail})" if self.detail else text


class CertificateRefusedError(ssl.SSLCertVerificationError):
    """A rule that OpenSSL does not know refuses the peer's certificate; ``fault`` says which."""

    def __init__(self, fault: TlsFault, detail: str) -> None:
        super().__init__(1, f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class OwnKeyError(ssl.SSLError):
    """Our own key could not sign; why is the ``__cause__``."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(1, f"{TlsFault.OWN_KEY}: {cause}")
        self.__cause__ = self.cause = cause


class OursRefusedError(ssl.SSLError):
    """The peer has sent handshake_failure after it had chosen a suite and shown its certificate: what it does
    not like is ours, or our having none (RFC 5246 §7.4.6). TLS 1.3 has alerts that say so."""


def explained(error: ssl.SSLError, context: ssl.SSLContext) -> ssl.SSLError:
    """What a handshake has raised, or OwnKeyError if its own key is to blame, of which OpenSSL knows nothing.

    A key that may fail leaves a function ``explain`` in its context, which returns the reason, once.
    """
    explain = getattr(context, "explain", None)
    if explain is None or isinstance(error, ssl.SSLCertVerificationError):
        return error
    cause = explain(context)
    return error if cause is None else OwnKeyError(cause)


def diagnosis(fault: TlsFault, detail: str = "", *, server: bool = False) -> Diagnosis:
    """A fault with its security event: ``server`` tells which side has found it."""
    if fault in CERTIFICATE_FAULTS:
        event: SecurityEvent | None = (
            SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE
            if server
            else SecurityEvent.INVALID_CSMS_CERTIFICATE
        )
    elif fault is TlsFault.REFUSED_OURS:
        event = None if server else SecurityEvent.FAILED_TO_AUTHENTICATE_AT_CSMS
    else:
        event = _EVENTS.get(fault)
    return Diagnosis(fault, event, detail[:_MAX_DETAIL])


def diagnose(error: OSError, *, server: bool = False) -> Diagnosis:
    """What an exception of a TLS handshake, or of a read after it, means; ``server``: for the CSMS's side."""
    if isinstance(error, CertificateRefusedError):
        return diagnosis(error.fault, error.detail, server=server)
    if isinstance(error, OwnKeyError):
        return Diagnosis(TlsFault.OWN_KEY, None, str(error.cause)[:_MAX_DETAIL], error.cause)
    if isinstance(error, OursRefusedError):
        return diagnosis(TlsFault.REFUSED_OURS, "handshake failure after its certificate", server=server)
    if isinstance(error, ssl.SSLCertVerificationError):
        # Only OpenSSL's own errors have these attributes.
        fault = _VERIFY.get(getattr(error, "verify_code", 0), TlsFault.BAD_CERTIFICATE)
        return diagnosis(fault, getattr(error, "verify_message", ""), server=server)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or not isinstance(error, ssl.SSLError):
        return diagnosis(TlsFault.ENDED, server=server)
    reason = getattr(error, "reason", None) or ""
    fault = _FAULTS.get(reason, TlsFault.PROTOCOL)
    return diagnosis(fault, reason.replace("_", " ").lower(), server=server)
