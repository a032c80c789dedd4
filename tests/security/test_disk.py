"""The certificate directory against power loss, hostile neighbours and whatever may lie in it."""

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ocpp_security.errors import CertificateStoreError
from ocpp_security.keys import FileKeyStore
from ocpp_security.pki.certificate import parse_bundle
from ocpp_security.pki.crl import MAX_CRL_SIZE
from ocpp_security.trust import disk, files, links
from ocpp_security.trust.decisions import Change, PutCa, PutLeaf, RemoveCa, Shelf
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import Leaf, LeafUse, TrustUse
from ocpp_security.trust.layout import Layout
from tests.security.disk_kit import Journal, journal_of
from tests.security.pki_kit import DAY, NOW, Authority, ec_key, pem, root

CSMS = TrustUse.CSMS
KEY = ec_key()
ROOT, OTHER = root("Root", KEY), root("Other", KEY)
LEAF, LEAF20 = (Leaf(use, (ROOT.leaf(key=KEY).certificate,)) for use in (LeafUse.V2G, LeafUse.V2G20))


def put(authority: Authority) -> Change:
    return PutCa(CSMS, Shelf.ANCHOR, authority.certificate)


def remove(authority: Authority) -> Change:
    return RemoveCa(CSMS, Shelf.ANCHOR, authority.certificate)


# Durability: what reaches the disk, and in which order.


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    del tmp_path  # made before
    return journal_of(monkeypatch)


def test_a_file_is_durable_before_it_gets_its_name_and_its_name_after(
    journal: Journal, tmp_path: Path
) -> None:
    disk.write(tmp_path / "a" / "b" / "file", b"1")
    assert journal == [
        ("mkdir", "a"),
        ("fsync", tmp_path.name),
        ("mkdir", "b"),
        ("fsync", "a"),
        ("unlink", "file.tmp"),
        ("fsync", "file.tmp"),
        ("replace", "file"),
        ("fsync", "b"),
    ]
    journal.clear()
    disk.write(tmp_path / "a" / "b" / "file", b"2")
    assert journal == [
        ("unlink", "file.tmp"),
        ("fsync", "file.tmp"),
        ("replace", "file"),
        ("fsync", "b"),
    ]
    journal.clear()
    disk.remove(tmp_path / "a" / "b" / "file")
    assert journal == [("unlink", "file"), ("fsync", "b")]


