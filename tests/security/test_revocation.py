"""OCSP responses and revocation lists: believed only from those entitled, only while current."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ocpp_security.errors import CertificateError, Fault
from ocpp_security.pki import crl as crls
from ocpp_security.pki.crl import check_crl, parse_crl, revocation
from ocpp_security.pki.hashdata import CertificateHashData, HashAlgorithm, hash_data
from ocpp_security.pki.ocsp import (
    MAX_RESPONSE_SIZE,
    MAX_SKEW,
    Revocation,
    encode_request,
    request_data,
    verify_response,
)
from ocpp_security.pki.path import find_path
from ocpp_security.pki.revocation import Evidence, check_revocation, crl_status
from tests.security.pki_kit import DAY, NOW, SHA256, Authority, Key, root, rsa_key, usage

ROOT = root()
SUB = ROOT.sub("Sub", responder="http://ocsp.example/root")
LEAF = SUB.leaf(responder="http://ocsp.example/sub", crl="http://crl.example/sub").certificate
OTHER = SUB.leaf().certificate
OCSP_SIGNING = [ExtendedKeyUsageOID.OCSP_SIGNING]
DELEGATE = SUB.leaf("Responder", purposes=OCSP_SIGNING)
STATUS = ocsp.OCSPCertStatus
GOOD = SUB.ocsp(LEAF)


def fault_of(der: bytes, issuer: Authority = SUB) -> Fault:
    with pytest.raises(CertificateError) as caught:
        verify_response(der, LEAF, issuer.certificate, NOW)
    return caught.value.fault


@pytest.mark.parametrize("status", STATUS)
@pytest.mark.requirement("RFC6960-3.2", "M06.FR.06")
def test_an_issuers_response_is_believed(status: ocsp.OCSPCertStatus) -> None:
    got = verify_response(SUB.ocsp(LEAF, status), LEAF, SUB.certificate, NOW)
    assert got.revocation.value.upper() == status.name
    assert (got.this_update, got.next_update) == (NOW - DAY, NOW + 7 * DAY)
    assert (got.revoked_at is not None) == (status is STATUS.REVOKED)


@pytest.mark.parametrize("by", ocsp.OCSPResponderEncoding)
@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA512()], ids=lambda a: a.name)
@pytest.mark.requirement("RFC6960-4.2.2.2")
def test_a_delegates_response_is_believed(
    by: ocsp.OCSPResponderEncoding, algorithm: hashes.HashAlgorithm
) -> None:
    der = DELEGATE.ocsp(LEAF, issuer=SUB, by=by, algorithm=algorithm)
    assert verify_response(der, LEAF, SUB.certificate, NOW).revocation is Revocation.GOOD


def test_without_next_update_a_response_is_believed_for_a_week() -> None:
    der = SUB.ocsp(LEAF, begin=NOW - 6 * DAY, end=None)
    assert verify_response(der, LEAF, SUB.certificate, NOW).next_update == NOW + DAY
    assert fault_of(SUB.ocsp(LEAF, begin=NOW - 8 * DAY, end=None)) is Fault.NOT_CURRENT


STRANGER = root("Stranger")
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
REFUSED: dict[str, tuple[Fault, bytes]] = {
    "another certificate": (Fault.WRONG_SUBJECT, SUB.ocsp(OTHER)),
    "another issuer": (
        Fault.WRONG_SUBJECT,
        STRANGER.ocsp(STRANGER.leaf(serial=LEAF.serial).certificate),
    ),
    "expired": (Fault.NOT_CURRENT, SUB.ocsp(LEAF, begin=NOW - 9 * DAY, end=NOW - DAY)),
    "from the future": (Fault.NOT_CURRENT, SUB.ocsp(LEAF, begin=NOW + DAY, end=NOW + 2 * DAY)),
    "stranger": (Fault.UNAUTHORIZED, STRANGER.ocsp(LEAF, issuer=SUB)),
    "stranger's delegate": (
        Fault.UNAUTHORIZED,
        STRANGER.leaf("R", purposes=OCSP_SIGNING).ocsp(LEAF, issuer=SUB),
    ),
    "delegate for another purpose": (Fault.UNAUTHORIZED, SUB.leaf("R").ocsp(LEAF, issuer=SUB)),
    "delegate of the wrong level": (
        Fault.UNAUTHORIZED,
        ROOT.leaf("R", purposes=OCSP_SIGNING).ocsp(LEAF, issuer=SUB),
    ),
    "delegate not enclosed": (Fault.UNAUTHORIZED, DELEGATE.ocsp(LEAF, issuer=SUB, enclose=False)),
    "delegate expired": (
        Fault.EXPIRED,
        SUB.leaf("R", purposes=OCSP_SIGNING, end=NOW - DAY).ocsp(LEAF, issuer=SUB),
    ),
    "delegate with a weak key": (
        Fault.WEAK_KEY,
        SUB.leaf("R", purposes=OCSP_SIGNING, key=rsa_key(1024)).ocsp(LEAF, issuer=SUB),
    ),
    "delegate with a weak signature": (
        Fault.WEAK_SIGNATURE,
        SUB.leaf("R", purposes=OCSP_SIGNING, digest=hashes.SHA224()).ocsp(LEAF, issuer=SUB),
    ),
    "delegate with a strange extension": (
        Fault.UNAUTHORIZED,
        SUB.leaf("R", purposes=OCSP_SIGNING, extensions=[(STRANGE, True)]).ocsp(LEAF, issuer=SUB),
    ),
    "delegate not yet valid": (
        Fault.NOT_YET_VALID,
        SUB.leaf("R", purposes=OCSP_SIGNING, begin=NOW + DAY).ocsp(LEAF, issuer=SUB),
    ),
    "forged": (
        Fault.BAD_SIGNATURE,
        ROOT.sub("Sub").ocsp(LEAF, issuer=SUB, by=ocsp.OCSPResponderEncoding.NAME),
    ),
    "unsuccessful": (
        Fault.UNSUCCESSFUL,
        ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(
            Encoding.DER
        ),
    ),
    "empty": (Fault.MALFORMED, b""),
    "too large": (Fault.TOO_LARGE, b"0" * (MAX_RESPONSE_SIZE + 1)),
}


@pytest.mark.parametrize(("fault", "der"), REFUSED.values(), ids=REFUSED)
@pytest.mark.requirement("RFC6960-3.2", "RFC6960-4.2.2.2")
def test_what_is_not_believed(fault: Fault, der: bytes) -> None:
    assert fault_of(der) is fault


@given(position=st.integers(0, len(GOOD) - 1), value=st.integers(0, 255))
def test_no_octet_of_a_response_may_change(position: int, value: int) -> None:
    broken = bytearray(GOOD)
    broken[position] = value
    try:
        status = verify_response(bytes(broken), LEAF, SUB.certificate, NOW)
    except CertificateError:
        return
    assert status == verify_response(GOOD, LEAF, SUB.certificate, NOW)


@pytest.mark.requirement("M06.FR.07")
def test_a_chain_is_asked_about_link_by_link() -> None:
    data = request_data((LEAF, SUB.certificate, ROOT.certificate))
    assert [request.responder_url for request in data] == [
        "http://ocsp.example/sub",
        "http://ocsp.example/root",
    ]
    assert data[0].hash_data == hash_data(LEAF, SUB.certificate)
    assert request_data((OTHER, SUB.certificate)) == ()
    assert request_data((ROOT.certificate,)) == ()
    too_long = SUB.leaf(responder="http://" + 506 * "a").certificate
    assert request_data((too_long, SUB.certificate)) == ()


@pytest.mark.parametrize("algorithm", HashAlgorithm)
@pytest.mark.requirement("RFC6960-4.1.1")
def test_a_csms_makes_the_request_from_hash_data(algorithm: HashAlgorithm) -> None:
    data = hash_data(LEAF, SUB.certificate, algorithm)
    request = ocsp.load_der_ocsp_request(encode_request(data))
    assert request.serial_number == LEAF.serial
    assert request.issuer_name_hash.hex() == data.issuer_name_hash
    assert request.issuer_key_hash.hex() == data.issuer_key_hash


@pytest.mark.parametrize(
    "data",
    [
        ("zz", "00" * 32, "1"),
        ("00" * 32, "00" * 31, "1"),
        ("00" * 32, "00" * 32, "x"),
        ("", "", ""),
        ("00" * 32, "00" * 32, "-1"),
    ],
)
def test_hash_data_that_is_none(data: tuple[str, str, str]) -> None:
    with pytest.raises(CertificateError) as caught:
        encode_request(CertificateHashData(HashAlgorithm.SHA256, *data))
    assert caught.value.fault is Fault.MALFORMED


# Revocation lists.


def listed(der: bytes, at: Any = NOW) -> Revocation | Fault:
    try:
        return revocation(parse_crl(der), LEAF, SUB.certificate, at)
    except CertificateError as error:
        return error.fault


NO_CRL_SIGN = ROOT.sub("Sub", key=SUB.key, usage=usage("key_cert_sign"))
LISTS: dict[str, tuple[Revocation | Fault, bytes]] = {
    "empty": (Revocation.GOOD, SUB.crl()),
    "another": (Revocation.GOOD, SUB.crl(OTHER)),
    "revoked": (Revocation.REVOKED, SUB.crl(OTHER, LEAF)),
    "on hold": (Revocation.REVOKED, SUB.crl(LEAF, reason=x509.ReasonFlags.certificate_hold)),
    "removed": (Revocation.GOOD, SUB.crl(LEAF, reason=x509.ReasonFlags.remove_from_crl)),
    "numbered": (Revocation.GOOD, SUB.crl(extensions=[(x509.CRLNumber(7), False)])),
    "another issuer's": (Fault.WRONG_SUBJECT, ROOT.crl(LEAF)),
    "delta": (Fault.WRONG_SUBJECT, SUB.crl(extensions=[(x509.DeltaCRLIndicator(6), True)])),
    "expired": (Fault.NOT_CURRENT, SUB.crl(begin=NOW - 3 * DAY, end=NOW - DAY)),
    "from the future": (Fault.NOT_CURRENT, SUB.crl(begin=NOW + DAY)),
    "forged": (Fault.BAD_SIGNATURE, Authority(SUB.certificate, STRANGER.key).crl()),
    "no list": (Fault.MALFORMED, b"0 words"),
    "too large": (Fault.TOO_LARGE, b"0" * (crls.MAX_CRL_SIZE + 1)),
}


@pytest.mark.parametrize(("expected", "der"), LISTS.values(), ids=LISTS)
@pytest.mark.requirement("RFC5280-6.3")
def test_lists(expected: Revocation | Fault, der: bytes) -> None:
    assert listed(der) is expected


def test_a_list_is_read_in_pem_too() -> None:
    crl = parse_crl(SUB.crl(LEAF))
    assert parse_crl(crl.pem.encode()) == crl


def test_an_issuer_must_be_allowed_to_sign_lists() -> None:
    with pytest.raises(CertificateError) as caught:
        check_crl(parse_crl(SUB.crl()), NO_CRL_SIGN.certificate, NOW)
    assert caught.value.fault is Fault.WRONG_USAGE


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_no_octet_of_a_list_may_change(position: int, value: int) -> None:
    der = LISTS["revoked"][1]
    broken = bytearray(der)
    broken[position % len(der)] = value
    got = listed(bytes(broken))
    assert isinstance(got, Fault) or got is Revocation.REVOKED


# Paths.

PATH = find_path(LEAF, (SUB.certificate,), (ROOT.certificate,), NOW)
BAD_SUB = ROOT.ocsp(SUB.certificate, STATUS.REVOKED)


def evidence(*lists: bytes, **responses: bytes) -> Evidence:
    by_certificate = {LEAF: responses.get("leaf"), SUB.certificate: responses.get("sub")}
    return Evidence([parse_crl(der) for der in lists], by_certificate.get)


@pytest.mark.parametrize(
    ("have", "fault", "required"),
    [
        (evidence(), None, Fault.STATUS_UNKNOWN),
        (evidence(leaf=GOOD), None, Fault.STATUS_UNKNOWN),
        (evidence(leaf=GOOD, sub=ROOT.ocsp(SUB.certificate)), None, None),
        (evidence(SUB.crl(), ROOT.crl()), None, None),
        (evidence(SUB.crl(LEAF), leaf=GOOD), Fault.REVOKED, Fault.REVOKED),
        (evidence(leaf=SUB.ocsp(LEAF, STATUS.REVOKED)), Fault.REVOKED, Fault.REVOKED),
        (evidence(leaf=GOOD, sub=BAD_SUB), Fault.REVOKED, Fault.REVOKED),
        (evidence(leaf=SUB.ocsp(LEAF, STATUS.UNKNOWN), sub=BAD_SUB), Fault.REVOKED, Fault.STATUS_UNKNOWN),
        (evidence(leaf=b"rubbish"), None, Fault.STATUS_UNKNOWN),
    ],
)
@pytest.mark.requirement("RFC5280-6.3", "RFC6960-3.2")
def test_a_path_is_as_good_as_its_worst_link(
    have: Evidence, fault: Fault | None, required: Fault | None
) -> None:
    for require, expected in ((False, fault), (True, required)):
        try:
            check_revocation(PATH, have, NOW, require=require)
            got = None
        except CertificateError as error:
            got = error.fault
        assert got is expected


def test_certificates_that_name_nobody_to_ask_need_no_status() -> None:
    path = find_path(OTHER, (), (SUB.certificate,), NOW)
    check_revocation(path, Evidence(), NOW, require=True)


def test_the_worst_of_the_lists_counts() -> None:
    lists = [parse_crl(SUB.crl(LEAF)), parse_crl(ROOT.crl())]
    assert crl_status(PATH, lists, NOW) is Revocation.REVOKED
    assert crl_status(PATH, lists[1:], NOW) is Revocation.UNKNOWN
    assert crl_status(PATH, [parse_crl(SUB.crl()), lists[1]], NOW) is Revocation.GOOD
    assert crl_status(find_path(LEAF, (), (LEAF,), NOW), [], NOW) is Revocation.GOOD


def test_critical_extensions_of_a_response_are_not_passed_over() -> None:
    for critical in (False, True):
        builder = ocsp.OCSPResponseBuilder().add_response(
            LEAF.parsed, SUB.certificate.parsed, SHA256, STATUS.GOOD, NOW, NOW + DAY, None, None
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, SUB.certificate.parsed)
        builder = builder.add_extension(x509.OCSPNonce(b"unasked"), critical)
        der = builder.sign(SUB.key, SHA256).public_bytes(Encoding.DER)
        if critical:
            assert fault_of(der) is Fault.UNKNOWN_CRITICAL
        else:
            assert verify_response(der, LEAF, SUB.certificate, NOW).revocation is Revocation.GOOD


def test_an_entry_that_cannot_be_read_is_not_passed_over() -> None:
    """What a list says of a certificate is not known then, least of all that it is good."""
    reason = x509.UnrecognizedExtension(x509.CRLReason.oid, b"\x05\x00")
    entry = x509.RevokedCertificateBuilder().serial_number(LEAF.serial).revocation_date(NOW)
    builder = x509.CertificateRevocationListBuilder(issuer_name=SUB.name).last_update(NOW)
    builder = builder.add_revoked_certificate(entry.add_extension(reason, False).build())
    der = builder.next_update(NOW + DAY).sign(SUB.key, SHA256).public_bytes(Encoding.DER)
    assert listed(der) is Fault.MALFORMED


@pytest.mark.parametrize("key", [rsa_key(), ed25519.Ed25519PrivateKey.generate()], ids=["RSA", "Ed25519"])
def test_a_key_of_another_kind_did_not_sign(key: Key) -> None:
    namesake = ROOT.sub("Sub", key=key)
    with pytest.raises(CertificateError) as caught:
        check_crl(parse_crl(SUB.crl()), namesake.certificate, NOW)
    assert caught.value.fault is Fault.BAD_SIGNATURE


def test_the_responder_is_found_among_what_is_enclosed() -> None:
    builder = ocsp.OCSPResponseBuilder().add_response(
        LEAF.parsed, SUB.certificate.parsed, SHA256, STATUS.GOOD, NOW, NOW + DAY, None, None
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, DELEGATE.certificate.parsed)
    builder = builder.certificates([OTHER.parsed, DELEGATE.certificate.parsed])
    der = builder.sign(DELEGATE.key, SHA256).public_bytes(Encoding.DER)
    assert verify_response(der, LEAF, SUB.certificate, NOW).revocation is Revocation.GOOD


def test_a_signature_that_nobody_knows_is_none() -> None:
    ecdsa_sha256 = bytes.fromhex("06082a8648ce3d040302")
    unknown = SUB.crl().replace(ecdsa_sha256, ecdsa_sha256[:-1] + b"\x7f")
    assert listed(unknown) is Fault.WEAK_SIGNATURE  # as nobody can say how strong it is


def test_name_and_key_of_the_issuer_must_both_match() -> None:
    namesake = ROOT.sub("Sub")
    other_name = ROOT.sub("Another", key=SUB.key)
    for above in (namesake, other_name):
        twin = above.leaf(serial=LEAF.serial).certificate
        by = ocsp.OCSPResponderEncoding.NAME
        assert fault_of(SUB.ocsp(twin, issuer=above, by=by)) is Fault.WRONG_SUBJECT


def test_a_list_says_nothing_of_another_issuers_certificate() -> None:
    with pytest.raises(CertificateError) as caught:
        revocation(parse_crl(SUB.crl()), STRANGER.leaf().certificate, SUB.certificate, NOW)
    assert caught.value.fault is Fault.WRONG_SUBJECT


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("begin", "end", "current"),
    [
        (NOW - DAY, NOW, True),
        (NOW - DAY, NOW - SECOND, False),
        (NOW + MAX_SKEW, NOW + DAY, True),
        (NOW + MAX_SKEW + SECOND, NOW + DAY, False),
    ],
)
def test_the_edges_of_what_is_current(begin: datetime, end: datetime, current: bool) -> None:
    expected = None if current else Fault.NOT_CURRENT
    listing = listed(SUB.crl(begin=begin, end=end))
    assert listing is (expected or Revocation.GOOD)
    try:
        verify_response(SUB.ocsp(LEAF, begin=begin, end=end), LEAF, SUB.certificate, NOW)
        got = None
    except CertificateError as error:
        got = error.fault
    assert got is expected


def test_the_edges_of_size() -> None:
    longest = SUB.leaf(responder="http://" + 505 * "a").certificate
    assert len(request_data((longest, SUB.certificate))) == 1
    assert fault_of(b"0" * MAX_RESPONSE_SIZE) is Fault.MALFORMED
    assert listed(b"0" * crls.MAX_CRL_SIZE) is Fault.MALFORMED
