"""What is installed, as plain data, and what follows from it at a moment. Nothing here touches a file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ..errors import CertificateError
from ..pki.certificate import Certificate, public_octets
from ..pki.hashdata import CertificateHashData, HashAlgorithm, hash_data
from ..pki.path import Path, find_path


class TrustUse(StrEnum):
    """What a trust anchor is trusted for (2.x InstallCertificateUseEnumType)."""

    CSMS = "CSMSRootCertificate"
    """The operator's hierarchy: the CSMS's and the station's certificates (1.6:
    CentralSystemRootCertificate)."""
    MANUFACTURER = "ManufacturerRootCertificate"
    V2G = "V2GRootCertificate"
    MO = "MORootCertificate"
    OEM = "OEMRootCertificate"
    """OCPP 2.1."""


class LeafUse(StrEnum):
    """What a certificate of the station itself is for (2.x CertificateSigningUseEnumType)."""

    CHARGING_STATION = "ChargingStationCertificate"
    V2G = "V2GCertificate"
    """ISO 15118-2."""
    V2G20 = "V2G20Certificate"
    """ISO 15118-20 (OCPP 2.1)."""

    @property
    def trust(self) -> TrustUse:
        """Whose hierarchy it belongs to."""
        return TrustUse.CSMS if self is LeafUse.CHARGING_STATION else TrustUse.V2G


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate of the station, with the sub-CAs that came with it; a root is not part of it."""

    use: LeafUse
    chain: tuple[Certificate, ...]

    @property
    def certificate(self) -> Certificate:
        """The leaf itself."""
        return self.chain[0]

    @property
    def key_octets(self) -> bytes:
        """Its public key, as the key store knows it."""
        return public_octets(self.certificate.public_key)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything installed. Immutable: changes make another (:meth:`~ocpp_security.trust.files` loads it)."""

    anchors: Mapping[TrustUse, tuple[Certificate, ...]] = field(default_factory=dict)
    fallback: Certificate | None = None
    """The CSMS root that was replaced and is kept until the new one has proved itself (M05.FR.12)."""
    intermediates: tuple[Certificate, ...] = ()
    """Sub-CAs that were provisioned: used to build paths, not trusted."""
    retired: tuple[Certificate, ...] = ()
    """Replaced roots: nobody's anchor but of what the station has from them; hash data needs their keys."""
    leaves: tuple[Leaf, ...] = ()
    leftovers: tuple[Certificate, ...] = ()
    """Fallbacks that power loss left behind and that are none: not trusted, and cleared away."""

    def trusted(self, use: TrustUse) -> tuple[Certificate, ...]:
        """The trust anchors for a use, newest first, the fallback last."""
        anchors = tuple(sorted(self.anchors.get(use, ()), key=_newest_first))
        if use is TrustUse.CSMS and self.fallback is not None and self.fallback not in anchors:
            return (*anchors, self.fallback)
        return anchors

    def entries(self, *, leaves: bool) -> int:
        """How many certificates are installed: roots (1.6 CertificateStoreMaxLength), and with ``leaves`` the
        station's chains too (2.x CertificateEntries)."""
        installed = {certificate for use in TrustUse for certificate in self.trusted(use)}
        if leaves:
            installed.update(certificate for leaf in self.leaves for certificate in leaf.chain)
        return len(installed)

    def path(self, leaf: Leaf, at: datetime) -> Path:
        """The leaf's path to an anchor of its hierarchy. Raises CertificateError: it has none at ``at``."""
        return self._path(leaf, self.trusted(leaf.use.trust), at)

    def installed_path(self, leaf: Leaf, at: datetime) -> Path:
        """The same for a leaf that was taken before: the station's own may end at a root replaced since.

        It is the CSMS that judges it, and it may know it by the old root until it signs another.
        """
        replaced = self.retired if leaf.use is LeafUse.CHARGING_STATION else ()
        return self._path(leaf, (*self.trusted(leaf.use.trust), *replaced), at)

    def _path(self, leaf: Leaf, anchors: Sequence[Certificate], at: datetime) -> Path:
        return find_path(leaf.certificate, (*leaf.chain[1:], *self.intermediates), anchors, at)

    def of_use(self, use: LeafUse) -> tuple[Leaf, ...]:
        """The leaves of a use, newest first by the start of their validity (A02.FR.09, A02.FR.15)."""
        return tuple(
            sorted((f for f in self.leaves if f.use is use), key=lambda f: _newest_first(f.chain[0]))
        )

    def valid(self, use: LeafUse, at: datetime) -> tuple[Leaf, ...]:
        """The leaves of a use that are valid and have a path at ``at``, newest first."""
        return tuple(leaf for leaf in self.of_use(use) if self._has_path(leaf, at))

    def current(self, use: LeafUse, at: datetime) -> tuple[Leaf, ...]:
        """The newest valid leaf of each root (A02.FR.15): one for the CSMS, perhaps several for V2G."""
        newest: dict[Certificate, Leaf] = {}
        for leaf in self.valid(use, at):
            newest.setdefault(self.installed_path(leaf, at).anchor, leaf)
        leaves = tuple(newest.values())
        return leaves[:1] if use is LeafUse.CHARGING_STATION else leaves

    def _has_path(self, leaf: Leaf, at: datetime) -> bool:
        try:
            self.installed_path(leaf, at)
        except CertificateError:
            return False
        return True

    def known(self) -> Iterator[Certificate]:
        """Every certificate that may be somebody's issuer."""
        for use in TrustUse:
            yield from self.trusted(use)
        yield from self.intermediates
        yield from self.retired
        for leaf in self.leaves:
            yield from leaf.chain[1:]

    def installed(self) -> Iterator[Certificate]:
        """Every certificate but those that are kept for their keys only."""
        for use in TrustUse:
            yield from self.trusted(use)
        yield from self.intermediates
        for leaf in self.leaves:
            yield from leaf.chain

    def hash_data(self, certificate: Certificate, algorithm: HashAlgorithm) -> CertificateHashData:
        """How OCPP names an installed certificate.

        Where the issuer is not known, its key hash cannot be; the certificate's own key stands in, so that
        the certificate can still be listed and deleted.
        """
        return hash_data(certificate, self.issuer(certificate) or certificate, algorithm)

    def issuer(self, certificate: Certificate) -> Certificate | None:
        """An installed certificate that signed ``certificate``."""
        return next((known for known in self.known() if certificate.issued_by(known)), None)

    def named(self, certificate: Certificate, name: CertificateHashData) -> bool:
        """Whether ``name`` is this certificate's hash data, in whichever algorithm."""
        return f"{certificate.serial:x}" == name.serial_number and (
            self.hash_data(certificate, name.algorithm) == name
        )

    def ordered_chain(self, leaf: Leaf, at: datetime) -> tuple[Certificate, ...]:
        """Leaf to root, as far as it is known."""
        try:
            return self.installed_path(leaf, at).certificates
        except CertificateError:
            return leaf.chain


def _newest_first(certificate: Certificate) -> tuple[float, float, str]:
    """Start of validity, then its end, then anything that is always the same."""
    return (
        -certificate.not_before.timestamp(),
        -certificate.not_after.timestamp(),
        certificate.fingerprint,
    )
