"""A station on the rpc level in a main loop of one's own: nothing waits, outcomes are asked for.

::

    poll = Poll()
    link = open_rpc(poll, ClientConfig(url="ws://csms.example/ocpp/CP1"))
    while not link.opened:
        poll.wait(poll.step())
    booted = link.call(v201.BootNotificationRequest(...))
    while not booted.done:
        poll.wait(poll.step())
    print(booted.result().status)
"""

import os
import socket
import ssl

from ocpp_core import OcppVersion, Role
from ocpp_core.entropy import Entropy
from ocpp_core.messages import Request, Response
from ocpp_core.rpc import CallRank, RpcConfig
from ocpp_core.wire import ClientConfig, Closed, HandshakeFailed

from .poll import Poll, Task
from .poll_dial import Dial, Dialling, OnItsWay
from .poll_link import Carried
from .routes import Route, route_of
from .rpc_client import HandshakeFailedError, refuse_all
from .rpc_link import Handler, RpcLink
from .socket_link import ClientSocket


class PolledLink:
    """A station's link, from dialling to its end. Made by :func:`open_rpc`."""

    def __init__(
        self,
        poll: Poll,
        route: Route,
        session: RpcLink,
        entropy: Entropy,
        dial: Dial,
    ) -> None:
        self._poll = poll
        self._config = route.config
        self.session = session
        """For the coroutines of the poll: ``await link.session.call(...)``."""
        self._entropy = entropy
        self._driver: ClientSocket | None = None
        self._closed: Closed | None = None
        self._failure: Exception | None = None
        self._dialling: OnItsWay | None = dial(poll, route, self._connected)

    @property
    def opened(self) -> bool:
        """Whether calls can be made, or could be.

        Raises:
            HandshakeFailedError: the CSMS refused, or TLS failed. OSError: nobody is there.
        """
        if self._failure is not None:
            raise self._failure
        return self._driver is not None and bool(self._driver.subprotocol)

    @property
    def identity(self) -> str:
        """The station's identity. Raises LocalProtocolError: the link is not open yet."""
        return self.session.identity

    @property
    def version(self) -> OcppVersion:
        """The version both sides agreed on. Raises LocalProtocolError: the link is not open yet."""
        return self.session.version

    @property
    def closed(self) -> Closed | None:
        """How the link ended; None: it has not, or never opened."""
        return self._closed

    def call(
        self, request: Request, *, timeout: float | None = None, rank: CallRank | None = None
    ) -> Task[Response]:
        """Call the peer; as :meth:`.RpcLink.call`, but response and errors are the task's."""
        return self._poll.spawn(self.session.call(request, timeout=timeout, rank=rank))

    def send(self, request: Request) -> None:
        """Send an unconfirmed message (OCPP 2.1). Raises what :meth:`.RpcLink.send` raises."""
        self.session.send(request)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close the link; harmless if it is closed."""
        if self._dialling is not None:
            self._dialling.stop()
            self._dialling = None
            self._failure = ConnectionAbortedError("closed before it was open")
        elif self._driver is not None:
            self._driver.close(code, reason)

    def _connected(self, connection: socket.socket | Exception, context: ssl.SSLContext | None) -> None:
        self._dialling = None
        if isinstance(connection, Exception):
            self._failure = connection
            return
        try:
            self._driver = ClientSocket(
                connection, self._config, self.session, self._entropy, ssl_context=context
            )
        except Exception as error:
            self._failure = error
            return
        Carried(self._poll, self._driver, self._ended)

    def _ended(self) -> None:
        assert self._driver is not None
        outcome = self._driver.outcome
        if not isinstance(outcome, HandshakeFailed):
            self._closed = outcome
        else:
            self._failure = HandshakeFailedError(outcome)


def open_rpc(
    poll: Poll,
    route: ClientConfig | Route,
    handler: Handler = refuse_all,
    *,
    ssl_context: ssl.SSLContext | None = None,
    rpc: RpcConfig | None = None,
    entropy: Entropy = os.urandom,
    dial: Dial = Dialling,
) -> PolledLink:
    """Begin to connect as a station.

    Arguments:
        poll: what the link belongs to.
        handler: what answers the CSMS's calls; its coroutines may wait for calls of its own.
        dial: opens the transport, without TLS; it must not wait.

    The others are those of :func:`ocpp_adapters.anyio_rpc.open_rpc`. The time for the connection is the
    configured ``handshake_timeout``, that for the handshake the same once more.
    """
    session = RpcLink(Role.STATION, handler, poll, rpc, entropy)
    return PolledLink(poll, route_of(route, ssl_context), session, entropy, dial)
