"""What an ASGI server tells of TLS, and what we make uvicorn tell: the same certificate as elsewhere."""

import asyncio
import logging
import ssl
import sys
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from ocpp_adapters.asgi_tls import behind_proxy, extension_of, told
from ocpp_adapters.tls_peer import TlsElsewhere, peer_certificate
from ocpp_adapters.tls_policy import CsmsTls, SecurityProfile, StationTls
from tests.adapters.tls import pki
from tests.adapters.tls.memory import connect
from tests.adapters.tls.pki import Authority, Leaf

CERTIFICATE = SecurityProfile.TLS_CERTIFICATE


def csms_end(root: Authority, leaf: Leaf | None, newest: ssl.TLSVersion) -> ssl.SSLObject:
    """A CSMS's end of a connection, with a station that has a certificate or is not asked for one."""
    profile = SecurityProfile.TLS_BASIC if leaf is None else CERTIFICATE
    csms = CsmsTls(credentials=(root.leaf().credential,), trust=(root.file,), profile=profile, maximum=newest)
    credential = None if leaf is None else leaf.credential
    station = StationTls(trust=(root.file,), profile=profile, credential=credential)
    return connect(station.context(), csms.context()).csms.link.object


def scope(tls: Any, **changes: Any) -> dict[str, Any]:
    return {"type": "websocket", "scheme": "wss", "extensions": {"tls": {**tls, **changes}}}


LEAVES = {
    "a station's": lambda root: root.leaf("SN-0001"),
    "with a sub-CA": lambda root: root.authority("Sub").leaf("SN-0001", "Maker"),
    "without owner": lambda root: root.leaf("SN-0001", None),
    "with names": lambda root: root.leaf(
        "SN-0001",
        names=(
            x509.DNSName("a.example"),
            x509.IPAddress(ip_address("192.0.2.7")),
            x509.IPAddress(ip_address("2001:db8::7")),
        ),
    ),
}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("leaf", LEAVES.values(), ids=LEAVES)
@pytest.mark.requirement("A00.FR.404", "A00.FR.405", "A00.FR.509", "A00.FR.511")
def test_it_is_the_same_certificate(root: Authority, leaf: Any, version: ssl.TLSVersion) -> None:
    """Told in PEM and read again, or asked of OpenSSL."""
    tls = csms_end(root, leaf(root), version)
    extension = extension_of(tls)
    assert peer_certificate(told(scope(extension))) == peer_certificate(tls)
    assert extension["tls_version"] == (0x0303 if version is ssl.TLSVersion.TLSv1_2 else 0x0304)
    assert extension["cipher_suite"] == (0xC02B if version is ssl.TLSVersion.TLSv1_2 else 0x1302)


def test_no_certificate_and_no_tls(root: Authority) -> None:
    extension = extension_of(csms_end(root, None, ssl.TLSVersion.TLSv1_3))
    assert extension["client_cert_chain"] == []
    assert told(scope(extension)) == TlsElsewhere(None)
    assert told({"type": "websocket", "scheme": "wss"}) == TlsElsewhere(None)
    assert told({"type": "websocket", "scheme": "ws", "extensions": {}}) is None
    assert told({"type": "websocket", "extensions": None}) is None
    assert peer_certificate(None) is None


def test_what_was_not_verified_or_cannot_be_read_does_not_count(
    root: Authority, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    extension = extension_of(csms_end(root, root.leaf("SN-0001"), ssl.TLSVersion.TLSv1_3))
    assert told(scope(extension)) != TlsElsewhere(None)
    assert told(scope(extension, client_cert_error="expired")) == TlsElsewhere(None)
    assert told(scope(extension, client_cert_chain=None)) == TlsElsewhere(None)
    with caplog.at_level(logging.WARNING):
        assert told(scope(extension, client_cert_chain=["no certificate"])) == TlsElsewhere(None)
        monkeypatch.setitem(sys.modules, "cryptography", None)
        assert told(scope(extension)) == TlsElsewhere(None)
    assert caplog.text.count("does not count") == 2


def test_a_name_of_a_kind_that_nobody_reads_is_no_crash(root: Authority) -> None:
    """An x400Address: cryptography knows of it only that it is not supported."""
    key, name = pki.make_key("ec"), root.certificate.subject
    names = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, bytes.fromhex("3004a3023000"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(pki.NOW)
        .not_valid_after(pki.NOW + pki.DAY)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM).decode()
    assert told(scope({"client_cert_chain": [pem]})) == TlsElsewhere(None)


def seen_behind_proxy(*headers: tuple[bytes, bytes], kind: str = "websocket", scheme: str = "wss") -> Any:
    """What an application behind a proxy reads of a station's certificate."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(told(scope))

    async def served() -> None:
        await behind_proxy(app)(given, None, None)

    given = {"type": kind, "scheme": scheme, "headers": list(headers), "extensions": None}
    before = dict(given)
    asyncio.run(served())
    assert given == before
    return seen[0]


@pytest.mark.requirement("A00.FR.404", "A00.FR.509")
def test_a_proxy_tells_of_the_certificate_that_it_has_verified(root: Authority) -> None:
    leaf = root.leaf("SN-0001")
    pem = leaf.certificate.public_bytes(Encoding.PEM)
    cert = (b"X-SSL-Client-Cert", quote(pem).encode())
    success, failed = (b"x-ssl-client-verify", b"SUCCESS"), (b"x-ssl-client-verify", b"FAILED:expired")
    told_of = peer_certificate(seen_behind_proxy(cert, success))
    assert told_of is not None
    assert (told_of.common_name, len(told_of.chain)) == ("SN-0001", 1)
    nobody = TlsElsewhere(None)
    for headers in ((cert,), (success,), (cert, failed), (cert, cert, success), (cert, success, success), ()):
        assert seen_behind_proxy(*headers) == nobody, headers
    assert seen_behind_proxy(scheme="ws") is None
    assert seen_behind_proxy(cert, success, kind="http") == nobody  # which has no extension
