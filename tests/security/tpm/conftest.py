"""A TPM in software for each module, a connection and a store for each test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.security.keys.tls_kit import TlsKit
from tests.security.tpm.swtpm import SoftwareTpm


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> TlsKit:
    return TlsKit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="module")
def chip() -> Iterator[SoftwareTpm]:
    with SoftwareTpm() as software:
        yield software


@pytest.fixture
def connection(chip: SoftwareTpm) -> Iterator[Any]:
    from ocpp_security.tpm import TpmConnection

    with TpmConnection(chip.tcti) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where keys are put."""
    return tmp_path / "keys"


@pytest.fixture
def store(folder: Path, connection: Any) -> Any:
    """Keys without authorisation values."""
    from ocpp_security.tpm import TpmKeyStore

    return TpmKeyStore(folder, connection)
