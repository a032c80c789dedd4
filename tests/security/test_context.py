"""What a change brings with it: keys, responses and links follow the certificates."""

import base64
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ocpp_security.errors import CertificateStoreError, Fault
from ocpp_security.keys import FileKeyStore, KeyNotFoundError, KeyStorageError
from ocpp_security.manager import CertificateConfig, CertificateManager
from ocpp_security.pki.certificate import parse_bundle
from ocpp_security.pki.hashdata import HashAlgorithm, hash_data
from ocpp_security.questions import ChainKind, InstallRoot, Outcome, SecurityEvent
from ocpp_security.trust import disk
from ocpp_security.trust.decisions import Status
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import LeafUse, TrustUse
from ocpp_security.trust.layout import Layout
from ocpp_security.trust.leaves import subject_name
from tests.security.manager_kit import (
    CONFIG,
    CSMS_ROOT,
    STATION,
    SUBJECT,
    V2G,
    V2G_ROOT,
    V2G_SUB,
    ask,
    listed,
    open_manager,
    renew,
    renew_v2g,
    take,
)
from tests.security.pki_kit import DAY, NOW, pem, root


def test_what_is_configured_by_default() -> None:
    assert CertificateConfig() == replace(
        CertificateConfig(),
        hash_algorithm=HashAlgorithm.SHA256,
        accept_pkcs1=False,
        require_status=False,
        links={},
    )


def test_a_link_leads_to_the_newest_certificate_that_has_its_key(tmp_path: Path) -> None:
    link = tmp_path / "current"
    config = replace(CONFIG, links={STATION: link})
    manager = open_manager(tmp_path, config)
    manager.roots.install(TrustUse.CSMS, pem(CSMS_ROOT), NOW)
    renew(manager)
    renew(manager, NOW + DAY)
    newest, older = manager.own.usable(STATION, NOW + DAY)
    assert parse_bundle((link / "leaf.pem").read_bytes()) == (newest.leaf.certificate,)
    (tmp_path / "keys" / f"{newest.key_name}.key").unlink()
    manager.update_links(NOW + DAY)
    assert parse_bundle((link / "leaf.pem").read_bytes()) == (older.leaf.certificate,)
    assert (link / "key.pem").resolve().stem == older.key_name
    key = tmp_path / "keys" / f"{older.key_name}.key"
    key.rename(tmp_path / "elsewhere")
    key.write_text("a secret that is not mounted yet")
    manager = open_manager(tmp_path, config)
    manager.update_links(NOW + DAY)
    assert parse_bundle((link / "leaf.pem").read_bytes()) == (older.leaf.certificate,)
    key.unlink()
    manager.update_links(NOW + DAY)
    assert not link.is_symlink()
    (tmp_path / "elsewhere").rename(key)
    manager.update_links(NOW + DAY)
    assert (link / "key.pem").resolve() == key


def test_without_links_no_key_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TPM that is away does not keep a root from being installed."""

    def fail(*_: object) -> None:
        raise KeyStorageError("away")

    manager = open_manager(tmp_path)
    monkeypatch.setattr(FileKeyStore, "names", fail)
    monkeypatch.setattr(FileKeyStore, "load", fail)
    assert manager.roots.install(TrustUse.CSMS, pem(CSMS_ROOT), NOW).accepted
    assert manager.roots.install(TrustUse.CSMS, pem(CSMS_ROOT), NOW).accepted


def test_each_key_is_read_once_and_no_longer_than_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a TPM each costs its time."""
    manager = open_manager(tmp_path, replace(CONFIG, links={V2G: tmp_path / "link"}))
    for use, authority in ((TrustUse.CSMS, CSMS_ROOT), (TrustUse.V2G, V2G_ROOT)):
        manager.roots.install(use, pem(authority), NOW)
    loaded = []
    real = FileKeyStore.load

    def load(store: FileKeyStore, name: str) -> object:
        loaded.append(name)
        return real(store, name)

    monkeypatch.setattr(FileKeyStore, "load", load)
    for _ in range(3):
        renew(manager)
        renew_v2g(manager)
    assert sorted(loaded) == sorted(set(loaded))
    keys = FileKeyStore(tmp_path / "keys")
    for name in keys.names():
        keys.delete(name)
    assert manager.own.usable(STATION, NOW) == ()
    # The name is another key's now.
    csr = keys.create("charging_station-1").sign_csr(subject_name(SUBJECT))
    assert take(manager, pem(CSMS_ROOT.sign_csr(csr))).accepted
    (info,) = manager.own.usable(STATION, NOW)
    assert info.key_name == "charging_station-1"
    assert loaded.count("charging_station-1") == 2


