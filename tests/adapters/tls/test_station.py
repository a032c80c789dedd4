"""The charging station's end: which CSMS it trusts, which it refuses, and what it reports (block A00)."""

import ipaddress
import ssl
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ocpp_adapters.tls_failures import CERTIFICATE_FAULTS, Diagnosis, SecurityEvent, TlsFault
from ocpp_adapters.tls_policy import CsmsTls, Names, SecurityProfile, StationTls, files
from ocpp_core import ConfigurationError
from tests.adapters.tls import pki
from tests.adapters.tls.memory import connect, pair
from tests.adapters.tls.pki import DAY, HOST, Authority, Leaf

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("newest", [TLS12, TLS13], ids=["1.2", "1.3"])
dns = x509.DNSName


@pytest.fixture(scope="module")
def sub(root: Authority) -> Authority:
    return root.authority("Sub")


def station(root: Authority, **changes: object) -> StationTls:
    return StationTls(**{"trust": (root.file,), **changes})


def csms(leaf: Leaf, newest: ssl.TLSVersion = TLS13) -> ssl.SSLContext:
    return CsmsTls(credentials=(leaf.credential,), maximum=newest).context()


GOOD: dict[str, Callable[[Authority, Authority], Leaf]] = {
    "common name": lambda root, sub: root.leaf(),
    "below an intermediate": lambda root, sub: sub.leaf(),
    "RSA": lambda root, sub: sub.leaf(kind="rsa"),
    "one name of several": lambda root, sub: root.leaf("other.example", names=(dns("a.b"), dns(HOST))),
    "a wildcard beside the full name": lambda root, sub: root.leaf(HOST, names=(dns("*.example.com"),)),
    "in capitals": lambda root, sub: root.leaf(HOST.upper()),
    "extended key usage": lambda root, sub: root.leaf(purposes=(pki.SERVER_AUTH,)),
}


@VERSIONS
@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
@pytest.mark.requirement(
    "A00.FR.307", "A00.FR.308", "A00.FR.309", "A00.FR.312", "A00.FR.313", "A00.FR.314", "A00.FR.317",
    "A00.FR.410", "A00.FR.411", "A00.FR.412", "A00.FR.415", "A00.FR.416", "A00.FR.417", "A00.FR.420",
    "A00.FR.510", "1.6-A00.FR.307", "1.6-A00.FR.308", "1.6-A00.FR.311", "1.6-A00.FR.312", "A00.FR.306",
    "2.0.1-A00.FR.409", "2.1-A00.FR.409", "1.6-A00.FR.305", "1.6-A00.FR.306", "1.6-A00.FR.313",
    "1.6-A00.FR.316", "1.6-A00.FR.409", "1.6-A00.FR.410", "1.6-A00.FR.411", "1.6-A00.FR.412",
    "1.6-A00.FR.415", "1.6-A00.FR.416", "1.6-A00.FR.417", "1.6-A00.FR.420", "1.6-A00.FR.507",
    "1.6-A00.FR.510",
)  # fmt: skip
def test_a_good_csms_is_trusted(
    make: Callable[[Authority, Authority], Leaf], newest: ssl.TLSVersion, root: Authority, sub: Authority
) -> None:
    both = connect(station(root).context(), csms(make(root, sub), newest))
    assert both.station.failed is both.csms.failed is None
    assert (both.station.received, both.csms.received) == (b"world", b"hello")
    assert both.station.established is not None
    assert both.station.established.version == {TLS12: "TLSv1.2", TLS13: "TLSv1.3"}[newest]


