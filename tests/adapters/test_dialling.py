"""A station whose CSMS cannot be reached properly tries again, whatever went wrong."""

import errno
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from ocpp_adapters import anyio_dial
from ocpp_adapters.anyio_station import connect_station
from ocpp_adapters.binding import DialError, finish
from ocpp_adapters.routes import Route
from ocpp_core.station import LinkChanged, Station, StationAction
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig, Text
from tests.adapters.charger import Charger, config
from tests.adapters.servers import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def close(stream: SocketStream) -> None:
    await stream.aclose()


async def reset(stream: SocketStream) -> None:
    raw = stream.extra(SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await anyio.aclose_forcefully(stream)


async def hear_and_close(stream: SocketStream) -> None:
    await stream.receive()
    await close(stream)


async def hear_and_reset(stream: SocketStream) -> None:
    await stream.receive()
    await reset(stream)


async def speak_no_tls(stream: SocketStream) -> None:
    await stream.receive()
    await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await close(stream)


@pytest.mark.parametrize("server", [close, reset, hear_and_close, hear_and_reset, speak_no_tls])
async def test_a_failed_tls_handshake_is_a_failed_link(
    server: Callable[[SocketStream], Awaitable[None]],
) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    seen: list[StationAction | Text] = []
    station = Station(config(), os.urandom, anyio.current_time())
    client = ClientConfig(url=f"wss://127.0.0.1:{port}/CP1")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server)
        async with connect_station(
            station,
            client,
            MemoryStore(),
            Charger(),
            observe=seen.append,
            ssl_context=ssl.create_default_context(),
        ):
            await eventually(lambda: sum(isinstance(action, LinkChanged) for action in seen) >= 3)
        tasks.cancel_scope.cancel()
    await listener.aclose()
    assert all(a.reason.startswith("unreachable: ") for a in seen if isinstance(a, LinkChanged))


async def test_a_link_called_off_in_the_turn_that_asked_for_it_is_never_opened() -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    station = Station(replace(config(), autoconnect=False), os.urandom, anyio.current_time())
    client = ClientConfig(url=f"ws://127.0.0.1:{port}/CP1")
    async with connect_station(station, client, MemoryStore(), Charger()) as runner:
        with runner.turn() as now:
            station.connect(now)
            station.disconnect(now)
        await eventually(lambda: station.state(anyio.current_time())["connection"]["state"] == "idle")
    await listener.aclose()


async def test_a_connection_that_is_reset_before_it_is_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """To anyio that is a mistake of its caller's, in the field one of the CSMS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reset_at_once(sock: socket.socket, *arguments: Any) -> None:
            finish(sock, *arguments)
            accepted, _ = listener.accept()
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            with suppress(OSError):
                while sock.getpeername():
                    pass

        monkeypatch.setattr(anyio_dial, "finish", reset_at_once)
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/CP1"
        with pytest.raises(DialError, match="closed the connection at once") as caught:
            await anyio_dial.connect(Route(config=ClientConfig(url=url)))
    assert caught.value.errno == errno.ECONNRESET
