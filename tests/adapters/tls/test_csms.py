"""The CSMS's end: which stations it lets in, with what suites and versions (A00, profiles 2 and 3)."""

import os
import ssl
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ocpp_adapters.tls_failures import (
    SecurityEvent,
    TlsFault,
)
from ocpp_adapters.tls_peer import PeerCertificate, peer_certificate, sent_chain
from ocpp_adapters.tls_policy import STANDARD_CIPHERS, CsmsTls, SecurityProfile, StationTls
from ocpp_core import ConfigurationError, LocalProtocolError
from tests.adapters.tls import pki
from tests.adapters.tls.memory import connect
from tests.adapters.tls.pki import DAY, OPERATOR, Authority, Leaf
from tests.adapters.tls.policies import PROFILE3, SERIAL, TLS12, VERSIONS, csms, station


@pytest.fixture(scope="module")
def sub(root: Authority) -> Authority:
    return root.authority("Sub")


GOOD: dict[str, Callable[[Authority, Authority], Leaf]] = {
    "ECDSA": lambda root, sub: root.leaf(SERIAL),
    "RSA": lambda root, sub: root.leaf(SERIAL, kind="rsa"),
    "below an intermediate": lambda root, sub: sub.leaf(SERIAL),
    "for clients": lambda root, sub: sub.leaf(SERIAL, purposes=(pki.CLIENT_AUTH,)),
}


@VERSIONS
@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
@pytest.mark.requirement(
    "A00.FR.401", "A00.FR.402", "A00.FR.403", "A00.FR.409", "A00.FR.410", "A00.FR.511", "1.6-A00.FR.401",
    "1.6-A00.FR.402", "1.6-A00.FR.403", "2.0.1-A00.FR.409", "2.1-A00.FR.409", "1.6-A00.FR.409",
    "1.6-A00.FR.410", "1.6-A00.FR.511",
)  # fmt: skip
def test_a_station_is_let_in_by_its_certificate(
    make: Callable[[Authority, Authority], Leaf],
    newest: ssl.TLSVersion,
    root: Authority,
    sub: Authority,
    server: tuple[Leaf, Leaf],
) -> None:
    both = connect(station(root, make(root, sub)), csms(root, server, maximum=newest))
    assert both.csms.received == b"hello"
    certificate = peer_certificate(both.csms.link.object)
    assert certificate is not None
    assert (certificate.common_name, certificate.organizations) == (SERIAL, (OPERATOR,))
    assert certificate.chain[-1] == ssl.PEM_cert_to_DER_cert(root.file.read_text())
    assert sent_chain(both.csms.link.object)[: len(certificate.chain) - 1] == certificate.chain[:-1]
    assert certificate.not_before < certificate.not_after


@VERSIONS
def test_what_a_peer_sends_later_cannot_make_its_certificate_an_error(
    newest: ssl.TLSVersion, root: Authority, server: tuple[Leaf, Leaf]
) -> None:
    """Whoever lets stations in asks for the certificate, perhaps after a look into a registry far away."""
    both = connect(station(root, root.leaf(SERIAL)), csms(root, server, maximum=newest))
    assert peer_certificate(both.csms.link.object) is not None
    for record in (b"\x16\x03\x03\x00\x04\x00\x00\x00\x00", b"\x17\x03\x03\xff\xff", b"GET / HTTP/1.1\r\n"):
        both.csms.link.receive_data(record, 0.0)
        both.csms.turn()
        assert peer_certificate(both.csms.link.object) is None
    assert both.csms.failed is not None


@VERSIONS
@pytest.mark.requirement("1.6-A00.FR.003", "A00.FR.001", "1.6-A00.FR.001")
def test_a_station_that_is_not_asked_for_its_certificate_goes(
    newest: ssl.TLSVersion, root: Authority, server: tuple[Leaf, Leaf]
) -> None:
    """A CSMS with another profile lets anybody in: it has not authenticated this station."""
    lax = csms(root, server, maximum=newest, profile=SecurityProfile.TLS_BASIC)
    both = connect(station(root, root.leaf(SERIAL)), lax)
    assert both.station.failed is not None
    assert (both.station.failed.fault, both.station.failed.event) == (TlsFault.OTHER_PROFILE, None)
    assert both.csms.received == b""


