"""The edges of revocation: what a list and a response may leave out, and what may be around it."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from ocpp_security.errors import CertificateError, Fault
from ocpp_security.pki.certificate import Certificate
from ocpp_security.pki.crl import check_crl, parse_crl, revocation
from ocpp_security.pki.ocsp import Revocation, request_data, verify_response
from tests.security.pki_kit import CA_USAGE, DAY, NOW, SHA256, Authority, ec_key, root

ROOT = root()
SUB = ROOT.sub("Sub")
LEAF = SUB.leaf().certificate
OCSP_SIGNING = [ExtendedKeyUsageOID.OCSP_SIGNING]
Extensions = list[tuple[x509.ExtensionType, bool]]
STRANGE = x509.ObjectIdentifier("1.2.3.4")


def fault_of_list(der: bytes, issuer: Authority) -> Fault | None:
    try:
        check_crl(parse_crl(der), issuer.certificate, NOW)
    except CertificateError as error:
        return error.fault
    return None


# Lists.


@pytest.mark.requirement("RFC5280-6.3")
@pytest.mark.parametrize("usage", [None, CA_USAGE], ids=["no usage", "usage"])
def test_an_issuer_without_key_usage_may_sign_lists(usage: x509.KeyUsage | None) -> None:
    issuer = root("Any use", usage=usage)
    assert fault_of_list(issuer.crl(), issuer) is None


@pytest.mark.requirement("RFC5280-6.3")
def test_a_list_is_its_issuers_by_name_and_key() -> None:
    for namesake in (root("Root"), ROOT.sub("Another", key=ROOT.key)):
        fault = fault_of_list(ROOT.crl(), namesake)
        same_name = namesake.certificate.subject_der == ROOT.certificate.subject_der
        assert fault is (Fault.BAD_SIGNATURE if same_name else Fault.WRONG_SUBJECT)
    assert fault_of_list(ROOT.crl(), ROOT) is None


@pytest.mark.requirement("RFC5280-5.2")
def test_only_what_is_critical_and_strange_makes_a_list_useless() -> None:
    key = SUB.key.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    number, authority = x509.CRLNumber(7), x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    strange = x509.UnrecognizedExtension(STRANGE, b"\x05\x00")
    useful: tuple[Extensions, ...] = (
        [(number, True)],
        [(authority, True)],
        [(number, True), (authority, True), (strange, False)],
    )
    useless: tuple[Extensions, ...] = ([(strange, True)], [(number, True), (strange, True)])
    for extensions in useful:
        crl = parse_crl(SUB.crl(LEAF, extensions=extensions))
        assert revocation(crl, LEAF, SUB.certificate, NOW) is Revocation.REVOKED
    for extensions in useless:
        assert fault_of_list(SUB.crl(extensions=extensions), SUB) is Fault.WRONG_SUBJECT


def element(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size] if size < 128 else [0x81, size])
    return bytes([tag]) + length + content


def rewritten(issuer: Authority, der: bytes, old: bytes, new: bytes) -> bytes:
    """A list that the library does not make, and that the issuer signed nevertheless."""
    tbs = x509.load_der_x509_crl(der).tbs_certlist_bytes
    content = tbs[2:] if tbs[1] < 128 else tbs[2 + (tbs[1] & 0x7F) :]
    assert content.count(old) == 1
    signed = element(0x30, content.replace(old, new))
    assert isinstance(issuer.key, ec.EllipticCurvePrivateKey)
    signature = issuer.key.sign(signed, ec.ECDSA(SHA256))
    algorithm = element(0x30, bytes.fromhex("06082a8648ce3d040302"))
    return element(0x30, signed + algorithm + element(0x03, b"\0" + signature))


def test_a_list_without_next_update_is_believed_for_a_week() -> None:
    later = element(0x17, f"{NOW + 7 * DAY:%y%m%d%H%M%SZ}".encode())
    crl = parse_crl(rewritten(SUB, SUB.crl(begin=NOW - DAY), later, b""))
    assert crl.next_update == NOW + 6 * DAY
    assert revocation(crl, LEAF, SUB.certificate, NOW + 6 * DAY) is Revocation.GOOD
    with pytest.raises(CertificateError) as caught:
        check_crl(crl, SUB.certificate, NOW + 7 * DAY)
    assert caught.value.fault is Fault.NOT_CURRENT


def test_an_entry_that_contradicts_itself_is_not_passed_over() -> None:
    """Two extensions of one kind: nobody knows which is meant."""
    entry = x509.RevokedCertificateBuilder().serial_number(LEAF.serial).revocation_date(NOW)
    for last in (4, 5):
        oid = x509.ObjectIdentifier(f"1.2.3.{last}")
        entry = entry.add_extension(x509.UnrecognizedExtension(oid, b"\x05\x00"), False)
    builder = x509.CertificateRevocationListBuilder(issuer_name=SUB.name).last_update(NOW)
    builder = builder.next_update(NOW + DAY).add_revoked_certificate(entry.build())
    der = builder.sign(SUB.key, SHA256).public_bytes(Encoding.DER)
    assert revocation(parse_crl(der), LEAF, SUB.certificate, NOW) is Revocation.REVOKED
    twice = rewritten(SUB, der, bytes.fromhex("06032a0305"), bytes.fromhex("06032a0304"))
    with pytest.raises(CertificateError) as caught:
        revocation(parse_crl(twice), LEAF, SUB.certificate, NOW)
    assert caught.value.fault is Fault.MALFORMED


# Responses.


@pytest.mark.requirement("M06.FR.06")
def test_the_first_responder_is_asked() -> None:
    access = x509.AuthorityInformationAccess(
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, url in (
            (AuthorityInformationAccessOID.CA_ISSUERS, "http://issuers.example"),
            (AuthorityInformationAccessOID.OCSP, "http://first.example"),
            (AuthorityInformationAccessOID.OCSP, "http://second.example/" + 600 * "a"),
        )
    )
    leaf = SUB.leaf(extensions=[(access, False)]).certificate
    (request,) = request_data((leaf, SUB.certificate))
    assert request.responder_url == "http://first.example"
    assert request_data((SUB.certificate, ROOT.certificate)) == ()
    assert request_data((leaf,)) == ()


def enclosing(delegate: Authority, *before: Certificate) -> bytes:
    builder = ocsp.OCSPResponseBuilder().add_response(
        LEAF.parsed, SUB.certificate.parsed, SHA256, ocsp.OCSPCertStatus.GOOD, NOW, NOW + DAY, None, None
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, delegate.certificate.parsed)
    builder = builder.certificates([c.parsed for c in (*before, delegate.certificate)])
    return builder.sign(delegate.key, SHA256).public_bytes(Encoding.DER)


@pytest.mark.requirement("RFC6960-4.2.2.2")
def test_a_responder_is_looked_for_among_the_first_eight() -> None:
    delegate = SUB.leaf("Responder", purposes=OCSP_SIGNING)
    key = ec_key()
    others = [SUB.leaf(f"Other {number}", key=key).certificate for number in range(8)]
    assert verify_response(enclosing(delegate, *others[:7]), LEAF, SUB.certificate, NOW)
    with pytest.raises(CertificateError) as caught:
        verify_response(enclosing(delegate, *others), LEAF, SUB.certificate, NOW)
    assert caught.value.fault is Fault.UNAUTHORIZED
