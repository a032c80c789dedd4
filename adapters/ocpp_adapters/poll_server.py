"""The CSMS's end of WebSockets in a main loop of one's own: for a local controller or a test bench."""

import logging
import math
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from selectors import EVENT_READ

from ocpp_core.wire import ServerConfig

from .poll import Poll
from .poll_link import Carried
from .server_driver import RELIEF, Registry, ServerDriver
from .sessions import Admit, Limits
from .socket_link import ServerSocket, listener_at, now

_log = logging.getLogger(__name__)


class Server:
    """A listening CSMS. Made by :func:`serve`."""

    def __init__(
        self, poll: Poll, listener: socket.socket, registry: Registry, ssl_context: ssl.SSLContext | None
    ) -> None:
        self.armed = math.inf
        self._poll = poll
        self._listener = listener
        self._registry = registry
        self.ssl_context = ssl_context
        """For connections to come; set a new one when a certificate was renewed. None: without TLS."""
        self._again: float | None = None
        """When it accepts again."""
        poll.watch(listener, EVENT_READ, self._accept)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listener.getsockname()[1])

    @property
    def connections(self) -> Mapping[str, ServerDriver]:
        """The open links, by identity; a live view."""
        return self._registry.connections

    @property
    def empty(self) -> bool:
        """Whether nobody is connected."""
        return self._registry.empty

    def close(self) -> None:
        """Stop listening and close every link with 1001; step on until it is :attr:`empty`."""
        self._again = None
        self._poll.drop(self._listener)
        self._registry.close()

    def abort(self) -> None:
        """Cut every link."""
        self._registry.abort()

    def due(self) -> float | None:
        """When it accepts again."""
        return self._again

    def handle_timer(self, now: float) -> None:
        """Accept again."""
        del now
        self._again = None
        self._poll.watch(self._listener, EVENT_READ, self._accept)

    def settle(self) -> None:
        """Nothing but its deadline changes."""

    def _accept(self, events: int) -> None:
        del events
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # it has gone again
        except OSError as error:
            _log.warning("no connection accepted: %s", error)
            self._poll.watch(self._listener, 0, self._accept)
            self._again = now() + RELIEF
            self._poll.changed(self)
            return
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        driver = ServerSocket(connection, self._registry, self._poll, ssl_context=self.ssl_context)
        if self._registry.enter(driver):
            Carried(self._poll, driver, _nothing)
        else:
            connection.close()


def serve(
    poll: Poll,
    admit: Admit,
    host: str | None = None,
    port: int = 0,
    *,
    ssl_context: ssl.SSLContext | None = None,
    config: ServerConfig | None = None,
    limits: Limits | None = None,
) -> Server:
    """Listen for stations.

    Arguments:
        poll: what the links belong to; also the ``concurrency`` of their sessions.
        host: where to listen; None: everywhere.
        port: 0: any that is free, see :attr:`Server.port`.

    The others are those of :func:`ocpp_adapters.asyncio_server.serve`.

    Raises:
        OSError: it cannot listen there.
    """
    listener = listener_at(host, port)
    listener.setblocking(False)
    return Server(poll, listener, Registry(admit, config, limits), ssl_context)


def _nothing() -> None:
    """The registry knows by itself."""
