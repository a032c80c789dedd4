"""OCSP, revocation lists and signatures through the manager."""

import base64
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.ocsp import OCSPCertStatus

from ocpp_security.errors import CertificateError, CertificateStoreError, Fault
from ocpp_security.manager import CertificateConfig, CertificateManager
from ocpp_security.pki.certificate import parse_bundle
from ocpp_security.pki.hashdata import hash_data
from ocpp_security.questions import (
    CheckFileSignature,
    CheckSigningCertificate,
    ListOcspRequests,
    OcspRequests,
    Outcome,
    SecurityEvent,
    TakeOcspResponse,
)
from ocpp_security.trust import disk
from ocpp_security.trust.decisions import Status
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import TrustUse
from tests.security.manager_kit import (
    CSMS_ROOT,
    STRANGER,
    URL,
    V2G_ROOT,
    V2G_SUB,
    renew_v2g,
)
from tests.security.pki_kit import DAY, NOW, ec_key, pem, root, rsa_key, usage
from tests.security.test_inquiry import scoped

# Revocation.


@pytest.mark.requirement("M06.FR.06", "M06.FR.07")
def test_ocsp_of_every_v2g_chain_is_asked_and_cached(manager: CertificateManager) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    renew_v2g(manager)
    answer = manager.answer(ListOcspRequests(), NOW)
    assert isinstance(answer, OcspRequests)
    assert len(answer.requests) == 3  # two leaves, and the sub-CA once
    assert {r.responder_url for r in answer.requests} == {URL, "http://ocsp.example/root"}
    name = hash_data(leaf, sub)
    assert name in {r.hash_data for r in answer.requests}
    assert manager.status.response(leaf, NOW) is None

    response = V2G_SUB.ocsp(leaf)
    text = base64.b64encode(response).decode()
    outcome = manager.answer(TakeOcspResponse(name, text), NOW)
    assert outcome == Outcome(Status.ACCEPTED, detail="Good")
    assert manager.status.response(leaf, NOW) == response
    assert manager.status.response_base64(leaf, NOW) == text
    assert manager.status.response(leaf, NOW + 8 * DAY) is None  # too old to be stapled
    assert manager.status.response_base64(leaf, NOW + 8 * DAY) is None


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (b"", Fault.MALFORMED),
        (STRANGER.ocsp(STRANGER.leaf().certificate), Fault.WRONG_SUBJECT),
        ("*", Fault.MALFORMED),
        ("\u00e9", Fault.MALFORMED),
    ],
)
def test_a_response_that_cannot_be_believed_is_not_kept(
    manager: CertificateManager, response: bytes | str, fault: Fault
) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    text = response if isinstance(response, str) else base64.b64encode(response).decode()
    outcome = manager.status.take_response(hash_data(leaf, sub), text, NOW)
    assert (outcome.status, outcome.fault) == (Status.REJECTED, fault)
    assert manager.status.response(leaf, NOW) is None


