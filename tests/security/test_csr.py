"""Signing requests, as a CSMS gets them from a station that may be anybody."""

from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from ocpp_security.errors import CertificateError, Fault
from ocpp_security.keys import FileKeyStore, KeyAlgorithm
from ocpp_security.pki.csr import MAX_CSR, parse_csr
from ocpp_security.pki.properties import StationSubject
from ocpp_security.trust.leaves import subject_name
from tests.security.pki_kit import Key, ec_key, name, rsa_key

SUBJECT = StationSubject("SECC1", "Operator", "DE", "CPO")


def made(subject: x509.Name, key: Key | None = None) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key or ec_key(), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
@pytest.mark.requirement("A02.FR.03")
def test_a_csms_reads_what_a_station_makes(algorithm: KeyAlgorithm, tmp_path: Path) -> None:
    key = FileKeyStore(tmp_path).create("key", algorithm)
    request = parse_csr(key.sign_csr(subject_name(SUBJECT)))
    assert request.subject == SUBJECT
    assert request.public_key == key.public_key


GOOD = made(name("SN-0001"))
FORGED = bytearray(x509.load_pem_x509_csr(GOOD.encode()).public_bytes(Encoding.DER))
FORGED[-1] ^= 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault.MALFORMED),
        ("\ud800", Fault.MALFORMED),
        (GOOD.replace("REQUEST", "RUBBISH"), Fault.MALFORMED),
        (GOOD + " " * MAX_CSR, Fault.TOO_LARGE),
        (made(name("SN"), rsa_key(1024)), Fault.WEAK_KEY),
        (made(name("SN"), ec.generate_private_key(ec.SECP192R1())), Fault.WEAK_KEY),
        (made(name("SN", None)), Fault.NO_ORGANIZATION),
        (made(name(None)), Fault.NO_COMMON_NAME),
        (made(name("csms.example.com")), Fault.ADDRESS_AS_NAME),
        (
            x509.load_der_x509_csr(bytes(FORGED)).public_bytes(Encoding.PEM).decode(),
            Fault.BAD_SIGNATURE,
        ),
    ],
)
@pytest.mark.requirement("A00.FR.501", "A00.FR.509", "A00.FR.511")
def test_requests_that_no_authority_should_see(text: str, fault: Fault) -> None:
    with pytest.raises(CertificateError) as caught:
        parse_csr(text)
    assert caught.value.fault is fault


@given(position=st.integers(0, len(GOOD) - 1), character=st.characters())
def test_any_character_may_be_wrong(position: int, character: str) -> None:
    text = GOOD[:position] + character + GOOD[position + 1 :]
    with suppress(CertificateError):
        assert parse_csr(text).subject == parse_csr(GOOD).subject
