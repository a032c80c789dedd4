"""Signatures over data: of OCSP responders, and of those who sign firmware and logs."""

import binascii
from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import SignatureAlgorithmOID as Oid

from ..errors import CertificateError, Fault
from .certificate import PublicKey

_SHA2 = (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
_RSA = dict(zip((Oid.RSA_WITH_SHA256, Oid.RSA_WITH_SHA384, Oid.RSA_WITH_SHA512), _SHA2, strict=True))
_ECDSA = dict(zip((Oid.ECDSA_WITH_SHA256, Oid.ECDSA_WITH_SHA384, Oid.ECDSA_WITH_SHA512), _SHA2, strict=True))
MAX_SIGNATURE = 1024
"""Octets of a signature; the standard's field has 800 characters of base64."""


def verifies(key: PublicKey, signature: bytes, data: bytes, algorithm: ObjectIdentifier) -> bool:
    """Whether ``signature`` over ``data`` is ``key``'s, by an algorithm that the standard recommends.

    Of RSASSA-PSS any of the three hashes is tried: its parameters are in no field that says which.
    """
    if isinstance(key, rsa.RSAPublicKey):
        if algorithm == Oid.RSASSA_PSS:
            return any(_rsa(key, signature, data, _pss(known), known) for known in _SHA2)
        chosen = _RSA.get(algorithm)
        return chosen is not None and _rsa(key, signature, data, padding.PKCS1v15(), chosen)
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            if algorithm not in _ECDSA:
                return False
            key.verify(signature, data, ec.ECDSA(_ECDSA[algorithm]))
        else:
            key.verify(signature, data)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def check_data_signature(
    key: PublicKey, signature: str, chunks: Iterable[bytes], *, accept_pkcs1: bool = False
) -> None:
    """Check a base64 ``signature`` over the concatenated ``chunks`` (a firmware image, a log).

    SHA-256 with RSA-PSS, or with ECDSA (L01.FR.04 names ECSchnorr, of which there is no implementation to be
    had; the field signs with ECDSA). ``accept_pkcs1`` allows RSA with PKCS #1 v1.5 padding too, as
    ``openssl dgst -sign`` makes it. Raises CertificateError (MALFORMED, WEAK_KEY, BAD_SIGNATURE).
    """
    octets = decode_signature(signature)
    digest = hashes.Hash(hashes.SHA256())
    for chunk in chunks:
        digest.update(chunk)
    hashed, sha256 = digest.finalize(), Prehashed(hashes.SHA256())
    if isinstance(key, rsa.RSAPublicKey):
        paddings: list[padding.PSS | padding.PKCS1v15] = [_pss(hashes.SHA256())]
        if accept_pkcs1:
            paddings.append(padding.PKCS1v15())
        if any(_rsa(key, octets, hashed, pad, sha256) for pad in paddings):
            return
    elif isinstance(key, ec.EllipticCurvePublicKey):
        try:
            key.verify(octets, hashed, ec.ECDSA(sha256))
        except (InvalidSignature, ValueError):
            pass
        else:
            return
    else:
        raise CertificateError(Fault.WEAK_KEY, "neither RSA nor elliptic curve")
    raise CertificateError(Fault.BAD_SIGNATURE)


def decode_signature(signature: str) -> bytes:
    """Base64 as it is sent, white space allowed. Raises CertificateError (MALFORMED, TOO_LARGE)."""
    if len(signature) > 2 * MAX_SIGNATURE:
        raise CertificateError(Fault.TOO_LARGE, "signature")
    try:
        return binascii.a2b_base64("".join(signature.split()).encode(), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise CertificateError(Fault.MALFORMED, "base64") from error


def _pss(chosen: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(padding.MGF1(chosen), padding.PSS.AUTO)


def _rsa(
    key: rsa.RSAPublicKey,
    signature: bytes,
    data: bytes,
    pad: padding.PSS | padding.PKCS1v15,
    algorithm: hashes.HashAlgorithm | Prehashed,
) -> bool:
    try:
        key.verify(signature, data, pad, algorithm)
    except (InvalidSignature, ValueError):
        return False
    return True
