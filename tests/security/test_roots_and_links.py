"""Roots through the manager, and the links to what is in use."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ocpp_security.errors import CertificateError, CertificateStoreError, Fault
from ocpp_security.keys import FileKeyStore, KeyAlgorithm, KeyStorageError, one_secret
from ocpp_security.manager import CertificateConfig, CertificateManager
from ocpp_security.pki.certificate import parse_bundle
from ocpp_security.pki.hashdata import HashAlgorithm, hash_data
from ocpp_security.pki.path import Path as CertificationPath
from ocpp_security.questions import (
    ChainKind,
    CheckProfile,
    DeleteCertificate,
    InstalledChain,
    InstallRoot,
    Outcome,
)
from ocpp_security.trust import disk
from ocpp_security.trust.decisions import Status, TrustPolicy
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import LeafUse, TrustUse
from ocpp_security.trust.layout import Layout
from ocpp_security.trust.leaves import LeafPolicy
from tests.security.manager_kit import (
    CONFIG,
    CSMS_ROOT,
    SECC,
    STATION,
    STRANGER,
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
from tests.security.pki_kit import CA_USAGE, DAY, NOW, Authority, Wish, build, pem, root

# Roots.


@pytest.mark.parametrize("algorithm", HashAlgorithm)
@pytest.mark.requirement("M03.FR.01", "M03.FR.02", "M03.FR.03", "M03.FR.04", "M03.FR.05")
def test_what_is_installed_is_listed(manager: CertificateManager, algorithm: HashAlgorithm) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    renew(manager)  # the station's own certificate is not listed
    manager.config = CertificateConfig(CONFIG.subjects, hash_algorithm=algorithm)
    csms = InstalledChain(TrustUse.CSMS, hash_data(CSMS_ROOT.certificate, CSMS_ROOT.certificate, algorithm))
    v2g = InstalledChain(TrustUse.V2G, hash_data(V2G_ROOT.certificate, V2G_ROOT.certificate, algorithm))
    chain = InstalledChain(
        ChainKind.V2G,
        hash_data(leaf, sub, algorithm),
        (hash_data(sub, V2G_ROOT.certificate, algorithm),),
    )
    assert listed(manager) == (csms, v2g, chain)
    assert listed(manager, TrustUse.V2G) == (v2g,)
    assert listed(manager, ChainKind.V2G, TrustUse.CSMS) == (csms, chain)
    assert listed(manager, TrustUse.MO) == ()
    for other in HashAlgorithm:  # deletion understands any algorithm
        name = hash_data(leaf, sub, other)
        if other is algorithm:
            outcome = manager.answer(DeleteCertificate(name), NOW)
            assert isinstance(outcome, Outcome)
            assert outcome.accepted
    assert listed(manager, ChainKind.V2G) == ()


@pytest.mark.requirement("M04.FR.06", "1.6-M04.FR.05")
def test_a_deleted_v2g_certificate_takes_its_key_along(manager: CertificateManager, tmp_path: Path) -> None:
    renew_v2g(manager)
    renew(manager)
    (chain,) = listed(manager, ChainKind.V2G)
    assert manager.roots.delete(chain.name, NOW).accepted
    assert [file.stem for file in (tmp_path / "keys").iterdir()] == ["charging_station-2"]
    (info,) = manager.own.usable(STATION, NOW)
    station = hash_data(info.leaf.certificate, CSMS_ROOT.certificate)
    assert manager.roots.delete(station, NOW).status is Status.FAILED


@pytest.mark.requirement("1.6-M04.FR.06", "M04.FR.03")
def test_the_root_of_the_connection_stays(manager: CertificateManager) -> None:
    other = root("Other")
    manager.roots.install(TrustUse.CSMS, pem(other), NOW)
    manager.own.connected(CSMS_ROOT.certificate, None, NOW)
    mine, others = (hash_data(r.certificate, r.certificate) for r in (CSMS_ROOT, other))
    assert manager.roots.delete(mine, NOW).fault is Fault.IN_USE
    assert manager.roots.delete(others, NOW).accepted
    assert manager.roots.delete(others, NOW).status is Status.NOT_FOUND


@pytest.mark.requirement("M05.FR.12", "M05.FR.13", "1.6-M05.FR.12")
def test_a_fallback_root_goes_when_the_new_one_has_proved_itself(tmp_path: Path) -> None:
    policy = TrustPolicy(additional_root_certificate_check=True)
    manager = open_manager(tmp_path, CertificateConfig(trust=policy))
    new = CSMS_ROOT.sub("New root")
    for authority in (CSMS_ROOT, new):
        assert manager.roots.install(TrustUse.CSMS, pem(authority), NOW).accepted
    both = (new.certificate, CSMS_ROOT.certificate)
    assert manager.roots.trusted(TrustUse.CSMS) == both
    assert parse_bundle(manager.roots.verify_file(TrustUse.CSMS).read_bytes()) == both
    manager.own.connected(CSMS_ROOT.certificate, None, NOW)
    assert manager.roots.trusted(TrustUse.CSMS) == both
    manager.own.connected(new.certificate, None, NOW)
    assert manager.roots.trusted(TrustUse.CSMS) == both[:1]
    assert manager.roots.present(TrustUse.CSMS)
    assert not manager.roots.present(TrustUse.MO)


@pytest.mark.requirement("M04.FR.03", "M05.FR.03", "1.6-M04.FR.03", "1.6-M05.FR.04")
def test_a_full_disk_is_an_answer(manager: CertificateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise CertificateStoreError("cannot write: No space left on device")

    chain = pem(CSMS_ROOT.sign_csr(ask(manager).csr))
    before = manager.inventory
    monkeypatch.setattr(disk, "write", full)
    monkeypatch.setattr(disk, "remove", full)
    root_name = hash_data(V2G_ROOT.certificate, V2G_ROOT.certificate)
    questions = [InstallRoot(TrustUse.MO, pem(root("MO"))), DeleteCertificate(root_name)]
    for question in questions:
        outcome = manager.answer(question, NOW)
        assert isinstance(outcome, Outcome)
        assert (outcome.status, outcome.fault) == (Status.FAILED, Fault.STORAGE_FAILED)
        assert "No space" in outcome.detail
    refused = take(manager, chain)
    assert (refused.status, refused.fault, refused.events) == (Status.REJECTED, Fault.STORAGE_FAILED, ())
    assert manager.inventory == before


def test_what_others_change_is_seen_after_reload(manager: CertificateManager, tmp_path: Path) -> None:
    (tmp_path / "ca" / "mf").mkdir(parents=True)
    (tmp_path / "ca" / "mf" / "root.pem").write_text(pem(STRANGER))
    assert not manager.roots.present(TrustUse.MANUFACTURER)
    assert manager.reload().trusted(TrustUse.MANUFACTURER) == (STRANGER.certificate,)


# Keys and links.


def test_links_follow_the_newest_certificate(tmp_path: Path) -> None:
    link = tmp_path / "client" / "csms" / "current"
    config = CertificateConfig(
        CONFIG.subjects,
        leaves=LeafPolicy(accept_future=True),
        links={STATION: link},
    )
    manager = open_manager(tmp_path, config)
    manager.roots.install(TrustUse.CSMS, pem(CSMS_ROOT), NOW)
    assert not link.exists()
    renew(manager)
    renew(manager, begin=NOW + DAY)  # taken now, valid tomorrow
    for at, key in ((NOW, "charging_station-1"), (NOW + DAY, "charging_station-2")):
        manager.update_links(at)
        assert (link / "key.pem").resolve().stem == key
        (info, *_) = manager.own.usable(STATION, at)
        assert parse_bundle((link / "chain.pem").read_bytes()) == info.leaf.chain
        assert info.key_path == tmp_path / "keys" / f"{key}.key"
    assert len(CertificateFiles(Layout.under(tmp_path)).load().leaves) == 2  # the link is no third


def test_a_certificate_without_its_key_is_not_usable(manager: CertificateManager, tmp_path: Path) -> None:
    renew(manager)
    locked = CertificateManager(
        CertificateFiles(Layout.under(tmp_path)), FileKeyStore(tmp_path / "others"), CONFIG
    )
    assert locked.own.usable(STATION, NOW) == ()
    (tmp_path / "keys" / "charging_station-9.key").write_text("rubbish")
    assert len(manager.own.usable(STATION, NOW)) == 1


def test_encrypted_keys_serve_as_well(tmp_path: Path) -> None:
    keys = FileKeyStore(tmp_path / "keys", one_secret(b"password"))
    manager = CertificateManager(CertificateFiles(Layout.under(tmp_path)), keys, CONFIG)
    manager.roots.install(TrustUse.CSMS, pem(CSMS_ROOT), NOW)
    renew(manager)
    assert len(manager.own.usable(STATION, NOW)) == 1


def test_links_go_when_nothing_is_left(tmp_path: Path) -> None:
    link = tmp_path / "client" / "cso" / "current"
    manager = open_manager(tmp_path, CertificateConfig(CONFIG.subjects, links={V2G: link}))
    manager.roots.install(TrustUse.V2G, pem(V2G_ROOT), NOW)
    renew_v2g(manager)
    assert parse_bundle((link / "leaf.pem").read_bytes())
    assert (link / "key.pem").resolve() == tmp_path / "keys" / "v2g-1.key"
    (chain,) = listed(manager, ChainKind.V2G)
    manager.roots.delete(chain.name, NOW)
    assert not link.is_symlink()


def test_links_do_without_a_key_that_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileKeyStore, "path", lambda *_: None)
    link = tmp_path / "client" / "csms" / "current"
    manager = open_manager(tmp_path, CertificateConfig(CONFIG.subjects, links={STATION: link}))
    manager.roots.install(TrustUse.CSMS, pem(CSMS_ROOT), NOW)
    renew(manager)
    assert parse_bundle((link / "leaf.pem").read_bytes())
    assert not (link / "key.pem").exists()


def test_provisioned_certificates_and_keys_are_usable(tmp_path: Path) -> None:
    """As they come from a station that ran libocpp: chain and key beside each other."""
    station = CSMS_ROOT.leaf()
    folder = tmp_path / "client" / "csms"
    folder.mkdir(parents=True)
    (folder / "CSMS_LEAF.pem").write_text(pem(station))
    key = station.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "CSMS_LEAF.key").write_bytes(key)
    files = CertificateFiles(Layout.under(tmp_path))
    for keys in (FileKeyStore(folder), FileKeyStore(tmp_path / "keys")):
        if "CSMS_LEAF" not in keys.names():
            keys.import_key("from_libocpp", key)
        manager = CertificateManager(files, keys, CONFIG)
        manager.roots.install(TrustUse.CSMS, pem(CSMS_ROOT), NOW)
        (info,) = manager.own.usable(STATION, NOW)
        assert info.leaf.certificate == station.certificate
        assert info.files == (folder / "CSMS_LEAF.pem",)


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
@pytest.mark.requirement("A02.FR.02", "A00.FR.501")
def test_keys_are_made_as_configured(algorithm: KeyAlgorithm, tmp_path: Path) -> None:
    manager = open_manager(tmp_path, CertificateConfig(CONFIG.subjects, key_algorithm=algorithm))
    manager.roots.install(TrustUse.CSMS, pem(CSMS_ROOT), NOW)
    renew(manager)
    (info,) = manager.own.usable(STATION, NOW)
    kind, size = algorithm.split(" ")
    assert type(info.leaf.certificate.public_key).__name__.startswith(kind[0])
    assert info.leaf.certificate.public_key.key_size == int(size.removeprefix("P-"))  # type: ignore[union-attr]


@pytest.mark.requirement("A02.FR.02", "A02.FR.23", "A02.FR.15")
def test_a_station_serves_iso_15118_2_and_20_side_by_side(tmp_path: Path) -> None:
    """Each with keys of its own kind, under roots that are its own or cross-signed."""
    manager = open_manager(tmp_path, replace(CONFIG, subjects={V2G: SECC, LeafUse.V2G20: SECC}))
    other = root("V2G 20 root")
    crossed = build(
        other.name, other.key.public_key(), V2G_ROOT.name, V2G_ROOT.key, Wish(ca=True, usage=CA_USAGE)
    )
    for certificate in (V2G_ROOT, other):
        assert manager.roots.install(TrustUse.V2G, pem(certificate), NOW).accepted
    for use, issuer, above in ((V2G, V2G_SUB, V2G_SUB.certificate), (LeafUse.V2G20, other, crossed)):
        chain = pem(issuer.sign_csr(ask(manager, use).csr), above)
        assert manager.own.take(chain, NOW, use=use).accepted
    curves = {
        use: info.leaf.certificate.public_key.key_size  # type: ignore[union-attr]
        for use in (V2G, LeafUse.V2G20)
        for info in manager.own.usable(use, NOW)
    }
    assert curves == {V2G: 256, LeafUse.V2G20: 521}
    assert manager.roots.delete(hash_data(other.certificate, other.certificate), NOW).accepted
    assert manager.own.usable(LeafUse.V2G20, NOW)[0].path.anchor == V2G_ROOT.certificate


@pytest.mark.requirement("M05.FR.12", "M05.FR.13", "M05.FR.14", "1.6-M05.FR.12", "1.6-M05.FR.13")
def test_which_root_a_connection_rests_on(tmp_path: Path) -> None:
    """The chain as TLS has it, old root included: the path ends at the new one, which is thereby proved."""
    policy = TrustPolicy(additional_root_certificate_check=True)
    manager = open_manager(tmp_path, CertificateConfig(trust=policy))
    new = CSMS_ROOT.sub("New root")
    for authority in (CSMS_ROOT, new):
        assert manager.roots.install(TrustUse.CSMS, pem(authority), NOW).accepted

    def path(*chain: Authority) -> CertificationPath:
        der = [authority.certificate.der for authority in chain]
        return manager.status.verify_chain(der, (TrustUse.CSMS,), NOW)

    under_old, under_new = CSMS_ROOT.leaf("csms", "Operator"), new.leaf("csms", "Operator")
    assert path(under_old, CSMS_ROOT).anchor == CSMS_ROOT.certificate
    proved = path(under_new, new, CSMS_ROOT).anchor
    assert proved == new.certificate
    manager.own.connected(proved, None, NOW)
    assert manager.roots.trusted(TrustUse.CSMS) == (new.certificate,)
    for chain in ((under_old, CSMS_ROOT), ()):
        with pytest.raises(CertificateError):
            path(*chain)
    assert manager.status.take_crl(new.crl(under_new.certificate), NOW).accepted
    with pytest.raises(CertificateError, match="revoked"):
        path(under_new)


@pytest.mark.requirement("A05.FR.02", "A05.FR.03", "1.6-A05.FR.03", "1.6-A05.FR.04")
def test_what_a_security_profile_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = open_manager(tmp_path)

    def faults(at: datetime = NOW) -> list[Fault | None]:
        answers = [manager.answer(CheckProfile(profile), at) for profile in range(4)]
        return [answer.fault for answer in answers if isinstance(answer, Outcome)]

    assert faults() == [None, None, Fault.NO_ANCHOR, Fault.NO_ANCHOR]
    manager.roots.install(TrustUse.CSMS, pem(CSMS_ROOT), NOW)
    assert faults() == [None, None, None, Fault.NO_CERTIFICATE]
    renew(manager)
    assert faults() == [None, None, None, None]
    assert faults(NOW + 400 * DAY) == [None, None, None, Fault.NO_CERTIFICATE]
    assert faults(NOW + 4000 * DAY) == [None, None, Fault.NO_ANCHOR, Fault.NO_ANCHOR]

    def fail(*_: object) -> None:
        raise KeyStorageError("gone")

    monkeypatch.setattr(FileKeyStore, "names", fail)
    assert faults() == [None, None, None, Fault.STORAGE_FAILED]
