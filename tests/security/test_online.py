"""Both ends of TLS ask whether a certificate is revoked: what they are told, and what it takes."""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from cryptography.x509 import ocsp

from ocpp_core.versions import OcppVersion
from ocpp_security import csms, messages, online
from ocpp_security.errors import CertificateError, Fault
from ocpp_security.inquiry import Ask, Standing, StatusPolicy, WhenUnknown
from ocpp_security.online import OnlineStatus
from ocpp_security.pki.certificate import Certificate, parse_der
from ocpp_security.pki.crl import parse_crl
from ocpp_security.pki.hashdata import CertificateHashData, HashAlgorithm, hash_data
from ocpp_security.pki.ocsp import OcspRequestData
from tests.security.pki_kit import NOW, root

GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
URL = "http://ocsp.example/"
ROOT = root()
SUB = ROOT.sub("Sub", responder=URL)
LEAF = SUB.leaf(responder=URL).certificate
OTHER = SUB.leaf("SN-0002", responder=URL).certificate
ANSWERS = {
    LEAF.serial: SUB.ocsp(LEAF), OTHER.serial: SUB.ocsp(OTHER, REVOKED),
    SUB.certificate.serial: ROOT.ocsp(SUB.certificate),
}  # fmt: skip


@dataclass(frozen=True)
class Peer:
    chain: tuple[bytes, ...]


def peer(*certificates: Certificate) -> Peer:
    return Peer(tuple(certificate.der for certificate in certificates))


FULL = peer(LEAF, SUB.certificate, ROOT.certificate)
BAD = peer(OTHER, SUB.certificate, ROOT.certificate)


@dataclass
class Responder:
    """Answers by serial number; each question takes its time, by the clock that it has."""

    answers: dict[int, bytes | OSError] = field(default_factory=lambda: dict(ANSWERS))
    takes: float = 0.0
    now: float = 0.0
    asked: list[int] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    async def __call__(self, request: Ask, timeout: float) -> bytes:
        self.timeouts.append(timeout)
        self.now += min(self.takes, timeout)
        await asyncio.sleep(0)
        assert request.body is not None
        self.asked.append(ocsp.load_der_ocsp_request(request.body).serial_number)
        answer = self.answers.get(self.asked[-1], TimeoutError("no answer"))
        if isinstance(answer, OSError):
            raise answer
        return answer


def status(responder: Responder, policy: StatusPolicy | None = None, **options: object) -> OnlineStatus:
    return OnlineStatus(responder, policy, utc=lambda: NOW, clock=lambda: responder.now, **options)


def revoked(statuses: OnlineStatus, chain: Peer) -> bool:
    return asyncio.run(statuses.revoked(chain))


@pytest.mark.requirement("A00.FR.702", "A00.FR.705", "1.6-A00.FR.702", "1.6-A00.FR.704")
def test_who_is_revoked_and_who_is_not() -> None:
    responder = Responder()
    statuses = status(responder)
    assert statuses.known(BAD).standing is Standing.UNKNOWN
    assert (revoked(statuses, FULL), revoked(statuses, BAD)) == (False, True)
    assert responder.asked == [LEAF.serial, SUB.certificate.serial, OTHER.serial]
    assert (revoked(statuses, FULL), revoked(statuses, BAD), len(responder.asked)) == (False, True, 3)
    assert statuses.known(BAD).bad
    assert (statuses.known(FULL).bad, statuses.known(FULL).standing) == (False, Standing.GOOD)


def test_an_issuer_that_is_not_shown_is_known_or_asked_about_in_vain() -> None:
    statuses = status(Responder())
    with pytest.raises(CertificateError, match="no path to a trust anchor"):
        revoked(statuses, peer(OTHER))
    assert statuses.known(peer(OTHER)).standing is Standing.UNKNOWN
    assert revoked(statuses, BAD)
    assert revoked(statuses, peer(OTHER)), "as before"
    assert revoked(status(Responder(), issuers=(SUB.certificate,)), peer(OTHER))


def test_who_comes_again_costs_no_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(online, "MAX_PATHS", 2)
    statuses = status(Responder())
    for _ in range(3):
        assert revoked(statuses, BAD)
    read: list[bytes] = []
    monkeypatch.setattr(online, "parse_der", lambda der: read.append(der) or parse_der(der))
    assert revoked(statuses, BAD)
    assert revoked(statuses, peer(OTHER))
    assert not read
    longer = Peer((*BAD.chain, LEAF.der))
    assert revoked(statuses, longer)
    assert len(read) == 4
    third = root("Third")
    for chain in (FULL, peer(third.leaf().certificate, third.certificate)):
        revoked(statuses, chain)
    assert len(statuses._paths) == 2


def test_an_issuer_is_who_has_signed() -> None:
    """A chain is what a peer sends; somebody of the same name is not whom the responder is asked for."""
    impostor = ROOT.sub("Sub", responder="http://elsewhere.example/")
    responder = Responder()
    assert revoked(status(responder), peer(OTHER, impostor.certificate, SUB.certificate, ROOT.certificate))
    assert responder.asked == [OTHER.serial]


