"""Everything that the signing callback rests on is checked before it is relied upon."""

import ctypes
import gc
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from ocpp_security.keys import KeyUnsuitableError
from tests.security.keys.tls_kit import STATION, VERSIONS, TlsKit, shake
from tests.security.tpm.support import openssl, tpm

EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
UNAVAILABLE = tpm.TpmTlsUnavailableError


def sign_ec(digest: bytes) -> bytes:
    return EC.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))


def sign_rsa(block: bytes) -> bytes:
    numbers = RSA.private_numbers()
    result = pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n)
    return result.to_bytes(256, "big")


def use(kit: TlsKit, context: ssl.SSLContext, key: Any, operate: Callable[[bytes], bytes]) -> None:
    named = SimpleNamespace(public_key=key.public_key())
    openssl.openssl().use(context, kit.chain(named), key.public_key(), operate)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize(("key", "operate"), [(EC, sign_ec), (RSA, sign_rsa)], ids=["EC", "RSA"])
def test_any_signer_will_do(kit: TlsKit, key: Any, operate: Any, version: ssl.TLSVersion) -> None:
    """The differential: the same handshakes as with a TPM, the key in hand."""
    context = kit.client(version)
    use(kit, context, key, operate)
    for _ in range(3):
        assert shake(context, kit.server(version)).peer == STATION


@pytest.mark.parametrize(
    ("key", "operate"),
    [
        (EC, lambda digest: b""),
        (EC, lambda digest: b"\x30\x06\x02\x01\x01\x02\x01\x01"),
        (EC, lambda digest: b"x" * 200),
        (RSA, lambda block: block),
        (RSA, lambda block: b"x" * 257),
        (RSA, lambda block: b""),
    ],
)
def test_a_signature_that_is_none_is_found_out_at_once(kit: TlsKit, key: Any, operate: Any) -> None:
    """Nor does one that is too long overrun the room that OpenSSL leaves for it."""
    context = kit.client()
    with pytest.raises(KeyUnsuitableError):
        use(kit, context, key, operate)
    use(kit, context, EC, sign_ec)
    assert shake(context, kit.server()).peer == STATION


def test_what_is_wrong_later_fails_the_handshake_only(kit: TlsKit) -> None:
    answers = [sign_rsa]
    context = kit.client()
    use(kit, context, RSA, lambda block: answers[-1](block))
    answers.append(lambda block: b"x" * 300)
    with pytest.raises(KeyUnsuitableError, match="longer"):
        shake(context, kit.server())
    answers.append(sign_rsa)
    assert shake(context, kit.server()).peer == STATION


@pytest.mark.parametrize(
    ("call", "answer", "error"),
    [
        ("d2i_PUBKEY", None, KeyUnsuitableError),
        ("EC_KEY_set_method", 0, UNAVAILABLE),
        ("EVP_PKEY_set1_EC_KEY", 0, UNAVAILABLE),
        ("EVP_DigestSignInit", 0, UNAVAILABLE),
        ("SSL_CTX_use_PrivateKey", 0, KeyUnsuitableError),
    ],
)
def test_openssl_refuses(
    kit: TlsKit, monkeypatch: pytest.MonkeyPatch, call: str, answer: int | None, error: type[Exception]
) -> None:
    """Whatever step fails, nothing of the key is kept."""
    bound = openssl.openssl()
    gc.collect()
    before = len(bound._signers)
    monkeypatch.setitem(bound._call, call, lambda *_: answer)
    with pytest.raises(error):
        use(kit, kit.client(), EC, sign_ec)
    assert len(bound._signers) == before


def test_calls_for_keys_that_are_gone(kit: TlsKit) -> None:
    bound = openssl.openssl()
    octets = openssl._ffi.new("unsigned char[32]")
    assert bound._sign_rsa(32, octets, octets, openssl._ffi.NULL, 1) == -1
    assert bound._sign_ec(0, octets, 32, octets, None, None, None, openssl._ffi.NULL) == 0


