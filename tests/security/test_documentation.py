"""What docs/certificates.md shows runs, its defaults are true, and every way from libocpp leads somewhere."""

import re
from pathlib import Path

import pytest

from ocpp_security.certificates.context import CertificateConfig
from ocpp_security.certificates.own import OwnCertificates
from ocpp_security.certificates.roots import Roots
from ocpp_security.certificates.signing import Signing
from ocpp_security.certificates.status import StatusEvidence
from ocpp_security.errors import Fault
from ocpp_security.manager import CertificateManager
from ocpp_security.renewal import RenewalConfig
from ocpp_security.trust.decisions import TrustPolicy
from ocpp_security.trust.inventory import LeafUse, TrustUse
from ocpp_security.trust.leaves import LeafPolicy

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "certificates.md").read_text(encoding="utf-8")
LIBOCPP = (DOCS / "coming-from-libocpp.md").read_text(encoding="utf-8")
COMMANDS = [
    *("install_ca_certificate", "delete_certificate", "update_leaf_certificate", "verify_certificate"),
    *("get_installed_certificates", "get_v2g_ocsp_request_data", "get_mo_ocsp_request_data"),
    *("update_ocsp_cache", "is_ca_certificate_installed", "generate_certificate_signing_request"),
    *("get_leaf_certificate_info", "get_verify_file", "get_leaf_expiry_days_count"),
]
"""Those that EVerest's modules make use of."""
PARTS = {"roots": Roots, "own": OwnCertificates, "status": StatusEvidence, "signing": Signing}


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_examples_run(code: str) -> None:
    exec(code, {})


@pytest.mark.parametrize("name", [name for name in RenewalConfig.__slots__ if name != "uses"])
def test_defaults(name: str) -> None:
    (row,) = re.findall(rf"\| `{name}` \| ([0-9,]+|no|yes)", TEXT)
    value = {"no": 0.0, "yes": 1.0}.get(row)
    assert getattr(RenewalConfig(), name) == (float(row.replace(",", "")) if value is None else value)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_evse_security_has_a_row(command: str) -> None:
    assert re.search(rf"^\| `{command}` \| .+ \|", LIBOCPP, re.MULTILINE)


def test_every_name_that_replaces_one_exists() -> None:
    for part, method in re.findall(r"`manager\.(\w+)\.(\w+)\(", LIBOCPP):
        assert part == "inventory" or hasattr(PARTS[part], method), (part, method)
    owners = {
        "TrustPolicy": TrustPolicy,
        "LeafPolicy": LeafPolicy,
        "RenewalConfig": RenewalConfig,
        "CertificateConfig": CertificateConfig,
        "TrustUse": TrustUse,
        "LeafUse": LeafUse,
        "Fault": Fault,
    }
    found = re.findall(rf"`({'|'.join(owners)})\.(\w+)`", LIBOCPP)
    assert len(found) > 15
    for owner, name in found:
        assert hasattr(owners[owner], name), (owner, name)
    for name in re.findall(r"`([A-Z_]{6,})`", LIBOCPP):
        assert hasattr(Fault, name) or hasattr(TrustUse, name), name
    assert hasattr(CertificateManager, "update_links")
