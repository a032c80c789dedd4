"""Servers with TLS against slow, silent, plain and many peers, and identities made to hurt."""

import socket
import ssl
import subprocess
from contextlib import suppress

import anyio
import anyio.to_thread
import pytest
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream

from ocpp_adapters.anyio_tls import secure
from ocpp_adapters.routes import Route
from ocpp_adapters.sessions import Decision, Limits, Peer, Session
from ocpp_adapters.tls_policy import CsmsTls, StationTls
from ocpp_core.wire import ClientConfig, HandshakeReceived, ServerConfig
from tests.adapters.servers import SERVERS, Adapter, Echoes, RawClient, eventually, request
from tests.adapters.tls.pki import Authority

pytestmark = pytest.mark.anyio


@pytest.fixture(params=SERVERS, ids=str)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


@pytest.fixture
def anyio_backend(adapter: Adapter) -> str:
    return adapter.backend


@pytest.fixture(scope="module")
def csms(root: Authority) -> ssl.SSLContext:
    return CsmsTls(credentials=(root.leaf("localhost").credential,)).context()


async def dial(port: int, root: Authority) -> TLSStream:
    tcp = await anyio.connect_tcp("127.0.0.1", port)
    context = StationTls(trust=(root.file,)).context()
    return await TLSStream.wrap(tcp, hostname="localhost", ssl_context=context, standard_compatible=False)


async def ended(stream: ByteStream) -> bool:
    """Whether the server ends a connection; closes it."""
    with anyio.move_on_after(5):
        try:
            while True:
                await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
            await anyio.aclose_forcefully(stream)
            return True
    return False


@pytest.mark.requirement("A00.FR.306", "A00.FR.312", "A00.FR.409")
async def test_a_handshake_of_single_bytes_is_cut_off_and_starves_nobody(
    adapter: Adapter, root: Authority, csms: ssl.SSLContext
) -> None:
    """Slow loris in TLS: the time-out covers TLS and WebSocket together, places are limited."""
    config, limits = ServerConfig(handshake_timeout=1.0), Limits(handshakes=12)
    async with adapter.serve(Echoes(), ssl_context=csms, config=config, limits=limits) as port:
        slow = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(10)]
        hello = bytes.fromhex("160301020001")
        for stream in slow[:5]:  # the others are silent
            await stream.send(hello[:1])
        client = RawClient(await dial(port, root))
        await client.open()
        for at in range(1, len(hello)):
            for stream in slow[:5]:
                await stream.send(hello[at : at + 1])
            await client.send(b"\x81\x85\0\0\0\0hello")
            assert await client.until(b"\x81\x05hello") == b"\x81\x05hello"
        assert all([await ended(stream) for stream in slow])
        await client.send(b"\x81\x85\0\0\0\0hello")
        await client.until(b"hello")
        await client.stream.aclose()


def hello(root: Authority) -> bytes:
    """How a station's TLS begins."""
    outgoing = ssl.MemoryBIO()
    context = StationTls(trust=(root.file,)).context()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


async def half_a_hello(port: int, root: Authority) -> ByteStream:
    stream = await anyio.connect_tcp("127.0.0.1", port)
    await stream.send(hello(root)[:100])
    return stream


async def a_hello_and_no_more(port: int, root: Authority) -> ByteStream:
    stream = await anyio.connect_tcp("127.0.0.1", port)
    await stream.send(hello(root))
    return stream


async def tls_and_no_request(port: int, root: Authority) -> ByteStream:
    return await dial(port, root)


async def half_a_request(port: int, root: Authority) -> ByteStream:
    stream = await dial(port, root)
    for at in range(40):
        await stream.send(request("Slow")[at : at + 1])
    return stream


async def garbage_in_tls(port: int, root: Authority) -> ByteStream:
    """A record that nobody can decipher, on a connection that was fine."""
    stream = await dial(port, root)
    client = RawClient(stream)
    await client.open("Broken")
    await stream.transport_stream.send(b"\x17\x03\x03\x00\x40" + bytes(64))
    return stream


STALLS = [half_a_hello, a_hello_and_no_more, tls_and_no_request, half_a_request, garbage_in_tls]


