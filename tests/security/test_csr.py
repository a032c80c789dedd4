"""Signing requests, as a CSMS gets them from a station that may be anybody."""

from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ocpp_security.errors import CertificateError, Fault
from ocpp_security.keys import FileKeyStore, KeyAlgorithm
from ocpp_security.pki.csr import MAX_CSR, parse_csr
from ocpp_security.pki.properties import StationSubject
from ocpp_security.trust.leaves import subject_name
from tests.security.pki_kit import Key, ec_key, name, rsa_key

SUBJECT = StationSubject("SECC1", "Operator", "DE", "CPO")


def made(subject: x509.Name, key: Key | dsa.DSAPrivateKey | None = None, *wanted: x509.ExtensionType) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension in wanted:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key or ec_key(), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
@pytest.mark.requirement("A02.FR.03")
def test_a_csms_reads_what_a_station_makes(algorithm: KeyAlgorithm, tmp_path: Path) -> None:
    key = FileKeyStore(tmp_path).create("key", algorithm)
    request = parse_csr(key.sign_csr(subject_name(SUBJECT)))
    assert request.subject == SUBJECT
    assert request.public_key == key.public_key
    assert request.parsed.public_key() == key.public_key


GOOD = made(name("SN-0001"))
FORGED = bytearray(x509.load_pem_x509_csr(GOOD.encode()).public_bytes(Encoding.DER))
FORGED[-1] ^= 1
DER = x509.load_pem_x509_csr(GOOD.encode()).public_bytes(Encoding.DER)
UNKNOWN_CURVE = DER.replace(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f"))
CA, NO_CA = (x509.BasicConstraints(ca=ca, path_length=None) for ca in (True, False))

UNREADABLE = x509.UnrecognizedExtension(x509.BasicConstraints.oid, b"\x05\x00")


def as_pem(der: bytes) -> str:
    return x509.load_der_x509_csr(der).public_bytes(Encoding.PEM).decode()


def twice(oid: x509.ObjectIdentifier) -> x509.Name:
    """A name that says one thing and then another."""
    return x509.Name([*name("SN-0001"), x509.NameAttribute(oid, "Another")])


@pytest.mark.parametrize(
    ("text", "fault", "detail"),
    [
        ("", Fault.MALFORMED, "ValueError"),
        ("\ud800", Fault.MALFORMED, "UnicodeEncodeError"),
        (GOOD.replace("\n", "\n\u00e9", 1), Fault.MALFORMED, "ValueError"),
        (GOOD.replace("REQUEST", "RUBBISH"), Fault.MALFORMED, "ValueError"),
        (as_pem(UNKNOWN_CURVE), Fault.MALFORMED, "UnsupportedAlgorithm"),
        (GOOD.ljust(5501), Fault.TOO_LARGE, "5501 characters"),
        (made(name("SN"), rsa_key(1024)), Fault.WEAK_KEY, "RSAPublicKey"),
        (made(name("SN"), ec.generate_private_key(ec.SECP192R1())), Fault.WEAK_KEY, "ECPublicKey"),
        (made(name("SN"), dsa.generate_private_key(2048)), Fault.WEAK_KEY, "DSAPublicKey"),
        (made(name("SN", None)), Fault.NO_ORGANIZATION, ""),
        (made(name(None)), Fault.NO_COMMON_NAME, ""),
        (made(twice(NameOID.ORGANIZATION_NAME)), Fault.NO_ORGANIZATION, ""),
        (made(twice(NameOID.COMMON_NAME)), Fault.NO_COMMON_NAME, ""),
        (made(name("csms.example.com")), Fault.ADDRESS_AS_NAME, "csms.example.com"),
        (made(name("SN"), None, UNREADABLE), Fault.MALFORMED, "ValueError"),
        (made(name("SN"), None, CA), Fault.NOT_A_LEAF, "SN"),
        (as_pem(bytes(FORGED)), Fault.BAD_SIGNATURE, "signing request"),
    ],
)
@pytest.mark.requirement("A00.FR.501", "A00.FR.509", "A00.FR.511")
def test_requests_that_no_authority_should_see(text: str, fault: Fault, detail: str) -> None:
    with pytest.raises(CertificateError) as caught:
        parse_csr(text)
    assert (caught.value.fault, caught.value.detail) == (fault, detail)


@pytest.mark.requirement("A02.FR.03")
def test_the_longest_request_is_read() -> None:
    assert MAX_CSR == 5500
    assert parse_csr(GOOD.ljust(5500)).subject.serial_number == "SN-0001"


def test_what_a_request_asks_for_is_the_authoritys_business_unless_it_is_to_be_a_ca() -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("sn-0001.example")])
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    request = parse_csr(made(name("SN-0001"), None, NO_CA, names, strange))
    assert len(request.parsed.extensions) == 3


@given(position=st.integers(0, len(GOOD) - 1), character=st.characters())
def test_any_character_may_be_wrong(position: int, character: str) -> None:
    text = GOOD[:position] + character + GOOD[position + 1 :]
    with suppress(CertificateError):
        assert parse_csr(text).subject == parse_csr(GOOD).subject
