"""OCSP (RFC 6960): what to ask the CSMS for, what to ask a responder, and whether to believe the response."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from ..errors import CertificateError, Fault
from .certificate import Certificate, parse_der
from .hashdata import CertificateHashData, HashAlgorithm, hash_data
from .path import check_period, check_strength, strong_key
from .signature import verifies

MAX_RESPONSE_SIZE = 65_536
"""Octets of a response; OCPP's field has 5500 characters."""
MAX_AGE = timedelta(days=7)
"""How long a response without nextUpdate is believed: stations refresh weekly anyway (M06.FR.10)."""
MAX_SKEW = timedelta(minutes=5)
"""How far the responder's clock may be ahead."""

_HASHES: dict[HashAlgorithm, hashes.HashAlgorithm] = {
    HashAlgorithm.SHA256: hashes.SHA256(),
    HashAlgorithm.SHA384: hashes.SHA384(),
    HashAlgorithm.SHA512: hashes.SHA512(),
}


class Revocation(StrEnum):
    """What is known of a certificate's revocation (OCSP's and OCPP 2.1's words)."""

    GOOD = "Good"
    REVOKED = "Revoked"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class OcspRequestData:
    """Which certificate to ask about, and where (OCSPRequestDataType; the URL is required in OCPP)."""

    hash_data: CertificateHashData
    responder_url: str


@dataclass(frozen=True, slots=True)
class OcspStatus:
    """A verified answer, and until when it may be used (UTC)."""

    revocation: Revocation
    this_update: datetime
    next_update: datetime
    revoked_at: datetime | None = None


def request_data(
    chain: Sequence[Certificate], algorithm: HashAlgorithm = HashAlgorithm.SHA256
) -> tuple[OcspRequestData, ...]:
    """What to ask about a chain (leaf first, root last): every certificate but the root.

    Certificates without a responder's URL cannot be asked about and are left out (M06, remarks).
    """
    return tuple(
        OcspRequestData(hash_data(certificate, issuer, algorithm), certificate.responder_urls[0])
        for certificate, issuer in pairwise(chain)
        if certificate.responder_urls and len(certificate.responder_urls[0]) <= 512
    )


def encode_request(data: CertificateHashData) -> bytes:
    """The DER of the OCSP request that a CSMS sends to the responder (M06).

    Raises CertificateError (MALFORMED): the station's hash data is no hexadecimal of the right length.
    """
    try:
        name_hash, key_hash = (bytes.fromhex(h) for h in (data.issuer_name_hash, data.issuer_key_hash))
        builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
            name_hash, key_hash, int(data.serial_number, 16), _HASHES[data.algorithm]
        )
        return builder.build().public_bytes(Encoding.DER)
    except (ValueError, TypeError) as error:
        raise CertificateError(Fault.MALFORMED, "hash data") from error


def request_about(certificate: Certificate, issuer: Certificate) -> bytes:
    """The DER of an OCSP request of our own.

    With SHA-1 in the name of the certificate, which every responder knows and many nothing else (RFC 5019
    §2.1.1); nothing rests on its strength. Without a nonce: responders answer from what they have signed
    before, so that an answer without it would have to be believed all the same.
    """
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate.parsed, issuer.parsed, hashes.SHA1())
    return builder.build().public_bytes(Encoding.DER)


def verify_response(der: bytes, certificate: Certificate, issuer: Certificate, at: datetime) -> OcspStatus:
    """What an OCSP response says of ``certificate``, if it can be believed at UTC ``at``.

    It must be current and signed by the issuer or by a responder that the issuer authorised (RFC 6960,
    section 4.2.2.2). Raises CertificateError (MALFORMED, TOO_LARGE, UNSUCCESSFUL, WRONG_SUBJECT, NOT_CURRENT,
    UNAUTHORIZED, WEAK_KEY, BAD_SIGNATURE, which an algorithm with SHA-1 is too, UNKNOWN_CRITICAL; of the
    responder's certificate also WEAK_SIGNATURE, EXPIRED, NOT_YET_VALID).
    """
    if certificate.issuer_der != issuer.subject_der:
        raise CertificateError(Fault.WRONG_SUBJECT)
    return verify_response_about(der, certificate.serial, issuer, at)


