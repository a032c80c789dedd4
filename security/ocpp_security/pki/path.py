"""Certification paths: RFC 5280 section 6 as far as OCPP's hierarchies use it, and no further.

A trust anchor may be any CA certificate, self-signed or not: a CSMS root that replaced another is signed by
that other, which is gone some day (M05.FR.10 to M05.FR.13). Name constraints and critical extensions that are
not understood make a path fail, never pass. Extended key usage is not looked at (A00.FR.514).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.x509.oid import SignatureAlgorithmOID

from ..errors import CertificateError, Fault
from .certificate import Certificate, PublicKey

MAX_PATH = 8
"""Certificates in a path, leaf and anchor included; ISO 15118 has at most four."""
MAX_STEPS = 256
"""Issuers tried before a search is given up: many CAs of one name must not cost exponential time. A store
that is full of roots of one name is searched to its end."""

_STRONG_HASHES = (SHA256, SHA384, SHA512)
_WITHOUT_HASH = frozenset({SignatureAlgorithmOID.ED25519, SignatureAlgorithmOID.ED448})


@dataclass(frozen=True, slots=True)
class Path:
    """A valid path: leaf first, trust anchor last; one certificate if the leaf is an anchor itself."""

    certificates: tuple[Certificate, ...]

    @property
    def leaf(self) -> Certificate:
        """The certificate in question."""
        return self.certificates[0]

    @property
    def anchor(self) -> Certificate:
        """Where the path ends."""
        return self.certificates[-1]

    def links(self) -> Iterable[tuple[Certificate, Certificate]]:
        """Every certificate with its issuer, the leaf's pair first."""
        return pairwise(self.certificates)


def strong_key(key: PublicKey) -> bool:
    """At least 112 bits of security (A00.FR.501 to A00.FR.503)."""
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= 2048
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.key_size >= 224
    return True


def strong_signature(certificate: Certificate) -> bool:
    """Signed with SHA-2 of 256 bits or more, or with EdDSA (A00.FR.504, A00.FR.506)."""
    return strong_algorithm(certificate.parsed)


def strong_algorithm(signed: x509.Certificate | x509.CertificateRevocationList) -> bool:
    """The same for a certificate or a list as the library has it."""
    if signed.signature_algorithm_oid in _WITHOUT_HASH:
        return True
    try:
        return isinstance(signed.signature_hash_algorithm, _STRONG_HASHES)
    except Exception:  # an algorithm that the library does not know, whatever it raises for it
        return False


def check_strength(certificate: Certificate) -> None:
    """Raise CertificateError (WEAK_KEY, WEAK_SIGNATURE) if a certificate is too weak to be relied on."""
    if not strong_key(certificate.public_key):
        raise CertificateError(Fault.WEAK_KEY, certificate.subject)
    if not strong_signature(certificate):
        raise CertificateError(Fault.WEAK_SIGNATURE, certificate.subject)


def check_period(certificate: Certificate, at: datetime) -> None:
    """Raise CertificateError (EXPIRED, NOT_YET_VALID) unless ``at`` is in the validity period."""
    if at > certificate.not_after:
        raise CertificateError(Fault.EXPIRED, certificate.subject)
    if at < certificate.not_before:
        raise CertificateError(Fault.NOT_YET_VALID, certificate.subject)


def find_path(
    leaf: Certificate,
    intermediates: Sequence[Certificate],
    anchors: Sequence[Certificate],
    at: datetime,
) -> Path:
    """A valid path from ``leaf`` to one of ``anchors`` at UTC ``at``.

    Raises CertificateError with the fault of the candidate that came closest.
    """
    if not anchors:
        raise CertificateError(Fault.NO_ANCHOR)
    search = _Search(tuple(intermediates), tuple(anchors), at)
    found = search.extend((leaf,))
    if found is None:
        raise search.best
    return Path(found)


def order_chain(leaf: Certificate, others: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """The leaf and, of ``others``, those that lead up from it, in order; self-signed ones are left out.

    No more than a path may have.
    """
    chain = [leaf]
    while len(chain) < MAX_PATH:
        issuer = next(
            (c for c in others if c not in chain and not c.self_issued and chain[-1].issued_by(c)), None
        )
        if issuer is None:
            break
        chain.append(issuer)
    return tuple(chain)


class _Search:
    """Depth first over possible issuers, anchors before intermediates, remembering the closest failure."""

    def __init__(
        self, intermediates: tuple[Certificate, ...], anchors: tuple[Certificate, ...], at: datetime
    ) -> None:
        self._intermediates = intermediates
        self._anchors = anchors
        self._at = at
        self._steps = 0
        self._depth = 0
        self.best = CertificateError(Fault.NO_PATH)

    def extend(self, path: tuple[Certificate, ...]) -> tuple[Certificate, ...] | None:
        """Complete ``path`` up to an anchor, or None."""
        last = path[-1]
        is_anchor = last in self._anchors
        if not self._usable(path, is_anchor):
            return None
        if is_anchor:
            return path
        if len(path) == MAX_PATH:
            self._failed(CertificateError(Fault.PATH_TOO_LONG), len(path))
            return None
        for issuer in (*self._anchors, *self._intermediates):
            if issuer in path or issuer.subject_der != last.issuer_der:
                continue
            self._steps += 1
            if self._steps > MAX_STEPS:
                return None
            if not last.issued_by(issuer):
                self._failed(CertificateError(Fault.BAD_SIGNATURE, last.subject), len(path))
                continue
            found = self.extend((*path, issuer))
            if found is not None:
                return found
        self._failed(CertificateError(Fault.NO_PATH, last.subject), len(path) - 1)
        return None

    def _usable(self, path: tuple[Certificate, ...], is_anchor: bool) -> bool:
        last = path[-1]
        try:
            check_period(last, self._at)
            if not strong_key(last.public_key):
                raise CertificateError(Fault.WEAK_KEY, last.subject)
            if not is_anchor:  # nobody relies on an anchor's own signature
                check_strength(last)
            if last.strange:
                raise CertificateError(Fault.UNKNOWN_CRITICAL, last.subject)
            if len(path) > 1:
                _check_issuer(last, path)
        except CertificateError as error:
            self._failed(error, len(path))
            return False
        return True

    def _failed(self, error: CertificateError, depth: int) -> None:
        if depth > self._depth:
            self.best, self._depth = error, depth


def _check_issuer(issuer: Certificate, path: tuple[Certificate, ...]) -> None:
    """What an issuer must be allowed to do, given the certificates below it."""
    if not issuer.is_ca:
        raise CertificateError(Fault.NOT_A_CA, issuer.subject)
    if not issuer.may_sign_certificates():
        raise CertificateError(Fault.WRONG_USAGE, issuer.subject)
    below = sum(not certificate.self_issued for certificate in path[1:-1])
    if issuer.path_length is not None and below > issuer.path_length:
        raise CertificateError(Fault.PATH_TOO_LONG, issuer.subject)
