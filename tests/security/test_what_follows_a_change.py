"""A change that was made counts, whatever becomes of keys and links after it; peers learn no local path."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ocpp_core.messages import Request, v16, v21, v201
from ocpp_core.versions import OcppVersion
from ocpp_security import messages
from ocpp_security.errors import CertificateStoreError, Fault
from ocpp_security.keys import FileKeyStore, KeyStorageError
from ocpp_security.manager import CertificateManager
from ocpp_security.pki.certificate import parse_bundle
from ocpp_security.questions import (
    ChainKind,
    CheckLeaf,
    DeleteCertificate,
    InstallRoot,
    LeafState,
    Outcome,
    SecurityEvent,
    TakeSigned,
)
from ocpp_security.trust import links
from ocpp_security.trust.decisions import Status
from tests.security.manager_kit import (
    CONFIG,
    CSMS_ROOT,
    STATION,
    V2G,
    ask,
    listed,
    open_manager,
    renew,
    renew_v2g,
    take,
)
from tests.security.pki_kit import DAY, NOW, pem, root

RECONFIGURED = (SecurityEvent.RECONFIGURATION_OF_SECURITY_PARAMETERS,)


@pytest.fixture
def linked(manager: CertificateManager, tmp_path: Path) -> Path:
    """A link that something stands in the way of."""
    link = tmp_path / "current"
    link.mkdir()
    manager.config = replace(CONFIG, links={STATION: link})
    return link


@pytest.mark.requirement("A02.FR.06")
def test_a_chain_is_accepted_though_its_link_cannot_be_made(
    manager: CertificateManager, linked: Path
) -> None:
    leaf = CSMS_ROOT.sign_csr(ask(manager).csr)
    outcome = take(manager, pem(leaf))
    assert outcome == Outcome(
        Status.ACCEPTED,
        Fault.STORAGE_FAILED,
        f"cannot link {linked}: Is a directory",
        RECONFIGURED,
        STATION,
        leaf.not_before,
    )
    assert [info.leaf.certificate for info in manager.own.usable(STATION, NOW)] == [leaf]
    call = v21.CertificateSignedRequest(certificate_chain=pem(leaf))
    assert messages.response_to(call, outcome).to_json() == '{"status":"Accepted"}'


@pytest.mark.parametrize("restarted", [False, True])
def test_a_link_that_failed_is_mended_with_the_next_check(
    restarted: bool, manager: CertificateManager, linked: Path, tmp_path: Path
) -> None:
    chain = pem(CSMS_ROOT.sign_csr(ask(manager).csr))
    assert take(manager, chain).accepted
    if restarted:
        manager = open_manager(tmp_path, manager.config)
    check = manager.answer(CheckLeaf(STATION), NOW)  # it still cannot be made
    assert isinstance(check, LeafState)
    assert check.expires is not None
    with pytest.raises(CertificateStoreError, match="cannot link"):
        manager.update_links(NOW)
    linked.rmdir()
    assert manager.answer(CheckLeaf(V2G), NOW) == LeafState(V2G, None)
    assert parse_bundle((linked / "chain.pem").read_bytes()) == parse_bundle(chain)
    assert (linked / "key.pem").exists()


def test_a_check_moves_the_link_to_what_has_become_valid(manager: CertificateManager, linked: Path) -> None:
    linked.rmdir()
    renew(manager)
    manager.answer(CheckLeaf(STATION), NOW)
    assert linked.is_symlink()
    manager.answer(CheckLeaf(STATION), NOW + 4000 * DAY)  # nothing is valid any more
    assert not linked.is_symlink()


@pytest.mark.requirement("M04.FR.02")
def test_a_chain_is_deleted_though_its_key_or_its_response_stays(
    manager: CertificateManager, linked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew(manager)
    renew_v2g(manager)
    (chain,) = listed(manager, ChainKind.V2G)

    def fail(*_: object) -> None:
        raise KeyStorageError("cannot remove the key")

    monkeypatch.setattr(FileKeyStore, "delete", fail)
    outcome = manager.answer(DeleteCertificate(chain.name), NOW)
    detail = f"cannot remove the key; cannot link {linked}: Is a directory"
    assert outcome == Outcome(Status.ACCEPTED, Fault.STORAGE_FAILED, detail, RECONFIGURED)
    assert listed(manager, ChainKind.V2G) == ()
    fields = {"certificateHashData": messages.hash_data_out(chain.name)}
    call = v201.DeleteCertificateRequest.model_validate_json(json.dumps(fields))
    assert messages.response_to(call, outcome).to_json() == '{"status":"Accepted"}'


@pytest.mark.requirement("A02.FR.10", "A02.FR.29")
def test_what_was_dropped_after_connecting_is_dropped_though_the_link_fails(
    manager: CertificateManager, linked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew(manager)
    renew(manager, NOW + DAY)
    _, old = manager.own.usable(STATION, NOW + DAY)

    def fail(*_: object) -> None:
        raise CertificateStoreError("no link")

    monkeypatch.setattr(links, "point", fail)
    discarded = (SecurityEvent.DISCARDED_RENEWED_CLIENT_CERTIFICATE,)
    assert manager.own.connected(None, old.leaf.certificate, NOW + DAY) == Outcome(
        Status.ACCEPTED, Fault.STORAGE_FAILED, "no link", discarded
    )
    assert linked.exists()
    assert [info.leaf for info in manager.own.usable(STATION, NOW + DAY)] == [old.leaf]


# What a peer is told.


def made(model: type[Request], use: str, certificate: str) -> Request:
    return model.model_validate_json(json.dumps({"certificateType": use, "certificate": certificate}))


def calls(chain: str) -> list[Request]:
    mo = pem(root("MO"))
    return [
        made(v16.InstallCertificateRequest, "ManufacturerRootCertificate", mo),
        made(v201.InstallCertificateRequest, "MORootCertificate", mo),
        made(v21.InstallCertificateRequest, "MORootCertificate", mo),
        v201.CertificateSignedRequest(certificate_chain=chain),
        v21.CertificateSignedRequest(certificate_chain=chain),
    ]


@pytest.mark.requirement("M05.FR.03")
def test_no_local_path_goes_to_a_peer(manager: CertificateManager, tmp_path: Path) -> None:
    """The directory's name is in the outcome, for the local log, and in no response."""
    chain = pem(CSMS_ROOT.sign_csr(ask(manager).csr))
    for name in ("mo", "mf"):
        (tmp_path / "ca" / name).write_text("in the way")
    (tmp_path / "client").write_text("in the way")
    for call in calls(chain):
        question = messages.question_in(call)
        assert isinstance(question, InstallRoot | TakeSigned)
        outcome = manager.answer(question, NOW)
        assert isinstance(outcome, Outcome)
        assert not outcome.accepted
        assert outcome.fault is Fault.STORAGE_FAILED
        assert str(tmp_path) in outcome.detail
        told = messages.response_to(call, outcome).to_json()
        assert tmp_path.name not in told
        assert "/" not in told
        if call.VERSION is not OcppVersion.V16:
            assert '"statusInfo":{"reasonCode":"InternalError","additionalInfo":"storage failed"}' in told


def test_what_is_wrong_with_a_certificate_is_still_told(manager: CertificateManager) -> None:
    call = made(v21.InstallCertificateRequest, "MORootCertificate", pem(root("Late", end=NOW - DAY)))
    question = messages.question_in(call)
    assert question is not None
    assert "expired: CN=Late" in messages.response_to(call, manager.answer(question, NOW)).to_json()


def test_every_detail_is_told_but_what_storage_says() -> None:
    for fault in Fault:
        call = made(v201.InstallCertificateRequest, "MORootCertificate", "x")
        outcome = Outcome(Status.REJECTED, fault, "the detail")
        told = messages.response_to(call, outcome).to_json()
        assert ("the detail" in told) == (fault is not Fault.STORAGE_FAILED)
