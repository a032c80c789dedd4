"""Every way in which a TPM fails has a name, and is over as soon as the TPM is well again."""

import contextlib
import os
import ssl
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ocpp_security.keys import (
    ChainError,
    FileKeyStore,
    KeyAlgorithm,
    KeyFormatError,
    KeyMismatchError,
    KeyPasswordError,
    KeyStoreError,
    KeyUnsuitableError,
    SoftwareKey,
    one_secret,
)
from tests.security.keys.tls_kit import STATION, VERSIONS, TlsKit, shake
from tests.security.tpm.support import AUTH, SoftwareTpm, loaded_objects, station, tpm

SUBJECT = x509.Name([])
MODULE_ERRORS = pytest.importorskip("ocpp_security.tpm.errors", exc_type=ImportError)
Cause, cause_of, named = MODULE_ERRORS.Cause, MODULE_ERRORS.cause_of, MODULE_ERRORS.named


@pytest.mark.parametrize(
    "tcti", ["swtpm:host=127.0.0.1,port=1", "device:/dev/no-tpm", "nosuch:x", "nosuch", "swtpm:port=x"]
)
def test_the_tpm_is_absent(folder: Path, tcti: str) -> None:
    store = tpm.TpmKeyStore(folder, tpm.TpmConnection(tcti))
    with pytest.raises(tpm.TpmAbsentError, match=tcti) as raised:
        store.create("leaf")
    assert not isinstance(raised.value, tpm.TpmLostError)
    assert store.names() == ()


def test_a_device_that_cannot_be_opened_comes_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "tpmrm0"
    connection = tpm.TpmConnection(f"device:{device}")
    with pytest.raises(tpm.TpmAbsentError, match="enabled in the firmware"):
        connection.run("looking", repr)
    device.write_text("")
    with pytest.raises(tpm.TpmAbsentError, match=r"failure|error"):
        connection.run("looking", repr)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(tpm.TpmAbsentError, match=f"must be in its group .{device.group()}"):
        connection.run("looking", repr)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_the_tpm_dies_and_comes_back(folder: Path, kit: TlsKit, version: ssl.TLSVersion) -> None:
    """The station goes on with the same store, key and context; nobody has to be restarted."""
    with SoftwareTpm() as chip, tpm.TpmConnection(chip.tcti) as connection:
        key = tpm.TpmKeyStore(folder, connection).create("leaf")
        context, server = station(kit, key, version), kit.server(version)
        for _ in range(2):
            chip.stop()
            with pytest.raises(tpm.TpmLostError) as raised:
                shake(context, server)
            assert isinstance(raised.value.__cause__, ssl.SSLError)
            with pytest.raises(tpm.TpmLostError):
                key.sign_csr(SUBJECT)
            chip.start()
            assert shake(context, server).peer == STATION
            assert key.sign_csr(SUBJECT)


def test_the_tpm_is_reset_between_two_signatures(folder: Path, kit: TlsKit) -> None:
    """What was loaded is gone, and the connection is not: nobody notices."""
    with SoftwareTpm(started=False) as chip, tpm.TpmConnection(chip.tcti) as connection:
        store = tpm.TpmKeyStore(folder, connection)
        key = store.create("leaf")
        context, server = station(kit, key), kit.server()
        for _ in range(3):
            chip.reset()
            assert shake(context, server).peer == STATION
        chip.reset()
        assert store.create("other").sign_csr(SUBJECT)


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
def test_the_authorisation_value_is_missing_or_wrong(
    folder: Path, kit: TlsKit, connection: Any, algorithm: KeyAlgorithm
) -> None:
    """Found out when the context is made, before any handshake; however often, it locks nothing."""
    right = tpm.TpmKeyStore(folder, connection, auth=one_secret(AUTH)).create("leaf", algorithm)
    for stores in ({}, {"auth": one_secret(b"wrong")}):
        wrong = tpm.TpmKeyStore(folder, connection, **stores).load("leaf")
        for _ in range(4):
            with pytest.raises(tpm.TpmAuthError):
                station(kit, wrong)
            with pytest.raises(KeyPasswordError):
                wrong.sign_csr(SUBJECT)
    assert shake(station(kit, right), kit.server()).peer == STATION


def test_the_authorisation_value_goes_wrong_later(folder: Path, kit: TlsKit, connection: Any) -> None:
    values = [AUTH]
    store = tpm.TpmKeyStore(folder, connection, auth=lambda name: one_secret(values[-1])(name))
    context = station(kit, store.create("leaf"))
    values.append(b"rotated")
    with pytest.raises(tpm.TpmAuthError):
        shake(context, kit.server())
    values.append(AUTH)
    assert shake(context, kit.server()).peer == STATION


def test_the_source_of_authorisation_values_fails(folder: Path, kit: TlsKit, connection: Any) -> None:
    broken: list[BaseException] = []

    def source(name: str) -> None:
        if broken:
            raise broken[0]

    context = station(kit, tpm.TpmKeyStore(folder, connection, auth=source).create("leaf"))
    broken.append(KeyPasswordError("the vault is sealed"))
    with pytest.raises(KeyPasswordError, match="sealed"):
        shake(context, kit.server())
    broken[0] = ZeroDivisionError("a defect")
    with pytest.raises(KeyStoreError, match="ZeroDivisionError") as raised:
        shake(context, kit.server())
    assert "a defect" not in str(raised.value)
    broken.clear()
    assert shake(context, kit.server()).peer == STATION