@pytest.mark.requirement("A00.FR.306", "A00.FR.312", "A00.FR.409")
async def test_wherever_a_handshake_stops_it_is_cut_off_and_starves_nobody(
    adapter: Adapter, root: Authority, csms: ssl.SSLContext
) -> None:
    echoes = Echoes()
    async with adapter.serve(echoes, ssl_context=csms, config=ServerConfig(handshake_timeout=1.0)) as port:
        stopped = [await stall(port, root) for stall in STALLS for _ in range(2)]
        client = RawClient(await dial(port, root))
        await client.open()
        for _ in range(20):
            await client.send(b"\x81\x85\0\0\0\0hello")
            await client.until(b"\x81\x05hello")
        assert all([await ended(stream) for stream in stopped])
        assert echoes.of["Broken"].closed is not None
        assert set(echoes.of) == {"Broken", "CP1"}
        await client.send(b"\x81\x85\0\0\0\0hello")
        await client.until(b"\x81\x05hello")
        await client.stream.aclose()


async def test_a_handshake_in_single_bytes_is_a_handshake(
    adapter: Adapter, root: Authority, csms: ssl.SSLContext
) -> None:
    """A slow link is no attack as long as it is in time."""
    async with adapter.serve(Echoes(), ssl_context=csms) as port:
        stream = await anyio.connect_tcp("127.0.0.1", port)
        config = ClientConfig(url="wss://localhost/CP1")
        route = Route(config=config, ssl_context=StationTls(trust=(root.file,)).context())
        client = RawClient(await secure(Dribble(stream), route))
        await client.open()
        await client.send(b"\x81\x85\0\0\0\0hello")
        await client.until(b"\x81\x05hello")
        await client.stream.aclose()


