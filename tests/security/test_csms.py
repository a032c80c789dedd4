"""The CSMS's answers and calls about certificates, whatever the station sent and the responder said."""

import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from ocpp_core.messages import Request
from ocpp_core.versions import OcppVersion
from ocpp_security import csms, messages
from ocpp_security.errors import CertificateError
from ocpp_security.pki.hashdata import CertificateHashData, HashAlgorithm, hash_data
from ocpp_security.pki.ocsp import OcspRequestData
from ocpp_security.questions import SigningRequest
from ocpp_security.trust.inventory import LeafUse
from tests.security.pki_kit import DAY, NOW, SHA256, root
from tests.security.test_csr import GOOD

V201, V21 = OcppVersion.V201, OcppVersion.V21
ROOT = root()
LEAF = ROOT.leaf().certificate
URL = "http://ocsp.example/"
RESPONSE = ROOT.ocsp(LEAF)
TRY_LATER = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
every_version = pytest.mark.parametrize("version", OcppVersion, ids=lambda v: v.number)


def signing(version: OcppVersion, use: LeafUse = LeafUse.CHARGING_STATION, csr: str = GOOD) -> Request:
    return messages.sign_certificate(version, SigningRequest(use, 7, csr))


def status(version: OcppVersion, name: CertificateHashData | None = None) -> Request:
    data = OcspRequestData(name or hash_data(LEAF, ROOT.certificate), URL)
    return messages.get_certificate_status(version, data)


@every_version
@pytest.mark.requirement("A02.FR.11", "A02.FR.12", "A03.FR.11", "A03.FR.12")
@pytest.mark.requirement("1.6-A02.FR.11", "1.6-A02.FR.12", "1.6-A03.FR.11", "1.6-A03.FR.12")
def test_a_signing_request_is_read_and_answered(version: OcppVersion) -> None:
    use, request = csms.signing_request_in(signing(version))
    assert (use, request.subject.serial_number) == (LeafUse.CHARGING_STATION, "SN-0001")
    for accepted, word in ((True, "Accepted"), (False, "Rejected")):
        assert json.loads(csms.signing_response(signing(version), accepted).to_json()) == {"status": word}
    with pytest.raises(CertificateError):
        csms.signing_request_in(signing(version, csr="rubbish"))


@every_version
@pytest.mark.requirement("A02.FR.14", "A02.FR.25", "A03.FR.14", "A03.FR.21")
def test_the_certificate_is_sent_as_it_was_asked_for(version: OcppVersion) -> None:
    request = signing(version, LeafUse.CHARGING_STATION if version is OcppVersion.V16 else LeafUse.V2G)
    fields = json.loads(csms.certificate_signed(request, "chain").to_json())
    assert fields.pop("certificateChain") == "chain"
    expected = {} if version is OcppVersion.V16 else {"certificateType": "V2GCertificate"}
    assert fields == (expected | {"requestId": 7} if version is V21 else expected)


@pytest.mark.parametrize("version", [V201, V21])
@pytest.mark.parametrize(
    ("der", "word"),
    [
        (RESPONSE, "Accepted"),
        (None, "Failed"),
        (b"", "Failed"),
        (b"<html>", "Failed"),
        (TRY_LATER.public_bytes(Encoding.DER), "Failed"),
    ],
)
@pytest.mark.requirement("M06.FR.01", "M06.FR.02", "M06.FR.03", "M06.FR.04", "M06.FR.08", "M06.FR.09")
def test_a_status_is_fetched_and_passed_on(version: OcppVersion, der: bytes | None, word: str) -> None:
    url, asked = csms.ocsp_request_in(status(version))
    assert url == URL
    assert ocsp.load_der_ocsp_request(asked).serial_number == LEAF.serial
    response = csms.ocsp_response(status(version), der)
    assert json.loads(response.to_json())["status"] == word
    question = messages.status_in(OcspRequestData(hash_data(LEAF, ROOT.certificate), URL), response)
    assert (question is not None) == (word == "Accepted")


@pytest.mark.requirement("M06.FR.04")
@pytest.mark.parametrize(("number", "fits"), [(1, [V201, V21]), (16, [V21]), (60, [])])
def test_a_response_that_is_too_long_for_the_message_is_none(number: int, fits: list[OcppVersion]) -> None:
    enclosed = [ROOT.sub(f"Authority {n}").certificate.parsed for n in range(number)]
    builder = ocsp.OCSPResponseBuilder().add_response(
        LEAF.parsed, ROOT.certificate.parsed, SHA256, ocsp.OCSPCertStatus.GOOD, NOW, NOW + DAY, None, None
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, ROOT.certificate.parsed)
    long = builder.certificates(enclosed).sign(ROOT.key, SHA256).public_bytes(Encoding.DER)
    answers = {v: json.loads(csms.ocsp_response(status(v), long).to_json())["status"] for v in (V201, V21)}
    assert [version for version, word in answers.items() if word == "Accepted"] == fits


@pytest.mark.requirement("M06.FR.04")
def test_hash_data_that_is_none_cannot_be_asked_about() -> None:
    with pytest.raises(CertificateError):
        csms.ocsp_request_in(status(V201, CertificateHashData(HashAlgorithm.SHA256, "x", "y", "z")))