@pytest.mark.parametrize(
    ("rule", "answers", "expected"),
    [
        (WhenUnknown.REFUSE, {}, None),
        (WhenUnknown.ACCEPT, {}, False),
        (WhenUnknown.ACCEPT, {LEAF.serial: SUB.ocsp(LEAF, UNKNOWN)}, True),
        (WhenUnknown.ACCEPT, {LEAF.serial: SUB.ocsp(LEAF, REVOKED)}, True),
        (WhenUnknown.REFUSE, {**ANSWERS, LEAF.serial: b"rubbish"}, None),
        (WhenUnknown.REFUSE, ANSWERS, False),
    ],
)
@pytest.mark.requirement("A00.FR.705", "1.6-A00.FR.704")
def test_when_nobody_can_say(
    rule: WhenUnknown, answers: dict[int, bytes], expected: bool | None, caplog: pytest.LogCaptureFixture
) -> None:
    statuses = status(Responder(dict(answers)), StatusPolicy(when_unknown=rule))
    if expected is None:
        with pytest.raises(CertificateError) as caught:
            revoked(statuses, FULL)
        assert caught.value.fault is Fault.STATUS_UNKNOWN
        assert URL in str(caught.value) or "no answer" in str(caught.value)
        return
    assert revoked(statuses, FULL) is expected
    assert (len(caplog.records) == 0) is (answers is ANSWERS)


def test_an_issuer_that_cannot_be_read_is_none() -> None:
    assert revoked(status(Responder()), Peer((OTHER.der, b"rubbish", SUB.certificate.der)))


def test_a_certificate_that_cannot_be_read_is_unknown() -> None:
    with pytest.raises(CertificateError) as caught:
        revoked(status(Responder()), Peer((b"rubbish",)))
    assert caught.value.fault is Fault.STATUS_UNKNOWN


def test_patience_has_an_end() -> None:
    urls = [f"http://{number}.example/" for number in range(3)]
    leaf = SUB.leaf(responder=urls[0], crl=urls[1]).certificate
    responder = Responder({}, takes=60.0)
    policy = StatusPolicy(timeout=4.0, patience=6.0, when_unknown=WhenUnknown.ACCEPT, lists=False)
    assert not revoked(status(responder, policy), peer(leaf, SUB.certificate, ROOT.certificate))
    assert responder.timeouts == [4.0, 2.0]
    assert responder.now == 6.0
    policy = StatusPolicy(timeout=6.0, patience=6.0)
    with pytest.raises(CertificateError, match="there was no time left"):
        revoked(status(Responder({}, takes=60.0), policy), peer(leaf, SUB.certificate, ROOT.certificate))


def test_the_operators_lists_are_looked_at_as_they_are_now() -> None:
    lists: Sequence[bytes] = []
    leaf = SUB.leaf().certificate
    chain = peer(leaf, SUB.certificate)
    responder = Responder()
    statuses = status(responder, lists=lambda: [parse_crl(der) for der in lists])
    assert not revoked(statuses, chain)
    lists = [SUB.crl(leaf)]
    assert revoked(statuses, chain)
    lists = [SUB.crl()]
    assert not revoked(statuses, chain)
    lists = [ROOT.crl()]
    with pytest.raises(CertificateError, match="no list at hand says anything"):
        revoked(statuses, chain)
    assert not responder.asked


def test_threads_may_ask_at_once() -> None:
    leaves = [SUB.leaf(f"{number}", responder=URL).certificate for number in range(8)]
    answers = {
        leaf.serial: SUB.ocsp(leaf, REVOKED if number % 2 else GOOD) for number, leaf in enumerate(leaves)
    }
    statuses = status(Responder({**ANSWERS, **answers}))
    with ThreadPoolExecutor(4) as pool:
        chains = [peer(leaf, SUB.certificate, ROOT.certificate) for leaf in leaves]
        for _ in range(2):
            assert list(pool.map(lambda chain: revoked(statuses, chain), chains)) == [False, True] * 4


def test_the_clocks_are_the_systems_if_there_are_no_others() -> None:
    leaf = root("Now", end=datetime.max.replace(tzinfo=NOW.tzinfo, microsecond=0)).certificate
    assert not asyncio.run(OnlineStatus(Responder()).revoked(peer(leaf)))


# GetCertificateStatus


@pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
@pytest.mark.parametrize(
    ("answer", "word"),
    [(ANSWERS[LEAF.serial], "Accepted"), (b"<html>", "Failed"), (OSError("nobody"), "Failed")],
)
@pytest.mark.requirement("M06.FR.01", "M06.FR.02", "M06.FR.03", "M06.FR.04", "M06.FR.08", "M06.FR.09")
def test_a_status_is_fetched_in_one_call(version: OcppVersion, answer: bytes | OSError, word: str) -> None:
    name = hash_data(LEAF, SUB.certificate)
    request = messages.get_certificate_status(version, OcspRequestData(name, URL))
    responder = Responder({LEAF.serial: answer})
    response = asyncio.run(csms.certificate_status(request, responder, timeout=3.0))
    fields = json.loads(response.to_json())
    assert fields["status"] == word
    assert ("ocspResult" in fields) == (word == "Accepted")
    assert (responder.asked, responder.timeouts) == ([LEAF.serial], [3.0])


@pytest.mark.requirement("M06.FR.04")
def test_what_may_not_or_cannot_be_asked_is_answered_failed(caplog: pytest.LogCaptureFixture) -> None:
    responder = Responder()
    name = hash_data(LEAF, SUB.certificate)
    broken = CertificateHashData(HashAlgorithm.SHA256, "x", "y", "z")
    for data, allowed in ((name, False), (broken, True)):
        request = messages.get_certificate_status(OcppVersion.V201, OcspRequestData(data, URL + "\n"))
        call = csms.certificate_status(request, responder, allowed=lambda url, verdict=allowed: verdict)
        assert json.loads(asyncio.run(call).to_json()) == {"status": "Failed"}
    assert not responder.asked
    assert [len(record.getMessage().splitlines()) for record in caplog.records] == [1, 1]
