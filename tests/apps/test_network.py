"""The switch under the link: what each end sees of a cut, a half-open network, a power loss."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute, SocketStream

from ocpp_adapters.routes import Route
from ocpp_core.wire import ClientConfig
from ocpp_station.network import HELD_LIMIT, Network


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def to(port: int) -> Route:
    return Route(config=ClientConfig(url=f"ws://127.0.0.1:{port}/CP1"))


class Line:
    """A connection through a network, and the peer's end of it."""

    def __init__(self, network: Network, here: ByteStream, there: SocketStream, port: int) -> None:
        self.network, self.here, self.there, self.port = network, here, there, port


@asynccontextmanager
async def connected() -> AsyncIterator[Line]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        network = Network()
        here = await network.dial(to(port))
        there = await anyio.abc.SocketStream.from_socket(server.accept()[0])
        yield Line(network, here, there, port)
        await anyio.aclose_forcefully(there)
        await anyio.aclose_forcefully(here)


def run(backend: str, function: Callable[[Line], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with anyio.fail_after(10):
            async with connected() as line:
                await function(line)

    anyio.run(bounded, backend=backend)


async def nothing_arrives(stream: ByteStream) -> bool:
    with anyio.move_on_after(0.05):
        await stream.receive()
        return False
    return True


async def is_broken(operation: Awaitable[Any]) -> bool:
    try:
        await operation
    except (anyio.BrokenResourceError, anyio.EndOfStream):
        return True
    return False


def test_an_intact_network_carries_bytes_both_ways(backend: str) -> None:
    async def scenario(line: Line) -> None:
        await line.here.send(b"out")
        assert await line.there.receive() == b"out"
        await line.there.send(b"in")
        assert await line.here.receive() == b"in"
        assert line.network.description == "up"
        assert line.here.extra(SocketAttribute.remote_port) == line.port
        await line.here.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await line.there.receive()

    run(backend, scenario)


def test_a_cut_breaks_both_ends_at_once(backend: str) -> None:
    async def scenario(line: Line) -> None:
        async with anyio.create_task_group() as group:

            async def waits() -> None:
                with pytest.raises(anyio.BrokenResourceError):
                    await line.here.receive()

            group.start_soon(waits)
            await anyio.wait_all_tasks_blocked()
            await line.network.cut()
        assert await is_broken(line.here.send(b"x"))
        assert await is_broken(line.there.receive())
        assert line.network.description == "cut"

    run(backend, scenario)


@pytest.mark.parametrize("half_open", [True, False])
def test_nobody_can_be_dialled_until_it_is_mended(backend: str, half_open: bool) -> None:
    async def scenario(line: Line) -> None:
        await line.network.cut(half_open=half_open)
        with pytest.raises(OSError, match="cut"):
            await line.network.dial(to(line.port))
        await line.network.mend()
        await (await line.network.dial(to(line.port))).aclose()

    run(backend, scenario)


def test_half_open_holds_bytes_back_and_delivers_them_when_mended(backend: str) -> None:
    async def scenario(line: Line) -> None:
        await line.network.cut(half_open=True)
        assert line.network.description == "half-open"
        await line.here.send(b"held ")
        await line.network.cut(half_open=True)  # which it is
        await line.here.send(b"back")
        await line.there.send(b"for later")
        assert await nothing_arrives(line.here)
        assert await nothing_arrives(line.there)
        await line.network.mend()
        assert await line.there.receive() == b"held back"
        assert await line.here.receive() == b"for later"

    run(backend, scenario)


def test_bytes_that_arrive_as_the_network_falls_silent_wait_too(backend: str) -> None:
    async def scenario(line: Line) -> None:
        received: list[bytes] = []

        async def receive() -> None:
            received.append(await line.here.receive())

        async with anyio.create_task_group() as group:
            group.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            await line.network.cut(half_open=True)
            await line.there.send(b"late")
            await anyio.sleep(0.05)
            assert received == []
            await line.network.mend()
        assert received == [b"late"]

    run(backend, scenario)


def test_what_half_open_holds_is_bounded(backend: str) -> None:
    async def scenario(line: Line) -> None:
        await line.network.cut(half_open=True)
        await line.here.send(bytes(HELD_LIMIT))
        with anyio.move_on_after(0.05) as scope:
            await line.here.send(b"x")
        assert scope.cancelled_caught
        await line.network.cut()
        assert await is_broken(line.here.send(b"x"))

    run(backend, scenario)


def test_a_half_open_connection_given_up_here_stays_open_for_the_peer(backend: str) -> None:
    async def scenario(line: Line) -> None:
        await line.network.cut(half_open=True)
        await line.here.send_eof()
        await line.here.aclose()
        assert await nothing_arrives(line.there)
        await line.network.mend()
        assert await is_broken(line.there.receive())

    run(backend, scenario)


def test_power_loss_breaks_this_end_and_tells_the_peer_nothing(backend: str) -> None:
    async def scenario(line: Line) -> None:
        line.network.lose_power()
        assert await is_broken(line.here.receive())
        await line.here.aclose()
        assert await nothing_arrives(line.there)
        await line.network.restore_power()
        assert await is_broken(line.there.receive())

    run(backend, scenario)


def test_power_that_returns_before_the_network_tells_the_peer_nothing_yet(backend: str) -> None:
    async def scenario(line: Line) -> None:
        await line.network.cut(half_open=True)
        line.network.lose_power()
        await line.network.restore_power()
        assert line.network.description == "half-open"
        assert await nothing_arrives(line.there)
        await line.network.mend()
        assert await is_broken(line.there.receive())

    run(backend, scenario)


def test_mending_survives_a_peer_that_has_gone(backend: str) -> None:
    async def scenario(line: Line) -> None:
        await line.network.cut(half_open=True)
        await line.here.send(b"to nobody")
        await anyio.aclose_forcefully(line.there)
        await anyio.sleep(0.01)
        await line.network.mend()
        await line.network.mend()
        assert await is_broken(line.here.receive())

    run(backend, scenario)


def test_a_network_that_fails_while_dialling_fails_the_dial(backend: str) -> None:
    async def scenario(line: Line) -> None:
        network = Network()
        async with anyio.create_task_group() as group:

            async def dial() -> None:
                with pytest.raises(OSError, match="cut"):
                    await network.dial(to(line.port))

            group.start_soon(dial)
            await anyio.sleep(0)
            await network.cut()

    run(backend, scenario)
