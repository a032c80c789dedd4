"""The kit is costly, and nothing in it changes."""

from pathlib import Path

import pytest

from tests.security.keys.tls_kit import TlsKit


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> TlsKit:
    return TlsKit(tmp_path_factory.mktemp("kit"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where keys are put."""
    return tmp_path / "keys"
