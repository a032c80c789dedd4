"""Names that others choose never become names of files."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ocpp_security.manager import CertificateConfig
from ocpp_security.pki.hashdata import CertificateHashData, HashAlgorithm, hash_data
from ocpp_security.questions import DeleteCertificate, Outcome, TakeOcspResponse
from ocpp_security.trust.decisions import Status
from ocpp_security.trust.inventory import LeafUse, TrustUse
from ocpp_security.trust.leaves import LeafPolicy
from tests.security.manager_kit import SECC, ask, open_manager, take
from tests.security.pki_kit import NOW, pem, root

HOSTILE = (
    "../../../escaped",
    "/etc/passwd",
    "a\nb",
    "..",
    "%2e%2e%2f",
    "CON",
    "x" * 64,
    "`id`;$(id)",
    "é\u202e",
)
FILES = re.compile(
    r"ca/(csms|mf|v2g|mo|oem)/INSTALLED_[0-9a-f]{16}\.pem"
    r"|client/(csms|cso|cso20)/LEAF_[0-9]{14}_[0-9a-f]{16}\.pem"
    r"|crl/[0-9a-f]{64}\.pem|ocsp/[0-9a-f]{64}\.der|verify/[A-Z0-9a-z]+\.pem"
    r"|keys/(charging_station|v2g|v2g20)-[0-9]+\.key"
)


@pytest.mark.parametrize("text", HOSTILE)
def test_files_are_named_after_what_certificates_are(text: str, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c" / "d"
    folder.mkdir(parents=True)
    subjects = {LeafUse.V2G: replace(SECC, serial_number=text, organization=text)}
    manager = open_manager(folder, CertificateConfig(subjects, leaves=LeafPolicy(check_subject=False)))
    authority = root(text)
    for use in TrustUse:
        assert manager.roots.install(use, pem(authority), NOW).accepted
        manager.roots.verify_file(use)
    leaf = authority.sign_csr(ask(manager, LeafUse.V2G).csr)
    assert take(manager, pem(leaf)).accepted
    assert manager.status.take_crl(authority.crl(), NOW).accepted
    response = base64.b64encode(authority.ocsp(leaf)).decode()
    assert manager.status.take_response(hash_data(leaf, authority.certificate), response, NOW).accepted
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    assert len(names) == 5 + 5 + 4
    assert all(FILES.fullmatch(name) for name in names)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and folder not in path.parents] == []


@pytest.mark.parametrize("text", [*HOSTILE, "", "0" * 1000, "-1", "0x10", "g" * 40])
def test_hash_data_that_names_nothing_finds_nothing(text: str, tmp_path: Path) -> None:
    """Hashes and serial numbers as a peer may send them: compared, never used as paths."""
    manager = open_manager(tmp_path)
    authority = root("Root")
    assert manager.roots.install(TrustUse.V2G, pem(authority), NOW).accepted
    before = sorted(tmp_path.rglob("*"))
    good = hash_data(authority.certificate, authority.certificate)
    for name in (
        CertificateHashData(HashAlgorithm.SHA256, text, text, text),
        replace(good, serial_number=text),
        replace(good, issuer_key_hash=text),
        replace(good, issuer_name_hash=text),
    ):
        deleted = manager.answer(DeleteCertificate(name), NOW)
        taken = manager.answer(TakeOcspResponse(name, text), NOW)
        assert isinstance(deleted, Outcome)
        assert isinstance(taken, Outcome)
        assert (deleted.status, taken.status) == (Status.NOT_FOUND, Status.REJECTED)
    assert sorted(tmp_path.rglob("*")) == before
