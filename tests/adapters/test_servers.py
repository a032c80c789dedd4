"""What every server owes its stations and its application, on every adapter and loop alike."""

import logging
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from anyio.streams.tls import TLSStream

from ocpp_adapters.sessions import Decision, Limits, Peer, Reject, Session, TextLink
from ocpp_core.wire import HandshakeReceived, ServerConfig
from tests.adapters.certificates import write_certificate
from tests.adapters.servers import (
    SERVERS,
    TEXT,
    Adapter,
    Alarmed,
    Echo,
    Echoes,
    RawClient,
    Talker,
    close_frame,
    eventually,
    frame,
    raw_client,
    request,
    until_close,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=SERVERS, ids=str)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


async def test_text_goes_to_the_session_and_back(adapter: Adapter) -> None:
    echoes = Echoes()
    async with adapter.serve(echoes) as port, raw_client(port) as client:
        await client.open("CP%201")
        await client.send(frame("hello"))
        assert await client.until(TEXT) == TEXT
        await client.send(close_frame(1000))
        assert (await client.to_the_end())[:2] == b"\x88\x02"
        await eventually(lambda: echoes.of["CP 1"].closed is not None)
    assert echoes.log == ["opened CP 1 ocpp2.0.1", "closed 1000 "]
    assert echoes.peers[0].address is not None
    assert echoes.peers[0].tls is None


@pytest.mark.requirement("RFC6455-5.2")
async def test_any_cut_of_the_stream_gives_the_same(adapter: Adapter) -> None:
    echoes = Echoes()
    stream = request() + frame("hello") + frame("x" * 300) + frame("the end")
    async with adapter.serve(echoes) as port:
        async with raw_client(port) as client:
            await client.send(stream)
            whole = await client.until(b"the end")
        async with raw_client(port) as client:
            for index in range(len(stream)):
                await client.send(stream[index : index + 1])
                if index % 64 == 0:
                    await anyio.sleep(0)
            assert await client.until(b"the end") == whole


async def test_cut_in_the_middle_of_a_frame(adapter: Adapter) -> None:
    echoes = Echoes()
    async with adapter.serve(echoes) as port:
        async with raw_client(port) as client:
            await client.open()
            await client.send(frame("hello")[:7])
        await eventually(lambda: echoes.of["CP1"].closed is not None)
        async with raw_client(port) as client:
            await client.open()
            await client.send(frame("hello"))
            await client.until(TEXT)
    assert echoes.log[:2] == ["opened CP1 ocpp2.0.1", "closed 1006 the transport ended without a Close"]


@pytest.mark.requirement("RFC6455-5.5.2")
async def test_half_open(adapter: Adapter) -> None:
    echoes = Echoes()
    config = ServerConfig(ping_interval=0.05, pong_timeout=0.1)
    async with adapter.serve(echoes, config=config) as port, raw_client(port) as client:
        await client.open()
        await client.until(b"\x89")  # the ping that is never answered
        await eventually(lambda: echoes.of["CP1"].closed is not None)
        assert b"\x88" not in await client.to_the_end()
    assert echoes.log[1] == "closed 1006 no pong in time"


async def test_refusals(adapter: Adapter) -> None:
    def admit(handshake: HandshakeReceived, peer: Peer) -> Decision:
        if handshake.identity == "bug":
            raise RuntimeError("a bug of the application")
        return Reject(401 if handshake.identity == "CP1" else 404, "no")

    async with adapter.serve(admit) as port:
        for identity, status in (("CP1", b"401 "), ("CP2", b"404 "), ("bug", b"500 ")):
            async with raw_client(port) as client:
                await client.send(request(identity))
                answer = await client.to_the_end()
                assert answer.startswith(b"HTTP/1.1 " + status)
                assert (b"WWW-Authenticate: Basic" in answer) is (identity == "CP1")