BAD: dict[str, tuple[TlsFault, Callable[[Authority, Authority], Leaf]]] = {
    "expired": (TlsFault.EXPIRED, lambda root, sub: sub.leaf(SERIAL, since=-9 * DAY, until=-DAY)),
    "not yet valid": (TlsFault.NOT_YET_VALID, lambda root, sub: sub.leaf(SERIAL, since=DAY, until=9 * DAY)),
    "intermediate not sent": (TlsFault.UNKNOWN_ISSUER, lambda root, sub: sub.leaf(SERIAL, send_chain=False)),
    "of another root": (
        TlsFault.UNKNOWN_ISSUER,
        lambda root, sub: pki.root(root.folder, "Other").leaf(SERIAL),
    ),
    "self-signed": (TlsFault.SELF_SIGNED, lambda root, sub: pki.self_signed(root.folder, SERIAL)),
    "for servers": (TlsFault.WRONG_USAGE, lambda root, sub: sub.leaf(SERIAL, purposes=(pki.SERVER_AUTH,))),
}


@VERSIONS
@pytest.mark.parametrize(("fault", "make"), BAD.values(), ids=BAD)
@pytest.mark.requirement(
    "A00.FR.403", "A00.FR.407", "A00.FR.408", "1.6-A00.FR.403", "1.6-A00.FR.407", "1.6-A00.FR.408",
)  # fmt: skip
def test_a_station_with_a_bad_certificate_is_refused(
    fault: TlsFault,
    make: Callable[[Authority, Authority], Leaf],
    newest: ssl.TLSVersion,
    root: Authority,
    sub: Authority,
    server: tuple[Leaf, Leaf],
) -> None:
    both = connect(station(root, make(root, sub)), csms(root, server, maximum=newest))
    assert both.csms.failed is not None
    assert both.csms.failed.fault is fault
    assert both.csms.failed.event is SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE
    assert both.csms.closed is not None
    assert both.station.failed is not None  # it hears of it, with TLS 1.3 only after its own handshake
    assert both.station.failed.fault is TlsFault.REFUSED_OURS
    assert both.station.failed.event is SecurityEvent.FAILED_TO_AUTHENTICATE_AT_CSMS


@VERSIONS
@pytest.mark.requirement("A00.FR.407", "A00.FR.408", "A00.FR.001", "A00.FR.002")
def test_a_station_without_a_certificate_is_refused(
    newest: ssl.TLSVersion, root: Authority, server: tuple[Leaf, Leaf]
) -> None:
    both = connect(station(root), csms(root, server, maximum=newest))
    assert both.csms.failed is not None
    assert both.csms.failed.fault is TlsFault.NO_CERTIFICATE
    assert both.csms.failed.event is SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE
    assert both.station.failed is not None
    assert (
        both.station.failed.fault is TlsFault.REFUSED_OURS
    )  # though TLS 1.2's alert is that of no common suite
    assert both.station.failed.event is SecurityEvent.FAILED_TO_AUTHENTICATE_AT_CSMS


@pytest.mark.requirement("A00.FR.316")
def test_no_common_suite_is_told_apart_also_where_a_session_is_offered(
    root: Authority, server: tuple[Leaf, Leaf]
) -> None:
    """It is not taken for a refusal after the CSMS's certificate: the session's is none that was sent now."""
    ours = StationTls(trust=(root.file,), ciphers=("ECDHE-RSA-AES256-GCM-SHA384",)).context()
    newest = ssl.TLSVersion.TLSv1_2
    first = connect(ours, CsmsTls(credentials=(server[1].credential,), maximum=newest).context())
    assert first.station.received == b"world"
    other = CsmsTls(
        credentials=(server[1].credential,), maximum=newest, ciphers=("ECDHE-RSA-AES128-GCM-SHA256",)
    )
    both = connect(ours, other.context())
    assert both.station.failed is not None
    assert both.station.failed.fault is TlsFault.CIPHER_SUITE
    assert both.station.failed.event is SecurityEvent.INVALID_TLS_CIPHER_SUITE