def test_an_interrupt_ends_the_handshake_and_nothing_else(
    kit: TlsKit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Python may raise KeyboardInterrupt anywhere; OpenSSL must then not take garbage for a signature."""
    bound = openssl.openssl()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    for key, operate in ((EC, sign_ec), (RSA, sign_rsa)):
        context = kit.client()
        use(kit, context, key, operate)
        with monkeypatch.context() as patch:
            patch.setattr(bound, "_operate", interrupted)
            with pytest.raises(ssl.SSLError, match="EVP lib"):
                shake(context, kit.server())
        assert "KeyboardInterrupt while a key signed" in caplog.text
        assert shake(context, kit.server()).peer == STATION
        caplog.clear()


# The guards.


def test_another_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "implementation", SimpleNamespace(name="pypy"))
    with pytest.raises(UNAVAILABLE, match="pypy is not CPython"):
        openssl.OpenSsl()


def test_another_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl, "OPENSSL_VERSION_NUMBER", 0x1010117F)
    with pytest.raises(UNAVAILABLE, match="another OpenSSL"):
        openssl.OpenSsl()


def test_an_openssl_without_these_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """LibreSSL and AWS-LC lack some, a later OpenSSL may, and a static build shows none."""
    monkeypatch.setitem(openssl._FUNCTIONS, "EC_KEY_METHOD_newer", (ctypes.c_void_p,))
    with pytest.raises(UNAVAILABLE, match="does not show EC_KEY_METHOD_newer") as raised:
        openssl.OpenSsl()
    assert "tpm2 provider" in str(raised.value)


def test_an_interpreter_whose_ssl_is_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then its symbols are looked for in the program itself; a Python built so without them shows none."""
    monkeypatch.delattr(openssl._ssl, "__file__")
    loaded: list[str | None] = []
    monkeypatch.setattr(openssl.c, "CDLL", lambda name: loaded.append(name) or SimpleNamespace())
    with pytest.raises(UNAVAILABLE, match="does not show"):
        openssl.OpenSsl()
    assert loaded == [None]


def test_a_context_that_is_laid_out_otherwise() -> None:
    bound = openssl.openssl()
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    class Fake:
        """Begins with a pointer as SSLContext does, to a context with other options or another mode."""

        __slots__ = ("first",)

        def __init__(self, **shown: Any) -> None:
            self.first = None
            for name, value in shown.items():
                setattr(type(self), name, value)

    def seen(context: Any, pointer: int | None) -> Any:
        ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value = pointer
        try:
            bound._pointer(context)
        finally:
            ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value = None

    pointer = bound._pointer(plain)
    good = {"options": plain.options, "verify_mode": plain.verify_mode}
    seen(Fake(**good), pointer)
    for shown, at in (
        (good, None),
        (good, pointer + 1),
        ({**good, "options": plain.options ^ ssl.OP_NO_TICKET}, pointer),
        ({**good, "verify_mode": ssl.CERT_NONE}, pointer),
    ):
        with pytest.raises(UNAVAILABLE, match="SSLContext does not begin"):
            seen(Fake(**shown), at)
    with pytest.raises(UNAVAILABLE, match="no room"):
        bound._pointer(object())


def test_a_new_python_is_tried_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openssl, "KNOWN_LAYOUTS", ())
    openssl.OpenSsl()
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    for probe in (crash, "raise SystemExit(1)"):
        monkeypatch.setattr(openssl, "_PROBE", probe)
        with pytest.raises(UNAVAILABLE, match="not laid out as known"):
            openssl.OpenSsl()


def test_tpm2_pytss_is_not_installed(tmp_path: Path) -> None:
    """The rest of the package works, and the error says what to install."""
    program = (
        "import sys\n"
        "sys.modules['tpm2_pytss'] = None\n"
        "import ocpp_security.keys, ocpp_security.keys.tss2\n"
        "try:\n"
        "    import ocpp_security.tpm\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("TpmMissingSoftwareError TPM support is not installed: apt-get install")
