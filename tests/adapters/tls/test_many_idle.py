"""Thousands of idle connections on one server, with TLS and without, and one that talks among them."""

import json
import resource
import ssl
import sys
import textwrap
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from ocpp_adapters import asyncio_server
from ocpp_adapters.anyio_link import dial
from ocpp_adapters.routes import Route
from ocpp_adapters.sessions import Limits
from ocpp_adapters.tls_policy import CsmsTls, StationTls
from ocpp_core.wire import ClientConfig, ServerConfig
from tests.adapters.servers import Echoes, RawClient, request
from tests.adapters.tls import pki

pytestmark = pytest.mark.anyio
PATIENCE = 60


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


CLIENTS = """
    import socket, ssl, sys
    port, count, root = int(sys.argv[1]), int(sys.argv[2]), sys.argv[4]
    context = ssl.create_default_context(cafile=root) if root else None
    held = []
    for number in range(count):
        sock = socket.create_connection(("127.0.0.1", port))
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname="localhost")
        sock.sendall(sys.argv[3].replace("CP1", f"CP{number}").encode().decode("unicode_escape").encode())
        held.append(sock)
        if number % 100 == 99:
            for sock in held[-100:]:
                assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")
    print("open", flush=True)
    sys.stdin.read()
"""


class Talker:
    """A station that always has something to say, and counts how long it waits for each answer."""

    def __init__(self, stream: ByteStream) -> None:
        self._client = RawClient(stream)
        self.waits: list[float] = []
        self.enough = False

    async def open(self) -> None:
        await self._client.open("Talker")

    async def say(self, times: int) -> None:
        for _ in range(times):
            began = anyio.current_time()
            await self._client.send(b"\x81\x85\0\0\0\0hello")
            await self._client.until(b"\x81\x05hello")
            self.waits.append(anyio.current_time() - began)

    async def go_on(self) -> None:
        self.waits = []
        while not self.enough:
            await self.say(1)
            await anyio.sleep(0.01)

    async def close(self) -> None:
        await self._client.stream.aclose()


@pytest.mark.slow
@pytest.mark.parametrize(("count", "secure"), [(10_000, False), (1_000, True)], ids=["plain", "TLS"])
async def test_idle_connections_starve_nobody(count: int, secure: bool, tmp_path: Path) -> None:
    """The idle ones come from another process, while one talks: it is served as they come and stay."""
    wanted = count + 500
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        pytest.skip(f"needs {wanted} open files: ulimit -n {wanted}")
    root = pki.root(tmp_path)
    context = CsmsTls(credentials=(root.leaf("localhost").credential,)).context() if secure else None
    async with await asyncio_server.serve(
        Echoes(),
        "127.0.0.1",
        ssl_context=context,
        limits=Limits(handshakes=2_000),
        config=ServerConfig(ping_interval=300.0),
        backlog=1024,
    ) as server:
        talker = Talker(await dial(route(server.port, root.file if secure else None)))
        await talker.open()
        program = [sys.executable, "-c", textwrap.dedent(CLIENTS), str(server.port), str(count)]
        arguments = [json.dumps(request().decode())[1:-1], str(root.file) if secure else ""]
        async with await anyio.open_process([*program, *arguments], stderr=sys.stderr) as process:
            assert process.stdout is not None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(talker.go_on)
                with anyio.fail_after(PATIENCE):
                    assert (await process.stdout.receive()).startswith(b"open")
                talker.enough = True
            coming, talker.waits = talker.waits, []
            assert len(server.connections) == count + 1
            await talker.say(200)
            process.kill()
        with anyio.fail_after(30):
            while len(server.connections) > 1:
                await anyio.sleep(0.05)
        await talker.close()
    told = f"{count} links: {len(coming)} answers as they came, the slowest after {max(coming):.3f} s"
    assert len(coming) > 20, told
    assert sorted(coming)[len(coming) * 9 // 10] < 0.25, told
    assert sum(talker.waits) < 2.0, f"{sum(talker.waits):.2f} s for 200 messages among {count} idle links"


def route(port: int, root: Path | None) -> Route:
    """To the server, with TLS if there is a root."""
    url = f"{'wss' if root else 'ws'}://localhost:{port}/Talker"
    context: ssl.SSLContext | None = StationTls(trust=(root,)).context() if root else None
    return Route(config=ClientConfig(url=url), ssl_context=context)
