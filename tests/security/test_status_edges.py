"""The edges of lists, responses and files at hand: what is missing, unreadable, or there twice."""

from pathlib import Path

import pytest

from ocpp_security.errors import CertificateError, Fault
from ocpp_security.manager import CertificateManager
from ocpp_security.pki.certificate import parse_bundle
from ocpp_security.pki.hashdata import hash_data
from ocpp_security.questions import Outcome
from ocpp_security.trust import disk
from ocpp_security.trust.decisions import RemoveCa, Shelf, Status
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import TrustUse
from ocpp_security.trust.layout import Layout
from tests.security.manager_kit import CSMS_ROOT, STRANGER, V2G_ROOT, V2G_SUB, renew_v2g
from tests.security.pki_kit import DAY, NOW, pem, root


def test_text_that_is_no_text_is_malformed(manager: CertificateManager) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    lone = manager.status.take_response(hash_data(leaf, sub), "\ud800", NOW)
    assert lone == Outcome(Status.REJECTED, Fault.MALFORMED, "base64")
    assert manager.status.response(STRANGER.leaf().certificate, NOW) is None


def test_no_certificate_has_no_path(manager: CertificateManager) -> None:
    with pytest.raises(CertificateError) as caught:
        manager.status.verify_chain((), (TrustUse.CSMS,), NOW)
    assert caught.value.fault is Fault.MALFORMED


def test_contracts_come_under_v2g_roots_too_with_what_is_provisioned(
    manager: CertificateManager, tmp_path: Path
) -> None:
    contract = V2G_SUB.leaf("EMAID", responder="http://ocsp.example/contract")
    with pytest.raises(CertificateError):
        manager.status.contract_requests(pem(contract), NOW)
    (tmp_path / "ca" / "cso").mkdir(parents=True)
    (tmp_path / "ca" / "cso" / "sub.pem").write_text(pem(V2G_SUB))
    manager.reload()
    urls = [r.responder_url for r in manager.status.contract_requests(pem(contract), NOW)]
    assert urls == ["http://ocsp.example/contract", "http://ocsp.example/root"]
    with pytest.raises(CertificateError):
        manager.status.contract_requests(pem(CSMS_ROOT.leaf("EMAID")), NOW)


def test_the_newest_of_several_lists_counts(manager: CertificateManager, tmp_path: Path) -> None:
    (tmp_path / "crl").mkdir()
    for name, days in (("a", 3), ("b", 1), ("c", 2)):
        (tmp_path / "crl" / f"{name}.crl").write_bytes(V2G_ROOT.crl(begin=NOW - days * DAY))
    assert manager.status.take_crl(V2G_ROOT.crl(begin=NOW - 2 * DAY), NOW).fault is Fault.NOT_CURRENT
    assert manager.status.take_crl(V2G_ROOT.crl(begin=NOW - DAY), NOW).accepted


def test_lists_too_large_are_passed_over(manager: CertificateManager, tmp_path: Path) -> None:
    assert manager.status.take_crl(V2G_ROOT.crl(), NOW).accepted
    with (tmp_path / "crl" / "0.pem").open("wb") as file:
        file.truncate(disk.MAX_FILE_SIZE + 1)
    (tmp_path / "crl" / "1.pem").write_text("rubbish")
    assert len(manager.status.evidence().crls) == 1


def test_a_file_that_is_gone_needs_no_removal(tmp_path: Path) -> None:
    store = CertificateFiles(Layout.under(tmp_path))
    authority = root("Root")
    folder = tmp_path / "ca" / "mo"
    folder.mkdir(parents=True)
    for name in ("a.pem", "b.pem"):
        (folder / name).write_text(pem(authority))
    store.load()
    (folder / "a.pem").unlink()
    removal = RemoveCa(TrustUse.MO, Shelf.ANCHOR, authority.certificate)
    assert store.apply([removal]).trusted(TrustUse.MO) == ()


@pytest.mark.parametrize("names", [("a.pem", "b.pem"), ("b.pem", "a.pem")])
def test_of_files_with_one_leaf_the_longest_chain_counts(names: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "client" / "cso"
    folder.mkdir(parents=True)
    leaf = V2G_SUB.leaf("SECC")
    (folder / names[0]).write_text(pem(leaf))
    (folder / names[1]).write_text(pem(leaf, V2G_SUB))
    store = CertificateFiles(Layout.under(tmp_path))
    (found,) = store.load().leaves
    assert found.chain == (leaf.certificate, V2G_SUB.certificate)
    assert store.leaf_files(found) == (folder / "a.pem", folder / "b.pem")
