"""Stations against a CSMS with TLS: what they make of a failure, and profile 3 end to end."""

import asyncio
import os
import ssl
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.streams.tls import TLSStream

from ocpp_adapters import anyio_rpc, anyio_station, asyncio_server, poll_rpc, threads_rpc
from ocpp_adapters.anyio_link import dial_in_worker
from ocpp_adapters.central import Central
from ocpp_adapters.passwords import password_octets
from ocpp_adapters.poll import Poll
from ocpp_adapters.rpc_client import HandshakeFailedError
from ocpp_adapters.sessions import Decision, Peer
from ocpp_adapters.stores import MemoryStores
from ocpp_adapters.tls_admission import ProfileGate, StationRecord
from ocpp_adapters.tls_failures import CertificateRefusedError, SecurityEvent, TlsFault
from ocpp_adapters.tls_peer import peer_certificate
from ocpp_adapters.tls_policy import CsmsTls, Names, SecurityProfile, StationTls
from ocpp_adapters.tls_wire import TlsHandshakeFailed
from ocpp_core import ConfigurationError, OcppVersion
from ocpp_core.domain.status import StationInfo
from ocpp_core.station import LinkChanged, Station, StationAction
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig, Credentials, FailureReason, HandshakeReceived, Text
from tests.adapters.charger import EASY, Charger, config
from tests.adapters.servers import Echoes, eventually
from tests.adapters.tls import pki
from tests.adapters.tls.pki import DAY, OPERATOR, Authority

pytestmark = pytest.mark.anyio
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CERTIFICATE = SecurityProfile.TLS_CERTIFICATE


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def open_anyio(url: ClientConfig, context: ssl.SSLContext) -> None:
    async with anyio_rpc.open_rpc(url, ssl_context=context):
        raise AssertionError("let in")


async def open_threads(url: ClientConfig, context: ssl.SSLContext) -> None:
    def work() -> None:
        with threads_rpc.open_rpc(url, ssl_context=context):
            raise AssertionError("let in")

    await anyio.to_thread.run_sync(work)


async def open_in_worker(url: ClientConfig, context: ssl.SSLContext) -> None:
    async with anyio_rpc.open_rpc(url, ssl_context=context, dial=dial_in_worker):
        raise AssertionError("let in")


async def open_trio(url: ClientConfig, context: ssl.SSLContext) -> None:
    await anyio.to_thread.run_sync(partial(anyio.run, open_anyio, url, context, backend="trio"))


async def open_poll(url: ClientConfig, context: ssl.SSLContext) -> None:
    with Poll() as poll:
        link = poll_rpc.open_rpc(poll, url, ssl_context=context)
        while not link.opened:  # raises why it does not
            poll.step()
            await anyio.sleep(0.001)
        raise AssertionError("let in")


@pytest.mark.parametrize("opener", [open_anyio, open_in_worker, open_trio, open_threads, open_poll])
@pytest.mark.requirement("A00.FR.407", "A00.FR.002")
async def test_a_csms_that_refuses_a_certificate_is_understood(opener: Any, root: Authority) -> None:
    """With TLS 1.3 it says so only after the station's handshake."""
    csms = CsmsTls(credentials=(root.leaf("localhost").credential,), trust=(root.file,), profile=CERTIFICATE)
    async with await asyncio_server.serve(Echoes(), "127.0.0.1", ssl_context=csms.context()) as server:
        url = ClientConfig(url=f"wss://localhost:{server.port}/CP1")
        with pytest.raises(HandshakeFailedError) as raised:
            await opener(url, StationTls(trust=(root.file,)).context())
    failure = raised.value.failure
    assert isinstance(failure, TlsHandshakeFailed)
    assert failure.diagnosis.fault is TlsFault.REFUSED_OURS
    assert failure.diagnosis.event is SecurityEvent.FAILED_TO_AUTHENTICATE_AT_CSMS


