"""Reading certificates: all or nothing, whatever the octets are."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ocpp_security.errors import CertificateError, Fault
from ocpp_security.pki.certificate import (
    MAX_CERTIFICATE_SIZE,
    parse_bundle,
    parse_der,
    parse_one,
    public_octets,
    to_pem,
)
from ocpp_security.pki.hashdata import CertificateHashData, HashAlgorithm, hash_data
from ocpp_security.pki.properties import StationSubject, check_station_certificate, is_address
from tests.security.pki_kit import Wish, build, ec_key, name, pem, root, rsa_key, usage

ROOT = root()
LEAF = ROOT.leaf()
KEY = ec_key()


def fault_of(data: bytes | str) -> Fault:
    with pytest.raises(CertificateError) as caught:
        parse_bundle(data)
    return caught.value.fault


@pytest.mark.requirement("A00.FR.507", "A00.FR.508", "1.6-A00.FR.507", "1.6-A00.FR.508")
def test_pem_and_der_read_the_same() -> None:
    der = ROOT.certificate.der
    text = ROOT.certificate.pem
    assert parse_bundle(der) == parse_bundle(text) == parse_bundle(text.encode()) == (ROOT.certificate,)
    assert parse_one(text).serial == ROOT.certificate.parsed.serial_number
    assert parse_one(text.replace("\n", "\r\n")) == ROOT.certificate
    assert parse_one(f"0 s:CN = Root\n{text}") == ROOT.certificate  # as s_client -showcerts has it
    assert parse_one(f"subject=CN = Root\n{text}\ntrailing words") == ROOT.certificate


def test_a_bundle_keeps_its_order_and_drops_repetitions() -> None:
    text = pem(LEAF, ROOT, LEAF)
    assert parse_bundle(text) == (LEAF.certificate, ROOT.certificate)
    assert to_pem(parse_bundle(text)) == pem(LEAF, ROOT)
    with pytest.raises(CertificateError, match="exactly one"):
        parse_one(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "words",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----",
        pem(LEAF) + "-----BEGIN CERTIFICATE-----\nAAAA",
        pem(LEAF).replace("M", "!", 1),
        "\ud800" + "-----BEGIN CERTIFICATE-----",
    ],
)
def test_what_is_no_certificate_is_malformed(text: str) -> None:
    assert fault_of(text) is Fault.MALFORMED


def test_limits() -> None:
    assert fault_of(b"\x30\x83" + bytes(MAX_CERTIFICATE_SIZE)) is Fault.TOO_LARGE
    assert fault_of(pem(LEAF) * 65) is Fault.TOO_LARGE
    assert len(parse_bundle(pem(LEAF) * 64)) == 1
    assert fault_of(b"A" * (64 * 2 * MAX_CERTIFICATE_SIZE + 1)) is Fault.TOO_LARGE


@given(position=st.integers(0, len(LEAF.certificate.der) - 1), value=st.integers(0, 255))
def test_any_octet_may_be_wrong(position: int, value: int) -> None:
    broken = bytearray(LEAF.certificate.der)
    broken[position] = value
    try:
        certificate = parse_der(bytes(broken))
    except CertificateError:
        return
    assert certificate.key_octets()
    assert certificate.issued_by(ROOT.certificate) == (bytes(broken) == LEAF.certificate.der)


@given(st.binary(max_size=300))
def test_any_octets_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(CertificateError):
        parse_bundle(data)


def test_a_key_that_no_signature_can_be_made_with_is_refused() -> None:
    public = x25519.X25519PrivateKey.generate().public_key()
    with pytest.raises(CertificateError) as caught:
        build(name("X"), public, name("X"), ec_key(), Wish())
    assert caught.value.fault is Fault.WEAK_KEY


@pytest.mark.requirement("M03.FR.03")
def test_a_serial_number_that_no_message_can_carry_is_none() -> None:
    """Installed, it would end every list of what is installed."""
    subject = name(64 * "x")
    longest = build(subject, KEY.public_key(), subject, KEY, Wish(serial=2**159 - 1))
    assert hash_data(longest, longest).serial_number == f"{2**159 - 1:x}"
    der, serial = bytearray(longest.der), (2**159 - 1).to_bytes(20, "big")
    at = der.index(b"\x02\x14" + serial)
    der[at : at + 2] = b"\x02\x15\x01"
    for length in (2, 6):  # of the certificate, and of what is signed: two octets each
        der[length : length + 2] = (int.from_bytes(der[length : length + 2], "big") + 1).to_bytes(2, "big")
    assert x509.load_der_x509_certificate(bytes(der)).serial_number.bit_length() == 161
    with pytest.raises(CertificateError, match="more than 20 octets"):
        parse_der(bytes(der))


def test_words_about_a_certificate_are_one_printable_line() -> None:
    """Its names go into logs and onto terminals, and are whatever their owner wants."""
    evil = name("x\nroot: logged in \x1b[2J\u202e")
    certificate = build(evil, KEY.public_key(), evil, KEY, Wish())
    assert certificate.subject.isprintable()
    assert certificate.common_name == "x\nroot: logged in \x1b[2J\u202e"
    with pytest.raises(CertificateError) as caught:
        check_station_certificate(certificate, StationSubject("SN", "Operator"))
    assert (caught.value.detail, str(caught.value)) == (
        "x?root: logged in ?[2J?",
        "another common name: x?root: logged in ?[2J?",
    )


def test_two_names_are_no_name() -> None:
    twice = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n) for n in ("A", "B")])
    key = ec_key()
    assert build(twice, key.public_key(), twice, key, Wish()).common_name is None


def test_urls_are_found() -> None:
    leaf = ROOT.leaf(responder="http://ocsp.example/", crl="http://crl.example/a.crl").certificate
    assert leaf.responder_urls == ("http://ocsp.example/",)
    assert leaf.crl_urls == ("http://crl.example/a.crl",)
    assert LEAF.certificate.responder_urls == LEAF.certificate.crl_urls == ()


KEYS = {
    "EC": ec_key().public_key(),
    "EC P-521": ec.generate_private_key(ec.SECP521R1()).public_key(),
    "RSA": rsa_key().public_key(),
    "Ed25519": ed25519.Ed25519PrivateKey.generate().public_key(),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("algorithm", HashAlgorithm)
@pytest.mark.requirement("M03.FR.04")
def test_hash_data_is_the_cert_id_of_ocsp(kind: str, algorithm: HashAlgorithm) -> None:
    """The oracle is the OCSP request that the library builds for the same pair."""
    issuer = build(name("CA"), KEYS[kind], name("CA"), ec_key(), Wish(ca=True))
    subject = build(name("Leaf"), ec_key().public_key(), name("CA"), ec_key(), Wish(serial=0x0FFF))
    digest = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}[algorithm]
    request = ocsp.OCSPRequestBuilder().add_certificate(subject.parsed, issuer.parsed, digest).build()
    data = hash_data(subject, issuer, algorithm)
    assert data.issuer_name_hash == request.issuer_name_hash.hex()
    assert data.issuer_key_hash == request.issuer_key_hash.hex()
    assert data.serial_number == "fff"  # no leading zeroes


def test_hash_data_is_compared_without_regard_to_case_and_zeroes() -> None:
    ours = hash_data(LEAF.certificate, ROOT.certificate)
    theirs = CertificateHashData(
        HashAlgorithm.SHA256,
        ours.issuer_name_hash.upper(),
        ours.issuer_key_hash.upper(),
        f"00{ours.serial_number.upper()}",
    )
    assert theirs == ours
    assert CertificateHashData(HashAlgorithm.SHA256, "", "", "000").serial_number == "0"


def test_public_octets_tell_keys_apart() -> None:
    assert public_octets(LEAF.certificate.public_key) != public_octets(ROOT.certificate.public_key)


SUBJECT = StationSubject("SN-0001", "Operator")


@pytest.mark.parametrize(
    ("certificate", "fault"),
    [
        (ROOT.leaf("SN-0001", None), Fault.NO_ORGANIZATION),
        (ROOT.leaf(None), Fault.NO_COMMON_NAME),
        (ROOT.leaf("https://station"), Fault.ADDRESS_AS_NAME),
        (ROOT.leaf("10.0.0.1"), Fault.ADDRESS_AS_NAME),
        (ROOT.leaf("station.example.com"), Fault.ADDRESS_AS_NAME),
        (ROOT.leaf("SN-0002"), Fault.WRONG_COMMON_NAME),
        (ROOT.leaf("SN-0001", "Another"), Fault.WRONG_ORGANIZATION),
        (ROOT.leaf(usage=usage("key_encipherment")), Fault.WRONG_USAGE),
        (ROOT.sub("SN-0001"), Fault.NOT_A_LEAF),
    ],
)
@pytest.mark.requirement(
    "A00.FR.509",
    "A00.FR.511",
    "A00.FR.512",
    "A02.FR.06",
    "1.6-A00.FR.509",
    "1.6-A00.FR.511",
    "1.6-A00.FR.512",
    "1.6-A02.FR.06",
)
def test_properties_of_a_station_certificate(certificate: object, fault: Fault) -> None:
    with pytest.raises(CertificateError) as caught:
        check_station_certificate(certificate.certificate, SUBJECT)  # type: ignore[attr-defined]
    assert caught.value.fault is fault


def test_a_good_station_certificate() -> None:
    check_station_certificate(LEAF.certificate, SUBJECT)
    check_station_certificate(LEAF.certificate, None)
    check_station_certificate(ROOT.leaf(usage=None).certificate, SUBJECT)
    check_station_certificate(ROOT.leaf("SN-9").certificate, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SN-0001", False),
        ("DE*ABC*E1234", False),
        ("CP.0001", False),
        ("1.2.3", False),
        ("::1", True),
        ("[::1]", True),
        ("wss://a/b", True),
        ("a.b-c.example", True),
    ],
)
@pytest.mark.requirement("A00.FR.511")
def test_serial_numbers_are_told_from_addresses(text: str, expected: bool) -> None:
    assert is_address(text) is expected
