"""Keys in a TPM: made, found again, made persistent, adopted, removed; beside keys that are not in it."""

import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ocpp_security.keys import (
    FileKeyStore,
    KeyAlgorithm,
    KeyExistsError,
    KeyFormatError,
    KeyNotFoundError,
    KeyUnsuitableError,
    SoftwareKey,
    disk,
    one_secret,
)
from ocpp_security.keys.tss2 import KeyFile, parse
from tests.security.keys.tls_kit import STATION, TlsKit, private_pem, shake
from tests.security.tpm.support import (
    AUTH,
    SoftwareTpm,
    loaded_objects,
    loaded_sessions,
    station,
    tpm,
    write_key,
)

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, STATION)])
HANDLES = iter(range(0x81010100, 0x81010200))


def signs(key: Any) -> bool:
    return bool(x509.load_pem_x509_csr(key.sign_csr(NAME).encode()).is_signature_valid)


@pytest.mark.requirement("A02.FR.02", "A02.FR.03", "A02.FR.05")
@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_a_key_is_found_again_and_signs_requests(
    folder: Path, chip: SoftwareTpm, store: Any, algorithm: KeyAlgorithm
) -> None:
    made = store.create("leaf", algorithm)
    with tpm.TpmConnection(chip.tcti) as _unused:
        pass
    found = tpm.TpmKeyStore(folder, store._connection).load("leaf")
    assert isinstance(found, tpm.TpmKey)
    assert made.public_octets == found.public_octets
    request = x509.load_pem_x509_csr(found.sign_csr(NAME).encode())
    assert request.is_signature_valid
    assert request.public_key() == found.public_key
    assert stat.S_IMODE((folder / "leaf.key").stat().st_mode) == 0o600


def test_a_key_survives_the_power_supply(chip: SoftwareTpm, folder: Path) -> None:
    with tpm.TpmConnection(chip.tcti) as first:
        public = tpm.TpmKeyStore(folder, first).create("leaf").public_octets
    chip.stop()
    chip.start()
    with tpm.TpmConnection(chip.tcti) as second:
        key = tpm.TpmKeyStore(folder, second).load("leaf")
        assert key.public_octets == public
        assert signs(key)


def test_the_public_key_is_known_without_the_tpm(folder: Path, store: Any) -> None:
    public = store.create("leaf").public_octets
    nowhere = tpm.TpmConnection("swtpm:host=127.0.0.1,port=1")
    assert tpm.TpmKeyStore(folder, nowhere).load("leaf").public_octets == public


def test_names_deletion_and_no_overwriting(store: Any) -> None:
    public = store.create("a").public_octets
    store.create("b")
    with pytest.raises(KeyExistsError):
        store.create("a")
    assert store.load("a").public_octets == public
    assert store.names() == ("a", "b")
    store.delete("a")
    assert store.names() == ("b",)
    with pytest.raises(KeyNotFoundError):
        store.load("a")


def test_keys_in_files_go_on_beside(folder: Path, kit: TlsKit, store: Any) -> None:
    """A station got a TPM: its old certificate's key is a file until that is renewed."""
    FileKeyStore(folder, one_secret(b"password")).create("old")
    both = tpm.TpmKeyStore(folder, store._connection, password=one_secret(b"password"))
    both.create("new")
    assert isinstance(both.load("old"), SoftwareKey)
    assert isinstance(both.load("new"), tpm.TpmKey)
    for name in both.names():
        assert shake(station(kit, both.load(name)), kit.server()).peer == STATION
    with pytest.raises(KeyFormatError):
        both.persist("old", next(HANDLES))


# Persistent keys.


def test_a_persistent_key_is_used_without_loading_it(folder: Path, connection: Any, store: Any) -> None:
    handle = next(HANDLES)
    public = store.create("leaf").public_octets
    key = store.persist("leaf", handle)
    connection.close()
    for found in (key, store.load("leaf")):
        assert found.public_octets == public
        assert signs(found)
    assert loaded_objects(connection) == 0
    with pytest.raises(KeyFormatError, match="already"):
        store.persist("leaf", next(HANDLES))


