"""Certificate revocation lists (RFC 5280 section 5) of the certificate's own issuer, whole or in parts."""

import warnings
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from ..errors import CertificateError, Fault
from .certificate import Certificate, is_der
from .ocsp import MAX_AGE, MAX_SKEW, Revocation
from .path import strong_algorithm, strong_key

_UNDERSTOOD = frozenset(
    {
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
    }
)
MAX_CRL_SIZE = 4 * 1024 * 1024
"""Octets of one list."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which of its issuer's certificates a list is about (RFC 5280 §5.2.5)."""

    urls: frozenset[str]
    """Those that name one of these as where their list is; none: all."""
    users_only: bool
    authorities_only: bool


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list as read; whether to believe it is asked with :func:`revocation`."""

    der: bytes
    parsed: x509.CertificateRevocationList = field(compare=False, repr=False)
    issuer_der: bytes = field(compare=False, repr=False)
    this_update: datetime = field(compare=False)
    next_update: datetime = field(compare=False)
    partial: bool = field(compare=False)
    """A delta, indirect, for some reasons only, or critical in a way that is not understood."""
    scope: Scope | None = field(compare=False)
    """None: it is about all certificates of its issuer."""

    @property
    def pem(self) -> str:
        """The list in PEM."""
        return self.parsed.public_bytes(Encoding.PEM).decode("ascii")


def parse_crl(data: bytes) -> RevocationList:
    """Read one list in PEM or DER. Raises CertificateError (MALFORMED, TOO_LARGE)."""
    if len(data) > MAX_CRL_SIZE:
        raise CertificateError(Fault.TOO_LARGE, f"{len(data)} octets")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old encodings; what matters is checked here
            load = x509.load_der_x509_crl if is_der(data) else x509.load_pem_x509_crl
            return _read(load(data))
    except Exception as error:  # the library has many kinds for what is wrong with a list
        raise CertificateError(Fault.MALFORMED, type(error).__name__) from error


def revocation(
    crl: RevocationList, certificate: Certificate, issuer: Certificate, at: datetime
) -> Revocation:
    """GOOD or REVOKED, as a list of the certificate's issuer says at UTC ``at``.

    Raises CertificateError as :func:`check_crl` does, and MALFORMED.
    """
    if crl.issuer_der != certificate.issuer_der or not covers(crl, certificate):
        raise CertificateError(Fault.WRONG_SUBJECT)
    check_crl(crl, issuer, at)
    try:
        revoked = crl.parsed.get_revoked_certificate_by_serial_number(certificate.serial)
        removed = revoked is not None and _removed(revoked)
    except (ValueError, x509.DuplicateExtension) as error:
        raise CertificateError(Fault.MALFORMED, type(error).__name__) from error
    return Revocation.GOOD if revoked is None or removed else Revocation.REVOKED


def covers(crl: RevocationList, certificate: Certificate) -> bool:
    """Whether a list of the certificate's issuer is about it."""
    scope = crl.scope
    if scope is None:
        return True
    if certificate.is_ca if scope.users_only else scope.authorities_only and not certificate.is_ca:
        return False
    return not scope.urls or not scope.urls.isdisjoint(certificate.crl_urls)


def revoked_serials(crl: RevocationList) -> frozenset[int]:
    """The serial numbers on a list, to look many certificates up. Raises CertificateError (MALFORMED)."""
    try:
        return frozenset(entry.serial_number for entry in crl.parsed)
    except (ValueError, x509.DuplicateExtension) as error:
        raise CertificateError(Fault.MALFORMED, type(error).__name__) from error


def is_current(crl: RevocationList, at: datetime) -> bool:
    """Whether UTC ``at`` is between thisUpdate, clocks being what they are, and nextUpdate."""
    return crl.this_update <= at + MAX_SKEW and at <= crl.next_update


def check_crl(crl: RevocationList, issuer: Certificate, at: datetime) -> None:
    """Raise CertificateError unless a list is ``issuer``'s and to be believed at UTC ``at``.

    WRONG_SUBJECT (another issuer's, or not complete), NOT_CURRENT, WRONG_USAGE (the issuer may not sign
    lists), WEAK_KEY and WEAK_SIGNATURE (as for certificates, A00.FR.501 to A00.FR.506), BAD_SIGNATURE.
    """
    if crl.partial or crl.issuer_der != issuer.subject_der:
        raise CertificateError(Fault.WRONG_SUBJECT)
    if not is_current(crl, at):
        raise CertificateError(Fault.NOT_CURRENT, f"{crl.this_update} to {crl.next_update}")
    if issuer.key_usage is not None and not issuer.key_usage.crl_sign:
        raise CertificateError(Fault.WRONG_USAGE, issuer.subject)
    if not strong_key(issuer.public_key):
        raise CertificateError(Fault.WEAK_KEY, issuer.subject)
    if not strong_algorithm(crl.parsed):
        raise CertificateError(Fault.WEAK_SIGNATURE, "revocation list")
    if not crl.parsed.is_signature_valid(issuer.public_key):
        raise CertificateError(Fault.BAD_SIGNATURE, "revocation list")


def _read(crl: x509.CertificateRevocationList) -> RevocationList:
    kinds = {extension.oid for extension in crl.extensions if extension.critical}
    points = (it.value for it in crl.extensions if isinstance(it.value, x509.IssuingDistributionPoint))
    point = next(points, None)
    return RevocationList(
        der=crl.public_bytes(Encoding.DER),
        parsed=crl,
        issuer_der=crl.issuer.public_bytes(),
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc or crl.last_update_utc + MAX_AGE,
        partial=bool(kinds - _UNDERSTOOD) or (point is not None and not _complete(point)),
        scope=None if point is None else _scope(point),
    )


def _complete(point: x509.IssuingDistributionPoint) -> bool:
    """Whether it has all that there is to say of the certificates that it is about."""
    others = point.indirect_crl or point.only_contains_attribute_certs or point.relative_name is not None
    return not others and point.only_some_reasons is None


def _scope(point: x509.IssuingDistributionPoint) -> Scope:
    names = point.full_name or ()
    urls = frozenset(name.value for name in names if isinstance(name, x509.UniformResourceIdentifier))
    return Scope(urls, point.only_contains_user_certs, point.only_contains_ca_certs)


def _removed(entry: x509.RevokedCertificate) -> bool:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return False
    return reason is x509.ReasonFlags.remove_from_crl