BAD: dict[str, tuple[TlsFault, Callable[[Authority, Authority], Leaf]]] = {
    "expired": (TlsFault.EXPIRED, lambda root, sub: sub.leaf(since=-9 * DAY, until=-DAY)),
    "not yet valid": (TlsFault.NOT_YET_VALID, lambda root, sub: sub.leaf(since=DAY, until=9 * DAY)),
    "intermediate expired": (
        TlsFault.EXPIRED,
        lambda root, sub: root.authority("Old", since=-9 * DAY, until=-DAY).leaf(),
    ),
    "intermediate not sent": (TlsFault.UNKNOWN_ISSUER, lambda root, sub: sub.leaf(send_chain=False)),
    "of another root": (TlsFault.UNKNOWN_ISSUER, lambda root, sub: pki.root(root.folder, "Other").leaf()),
    "of a root of the same name": (
        TlsFault.BAD_CERTIFICATE,
        lambda root, sub: pki.root(root.folder, "Root").leaf(),
    ),
    "self-signed": (TlsFault.SELF_SIGNED, lambda root, sub: pki.self_signed(root.folder)),
    "for another name": (TlsFault.WRONG_NAME, lambda root, sub: sub.leaf("csms.example.org")),
    "for the parent domain": (TlsFault.WRONG_NAME, lambda root, sub: sub.leaf("example.com")),
    "for a name that begins like it": (TlsFault.WRONG_NAME, lambda root, sub: sub.leaf(HOST + ".evil.org")),
    "names beside the common name": (
        TlsFault.WRONG_NAME,
        lambda root, sub: sub.leaf(HOST, names=(dns("private.example.com"),)),
    ),
    "a null in the name": (TlsFault.WRONG_NAME, lambda root, sub: sub.leaf(HOST + "\0.evil.org")),
    "wildcard": (TlsFault.WILDCARD, lambda root, sub: sub.leaf("*.example.com")),
    "wildcard among the names": (
        TlsFault.WILDCARD,
        lambda root, sub: sub.leaf("x.y", names=(dns("a.b"), dns("*.example.com"))),
    ),
    "wildcard over two labels": (TlsFault.WRONG_NAME, lambda root, sub: sub.leaf("*.com")),
    "for clients": (TlsFault.WRONG_USAGE, lambda root, sub: sub.leaf(purposes=(pki.CLIENT_AUTH,))),
    "issued by a leaf": (
        TlsFault.BAD_CERTIFICATE,
        lambda root, sub: Authority(
            (fake := root.leaf("fake")).certificate, fake.key, root.folder, (fake.certificate,)
        ).leaf(kind="rsa"),
    ),
}


@VERSIONS
@pytest.mark.parametrize(("fault", "make"), BAD.values(), ids=BAD)
@pytest.mark.requirement(
    "A00.FR.308", "A00.FR.309", "A00.FR.310", "A00.FR.311", "A00.FR.411", "A00.FR.412", "A00.FR.413",
    "A00.FR.414", "A00.FR.504", "A00.FR.512", "1.6-A00.FR.307", "1.6-A00.FR.308", "1.6-A00.FR.309",
    "1.6-A00.FR.310", "1.6-A00.FR.411", "1.6-A00.FR.412", "1.6-A00.FR.413", "1.6-A00.FR.414",
)  # fmt: skip
def test_a_bad_csms_is_refused_and_reported(
    fault: TlsFault,
    make: Callable[[Authority, Authority], Leaf],
    newest: ssl.TLSVersion,
    root: Authority,
    sub: Authority,
) -> None:
    both = connect(station(root).context(), csms(make(root, sub), newest))
    assert both.station.failed is not None
    assert both.station.failed.fault is fault
    assert both.station.failed.event is SecurityEvent.INVALID_CSMS_CERTIFICATE
    assert both.station.closed is not None
    if newest is TLS13:  # with TLS 1.2 the CSMS has the last word of the handshake
        assert both.csms.established is None
    assert both.csms.received == b""


@pytest.mark.requirement("A00.FR.310", "A00.FR.512", "1.6-A00.FR.512")
def test_a_key_for_signing_certificates_is_not_one_for_tls(root: Authority, sub: Authority) -> None:
    both = connect(station(root).context(), csms(sub.leaf(usage=pki.usage(key_cert_sign=True))))
    assert both.station.failed is not None  # with TLS 1.2 OpenSSL would not even serve it
    assert both.station.failed.fault is TlsFault.WRONG_USAGE