@pytest.mark.requirement("A00.FR.407", "A00.FR.702")
def test_a_revoked_station_is_refused(root: Authority, server: tuple[Leaf, Leaf]) -> None:
    good, bad = root.leaf(SERIAL), root.leaf("SN-0002")
    context = csms(root, server, crls=(root.crl(bad.certificate),))
    assert connect(station(root, good), context).csms.failed is None
    failed = connect(station(root, bad), context).csms.failed
    assert failed is not None
    assert failed.fault is TlsFault.REVOKED


@pytest.mark.requirement("A00.FR.429", "A00.FR.430", "A00.FR.807")
def test_an_expired_station_may_be_let_in_by_name(
    root: Authority, sub: Authority, server: tuple[Leaf, Leaf]
) -> None:
    """The station tries all the same, and what the CSMS excuses is this one certificate's end, no more."""

    def excused(certificate: PeerCertificate) -> bool:
        return certificate.common_name == SERIAL

    context = csms(root, server, accept_expired=excused)
    old = {"since": -9 * DAY, "until": -DAY}
    assert connect(station(root, sub.leaf(SERIAL, **old)), context).csms.received == b"hello"
    assert connect(station(root, sub.leaf("SN-0002")), context).csms.received == b"hello"
    for leaf, fault in (
        (sub.leaf("SN-0002", **old), TlsFault.EXPIRED),
        (sub.leaf(SERIAL, since=DAY, until=9 * DAY), TlsFault.NOT_YET_VALID),
        (root.authority("Old", **old).leaf(SERIAL), TlsFault.EXPIRED),
        (pki.root(root.folder, "Other").leaf(SERIAL, **old), TlsFault.UNKNOWN_ISSUER),
    ):
        both = connect(station(root, leaf), context)
        assert both.csms.failed is not None
        assert both.csms.failed.fault is fault
        assert both.csms.failed.event is SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE
        assert both.csms.received == b""


@pytest.mark.parametrize("cipher", STANDARD_CIPHERS)
@pytest.mark.requirement(
    "A00.FR.318", "A00.FR.319", "A00.FR.421", "A00.FR.422", "1.6-A00.FR.317", "1.6-A00.FR.318",
    "A00.FR.006", "1.6-A00.FR.421", "1.6-A00.FR.422",
)  # fmt: skip
def test_every_suite_of_the_standard_works_with_both_certificates(
    cipher: str, root: Authority, server: tuple[Leaf, Leaf]
) -> None:
    context = csms(root, server, profile=SecurityProfile.TLS_BASIC)
    both = connect(station(root, ciphers=(cipher,), maximum=TLS12), context)
    assert both.csms.established is not None
    assert both.csms.established.cipher == cipher
    der = both.station.link.object.getpeercert(binary_form=True)
    assert der == ssl.PEM_cert_to_DER_cert(server["ECDSA" not in cipher].chain.read_text())


@pytest.mark.requirement("A00.FR.318")
def test_the_csms_prefers_forward_secrecy(root: Authority, server: tuple[Leaf, Leaf]) -> None:
    context = csms(root, server, profile=SecurityProfile.TLS_BASIC)
    backwards = tuple(reversed(STANDARD_CIPHERS))
    both = connect(station(root, ciphers=backwards, maximum=TLS12), context)
    assert both.csms.established is not None
    assert both.csms.established.cipher == STANDARD_CIPHERS[0]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
