"""Keys in files: made, found, imported, removed; and whatever may lie in the directory."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from ocpp_security.keys import (
    FileKeyStore,
    KeyAlgorithm,
    KeyExistsError,
    KeyFormatError,
    KeyNameError,
    KeyNotFoundError,
    KeyPasswordError,
    KeyStorageError,
    KeyStoreError,
    KeyUnsuitableError,
    Secret,
    disk,
    one_secret,
)
from ocpp_security.keys.disk import MAX_KEY_SIZE
from ocpp_security.keys.files import MAX_PKCS12_SIZE, parse_key
from tests.security.keys.tls_kit import TlsKit, shake
from tests.security.pki_kit import pem, root

PASSWORD = b"correct horse"
EC = ec.generate_private_key(ec.SECP256R1())
ENCRYPTED = EC.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD))


def pem_of(key: object, password: bytes | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, form, encryption)  # type: ignore[attr-defined]


@pytest.mark.requirement("A00.FR.501", "A00.FR.502", "A00.FR.503", "A02.FR.02")
@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_a_key_is_found_again(folder: Path, algorithm: KeyAlgorithm) -> None:
    made = FileKeyStore(folder).create("leaf", algorithm)
    found = FileKeyStore(folder).load("leaf")
    assert made.name == found.name == "leaf"
    assert made.public_octets == found.public_octets
    bits = int(algorithm.split()[-1].removeprefix("P-"))
    assert found.public_key.key_size == bits


def test_only_the_owner_reads_keys(folder: Path) -> None:
    previous = os.umask(0)
    try:
        store = FileKeyStore(folder)
        store.create("leaf")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "leaf.key").stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["leaf.key"]


def test_names_are_listed_and_deleted(folder: Path) -> None:
    store = FileKeyStore(folder)
    for name in ("b", "a.2026", "C_1"):
        store.create(name)
    (folder / "README").write_text("not a key")
    (folder / "sub.key").mkdir()
    assert store.names() == ("C_1", "a.2026", "b")
    assert store.path("b") == folder / "b.key"
    store.delete("b")
    assert store.names() == ("C_1", "a.2026")
    assert store.path("b") is None
    with pytest.raises(KeyNotFoundError, match="there is no key 'b'"):
        store.load("b")
    with pytest.raises(KeyNotFoundError):
        store.delete("b")


def test_a_key_is_never_overwritten(folder: Path) -> None:
    store = FileKeyStore(folder)
    public = store.create("leaf").public_octets
    for again in (lambda: store.create("leaf"), lambda: store.import_key("leaf", pem_of(EC))):
        with pytest.raises(KeyExistsError):
            again()
    assert store.load("leaf").public_octets == public
    assert store.names() == ("leaf",)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../leaf", "a/b", "/etc/passwd", ".hidden", "-rf", "a\0b", "ä", "a" * 101, "a\n"]
)
def test_what_cannot_be_a_name(folder: Path, name: str) -> None:
    store = FileKeyStore(folder)
    for use in (store.create, store.load, store.delete, store.path):
        with pytest.raises(KeyNameError):
            use(name)


# Passwords.


def test_an_encrypted_key_needs_its_password(folder: Path) -> None:
    public = FileKeyStore(folder, one_secret(PASSWORD)).create("leaf").public_octets
    data = (folder / "leaf.key").read_bytes()
    assert data.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert FileKeyStore(folder, one_secret(PASSWORD)).load("leaf").public_octets == public
    with pytest.raises(KeyPasswordError, match="there is no password"):
        FileKeyStore(folder).load("leaf")
    with pytest.raises(KeyPasswordError, match="is wrong"):
        FileKeyStore(folder, one_secret(b"wrong")).load("leaf")


def test_a_key_without_password_is_loaded_though_there_is_one(folder: Path) -> None:
    public = FileKeyStore(folder).create("leaf").public_octets
    assert FileKeyStore(folder, one_secret(PASSWORD)).load("leaf").public_octets == public


def test_a_key_may_be_in_a_file_of_any_name(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.pem"
    path.write_bytes(pem_of(EC, PASSWORD))
    asked = []

    def password(name: str) -> Secret:
        asked.append(name)
        return Secret(PASSWORD)

    store = FileKeyStore(folder, password)
    key = store.load_file("provisioned", path)
    assert (key.name, key.public_key, asked) == ("provisioned", EC.public_key(), ["provisioned"])
    assert store.names() == ()
    with pytest.raises(KeyNotFoundError):
        store.load_file("provisioned", tmp_path / "nowhere.pem")


def test_passwords_are_asked_for_by_name(folder: Path) -> None:
    asked: list[str] = []

    def source(name: str) -> Secret:
        asked.append(name)
        return Secret(name.encode())

    store = FileKeyStore(folder, source)
    for name in ("one", "two"):
        store.create(name)
        store.load(name)
    assert asked == ["one", "one", "two", "two"]


@pytest.mark.parametrize("password", [b"", b"x" * 1024])
def test_what_is_no_password_makes_no_key(folder: Path, password: bytes) -> None:
    store = FileKeyStore(folder, one_secret(password))
    with pytest.raises(KeyPasswordError, match="1 to 1023 octets"):
        store.create("one")
    assert store.names() == ()


def test_the_longest_password(folder: Path, kit: TlsKit) -> None:
    key = FileKeyStore(folder, one_secret(b"x" * 1023)).create("one")
    context = kit.client()
    key.use_for_tls(context, kit.chain(key))
    assert shake(context, kit.server()).peer == "SN-0001"


def test_a_provisioned_key_in_der_is_said_to_be_none_for_tls(folder: Path) -> None:
    path = folder / "one.key"
    store = FileKeyStore(folder)
    path.write_bytes(FORMS["DER"]())
    with pytest.raises(KeyFormatError, match="import_key"):
        store.load("one")
    path.write_bytes(FORMS["PKCS#8"]())
    assert store.load("one").public_key == EC.public_key()


# Imports.

FORMS: dict[str, Callable[[], bytes]] = {
    "PKCS#8": lambda: pem_of(EC),
    "SEC 1": lambda: pem_of(EC, form=PrivateFormat.TraditionalOpenSSL),
    "PKCS#8, encrypted": lambda: pem_of(EC, PASSWORD),
    "SEC 1, encrypted": lambda: pem_of(EC, PASSWORD, PrivateFormat.TraditionalOpenSSL),
    "DER": lambda: EC.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    "DER, encrypted": lambda: EC.private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD)
    ),
    "text before": lambda: b"Bag Attributes\n" + pem_of(EC),
    "CRLF": lambda: pem_of(EC).replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_imported_and_kept_as_the_store_keeps_keys(folder: Path, form: str) -> None:
    store = FileKeyStore(folder, one_secret(b"of the store"))
    key = store.import_key("leaf", FORMS[form](), Secret(PASSWORD))
    assert key.public_key == store.load("leaf").public_key == EC.public_key()
    kept = load_pem_private_key((folder / "leaf.key").read_bytes(), b"of the store")
    assert isinstance(kept, ec.EllipticCurvePrivateKey)


@pytest.mark.requirement("A00.FR.501", "A00.FR.502")
@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP224R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ed25519.Ed25519PrivateKey.generate(),
        dsa.generate_private_key(1024),
    ],
    ids=lambda key: type(key).__name__,
)
def test_weak_and_strange_keys_are_refused(folder: Path, key: object) -> None:
    with pytest.raises(KeyFormatError):
        FileKeyStore(folder).import_key("leaf", pem_of(key))
    assert FileKeyStore(folder).names() == ()


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_pkcs12_brings_key_and_chain(folder: Path, kit: TlsKit, password: bytes | None) -> None:
    leaf = kit.sub_ca.leaf("SN-1", key=EC)
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    data = pkcs12.serialize_key_and_certificates(
        b"name", EC, leaf.certificate.parsed, [kit.sub_ca.certificate.parsed], encryption
    )
    store = FileKeyStore(folder)
    key, chain = store.import_pkcs12("leaf", data, None if password is None else Secret(password))
    assert chain == leaf.certificate.pem + kit.sub_ca.certificate.pem
    assert store.load("leaf").public_key == key.public_key == EC.public_key()
    if password is not None:
        for wrong in (None, Secret(b"wrong")):
            with pytest.raises(KeyPasswordError):
                store.import_pkcs12("other", data, wrong)
    with pytest.raises(KeyPasswordError, match="UTF-8"):
        store.import_pkcs12("other", data, Secret(b"\xff"))


def test_a_chain_from_pkcs12_is_in_the_order_of_tls(folder: Path, kit: TlsKit) -> None:
    """A container's is anything; servers that build no paths want each certificate before its issuer."""
    low, strange = kit.sub_ca.sub("Low"), root("Strange")
    leaf = low.leaf("SN-1", key=EC)
    above = [c.certificate.parsed for c in (kit.ca, strange, kit.sub_ca, low)]
    data = pkcs12.serialize_key_and_certificates(b"x", EC, leaf.certificate.parsed, above, NoEncryption())
    _, chain = FileKeyStore(folder).import_pkcs12("leaf", data)
    assert chain == pem(leaf, low, kit.sub_ca)
    data = pkcs12.serialize_key_and_certificates(b"x", EC, None, above, NoEncryption())
    _, chain = FileKeyStore(folder).import_pkcs12("other", data)
    assert chain == ""


