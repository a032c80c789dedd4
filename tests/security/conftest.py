"""What the tests of certificates share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocpp_security.manager import CertificateManager
from ocpp_security.questions import (
    InstallRoot,
    Outcome,
    SecurityEvent,
)
from ocpp_security.trust.decisions import Status
from ocpp_security.trust.inventory import TrustUse
from tests.security.manager_kit import CSMS_ROOT, V2G_ROOT, open_manager
from tests.security.pki_kit import NOW, pem


@pytest.fixture(scope="module", autouse=True)
def _hasty_disk() -> Iterator[None]:
    """Durability is seen in what the system is asked for: waiting for it shows nothing, and takes time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def manager(tmp_path: Path) -> CertificateManager:
    made = open_manager(tmp_path)
    for use, authority in ((TrustUse.CSMS, CSMS_ROOT), (TrustUse.V2G, V2G_ROOT)):
        assert made.answer(InstallRoot(use, pem(authority)), NOW) == Outcome(
            Status.ACCEPTED, events=(SecurityEvent.RECONFIGURATION_OF_SECURITY_PARAMETERS,)
        )
    return made