async def test_admission_may_take_its_time(adapter: Adapter) -> None:
    gate, echo = anyio.Event(), Echo()

    async def admit(handshake: HandshakeReceived, peer: Peer) -> Decision:
        await gate.wait()
        if handshake.identity == "bug":
            raise RuntimeError("a bug of the application")
        return echo if handshake.identity == "CP1" else Reject(403)

    async with (
        adapter.serve(admit) as port,
        raw_client(port) as client,
        raw_client(port) as other,
        raw_client(port) as bug,
    ):
        await client.send(request() + frame("hello"))  # early, but kept
        await other.send(request("CP2"))
        await bug.send(request("bug"))
        await anyio.sleep(0.05)
        assert echo.log == []
        gate.set()
        assert (await other.to_the_end()).startswith(b"HTTP/1.1 403 ")
        assert (await bug.to_the_end()).startswith(b"HTTP/1.1 500 ")
        await client.until(TEXT)


async def test_admission_that_takes_too_long_is_answered_503(adapter: Adapter) -> None:
    gate, echo = anyio.Event(), Echo()

    async def admit(handshake: HandshakeReceived, peer: Peer) -> Decision:
        await gate.wait()
        return echo

    config = ServerConfig(handshake_timeout=0.1)
    async with adapter.serve(admit, config=config) as port, raw_client(port) as client:
        await client.send(request())
        assert (await client.to_the_end()).startswith(b"HTTP/1.1 503 ")
        gate.set()
        await anyio.sleep(0.02)
    assert echo.log == []


async def test_a_station_that_says_nothing_is_answered_408(adapter: Adapter) -> None:
    config = ServerConfig(handshake_timeout=0.1)
    async with adapter.serve(Echoes(), config=config) as port, raw_client(port) as client:
        assert (await client.to_the_end()).startswith(b"HTTP/1.1 408 ")


async def test_no_common_subprotocol_opens_no_session(adapter: Adapter) -> None:
    echoes = Echoes()
    async with adapter.serve(echoes) as port, raw_client(port) as client:
        await client.send(request().replace(b"ocpp2.0.1", b"ocpp9") + close_frame(1000))
        answer = await client.to_the_end()
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"supported ocpp2.1, ocpp2.0.1, ocpp1.6; offered ocpp9" in answer
    assert echoes.log == []


async def test_a_flood_of_handshakes_is_cut_off(adapter: Adapter) -> None:
    flood, taken = 25, 5
    async with adapter.serve(Echoes(), limits=Limits(handshakes=taken)) as port, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(raw_client(port)) for _ in range(flood)]
        cut_off: list[RawClient] = []

        async def watch(client: RawClient) -> None:
            assert await client.to_the_end() == b""
            cut_off.append(client)

        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(watch, client)
            await eventually(lambda: len(cut_off) >= flood - taken, 10)
            tasks.cancel_scope.cancel()
        idle = [client for client in clients if client not in cut_off]
        assert len(idle) == taken
        assert not await there_is_room(port)
        await idle[0].stream.aclose()
        with anyio.fail_after(10):
            while not await there_is_room(port):
                await anyio.sleep(0.02)


async def there_is_room(port: int) -> bool:
    async with raw_client(port) as client:
        try:
            await client.open()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return False
        return True


async def test_a_full_server_answers_503(adapter: Adapter) -> None:
    limits = Limits(connections=2)
    async with (
        adapter.serve(Echoes(), limits=limits) as port,
        raw_client(port) as one,
        raw_client(port) as two,
        raw_client(port) as three,
    ):
        await one.open("CP1")
        await two.open("CP2")
        await three.send(request("CP3"))
        assert (await three.to_the_end()).startswith(b"HTTP/1.1 503 ")


async def test_a_newer_connection_replaces_the_older(adapter: Adapter) -> None:
    echoes = Echoes()
    async with adapter.serve(echoes) as port, raw_client(port) as old, raw_client(port) as new:
        await old.open()
        first = echoes.of["CP1"]
        await new.open()
        await eventually(lambda: first.closed is not None)
        assert b"\x03\xe8replaced by a newer connection" in await until_close(old)
        await new.send(frame("hello"))
        await new.until(TEXT)
    assert [line.split()[0] for line in echoes.log[:3]] == ["opened", "closed", "opened"]


