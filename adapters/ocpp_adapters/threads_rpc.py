"""Typed calls from plain threads: a station's connection, and a link that any thread may use, either role."""

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from ocpp_core import OcppVersion, Role
from ocpp_core.entropy import Entropy
from ocpp_core.messages import Request, Response
from ocpp_core.rpc import AnswerCache, CallRank, CallReceived, RpcConfig, SendReceived
from ocpp_core.wire import ClientConfig, Closed, HandshakeFailed

from .routes import Route, route_of
from .rpc_client import HandshakeFailedError, refuse_all
from .rpc_link import RpcLink
from .socket_link import ClientSocket
from .threads_link import Carried, Dial, dial
from .threads_monitor import Monitor, monitor_or_own

BlockingHandler: TypeAlias = Callable[["BlockingLink", CallReceived | SendReceived], Response | None]
"""Answers a call, in a worker thread: it may block, and make calls of its own. What it raises counts as in
:data:`~ocpp_adapters.rpc_link.Handler`."""


class BlockingLink:
    """One end of OCPP-J on one link, for any thread at any time.

    Arguments:
        role: which end.
        handler: what answers the peer's calls.
        monitor: what the link belongs to.
        config: time-out and limits.
        entropy: the source of message ids.
        answers: a record of answers to go on with, kept from an earlier link with the same station.
    """

    def __init__(
        self,
        role: Role,
        handler: BlockingHandler,
        monitor: Monitor,
        config: RpcConfig | None = None,
        entropy: Entropy = os.urandom,
        answers: AnswerCache | None = None,
    ) -> None:
        self._handler = handler
        self._monitor = monitor
        self.session = RpcLink(role, self._handle, monitor, config, entropy, answers)
        """What a server or client puts behind its WebSocket."""

    @property
    def identity(self) -> str:
        """The station's identity. Raises LocalProtocolError: the link is not open yet."""
        with self._monitor:
            return self.session.identity

    @property
    def version(self) -> OcppVersion:
        """The version both sides agreed on. Raises LocalProtocolError: the link is not open yet."""
        with self._monitor:
            return self.session.version

    @property
    def answers(self) -> AnswerCache:
        """The record of answers, to be handed to the next link with the same station."""
        with self._monitor:
            return self.session.answers

    def call(
        self, request: Request, *, timeout: float | None = None, rank: CallRank | None = None
    ) -> Response:
        """Call the peer and wait for the response; as :meth:`.RpcLink.call`, but it blocks.

        Raises:
            CallFailedError: there is no response, and will be none. LocalProtocolError: the link is not
            open yet, the queue is full (:attr:`~ocpp_core.rpc.RpcConfig.queue_limit`), or the request is
            not one to send.
        """
        return self._monitor.run(self.session.call(request, timeout=timeout, rank=rank))

    def send(self, request: Request) -> None:
        """Send an unconfirmed message (OCPP 2.1). Raises what :meth:`call` raises."""
        with self._monitor:
            self.session.send(request)

    def wait_closed(self) -> Closed:
        """Wait until the link is gone; returns how it ended."""
        return self._monitor.run(self.session.wait_closed())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close the link; harmless if it is closed."""
        with self._monitor:
            self.session.close(code, reason)

    async def _handle(self, link: RpcLink, call: CallReceived | SendReceived) -> Response | None:
        del link
        with self._monitor.released():
            return self._handler(self, call)


@contextmanager
def open_rpc(
    route: ClientConfig | Route,
    handler: BlockingHandler = refuse_all,
    *,
    ssl_context: ssl.SSLContext | None = None,
    rpc: RpcConfig | None = None,
    entropy: Entropy = os.urandom,
    monitor: Monitor | None = None,
    dial: Dial = dial,
) -> Iterator[BlockingLink]:
    """Connect as a station; a context manager that closes the link in good order.

    Arguments and errors are those of :func:`ocpp_adapters.anyio_rpc.open_rpc`; ``monitor`` is for links that
    share one. Handlers still at work at the end go on, and answer no one. A failure of TLS is a
    HandshakeFailedError too; its ``failure`` is a :class:`~ocpp_adapters.tls_wire.TlsHandshakeFailed`.
    """
    route = route_of(route, ssl_context)
    config, context = route.config, route.context()
    connection = dial(route, config.handshake_timeout)
    with monitor_or_own(monitor) as monitor:
        with monitor:
            link = BlockingLink(Role.STATION, handler, monitor, rpc, entropy)
            driver = ClientSocket(connection, config, link.session, entropy, ssl_context=context)
            carried = Carried(driver, monitor)
            carried.start()
        try:
            with monitor:
                carried.wait_for(lambda: bool(driver.subprotocol) or driver.outcome is not None)
            if isinstance(driver.outcome, HandshakeFailed):
                raise HandshakeFailedError(driver.outcome)
            yield link
        finally:
            with monitor:
                driver.close(1000, "")
                carried.wait_for(lambda: carried.done)
