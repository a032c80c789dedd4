"""Key files against power loss and hostile neighbours: what reaches the disk, and in which order."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ocpp_security.keys import FileKeyStore, KeyFormatError, KeyNotFoundError, KeyStorageError, disk
from tests.security.disk_kit import journal_of


@pytest.mark.requirement("A02.FR.02")
def test_a_key_is_durable_before_it_gets_its_name_and_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_of(monkeypatch)
    store = FileKeyStore(tmp_path / "a" / "keys")
    assert journal == [("mkdir", "a"), ("fsync", tmp_path.name), ("mkdir", "keys"), ("fsync", "a")]
    journal.clear()
    FileKeyStore(tmp_path / "a" / "keys")
    assert journal == []
    store.create("leaf")
    written = [("unlink", ".leaf.key.new"), ("fsync", ".leaf.key.new")]
    after = [("unlink", ".leaf.key.new"), ("fsync", "keys")]
    assert journal == [*written, ("link", "leaf.key"), *after]
    journal.clear()
    disk.replace(tmp_path / "a" / "keys" / "leaf.key", b"")
    assert journal == [*written, ("replace", "leaf.key"), *after]
    journal.clear()
    store.delete("leaf")
    assert journal == [("unlink", "leaf.key"), ("fsync", "keys")]


def test_octets_are_handed_to_the_system_before_they_are_made_durable(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    real = os.fsync

    def look(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        real(descriptor)

    FileKeyStore(folder)
    monkeypatch.setattr(os, "fsync", look)
    disk.write_new(folder / "leaf.key", b"x" * 1000)
    assert sizes[0] == 1000


def test_no_descriptor_stays_open(folder: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    FileKeyStore(folder).create("leaf")
    FileKeyStore(folder).load("leaf")
    FileKeyStore(folder).delete("leaf")
    assert set(os.listdir("/proc/self/fd")) == before


def test_directories_above_are_nobodys_secret(tmp_path: Path) -> None:
    previous = os.umask(0o022)
    try:
        FileKeyStore(tmp_path / "a" / "keys")
    finally:
        os.umask(previous)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/keys")]
    assert modes == [0o755, 0o700]


def test_what_lies_under_the_temporary_name_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """Neither what is written nor who may read it is another's choice."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o644)
    store = FileKeyStore(folder)
    (folder / ".leaf.key.new").symlink_to(victim)
    store.create("leaf")
    assert victim.read_text() == "precious"
    assert not (folder / "leaf.key").is_symlink()
    assert stat.S_IMODE((folder / "leaf.key").stat().st_mode) == 0o600
    (folder / ".other.key.new").mkdir()
    with pytest.raises(KeyStorageError, match="cannot write"):
        store.create("other")


def test_what_an_interrupted_write_left_is_cleared_away_and_nothing_else(folder: Path) -> None:
    FileKeyStore(folder)
    for name in (".leaf.key.new", ".keep", "leaf.new", ".leaf.new", "a.key.new"):
        (folder / name).write_text("")
    FileKeyStore(folder)
    assert sorted(path.name for path in folder.iterdir()) == [".keep", ".leaf.new", "a.key.new", "leaf.new"]


def test_links_that_lead_nowhere_hide_nothing(folder: Path, tmp_path: Path) -> None:
    store = FileKeyStore(folder)
    store.create("leaf")
    (folder / "loop.key").symlink_to("loop.key")
    (folder / "lost.key").symlink_to("nothing")
    (folder / ".hidden.key").write_text("")
    (tmp_path / "elsewhere").write_bytes((folder / "leaf.key").read_bytes())
    (folder / "linked.key").symlink_to(tmp_path / "elsewhere")
    assert store.names() == ("leaf", "linked")
    assert store.path("lost") is None
    with pytest.raises(KeyNotFoundError):
        store.load("lost")
    assert store.load("linked").public_octets == store.load("leaf").public_octets


def test_a_file_of_the_greatest_size_is_read_whole(folder: Path) -> None:
    store = FileKeyStore(folder)
    store.create("leaf")
    text = (folder / "leaf.key").read_bytes()
    (folder / "leaf.key").write_bytes(text.ljust(64 << 10, b"\n"))
    assert store.load("leaf").name == "leaf"
    (folder / "leaf.key").write_bytes(text.ljust((64 << 10) + 1, b"\n"))
    with pytest.raises(KeyFormatError, match="too large"):
        store.load("leaf")


def test_what_is_imported_has_a_limit_that_is_met_exactly(folder: Path) -> None:
    store = FileKeyStore(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert store.import_key("fits", text.ljust(64 << 10, b"\n")).public_key == key.public_key()
    with pytest.raises(KeyFormatError, match="the data to import is too large"):
        store.import_key("long", text.ljust((64 << 10) + 1, b"\n"))
    for size, complaint in ((256 << 10, "not a PKCS#12"), ((256 << 10) + 1, "too large")):
        with pytest.raises(KeyFormatError, match=complaint):
            store.import_pkcs12("long", b"\x30" * size)
    assert store.names() == ("fits",)
