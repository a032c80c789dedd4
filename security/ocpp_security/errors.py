"""What certificate handling can say went wrong, by name: one reason per cause, never a library's text."""

from enum import StrEnum

from ocpp_core.errors import OcppError


class Fault(StrEnum):
    """Why a certificate, chain, response or request is not accepted."""

    MALFORMED = "malformed"
    """It cannot be decoded, or one of its fields cannot."""
    TOO_LARGE = "too large"
    """Longer, or of more certificates, than the limit."""
    NOT_ONE = "not exactly one certificate"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    NOT_A_CA = "not a CA certificate"
    NOT_A_LEAF = "a CA certificate where an end entity's is due"
    WEAK_KEY = "weak key"
    """Less than 112 bits of security (A00.FR.501 to A00.FR.503), or of a kind not recommended."""
    WEAK_SIGNATURE = "weak signature algorithm"
    BAD_SIGNATURE = "bad signature"
    WRONG_USAGE = "key usage forbids this use"
    PATH_TOO_LONG = "path too long"
    UNKNOWN_CRITICAL = "critical extension not understood"
    NO_PATH = "no path to a trust anchor"
    NO_ANCHOR = "no trust anchor installed"
    REVOKED = "revoked"
    STATUS_UNKNOWN = "revocation status unknown"
    NO_ORGANIZATION = "no organization name"
    WRONG_ORGANIZATION = "another organization's"
    NO_COMMON_NAME = "no common name"
    WRONG_COMMON_NAME = "another common name"
    ADDRESS_AS_NAME = "common name is a URL, a host name or an IP address"
    NO_MATCHING_KEY = "no private key of ours belongs to it"
    NO_CERTIFICATE = "no valid certificate with its key"
    UNKNOWN_REQUEST = "unknown signing request"
    NOT_SIGNED_BY_OLD_ROOT = "not signed by the root it replaces"
    STORE_FULL = "certificate store full"
    INSECURE_CONNECTION = "not over an unsecured connection"
    IN_USE = "in use"
    LAST_OF_ITS_KIND = "the last of its kind"
    STORAGE_FAILED = "storage failed"
    NOT_CURRENT = "response out of date"
    UNAUTHORIZED = "signed by somebody who may not"
    WRONG_SUBJECT = "about another certificate"
    UNSUCCESSFUL = "the responder could not answer"


def printable(text: str) -> str:
    """A text that a peer had a hand in, for a log or a terminal: on one line, without control characters."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


class CertificateError(OcppError, ValueError):
    """Input is not acceptable: ``fault`` says why, ``detail`` what, on one line. The state is unchanged."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        detail = printable(detail)
        super().__init__(f"{fault}: {detail}" if detail else str(fault))
        self.fault = fault
        self.detail = detail


class CertificateStoreError(OcppError):
    """The directory of certificates cannot be read or written; the text names the path."""
