"""The native server as a foreign scanner sees it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from ocpp_adapters import asyncio_server
from ocpp_adapters.sessions import Session
from ocpp_adapters.tls_policy import STANDARD_CIPHERS, CsmsTls
from tests.adapters.tls import pki

pytestmark = pytest.mark.anyio
SSLYZE = Path(__file__).parents[3] / ".sslyze-venv" / "bin" / "sslyze"
SUITES = ("sslv2", "sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3")
FAULTS = ("compression", "heartbleed", "openssl_ccs", "reneg", "robot", "early_data", "fallback", "ems")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def scan(port: int, report: Path) -> dict[str, Any]:
    options = [f"--{scan}" for scan in (*SUITES, *FAULTS)]
    command = [str(SSLYZE), *options, f"--json_out={report}", f"127.0.0.1:{port}"]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    results = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]
    return {name: found["result"] for name, found in results.items() if found["result"] is not None}


@pytest.mark.skipif(not SSLYZE.exists(), reason="needs sslyze: tools/sslyze.sh")
@pytest.mark.requirement(
    "A00.FR.313", "A00.FR.314", "A00.FR.318", "A00.FR.320", "A00.FR.321", "A00.FR.322", "A00.FR.416",
    "A00.FR.418", "A00.FR.421", "A00.FR.423", "A00.FR.424", "A00.FR.425",
)  # fmt: skip
async def test_a_scanner_finds_what_the_standard_wants_and_no_more(tmp_path: Path) -> None:
    root = pki.root(tmp_path)
    leaves = (root.leaf("localhost"), root.leaf("localhost", kind="rsa"))
    context = CsmsTls(credentials=tuple(leaf.credential for leaf in leaves)).context()
    async with await asyncio_server.serve(lambda a, p: Session(), "127.0.0.1", ssl_context=context) as server:
        found = await anyio.to_thread.run_sync(scan, server.port, tmp_path / "report.json")

    def accepted(version: str) -> set[str]:
        suites = found[f"{version}_cipher_suites"]["accepted_cipher_suites"]
        return {suite["cipher_suite"]["openssl_name"] for suite in suites}

    for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        assert accepted(old) == set()
    assert accepted("tls_1_2") == set(STANDARD_CIPHERS)
    assert len(accepted("tls_1_3")) >= 2
    assert not found["tls_compression"]["supports_compression"]
    assert not found["heartbleed"]["is_vulnerable_to_heartbleed"]
    assert not found["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"]
    assert found["robot"]["robot_result"].startswith("NOT_VULNERABLE")
    assert not found["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"]
    assert found["session_renegotiation"]["supports_secure_renegotiation"]
    assert not found["tls_1_3_early_data"]["supports_early_data"]
    assert found["tls_fallback_scsv"]["supports_fallback_scsv"]
    assert found["tls_extended_master_secret"]["supports_ems_extension"]
