"""Lists and responses with weak signatures or of weak keys are believed no more than such certificates."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from ocpp_security.errors import CertificateError, Fault
from ocpp_security.manager import CertificateManager
from ocpp_security.pki.certificate import Certificate
from ocpp_security.pki.crl import check_crl, parse_crl, revocation
from ocpp_security.pki.ocsp import Revocation, verify_response
from ocpp_security.trust.decisions import Status
from ocpp_security.trust.inventory import TrustUse
from tests.security.pki_kit import DAY, NOW, Authority, Key, pem, root, rsa_key

SHA1, SHA256, SHA384 = hashes.SHA1(), hashes.SHA256(), hashes.SHA384()
_SHA1_RSA, _SHA256_RSA = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("05", "0b"))
STRONG = root("Strong", rsa_key(2048))
WEAK = root("Weak", rsa_key(1024))
SHORT = root("Short", ec.generate_private_key(ec.SECP192R1()))


def resigned(der: bytes, signed: bytes, old: bytes, key: RSAPrivateKey) -> bytes:
    """The same with SHA-1, which no library makes any more."""
    changed = signed.replace(_SHA256_RSA, _SHA1_RSA)
    signature = key.sign(changed, padding.PKCS1v15(), SHA1)
    return der.replace(signed, changed).replace(_SHA256_RSA, _SHA1_RSA).replace(old, signature)


def sha1_list(authority: Authority, *revoked: Certificate) -> bytes:
    crl = x509.load_der_x509_crl(authority.crl(*revoked))
    assert isinstance(authority.key, RSAPrivateKey)
    der = resigned(crl.public_bytes(Encoding.DER), crl.tbs_certlist_bytes, crl.signature, authority.key)
    parsed = x509.load_der_x509_crl(der)
    assert isinstance(parsed.signature_hash_algorithm, hashes.SHA1)
    # It is weak, not wrong.
    authority.key.public_key().verify(parsed.signature, parsed.tbs_certlist_bytes, padding.PKCS1v15(), SHA1)
    return der


def fault_of(der: bytes, authority: Authority) -> Fault | None:
    try:
        check_crl(parse_crl(der), authority.certificate, NOW)
    except CertificateError as error:
        return error.fault
    return None


def list_of(authority: Authority, digest: hashes.HashAlgorithm | None, *, pss: bool = False) -> bytes:
    builder = x509.CertificateRevocationListBuilder(authority.name, NOW - DAY, NOW + DAY)
    pad = padding.PSS(padding.MGF1(SHA256), 32) if pss else None
    made = builder.sign(authority.key, digest, rsa_padding=pad)  # type: ignore[arg-type]  # weak hashes too
    return made.public_bytes(Encoding.DER)


@pytest.mark.requirement("A00.FR.501", "A00.FR.504", "A00.FR.506")
def test_a_list_with_a_weak_signature_is_not_believed() -> None:
    victim = STRONG.leaf().certificate
    assert fault_of(sha1_list(STRONG), STRONG) is Fault.WEAK_SIGNATURE
    with pytest.raises(CertificateError) as caught:
        revocation(parse_crl(sha1_list(STRONG, victim)), victim, STRONG.certificate, NOW)
    assert caught.value.fault is Fault.WEAK_SIGNATURE
    assert fault_of(list_of(STRONG, hashes.SHA224()), STRONG) is Fault.WEAK_SIGNATURE
    for digest in (SHA256, SHA384, hashes.SHA512()):
        assert fault_of(list_of(STRONG, digest), STRONG) is None
    assert fault_of(list_of(STRONG, SHA256, pss=True), STRONG) is None


@pytest.mark.requirement("A00.FR.501", "A00.FR.502", "A00.FR.503")
@pytest.mark.parametrize("authority", [WEAK, SHORT], ids=["RSA", "EC"])
def test_a_list_of_a_weak_key_is_not_believed(authority: Authority) -> None:
    assert fault_of(authority.crl(), authority) is Fault.WEAK_KEY


def test_a_list_signed_with_edwards_curves_is_strong() -> None:
    key: Key = ed25519.Ed25519PrivateKey.generate()  # type: ignore[assignment]  # a kind that the kit lacks
    public = STRONG.sub("Edwards", key)
    assert fault_of(list_of(public, None), public) is None


@pytest.mark.requirement("A00.FR.504")
def test_a_weak_list_does_not_enter_the_directory(manager: CertificateManager) -> None:
    assert manager.roots.install(TrustUse.MO, pem(STRONG), NOW).accepted
    refused = manager.status.take_crl(sha1_list(STRONG), NOW)
    assert (refused.status, refused.fault) == (Status.REJECTED, Fault.WEAK_SIGNATURE)
    assert manager.status.evidence().crls == ()
    assert manager.status.take_crl(STRONG.crl(), NOW).accepted


def response_fault(der: bytes, about: Certificate, issuer: Authority) -> Fault | None:
    try:
        assert verify_response(der, about, issuer.certificate, NOW).revocation is Revocation.GOOD
    except CertificateError as error:
        return error.fault
    return None


@pytest.mark.requirement("A00.FR.501", "A00.FR.502", "A00.FR.503")
@pytest.mark.parametrize("authority", [WEAK, SHORT], ids=["RSA", "EC"])
def test_a_response_of_an_issuer_with_a_weak_key_is_not_believed(authority: Authority) -> None:
    leaf = authority.leaf().certificate
    assert response_fault(authority.ocsp(leaf), leaf, authority) is Fault.WEAK_KEY


@pytest.mark.requirement("A00.FR.504", "A00.FR.506")
def test_a_response_with_a_weak_signature_is_not_believed() -> None:
    leaf = STRONG.leaf().certificate
    der = STRONG.ocsp(leaf)
    assert response_fault(der, leaf, STRONG) is None
    strong = ocsp.load_der_ocsp_response(der)
    assert isinstance(STRONG.key, RSAPrivateKey)
    weak = resigned(der, strong.tbs_response_bytes, strong.signature, STRONG.key)
    parsed = ocsp.load_der_ocsp_response(weak)
    assert isinstance(parsed.signature_hash_algorithm, hashes.SHA1)
    STRONG.key.public_key().verify(parsed.signature, parsed.tbs_response_bytes, padding.PKCS1v15(), SHA1)
    assert response_fault(weak, leaf, STRONG) is Fault.BAD_SIGNATURE