def test_the_certificate_is_another_keys(kit: TlsKit, store: Any) -> None:
    ours, other, third = store.create("a"), store.create("b"), store.create("c", KeyAlgorithm.RSA_2048)
    for chain in (kit.chain(other), kit.chain(third)):
        with pytest.raises(KeyMismatchError):
            ours.use_for_tls(kit.client(), chain)


def test_the_chain_is_broken(kit: TlsKit, store: Any, tmp_path: Path) -> None:
    key = store.create("leaf")
    chain = tmp_path / "chain.pem"
    good = kit.chain(key).read_bytes()
    first, second = (b"-----BEGIN" + part for part in good.split(b"-----BEGIN")[1:])
    context = kit.client()
    for broken in (second[:100] + b"!" + second[101:], second[:28] + b"AAAA" + second[-26:]):
        chain.write_bytes(first + broken)
        with pytest.raises(ChainError, match=r"chain\.pem"):
            key.use_for_tls(context, chain)
    key.use_for_tls(context, kit.chain(key))
    assert shake(context, kit.server()).peer == STATION


def test_a_key_that_the_context_finds_too_weak(kit: TlsKit, store: Any) -> None:
    context = kit.client()
    context.set_ciphers("DEFAULT:@SECLEVEL=5")
    key = store.create("leaf")
    with pytest.raises(ChainError, match="too small"):
        key.use_for_tls(context, kit.chain(key))


def test_the_key_is_another_tpms(folder: Path, kit: TlsKit, store: Any) -> None:
    store.create("leaf")
    with SoftwareTpm() as other, tpm.TpmConnection(other.tcti) as connection:
        key = tpm.TpmKeyStore(folder, connection).load("leaf")
        for _ in range(8):  # more than there are places for objects: a failed load leaves nothing behind
            with pytest.raises(tpm.TpmForeignKeyError):
                key.sign_csr(SUBJECT)
        with pytest.raises(tpm.TpmForeignKeyError):
            station(kit, key)
        assert loaded_objects(connection) == 0


def test_the_tpm_is_full_of_what_others_loaded(folder: Path, chip: SoftwareTpm) -> None:
    """Without a resource manager, what another program left behind stays until the TPM is reset."""
    from tpm2_pytss.tsskey import TSSPrivKey

    def fill(esapi: Any) -> None:
        made = TSSPrivKey.create_ecc(esapi)
        for _ in range(20):
            with contextlib.suppress(RuntimeError):
                made.load(esapi)

    with tpm.TpmConnection(chip.tcti) as other:
        other.run("filling", fill)
    with tpm.TpmConnection(chip.tcti) as connection:
        store = tpm.TpmKeyStore(folder, connection)
        with pytest.raises(tpm.TpmFullError):
            store.create("leaf")
    chip.stop()
    chip.start()
    assert store.create("leaf").sign_csr(SUBJECT)
    connection.close()


def test_the_tpm_locks_itself(folder: Path, chip: SoftwareTpm) -> None:
    """A key made elsewhere, without the flag that ours have: three wrong values, and the TPM takes none."""
    from tpm2_pytss import TPMA_OBJECT
    from tpm2_pytss.tsskey import TSSPrivKey

    from ocpp_security.tpm.keys import template_for

    def make(esapi: Any) -> bytes:
        template = template_for(KeyAlgorithm.EC_P256)
        template.objectAttributes &= ~TPMA_OBJECT.NODA
        return bytes(TSSPrivKey.create(esapi, template, password=AUTH).to_pem())

    values = [b"wrong"]
    with SoftwareTpm() as chip, tpm.TpmConnection(chip.tcti) as connection:
        store = tpm.TpmKeyStore(folder, connection, auth=lambda name: one_secret(values[-1])(name))
        (folder / "leaf.key").write_bytes(connection.run("making", make))
        for _ in range(6):  # the same one is counted once, however often a station dials
            with pytest.raises(tpm.TpmAuthError):
                store.load("leaf").sign_csr(SUBJECT)
        values.append(AUTH)
        assert store.load("leaf").sign_csr(SUBJECT)
        outcomes = []
        for number in range(6):
            values.append(b"wrong %d" % number)
            with pytest.raises(KeyPasswordError) as raised:
                store.load("leaf").sign_csr(SUBJECT)
            outcomes.append(type(raised.value))
        assert outcomes[0] is tpm.TpmAuthError
        assert outcomes[-1] is tpm.TpmLockoutError