def test_octets_are_handed_to_the_system_before_they_are_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    real = os.fsync

    def look(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    disk.write(tmp_path / "file", b"x" * 1000)
    assert sizes[0] == 1000


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    def opened() -> set[str]:
        return set(os.listdir("/proc/self/fd"))

    before = opened()
    disk.write(tmp_path / "folder" / "file", b"1")
    disk.read(tmp_path / "folder" / "file")
    disk.remove(tmp_path / "folder" / "file")
    assert opened() == before


def test_a_link_is_durable_when_all_that_it_leads_to_is(journal: Journal, tmp_path: Path) -> None:
    links.point(tmp_path / "current", LEAF, tmp_path / "key")
    folder = f".current-{LEAF.certificate.fingerprint[:16]}"
    last = journal[-8:]
    assert last == [
        ("unlink", "key.pem.tmp"),
        ("symlink_to", "key.pem.tmp"),
        ("replace", "key.pem"),
        ("fsync", folder),
        ("unlink", "current.tmp"),
        ("symlink_to", "current.tmp"),
        ("replace", "current"),
        ("fsync", tmp_path.name),
    ]
    assert journal.index(("replace", "leaf.pem")) < journal.index(("replace", "chain.pem")) < len(journal) - 8


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(5, os.strerror(5))

    for name in ("replace", "mkdir", "unlink"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, fail)
            with pytest.raises(CertificateStoreError, match=r"cannot write .+: Input/output error"):
                disk.write(tmp_path / ("folder/file" if name == "mkdir" else "file"), b"new")
        assert list(tmp_path.iterdir()) == []


def test_removing_from_a_directory_that_is_not_there(tmp_path: Path) -> None:
    disk.remove(tmp_path / "nothing" / "file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CertificateStoreError, match="cannot remove"):
        disk.remove(tmp_path / "folder")


# Names that lead elsewhere.


def test_what_lies_under_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "file.pem.tmp").symlink_to(victim)
    disk.write(tmp_path / "file.pem", b"new")
    assert victim.read_text() == "precious"
    assert (tmp_path / "file.pem").read_bytes() == b"new"
    assert not (tmp_path / "file.pem").is_symlink()


def test_links_that_lead_nowhere_hide_nothing(tmp_path: Path) -> None:
    store = CertificateFiles(Layout.under(tmp_path))
    store.apply([put(ROOT)])
    folder = tmp_path / "ca" / "csms"
    (folder / "a.pem").symlink_to("a.pem")
    (folder / "b.pem").symlink_to("nothing")
    (folder / "c.pem").mkdir()
    os.mkfifo(folder / "d.pem")
    (folder / "e.pem").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text(pem(OTHER))
    assert set(store.load().trusted(CSMS)) == {ROOT.certificate, OTHER.certificate}


def test_the_names_of_links_may_begin_alike(tmp_path: Path) -> None:
    """What belongs to one link is not taken for what another left behind."""
    for name in ("secc", "secc-20", "s*", "s[e]cc"):
        links.point(tmp_path / name, LEAF20, None)
    for leaf in (LEAF, LEAF20):
        for name in ("secc", "s*", "s[e]cc"):
            links.point(tmp_path / name, leaf, None)
            assert parse_bundle((tmp_path / name / "leaf.pem").read_bytes()) == leaf.chain
        assert parse_bundle((tmp_path / "secc-20" / "leaf.pem").read_bytes()) == LEAF20.chain
    assert len([path for path in tmp_path.iterdir() if not path.is_symlink()]) == 4


def test_what_stands_in_the_place_of_a_link_stays(tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.mkdir()
    with pytest.raises(CertificateStoreError, match="cannot link"):
        links.point(link, LEAF, None)
    links.remove(link)
    assert link.is_dir()
    assert not link.is_symlink()


def test_a_link_whose_folder_was_lost_is_made_anew(tmp_path: Path) -> None:
    link = tmp_path / "current"
    key = tmp_path / "one.key"
    links.point(link, LEAF, key)
    shutil.rmtree(link.resolve())
    links.point(link, LEAF, key)
    assert parse_bundle((link / "chain.pem").read_bytes()) == LEAF.chain
    assert (link / "key.pem").readlink() == key


def test_a_link_that_leads_where_it_should_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "current"
    monkeypatch.chdir(tmp_path)
    links.point(link, LEAF, Path("one.key"))
    assert (link / "key.pem").readlink() == tmp_path / "one.key"  # wherever it is followed from
    before = [(path.lstat().st_ino, path.lstat().st_ctime_ns) for path in (link, link / "leaf.pem")]
    links.point(link, LEAF, Path("one.key"))
    after = [(path.lstat().st_ino, path.lstat().st_ctime_ns) for path in (link, link / "leaf.pem")]
    assert after == before


def test_what_cannot_be_cleared_away_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "current"
    links.point(link, LEAF, None)

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, os.strerror(5))

    for owner, operation, leaf in ((os, "rmdir", LEAF20), (Path, "glob", LEAF)):
        monkeypatch.setattr(owner, operation, fail)
        links.point(link, leaf, None)
        assert parse_bundle((link / "leaf.pem").read_bytes()) == leaf.chain


def test_what_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.pem", "a.PEM", "c.txt", "pem"):
        (tmp_path / name).write_text(name)
    suffixes = frozenset({".pem"})
    assert [path.name for path in disk.files(tmp_path, suffixes)] == ["a.PEM", "b.pem"]
    assert disk.files(tmp_path / "c.txt", suffixes) == [tmp_path / "c.txt"]  # a file that was named
    assert disk.files(tmp_path / "nothing", suffixes) == []
    assert disk.read(tmp_path / "pem") == b"pem"
    assert disk.read(tmp_path / "pem" / "nothing") is None
    monkeypatch.setattr(disk, "MAX_FILES", 1)
    assert [path.name for path in disk.files(tmp_path, suffixes)] == ["a.PEM"]


def test_nobody_else_may_change_what_is_trusted_whatever_the_umask(tmp_path: Path) -> None:
    """Small systems start their daemons with an umask of 0: a root that anybody may replace is none."""
    before = os.umask(0)
    try:
        store = CertificateFiles(Layout.under(tmp_path / "certs"))
        store.apply([put(ROOT), PutLeaf(LEAF)])
        store.write_verify_file(CSMS, (ROOT.certificate,))
        links.point(tmp_path / "links" / "current", LEAF, None)
        FileKeyStore(tmp_path / "secrets" / "keys").create("one")
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*") if not path.is_symlink()]
    assert len(made) > 12
    assert [path for path in made if path.stat().st_mode & 0o022] == []


# What cannot be read, or looked at.


def test_one_file_that_cannot_be_read_disables_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CertificateFiles(Layout.under(tmp_path))
    store.apply([put(ROOT), put(OTHER), PutLeaf(LEAF)])
    broken = store.layout.ca[CSMS] / f"INSTALLED_{ROOT.certificate.fingerprint[:16]}.pem"
    real = Path.open

    def opened(path: Path, *arguments: str) -> object:
        if path == broken:
            raise OSError(5, os.strerror(5))
        return real(path, *arguments)

    monkeypatch.setattr(Path, "open", opened)
    found = store.load()
    assert found.trusted(CSMS) == (OTHER.certificate,)
    assert found.leaves == (LEAF,)
    assert store.problems == (f"cannot read {broken}: Input/output error",)


@pytest.mark.parametrize("name", ["is_file", "exists", "is_dir"])
def test_what_cannot_be_looked_at_is_a_named_failure(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory above that may not be searched: pathlib raises where it would say no."""
    bundle = tmp_path / "roots.pem"
    for place in (tmp_path / "folder", bundle):
        store = CertificateFiles(replace(Layout.under(tmp_path), ca={CSMS: place}))
        store.apply([put(ROOT)])
        with monkeypatch.context() as patch:

            def refuse(path: Path) -> bool:
                raise PermissionError(13, os.strerror(13), str(path))

            patch.setattr(Path, name, refuse)
            for step in (store.load, lambda store=store: store.apply([put(OTHER)])):
                with suppress(CertificateStoreError):
                    step()


# What files hold.


def test_a_chain_in_another_order_than_tls_wants_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "client" / "cso"
    folder.mkdir(parents=True)
    (folder / "sub.pem").write_text(pem(ROOT, OTHER))
    (folder / "wrong.pem").write_text(pem(ROOT, LEAF.certificate))
    store = CertificateFiles(Layout.under(tmp_path))
    assert store.load().leaves == ()
    assert store.problems == (f"{folder}/wrong.pem: the station's certificate is not the first in its chain",)


def test_a_certificate_beside_its_key_in_one_file_counts(tmp_path: Path) -> None:
    key = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    folder = tmp_path / "client" / "cso"
    folder.mkdir(parents=True)
    (folder / "both.pem").write_text(key + pem(LEAF.certificate))
    (folder / "key.pem").write_text(key)
    store = CertificateFiles(Layout.under(tmp_path))
    assert store.load().leaves == (LEAF,)
    assert store.problems == ()


def test_what_was_installed_is_trusted_though_others_have_a_copy(tmp_path: Path) -> None:
    """A root that another root signed looks like a sub-CA; that it was installed says what it is."""
    store = CertificateFiles(Layout.under(tmp_path))
    signed = ROOT.sub("New root")
    (tmp_path / "ca" / "csms").mkdir(parents=True)
    for name in ("A.pem", "Z.pem"):
        (tmp_path / "ca" / "csms" / name).write_text(pem(signed))
    inventory = store.load()
    assert (inventory.trusted(CSMS), inventory.intermediates) == ((), (signed.certificate,))
    assert store.apply([put(signed)]).trusted(CSMS) == (signed.certificate,)
    assert store.apply([remove(signed)]).trusted(CSMS) == ()
    assert list((tmp_path / "ca" / "csms").iterdir()) == []  # every copy


def test_the_file_that_is_to_blame_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca" / "csms").mkdir(parents=True)
    for name in ("A.pem", "B.pem"):
        (tmp_path / "ca" / "csms" / name).write_text(pem(LEAF.certificate))
    store = CertificateFiles(Layout.under(tmp_path))
    store.load()
    assert store.problems == (f"{tmp_path / 'ca' / 'csms' / 'A.pem'}: not a CA certificate",)


# Bounds.


def test_what_would_not_be_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "MAX_FILE_SIZE", 100)
    path = tmp_path / "file"
    disk.write(path, b"x" * 100)
    assert disk.read(path) == b"x" * 100
    with pytest.raises(CertificateStoreError, match="would not be read"):
        disk.write(path, b"x" * 101)
    assert disk.read(path) == b"x" * 100
    path.write_bytes(b"x" * 101)
    assert disk.read(path) is None


def test_the_longest_list_fits_in_a_file() -> None:
    in_pem = MAX_CRL_SIZE * 4 / 3 * 65 / 64 + 100
    assert in_pem < disk.MAX_FILE_SIZE


def test_a_full_directory_takes_no_file_that_would_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "MAX_FILES", 3)
    store = CertificateFiles(Layout.under(tmp_path))
    roots = [root(f"Root {number}", KEY) for number in range(4)]
    store.apply(map(put, roots[:3]))
    (tmp_path / "ca" / "csms" / "0.txt").write_text("not counted")
    with pytest.raises(CertificateStoreError, match="there are 3 files"):
        store.apply([put(roots[3])])
    assert set(store.load().trusted(CSMS)) == {authority.certificate for authority in roots[:3]}
    store.apply([put(roots[2])])  # which is there already
    store.apply([remove(roots[0]), put(roots[3])])
    leaves = [
        Leaf(LeafUse.V2G, (ROOT.leaf(key=KEY, begin=NOW - days * DAY).certificate,)) for days in range(4)
    ]
    store.apply(map(PutLeaf, leaves[:3]))
    with pytest.raises(CertificateStoreError, match="there are 3 files"):
        store.apply([PutLeaf(leaves[3])])
    assert set(store.load().leaves) == set(leaves[:3])


# Bundles.


def bundled(tmp_path: Path, content: str | None, name: str = "csms.pem") -> tuple[CertificateFiles, Path]:
    bundle = tmp_path / name
    if content is not None:
        bundle.write_text(content)
    layout = Layout.under(tmp_path)
    return CertificateFiles(replace(layout, ca={**layout.ca, CSMS: bundle})), bundle


@pytest.mark.parametrize("content", [None, "", pem(OTHER)], ids=["missing", "empty", "one"])
def test_a_bundle_stays_a_file_whatever_comes_and_goes(content: str | None, tmp_path: Path) -> None:
    store, bundle = bundled(tmp_path, content)
    before = store.load().trusted(CSMS)
    assert set(store.apply([put(ROOT)]).trusted(CSMS)) == {*before, ROOT.certificate}
    assert bundle.is_file()
    assert store.apply([remove(ROOT), *[remove(OTHER)] * len(before)]).trusted(CSMS) == ()
    assert store.apply([put(OTHER)]).trusted(CSMS) == (OTHER.certificate,)
    assert bundle.is_file()


def test_a_bundle_may_have_any_name_and_a_directory_too(tmp_path: Path) -> None:
    store, bundle = bundled(tmp_path, pem(OTHER), "trusted")
    assert len(store.apply([put(ROOT)]).trusted(CSMS)) == 2
    assert bundle.is_file()
    store, folder = bundled(tmp_path, None, "folder.pem")
    folder.mkdir()
    assert store.apply([put(ROOT)]).trusted(CSMS) == (ROOT.certificate,)
    assert folder.is_dir()


def test_a_bundle_that_cannot_be_read_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, bundle = bundled(tmp_path, "rubbish")
    with pytest.raises(CertificateStoreError, match="cannot add"):
        store.apply([put(ROOT)])
    assert bundle.read_text() == "rubbish"
    monkeypatch.setattr(disk, "MAX_FILE_SIZE", 10)
    bundle.write_text("longer than may be")
    with pytest.raises(CertificateStoreError, match="cannot add"):
        store.apply([put(ROOT)])
    assert bundle.read_text() == "longer than may be"


def test_a_bundle_has_a_limit_that_is_not_exceeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BUNDLE", 3)
    roots = [root(f"Root {number}", KEY) for number in range(4)]
    store, bundle = bundled(tmp_path, pem(*roots[:2]))
    assert len(store.apply([put(roots[2])]).trusted(CSMS)) == 3
    with pytest.raises(CertificateStoreError, match="3 certificates"):
        store.apply([put(roots[3])])
    assert len(store.load().trusted(CSMS)) == 3
    assert len(store.apply([remove(roots[0])]).trusted(CSMS)) == 2
    bundle.write_text(pem(*roots))
    assert store.load().trusted(CSMS) == ()
    assert "too large" in store.problems[0]


def test_the_bundle_of_an_operating_system_is_read(tmp_path: Path) -> None:
    roots = [root(f"Root {number}", KEY) for number in range(150)]
    store, bundle = bundled(tmp_path, pem(*roots))
    assert len(store.load().trusted(CSMS)) == 150
    assert len(store.apply([put(ROOT), remove(roots[0])]).trusted(CSMS)) == 150
    assert len(parse_bundle(bundle.read_bytes(), 150)) == 150
