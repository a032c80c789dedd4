"""Central systems on every adapter, behind one door: a context manager that yields the port."""

import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from functools import partial
from typing import Any, TypeAlias

import anyio
import hypercorn.trio
import uvicorn
from anyio.from_thread import start_blocking_portal
from hypercorn.config import Config

from ocpp_adapters import anyio_server, asyncio_server, poll_server, threads_server
from ocpp_adapters.anyio_link import AnyioConcurrency
from ocpp_adapters.asgi import OcppEndpoint
from ocpp_adapters.calls import Concurrency
from ocpp_adapters.poll import Poll
from ocpp_adapters.sessions import Session
from ocpp_adapters.threads_monitor import Monitor
from ocpp_core.wire import ServerConfig
from tests.adapters.tls.asgi_servers import WithContext

MakeSession: TypeAlias = Callable[[Concurrency], Session]
"""What a station that connects gets, made in the adapter's own thread."""
CentralSystem: TypeAlias = Callable[..., AbstractContextManager[int]]
"""Given what makes sessions, a TLS context or None, and maybe the settings of its links."""


@contextmanager
def native(
    make: MakeSession, context: ssl.SSLContext | None, config: ServerConfig | None = None
) -> Iterator[int]:
    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        concurrency = asyncio_server.AsyncioConcurrency()
        serving = asyncio_server.serve(
            lambda *_: make(concurrency), "127.0.0.1", ssl_context=context, config=config
        )
        async with await serving as server:
            yield server.port

    with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(serve()) as port:
        yield port


@contextmanager
def on_anyio(
    make: MakeSession, context: ssl.SSLContext | None, config: ServerConfig | None = None, *, backend: str
) -> Iterator[int]:
    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        async with anyio.create_task_group() as tasks:
            concurrency = AnyioConcurrency(tasks)
            options: Any = {"ssl_context": context, "config": config}
            server = await tasks.start(
                partial(anyio_server.serve, lambda *_: make(concurrency), "127.0.0.1", **options)
            )
            yield server.port
            tasks.cancel_scope.cancel()

    with start_blocking_portal(backend) as portal, portal.wrap_async_context_manager(serve()) as port:
        yield port


@contextmanager
def threads(
    make: MakeSession, context: ssl.SSLContext | None, config: ServerConfig | None = None
) -> Iterator[int]:
    with (
        closing(Monitor()) as monitor,
        threads_server.serve(
            lambda *_: make(monitor), "127.0.0.1", monitor=monitor, ssl_context=context, config=config
        ) as server,
    ):
        yield server.port


@contextmanager
def polled(
    make: MakeSession, context: ssl.SSLContext | None, config: ServerConfig | None = None
) -> Iterator[int]:
    """The main loop is a thread's here, so that the test can go on."""
    poll = Poll()
    server = poll_server.serve(poll, lambda *_: make(poll), "127.0.0.1", ssl_context=context, config=config)
    port, leaving = server.port, threading.Event()

    def main_loop() -> None:
        with poll:
            while not leaving.is_set():
                poll.wait(min(poll.step(), 0.005))
            server.close()
            server.abort()
            while not server.empty:
                poll.step()

    loop = threading.Thread(target=main_loop)
    loop.start()
    try:
        yield port
    finally:
        leaving.set()
        loop.join()


@contextmanager
def uvicorn_asgi(
    make: MakeSession, context: ssl.SSLContext | None, config: ServerConfig | None = None
) -> Iterator[int]:
    """ASGI on asyncio."""
    concurrency: list[Concurrency] = []

    def admit(*_: Any) -> Session:
        concurrency[:] = concurrency or [asyncio_server.AsyncioConcurrency()]
        return make(concurrency[0])

    settings = uvicorn.Config(
        OcppEndpoint(admit, config=config),
        "127.0.0.1",
        0,
        ws="websockets-sansio",
        ws_ping_interval=20.0 if config is None else config.ping_interval,
        ws_ping_timeout=20.0 if config is None else config.pong_timeout,
        log_level="warning",
        ssl_context_factory=None if context is None else lambda *_: context,
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def hypercorn_asgi(
    make: MakeSession, context: ssl.SSLContext | None, config: ServerConfig | None = None
) -> Iterator[int]:
    """ASGI on trio."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    settings = WithContext(context)
    settings.bind = [f"127.0.0.1:{port}"]
    settings.websocket_ping_interval = None if config is None else config.ping_interval

    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        async with anyio.create_task_group() as tasks:
            concurrency = AnyioConcurrency(tasks)
            leaving = anyio.Event()
            app: Any = OcppEndpoint(lambda *_: make(concurrency), config=config)
            with anyio.fail_after(20):
                await tasks.start(_hypercorn, app, settings, leaving)
            yield port
            leaving.set()

    with start_blocking_portal("trio") as portal, portal.wrap_async_context_manager(serve()) as bound:
        yield bound


async def _hypercorn(app: Any, config: Config, leaving: anyio.Event, *, task_status: Any) -> None:
    serving = partial(hypercorn.trio.serve, app, config, shutdown_trigger=leaving.wait, mode="asgi")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serving)
        while True:
            try:
                probe = await anyio.connect_tcp("127.0.0.1", int(config.bind[0].rpartition(":")[2]))
            except OSError:
                await anyio.sleep(0.01)
            else:
                await probe.aclose()
                break
        task_status.started()


CENTRAL_SYSTEMS: dict[str, CentralSystem] = {
    "native": native,
    "anyio-asyncio": partial(on_anyio, backend="asyncio"),
    "anyio-trio": partial(on_anyio, backend="trio"),
    "threads": threads,
    "poll": polled,
    "asgi-uvicorn-asyncio": uvicorn_asgi,
    "asgi-hypercorn-trio": hypercorn_asgi,
}