def test_a_certificate_in_pkcs12_that_cannot_be_used(
    folder: Path, kit: TlsKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = kit.sub_ca.leaf("SN-1", key=EC).certificate
    data = pkcs12.serialize_key_and_certificates(b"x", EC, certificate.parsed, None, NoEncryption())
    monkeypatch.setattr("ocpp_security.pki.certificate.MAX_CERTIFICATE_SIZE", len(certificate.der) - 1)
    with pytest.raises(KeyFormatError, match="too large"):
        FileKeyStore(folder).import_pkcs12("leaf", data)
    assert FileKeyStore(folder).names() == ()


def test_pkcs12_without_key_or_too_large_or_broken(folder: Path, kit: TlsKit) -> None:
    store = FileKeyStore(folder)
    no_key = pkcs12.serialize_key_and_certificates(
        None, None, kit.ca.certificate.parsed, None, NoEncryption()
    )
    for data in (no_key, b"\x30" * (MAX_PKCS12_SIZE + 1), b"", b"\x30\x03\x02\x01\x03"):
        with pytest.raises(KeyFormatError):
            store.import_pkcs12("leaf", data)
    assert store.names() == ()


# What may lie in the directory.


@given(data=st.binary(max_size=300) | st.binary(max_size=80).map(lambda b: pem_of(EC)[:120] + b))
def test_anything_else_is_a_format_error(data: bytes) -> None:
    try:
        parse_key(data, None, "it")
    except (KeyFormatError, KeyPasswordError):
        pass
    else:
        raise AssertionError("read")


@given(at=st.integers(0, 2000), bit=st.integers(0, 7))
def test_a_damaged_key_is_a_format_error_or_a_wrong_password(at: int, bit: int) -> None:
    data = bytearray(ENCRYPTED)
    data[at % len(data)] ^= 1 << bit
    try:
        key = parse_key(bytes(data), Secret(PASSWORD), "it")
    except (KeyFormatError, KeyPasswordError):
        return
    assert key.public_key() == EC.public_key()


def test_a_file_too_large_is_no_key(folder: Path) -> None:
    store = FileKeyStore(folder)
    (folder / "big.key").write_bytes(pem_of(EC) + b" " * MAX_KEY_SIZE)
    with pytest.raises(KeyFormatError, match="too large"):
        store.load("big")


def test_a_tpm_key_is_recognised_by_its_header(folder: Path) -> None:
    store = FileKeyStore(folder)
    text = b"-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n"
    for number, data in enumerate((text, text.replace(b"\n", b"\r\n"), b"handle:0x81010001\n")):
        (folder / f"tpm{number}.key").write_bytes(data)
        with pytest.raises(KeyUnsuitableError, match="TpmKeyStore"):
            store.load(f"tpm{number}")


# Disks.


def test_the_directory_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyStorageError, match="file"):
        FileKeyStore(tmp_path / "file")


