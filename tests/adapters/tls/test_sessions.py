"""TLS sessions that are resumed: shorter handshakes, and no less judgement."""

import ssl
import time
from datetime import timedelta

import pytest

from ocpp_adapters import tls_policy
from ocpp_adapters.tls_failures import CertificateRefusedError, TlsFault
from ocpp_adapters.tls_peer import PeerCertificate, peer_certificate
from ocpp_adapters.tls_policy import Names, SecurityProfile
from tests.adapters.tls.memory import Pair, connect
from tests.adapters.tls.pki import Authority, Leaf
from tests.adapters.tls.policies import SERIAL, VERSIONS, csms, station


def resumed(both: Pair) -> tuple[bool, bool]:
    assert both.station.established is not None
    assert both.csms.established is not None
    return both.station.established.resumed, both.csms.established.resumed


def test_a_session_belongs_to_a_name_and_may_be_unwanted(root: Authority, server: tuple[Leaf, Leaf]) -> None:
    context = csms(root, server, profile=SecurityProfile.TLS_BASIC)
    unwanted = station(root, resumption=False)
    for _ in range(2):
        assert resumed(connect(unwanted, context)) == (False, False)
    client = station(root)
    connect(client, context)
    elsewhere = connect(client, context, "elsewhere.example.com")
    assert elsewhere.station.failed is not None
    assert elsewhere.station.failed.fault is TlsFault.WRONG_NAME


@VERSIONS
@pytest.mark.requirement("RFC8446-2.2", "RFC5077-3", "A00.FR.403")
def test_a_session_is_resumed_and_judged_again(
    newest: ssl.TLSVersion, root: Authority, server: tuple[Leaf, Leaf]
) -> None:
    revoked: list[str] = []

    def check(certificate: PeerCertificate) -> None:
        if certificate.common_name in revoked:
            raise CertificateRefusedError(TlsFault.REVOKED, "says the cache")

    context = csms(root, server, maximum=newest, check=check)
    client = station(root, root.leaf(SERIAL))
    assert resumed(connect(client, context)) == (False, False)
    again = connect(client, context)
    assert resumed(again) == (True, True)
    certificate = peer_certificate(again.csms.link.object)
    assert certificate is not None
    assert certificate.common_name == SERIAL
    revoked.append(SERIAL)
    both = connect(client, context)
    assert both.csms.failed is not None
    assert both.csms.failed.fault is TlsFault.REVOKED
    assert both.csms.received == both.station.received == b""


@VERSIONS
@pytest.mark.parametrize("names", [Names.EXACT, Names.ANY])
@pytest.mark.requirement("A00.FR.403")
def test_a_certificate_that_has_expired_since_is_not_resumed(
    newest: ssl.TLSVersion,
    names: Names,
    root: Authority,
    server: tuple[Leaf, Leaf],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenSSL itself looks at the time in full handshakes only; neither end may resume."""
    context = csms(root, server, maximum=newest)
    client = station(root, root.leaf(SERIAL), names=names)
    connect(client, context)
    assert resumed(connect(client, context)) == (True, True)
    later = time.time() + timedelta(days=3650).total_seconds()
    monkeypatch.setattr("ocpp_adapters.tls_policy.time.time", lambda: later)
    both = connect(client, context)
    failures = [end.failed for end in (both.station, both.csms) if end.failed is not None]
    assert TlsFault.EXPIRED in [failure.fault for failure in failures]
    assert both.csms.received == b""


@VERSIONS
@pytest.mark.requirement("RFC8446-2.2", "B10.FR.09")
def test_a_session_that_was_refused_is_not_offered_again(
    newest: ssl.TLSVersion, root: Authority, server: tuple[Leaf, Leaf], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CSMS that got a new certificate and goes on with its tickets must not lock the station out."""
    context = csms(root, server, profile=SecurityProfile.TLS_BASIC, maximum=newest)
    client = station(root)
    connect(client, context)
    later = time.time() + timedelta(days=3650).total_seconds()
    with monkeypatch.context() as patch:
        patch.setattr("ocpp_adapters.tls_policy.time.time", lambda: later)
        assert connect(client, context).station.failed is not None
    assert resumed(connect(client, context)) == (False, False)


def test_few_sessions_are_kept(root: Authority) -> None:
    context = csms(root, (root.leaf(), root.leaf(kind="rsa")), profile=SecurityProfile.TLS_BASIC)
    client = station(root, names=Names.ANY)
    for number in range(17):
        connect(client, context, f"host{number}")
    assert resumed(connect(client, context, "host0")) == (False, False)
    assert resumed(connect(client, context, "host9")) == (True, True)


def test_who_resumes_shows_no_issuer_but_they_are_remembered(
    root: Authority, server: tuple[Leaf, Leaf], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_policy, "_ISSUERS", 2)
    context = csms(root, server)
    client = station(root, root.authority("Sub").leaf(SERIAL))
    full, again = (peer_certificate(connect(client, context).csms.link.object) for _ in range(2))
    assert full is not None
    assert len(full.chain) == 3
    assert again == full
    for name in ("One", "Another"):
        connect(station(root, root.authority(name).leaf(SERIAL)), context)
    assert len(context.issuers) == 2
    forgotten = connect(client, context)
    assert resumed(forgotten) == (True, True)
    certificate = peer_certificate(forgotten.csms.link.object)
    assert certificate is not None
    assert certificate.chain == full.chain[:1]