async def test_a_session_that_fails_ends_its_link_only(
    adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    echoes = Echoes()
    caplog.set_level(logging.CRITICAL, "asyncio")
    async with adapter.serve(echoes) as port, raw_client(port) as bad, raw_client(port) as good:
        await bad.open("bad")
        await good.open("good")
        await bad.send(frame("crash"))
        assert b"\x03\xf3internal error" in await until_close(bad)
        await good.send(frame("hello"))
        await good.until(TEXT)


async def test_a_station_that_never_reads_is_cut_off(adapter: Adapter) -> None:
    talker = Talker()
    limits = Limits(unsent_bytes=1 << 20)
    async with (
        adapter.serve(lambda handshake, peer: talker, limits=limits) as port,
        raw_client(port) as client,
    ):
        await client.open()
        await eventually(lambda: talker.link is not None)
        assert talker.link is not None
        for _ in range(400):
            talker.link.send_text("x" * 100_000)
            await anyio.sleep(0)
            if talker.closed:
                break
        await eventually(lambda: talker.closed)
        talker.link.send_text("dropped")
        talker.link.close(1000, "harmless")


async def test_a_station_that_does_not_read_is_not_read_from(adapter: Adapter) -> None:
    echoes = Echoes()
    limits = Limits(unsent_bytes=1 << 30)
    async with adapter.serve(echoes, limits=limits) as port, raw_client(port) as client:
        await client.open()
        sent = 0
        with anyio.move_on_after(1.0):
            while sent < 400:
                await client.send(frame("x" * 200_000))
                sent += 1
        assert sent < 400  # 80 MB were too much for all the buffers between us
        received = await drain(client, sent * 200_000)
        assert received >= sent * 200_000


async def drain(client: RawClient, size: int) -> int:
    received = len(client.buffer)
    with anyio.fail_after(20):
        while received < size:
            received += len(await client.stream.receive())
    return received


async def test_a_session_may_hold_its_link(adapter: Adapter) -> None:
    echoes = Echoes()
    async with adapter.serve(echoes) as port, raw_client(port) as client:
        await client.open()
        await eventually(lambda: "CP1" in echoes.of and echoes.of["CP1"].link is not None)
        link = echoes.of["CP1"].link
        assert link is not None
        link.hold(True)
        await client.send(frame("first"))
        await anyio.sleep(0.05)
        await client.send(frame("hello"))
        await anyio.sleep(0.05)
        link.hold(False)
        await client.until(TEXT)


async def test_a_timer_may_be_moved_from_outside(adapter: Adapter) -> None:
    session = Alarmed()
    async with adapter.serve(lambda handshake, peer: session) as port, raw_client(port) as client:
        await client.open()
        await eventually(lambda: session.link is not None)
        assert session.link is not None
        session.at = session.link.now() + 0.05
        session.link.rearm()
        session.at += 0.05  # later: the timer set may fire early, and nothing is lost
        session.link.rearm()
        with anyio.fail_after(5):
            await client.until(TEXT)
    assert len(session.woken) == 1
    assert 0 <= session.woken[0] < 1


async def test_tls(adapter: Adapter, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    client_side = ssl.create_default_context(cafile=str(certificate))
    echoes = Echoes()
    async with adapter.serve(echoes, ssl_context=server_side) as port:
        tcp = await anyio.connect_tcp("127.0.0.1", port)
        async with await TLSStream.wrap(
            tcp, hostname="localhost", ssl_context=client_side, standard_compatible=False
        ) as stream:
            client = RawClient(stream)
            await client.open()
            await client.send(frame("hello"))
            await client.until(TEXT)
    assert echoes.peers[0].tls is not None


class Failing(Session):
    """Fails in one of its callbacks."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.at: float | None = None

    def _maybe(self, where: str) -> None:
        if where == self.where:
            raise RuntimeError("a bug of the application")

    def link_opened(self, link: TextLink, now: float) -> None:
        self.at = now if self.where == "timer" else None
        self._maybe("opened")

    def link_closed(self, closed: object, now: float) -> None:
        self.at = None
        self._maybe("closed")

    def next_timer(self) -> float | None:
        return self.at

    def handle_timer(self, now: float) -> None:
        self._maybe("timer")


@pytest.mark.parametrize("where", ["opened", "timer", "closed"])
async def test_a_session_may_fail_anywhere(
    adapter: Adapter, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with adapter.serve(lambda handshake, peer: Failing(where)) as port, raw_client(port) as client:
        await client.open()
        if where == "closed":
            await client.send(close_frame(1000))
            assert (await client.to_the_end()).startswith(b"\x88")
        else:
            assert b"\x03\xf3internal error" in await until_close(client)
    assert "a session failed" in caplog.text
