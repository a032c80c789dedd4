"""Ten thousand idle connections on one server."""

import json
import resource
import sys
import textwrap

import anyio
import pytest

from ocpp_adapters import asyncio_server
from ocpp_adapters.sessions import Limits
from ocpp_core.wire import ServerConfig
from tests.adapters.servers import Echoes, RawClient, request

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


CLIENTS = """
    import socket, sys
    port, count = int(sys.argv[1]), int(sys.argv[2])
    held = []
    for number in range(count):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(sys.argv[3].replace("CP1", f"CP{number}").encode().decode("unicode_escape").encode())
        held.append(sock)
        if number % 100 == 99:
            for sock in held[-100:]:
                assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
async def test_ten_thousand_idle_connections() -> None:
    """Idle connections in another process, and one that talks: it must not notice them."""
    wanted = 10_500
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        pytest.skip(f"needs {wanted} open files: ulimit -n {wanted}")
    echoes = Echoes()
    limits = Limits(handshakes=2_000)
    config = ServerConfig(ping_interval=300.0)
    async with await asyncio_server.serve(
        echoes, "127.0.0.1", limits=limits, config=config, backlog=1024
    ) as server:
        program = [sys.executable, "-c", textwrap.dedent(CLIENTS)]
        arguments = [str(server.port), "10000", json.dumps(request().decode())[1:-1]]
        async with await anyio.open_process([*program, *arguments], stderr=sys.stderr) as process:
            assert process.stdout is not None
            with anyio.fail_after(60):
                assert await process.stdout.receive() == b"open\n"
            assert len(server.registry.connections) == 10_000
            client = RawClient(await anyio.connect_tcp("127.0.0.1", server.port))
            await client.open("Talker")
            began = anyio.current_time()
            for _ in range(200):
                await client.send(b"\x81\x85\0\0\0\0hello")
                await client.until(b"\x81\x05hello")
            took = anyio.current_time() - began
            assert took < 2.0, f"{took:.2f} s for 200 messages among 10,000 idle links"
            process.kill()
        with anyio.fail_after(30):
            while len(server.registry.connections) > 1:
                await anyio.sleep(0.05)
        await client.stream.aclose()
