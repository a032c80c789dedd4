"""ASGI servers with TLS, behind the same door as every other server adapter."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import hypercorn.asyncio
import hypercorn.config
import hypercorn.trio
import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from ocpp_adapters.anyio_link import AnyioConcurrency
from ocpp_adapters.asgi import OcppEndpoint
from ocpp_adapters.asgi_tls import telling
from ocpp_adapters.sessions import Admit
from tests.adapters.servers import Adapter

PROTOCOLS: tuple[type, ...] = (WebSocketsSansIOProtocol, WSProtocol)


@dataclass(frozen=True)
class Uvicorn(Adapter):
    """uvicorn, one of its WebSocket protocols made to tell of TLS."""

    protocol: type = WebSocketsSansIOProtocol
    tells: bool = True

    def __str__(self) -> str:
        return "uvicorn"

    @asynccontextmanager
    async def serve(self, admit: Admit, **options: Any) -> AsyncIterator[int]:
        context = options.pop("ssl_context", None)
        config = uvicorn.Config(
            OcppEndpoint(admit, **options),
            "127.0.0.1",
            0,
            ws=telling(self.protocol) if self.tells else self.protocol,
            ssl_context_factory=None if context is None else lambda *_: context,
            log_level="warning",
        )
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve)
            while not server.started:
                await anyio.sleep(0.005)
            yield int(server.servers[0].sockets[0].getsockname()[1])
            server.should_exit = True

    def concurrency(self, tasks: Any) -> Any:
        return AnyioConcurrency(tasks)


class WithContext(hypercorn.config.Config):
    """A configuration with a context of one's own, for which hypercorn has no setting."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__()
        self.context = context
        self.accesslog = self.errorlog = None

    @property
    def ssl_enabled(self) -> bool:
        return self.context is not None

    def create_ssl_context(self) -> ssl.SSLContext | None:
        return self.context


@dataclass(frozen=True)
class Hypercorn(Adapter):
    """hypercorn, which tells nothing of TLS but that there is some."""

    def __str__(self) -> str:
        return f"hypercorn-{self.backend}"

    @asynccontextmanager
    async def serve(self, admit: Admit, **options: Any) -> AsyncIterator[int]:
        config = WithContext(options.pop("ssl_context", None))
        bound = socket.create_server(("127.0.0.1", 0))
        port = int(bound.getsockname()[1])
        config.bind = [f"fd://{bound.detach()}"]
        leaving = anyio.Event()
        worker: Any = hypercorn.trio if self.backend == "trio" else hypercorn.asyncio
        app = OcppEndpoint(admit, **options)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(worker.serve, app, config, shutdown_trigger=leaving.wait, mode="asgi"))
            yield port  # connections wait in the backlog
            leaving.set()

    def concurrency(self, tasks: Any) -> Any:
        return AnyioConcurrency(tasks)
