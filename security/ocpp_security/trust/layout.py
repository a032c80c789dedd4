"""Where certificates lie: libocpp's directories, or wherever the integrator says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .inventory import LeafUse, TrustUse

_CA = {
    TrustUse.CSMS: "csms",
    TrustUse.MANUFACTURER: "mf",
    TrustUse.V2G: "v2g",
    TrustUse.MO: "mo",
    TrustUse.OEM: "oem",
}
_CLIENT = {LeafUse.CHARGING_STATION: "csms", LeafUse.V2G: "cso", LeafUse.V2G20: "cso20"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of a certificate directory.

    A path of ``ca`` is a directory of ``.pem``, ``.crt``, ``.cer`` and ``.der`` files. In it, self-signed CA
    certificates are trust anchors, and so are those that this package installed; other CA certificates are
    sub-CAs and used only to build paths. Or it is one PEM bundle (a file): all of that is trusted.
    """

    ca: Mapping[TrustUse, Path]
    sub_cas: Path
    """More sub-CAs: of the operator's hierarchy, libocpp's ``ca/cso``."""
    fallback: Path
    retired: Path
    client: Mapping[LeafUse, Path]
    """Directories of the station's own chains: leaf first, then its sub-CAs."""
    crl: Path
    ocsp: Path
    verify: Path
    """Bundles of anchors for TLS stacks that want a file."""

    @classmethod
    def under(cls, root: Path) -> "Layout":
        """The layout of libocpp's certificate directory below ``root``, and what is kept beside it."""
        return cls(
            ca={use: root / "ca" / name for use, name in _CA.items()},
            sub_cas=root / "ca" / "cso",
            fallback=root / "ca" / "csms-fallback",
            retired=root / "ca" / "csms-retired",
            client={use: root / "client" / name for use, name in _CLIENT.items()},
            crl=root / "crl",
            ocsp=root / "ocsp",
            verify=root / "verify",
        )