@pytest.mark.parametrize("kind", ["rsa1024", "ec192"])
@pytest.mark.requirement(
    "A00.FR.501", "A00.FR.502", "A00.FR.503", "A00.FR.310", "1.6-A00.FR.501", "1.6-A00.FR.502",
    "1.6-A00.FR.503",
)  # fmt: skip
def test_a_csms_with_a_weak_key_is_refused(kind: str, root: Authority, sub: Authority) -> None:
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lax.set_ciphers("ALL:@SECLEVEL=0")
    sub.leaf(kind=kind).credential(lax)
    lax.maximum_version = TLS12  # what has a curve of 192 bits
    both = connect(station(root).context(), lax)
    assert both.station.failed is not None
    assert both.station.failed.fault in {TlsFault.WEAK, TlsFault.CIPHER_SUITE}
    assert both.csms.received == b""


@pytest.mark.requirement("A00.FR.504", "A00.FR.310", "1.6-A00.FR.504")
def test_a_certificate_signed_with_an_old_digest_is_refused(root: Authority, tmp_path: Path) -> None:
    leaf, ca_key, signed = root.leaf(kind="rsa"), tmp_path / "ca.key", tmp_path / "signed.pem"
    ca_key.write_bytes(root.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    request = ["openssl", "x509", "-in", leaf.chain, "-signkey", leaf.key_file, "-x509toreq"]
    sign = ["openssl", "x509", "-req", "-CA", root.file, "-CAkey", ca_key, "-sha1", "-set_serial", "7"]
    csr = subprocess.run(request, check=True, capture_output=True).stdout
    signed.write_bytes(subprocess.run(sign, check=True, capture_output=True, input=csr).stdout)
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lax.set_ciphers("ALL:@SECLEVEL=0")
    lax.load_cert_chain(signed, leaf.key_file)
    failed = connect(station(root).context(), lax).station.failed
    assert failed is not None
    assert (failed.fault, failed.event) == (TlsFault.WEAK, SecurityEvent.INVALID_CSMS_CERTIFICATE)


@VERSIONS
@pytest.mark.requirement("A00.FR.308", "A00.FR.310", "RFC5280-6")
def test_a_revoked_csms_is_refused(newest: ssl.TLSVersion, root: Authority, sub: Authority) -> None:
    good, bad = sub.leaf(), sub.leaf()
    lists = (sub.crl(bad.certificate), root.crl())
    policy = station(root, crls=lists, crl_chain=True)
    assert connect(policy.context(), csms(good, newest)).station.failed is None
    failed = connect(policy.context(), csms(bad, newest)).station.failed
    assert failed is not None
    assert (failed.fault, failed.event) == (TlsFault.REVOKED, SecurityEvent.INVALID_CSMS_CERTIFICATE)


@pytest.mark.requirement("A00.FR.308", "RFC5280-6.3")
def test_without_a_current_list_of_every_issuer_nobody_is_trusted(root: Authority, sub: Authority) -> None:
    leaf = sub.leaf()
    for lists in ((root.crl(),), (sub.crl(until=timedelta(hours=-1)),)):
        failed = connect(station(root, crls=lists).context(), csms(leaf)).station.failed
        assert failed is not None
        assert failed.fault is TlsFault.REVOCATION_UNKNOWN
    revoked = root.crl(sub.certificate)
    failed = connect(
        station(root, crls=(sub.crl(), revoked), crl_chain=True).context(), csms(leaf)
    ).station.failed
    assert failed is not None
    assert failed.fault is TlsFault.REVOKED


@pytest.mark.requirement("A00.FR.309", "A00.FR.412")
def test_wildcards_and_any_name_if_it_is_so_configured(root: Authority, sub: Authority) -> None:
    """SecurityCtrlr.AllowCSMSTLSWildcards, and laboratories."""
    wildcard, other = csms(sub.leaf("*.example.com")), csms(sub.leaf("elsewhere"))
    assert connect(station(root, names=Names.WILDCARD).context(), wildcard).station.failed is None
    refused = connect(station(root, names=Names.WILDCARD).context(), other).station.failed
    assert refused is not None
    assert refused.fault is TlsFault.WRONG_NAME
    assert connect(station(root, names=Names.ANY).context(), other).station.failed is None
    named = station(root, server_name="elsewhere").context()
    assert connect(named, other, "10.0.0.1").station.failed is None


@pytest.mark.requirement("A00.FR.309")
def test_an_address_must_be_among_the_names(root: Authority) -> None:
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    leaf = csms(root.leaf(names=(address,)))
    assert connect(station(root).context(), leaf, "127.0.0.1").station.failed is None
    failed = connect(station(root).context(), leaf, "127.0.0.2").station.failed
    assert failed is not None
    assert failed.fault is TlsFault.WRONG_NAME


@pytest.mark.requirement("A00.FR.308", "M05.FR.13")
def test_an_anchor_need_not_be_a_root(root: Authority, sub: Authority) -> None:
    assert connect(station(sub).context(), csms(sub.leaf(send_chain=False))).station.failed is None


def legacy(leaf: Leaf, newest: ssl.TLSVersion, ciphers: str = "ALL") -> ssl.SSLContext:
    """A CSMS from another time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = newest
    leaf.credential(context)
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
@pytest.mark.requirement(
    "A00.FR.313", "A00.FR.314", "A00.FR.316", "A00.FR.416", "A00.FR.417", "A00.FR.419", "1.6-A00.FR.312",
    "1.6-A00.FR.313", "1.6-A00.FR.315", "1.6-A00.FR.416", "1.6-A00.FR.417", "1.6-A00.FR.419",
)  # fmt: skip
def test_an_old_tls_version_is_refused_and_reported(newest: ssl.TLSVersion, root: Authority) -> None:
    both = connect(station(root).context(), legacy(root.leaf(kind="rsa"), newest))
    assert both.station.failed is not None
    assert both.station.failed.fault is TlsFault.VERSION
    assert both.station.failed.event is SecurityEvent.INVALID_TLS_VERSION
    assert both.station.closed is not None


@pytest.mark.parametrize(
    "cipher", ["AES128-SHA", "ECDHE-RSA-AES256-SHA384", "NULL-SHA256", "AECDH-AES128-SHA"]
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.requirement(
    "A00.FR.320", "A00.FR.323", "A00.FR.423", "A00.FR.426", "1.6-A00.FR.319", "1.6-A00.FR.322",
    "1.6-A00.FR.423", "1.6-A00.FR.426",
)  # fmt: skip
def test_a_suite_that_ocpp_does_not_allow_is_refused_and_reported(cipher: str, root: Authority) -> None:
    both = connect(station(root).context(), legacy(root.leaf(kind="rsa"), TLS12, cipher))
    assert both.station.failed is not None
    assert both.station.failed.fault is TlsFault.CIPHER_SUITE
    assert both.station.failed.event is SecurityEvent.INVALID_TLS_CIPHER_SUITE
    assert both.station.closed is not None


@pytest.mark.requirement("A00.FR.314", "A00.FR.316", "RFC8446-4.1.3")
def test_a_downgrade_by_somebody_in_between_is_noticed(root: Authority) -> None:
    """Both have TLS 1.3; the station's offer of it is cut out, and the server's random tells."""
    server = csms(root.leaf())
    client = station(root, maximum=TLS12).context()
    both = connect(client, server)
    assert both.station.failed is None  # it offers no more than it has: no downgrade
    random = both.csms.wrote[0].find(b"DOWNGRD\x01")
    assert random > 0  # the server marks it (RFC 8446 §4.1.3)
    newer = station(root).context()
    tampered = connect_without_tls13(newer, server)
    assert tampered is not None
    assert (tampered.fault, tampered.event) == (TlsFault.DOWNGRADE, SecurityEvent.INVALID_TLS_VERSION)


def connect_without_tls13(client: ssl.SSLContext, server: ssl.SSLContext) -> Diagnosis | None:
    both = pair(client, server)
    hello = both.station.turn()
    versions = b"\x00\x2b\x00\x05\x04\x03\x04\x03\x03"  # supported_versions: 1.3, 1.2
    assert hello.count(versions) == 1
    both.csms.link.receive_data(hello.replace(versions, b"\xfa\xfa\x00\x05\x04\x03\x04\x03\x03"), 0.0)
    both.exchange()
    return both.station.failed


@pytest.mark.requirement("A00.FR.310")
def test_what_answers_without_tls_is_no_csms_but_no_event_either(root: Authority) -> None:
    both = pair(station(root).context(), csms(root.leaf()))
    both.station.turn()
    both.station.link.receive_data(b"HTTP/1.1 400 Bad Request\r\n\r\n", 0.0)
    both.station.turn()
    assert both.station.failed is not None
    assert (both.station.failed.fault, both.station.failed.event) == (TlsFault.NOT_TLS, None)


def test_every_fault_of_a_certificate_is_in_the_matrix() -> None:
    elsewhere = {
        TlsFault.REVOKED,
        TlsFault.REVOCATION_UNKNOWN,
        TlsFault.WEAK,
        TlsFault.WRONG_USAGE,
        TlsFault.NO_CERTIFICATE,
    }
    assert {fault for fault, _ in BAD.values()} | elsewhere == CERTIFICATE_FAULTS


def test_the_trust_may_be_a_folder(root: Authority, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(root.file.read_bytes())
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True, capture_output=True)
    assert connect(StationTls(trust=(tmp_path,)).context(), csms(root.leaf())).station.failed is None


def garbled(root: Authority) -> tuple[Path, Path]:
    """A certificate whose base64 is none, with the key that belonged to it."""
    leaf = root.leaf()
    text = leaf.chain.read_text().splitlines()
    leaf.chain.write_text("\n".join([text[0], "!" * 64, *text[2:]]))
    return leaf.chain, leaf.key_file


FILES: dict[str, tuple[Callable[[Authority], tuple[Path, Path]], str]] = {
    "not there": (lambda root: (root.folder / "none.pem", root.leaf().key_file), "No such file"),
    "another's key": (
        lambda root: (root.leaf().chain, root.leaf(kind="rsa").key_file),
        "the private key does not belong to the certificate",
    ),
    "garbled": (garbled, "one of them is no PEM file of its kind, or the key has another password"),
    "a key twice": (
        lambda root: (root.leaf().key_file, root.leaf().key_file),
        "one of them is no PEM file of its kind, or the key has another password",
    ),
}


@pytest.mark.parametrize(("make", "words"), FILES.values(), ids=FILES)
def test_what_is_wrong_with_files_is_told(
    make: Callable[[Authority], tuple[Path, Path]], words: str, root: Authority
) -> None:
    chain, key = make(root)
    with pytest.raises(ConfigurationError) as error:
        station(root, profile=SecurityProfile.TLS_CERTIFICATE, credential=files(chain, key)).context()
    assert words in str(error.value)
    assert ".c:" not in str(error.value), "nobody wants to know where in OpenSSL"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "there is no PEM certificate or revocation list in it"),
        ("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "cannot use"),
        (None, "No such file"),
    ],
)
def test_what_is_wrong_with_a_trust_anchor_is_told(content: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "anchor.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"anchor\.pem") as error:
        StationTls(trust=(path,)).context()
    assert words in str(error.value)
    assert ".c:" not in str(error.value)