class Dribble(ByteStream):
    """A stream that sends each byte by itself."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        stream.extra(SocketAttribute.raw_socket).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def send(self, item: bytes) -> None:
        for byte in item:
            await self._stream.send(bytes([byte]))

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._stream.receive(1)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def test_too_many_handshakes_are_cut_off_unheard(
    adapter: Adapter, root: Authority, csms: ssl.SSLContext
) -> None:
    async with adapter.serve(Echoes(), ssl_context=csms, limits=Limits(handshakes=2)) as port:
        silent = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(2)]
        await anyio.sleep(0.05)
        third = await anyio.connect_tcp("127.0.0.1", port)
        assert await ended(third)
        for stream in silent:
            await stream.aclose()
        await anyio.sleep(0.05)
        client = RawClient(await dial(port, root))
        await client.open()
        await client.stream.aclose()


@pytest.mark.parametrize(
    "data", [request(), b"\x16\x03\x01" + bytes(40), bytes(500)], ids=["HTTP", "zeros in TLS", "zeros"]
)
async def test_what_is_no_tls_is_cut_off_and_starves_nobody(
    adapter: Adapter, data: bytes, root: Authority, csms: ssl.SSLContext
) -> None:
    echoes = Echoes()
    config = ServerConfig(handshake_timeout=1.0)
    async with adapter.serve(echoes, ssl_context=csms, config=config) as port:
        stranger = await anyio.connect_tcp("127.0.0.1", port)
        await stranger.send(data)
        client = RawClient(await dial(port, root))
        await client.open()
        assert await ended(stranger)
        assert list(echoes.of) == ["CP1"]
        await client.stream.aclose()


async def test_a_half_open_connection_ends_with_its_pong(
    adapter: Adapter, root: Authority, csms: ssl.SSLContext
) -> None:
    echoes = Echoes()
    config = ServerConfig(ping_interval=0.1, pong_timeout=0.2)
    async with adapter.serve(echoes, ssl_context=csms, config=config) as port:
        client = RawClient(await dial(port, root))
        await client.open()  # and from now on it answers nothing
        await eventually(lambda: echoes.of["CP1"].closed is not None)
        await client.stream.aclose()


HOSTILE = {
    "path traversal": ("../../etc/passwd", None),
    "two dots": ("..", None),
    "markup": ("%3Cscript%3E", "<script>"),
    "encoded traversal": ("..%2f..%2fetc%2fpasswd", None),
    "encoded null": ("CP%001", None),
    "encoded line break": ("CP1%0d%0aX-Evil:%20yes", None),
    "a colon in 2.x": ("CP%3a1", None),
    "over-long": ("C" * 49, None),
    "far over-long": ("C" * 20_000, None),
    "not UTF-8": ("CP%ff", None),
    "empty": ("", None),
}


@pytest.mark.parametrize(("target", "identity"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.requirement("A00.FR.204", "A00.FR.303", "2.0.1-J-3.1.1")
async def test_hostile_identities(
    adapter: Adapter, target: str, identity: str | None, root: Authority, csms: ssl.SSLContext
) -> None:
    """An identity is one segment of a path, and nothing else comes through to the application."""
    seen: list[str] = []

    def admit(asked: HandshakeReceived, peer: Peer) -> Decision:
        seen.append(asked.identity)
        return Session()

    async with adapter.serve(admit, ssl_context=csms) as port:
        client = RawClient(await dial(port, root))
        await client.send(request(target))
        with anyio.fail_after(5):
            head = await client.until(b"\r\n\r\n")
        expected = b"HTTP/1.1 101 " if identity is not None else b"HTTP/1.1 4"
        assert head.startswith(expected), head
        assert b"evil" not in head.lower()
        assert seen == ([] if identity is None else [identity])
        await anyio.aclose_forcefully(client.stream)


def run(*command: str, data: bytes = b"") -> str:
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


@pytest.fixture
def both_certificates(root: Authority) -> ssl.SSLContext:
    leaves = (root.leaf("localhost"), root.leaf("localhost", kind="rsa"))
    return CsmsTls(credentials=tuple(leaf.credential for leaf in leaves)).context()


S_CLIENT = {
    "TLS 1.3": (("-tls1_3",), "TLSv1.3"),
    "TLS 1.2": (("-tls1_2",), "TLSv1.2"),
    "TLS_RSA_WITH_AES_128_GCM_SHA256": (("-tls1_2", "-cipher", "AES128-GCM-SHA256"), "is AES128-GCM-SHA256"),
    "TLS_RSA_WITH_AES_256_GCM_SHA384": (("-tls1_2", "-cipher", "AES256-GCM-SHA384"), "is AES256-GCM-SHA384"),
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": (
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256",
    ),
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": (
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384",
    ),
    "TLS 1.1": (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), "Cipher is (NONE)"),
    "TLS 1.0": (("-tls1", "-cipher", "ALL:@SECLEVEL=0"), "Cipher is (NONE)"),
    "CBC": (("-tls1_2", "-cipher", "AES128-SHA"), "Cipher is (NONE)"),
    "no encryption": (("-tls1_2", "-cipher", "NULL-SHA256:@SECLEVEL=0"), "Cipher is (NONE)"),
    "compression": (("-tls1_2", "-comp"), "Compression: NONE"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "answer"), S_CLIENT.values(), ids=S_CLIENT)
@pytest.mark.requirement(
    "A00.FR.313", "A00.FR.315", "A00.FR.318", "A00.FR.321", "A00.FR.322", "A00.FR.416", "A00.FR.418",
    "A00.FR.421", "A00.FR.424", "A00.FR.425",
)  # fmt: skip
async def test_what_openssl_s_client_finds(
    adapter: Adapter,
    options: tuple[str, ...],
    answer: str,
    root: Authority,
    both_certificates: ssl.SSLContext,
) -> None:
    async with adapter.serve(Echoes(), ssl_context=both_certificates) as port:
        said = await anyio.to_thread.run_sync(
            lambda: run(
                "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(root.file), *options
            )
        )  # fmt: skip
    assert answer in said
    if "(NONE)" not in answer:
        assert "Verify return code: 0 (ok)" in said


@pytest.mark.requirement("RFC5746-5")
async def test_renegotiation_is_refused(
    adapter: Adapter, root: Authority, both_certificates: ssl.SSLContext
) -> None:
    """s_client asks for it when it reads the line R."""
    async with adapter.serve(Echoes(), ssl_context=both_certificates) as port:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2"]
        async with await anyio.open_process(command, stderr=subprocess.STDOUT) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            said = b""
            with anyio.fail_after(10):
                while b"Extended master secret" not in said:
                    said += await process.stdout.receive()
                await process.stdin.send(b"R\n")
                while b"renegotiation" not in said:
                    said += await process.stdout.receive()
            process.kill()
    assert b"no renegotiation" in said


@pytest.mark.requirement("RFC8446-4.6.3")
async def test_any_number_of_key_updates_is_answered(
    adapter: Adapter, root: Authority, both_certificates: ssl.SSLContext
) -> None:
    """s_client asks for new keys, both ways, when it reads the line K; a request after them is understood."""
    async with adapter.serve(Echoes(), ssl_context=both_certificates) as port:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3"]
        async with await anyio.open_process(command, stderr=subprocess.STDOUT) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            said = b""
            with anyio.fail_after(10):
                while b"Verify return code" not in said:
                    said += await process.stdout.receive()
                for times in range(1, 21):
                    await process.stdin.send(b"K\n")
                    while said.count(b"KEYUPDATE") < times:  # what it reads in one go is one line to it
                        said += await process.stdout.receive()
                await process.stdin.send(request())
                while b"101 Switching Protocols" not in said:
                    said += await process.stdout.receive()
            process.kill()
