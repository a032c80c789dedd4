"""The CSMS's end of WebSockets over anyio streams: where portability counts for more than numbers.

The same ``admit`` and sessions as :mod:`ocpp_adapters.asyncio_server`, on asyncio or trio.
"""

import logging
import ssl
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NoReturn

import anyio
from anyio import BrokenResourceError
from anyio.abc import ByteStream, SocketAttribute, SocketListener, TaskGroup, TaskStatus

from ocpp_core.wire import ServerConfig, WebSocketServer

from .anyio_link import StreamDriver, await_it, end_links
from .server_driver import RELIEF, Registry, ServerDriver
from .sessions import Admit, Limits, Peer
from .socket_link import address_of
from .tls_wire import SecuredServer

_log = logging.getLogger(__name__)


class ServerStream(StreamDriver, ServerDriver):
    """One station's connection; the :class:`~ocpp_adapters.sessions.TextLink` of its session."""

    _wire: WebSocketServer | SecuredServer

    def __init__(
        self, stream: ByteStream, registry: Registry, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        ServerDriver.__init__(self, registry)
        self.set_up(stream, registry.config.close_timeout, registry.limits)
        if ssl_context is None:
            self._wire = WebSocketServer(registry.config, self.now())
        else:
            self._wire = SecuredServer(registry.config, self.now(), ssl_context)

    def peer(self) -> Peer:
        """Who is at the other end."""
        remote = self._stream.extra(SocketAttribute.remote_address, None)
        return Peer(address_of(remote), self._wire.tls if isinstance(self._wire, SecuredServer) else None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.start_soon(await_it, work)


class Server:
    """A listening CSMS. Made by :func:`serve`, whose task is its life."""

    def __init__(self, registry: Registry, port: int, ssl_context: ssl.SSLContext | None) -> None:
        self._registry = registry
        self.port = port
        """The port of the first listening socket."""
        self.ssl_context = ssl_context
        """For connections to come; set a new one when a certificate was renewed. None: without TLS."""

    @property
    def connections(self) -> Mapping[str, ServerDriver]:
        """The open links, by identity; a live view."""
        return self._registry.connections

    async def close(self, *, grace: float = 15.0) -> None:
        """Take nobody in any more, close every link with 1001; after ``grace`` seconds cut what is left.

        The task of :func:`serve` goes on: cancel it then.
        """
        await end_links(self._registry, grace)


async def serve(
    admit: Admit,
    host: str | None = None,
    port: int = 0,
    *,
    ssl_context: ssl.SSLContext | None = None,
    config: ServerConfig | None = None,
    limits: Limits | None = None,
    task_status: TaskStatus[Server] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Listen for stations until cancelled; every link is then closed with 1001.

    ``await task_group.start(serve, admit, ...)`` returns the :class:`Server`. The arguments are those of
    :func:`ocpp_adapters.asyncio_server.serve`.

    Raises:
        OSError: it cannot listen there.
    """
    registry = Registry(admit, config, limits)
    tcp = await anyio.create_tcp_listener(local_host=host, local_port=port)
    server = Server(registry, tcp.extra(SocketAttribute.local_port), ssl_context)

    async def handle(stream: ByteStream) -> None:
        connection = ServerStream(stream, registry, server.ssl_context)
        if not registry.enter(connection):
            await anyio.aclose_forcefully(stream)
            return
        try:
            await connection.run()
        except Exception:
            _log.exception("%s: its connection failed", connection.identity)  # and no other
        finally:
            registry.leave(connection)

    async with tcp, anyio.create_task_group() as tasks:
        for listener in tcp.listeners:
            assert isinstance(listener, SocketListener)
            tasks.start_soon(_accept_all, listener, handle, tasks)
        task_status.started(server)


async def _accept_all(
    listener: SocketListener, handle: Callable[[ByteStream], Coroutine[Any, Any, None]], tasks: TaskGroup
) -> NoReturn:
    """Accept until cancelled. Anyio's own loop would end, and with it the server, at the first error."""
    while True:
        try:
            stream = await listener.accept()
        except (BrokenResourceError, OSError) as error:
            _log.warning("no connection accepted: %s", error.__cause__ or error)
            await anyio.sleep(RELIEF)
        else:
            tasks.start_soon(handle, stream)
