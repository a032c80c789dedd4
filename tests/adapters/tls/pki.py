"""Certificates made on the fly: authorities, leaves with any defect, revocation lists, all as PEM files."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from ocpp_adapters.tls_policy import Credential, files

HOST = "csms.example.com"
OPERATOR = "Example CSO"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
CLIENT_AUTH, SERVER_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
_count = itertools.count(1)


@cache
def make_key(kind: str, use: int = 0) -> Any:
    """A private key, the same for the same arguments: making RSA keys takes time."""
    del use
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:] or 2048))
    return ec.generate_private_key({"ec": ec.SECP256R1(), "ec192": ec.SECP192R1()}[kind])


def _name(common_name: str, organization: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _usage(**allowed: bool) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


@dataclass(frozen=True)
class Leaf:
    """A certificate with its key and what a peer is sent besides."""

    certificate: x509.Certificate
    key: Any
    chain: Path
    key_file: Path

    @property
    def credential(self) -> Credential:
        return files(self.chain, self.key_file)


@dataclass(frozen=True)
class Authority:
    """A certificate authority; ``folder`` is where everything goes."""

    certificate: x509.Certificate
    key: Any
    folder: Path
    above: tuple[x509.Certificate, ...] = ()
    """What lies between this one and the root."""

    @property
    def file(self) -> Path:
        path = self.folder / f"ca-{self.certificate.serial_number}.pem"
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path

    def authority(self, name: str, **changes: Any) -> "Authority":
        key = make_key("ec", next(_count))
        certificate = _build(name, OPERATOR, key, self, ca=True, **changes)
        return Authority(certificate, key, self.folder, (certificate, *self.above))

    def leaf(
        self,
        common_name: str = HOST,
        organization: str | None = OPERATOR,
        *,
        kind: str = "ec",
        send_chain: bool = True,
        **changes: Any,
    ) -> Leaf:
        key = make_key(kind, 1)
        certificate = _build(common_name, organization, key, self, **changes)
        stem = f"leaf-{certificate.serial_number}"
        chain, key_file = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        sent = (certificate, *self.above) if send_chain else (certificate,)
        chain.write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in sent))
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return Leaf(certificate, key, chain, key_file)

    def crl(self, *revoked: x509.Certificate, until: timedelta = DAY) -> Path:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(NOW - 2 * DAY)
            .next_update(NOW + until)
        )
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(NOW - DAY).build())
        path = self.folder / f"crl-{next(_count)}.pem"
        path.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return path


def root(folder: Path, name: str = "Root") -> Authority:
    key = make_key("ec", next(_count))
    return Authority(_build(name, OPERATOR, key, None, ca=True), key, folder)


def self_signed(folder: Path, common_name: str = HOST) -> Leaf:
    """A certificate that vouches for itself."""
    key = make_key("ec", 1)  # as every leaf
    itself = Authority(_build(common_name, OPERATOR, key, None), key, folder)
    return itself.leaf(common_name)


def _build(
    common_name: str,
    organization: str | None,
    key: Any,
    issuer: Authority | None,
    *,
    ca: bool = False,
    names: tuple[x509.GeneralName, ...] = (),
    usage: x509.KeyUsage | None = None,
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
    since: timedelta = -DAY,
    until: timedelta = DAY,
    responder: str | None = None,
    list_at: str | None = None,
) -> x509.Certificate:
    subject = _name(common_name, organization)
    if usage is None:
        usage = (
            _usage(key_cert_sign=True, crl_sign=True)
            if ca
            else _usage(digital_signature=True, key_encipherment=True)
        )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + since)
        .not_valid_after(NOW + until)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(usage, critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if responder is not None:
        oid, url = AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(responder)
        access = x509.AuthorityInformationAccess([x509.AccessDescription(oid, url)])
        builder = builder.add_extension(access, critical=False)
    if list_at is not None:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(list_at)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    return builder.sign(key if issuer is None else issuer.key, hashes.SHA256())


def usage(**allowed: bool) -> x509.KeyUsage:
    """A key usage that allows just this."""
    return _usage(**allowed)
