"""Secrets are given when needed and shown to nobody; nor are keys."""

import copy
import logging
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ocpp_security.keys import (
    FileKeyStore,
    KeyPasswordError,
    KeyStoreError,
    Secret,
    no_secret,
    one_secret,
    secret_file,
)
from ocpp_security.keys.secret import MAX_SECRET
from tests.security.keys.tls_kit import TlsKit, private_pem

PASSWORD = b"Pa55-phrase-of-the-test"


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(PASSWORD)
    assert secret.reveal() == PASSWORD
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]}", "%s" % secret):  # noqa: UP031
        assert PASSWORD.decode() not in shown
    for spread in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            spread(secret)


def test_sources(tmp_path: Path) -> None:
    assert no_secret("a") is None  # type: ignore[func-returns-value]
    everyones = one_secret(PASSWORD)("a")
    assert everyones is not None
    assert everyones.reveal() == PASSWORD


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"word", b"word"),
        (b"word\n", b"word"),
        (b"word\r\n", b"word"),
        (b" word \n\n", b" word \n"),
        (b"\xff\x00", b"\xff\x00"),
        (b"x" * MAX_SECRET, b"x" * MAX_SECRET),
    ],
)
def test_a_secret_is_read_from_a_file(tmp_path: Path, content: bytes, secret: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(0o600)
    read = secret_file(path)("any")
    assert read is not None
    assert read.reveal() == secret


@pytest.mark.parametrize(
    ("content", "mode", "complaint"),
    [
        (b"", 0o600, "holds no secret"),
        (b"\n", 0o400, "holds no secret"),
        (b"x" * (MAX_SECRET + 1), 0o600, "holds no secret"),
        (b"word", 0o640, "chmod 600"),
        (b"word", 0o604, "chmod 600"),
        (None, 0o600, "No such file"),
    ],
)
def test_a_file_that_holds_no_secret(
    tmp_path: Path, content: bytes | None, mode: int, complaint: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(KeyPasswordError, match=complaint):
        secret_file(path)("any")


def _told(work: Callable[[], object]) -> str:
    """Everything that an error report would show of a failure: messages, causes, and the traceback."""
    try:
        work()
    except KeyStoreError as error:
        return "".join(traceback.format_exception(error))
    raise AssertionError("it worked")


def test_neither_key_nor_password_is_told(
    folder: Path, kit: TlsKit, caplog: pytest.LogCaptureFixture
) -> None:
    """Every failure with its causes, every repr and every line logged meanwhile."""
    caplog.set_level(logging.DEBUG)
    key = ec.generate_private_key(ec.SECP256R1())
    plain = private_pem(key)
    store = FileKeyStore(folder, one_secret(PASSWORD))
    kept = store.import_key("leaf", plain)
    other = kit.chain(FileKeyStore(folder).create("other"))
    (folder / "plain.key").write_bytes(plain.replace(b"END", b"DNE"))
    wrong = FileKeyStore(folder, one_secret(PASSWORD + b"?"))
    context = kit.client()
    told = [
        repr(store),
        repr(kept),
        repr(kept.__dict__),
        _told(lambda: wrong.load("leaf")),
        _told(lambda: FileKeyStore(folder).load("leaf")),
        _told(lambda: store.load("plain")),
        _told(lambda: store.import_key("leaf", plain)),
        _told(lambda: kept.use_for_tls(context, other)),
        _told(lambda: store.import_pkcs12("new", plain, Secret(PASSWORD))),
        caplog.text,
    ]
    scalar = key.private_numbers().private_value
    hidden = [PASSWORD.decode(), f"{scalar:x}", str(scalar), *plain.decode().splitlines()[1:-1]]
    for text in told:
        assert not [secret for secret in hidden if secret in text]
    with pytest.raises(TypeError):
        pickle.dumps(kept)
