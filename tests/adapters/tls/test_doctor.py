"""``ocpp doctor tls``: what it says of good and of bad servers, in words."""

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio.to_thread
import pytest

from ocpp_adapters import asyncio_server
from ocpp_adapters.sessions import Session
from ocpp_adapters.tls_policy import CsmsTls, SecurityProfile
from ocpp_station.cli import main
from tests.adapters.tls import pki
from tests.adapters.tls.pki import DAY, Authority, Leaf
from tests.adapters.tls.responder import GOOD, REVOKED, Says, responder

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def sub(root: Authority) -> Authority:
    return root.authority("Sub")


async def consult(context: ssl.SSLContext, *options: str) -> int:
    """The doctor's exit status on a server with this context."""
    async with await asyncio_server.serve(lambda a, p: Session(), "127.0.0.1", ssl_context=context) as server:
        url = f"wss://localhost:{server.port}/ocpp/CP1"
        return await anyio.to_thread.run_sync(lambda: main(["doctor", "tls", url, *options]))


def csms(*leaves: Leaf, **changes: object) -> ssl.SSLContext:
    return CsmsTls(credentials=tuple(leaf.credential for leaf in leaves), **changes).context()


@pytest.mark.requirement("A00.FR.308", "A00.FR.313", "A00.FR.318")
async def test_a_healthy_server(root: Authority, sub: Authority, capsys: pytest.CaptureFixture[str]) -> None:
    context = csms(sub.leaf("localhost"), sub.leaf("localhost", kind="rsa"))
    status = await consult(context, "--ca", str(root.file))
    said = capsys.readouterr().out
    assert status == 0, said
    for words in (
        "localhost speaks TLSv1.3",
        "certificate 0: O=Example CSO,CN=localhost",
        "certificate 1: O=Example CSO,CN=Sub",
        "EC secp256r1 key",
        "0 days left",
        "the station needs O=Example CSO,CN=Root as its trust anchor",
        "the certificate names localhost",
        "a station with security profile 2 trusts it",
        "TLS 1.0 is refused",
        "TLS 1.1 is refused",
        "TLS 1.2 is offered",
        "TLS 1.3 is offered",
        "TLS_RSA_WITH_AES_256_GCM_SHA384 is offered",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 is offered",
        "A station can connect.",
    ):
        assert words in said, words
    assert "PROBLEM" not in said


def stranger(root: Authority) -> Leaf:
    return pki.root(root.folder, "Other").leaf("localhost")