@pytest.mark.requirement(
    "A00.FR.313", "A00.FR.315", "A00.FR.416", "A00.FR.418", "1.6-A00.FR.312", "1.6-A00.FR.314",
    "1.6-A00.FR.313", "1.6-A00.FR.323", "1.6-A00.FR.416", "1.6-A00.FR.417", "1.6-A00.FR.418",
)  # fmt: skip
def test_a_station_with_an_old_version_is_cut_off(
    newest: ssl.TLSVersion, root: Authority, server: tuple[Leaf, Leaf]
) -> None:
    both = connect(old_station("ALL", newest), csms(root, server, profile=SecurityProfile.TLS_BASIC))
    assert both.csms.failed is not None
    assert (both.csms.failed.fault, both.csms.failed.event) == (
        TlsFault.VERSION,
        SecurityEvent.INVALID_TLS_VERSION,
    )
    assert both.csms.closed is not None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("cipher", ["AES128-SHA", "NULL-SHA256", "AECDH-AES128-SHA"])
@pytest.mark.requirement(
    "A00.FR.320", "A00.FR.322", "A00.FR.423", "A00.FR.425", "1.6-A00.FR.321", "1.6-A00.FR.319",
    "1.6-A00.FR.323", "1.6-A00.FR.423", "1.6-A00.FR.425",
)  # fmt: skip
def test_a_station_with_weak_suites_is_cut_off(
    cipher: str, root: Authority, server: tuple[Leaf, Leaf]
) -> None:
    both = connect(old_station(cipher, TLS12), csms(root, server, profile=SecurityProfile.TLS_BASIC))
    assert both.csms.failed is not None
    assert (both.csms.failed.fault, both.csms.failed.event) == (
        TlsFault.CIPHER_SUITE,
        SecurityEvent.INVALID_TLS_CIPHER_SUITE,
    )
    assert both.csms.closed is not None