def test_a_key_of_the_wrong_kind(folder: Path, connection: Any) -> None:
    """Restricted, or decrypting only, or with a scheme of its own: refused when it is loaded."""
    from tpm2_pytss import TPM2_ALG, TPMA_OBJECT
    from tpm2_pytss.tsskey import TSSPrivKey

    from ocpp_security.tpm.keys import template_for

    def make(change: Callable[[Any], None]) -> bytes:
        template = template_for(KeyAlgorithm.RSA_2048)
        change(template)
        work: Callable[[Any], bytes] = lambda esapi: bytes(TSSPrivKey.create(esapi, template).to_pem())  # noqa: E731
        return connection.run("making", work)  # type: ignore[no-any-return]

    def no_sign(template: Any) -> None:
        template.objectAttributes &= ~TPMA_OBJECT.SIGN_ENCRYPT

    def no_decrypt(template: Any) -> None:
        template.objectAttributes &= ~TPMA_OBJECT.DECRYPT

    def fixed_scheme(template: Any) -> None:
        no_decrypt(template)
        template.parameters.rsaDetail.scheme.scheme = TPM2_ALG.RSASSA
        template.parameters.rsaDetail.scheme.details.rsassa.hashAlg = TPM2_ALG.SHA256

    def weak(template: Any) -> None:
        template.parameters.rsaDetail.keyBits = 1024

    def no_password(template: Any) -> None:
        template.objectAttributes &= ~TPMA_OBJECT.USERWITHAUTH

    store = tpm.TpmKeyStore(folder, connection)
    (folder / "weak.key").write_bytes(make(weak))
    with pytest.raises(KeyFormatError, match="2048"):
        store.load("weak")
    for change in (no_sign, no_decrypt, fixed_scheme, no_password):
        (folder / f"{change.__name__}.key").write_bytes(make(change))
        with pytest.raises(tpm.TpmUnsupportedError):
            store.load(change.__name__)


def test_nothing_secret_is_told(folder: Path, kit: TlsKit, connection: Any, capfd: Any) -> None:
    """Of an authorisation value: not in a repr, nor in a message, cause or traceback, nor on stderr."""
    store = tpm.TpmKeyStore(folder, connection, auth=one_secret(AUTH))
    key = store.create("leaf")
    file = (folder / "leaf.key").read_text()
    told = [
        repr(store),
        repr(key),
        repr(key.__dict__),
        repr(connection.__dict__),
        file,
    ]
    wrong = tpm.TpmKeyStore(folder, connection, auth=one_secret(AUTH + b"?")).load("leaf")
    for work in (lambda: wrong.sign_csr(SUBJECT), lambda: station(kit, wrong)):
        try:
            work()
        except KeyStoreError as error:
            told.append("".join(traceback.format_exception(error)))
    assert len(told) == 7
    written = capfd.readouterr()
    assert written.err == ""
    for text in (*told, written.out):
        assert AUTH.decode() not in text


def test_a_key_that_cannot_be_used_harms_no_other(folder: Path, kit: TlsKit, store: Any) -> None:
    with SoftwareTpm() as chip, tpm.TpmConnection(chip.tcti) as connection:
        tpm.TpmKeyStore(folder, connection).create("foreign")
    good = store.create("good")
    file = FileKeyStore(folder).create("file")
    context, server = station(kit, good), kit.server()
    with pytest.raises(tpm.TpmForeignKeyError):
        station(kit, store.load("foreign"))
    assert shake(context, server).peer == STATION
    assert isinstance(file, SoftwareKey)
    assert shake(station(kit, file), server).peer == STATION


# Return codes.


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (0xA000A, tpm.TpmLostError),
        (0x70007, tpm.TpmLostError),
        (0x100, tpm.TpmLostError),
        (0x910, tpm.TpmLostError),
        (0x916, tpm.TpmLostError),
        (0x902, tpm.TpmFullError),
        (0xC0902, tpm.TpmFullError),
        (0x14B, tpm.TpmFullError),
        (0x98E, tpm.TpmAuthError),
        (0x9A2, tpm.TpmAuthError),
        (0x921, tpm.TpmLockoutError),
        (0x1DF, tpm.TpmForeignKeyError),
        (0x18B, tpm.TpmHandleError),
        (0x14C, tpm.TpmHandleError),
        (0x2C4, tpm.TpmUnsupportedError),
        (0x101, tpm.TpmError),
        (0xB0001, tpm.TpmError),
    ],
)
def test_return_codes_have_names(code: int, error: type[KeyStoreError]) -> None:
    made = named(code, "the TSS's words", "signing")
    assert type(made) is error
    assert str(made) == f"TPM, signing: the TSS's words ({code:#x})"


@given(code=st.integers(0, 0xFFFFFFFF))
def test_every_return_code_has_a_name(code: int) -> None:
    assert isinstance(named(code, "", ""), tpm.TpmError)
    assert cause_of(code) in Cause


def test_a_caller_need_not_know_of_tpms() -> None:
    """What the interface promises is what a TPM's failures are, too."""
    assert issubclass(tpm.TpmAuthError, KeyPasswordError)
    assert issubclass(tpm.TpmLockoutError, KeyPasswordError)
    assert issubclass(tpm.TpmForeignKeyError, KeyFormatError)
    assert issubclass(tpm.TpmUnsupportedError, KeyUnsuitableError)
    assert issubclass(tpm.TpmTlsUnavailableError, KeyUnsuitableError)