UNTRUSTED = "no path to a trust anchor"
ILL: dict[str, tuple[str, Callable[[Authority, Authority], Leaf]]] = {
    "expired": ("expired on ", lambda root, sub: sub.leaf("localhost", since=-9 * DAY, until=-DAY)),
    "not yet valid": ("not valid before ", lambda root, sub: sub.leaf("localhost", since=DAY, until=9 * DAY)),
    "wrong name": ("does not name localhost", lambda root, sub: sub.leaf("elsewhere")),
    "chain not sent": (UNTRUSTED, lambda root, sub: sub.leaf("localhost", send_chain=False)),
    "another root": (UNTRUSTED, lambda root, sub: stranger(root)),
    "wrong usage": (
        "key usage forbids",
        lambda root, sub: sub.leaf("localhost", kind="rsa", usage=pki.usage(key_cert_sign=True)),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("words", "make"), ILL.values(), ids=ILL)
@pytest.mark.requirement("A00.FR.310", "A00.FR.309")
async def test_a_bad_certificate(
    words: str,
    make: Callable[[Authority, Authority], Leaf],
    root: Authority,
    sub: Authority,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = await consult(csms(make(root, sub)), "--ca", str(root.file))
    said = capsys.readouterr().out
    assert status == 1
    assert words in said
    assert "InvalidCsmsCertificate" in said
    assert "There is something to mend." in said
    assert "TLS_RSA_WITH_AES_128_GCM_SHA256 is" in said  # it goes on


async def test_the_order_of_the_chain(
    root: Authority, sub: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leaf = sub.leaf("localhost")
    other = root.authority("Unrelated")
    leaf.chain.write_text(leaf.chain.read_text() + other.file.read_text() + root.file.read_text())
    await consult(csms(leaf), "--ca", str(root.file))
    said = capsys.readouterr().out
    assert "O=Example CSO,CN=Unrelated did not issue O=Example CSO,CN=Sub" in said
    assert "the root is sent along" in said


async def test_a_client_certificate_is_wanted_and_its_key_must_fit(
    root: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    context = csms(root.leaf("localhost"), trust=(root.file,), profile=SecurityProfile.TLS_CERTIFICATE)
    ours, other = root.leaf("SN-1"), root.leaf("SN-2", kind="rsa")
    trust = ("--ca", str(root.file))
    assert await consult(context, *trust) == 1
    said = capsys.readouterr().out
    assert "give --cert and --key" in said
    assert "FailedToAuthenticateAtCsms" in said
    assert await consult(context, *trust, "--cert", str(ours.chain), "--key", str(other.key_file)) == 1
    said = capsys.readouterr().out
    assert "belongs to another key" in said
    assert await consult(context, *trust, "--cert", str(ours.chain), "--key", str(ours.key_file)) == 0
    assert "security profile 3 trusts it" in capsys.readouterr().out
    expired = root.leaf("SN-1", since=-9 * DAY, until=-DAY)
    assert await consult(context, *trust, "--cert", str(expired.chain), "--key", str(expired.key_file)) == 1
    assert "the peer refuses our certificate" in capsys.readouterr().out


async def test_it_takes_what_a_station_is_given(
    root: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = csms(root.leaf("localhost"), trust=(root.file,), profile=SecurityProfile.TLS_CERTIFICATE)
    ours, security = root.leaf("SN-1"), tmp_path / "security.json"
    roots = tmp_path / "ca" / "csms" / "root.pem"
    roots.parent.mkdir(parents=True)
    roots.write_bytes(root.file.read_bytes())
    shown = {"chain": str(ours.chain), "key": str(ours.key_file)}
    cases: list[tuple[dict[str, object], int, str]] = [
        ({"trust": [str(root.file)], **shown}, 0, "security profile 3 trusts it"),
        (
            {"trust": [str(root.file)], "security_profile": 2, **shown},
            1,
            "give --cert and --key, or --security",
        ),
        ({"trust": [str(root.file)], "server_name": "elsewhere"}, 1, "does not name elsewhere"),
        ({"trust": [str(root.file)], "security_profile": 3}, 1, "needs chain and key, or a directory"),
        ({"directory": "."}, 1, "give --cert and --key, or --security"),
        ({"directory": ".", "security_profile": 3}, 1, "no certificate with its key"),
    ]
    for members, status, words in cases:
        security.write_text(json.dumps(members))
        assert await consult(context, "--security", str(security)) == status, members
        assert words in capsys.readouterr().out
    assert await consult(context, "--security", str(security), "--ca", str(root.file)) == 1
    assert "one or the other" in capsys.readouterr().err
    assert await consult(context, "--ca", str(tmp_path / "absent.pem")) == 1
    assert "absent.pem: No such file" in capsys.readouterr().out


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_what_is_offered_is_seen_without_a_client_certificate(
    newest: ssl.TLSVersion, root: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    context = csms(
        root.leaf("localhost"), trust=(root.file,), profile=SecurityProfile.TLS_CERTIFICATE, maximum=newest
    )
    ours, trust = root.leaf("SN-1"), ("--ca", str(root.file))
    shown = ("--cert", str(ours.chain), "--key", str(ours.key_file))
    for options, status, words in (((), 1, "give --cert and --key"), (shown, 0, "A station can connect.")):
        assert await consult(context, *trust, *options) == status
        said = capsys.readouterr().out
        assert words in said
        assert "certificate 0: O=Example CSO,CN=localhost" in said
        assert "TLS 1.2 is offered" in said
        assert "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 is offered" in said
        assert "TLS_RSA_WITH_AES_128_GCM_SHA256 is not offered" in said


async def test_wildcards_and_lists(
    root: Authority, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # OpenSSL takes no wildcard for a name of one label, so the station would be asked for csms.localhost.
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **more: real("127.0.0.1", *rest, **more))
    leaf = root.leaf("*.example.com")
    trust = ("--ca", str(root.file))
    for options, status in (((), 1), (("--allow-wildcards",), 0)):
        async with await asyncio_server.serve(
            lambda a, p: Session(), "127.0.0.1", ssl_context=csms(leaf)
        ) as server:
            url = f"wss://csms.example.com:{server.port}/CP1"
            arguments = ["doctor", "tls", url, *trust, *options]
            assert await anyio.to_thread.run_sync(lambda arguments=arguments: main(arguments)) == status
        assert "by a wildcard only" in capsys.readouterr().out
    revoked = root.leaf("localhost")
    assert await consult(csms(revoked), *trust, "--crl", str(root.crl(revoked.certificate))) == 1
    assert "has been revoked" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.requirement("A00.FR.313", "A00.FR.320")
async def test_an_old_server(root: Authority, capsys: pytest.CaptureFixture[str]) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.set_ciphers("AES128-SHA:NULL-SHA256:AES128-GCM-SHA256:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    root.leaf("localhost", kind="rsa").credential(old)
    assert await consult(old, "--ca", str(root.file)) == 1
    said = capsys.readouterr().out
    assert "PROBLEM TLS 1.0 is offered" in said
    assert "note    TLS 1.3 is not offered" in said
    assert "NULL-SHA256 is offered, which OCPP forbids" in said
    assert "note    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 is not offered" in said


async def test_no_server_no_tls_and_no_url(
    root: Authority, free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "tls", f"wss://127.0.0.1:{free_port}/CP1"]) == 1
    assert "cannot connect to 127.0.0.1" in capsys.readouterr().out
    assert main(["doctor", "tls", "ws://csms.example/CP1"]) == 1
    assert "ws:// has no TLS" in capsys.readouterr().out
    assert main(["doctor", "tls", "https://csms.example/CP1"]) == 1
    assert "ocpp: " in capsys.readouterr().err
    async with await asyncio_server.serve(lambda a, p: Session(), "127.0.0.1") as server:
        url = f"wss://127.0.0.1:{server.port}/CP1"
        assert await anyio.to_thread.run_sync(lambda: main(["doctor", "tls", url])) == 1
    assert "does not speak TLS" in capsys.readouterr().out
    listener = socket.create_server(("127.0.0.1", 0))
    silent = f"wss://127.0.0.1:{listener.getsockname()[1]}/CP1"
    arguments = ["doctor", "tls", silent, "--timeout", "0.1"]
    assert await anyio.to_thread.run_sync(lambda: main(arguments)) == 1
    assert "not over in time" in capsys.readouterr().out
    listener.close()


@pytest.mark.parametrize(("module", "extra"), [("cryptography", "security"), ("anyio", "apps")])
def test_without_an_extra_it_says_what_to_install(module: str, extra: str) -> None:
    program = (
        f"import sys; sys.modules['{module}'] = None\n"
        "from ocpp_station.cli import main; sys.exit(main(['doctor', 'tls', 'wss://csms.example/CP1']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"pip install 'ocpp-core[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("says", "status", "words"),
    [
        (GOOD, 0, "ok      revocation of O=Example CSO,CN=localhost: good, says {} (as of "),
        (REVOKED, 1, "PROBLEM revocation of O=Example CSO,CN=localhost: revoked, says {} (since "),
        (b"<html>", 0, "note    revocation of O=Example CSO,CN=localhost: status unknown, {}: malformed"),
    ],
)
@pytest.mark.requirement("A00.FR.308")
async def test_what_the_responder_says(
    says: Says, status: int, words: str, root: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    with responder(root) as ocsp:
        leaf = root.leaf("localhost", responder=ocsp.url)
        ocsp.say(leaf.certificate, says)
        assert await consult(csms(leaf), "--ca", str(root.file), "--ocsp") == status
    assert words.format(ocsp.url) in capsys.readouterr().out
