"""How connections end that do not end by themselves."""

import asyncio

import anyio
import pytest

from ocpp_adapters import asyncio_server
from ocpp_adapters.sessions import Decision, Limits, Peer, Reject
from ocpp_core.wire import HandshakeReceived, ServerConfig
from tests.adapters.servers import (
    ADAPTERS,
    SERVERS,
    Adapter,
    Echoes,
    RawClient,
    Talker,
    eventually,
    raw_client,
    request,
    until_close,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=SERVERS, ids=str)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


async def test_shutdown_closes_200_links_in_good_order(adapter: Adapter) -> None:
    echoes = Echoes()
    async with anyio.create_task_group() as tasks:
        opened = 0
        goodbyes: list[bytes] = []

        async def station(number: int) -> None:
            nonlocal opened
            async with raw_client(port) as client:
                await client.open(f"CP{number}")
                opened += 1
                goodbyes.append(await until_close(client))

        async with adapter.serve(echoes) as port:
            for number in range(200):
                tasks.start_soon(station, number)
            await eventually(lambda: opened == 200 and len(echoes.log) == 200, 20)
    assert len(goodbyes) == 200
    assert all(b"\x03\xe9going away" in goodbye for goodbye in goodbyes)
    assert all(echo.closed is not None for echo in echoes.of.values())


@pytest.mark.parametrize("adapter", ADAPTERS[1:], ids=str)
async def test_a_link_that_ends_with_much_unsent_does_not_linger(adapter: Adapter) -> None:
    """The station broke the protocol and reads nothing: its connection ends all the same."""
    talker = Talker()
    config, limits = ServerConfig(close_timeout=0.2), Limits(unsent_bytes=1 << 30)
    with anyio.fail_after(5):
        async with (
            adapter.serve(lambda handshake, peer: talker, config=config, limits=limits) as port,
            raw_client(port) as client,
        ):
            await client.open()
            await eventually(lambda: talker.link is not None)
            assert talker.link is not None
            talker.link.send_text("x" * 40_000_000)
            await anyio.sleep(0.05)
            await client.send(b"\x81\x01x")  # not masked
            await eventually(lambda: talker.closed)
            await anyio.sleep(0.4)
            assert len(await client.to_the_end()) < 40_000_000


class Stuck(asyncio.Transport):
    """A transport that never gets rid of its last bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def write(self, data: object) -> None:
        self.calls.append("write")

    def get_write_buffer_size(self) -> int:
        return 1

    def is_closing(self) -> bool:
        return "close" in self.calls

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_native_server_lets_nothing_linger_either(anyio_backend: str) -> None:
    config = ServerConfig(close_timeout=0.05)
    async with await asyncio_server.serve(lambda *_: Reject(404), "127.0.0.1", config=config) as server:
        connection, transport = asyncio_server.Connection(server), Stuck()
        connection.connection_made(transport)
        data = request()
        connection.get_buffer(-1)[: len(data)] = data
        connection.buffer_updated(len(data))
        assert transport.calls == ["write", "close"]
        await eventually(lambda: transport.calls == ["write", "close", "abort"])
        connection.connection_lost(None)


async def test_handshakes_under_way_end_with_the_server(adapter: Adapter) -> None:
    async def admit(handshake: HandshakeReceived, peer: Peer) -> Decision:
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.fail_after(5):
        async with adapter.serve(admit) as port:
            client = RawClient(await anyio.connect_tcp("127.0.0.1", port))
            await client.send(request())
            await anyio.sleep(0.05)
        assert (await client.to_the_end()).startswith(b"HTTP/1.1 503 ")
        await client.stream.aclose()
