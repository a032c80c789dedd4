"""docs/keys-and-tpm.md: its examples run, its names exist, and each error is what the table says."""

import re
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

import ocpp_security.keys as keys
from tests.security.keys.tls_kit import STATION, TlsKit, shake
from tests.security.tpm.support import SoftwareTpm, tpm

TEXT = (Path(__file__).parents[3] / "docs" / "keys-and-tpm.md").read_text(encoding="utf-8")
FILES, IN_TPM, PROVIDER = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
ERROR_ROWS = [row.strip("|").split("|") for row in TEXT.splitlines() if re.search(r"\| \w+Error[,; ]", row)]


def test_the_examples_run(kit: TlsKit, chip: SoftwareTpm, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("word\n")
    (tmp_path / "secret").chmod(0o600)
    names: dict[str, Any] = {
        "folder": tmp_path,
        "chain": tmp_path / "chain.pem",
        "subject": x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, STATION)]),
        "certificate_signed": kit.signed,
        "roots": kit.ca_file,
        "tcti": chip.tcti,
    }
    exec(FILES, names)
    assert shake(names["context"], kit.server()).peer == STATION
    exec(IN_TPM, names)
    with names["tpm"]:
        assert names["store"].load("csms-2026-11").public_octets == names["key"].public_octets
        rest = FILES[FILES.index("key = ") :].replace("csms-2026-11", "in-the-tpm")
        exec(rest, names)
        assert isinstance(names["key"], tpm.TpmKey)
        assert shake(names["context"], kit.server()).peer == STATION


def test_the_provider_is_made_and_handed_over_so() -> None:
    compile(PROVIDER, "docs/keys-and-tpm.md", "exec")
    assert "TpmKeyStore(folder" in PROVIDER


def error_named(name: str) -> type[Exception]:
    found = getattr(tpm, name, None) or getattr(keys, name, None) or {"ImportError": ImportError}[name]
    assert issubclass(found, Exception)
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("row", ERROR_ROWS, ids=lambda row: re.findall(r"\w+Error", row[1])[0])
def test_errors_are_what_the_table_says(row: list[str]) -> None:
    error = error_named(re.findall(r"\w+Error", row[1])[0])
    assert issubclass(error, keys.KeyStoreError)
    for also in re.findall(r"\w+Error", row[2]):
        assert issubclass(error, error_named(also))


def test_every_error_is_in_the_table() -> None:
    listed = {name for row in ERROR_ROWS for name in re.findall(r"Tpm\w+Error", row[1])}
    assert listed == {name for name in tpm.__all__ if name.endswith("Error") and name != "TpmError"}


@pytest.mark.parametrize("name", re.findall(r"`(\w+)\(", TEXT))
def test_what_is_named_exists(name: str) -> None:
    from ocpp_adapters import anyio_rpc, anyio_station

    holders = (
        keys,
        tpm,
        anyio_rpc,
        anyio_station,
        keys.PrivateKey,
        keys.KeyStore,
        tpm.TpmKeyStore,
        keys.Handshake,
    )
    assert any(hasattr(holder, name) for holder in holders) or name == "step"
