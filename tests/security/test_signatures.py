"""Signatures on firmware: RSA-PSS and ECDSA over SHA-256, by OpenSSL as well."""

import base64
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import SignatureAlgorithmOID as Oid
from hypothesis import given
from hypothesis import strategies as st

from ocpp_security.errors import CertificateError, Fault
from ocpp_security.pki.signature import check_data_signature, decode_signature, verifies
from tests.security.pki_kit import ec_key, rsa_key

FIRMWARE = b"firmware " * 1000
SHA256 = hashes.SHA256()
EC, RSA = ec_key(), rsa_key()
PSS = padding.PSS(padding.MGF1(SHA256), 32)


def text(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


GOOD = {
    "EC": (EC.public_key(), text(EC.sign(FIRMWARE, ec.ECDSA(SHA256)))),
    "RSA": (RSA.public_key(), text(RSA.sign(FIRMWARE, PSS, SHA256))),
}


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.requirement("L01.FR.04", "L01.FR.12")
@given(cuts=st.lists(st.integers(0, len(FIRMWARE)), max_size=5))
def test_a_signature_holds_however_the_image_comes(kind: str, cuts: list[int]) -> None:
    key, signature = GOOD[kind]
    edges = [0, *sorted(cuts), len(FIRMWARE)]
    pieces = [FIRMWARE[a:b] for a, b in pairwise(edges)]
    check_data_signature(key, signature, pieces)
    with pytest.raises(CertificateError) as caught:
        check_data_signature(key, signature, [*pieces, b"x"])
    assert caught.value.fault is Fault.BAD_SIGNATURE


@pytest.mark.parametrize("kind", GOOD)
def test_another_key_does_not_verify(kind: str) -> None:
    for key in (ec_key().public_key(), rsa_key(2048, 1).public_key()):
        with pytest.raises(CertificateError, match="bad signature"):
            check_data_signature(key, GOOD[kind][1], [FIRMWARE])


@pytest.mark.requirement("L01.FR.04")
def test_pkcs1_only_where_it_is_allowed() -> None:
    signature = text(RSA.sign(FIRMWARE, padding.PKCS1v15(), SHA256))
    check_data_signature(RSA.public_key(), signature, [FIRMWARE], accept_pkcs1=True)
    with pytest.raises(CertificateError, match="bad signature"):
        check_data_signature(RSA.public_key(), signature, [FIRMWARE])


@pytest.mark.parametrize(("options", "pkcs1"), [((), True), (("-sigopt", "rsa_padding_mode:pss"), False)])
def test_openssl_signs_what_we_verify(options: tuple[str, ...], pkcs1: bool, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "image").write_bytes(FIRMWARE)
    command = ["openssl", "dgst", "-sha256", "-sign", "key", *options, "image"]
    signature = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    check_data_signature(RSA.public_key(), text(signature), [FIRMWARE], accept_pkcs1=pkcs1)


@pytest.mark.parametrize("signature", ["*", "AAA", "\u00e9", "A" * 4000])
def test_signatures_that_are_none(signature: str) -> None:
    with pytest.raises(CertificateError):
        decode_signature(signature)


def test_a_signature_may_have_line_breaks() -> None:
    key, signature = GOOD["RSA"]
    check_data_signature(key, "\n".join(signature[i : i + 64] for i in range(0, 400, 64)), [FIRMWARE])


def test_firmware_keys_are_rsa_or_elliptic() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    with pytest.raises(CertificateError, match="weak key"):
        check_data_signature(key.public_key(), text(key.sign(FIRMWARE)), [FIRMWARE])
    assert verifies(key.public_key(), key.sign(b"data"), b"data", Oid.ED25519)
    assert not verifies(key.public_key(), key.sign(b"data"), b"other", Oid.ED25519)


def test_algorithms_of_responders() -> None:
    pss384 = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    assert verifies(RSA.public_key(), RSA.sign(b"d", pss384, hashes.SHA384()), b"d", Oid.RSASSA_PSS)
    pkcs1 = RSA.sign(b"d", padding.PKCS1v15(), SHA256)
    assert verifies(RSA.public_key(), pkcs1, b"d", Oid.RSA_WITH_SHA256)
    assert not verifies(RSA.public_key(), pkcs1, b"d", Oid.RSA_WITH_SHA1)
    assert not verifies(RSA.public_key(), pkcs1, b"d", Oid.RSASSA_PSS)
    weak = EC.sign(b"d", ec.ECDSA(hashes.SHA224()))
    assert not verifies(EC.public_key(), weak, b"d", Oid.ECDSA_WITH_SHA224)
    assert not verifies(EC.public_key(), weak, b"d", Oid.ECDSA_WITH_SHA256)
    assert verifies(EC.public_key(), EC.sign(b"d", ec.ECDSA(SHA256)), b"d", Oid.ECDSA_WITH_SHA256)
