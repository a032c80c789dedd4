"""A PKI made on the fly: authorities, certificates with any fault, revocation lists, OCSP responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from ocpp_security.pki.certificate import Certificate, parse_der, to_pem

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SHA256 = hashes.SHA256()
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_serials = count(1000)


@cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """RSA keys are slow to make: the same one for the whole run."""
    del number
    return rsa.generate_private_key(65537, bits)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def name(common_name: str | None, organization: str | None = "Operator") -> x509.Name:
    attributes = []
    if organization is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    if common_name is not None:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes)


def usage(*allowed: str) -> x509.KeyUsage:
    flags = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
    )
    return x509.KeyUsage(
        **{flag: flag in allowed for flag in flags}, encipher_only=False, decipher_only=False
    )


CA_USAGE = usage("key_cert_sign", "crl_sign")
LEAF_USAGE = usage("digital_signature")


@dataclass
class Wish:
    """How a certificate is to be; the defaults make a good one."""

    ca: bool | None = False
    path_length: int | None = None
    usage: x509.KeyUsage | None = None
    begin: datetime = NOW - 10 * DAY
    end: datetime = NOW + 365 * DAY
    responder: str | None = None
    crl: str | None = None
    purposes: Sequence[x509.ObjectIdentifier] = ()
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = ()
    digest: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    pss: bool = False
    serial: int | None = None


def build(subject: x509.Name, public: object, issuer: x509.Name, signer: Key, wish: Wish) -> Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)  # type: ignore[arg-type]  # any key, as a fault may want it
        .serial_number(next(_serials) if wish.serial is None else wish.serial)
        .not_valid_before(wish.begin)
        .not_valid_after(wish.end)
    )
    if wish.ca is not None:
        constraints = x509.BasicConstraints(ca=wish.ca, path_length=wish.path_length if wish.ca else None)
        builder = builder.add_extension(constraints, critical=True)
    if wish.usage is not None:
        builder = builder.add_extension(wish.usage, critical=True)
    if wish.responder is not None:
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(wish.responder)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    if wish.crl is not None:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(wish.crl)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    if wish.purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(wish.purposes)), critical=False)
    for extension, critical in wish.extensions:
        builder = builder.add_extension(extension, critical)
    pss = padding.PSS(padding.MGF1(wish.digest), padding.PSS.DIGEST_LENGTH) if wish.pss else None
    made = builder.sign(signer, wish.digest, rsa_padding=pss)  # type: ignore[arg-type]  # weak hashes too
    return parse_der(made.public_bytes(Encoding.DER))


@dataclass
class Authority:
    """A certificate with its private key."""

    certificate: Certificate
    key: Key

    @property
    def name(self) -> x509.Name:
        return self.certificate.parsed.subject

    def sub(self, common_name: str, key: Key | None = None, **wish: object) -> Authority:
        """A CA below this one."""
        own = key or ec_key()
        wishes = Wish(**{"ca": True, "usage": CA_USAGE, **wish})  # type: ignore[arg-type]
        return Authority(build(name(common_name), own.public_key(), self.name, self.key, wishes), own)

    def leaf(
        self,
        common_name: str | None = "SN-0001",
        organization: str | None = "Operator",
        key: Key | None = None,
        **wish: object,
    ) -> Authority:
        """An end entity below this one."""
        own = key or ec_key()
        wishes = Wish(**{"usage": LEAF_USAGE, **wish})  # type: ignore[arg-type]
        made = build(name(common_name, organization), own.public_key(), self.name, self.key, wishes)
        return Authority(made, own)

    def sign_csr(self, pem: str, **wish: object) -> Certificate:
        """A certificate for a signing request, as an operator's CA makes it."""
        request = x509.load_pem_x509_csr(pem.encode())
        assert request.is_signature_valid
        wishes = Wish(**{"usage": LEAF_USAGE, **wish})  # type: ignore[arg-type]
        return build(request.subject, request.public_key(), self.name, self.key, wishes)

    def crl(
        self,
        *revoked: Certificate,
        begin: datetime = NOW - DAY,
        end: datetime = NOW + 7 * DAY,
        reason: x509.ReasonFlags | None = None,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> bytes:
        """A revocation list in DER."""
        builder = x509.CertificateRevocationListBuilder(issuer_name=self.name)
        builder = builder.last_update(begin).next_update(end)
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial).revocation_date(begin)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, SHA256).public_bytes(Encoding.DER)

    def ocsp(
        self,
        certificate: Certificate,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        *,
        issuer: Authority | None = None,
        begin: datetime = NOW - DAY,
        end: datetime | None = NOW + 7 * DAY,
        algorithm: hashes.HashAlgorithm | None = None,
        by: ocsp.OCSPResponderEncoding = ocsp.OCSPResponderEncoding.HASH,
        enclose: bool = True,
    ) -> bytes:
        """An OCSP response in DER, signed by this authority, about a certificate of ``issuer`` or its own."""
        above = issuer or self
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=certificate.parsed,
            issuer=above.certificate.parsed,
            algorithm=algorithm or SHA256,
            cert_status=status,
            this_update=begin,
            next_update=end,
            revocation_time=begin if revoked else None,
            revocation_reason=None,
        )
        builder = builder.responder_id(by, self.certificate.parsed)
        if enclose and issuer is not None:
            builder = builder.certificates([self.certificate.parsed])
        return builder.sign(self.key, SHA256).public_bytes(Encoding.DER)


def root(common_name: str = "Root", key: Key | None = None, **wish: object) -> Authority:
    """A self-signed CA."""
    own = key or ec_key()
    wishes = Wish(**{"ca": True, "usage": CA_USAGE, "end": NOW + 3650 * DAY, **wish})  # type: ignore[arg-type]
    subject = name(common_name)
    return Authority(build(subject, own.public_key(), subject, own, wishes), own)


def pem(*authorities: Authority | Certificate) -> str:
    """Certificates in PEM, in order."""
    return to_pem(tuple(a.certificate if isinstance(a, Authority) else a for a in authorities))