def test_a_response_about_nothing_of_ours_is_not_kept(
    manager: CertificateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    text = base64.b64encode(V2G_SUB.ocsp(leaf)).decode()
    name = hash_data(STRANGER.certificate, STRANGER.certificate)
    assert manager.status.take_response(name, text, NOW).fault is Fault.WRONG_SUBJECT

    def full(*_: object) -> None:
        raise CertificateStoreError("full")

    monkeypatch.setattr(disk, "write", full)
    assert manager.status.take_response(hash_data(leaf, sub), text, NOW).status is Status.FAILED
    assert manager.status.take_crl(V2G_ROOT.crl(), NOW).status is Status.FAILED


def test_lists_are_kept_of_known_authorities_only(manager: CertificateManager, tmp_path: Path) -> None:
    assert manager.status.take_crl(STRANGER.crl(), NOW).fault is Fault.WRONG_SUBJECT
    assert manager.status.take_crl(b"rubbish", NOW).fault is Fault.MALFORMED
    of_some = V2G_ROOT.crl(extensions=scoped("http://crl.example/"))
    assert manager.status.take_crl(of_some, NOW).fault is Fault.WRONG_SUBJECT
    assert manager.status.take_crl(CSMS_ROOT.crl(begin=NOW + DAY), NOW).fault is Fault.NOT_CURRENT
    for begin in (NOW - 2 * DAY, NOW - DAY):
        assert manager.status.take_crl(CSMS_ROOT.crl(begin=begin), NOW).accepted
    assert len(list((tmp_path / "crl").iterdir())) == 1
    (tmp_path / "crl" / "broken.pem").write_text("rubbish")
    assert len(manager.status.evidence().crls) == 1


def test_no_old_list_takes_back_what_was_revoked_since(manager: CertificateManager, tmp_path: Path) -> None:
    """Lists are current for days: one from before a revocation is still, and may be replayed."""
    leaf = CSMS_ROOT.leaf().certificate
    old, new = CSMS_ROOT.crl(begin=NOW - 2 * DAY), CSMS_ROOT.crl(leaf, begin=NOW - DAY)
    assert manager.status.take_crl(old, NOW).accepted
    assert manager.status.take_crl(new, NOW).accepted
    replayed = manager.status.take_crl(old, NOW)
    assert (replayed.status, replayed.fault) == (Status.REJECTED, Fault.NOT_CURRENT)
    assert manager.status.take_crl(new, NOW).accepted  # the same again is no harm
    with pytest.raises(CertificateError, match="revoked"):
        manager.status.verify(pem(leaf), (TrustUse.CSMS,), NOW)
    # Neither another's list nor one of its name that it did not sign is in the way.
    assert manager.status.take_crl(V2G_ROOT.crl(begin=NOW - 3 * DAY), NOW).accepted
    forged = replace(CSMS_ROOT, key=ec_key()).crl(begin=NOW)
    (tmp_path / "crl" / "forged.der").write_bytes(forged)
    assert manager.status.take_crl(CSMS_ROOT.crl(begin=NOW - DAY / 2), NOW).accepted


@pytest.mark.requirement("M06.FR.06")
def test_no_old_response_takes_back_what_was_revoked_since(manager: CertificateManager) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    name = hash_data(leaf, sub)

    def take(status: OCSPCertStatus, begin: datetime) -> str:
        text = base64.b64encode(V2G_SUB.ocsp(leaf, status, begin=begin)).decode()
        outcome = manager.status.take_response(name, text, NOW)
        assert outcome.accepted
        return outcome.detail

    assert take(OCSPCertStatus.GOOD, NOW - 3 * DAY) == "Good"
    assert take(OCSPCertStatus.REVOKED, NOW - DAY) == "Revoked"
    assert take(OCSPCertStatus.GOOD, NOW - 2 * DAY) == "Revoked"
    with pytest.raises(CertificateError, match="revoked"):
        manager.status.verify(pem(leaf, sub), (TrustUse.V2G,), NOW)
    assert take(OCSPCertStatus.GOOD, NOW - DAY) == "Good"  # of the same moment: the last word counts
    assert manager.status.verify(pem(leaf, sub), (TrustUse.V2G,), NOW).leaf == leaf


def test_a_contract_certificate_is_checked_against_mo_and_v2g_roots(manager: CertificateManager) -> None:
    mo = root("MO")
    sub = mo.sub("MO sub", responder="http://ocsp.example/mo")
    contract = sub.leaf("EMAID", responder="http://ocsp.example/contract")
    chain = pem(contract, sub)
    with pytest.raises(ValueError, match="no path"):
        manager.status.contract_requests(chain, NOW)
    manager.roots.install(TrustUse.MO, pem(mo), NOW)
    requests = manager.status.contract_requests(chain, NOW)
    assert [r.responder_url for r in requests] == ["http://ocsp.example/contract", "http://ocsp.example/mo"]
    manager.status.take_crl(mo.crl(sub.certificate), NOW)
    with pytest.raises(ValueError, match="revoked"):
        manager.status.verify(chain, (TrustUse.MO,), NOW)


@pytest.mark.requirement("M06.FR.07")
def test_ocsp_responses_go_with_their_certificate(manager: CertificateManager, tmp_path: Path) -> None:
    first, second = (parse_bundle(renew_v2g(manager)) for _ in range(2))
    for leaf, sub in (first, second):
        text = base64.b64encode(V2G_SUB.ocsp(leaf)).decode()
        assert manager.status.take_response(hash_data(leaf, sub), text, NOW).accepted
    above = base64.b64encode(V2G_ROOT.ocsp(V2G_SUB.certificate)).decode()
    name = hash_data(V2G_SUB.certificate, V2G_ROOT.certificate)
    assert manager.status.take_response(name, above, NOW).accepted
    manager.roots.delete(hash_data(first[0], first[1]), NOW)
    left = {file.stem for file in (tmp_path / "ocsp").iterdir()}
    assert left == {second[0].fingerprint, V2G_SUB.certificate.fingerprint}  # the sub-CA is still needed
    assert manager.status.response(first[0], NOW) is None


# Signing.

MF_ROOT = root("MF")
MF_SUB = MF_ROOT.sub("MF sub")
SIGNER = MF_SUB.leaf("Firmware")
IMAGE = b"image" * 300_000


def signature(key: object, data: bytes = IMAGE) -> str:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return base64.b64encode(key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()


@pytest.mark.requirement("L01.FR.04", "L01.FR.12", "L01.FR.21", "L01.FR.22")
def test_firmware_is_checked_with_its_certificate(manager: CertificateManager, tmp_path: Path) -> None:
    manager.roots.install(TrustUse.MANUFACTURER, pem(MF_ROOT), NOW)
    file = tmp_path / "image.bin"
    file.write_bytes(IMAGE)
    chain = pem(SIGNER, MF_SUB)
    assert manager.answer(CheckSigningCertificate(chain), NOW) == Outcome(Status.ACCEPTED)
    good = CheckFileSignature(file, chain, signature(SIGNER.key))
    assert manager.answer(good, NOW) == Outcome(Status.ACCEPTED)
    forged = manager.answer(CheckFileSignature(file, chain, signature(ec_key())), NOW)
    assert isinstance(forged, Outcome)
    assert (forged.fault, forged.events) == (
        Fault.BAD_SIGNATURE,
        (SecurityEvent.INVALID_FIRMWARE_SIGNATURE,),
    )
    missing = manager.answer(CheckFileSignature(tmp_path / "none", chain, "AAAA"), NOW)
    assert isinstance(missing, Outcome)
    assert (missing.status, missing.fault) == (Status.FAILED, Fault.STORAGE_FAILED)


@pytest.mark.parametrize(
    ("chain", "fault"),
    [
        (pem(SIGNER), Fault.NO_PATH),
        (pem(CSMS_ROOT.leaf()), Fault.NO_PATH),
        (pem(MF_ROOT.leaf(end=NOW - DAY)), Fault.EXPIRED),
        (pem(MF_ROOT.leaf(usage=usage("key_encipherment"))), Fault.WRONG_USAGE),
        (pem(MF_ROOT.leaf(key=rsa_key(1024))), Fault.WEAK_KEY),
        ("", Fault.MALFORMED),
    ],
)
@pytest.mark.requirement("L01.FR.02", "L01.FR.22")
def test_who_may_not_sign_firmware(manager: CertificateManager, chain: str, fault: Fault) -> None:
    manager.roots.install(TrustUse.MANUFACTURER, pem(MF_ROOT), NOW)
    outcome = manager.signing.check_data([IMAGE], chain, "AAAA", NOW)
    assert (outcome.status, outcome.fault) == (Status.REJECTED, fault)
    assert outcome.events == (SecurityEvent.INVALID_FIRMWARE_SIGNING_CERTIFICATE,)


def test_a_status_can_be_required_of_signers(manager: CertificateManager) -> None:
    manager.roots.install(TrustUse.MANUFACTURER, pem(MF_ROOT), NOW)
    signer = pem(MF_ROOT.leaf(crl="http://crl.example/mf"))
    assert manager.signing.check_certificate(signer, NOW).accepted
    manager.config = CertificateConfig(require_status=True)
    assert manager.signing.check_certificate(signer, NOW).fault is Fault.STATUS_UNKNOWN
    manager.status.take_crl(MF_ROOT.crl(), NOW)
    assert manager.signing.check_certificate(signer, NOW).accepted


def test_a_log_is_signed_in_the_operators_hierarchy(manager: CertificateManager) -> None:
    station = CSMS_ROOT.leaf()
    assert manager.signing.check_data(
        [IMAGE], pem(station), signature(station.key), NOW, TrustUse.CSMS
    ).accepted
    forged = manager.signing.check_data([b"x"], pem(station), signature(station.key), NOW, TrustUse.CSMS)
    assert (forged.fault, forged.events) == (Fault.BAD_SIGNATURE, ())
    stranger = manager.signing.check_certificate(pem(SIGNER), NOW, TrustUse.CSMS)
    assert stranger.events == ()


def test_a_directory_that_cannot_be_read_keeps_signers_out(
    manager: CertificateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.roots.install(TrustUse.MANUFACTURER, pem(MF_ROOT), NOW)

    def fail(*_: object) -> None:
        raise CertificateStoreError("cannot read")

    monkeypatch.setattr(CertificateFiles, "load_crls", fail)
    outcome = manager.signing.check_certificate(pem(SIGNER, MF_SUB), NOW)
    assert (outcome.status, outcome.fault) == (Status.FAILED, Fault.STORAGE_FAILED)


@pytest.mark.requirement("L01.FR.04", "L01.FR.12")
def test_a_bad_signature_is_rejected_whoever_signs(manager: CertificateManager) -> None:
    manager.roots.install(TrustUse.MANUFACTURER, pem(MF_ROOT), NOW)
    operators = CSMS_ROOT.leaf()
    reported = (SecurityEvent.INVALID_FIRMWARE_SIGNATURE,)
    cases = (
        (pem(SIGNER, MF_SUB), TrustUse.MANUFACTURER, reported),
        (pem(operators), TrustUse.CSMS, ()),
    )
    for chain, trust, events in cases:
        for text, fault in ((signature(ec_key()), Fault.BAD_SIGNATURE), ("*", Fault.MALFORMED)):
            outcome = manager.signing.check_data([IMAGE], chain, text, NOW, trust)
            assert (outcome.status, outcome.fault, outcome.events) == (Status.REJECTED, fault, events)
    for chain, trust, _ in cases:  # each in its own hierarchy only
        other = TrustUse.CSMS if trust is TrustUse.MANUFACTURER else TrustUse.MANUFACTURER
        refused = manager.signing.check_certificate(chain, NOW, other)
        assert (refused.status, refused.fault) == (Status.REJECTED, Fault.NO_PATH)


@pytest.mark.requirement("L01.FR.04")
@pytest.mark.parametrize("allowed", [False, True])
def test_padding_that_the_standard_does_not_provide_for_is_accepted_if_configured(
    manager: CertificateManager, allowed: bool
) -> None:
    manager.config = CertificateConfig(accept_pkcs1=allowed)
    manager.roots.install(TrustUse.MANUFACTURER, pem(MF_ROOT), NOW)
    key = rsa_key()
    text = base64.b64encode(key.sign(IMAGE, PKCS1v15(), hashes.SHA256())).decode()
    outcome = manager.signing.check_data([IMAGE], pem(MF_ROOT.leaf(key=key)), text, NOW)
    assert outcome.status is (Status.ACCEPTED if allowed else Status.REJECTED)


def test_a_list_is_taken_from_whichever_namesake_signed_it(manager: CertificateManager) -> None:
    namesakes = [root("Namesake") for _ in range(3)]
    for authority in namesakes:
        assert manager.roots.install(TrustUse.MO, pem(authority), NOW).accepted
    for authority in namesakes:
        assert manager.status.take_crl(authority.crl(), NOW) == Outcome(Status.ACCEPTED)
    assert len(manager.status.evidence().crls) == 3
    forged = manager.status.take_crl(root("Namesake").crl(), NOW)
    assert (forged.status, forged.fault) == (Status.REJECTED, Fault.BAD_SIGNATURE)


def test_what_is_not_kept_and_why(manager: CertificateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    name = hash_data(leaf, sub)
    text = base64.b64encode(V2G_SUB.ocsp(leaf)).decode()
    spoiled = f"{text[:20]}!{text[20:]}"
    assert manager.status.take_response(name, spoiled, NOW) == Outcome(
        Status.REJECTED, Fault.MALFORMED, "base64"
    )

    def full(*_: object) -> None:
        raise CertificateStoreError("full")

    monkeypatch.setattr(disk, "write", full)
    failed = Outcome(Status.FAILED, Fault.STORAGE_FAILED, "full")
    assert manager.status.take_response(name, text, NOW) == failed
    assert manager.status.take_crl(V2G_ROOT.crl(), NOW) == failed
