"""A renewal from CSR to the first connection, cut off or refused by the disk wherever it touches it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ocpp_security.keys import FileKeyStore
from ocpp_security.manager import CertificateManager
from ocpp_security.pki.certificate import parse_bundle
from ocpp_security.questions import Connected, InstallRoot, MakeSigningRequest, SigningRequest, TakeSigned
from ocpp_security.trust.inventory import TrustUse
from tests.security.disk_kit import Journal, PowerLossError, disk_is_full, journal_of, power_fails
from tests.security.manager_kit import CONFIG, CSMS_ROOT, STATION, open_manager, renew
from tests.security.pki_kit import DAY, NOW, pem

Disaster = Callable[[pytest.MonkeyPatch, int], AbstractContextManager[None]]
BEGIN = NOW - DAY


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A station with a certificate that is to be renewed."""
    folder = tmp_path_factory.mktemp("before")
    (folder / "links").mkdir()
    manager = opened(folder)
    assert manager.answer(InstallRoot(TrustUse.CSMS, pem(CSMS_ROOT)), NOW).accepted  # type: ignore[union-attr]
    renew(manager, begin=BEGIN - DAY)
    return folder


@pytest.fixture
def copies(before: Path, tmp_path: Path) -> Iterator[Path]:
    return (Path(shutil.copytree(before, tmp_path / str(number), symlinks=True)) for number in count())


def opened(folder: Path) -> CertificateManager:
    return open_manager(folder, replace(CONFIG, links={STATION: folder / "links" / "current"}))


def renewed(manager: CertificateManager) -> None:
    """What the schedule asks, the CSMS answers, and the station tells when it is connected anew."""
    request = manager.answer(MakeSigningRequest(STATION), NOW)
    if isinstance(request, SigningRequest):
        manager.answer(TakeSigned(pem(CSMS_ROOT.sign_csr(request.csr, begin=BEGIN))), NOW)
    used = manager.own.to_connect(NOW)[0]
    manager.answer(Connected(CSMS_ROOT.certificate, used.leaf.certificate), NOW)


def check(folder: Path) -> None:
    """After a restart: the CSMS is trusted, every chain has its key, and the link leads to a pair."""
    manager = opened(folder)
    assert manager.roots.trusted(TrustUse.CSMS) == (CSMS_ROOT.certificate,)
    assert len(manager.own.to_connect(NOW)) == len(manager.inventory.leaves) > 0
    link = folder / "links" / "current"
    if link.is_symlink():
        certificate = parse_bundle((link / "leaf.pem").read_bytes())[0]
        key = load_pem_private_key((link / "key.pem").read_bytes(), None)
        assert key.public_key() == certificate.public_key
    renewed(manager)
    (used,) = opened(folder).own.to_connect(NOW)
    assert used.leaf.certificate.not_before == BEGIN
    assert (link / "leaf.pem").read_text() == used.leaf.certificate.pem
    assert used.key_name in FileKeyStore(folder / "keys").names()


def steps_of_a_renewal(folder: Path) -> Journal:
    with pytest.MonkeyPatch.context() as patch:
        manager, done = opened(folder), journal_of(patch)
        renewed(manager)
        return done


@pytest.mark.parametrize("disaster", [power_fails, disk_is_full])
@pytest.mark.requirement("A02.FR.08", "A02.FR.10", "A02.FR.28", "A03.FR.08")
def test_a_renewal_that_is_cut_off_anywhere_leaves_a_station_that_connects_and_renews(
    disaster: Disaster, copies: Iterator[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    last = len(steps_of_a_renewal(next(copies)))
    assert last > 30
    for step in range(last):
        folder = next(copies)
        manager = opened(folder)
        with disaster(monkeypatch, step), suppress(PowerLossError):
            renewed(manager)
        check(folder)