def test_a_directory_that_went_away(folder: Path) -> None:
    store = FileKeyStore(folder)
    folder.rmdir()
    for use in (store.names, lambda: store.create("leaf")):
        with pytest.raises(KeyStorageError, match=str(folder)):
            use()


def test_files_that_cannot_be_read_or_removed(folder: Path) -> None:
    store = FileKeyStore(folder)
    (folder / "sub.key").mkdir()
    for use in (store.load, store.delete):
        with pytest.raises(KeyStorageError, match="directory"):
            use("sub")


def test_a_replacement_that_fails_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FileKeyStore(folder).create("leaf")
    path = folder / "leaf.key"
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(KeyStorageError, match="Input/output error"):
            disk.replace(path, b"new")
    assert path.read_bytes() == before
    disk.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize("step", ["open", "fsync", "link"])
def test_a_key_that_could_not_be_written_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store = FileKeyStore(folder)
    store.create("old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(KeyStorageError, match="No space left"):
            store.create("new")
    assert sorted(path.name for path in folder.iterdir()) == ["old.key"]
    store.create("new")


def test_a_kill_at_every_step_leaves_a_whole_key_or_none(folder: Path) -> None:
    """What a kill leaves in the directory before each system call, and what the next start makes of it."""
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from ocpp_security.keys import FileKeyStore\n"
        "left = int(sys.argv[2])\n"
        "def count(event, _):\n"
        "    global left\n"
        "    if armed and event in ('open', 'os.link', 'os.remove', 'os.chmod'):\n"
        "        left -= 1\n"
        "        if left < 0: os._exit(9)\n"
        "armed = False\n"
        "sys.addaudithook(count)\n"
        "store = FileKeyStore(Path(sys.argv[1]))\n"
        "armed = True\n"
        "store.create('leaf')\n"
    )
    outcomes = []
    for step in range(20):
        target = folder / str(step)
        done = subprocess.run([sys.executable, "-c", program, target, str(step)], check=False)
        store = FileKeyStore(target)
        assert [path.name for path in target.iterdir()] in ([], ["leaf.key"])
        if store.names():
            store.load("leaf")
        outcomes.append((done.returncode, store.names()))
        if done.returncode == 0:
            break
    assert outcomes[0] == (9, ())
    assert outcomes[-1] == (0, ("leaf",))
    assert all(before[1] <= after[1] for before, after in pairwise(outcomes))


def test_errors_have_one_base() -> None:
    for error in (KeyNameError, KeyNotFoundError, KeyExistsError, KeyFormatError, KeyPasswordError):
        assert issubclass(error, KeyStoreError)
    assert str(KeyNotFoundError("there is no key 'x'")) == "there is no key 'x'"
