"""The station's own certificates with keys that a TPM made: the manager sees no difference."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocpp_security.keys import KeyAlgorithm
from ocpp_security.manager import CertificateConfig, CertificateManager
from ocpp_security.questions import SigningRequest
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import LeafUse, TrustUse
from ocpp_security.trust.layout import Layout
from tests.security.manager_kit import CONFIG, CSMS_ROOT
from tests.security.pki_kit import DAY, NOW, pem
from tests.security.tpm.support import SoftwareTpm, tpm

STATION = LeafUse.CHARGING_STATION


@pytest.fixture(scope="module")
def chip() -> Iterator[SoftwareTpm]:
    with SoftwareTpm() as software:
        yield software


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
@pytest.mark.requirement(
    "A02.FR.02", "A02.FR.05", "A02.FR.08", "A02.FR.10", "A03.FR.05", "1.6-A02.FR.05", "1.6-A03.FR.05"
)
def test_a_certificate_for_a_key_of_the_tpm(
    algorithm: KeyAlgorithm, chip: SoftwareTpm, tmp_path: Path
) -> None:
    link = tmp_path / "current"
    config = CertificateConfig(CONFIG.subjects, links={STATION: link}, key_algorithm=algorithm)
    with tpm.TpmConnection(chip.tcti) as connection:
        keys = tpm.TpmKeyStore(tmp_path / "keys", connection)
        manager = CertificateManager(CertificateFiles(Layout.under(tmp_path)), keys, config)
        manager.roots.install(TrustUse.CSMS, pem(CSMS_ROOT), NOW)
        for days in range(2):
            request = manager.own.make_request(STATION, NOW)
            assert isinstance(request, SigningRequest)
            at = NOW + days * DAY
            assert manager.own.take(pem(CSMS_ROOT.sign_csr(request.csr, begin=at)), at).accepted
        assert (link / "key.pem").read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----")
        new, _ = manager.own.usable(STATION, NOW + DAY)
        keys.load(new.key_name).use_for_tls(ssl.create_default_context(), new.files[0])
        manager.own.connected(None, new.leaf.certificate, NOW + DAY)
        assert keys.names() == (new.key_name,)