@pytest.mark.parametrize(
    ("leaf", "words"),
    [
        (lambda root: root.leaf("localhost", since=-9 * DAY, until=-DAY), "bad certificate: expired: "),
        (lambda root: root.leaf("elsewhere"), "bad certificate: wrong name: "),
        (lambda root: pki.self_signed(root.folder, "localhost"), "bad certificate: self-signed: "),
    ],
    ids=["expired", "wrong name", "self-signed"],
)
@pytest.mark.requirement("A00.FR.310", "A00.FR.311", "A00.FR.413", "A00.FR.414")
async def test_a_station_says_why_it_does_not_connect(
    leaf: Callable[[Authority], pki.Leaf], words: str, root: Authority
) -> None:
    csms = CsmsTls(credentials=(leaf(root).credential,)).context()
    seen: list[StationAction | Text] = []
    async with await asyncio_server.serve(Echoes(), "127.0.0.1", ssl_context=csms) as server:
        station = Station(config(), os.urandom, anyio.current_time())
        url = ClientConfig(url=f"wss://localhost:{server.port}/CP1")
        context = StationTls(trust=(root.file,)).context()
        async with anyio_station.connect_station(
            station, url, MemoryStore(), Charger(), observe=seen.append, ssl_context=context
        ):
            await eventually(lambda: any(isinstance(a, LinkChanged) and words in a.reason for a in seen))
        assert server.connections == {}


@pytest.mark.parametrize("newest", [TLS12, TLS13], ids=["1.2", "1.3"])
@pytest.mark.parametrize(("told", "words"), [("SN-0001", "Accepted"), ("SN-0002", "SecurityError")])
@pytest.mark.requirement(
    "A00.FR.401", "A00.FR.402", "A00.FR.404", "A00.FR.405", "A00.FR.427", "B01.FR.11", "B01.FR.12"
)
async def test_profile_3_from_the_socket_to_the_boot(
    told: str, words: str, newest: ssl.TLSVersion, root: Authority
) -> None:
    """The certificate's serial number goes with the session: BootNotification must repeat it."""
    serial = "SN-0001"
    records = {
        "CP1": StationRecord(profile=CERTIFICATE, serial_number=serial, organizations=frozenset({OPERATOR}))
    }
    concurrency = asyncio_server.AsyncioConcurrency()
    central = Central(EASY, lambda link, action: None, MemoryStores(), concurrency)

    def admit(handshake: HandshakeReceived, peer: Peer) -> Decision:
        certificate = peer_certificate(peer.tls)
        assert certificate is not None
        return central.session(certificate_serial=certificate.common_name)

    csms = CsmsTls(
        credentials=(root.leaf("localhost").credential,),
        trust=(root.file,),
        profile=CERTIFICATE,
        maximum=newest,
    )
    own = StationTls(trust=(root.file,), profile=CERTIFICATE, credential=root.leaf(serial).credential)
    seen: list[StationAction | Text] = []
    gate = ProfileGate(records.get, admit)
    async with await asyncio_server.serve(gate, "127.0.0.1", ssl_context=csms.context()) as server:
        settings = replace(config(), info=StationInfo("Model", "Vendor", serial_number=told))
        station = Station(settings, os.urandom, anyio.current_time())
        url = ClientConfig(url=f"wss://localhost:{server.port}/CP1")
        async with anyio_station.connect_station(
            station, url, MemoryStore(), Charger(), observe=seen.append, ssl_context=own.context()
        ):
            await eventually(lambda: any(type(a) is Text and words in a.text for a in seen))


@pytest.mark.requirement("A00.FR.309", "A00.FR.311", "A00.FR.412", "A00.FR.414")
async def test_the_policy_holds_in_others_tls_too(root: Authority) -> None:
    """asyncio's own streams and anyio's: what OpenSSL does not refuse the context does."""
    csms = CsmsTls(credentials=(root.leaf("*.example.com").credential,)).context()
    echoes = Echoes()
    async with await asyncio_server.serve(echoes, "127.0.0.1", ssl_context=csms) as server:
        strict, lax = (
            StationTls(trust=(root.file,), names=names).context() for names in (Names.EXACT, Names.WILDCARD)
        )
        name = "csms.example.com"
        with pytest.raises(CertificateRefusedError, match="wildcard"):
            await asyncio.open_connection("127.0.0.1", server.port, ssl=strict, server_hostname=name)
        tcp = await anyio.connect_tcp("127.0.0.1", server.port)
        with pytest.raises(CertificateRefusedError, match="wildcard"):
            await TLSStream.wrap(tcp, hostname=name, ssl_context=strict)
        await anyio.aclose_forcefully(tcp)
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=lax, server_hostname=name)
        writer.close()
        await writer.wait_closed()
    assert echoes.of == {}