def test_a_key_that_has_gone_by_itself_is_no_obstacle(
    manager: CertificateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    real = FileKeyStore.delete

    def gone(store: FileKeyStore, name: str) -> None:
        real(store, name)
        raise KeyNotFoundError("there is no key")

    monkeypatch.setattr(FileKeyStore, "delete", gone)
    assert manager.roots.delete(hash_data(leaf, sub), NOW).accepted


def test_what_could_not_be_done_is_seen_as_the_directory_says(
    manager: CertificateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    assert len(manager.inventory.leaves) == 1

    def stuck(*_: object) -> None:
        raise KeyStorageError("Read-only file system")

    monkeypatch.setattr(FileKeyStore, "delete", stuck)
    deleted = manager.roots.delete(hash_data(leaf, sub), NOW)
    assert (deleted.status, deleted.fault) == (Status.ACCEPTED, Fault.STORAGE_FAILED)
    assert deleted.detail == "Read-only file system"
    assert not manager.inventory.leaves  # the chain is gone, its key is not

    def lost(*_: object) -> None:
        raise CertificateStoreError("cannot read")

    monkeypatch.setattr(disk, "write", lost)
    monkeypatch.setattr(CertificateFiles, "load", lost)
    failed = manager.roots.install(TrustUse.MO, pem(root("MO")), NOW)
    assert failed == Outcome(Status.FAILED, Fault.STORAGE_FAILED, "cannot read; cannot read")


def test_responses_and_keys_stay_with_what_shares_them(manager: CertificateManager, tmp_path: Path) -> None:
    """Two chains with one key and one sub-CA: with the first goes only what is its own."""
    request = ask(manager, V2G)
    leaves = [V2G_SUB.sign_csr(request.csr, responder="http://ocsp.example") for _ in range(2)]
    for leaf in leaves:
        assert take(manager, pem(leaf, V2G_SUB)).accepted
        text = base64.b64encode(V2G_SUB.ocsp(leaf)).decode()
        assert manager.status.take_response(hash_data(leaf, V2G_SUB.certificate), text, NOW).accepted
    for left, leaf in zip((1, 0), leaves, strict=True):
        assert manager.roots.delete(hash_data(leaf, V2G_SUB.certificate), NOW).accepted
        assert len(list((tmp_path / "ocsp").iterdir())) == left
        assert len(list((tmp_path / "keys").iterdir())) == left


def test_a_directory_is_only_read_again_when_it_is_said(manager: CertificateManager, tmp_path: Path) -> None:
    assert manager.own.usable(LeafUse.V2G20, NOW) == ()
    before = manager.inventory
    CertificateManager(
        CertificateFiles(Layout.under(tmp_path)), FileKeyStore(tmp_path / "keys"), CONFIG
    ).roots.install(TrustUse.MO, pem(root("MO")), NOW)
    assert manager.inventory is before
    assert manager.reload() != before


@pytest.mark.parametrize("use", [TrustUse.CSMS, TrustUse.MANUFACTURER])
def test_a_manager_installs_no_root_over_an_unsecured_connection(
    manager: CertificateManager, use: TrustUse
) -> None:
    text = pem(root("Foreign"))
    for refused in (
        manager.roots.install(use, text, NOW, secure=False),
        manager.answer(InstallRoot(use, text, secure=False), NOW),
    ):
        assert refused == Outcome(Status.REJECTED, Fault.INSECURE_CONNECTION)
    assert manager.answer(InstallRoot(use, text), NOW) == Outcome(
        Status.ACCEPTED, events=(SecurityEvent.RECONFIGURATION_OF_SECURITY_PARAMETERS,)
    )


@pytest.mark.requirement("M03.FR.05")
def test_four_sub_cas_are_listed_with_a_chain(manager: CertificateManager) -> None:
    chain = [V2G_ROOT]
    for number in range(5):
        chain.append(chain[-1].sub(f"Level {number}"))
    leaf = chain[-1].sign_csr(ask(manager, V2G).csr)
    assert take(manager, pem(leaf, *reversed(chain[1:]))).accepted
    (listing,) = listed(manager, ChainKind.V2G)
    names = [hash_data(sub.certificate, above.certificate) for above, sub in pairwise(chain)]
    assert listing.name == hash_data(leaf, chain[-1].certificate)
    assert listing.children == tuple(reversed(names))[:4]
