"""TLS over a byte stream, on the loop and beside it: what each ending of the stream below becomes."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address
from typing import NoReturn

import anyio
import pytest
from anyio.abc import ByteStream, UNIXSocketStream
from anyio.streams.tls import TLSAttribute
from cryptography import x509

from ocpp_adapters.anyio_tls import secure
from ocpp_adapters.routes import Route
from ocpp_adapters.tls_failures import TlsFault, diagnose
from ocpp_adapters.tls_link import PeerFinished, TlsLink
from ocpp_adapters.tls_policy import CsmsTls, StationTls
from ocpp_core import ConfigurationError
from ocpp_core.wire import ClientConfig
from tests.adapters.tls import pki
from tests.adapters.tls.memory import HOST, End

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["on the loop", "in a worker"])
def in_worker(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def csms(root: pki.Authority) -> ssl.SSLContext:
    return CsmsTls(credentials=(root.leaf().credential,)).context()


def route(root: pki.Authority, patience: float = 5.0) -> Route:
    config = ClientConfig(url=f"wss://{HOST}/CP1", handshake_timeout=patience)
    return Route(config=config, ssl_context=StationTls(trust=(root.file,)).context)


class Pipe(ByteStream):
    """A stream that can be made to break."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.closed = False
        self.stuck = False
        self.released = anyio.Event()
        self.broken = False

    async def send(self, item: bytes) -> None:
        if self.broken:
            raise anyio.BrokenResourceError
        if self.stuck:
            await self.released.wait()
        await self._stream.send(item)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._stream.receive(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        self.closed = True
        await self._stream.aclose()


class Csms:
    """The other end, which does one thing at a time."""

    def __init__(self, stream: ByteStream, context: ssl.SSLContext) -> None:
        self.stream = stream
        self.end = End(TlsLink(context, 0.0, server_side=True))

    async def shake_hands(self) -> None:
        while self.end.established is None and self.end.failed is None:
            await self.read()

    async def read(self) -> None:
        self.end.link.receive_data(await self.stream.receive(), 0.0)
        await self.write()

    async def say(self, data: bytes) -> None:
        self.end.link.send(data, 0.0)
        await self.write()

    async def write(self) -> None:
        if data := self.end.turn():
            with suppress(anyio.BrokenResourceError):  # the station has gone
                await self.stream.send(data)


@asynccontextmanager
async def connection(context: ssl.SSLContext) -> AsyncIterator[tuple[Pipe, Csms]]:
    one, other = socket.socketpair()
    pipe = Pipe(await UNIXSocketStream.from_socket(one))
    csms = Csms(await UNIXSocketStream.from_socket(other), context)
    try:
        with anyio.fail_after(10):
            yield pipe, csms
    finally:
        await anyio.aclose_forcefully(pipe)
        await anyio.aclose_forcefully(csms.stream)


@asynccontextmanager
async def opened(
    csms: ssl.SSLContext, root: pki.Authority, in_worker: bool
) -> AsyncIterator[tuple[ByteStream, Pipe, Csms]]:
    async with connection(csms) as (pipe, there):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(there.shake_hands)
            stream = await secure(pipe, route(root), in_worker=in_worker)
        yield stream, pipe, there


async def test_words_each_way_and_a_goodbye(
    csms: ssl.SSLContext, root: pki.Authority, in_worker: bool
) -> None:
    async with opened(csms, root, in_worker) as (stream, pipe, there):
        assert stream.extra(TLSAttribute.ssl_object).version() == "TLSv1.3"
        await stream.send(b"hello")
        await there.read()
        assert there.end.received == b"hello"
        await there.say(b"world")
        assert [await stream.receive(3), await stream.receive()] == [b"wor", b"ld"]
        with pytest.raises(NotImplementedError):
            await stream.send_eof()
        await stream.aclose()
        await there.read()
        assert there.end.finished == PeerFinished(truncated=False)
        assert pipe.closed
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"more")


@pytest.mark.parametrize("said", [b"", b"last words"])
@pytest.mark.parametrize("politely", [False, True])
async def test_the_peer_leaves(
    csms: ssl.SSLContext, root: pki.Authority, in_worker: bool, politely: bool, said: bytes
) -> None:
    """What it has said before it left still counts, whether or not it can be answered."""
    async with opened(csms, root, in_worker) as (stream, pipe, there):
        if said:
            await there.say(said)
        if politely:
            there.end.link.close(0.0)
            await there.write()
        await there.stream.aclose()
        pipe.broken = True
        if said:
            assert await stream.receive() == said
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        await stream.aclose()
        assert pipe.closed


async def test_a_record_that_is_none_is_told_to_whoever_reads_or_writes(
    csms: ssl.SSLContext, root: pki.Authority, in_worker: bool
) -> None:
    async with opened(csms, root, in_worker) as (stream, _, there):
        await there.stream.send(b"\x17\x03\x03\x00\x40" + bytes(64))
        with pytest.raises(ssl.SSLError) as raised:
            await stream.receive()
        assert diagnose(raised.value).fault is TlsFault.PROTOCOL
        for again in (stream.receive, lambda: stream.send(b"x")):
            with pytest.raises(ssl.SSLError):
                await again()
        await there.read()
        assert there.end.failed is not None, "it is told by an alert"


