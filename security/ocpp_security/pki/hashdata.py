"""Hash data: how OCPP names a certificate (CertificateHashDataType, RFC 6960 section 4.1.1's CertID)."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from .certificate import Certificate


class HashAlgorithm(StrEnum):
    """The hash algorithms of every version."""

    SHA256 = "SHA256"
    SHA384 = "SHA384"
    SHA512 = "SHA512"

    def hex(self, data: bytes) -> str:
        """The digest of ``data`` in lower-case hexadecimal digits."""
        return hashlib.new(self.value.lower(), data).hexdigest()


@dataclass(frozen=True, slots=True)
class CertificateHashData:
    """A certificate's name: hashes of its issuer's name and key, and its serial number, in hexadecimal.

    Comparisons ignore the case and leading zeroes that the peer may have used: the values are normalised.
    """

    algorithm: HashAlgorithm
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str

    def __post_init__(self) -> None:
        for name in ("issuer_name_hash", "issuer_key_hash"):
            object.__setattr__(self, name, getattr(self, name).lower())
        object.__setattr__(self, "serial_number", self.serial_number.lower().lstrip("0") or "0")


def hash_data(
    certificate: Certificate, issuer: Certificate, algorithm: HashAlgorithm = HashAlgorithm.SHA256
) -> CertificateHashData:
    """Hash data of ``certificate``, which ``issuer`` signed (a root: itself)."""
    return CertificateHashData(
        algorithm,
        algorithm.hex(certificate.issuer_der),
        algorithm.hex(issuer.key_octets()),
        f"{certificate.serial:x}",
    )
