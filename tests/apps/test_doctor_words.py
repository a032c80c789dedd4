"""What ``ocpp doctor tls`` says of certificates and of servers that fail while it looks, without a server."""

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from ocpp_adapters.routes import Route
from ocpp_adapters.tls_link import Established
from ocpp_core.wire import ClientConfig
from ocpp_security.pki.certificate import Certificate, parse_der
from ocpp_station import doctor_checks, doctor_probe
from ocpp_station.doctor_checks import Question, examine
from ocpp_station.doctor_probe import Outcome, curious, shake_hands
from ocpp_station.doctor_words import Finding, Verdict, describe_chain, describe_names
from tests.adapters.tls import pki
from tests.adapters.tls.pki import HOST, Authority

URL = f"wss://{HOST}/CP1"
PROBLEM, NOTE, OK = Verdict.PROBLEM, Verdict.NOTE, Verdict.OK


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return pki.root(tmp_path_factory.mktemp("pki"))


def read(certificate: x509.Certificate) -> Certificate:
    return parse_der(certificate.public_bytes(Encoding.DER))


def other_key(root: Authority) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    key = ed25519.Ed25519PrivateKey.generate()
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, pki.NOW - pki.DAY, pki.NOW + pki.DAY)
    return builder.sign(key, None)


CHAINS: dict[str, tuple[Callable[[Authority], list[x509.Certificate]], Verdict, str]] = {
    "a CA's": (lambda root: [root.authority(HOST).certificate], PROBLEM, "it is a CA's certificate"),
    "no CA's": (
        lambda root: [root.leaf().certificate, root.leaf().certificate],
        PROBLEM,
        "it may not issue certificates",
    ),
    "extended key usage": (
        lambda root: [root.leaf(purposes=(pki.SERVER_AUTH,)).certificate],
        NOTE,
        "it has an extended key usage, which OCPP advises against (A00.FR.514)",
    ),
    "another kind of key": (lambda root: [other_key(root)], NOTE, "Ed25519 key, serial number 1"),
    "its root alone": (lambda root: [root.certificate], NOTE, "certificate 0: "),
}


@pytest.mark.parametrize(("make", "verdict", "words"), CHAINS.values(), ids=CHAINS)
def test_what_a_chain_is_said_to_be(
    make: Callable[[Authority], list[x509.Certificate]], verdict: Verdict, words: str, root: Authority
) -> None:
    findings = list(describe_chain([read(it) for it in make(root)], datetime.now(UTC)))
    assert any(words in it.text and it.verdict is verdict for it in findings), findings


dns = x509.DNSName
NAMES: dict[str, tuple[dict[str, Any], list[tuple[Verdict, str]]]] = {
    "common name": ({}, [(OK, f"the certificate names {HOST}")]),
    "no owner": ({"organization": None}, [(OK, "names"), (NOTE, "no organization name (A00.FR.509)")]),
    "alternative name only": (
        {"common_name": "other", "names": (dns(HOST),)},
        [(OK, "names"), (NOTE, "the host is an alternative name only")],
    ),
    "wildcard": ({"common_name": "*.example.com"}, [(PROBLEM, "by a wildcard only")]),
    "another": ({"common_name": "other"}, [(PROBLEM, f"does not name {HOST}")]),
}


@pytest.mark.requirement("A00.FR.309", "A00.FR.509", "A00.FR.510")
@pytest.mark.parametrize(("leaf", "expected"), NAMES.values(), ids=NAMES)
def test_whom_a_certificate_is_said_to_name(
    leaf: dict[str, Any], expected: list[tuple[Verdict, str]], root: Authority
) -> None:
    certificate = read(root.leaf(**leaf).certificate)
    findings = list(describe_names(certificate, HOST, exact=True))
    assert [it.verdict for it in findings] == [verdict for verdict, _ in expected]
    assert all(words in it.text for it, (_, words) in zip(findings, expected, strict=True))


# Servers that fail meanwhile.


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """What the first handshakes come to; those after them find nobody, and this OpenSSL has no bad suites."""
    outcomes: list[Outcome] = []

    def shake(*_: object, **__: object) -> Outcome:
        if not outcomes:
            raise ConnectionResetError("it has gone")
        return outcomes.pop(0)

    def choosy(*arguments: Any) -> ssl.SSLContext:
        if doctor_checks._UNFIT in arguments:
            raise ssl.SSLError("no cipher match")
        return curious(*arguments)

    monkeypatch.setattr(doctor_checks, "shake_hands", shake)
    monkeypatch.setattr(doctor_checks, "curious", choosy)
    return outcomes


def findings() -> Iterator[Finding]:
    return examine(Question(url=URL))


def test_a_server_that_goes_while_it_is_looked_at(seen: list[Outcome], root: Authority) -> None:
    seen.append(Outcome(None, None, (root.leaf().certificate.public_bytes(Encoding.DER),)))
    said = list(findings())
    assert any(it.text.startswith("a station with security profile 2 does not connect: ") for it in said)
    assert any(it.text == "TLS 1.2 is not offered" for it in said)
    assert not any("OCPP forbids" in it.text for it in said)


def test_what_a_server_calls_itself_does_nothing_to_a_terminal() -> None:
    assert str(Finding(Verdict.NOTE, "issued by CN=\x1b[2Jnobody\n")).endswith("issued by CN=?[2Jnobody?")


@pytest.mark.parametrize(("chain", "told"), [((b"no certificate",), True), ((), False)])
def test_a_certificate_that_cannot_be_read_or_is_not_sent(
    chain: tuple[bytes, ...], told: bool, seen: list[Outcome]
) -> None:
    seen.append(Outcome(None, Established("TLSv1.2", "ADH-AES128-SHA", resumed=False), chain))
    texts = [it.text for it in findings()]
    assert "csms.example.com speaks TLSv1.2 with ADH-AES128-SHA" in texts
    assert any(text.startswith("a certificate cannot be read: ") for text in texts) is told
    assert not any(text.startswith("certificate 0") for text in texts)


@pytest.mark.parametrize("how", ["closes", "resets", "breaks"])
def test_a_server_that_hangs_up(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaking(socket.socket):
        def sendall(self, *_: object) -> None:
            raise BrokenPipeError("before we said anything")

        def recv(self, *_: object) -> bytes:
            raise ConnectionResetError("and then")

    one, other = socket.socketpair()
    if how == "breaks":
        one = Breaking(fileno=one.detach())
    if how == "resets":
        other.sendall(b"\x15\x03\x03")  # and the rest never comes
    other.shutdown(socket.SHUT_WR)
    monkeypatch.setattr(doctor_probe, "dial", lambda *_: one)
    with other:
        outcome = shake_hands(Route(config=ClientConfig(url=URL)), curious(), 5.0)
    assert not outcome.agreed
    assert outcome.failed is not None
    assert one.fileno() < 0, "it is closed"
