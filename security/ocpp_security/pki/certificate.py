"""Certificates, read once and completely, so that nothing about them can fail later.

A parsed :class:`Certificate` has every field that this package looks at; a certificate of which one of them
cannot be read is no certificate (:class:`~ocpp_security.errors.CertificateError`).
"""

import binascii
import hashlib
import re
import warnings
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID, NameOID

from ..errors import CertificateError, Fault, printable

PublicKey: TypeAlias = (
    rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
)
"""The kinds of keys that the standard's algorithms use; a certificate with another kind is refused."""

MAX_CERTIFICATE_SIZE = 16_384
"""Octets of one certificate's DER; OCPP's own limit is 5500 characters of PEM."""
MAX_CERTIFICATES = 64
"""Certificates in one bundle."""

MAX_SERIAL = 40
"""Hexadecimal digits of a serial number: RFC 5280's 20 octets, and what CertificateHashDataType takes."""

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_BLOCK = re.compile(_BEGIN + rb"([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    }
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """One X.509 certificate; equal to another if their octets are."""

    der: bytes
    fingerprint: str = field(compare=False)
    """SHA-256 of the DER, 64 lower-case hexadecimal digits."""
    parsed: x509.Certificate = field(compare=False, repr=False)
    subject: str = field(compare=False)
    """The subject's distinguished name as RFC 4514 text, for people: one printable line."""
    subject_der: bytes = field(compare=False, repr=False)
    issuer_der: bytes = field(compare=False, repr=False)
    serial: int = field(compare=False)
    not_before: datetime = field(compare=False)
    not_after: datetime = field(compare=False)
    public_key: PublicKey = field(compare=False, repr=False)
    common_name: str | None = field(compare=False)
    organization: str | None = field(compare=False)
    is_ca: bool = field(compare=False)
    path_length: int | None = field(compare=False)
    key_usage: x509.KeyUsage | None = field(compare=False, repr=False)
    extended_key_usage: frozenset[str] | None = field(compare=False, repr=False)
    """Object identifiers, dotted; None without the extension."""
    responder_urls: tuple[str, ...] = field(compare=False)
    """OCSP responders of the authority information access extension."""
    crl_urls: tuple[str, ...] = field(compare=False)
    strange: bool = field(compare=False)
    """It has a critical extension that this package does not understand, or name constraints."""

    @property
    def pem(self) -> str:
        """The certificate in PEM."""
        return self.parsed.public_bytes(Encoding.PEM).decode("ascii")

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are the same name."""
        return self.subject_der == self.issuer_der

    def may_sign_certificates(self) -> bool:
        """A CA whose key usage, if it says any, allows it to sign certificates."""
        return self.is_ca and (self.key_usage is None or self.key_usage.key_cert_sign)

    def issued_by(self, issuer: "Certificate") -> bool:
        """Whether ``issuer`` is named as the issuer and its key verifies the signature."""
        if self.issuer_der != issuer.subject_der:
            return False
        try:
            self.parsed.verify_directly_issued_by(issuer.parsed)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            return False
        return True

    def key_octets(self) -> bytes:
        """The subject public key's bit string without tag and length, as hash data wants it."""
        key = self.public_key
        if isinstance(key, rsa.RSAPublicKey):
            return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
        if isinstance(key, ec.EllipticCurvePublicKey):
            return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def public_octets(key: PublicKey) -> bytes:
    """A public key as SubjectPublicKeyInfo: what tells keys apart."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def parse_der(der: bytes) -> Certificate:
    """Read one certificate. Raises CertificateError (MALFORMED, TOO_LARGE, WEAK_KEY for an unusable kind)."""
    if len(der) > MAX_CERTIFICATE_SIZE:
        raise CertificateError(Fault.TOO_LARGE, f"{len(der)} octets")
    try:
        with warnings.catch_warnings():
            # Old encodings that the library means to refuse one day; what matters is checked here.
            warnings.simplefilter("ignore")
            return _read(x509.load_der_x509_certificate(der))
    except CertificateError:
        raise
    except Exception as error:  # the library has a dozen kinds for what is wrong with a certificate
        raise CertificateError(Fault.MALFORMED, type(error).__name__) from error


def parse_bundle(data: bytes | str, limit: int = MAX_CERTIFICATES) -> tuple[Certificate, ...]:
    """Every certificate of a PEM text, or the one of a DER, in order, without repetitions.

    Text around and between the PEM blocks is allowed, blocks of other kinds are passed over. Raises
    CertificateError (MALFORMED also if there is none, TOO_LARGE beyond ``limit`` certificates).
    """
    octets = data.encode("utf-8", "replace") if isinstance(data, str) else data
    if is_der(octets):
        return (parse_der(octets),)
    if len(octets) > limit * 2 * MAX_CERTIFICATE_SIZE:
        raise CertificateError(Fault.TOO_LARGE, f"{len(octets)} octets")
    blocks = _BLOCK.findall(octets)
    if len(blocks) > limit:
        raise CertificateError(Fault.TOO_LARGE, f"more than {limit} certificates")
    if not blocks or octets.count(_BEGIN) != len(blocks):
        raise CertificateError(Fault.MALFORMED, "no certificate in PEM, or a broken one")
    return tuple(dict.fromkeys(parse_der(_decode(block)) for block in blocks))


def is_der(octets: bytes) -> bool:
    """Whether this is a DER sequence of more than 127 octets, and so no text."""
    return octets[:1] == b"\x30" and octets[1:2] > b"\x80"


def parse_one(data: bytes | str) -> Certificate:
    """Read exactly one certificate in PEM or DER. Raises CertificateError (also NOT_ONE)."""
    certificates = parse_bundle(data)
    if len(certificates) != 1:
        raise CertificateError(Fault.NOT_ONE, f"{len(certificates)}")
    return certificates[0]


def to_pem(chain: tuple[Certificate, ...]) -> str:
    """Certificates in PEM, one after the other."""
    return "".join(certificate.pem for certificate in chain)


def _decode(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(b"".join(text.split()), strict_mode=True)
    except binascii.Error as error:
        raise CertificateError(Fault.MALFORMED, "base64") from error


def _read(certificate: x509.Certificate) -> Certificate:
    extensions = certificate.extensions
    key = certificate.public_key()
    if not isinstance(key, PublicKey):
        raise CertificateError(Fault.WEAK_KEY, type(key).__name__)
    if len(f"{certificate.serial_number:x}") > MAX_SERIAL:
        raise CertificateError(Fault.MALFORMED, "serial number of more than 20 octets")
    der = certificate.public_bytes(Encoding.DER)
    constraints = _extension(extensions, x509.BasicConstraints)
    purposes = _extension(extensions, x509.ExtendedKeyUsage)
    return Certificate(
        der=der,
        fingerprint=hashlib.sha256(der).hexdigest(),
        parsed=certificate,
        subject=printable(certificate.subject.rfc4514_string()),
        subject_der=certificate.subject.public_bytes(),
        issuer_der=certificate.issuer.public_bytes(),
        serial=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        public_key=key,
        common_name=attribute(certificate.subject, NameOID.COMMON_NAME),
        organization=attribute(certificate.subject, NameOID.ORGANIZATION_NAME),
        is_ca=constraints is not None and constraints.ca,
        path_length=None if constraints is None else constraints.path_length,
        key_usage=_extension(extensions, x509.KeyUsage),
        extended_key_usage=None if purposes is None else frozenset(oid.dotted_string for oid in purposes),
        responder_urls=_responders(extensions),
        crl_urls=_crl_urls(extensions),
        strange=any(e.critical and e.oid not in _UNDERSTOOD for e in extensions)
        or _extension(extensions, x509.NameConstraints) is not None,
    )


Kind = TypeVar("Kind", bound=x509.ExtensionType)


def _extension(extensions: x509.Extensions, kind: type[Kind]) -> Kind | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    """The value of an attribute, if there is exactly one: with two it is not clear who is meant."""
    values = name.get_attributes_for_oid(oid)
    value = values[0].value if len(values) == 1 else None
    return value if isinstance(value, str) and value else None


def _responders(extensions: x509.Extensions) -> tuple[str, ...]:
    access = _extension(extensions, x509.AuthorityInformationAccess)
    return tuple(
        description.access_location.value
        for description in access or ()
        if description.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(description.access_location, x509.UniformResourceIdentifier)
    )


def _crl_urls(extensions: x509.Extensions) -> tuple[str, ...]:
    points = _extension(extensions, x509.CRLDistributionPoints)
    return tuple(
        name.value
        for point in points or ()
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    )
