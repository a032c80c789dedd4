"""OpenSSL on the other side: its responder answers us, and it judges responses as we do."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ocpp_adapters.threads_monitor import finish
from ocpp_adapters.threads_web import BlockingFetch
from ocpp_security.errors import CertificateError
from ocpp_security.inquiry import Standing, StatusPolicy
from ocpp_security.online import OnlineStatus
from ocpp_security.pki.certificate import parse_der
from ocpp_security.pki.ocsp import verify_response
from tests.adapters.tls.pki import DAY, NOW, Authority, Leaf
from tests.adapters.tls.responder import GOOD, REVOKED, UNKNOWN, Responder
from tests.adapters.web_servers import WebServer


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


class Chain:
    def __init__(self, *certificates: x509.Certificate) -> None:
        self.chain = tuple(map(der, certificates))


def key_file(authority: Authority) -> Path:
    path = authority.folder / "authority.key"
    path.write_bytes(authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.mark.requirement("A00.FR.702", "A00.FR.705", "1.6-A00.FR.702", "1.6-A00.FR.704", "RFC6960-4.1")
def test_its_responder_understands_us(root: Authority, free_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{free_tcp_port}"
    leaves = {status: root.leaf(f"SN-{status}", responder=url) for status in ("V", "R", "nobody's")}
    index = root.folder / "index.txt"
    lines = [
        f"{status}\t{NOW + DAY:%y%m%d%H%M%SZ}\t{f'{NOW - DAY:%y%m%d%H%M%SZ}' if status == 'R' else ''}"
        f"\t{leaf.certificate.serial_number:040X}\tunknown\t/CN=x\n"
        for status, leaf in leaves.items()
        if status != "nobody's"
    ]
    index.write_text("".join(lines))
    command = [
        *("openssl", "ocsp", "-port", str(free_tcp_port), "-index", str(index), "-CA", str(root.file)),
        *("-rsigner", str(root.file), "-rkey", str(key_file(root)), "-nrequest", "3", "-nmin", "5"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        assert any("waiting for" in line.lower() for line in iter(process.stdout.readline, ""))
        statuses = OnlineStatus(BlockingFetch(), StatusPolicy())
        found = {
            status: finish(statuses.judge(Chain(leaf.certificate, root.certificate))).standing
            for status, leaf in leaves.items()
        }
    finally:
        process.kill()
        process.communicate()
    assert found == {"V": Standing.GOOD, "R": Standing.REVOKED, "nobody's": Standing.DISOWNED}


MAKES: dict[str, Callable[[Responder, x509.Certificate, Leaf], bytes]] = {
    "good": lambda it, leaf, other: it.response(leaf, GOOD),
    "revoked": lambda it, leaf, other: it.response(leaf, REVOKED),
    "unknown": lambda it, leaf, other: it.response(leaf, UNKNOWN),
    "delegated": lambda it, leaf, other: it.delegated(leaf),
    "stale": lambda it, leaf, other: it.response(leaf, end=-DAY),
    "signed by another": lambda it, leaf, other: it.response(leaf, signer=other),
    "about another": lambda it, leaf, other: it.response(other.certificate),
    "changed": lambda it, leaf, other: it.response(leaf)[:-1] + b"\0",
}


def ours(response: bytes, leaf: x509.Certificate, issuer: x509.Certificate) -> str:
    try:
        status = verify_response(response, parse_der(der(leaf)), parse_der(der(issuer)), datetime.now(UTC))
    except CertificateError:
        return "not believed"
    return status.revocation.lower()


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
@pytest.mark.requirement("RFC6960-3.2")
def test_it_judges_as_we_do(make: Any, root: Authority, tmp_path: Path) -> None:
    leaf, other = root.leaf("SN-0001"), root.leaf("Other")
    response = make(Responder(root, WebServer(0)), leaf.certificate, other)
    (tmp_path / "response").write_bytes(response)
    done = subprocess.run(
        [
            *("openssl", "ocsp", "-respin", str(tmp_path / "response"), "-CAfile", str(root.file)),
            *("-issuer", str(root.file), "-cert", str(leaf.chain), "-no_nonce"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    line = next((line for line in said.splitlines() if line.startswith(f"{leaf.chain}: ")), ": not believed")
    theirs = line.split(": ", 1)[1]
    if "Response verify OK" not in said or "WARNING" in said or "ERROR: No Status found" in theirs:
        theirs = "not believed"
    assert ours(response, leaf.certificate, root.certificate) == theirs, said
