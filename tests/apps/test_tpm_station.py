"""The emulator with its TLS key in a TPM."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.adapters.tls.pki import DAY, NOW, OPERATOR, Authority
from tests.apps.secure_rig import SERIAL, Rig, connected, disconnected, url_of
from tests.security import pki_kit
from tests.security.tpm.support import AUTH, SoftwareTpm, tpm


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(stack, tmp_path)


@pytest.fixture
def chip() -> Iterator[SoftwareTpm]:
    with SoftwareTpm() as software:
        yield software


def provision(chip: SoftwareTpm, root: Authority, folder: Path) -> None:
    """A key in the TPM with an authorisation value, its file, and a certificate for it."""
    from ocpp_security.keys import one_secret

    with closing(tpm.TpmConnection(chip.tcti)) as connection:
        key = tpm.TpmKeyStore(folder, connection, auth=one_secret(AUTH)).create("station")
    wish = pki_kit.Wish(usage=pki_kit.LEAF_USAGE, begin=NOW - DAY, end=NOW + DAY)
    issuer = root.certificate.subject
    certificate = pki_kit.build(pki_kit.name(SERIAL, OPERATOR), key.public_key, issuer, root.key, wish)
    (folder / "station.pem").write_text(pki_kit.pem(certificate))
    (folder / "auth").touch(0o600)
    (folder / "auth").write_bytes(AUTH)


@pytest.mark.requirement("A00.FR.401", "A00.FR.402")
def test_a_key_in_a_tpm_that_dies_and_comes_back(rig: Rig, chip: SoftwareTpm) -> None:
    provision(chip, rig.root, rig.folder)
    settings = {
        "trust": [str(rig.root.file)],
        "chain": "station.pem",
        "key": "station.key",
        "tpm": {"tcti": chip.tcti, "auth_file": "auth"},
        "resumption": False,
    }
    central = rig.certified()
    chip.stop()
    station = rig.station(url_of(central), settings)
    disconnected(station, "no TPM at")
    chip.start()
    connected(station)
    station.do("cut")
    chip.stop()
    station.do("mend")
    station.until(lambda it: "own key" in it.get("reason", ""))
    assert station.do("state")["power"]
    chip.start()
    station.event("connection", state="connected")


def test_a_directory_whose_key_is_a_tpms_is_told_by_the_file(rig: Rig, chip: SoftwareTpm) -> None:
    folder = rig.folder / "client/csms"
    provision(chip, rig.root, folder)
    (rig.folder / "ca/csms").mkdir(parents=True)
    shutil.copy(rig.root.file, rig.folder / "ca/csms")
    shutil.copy(folder / "auth", rig.folder)
    central = rig.certified()
    settings = {"security_profile": 3, "directory": ".", "tpm": {"auth_file": "auth"}}
    disconnected(rig.station(url_of(central), settings), "device:/dev/tpmrm0")
    settings["tpm"] = {"auth_file": "auth", "tcti": chip.tcti}
    connected(rig.station(url_of(central), settings))