def old_station(ciphers: str, newest: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = newest
    return context


@VERSIONS
@pytest.mark.requirement(
    "A00.FR.321", "A00.FR.424", "1.6-A00.FR.320", "RFC7525-3.3", "RFC5746-5", "1.6-A00.FR.424",
)  # fmt: skip
def test_neither_compression_nor_renegotiation(
    newest: ssl.TLSVersion, root: Authority, server: tuple[Leaf, Leaf]
) -> None:
    both = connect(station(root, root.leaf(SERIAL)), csms(root, server, maximum=newest))
    for end in (both.station, both.csms):
        assert end.link.object.compression() is None
        options = end.link.object.context.options
        assert options & ssl.OP_NO_RENEGOTIATION
        assert options & ssl.OP_NO_COMPRESSION


@VERSIONS
@pytest.mark.parametrize("mistake", [KeyError("a bug"), ssl.SSLError(1, "of its own"), ValueError("bad")])
def test_a_check_that_fails_lets_nobody_in(
    newest: ssl.TLSVersion, mistake: Exception, root: Authority, server: tuple[Leaf, Leaf]
) -> None:
    """What it raises is not the peer's to cause: no adapter's loop or thread has to end by it."""

    def check(certificate: PeerCertificate) -> None:
        raise mistake

    context = csms(root, server, profile=SecurityProfile.TLS_BASIC, maximum=newest)
    both = connect(station(root, check=check), context)
    assert both.station.failed is not None
    assert both.station.failed.fault is TlsFault.BAD_CERTIFICATE
    assert repr(mistake) in both.station.failed.detail
    assert both.csms.received == b""


def test_a_check_is_for_certificates(root: Authority, server: tuple[Leaf, Leaf]) -> None:
    """Where a station has none there is nothing to check."""
    asked: list[PeerCertificate] = []
    context = csms(root, server, profile=SecurityProfile.TLS_BASIC, check=asked.append)
    assert connect(station(root, check=asked.append), context).csms.received == b"hello"
    assert [certificate.common_name for certificate in asked] == [pki.HOST]


def test_the_key_log_holds_the_secrets_of_the_connections(
    root: Authority, server: tuple[Leaf, Leaf], tmp_path: Path
) -> None:
    log = tmp_path / "keys.log"
    connect(station(root, keylog=log), csms(root, server, profile=SecurityProfile.TLS_BASIC))
    assert "CLIENT_TRAFFIC_SECRET_0 " in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_key_log_that_is_there_already_is_for_its_owner_only(
    root: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "keys.log"
    log.write_text("# before\n")
    log.chmod(0o666)
    station(root, keylog=log)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert log.read_text().startswith("# before\n")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConfigurationError, match="another user's"):
        station(root, keylog=log)
    with pytest.raises(ConfigurationError, match="cannot write"):
        station(root, keylog=tmp_path / "nowhere" / "keys.log")


NOT_OURS = "A00.FR.320|unknown|none of"
WRONG: dict[str, tuple[str, Callable[[Authority, Leaf, Path], object]]] = {
    "profile without TLS": ("no TLS", lambda root, leaf, tmp: station(root, profile=SecurityProfile.BASIC)),
    "old version": ("A00.FR.313", lambda root, leaf, tmp: station(root, maximum=ssl.TLSVersion.SSLv3)),
    "no client certificate": ("A00.FR.402", lambda root, leaf, tmp: station(root, profile=PROFILE3)),
    "no anchor": ("no trust anchor", lambda root, leaf, tmp: StationTls()),
    "no anchor for stations": (
        "no trust anchor",
        lambda root, leaf, tmp: CsmsTls(credentials=(leaf.credential,), profile=PROFILE3),
    ),
    "no certificate": ("A00.FR.307", lambda root, leaf, tmp: CsmsTls(credentials=())),
    "no suite": ("none of nothing", lambda root, leaf, tmp: station(root, ciphers=())),
    "unknown suite": ("unknown", lambda root, leaf, tmp: station(root, ciphers=(*STANDARD_CIPHERS, "X"))),
    "keyword": ("unknown", lambda root, leaf, tmp: station(root, ciphers=("ALL", STANDARD_CIPHERS[0]))),
    "level": ("unknown", lambda root, leaf, tmp: station(root, ciphers=(STANDARD_CIPHERS[0], "@SECLEVEL=0"))),
    "anonymous": (NOT_OURS, lambda root, leaf, tmp: station(root, ciphers=("ADH-AES128-SHA256",))),
    "no encryption": (NOT_OURS, lambda root, leaf, tmp: station(root, ciphers=("NULL-SHA256",))),
    "no file of anchors": ("cannot use", lambda root, leaf, tmp: station(root, trust=(tmp / "nothing",))),
    "no anchor in the file": ("cannot use", lambda root, leaf, tmp: station(root, trust=(leaf.key_file,))),
    "no list in the file": ("cannot use", lambda root, leaf, tmp: station(root, crls=(leaf.key_file,))),
    "another's key": (
        "cannot use",
        lambda root, leaf, tmp: station(root, replace(leaf, key_file=root.leaf(kind="rsa").key_file)),
    ),
    "no key file": (
        "No such file",
        lambda root, leaf, tmp: station(root, replace(leaf, key_file=tmp / "nothing")),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("message", "make"), WRONG.values(), ids=WRONG)
@pytest.mark.requirement("A00.FR.004", "A00.FR.320", "A00.FR.423", "1.6-A00.FR.004")
def test_a_policy_that_makes_no_sense_is_refused(
    message: str, make: Callable[[Authority, Leaf, Path], object], root: Authority, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make(root, root.leaf(), tmp_path)


def test_a_policy_is_not_for_sockets(root: Authority) -> None:
    """Its own rules would not be held there."""
    with pytest.raises(LocalProtocolError):
        station(root).wrap_socket(None)


def test_the_systems_anchors_may_be_trusted_too(root: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(root.file))
    other = pki.root(root.folder, "Other")
    context = csms(root, (root.leaf(), root.leaf(kind="rsa")), profile=SecurityProfile.TLS_BASIC)
    for system, content in ((True, True), (False, False)):
        policy = StationTls(trust=(other.file,), system_trust=system)
        assert (connect(policy.context(), context).station.failed is None) is content
