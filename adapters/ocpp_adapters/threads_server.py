"""The CSMS's end of WebSockets on plain threads, two for each link: for a Flask process, not for thousands.

The sessions are those of every server. They belong to the monitor: a handler of a
:class:`~ocpp_adapters.threads_rpc.BlockingLink` runs outside of it, a ``Central``'s ``observe`` inside::

    monitor = Monitor()
    central = Central(config, observe, stores, monitor)
    with serve(lambda handshake, peer: central.session(), port=9000, monitor=monitor):
        outcome = monitor.run(central.links["CP1"].call(RequestStart(token, 1)))
"""

import inspect
import logging
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

from ocpp_core.wire import HandshakeReceived, ServerConfig

from .server_driver import RELIEF, Registry, ServerDriver
from .sessions import Decision, Limits, Peer
from .socket_link import listener_at
from .threads_link import Carried, ThreadSafeServer
from .threads_monitor import Monitor, finish, monitor_or_own
from .threads_rpc import BlockingLink

_log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

BlockingAdmit: TypeAlias = Callable[
    [HandshakeReceived, Peer], Decision | BlockingLink | Awaitable[Decision | BlockingLink]
]
"""Decides on a handshake, in a worker thread: it may block, also as a coroutine (:func:`.finish`). The
handshake's time-out goes on meanwhile."""


class Server:
    """A listening CSMS. Made by :func:`serve`; a context manager that closes in good order."""

    def __init__(
        self,
        listener: socket.socket,
        admit: BlockingAdmit,
        monitor: Monitor | None,
        *,
        ssl_context: ssl.SSLContext | None,
        config: ServerConfig | None,
        limits: Limits | None,
    ) -> None:
        self._own = ExitStack()
        monitor = self._own.enter_context(monitor_or_own(monitor))
        self._listener = listener
        self._admit = admit
        self._monitor = monitor
        self.ssl_context = ssl_context
        """For connections to come; set a new one when a certificate was renewed. None: without TLS."""
        self._registry = Registry(self._ask, config, limits)
        self._empty = monitor.condition()
        self._registry.emptied = self._empty.notify_all
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept_all, name="ocpp-acceptor", daemon=True)
        self._acceptor.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listener.getsockname()[1])

    @property
    def connections(self) -> Mapping[str, ServerDriver]:
        """The open links, by identity; as they were when asked for."""
        with self._monitor:
            return dict(self._registry.connections)

    def close(self, *, grace: float = 15.0) -> None:
        """Stop listening, close every link with 1001; after ``grace`` seconds cut those that are left."""
        self._closing = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the acceptor
        self._acceptor.join()
        self._listener.close()
        with self._monitor:
            self._registry.close()
            if not self._empty.wait_for(lambda: self._registry.empty, grace):
                self._registry.abort()
                self._empty.wait_for(lambda: self._registry.empty)
        self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept_all(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as error:
                if not self._closing:
                    _log.warning("no connection accepted: %s", error)
                    time.sleep(RELIEF)
                continue
            self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._monitor:
            driver = ThreadSafeServer(connection, self._registry, self._monitor, ssl_context=self.ssl_context)
            if not self._registry.enter(driver):
                connection.close()
                return
            try:
                Carried(driver, self._monitor).start()
            except RuntimeError as error:
                _log.warning("cut off, there is no thread for it: %s", error)
                driver.lost()
                connection.close()

    async def _ask(self, handshake: HandshakeReceived, peer: Peer) -> Decision:
        with self._monitor.released():
            decision = self._admit(handshake, peer)
            if inspect.isawaitable(decision):
                decision = finish(_waited(decision))
        return decision.session if isinstance(decision, BlockingLink) else decision


async def _waited(answer: Awaitable[Answer]) -> Answer:
    return await answer


def serve(
    admit: BlockingAdmit,
    host: str | None = None,
    port: int = 0,
    *,
    monitor: Monitor | None = None,
    ssl_context: ssl.SSLContext | None = None,
    config: ServerConfig | None = None,
    limits: Limits | None = None,
) -> Server:
    """Listen for stations, in threads of its own.

    Arguments:
        admit: decides on each handshake, with a session, a link or a refusal.
        host: where to listen; None: everywhere.
        port: 0: any that is free, see :attr:`Server.port`.
        monitor: what the links belong to; None: one of its own.
        ssl_context: for ``wss://``.
        config: of every link.
        limits: how much to take on.

    Raises:
        OSError: it cannot listen there.
    """
    listener = listener_at(host, port)
    listener.settimeout(1.0)  # where closing does not wake who accepts
    return Server(listener, admit, monitor, ssl_context=ssl_context, config=config, limits=limits)
