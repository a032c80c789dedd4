"""What a CSMS finds out of a vehicle's chain (OCPP 2.1, M07), and what the station makes of its answer."""

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from cryptography.x509 import ocsp

from ocpp_core.messages import Request
from ocpp_security import messages
from ocpp_security.certificates.vehicle import StatusEntry, StatusRequest, StatusSource
from ocpp_security.chain_status import certificate_chain_status
from ocpp_security.inquiry import Ask
from ocpp_security.pki.hashdata import CertificateHashData, HashAlgorithm, hash_data
from ocpp_security.pki.ocsp import Revocation
from tests.security.pki_kit import DAY, NOW, root
from tests.security.test_inquiry import scoped

GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
OEM, STRANGER = root("OEM"), root("OEM")
SUB = OEM.sub("OEM sub")
CAR = SUB.leaf("WMIV1234567890ABCD").certificate
RESPONDER, OTHER, LIST = "http://ocsp.example/", "http://other.example/", "http://crl.example/oem"
CAR_NAME, SUB_NAME = hash_data(CAR, SUB.certificate), hash_data(SUB.certificate, OEM.certificate)
ISSUERS = (STRANGER.certificate, OEM.certificate, SUB.certificate)
Answers = dict[str, bytes]


@dataclass
class Web:
    """Answers by URL; each question takes its time."""

    answers: Answers
    takes: float = 0.0
    now: float = 0.0
    asked: list[tuple[str, bool, float]] = field(default_factory=list)

    async def __call__(self, request: Ask, timeout: float) -> bytes:
        self.asked.append((request.url, request.body is not None, timeout))
        self.now += min(self.takes, timeout)
        if request.url not in self.answers:
            raise TimeoutError(f"{request.url}: no answer")
        return self.answers[request.url]


def about(source: StatusSource, *urls: str, name: CertificateHashData = CAR_NAME) -> Request:
    return messages.get_certificate_chain_status([StatusRequest(name, source, urls)])


def entries(web: Web, request: Request, **options: object) -> tuple[StatusEntry, ...]:
    call = certificate_chain_status(request, web, ISSUERS, NOW, clock=lambda: web.now, **options)
    return messages.chain_status_in(asyncio.run(call))


OCSP, CRL = StatusSource
TABLE: dict[str, tuple[StatusSource, Answers, Revocation | None]] = {
    "good": (OCSP, {RESPONDER: SUB.ocsp(CAR)}, Revocation.GOOD),
    "revoked": (OCSP, {RESPONDER: SUB.ocsp(CAR, REVOKED)}, Revocation.REVOKED),
    "unknown": (OCSP, {RESPONDER: SUB.ocsp(CAR, UNKNOWN)}, Revocation.UNKNOWN),
    "the second": (OCSP, {OTHER: SUB.ocsp(CAR)}, Revocation.GOOD),
    "nobody": (OCSP, {}, None),
    "a stranger": (OCSP, {RESPONDER: STRANGER.ocsp(CAR, issuer=SUB)}, None),
    "stale": (OCSP, {RESPONDER: SUB.ocsp(CAR, begin=NOW - 3 * DAY, end=NOW - DAY)}, None),
    "listed": (CRL, {RESPONDER: SUB.crl(CAR)}, Revocation.REVOKED),
    "not listed": (CRL, {OTHER: SUB.crl()}, Revocation.GOOD),
    "a list in parts": (CRL, {RESPONDER: SUB.crl(extensions=scoped(RESPONDER))}, Revocation.GOOD),
    "another part": (CRL, {RESPONDER: SUB.crl(extensions=scoped(LIST))}, None),
    "another's list": (CRL, {RESPONDER: OEM.crl()}, None),
    "no list": (CRL, {RESPONDER: b"<html>"}, None),
}


@pytest.mark.parametrize(("source", "answers", "expected"), TABLE.values(), ids=TABLE)
@pytest.mark.requirement(
    "M07.FR.01", "M07.FR.02", "M07.FR.03", "M07.FR.04", "M07.FR.05", "M07.FR.06", "M07.FR.07", "M07.FR.08"
)
def test_what_is_said_of_a_certificate(
    source: StatusSource, answers: Answers, expected: Revocation | None
) -> None:
    web = Web(answers)
    (entry,) = entries(web, about(source, RESPONDER, OTHER))
    assert (entry.name, entry.status) == (CAR_NAME, expected)
    assert entry.next_update == (NOW if expected is None else NOW + 7 * DAY)
    assert {posted for _, posted, _ in web.asked} == {source is OCSP}
    assert len(web.asked) == (1 if RESPONDER in answers and expected is not None else 2)


@pytest.mark.requirement("M07.FR.02", "M07.FR.05", "M07.FR.08")
def test_every_certificate_has_an_entry_of_its_own() -> None:
    names = (
        CAR_NAME,
        SUB_NAME,
        hash_data(CAR, STRANGER.certificate),
        CertificateHashData(HashAlgorithm.SHA256, "x", "y", "1"),
    )
    urls = (RESPONDER, LIST, RESPONDER, RESPONDER)
    asked = [
        StatusRequest(name, CRL if url == LIST else OCSP, (url,))
        for name, url in zip(names, urls, strict=True)
    ]
    request = messages.get_certificate_chain_status(asked)
    found = entries(Web({RESPONDER: SUB.ocsp(CAR), LIST: OEM.crl(SUB.certificate)}), request)
    assert [(entry.name, entry.status) for entry in found] == [
        (names[0], Revocation.GOOD), (names[1], Revocation.REVOKED), (names[2], None), (names[3], None),
    ]  # fmt: skip


@pytest.mark.requirement("M07.FR.02")
def test_the_station_gets_its_answer_in_time() -> None:
    web = Web({}, takes=60.0)
    request = about(OCSP, *(f"http://{number}.example/" for number in range(5)))
    (entry,) = entries(web, request, timeout=5.0, patience=12.0)
    assert entry.status is None
    assert [timeout for _, _, timeout in web.asked] == [5.0, 5.0, 2.0]


def test_not_every_address_may_be_asked() -> None:
    web = Web({OTHER: SUB.ocsp(CAR)})
    (entry,) = entries(web, about(OCSP, RESPONDER, OTHER), allowed=lambda url: url == OTHER)
    assert entry.status is Revocation.GOOD
    assert [url for url, _, _ in web.asked] == [OTHER]
    call = certificate_chain_status(about(OCSP, OTHER), web, ISSUERS, NOW)
    fields = json.loads(asyncio.run(call).to_json())["certificateStatus"][0]
    assert (fields["source"], fields["status"], fields["nextUpdate"]) == (
        "OCSP",
        "Good",
        "2026-06-08T12:00:00.000Z",
    )
