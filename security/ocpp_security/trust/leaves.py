"""The station's own certificates: which CSR to make, whether to take what came back, what to drop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.x509.oid import NameOID

from ..errors import CertificateError, Fault
from ..pki.certificate import Certificate, parse_bundle, public_octets
from ..pki.crl import RevocationList
from ..pki.ocsp import Revocation
from ..pki.path import order_chain
from ..pki.properties import StationSubject, check_station_certificate
from ..pki.revocation import crl_status
from .decisions import Change, Decision, PutLeaf, RemoveLeaf, Status
from .inventory import Inventory, Leaf, LeafUse

MAX_CHAIN = 10
"""Certificates in a chain that the CSMS sends."""


@dataclass(frozen=True, slots=True)
class LeafPolicy:
    """How certificates of the station are asked for and judged."""

    max_chain_size: int = 10_000
    """MaxCertificateChainSize, CertificateSignedMaxChainSize: characters (A02.FR.16)."""
    accept_future: bool = False
    """Take a certificate that is not valid yet and switch to it when it is (1.6 A02.FR.08); in 2.x it is
    refused (errata 2.9 on A02.FR.06)."""
    clock_skew: timedelta = timedelta(minutes=5)
    """How far the authority's clock may be ahead of ours: a certificate that was signed just now is not valid
    yet by a clock that is slow (2.x A02.FR.06, note). It is used as soon as it is."""
    check_subject: bool = True
    """Whether CN and O must be those of the CSR, or just be there."""
    max_leaves: int = 10
    """Chains of one use; beyond it, those that expired or were replaced are removed."""


@dataclass(frozen=True, slots=True)
class PendingKey:
    """A key pair for which a certificate was asked."""

    name: str
    use: LeafUse
    request_id: int
    public: bytes
    """SubjectPublicKeyInfo."""


def subject_name(subject: StationSubject) -> x509.Name:
    """The subject of a CSR: CN and O (A00.FR.509, A00.FR.511; 1.6 A02.FR.13), and what ISO 15118 adds.

    Raises CertificateError (NO_ORGANIZATION, NO_COMMON_NAME, MALFORMED).
    """
    if not subject.organization:
        raise CertificateError(Fault.NO_ORGANIZATION, "OrganizationName (CpoName) is not set")
    if not subject.serial_number:
        raise CertificateError(Fault.NO_COMMON_NAME, "the station's serial number is not set")
    try:
        attributes = [
            x509.NameAttribute(NameOID.COMMON_NAME, subject.serial_number),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.organization),
        ]
        if subject.country is not None:
            attributes.append(x509.NameAttribute(NameOID.COUNTRY_NAME, subject.country))
        if subject.domain_component is not None:
            attributes.append(x509.NameAttribute(NameOID.DOMAIN_COMPONENT, subject.domain_component))
        return x509.Name(attributes)
    except ValueError as error:
        raise CertificateError(Fault.MALFORMED, str(error)) from error


def alternative_names(names: Sequence[str]) -> tuple[x509.Extension[x509.ExtensionType], ...]:
    """The extension of a CSR that asks for further names: host names and IP addresses; none without a name.

    Raises CertificateError (MALFORMED).
    """
    if not names:
        return ()
    try:
        extension = x509.SubjectAlternativeName(list(map(_general_name, names)))
    except ValueError as error:
        raise CertificateError(Fault.MALFORMED, str(error)) from error
    return (x509.Extension(extension.oid, False, extension),)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def decide_signed(
    inventory: Inventory,
    policy: LeafPolicy,
    pending: Mapping[bytes, PendingKey],
    subject: Mapping[LeafUse, StationSubject],
    pem: str,
    at: datetime,
    *,
    use: LeafUse | None = None,
    request_id: int | None = None,
    crls: Sequence[RevocationList] = (),
) -> tuple[Decision, PendingKey | None]:
    """CertificateSigned (A02.FR.06, A02.FR.16, A02.FR.26): what to answer, and whose key it is for.

    ``pending`` holds the keys asked for by public key. With ``use`` or ``request_id`` (2.1) the certificate
    must be for that; without, the key decides.
    """
    if len(pem) > policy.max_chain_size:
        return Decision(Status.REJECTED, Fault.TOO_LARGE, f"{len(pem)} characters"), None
    if request_id is not None and request_id not in {key.request_id for key in pending.values()}:
        return Decision(Status.REJECTED, Fault.UNKNOWN_REQUEST, str(request_id)), None
    key = None
    try:
        certificates = _leaf_first(parse_bundle(pem, MAX_CHAIN), pending)
        key = _key_of(certificates, pending, use, request_id)
        leaf = _judge(inventory, policy, key, subject.get(key.use), certificates, at, crls)
    except CertificateError as error:
        return Decision(Status.REJECTED, error.fault, error.detail), key
    return Decision(Status.ACCEPTED, changes=(PutLeaf(leaf),)), key


def _leaf_first(
    certificates: tuple[Certificate, ...], pending: Mapping[bytes, PendingKey]
) -> tuple[Certificate, ...]:
    """2.x says that the leaf comes first; 1.6 says nothing, so it is the one whose key is ours."""
    return tuple(sorted(certificates, key=lambda c: public_octets(c.public_key) not in pending))


def _key_of(
    certificates: tuple[Certificate, ...],
    pending: Mapping[bytes, PendingKey],
    use: LeafUse | None,
    request_id: int | None,
) -> PendingKey:
    """The pending key of the first certificate, which is the leaf."""
    key = pending.get(public_octets(certificates[0].public_key))
    if key is None or (use is not None and key.use is not use):
        raise CertificateError(Fault.NO_MATCHING_KEY, certificates[0].subject)
    if request_id is not None and key.request_id != request_id:
        raise CertificateError(Fault.NO_MATCHING_KEY, f"request {request_id}")
    return key


def _judge(
    inventory: Inventory,
    policy: LeafPolicy,
    key: PendingKey,
    subject: StationSubject | None,
    certificates: tuple[Certificate, ...],
    at: datetime,
    crls: Sequence[RevocationList],
) -> Leaf:
    certificate = certificates[0]
    leaf = Leaf(key.use, order_chain(certificate, certificates[1:]))
    soon = policy.accept_future or certificate.not_before - at <= policy.clock_skew
    when = max(at, certificate.not_before) if soon else at
    path = inventory.path(leaf, when)
    check_station_certificate(certificate, subject if policy.check_subject else None)
    if crl_status(path, crls, at) is Revocation.REVOKED:
        raise CertificateError(Fault.REVOKED, certificate.subject)
    return leaf


def decide_leaf_proven(
    inventory: Inventory, used: Certificate, at: datetime
) -> tuple[tuple[Change, ...], bool]:
    """The station is connected with ``used``: its other certificates for the CSMS go (A02.FR.10), but none
    that is not valid yet: its turn is still to come (1.6 A02.FR.08).

    Second in the result: whether one of them is newer, so that the renewal came to nothing
    (DiscardedRenewedClientCertificate, A02.FR.29).
    """
    leaves = inventory.of_use(LeafUse.CHARGING_STATION)
    begun = [leaf for leaf in leaves if leaf.certificate.not_before <= at]
    certificates = [leaf.certificate for leaf in begun]
    if used not in certificates:
        return (), False
    others = tuple(RemoveLeaf(leaf) for leaf in begun if leaf.certificate != used)
    return others, certificates.index(used) > 0


def decide_collect(inventory: Inventory, policy: LeafPolicy, at: datetime) -> tuple[Change, ...]:
    """Chains of a use that has more than ``max_leaves``: as many as are too many, the oldest first.

    Expired ones go, then for vehicles those that a newer one of the same root has replaced. The station's own
    that still are valid go when another has connected (:func:`decide_leaf_proven`).
    """
    changes: list[Change] = []
    for use in LeafUse:
        leaves = inventory.of_use(use)
        useless = [leaf for leaf in reversed(leaves) if leaf.certificate.not_after < at]
        if use is not LeafUse.CHARGING_STATION:
            begun = [leaf for leaf in reversed(leaves) if leaf.certificate.not_before <= at]
            current = inventory.current(use, at)
            useless += [leaf for leaf in begun if leaf not in current and leaf not in useless]
        changes += [RemoveLeaf(leaf) for leaf in useless[: max(0, len(leaves) - policy.max_leaves)]]
    return tuple(changes)