@pytest.mark.requirement("A00.FR.408", "1.6-A00.FR.323", "1.6-A00.FR.408")
async def test_a_csms_logs_the_security_event(root: Authority, caplog: pytest.LogCaptureFixture) -> None:
    csms = CsmsTls(credentials=(root.leaf("localhost").credential,), trust=(root.file,), profile=CERTIFICATE)
    expired = root.leaf("SN-0001", since=-9 * DAY, until=-DAY).credential
    own = StationTls(trust=(root.file,), profile=CERTIFICATE, credential=expired).context()
    with caplog.at_level("INFO"):
        async with await asyncio_server.serve(Echoes(), "127.0.0.1", ssl_context=csms.context()) as server:
            url = ClientConfig(url=f"wss://localhost:{server.port}/CP1")
            with pytest.raises(HandshakeFailedError):
                await open_anyio(url, own)
    assert "expired: a certificate of the peer's chain has expired" in caplog.text
    assert "security event: InvalidChargingStationCertificate" in caplog.text


PASSWORDS = {
    "2.x": ("pässwörd of 16 :", OcppVersion.V201, "pässwörd of 16 :".encode()),
    "2.x, long": ("x" * 64, OcppVersion.V21, b"x" * 64),
    "1.6": ("003a" + "Ff" * 14, OcppVersion.V16, b"\x00:" + b"\xff" * 14),
    "1.6, long": ("0A" * 20, OcppVersion.V16, b"\n" * 20),
}


@pytest.mark.parametrize("profile", [SecurityProfile.BASIC, SecurityProfile.TLS_BASIC])
@pytest.mark.parametrize(("text", "version", "octets"), PASSWORDS.values(), ids=PASSWORDS)
@pytest.mark.requirement(
    "A00.FR.202", "A00.FR.203", "A00.FR.204", "A00.FR.207", "A00.FR.301", "A00.FR.302", "A00.FR.303",
    "A00.FR.324", "1.6-A00.FR.202", "1.6-A00.FR.203", "1.6-A00.FR.204", "1.6-A00.FR.301", "1.6-A00.FR.302",
    "1.6-A00.FR.303", "1.6-A00.FR.205", "1.6-A00.FR.304", "2.0.1-A00.FR.205", "2.1-A00.FR.205", "A00.FR.304",
)  # fmt: skip
async def test_the_password_goes_with_every_request(
    profile: SecurityProfile, text: str, version: OcppVersion, octets: bytes, root: Authority
) -> None:
    """Profiles 1 and 2: bytes as they are, whatever they are; with a wrong one there is no link."""
    password = password_octets(text, version)
    assert password == octets
    echoes = Echoes()
    requests: list[HandshakeReceived] = []

    def admit(handshake: HandshakeReceived, peer: Peer) -> Decision:
        requests.append(handshake)
        return echoes(handshake, peer)

    gate = ProfileGate({"CP1": StationRecord(profile=profile, password=password)}.get, admit)
    secure = profile is SecurityProfile.TLS_BASIC
    context = CsmsTls(credentials=(root.leaf("localhost").credential,)).context() if secure else None
    async with await asyncio_server.serve(gate, "127.0.0.1", ssl_context=context) as server:
        url = f"{'wss' if secure else 'ws'}://localhost:{server.port}/CP1"
        own = StationTls(trust=(root.file,)).context()
        right = ClientConfig(url=url, credentials=Credentials(b"CP1", password))
        for _ in range(2):
            async with anyio_rpc.open_rpc(right, ssl_context=own):
                pass
        for wrong in (None, Credentials(b"CP1", password[:-1]), Credentials(b"CP2", password)):
            with pytest.raises(HandshakeFailedError) as raised:
                async with anyio_rpc.open_rpc(replace(right, credentials=wrong), ssl_context=own):
                    pass
            assert raised.value.failure.reason is FailureReason.UNAUTHORIZED
    assert [asked.credentials for asked in requests] == [right.credentials] * 2


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("x" * 15, OcppVersion.V201),
        ("x" * 65, OcppVersion.V21),
        ("x" * 15 + chr(0xD800), OcppVersion.V21),
        ("ab" * 15, OcppVersion.V16),
        ("ab" * 21, OcppVersion.V16),
        ("a" * 33, OcppVersion.V16),
        ("no hexadecimal digits, but long", OcppVersion.V16),
    ],
)
@pytest.mark.requirement(
    "1.6-A00.FR.205", "1.6-A00.FR.304", "2.0.1-A00.FR.205", "2.1-A00.FR.205", "A00.FR.304"
)
def test_a_password_that_does_not_fit_is_refused(text: str, version: OcppVersion) -> None:
    with pytest.raises(ConfigurationError) as raised:
        password_octets(text, version)
    assert text not in str(raised.value)
    with pytest.raises(ConfigurationError, match="16 to 40"):
        password_octets("x" * 41, OcppVersion.V201, max_length=40)