def verify_response_about(der: bytes, serial: int, issuer: Certificate, at: datetime) -> OcspStatus:
    """The same of a certificate that is known by issuer and serial number only."""
    if len(der) > MAX_RESPONSE_SIZE:
        raise CertificateError(Fault.TOO_LARGE, f"{len(der)} octets")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old encodings; what matters is checked here
            return _verify(ocsp.load_der_ocsp_response(der), serial, issuer, at)
    except CertificateError:
        raise
    except Exception as error:  # the library has many kinds for what is wrong with a response
        raise CertificateError(Fault.MALFORMED, type(error).__name__) from error


def _verify(response: ocsp.OCSPResponse, serial: int, issuer: Certificate, at: datetime) -> OcspStatus:
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise CertificateError(Fault.UNSUCCESSFUL, response.response_status.name)
    single = _about(response, serial, issuer)
    signer = _signer(response, issuer, at)
    if not strong_key(signer.public_key):
        raise CertificateError(Fault.WEAK_KEY, signer.subject)
    if not verifies(
        signer.public_key, response.signature, response.tbs_response_bytes, response.signature_algorithm_oid
    ):
        raise CertificateError(Fault.BAD_SIGNATURE, "OCSP response")
    if any(extension.critical for extension in response.extensions):
        raise CertificateError(Fault.UNKNOWN_CRITICAL, "OCSP response")
    next_update = single.next_update_utc or single.this_update_utc + MAX_AGE
    if single.this_update_utc > at + MAX_SKEW or next_update < at:
        raise CertificateError(Fault.NOT_CURRENT, f"{single.this_update_utc} to {next_update}")
    revocation = Revocation(single.certificate_status.name.capitalize())
    return OcspStatus(revocation, single.this_update_utc, next_update, single.revocation_time_utc)


def _about(response: ocsp.OCSPResponse, serial: int, issuer: Certificate) -> ocsp.OCSPSingleResponse:
    """The part of a response that is about this certificate: name, key and serial must match."""
    for single in response.responses:
        if single.serial_number != serial:
            continue
        if single.issuer_name_hash == _digest(single.hash_algorithm, issuer.subject_der) and (
            single.issuer_key_hash == _digest(single.hash_algorithm, issuer.key_octets())
        ):
            return single
    raise CertificateError(Fault.WRONG_SUBJECT)


def _digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize()


def _signer(response: ocsp.OCSPResponse, issuer: Certificate, at: datetime) -> Certificate:
    """Who signed: the issuer, or a delegate with a certificate from the issuer for just that."""
    if _is_responder(response, issuer):
        return issuer
    for enclosed in response.certificates[:8]:
        delegate = parse_der(enclosed.public_bytes(Encoding.DER))
        if not _is_responder(response, delegate):
            continue
        purposes = delegate.extended_key_usage or frozenset()
        if ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string not in purposes or not delegate.issued_by(issuer):
            raise CertificateError(Fault.UNAUTHORIZED, delegate.subject)
        if delegate.strange:
            raise CertificateError(Fault.UNAUTHORIZED, delegate.subject)
        check_strength(delegate)
        check_period(delegate, at)
        return delegate
    raise CertificateError(Fault.UNAUTHORIZED, "nobody that the issuer authorised")


def _is_responder(response: ocsp.OCSPResponse, candidate: Certificate) -> bool:
    """Whether the response names ``candidate`` as its responder, by name or by the SHA-1 of its key."""
    if response.responder_name is not None:
        return response.responder_name.public_bytes() == candidate.subject_der
    # What RFC 6960 lays down for an identifier; nothing rests on its strength.
    return response.responder_key_hash == _digest(hashes.SHA1(), candidate.key_octets())