@pytest.mark.parametrize("half", [False, True], ids=["cancelled", "broken"])
async def test_what_was_not_sent_whole_ends_the_connection(
    csms: ssl.SSLContext, root: pki.Authority, in_worker: bool, half: bool
) -> None:
    """Nothing that follows a lost record could be deciphered. What came before can be."""
    async with opened(csms, root, in_worker) as (stream, pipe, there):
        await there.say(b"before")
        pipe.stuck, pipe.broken = not half, half
        if half:
            with pytest.raises(anyio.BrokenResourceError):
                await stream.send(b"lost")
        else:
            with anyio.move_on_after(0.02) as scope:
                await stream.send(b"lost")
            assert scope.cancelled_caught
        pipe.stuck = pipe.broken = False
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"too late")
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()


async def test_senders_take_turns(csms: ssl.SSLContext, root: pki.Authority, in_worker: bool) -> None:
    """Records in the order in which they were enciphered, also after one who waited has gone."""
    async with opened(csms, root, in_worker) as (stream, pipe, there):
        pipe.stuck = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.send, b"1")
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(0.02):
                await stream.send(b"2")
            tasks.start_soon(stream.send, b"3")
            await anyio.wait_all_tasks_blocked()
            pipe.released.set()
        while there.end.received != b"123":
            await there.read()


@pytest.mark.parametrize("host", ["192.0.2.7", "[2001:db8::7]", "[fe80::7%25eth0]"])
@pytest.mark.requirement("A00.FR.309", "A00.FR.412")
async def test_an_address_is_a_name(root: pki.Authority, host: str) -> None:
    """By which the certificate must know the CSMS; an interface's name is none of the CSMS's business."""
    config = ClientConfig(url=f"wss://{host}/CP1")
    for address in (config.endpoint.server_name, "192.0.2.8"):
        names = (x509.IPAddress(ip_address(address)),)
        context = CsmsTls(credentials=(root.leaf("CSMS", names=names).credential,)).context()
        async with connection(context) as (pipe, there), anyio.create_task_group() as tasks:
            tasks.start_soon(there.shake_hands)
            where = replace(route(root), config=config)
            if address == "192.0.2.8":
                with pytest.raises(ssl.SSLCertVerificationError):
                    await secure(pipe, where)
            else:
                await secure(pipe, where)


async def test_a_peer_that_hangs_up(csms: ssl.SSLContext, root: pki.Authority, in_worker: bool) -> None:
    async with connection(csms) as (pipe, there):
        async with anyio.create_task_group() as tasks:

            async def hang_up() -> None:
                await there.stream.receive()
                await there.stream.aclose()

            tasks.start_soon(hang_up)
            with pytest.raises(ConnectionError, match="ended in the TLS handshake"):
                await secure(pipe, route(root), in_worker=in_worker)
        assert pipe.closed


async def test_a_peer_that_says_nothing(csms: ssl.SSLContext, root: pki.Authority, in_worker: bool) -> None:
    async with connection(csms) as (pipe, _):
        with pytest.raises(TimeoutError, match="not over in time"):
            await secure(pipe, route(root, patience=0.05), in_worker=in_worker)
        assert pipe.closed


async def test_a_peer_that_is_not_trusted_hears_of_it(
    csms: ssl.SSLContext, root: pki.Authority, in_worker: bool
) -> None:
    async with connection(csms) as (pipe, there):
        stranger = Route(config=route(root).config, ssl_context=ssl.create_default_context())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(there.shake_hands)
            with pytest.raises(ssl.SSLCertVerificationError):
                await secure(pipe, stranger, in_worker=in_worker)
        assert there.end.failed is not None
        assert there.end.failed.fault is TlsFault.REFUSED_OURS
        assert pipe.closed


async def test_a_verdict_outlives_the_connection(csms: ssl.SSLContext, root: pki.Authority) -> None:
    """The peer that is not trusted has gone before it could be told so."""
    async with connection(csms) as (pipe, there):
        stranger = Route(config=route(root).config, ssl_context=ssl.create_default_context())
        async with anyio.create_task_group() as tasks:

            async def answer() -> None:
                there.end.link.receive_data(await there.stream.receive(), 0.0)
                pipe.broken = True
                await there.write()

            tasks.start_soon(answer)
            with pytest.raises(ssl.SSLCertVerificationError):
                await secure(pipe, stranger)


async def test_a_context_that_cannot_be_made(csms: ssl.SSLContext, root: pki.Authority) -> None:
    """It is made beside the loop; the connection does not stay behind."""

    def make() -> NoReturn:
        with pytest.raises(anyio.NoEventLoopError):
            anyio.get_current_task()
        raise ConfigurationError("no such file")

    async with connection(csms) as (pipe, _):
        with pytest.raises(OSError, match="no such file"):
            await secure(pipe, Route(config=route(root).config, ssl_context=make))
        assert pipe.closed


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
async def test_a_context_that_has_nothing_to_offer(root: pki.Authority, csms: ssl.SSLContext) -> None:
    """The handshake has failed before a byte went out; the context was there before."""
    context = StationTls(trust=(root.file,)).context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with connection(csms) as (pipe, _):
        with pytest.raises(ssl.SSLError):
            await secure(pipe, Route(config=route(root).config, ssl_context=context))
        assert pipe.closed


async def test_without_tls_a_stream_is_left_as_it_is(csms: ssl.SSLContext) -> None:
    async with connection(csms) as (pipe, _):
        assert await secure(pipe, Route(config=ClientConfig(url="ws://localhost/CP1"))) is pipe