def test_power_loss_between_the_handle_and_the_file(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is behind the handle, and its file does not say so: the handle is not lost to everybody."""
    handle = next(HANDLES)
    public = store.create("leaf").public_octets
    with monkeypatch.context() as patch:

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(disk, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            store.persist("leaf", handle)
    assert signs(store.load("leaf"))
    assert store.persist("leaf", handle).public_octets == public
    store.delete("leaf")
    with pytest.raises(tpm.TpmHandleError):
        store.adopt("again", handle)


def test_a_key_that_cannot_leave_the_tpm_now_can_later(folder: Path) -> None:
    """Without its file nobody could remove it any more, and the TPM would fill up with such keys."""
    handle = next(HANDLES)
    with SoftwareTpm() as chip, tpm.TpmConnection(chip.tcti) as connection:
        store = tpm.TpmKeyStore(folder, connection)
        store.create("leaf")
        store.persist("leaf", handle)
        chip.stop()
        with pytest.raises(tpm.TpmLostError):
            store.delete("leaf")
        assert store.load("leaf").public_octets
        chip.start()
        store.delete("leaf")
        with pytest.raises(tpm.TpmHandleError):
            store.adopt("again", handle)


def test_a_deleted_key_leaves_the_tpm(folder: Path, store: Any) -> None:
    handle = next(HANDLES)
    store.create("leaf")
    key = store.persist("leaf", handle)
    assert signs(key)
    store.delete("leaf")
    assert list(folder.iterdir()) == []
    with pytest.raises(tpm.TpmHandleError):
        store.adopt("again", handle)
    with pytest.raises(tpm.TpmHandleError):
        key.sign_csr(NAME)


def test_a_handle_that_is_another_keys_now(store: Any) -> None:
    """The blob beside the handle is what counts; and the other key is not removed with ours."""
    handle = next(HANDLES)
    mine = store.create("mine").public_octets
    store.persist("mine", handle)
    other = store.create("other").public_octets
    store.delete("mine")
    store.persist("other", handle)
    wrapped = store.create("mine")
    file = store.path("mine")
    file.write_bytes(KeyFile(handle, parse(file.read_bytes()).wrapped).encode())
    found = store.load("mine")
    assert found.public_octets == wrapped.public_octets != mine
    assert signs(found)
    store.delete("mine")
    assert store.load("other").public_octets == other
    assert signs(store.load("other"))


def test_a_taken_handle(store: Any) -> None:
    handle = next(HANDLES)
    for name in ("one", "two"):
        store.create(name)
    store.persist("one", handle)
    with pytest.raises(tpm.TpmHandleError):
        store.persist("two", handle)
    assert signs(store.load("two"))
    with pytest.raises(KeyFormatError, match="no persistent handle"):
        store.persist("two", 0x01000000)


def test_a_key_from_the_factory_is_adopted_and_stays(folder: Path, kit: TlsKit, store: Any) -> None:
    handle = next(HANDLES)
    public = store.create("made").public_octets
    store.persist("made", handle)
    key = store.adopt("factory", handle)
    assert key.public_octets == store.load("factory").public_octets == public
    assert shake(station(kit, key), kit.server()).peer == STATION
    store.delete("factory")
    assert signs(store.load("made"))


def test_a_storage_key_is_not_one_to_sign_with(chip: SoftwareTpm, folder: Path) -> None:
    """A storage root key, made persistent as provisioning tools do, is a parent and nothing else."""
    from tpm2_pytss import ESYS_TR, TPM2B_PUBLIC, TPM2B_SENSITIVE_CREATE

    handle = next(HANDLES)

    def provision(esapi: Any) -> None:
        public = TPM2B_PUBLIC.parse(
            "ecc256:aes128cfb",
            objectAttributes="fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt",
        )
        made, *_ = esapi.create_primary(TPM2B_SENSITIVE_CREATE(), public, ESYS_TR.OWNER)
        with made:
            esapi.tr_close(esapi.evict_control(ESYS_TR.OWNER, made, handle))

    with tpm.TpmConnection(chip.tcti, parent=handle) as connection:
        connection.run("provisioning", provision)
        store = tpm.TpmKeyStore(folder, connection)
        with pytest.raises(KeyUnsuitableError, match="signing"):
            store.adopt("root", handle)
        key = store.create("leaf")
        assert parse((folder / "leaf.key").read_bytes()).wrapped.parent == handle  # type: ignore[union-attr]
        assert signs(key)
        assert signs(store.load("leaf"))


# Authorisation values.


@pytest.mark.parametrize("persistent", [False, True])
def test_a_key_with_an_authorisation_value(folder: Path, connection: Any, persistent: bool) -> None:
    store = tpm.TpmKeyStore(folder, connection, auth=one_secret(AUTH))
    key = store.create("leaf")
    if persistent:
        key = store.persist("leaf", next(HANDLES))
    assert signs(key)
    assert AUTH not in (folder / "leaf.key").read_bytes()
    for wrong in ({"auth": one_secret(b"wrong")}, {}):
        with pytest.raises(tpm.TpmAuthError):
            tpm.TpmKeyStore(folder, connection, **wrong).load("leaf").sign_csr(NAME)
    assert signs(store.load("leaf"))
    store.delete("leaf")


def test_an_authorisation_value_is_proved_and_not_sent(
    folder: Path, kit: TlsKit, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every use goes by a session of its own, which is gone afterwards, also after a wrong value."""
    from tpm2_pytss import ESYS_TR

    used: list[Any] = []

    def noting(real: Any) -> Any:
        def spy(*given: Any, **named: Any) -> Any:
            used.append(named["session1"])
            return real(*given, **named)

        return spy

    store = tpm.TpmKeyStore(folder, connection, auth=one_secret(AUTH))
    for algorithm in (KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048):
        key = store.create(algorithm.name, algorithm)
        assert signs(key)
        context = station(kit, key)
        for _ in range(5):
            assert shake(context, kit.server()).peer == STATION
        wrong = tpm.TpmKeyStore(folder, connection, auth=one_secret(b"wrong")).load(key.name)
        for _ in range(5):
            with pytest.raises(tpm.TpmAuthError):
                wrong.sign_csr(NAME)
        store.persist(key.name, handle := next(HANDLES))
        assert signs(store.load(key.name))
        assert loaded_sessions(connection) == 0
        used.clear()
        for name in ("sign", "rsa_decrypt"):
            monkeypatch.setattr(connection._esapi, name, noting(getattr(connection._esapi, name)))
        assert signs(store.load(key.name))
        station(kit, store.load(key.name))
        assert len(used) == 2
        assert ESYS_TR.PASSWORD not in used
        monkeypatch.undo()
        store.delete(key.name)
        with pytest.raises(tpm.TpmHandleError):
            store.adopt("gone", handle)


@pytest.mark.parametrize("value", [b"", b"x" * 33])
def test_an_authorisation_value_that_no_tpm_takes(folder: Path, connection: Any, value: bytes) -> None:
    store = tpm.TpmKeyStore(folder, connection, auth=one_secret(value))
    with pytest.raises(tpm.TpmAuthError, match="1 to 32"):
        store.create("leaf")
    assert store.names() == ()


def test_the_owner_has_an_authorisation_value(folder: Path) -> None:
    from tpm2_pytss import ESYS_TR

    from ocpp_security.keys import Secret

    with SoftwareTpm() as chip:
        with tpm.TpmConnection(chip.tcti) as connection:
            connection.run("owning", lambda esapi: esapi.hierarchy_change_auth(ESYS_TR.OWNER, AUTH))
        with tpm.TpmConnection(chip.tcti, owner_auth=Secret(AUTH)) as connection:
            assert signs(tpm.TpmKeyStore(folder, connection).create("leaf"))
        with (
            tpm.TpmConnection(chip.tcti, owner_auth=Secret(b"wrong")) as connection,
            pytest.raises(tpm.TpmAuthError),
        ):
            tpm.TpmKeyStore(folder, connection).create("other")


# Files that are not ours.


def test_keys_of_other_programs(folder: Path, connection: Any, store: Any) -> None:
    """What tpm2-pytss, tpm2-openssl and the tss2 engine write is read; a public key alone is not enough."""
    from tpm2_pytss.tsskey import TSSPrivKey

    made = connection.run("making", lambda esapi: TSSPrivKey.create_ecc(esapi))
    write_key(folder, "foreign", b"; comment\n" + made.to_pem().replace(b"\n", b"\r\n"))
    key = store.load("foreign")
    assert isinstance(key.public_key, ec.EllipticCurvePublicKey)
    assert signs(key)
    assert TSSPrivKey.from_pem(store.path(store.create("ours").name).read_bytes()).parent == 0x40000001


@pytest.mark.parametrize(
    ("public", "private"),
    [(b"", b""), (b"\0\0", b"\0\0"), (b"\0\4abcd", b"\0\4abcd"), (b"\xff" * 60, b"\xff" * 60)],
)
def test_blobs_that_are_none(folder: Path, store: Any, public: bytes, private: bytes) -> None:
    from ocpp_security.keys.tss2 import OWNER, WrappedKey

    write_key(folder, "bad", KeyFile(None, WrappedKey(OWNER, True, public, private)).encode())
    with pytest.raises((KeyFormatError, KeyUnsuitableError)):
        store.load("bad")


def test_a_private_part_that_is_none(folder: Path, store: Any) -> None:
    from dataclasses import replace

    wrapped = parse((store.create("leaf") and store.path("leaf")).read_bytes()).wrapped
    assert wrapped is not None
    for number, private in enumerate((b"", b"\0\4abcd", b"\xff\xff")):
        write_key(folder, f"bad{number}", KeyFile(None, replace(wrapped, private=private)).encode())
        with pytest.raises(tpm.TpmForeignKeyError):
            store.load(f"bad{number}").sign_csr(NAME)


def test_a_key_in_a_file_is_no_tpm_key(folder: Path, store: Any) -> None:
    write_key(folder, "plain", private_pem(ec.generate_private_key(ec.SECP256R1())))
    assert isinstance(store.load("plain"), SoftwareKey)
