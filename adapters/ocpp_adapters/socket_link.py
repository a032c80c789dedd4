"""One WebSocket over a plain socket, without an event loop: what to write, whether to read, until when.

These drivers touch no socket but to cut it. Who carries them (threads that block, a loop that polls) asks
what they want, does it, and tells what came of it; that carrier also sees to it that one thread at a time
calls in.
"""

import errno
import logging
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from ocpp_core.entropy import Entropy
from ocpp_core.wire import ClientConfig, Closed, HandshakeFailed, WebSocketClient, WebSocketServer

from .calls import Concurrency
from .driver import Driver
from .server_driver import Registry, ServerDriver
from .sessions import Limits, Peer, Session
from .tls_wire import SecuredClient, SecuredServer

READ_SIZE = 64 << 10
_UNREAD = 256 << 10
"""Bytes not yet written from which on nothing more is read: what comes in would only add to them."""
_BACKLOG: Final = 128
_MAPPED: Final = "::ffff:"
"""Before the IPv4 address of a peer, on a socket for both."""
_NO_IPV6: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
_log = logging.getLogger(__name__)


class SocketDriver(Driver):
    """A driver whose transport somebody else carries."""

    _wire: WebSocketClient | WebSocketServer | SecuredClient | SecuredServer

    def set_up(self, sock: socket.socket, close_timeout: float, limits: Limits) -> None:
        """The transport's part of construction."""
        self.socket = sock
        self.ended = False
        """The connection is gone, the session has heard of it."""
        self.outcome: Closed | HandshakeFailed | None = None
        self.stir: Callable[[], None] = _nothing
        """Called when the carrier has something new to do."""
        self._close_timeout = close_timeout
        self._limits = limits
        self._out = bytearray()
        self._held = False
        self._finish_by: float | None = None
        """It closes once everything is written, and then at the latest."""
        self._aborted = False

    # What the carrier asks.

    @property
    def over(self) -> bool:
        """Whether the connection is to be closed now; then call :meth:`lost`."""
        return self._aborted or (self._finish_by is not None and not self._out)

    @property
    def reads(self) -> bool:
        """Whether to read from the peer."""
        return not self._held and len(self._out) <= _UNREAD

    @property
    def writes(self) -> bool:
        """Whether there is something to write."""
        return bool(self._out)

    def unsent(self) -> bytes:
        """What to write next; tell :meth:`sent` how much of it was."""
        return bytes(self._out[:READ_SIZE])

    def due(self) -> float | None:
        """When to call :meth:`handle_timer`."""
        at, finish = self._next_timer(), self._finish_by
        return finish if at is None or (finish is not None and finish < at) else at

    # What the carrier tells.

    def begin(self) -> None:
        """The connection is there."""
        self._pump(self.now())

    def received(self, data: bytes) -> None:
        """Bytes came."""
        now = self.now()
        self._wire.receive_data(data, now)
        self._pump(now)

    def sent(self, count: int) -> None:
        """So many bytes of ``unsent()`` are written."""
        del self._out[:count]
        self.stir()  # there may be room to read again

    def lost(self) -> None:
        """The connection has ended, or is closed now. Harmless if that is known."""
        if self.ended:
            return
        self.ended = True
        now = self.now()
        self._wire.receive_eof(now)
        self._pump(now)
        self.stir()

    def handle_timer(self, now: float) -> None:
        """``due()`` has passed."""
        if self._finish_by is not None and now >= self._finish_by:
            self.abort()  # a peer that never reads would keep it open for ever
        else:
            self._timer_due(now)

    # What the driver wants.

    def now(self) -> float:
        """The system's monotonic time."""
        return now()

    def hold(self, on: bool) -> None:
        """Stop, or go on, to read from the peer."""
        self._held = on
        self.stir()

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._aborted = True
        self._out.clear()
        with suppress(OSError):  # it may not be connected any more
            self.socket.shutdown(socket.SHUT_RDWR)
        self.stir()

    def _write(self, out: list[bytes]) -> None:
        if self.ended or self._aborted:
            return
        for data in out:
            self._out += data
        if len(self._out) > self._limits.unsent_bytes:
            _log.warning("%s does not read: cut off", self.identity)
            self.abort()
        self.stir()

    def _close_transport(self) -> None:
        self._finish_by = self.now() + self._close_timeout
        self.stir()

    def _arm(self) -> None:
        self.stir()

    def _end(self, outcome: Closed | HandshakeFailed, now: float) -> None:
        self.outcome = outcome
        super()._end(outcome, now)


class ClientSocket(SocketDriver):
    """A station's end of a link.

    It takes the socket over, and closes it if TLS cannot begin: raises what the context raises then.
    """

    def __init__(
        self,
        sock: socket.socket,
        config: ClientConfig,
        session: Session,
        entropy: Entropy,
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(session, config.identity)
        self.set_up(sock, config.close_timeout, Limits())
        try:
            if config.endpoint.secure:
                context = ssl_context or ssl.create_default_context()
                self._wire = SecuredClient(config, entropy, self.now(), context)
            else:
                self._wire = WebSocketClient(config, entropy, self.now())
        except BaseException:
            sock.close()
            raise

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS connection; None if there is none."""
        return self._wire.tls if isinstance(self._wire, SecuredClient) else None


class ServerSocket(SocketDriver, ServerDriver):
    """One station's connection; the :class:`~ocpp_adapters.sessions.TextLink` of its session."""

    _wire: WebSocketServer | SecuredServer

    def __init__(
        self,
        sock: socket.socket,
        registry: Registry,
        concurrency: Concurrency,
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        ServerDriver.__init__(self, registry)
        self.set_up(sock, registry.config.close_timeout, registry.limits)
        self._concurrency = concurrency
        if ssl_context is None:
            self._wire = WebSocketServer(registry.config, self.now())
        else:
            self._wire = SecuredServer(registry.config, self.now(), ssl_context)

    def peer(self) -> Peer:
        """Who is at the other end."""
        tls = self._wire.tls if isinstance(self._wire, SecuredServer) else None
        try:
            name = self.socket.getpeername()
        except OSError:  # gone already
            return Peer(None, tls)
        return Peer(address_of(name), tls)

    def lost(self) -> None:
        """The connection has ended."""
        super().lost()
        self._registry.leave(self)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._concurrency.spawn(work)


def listener_at(host: str | None, port: int) -> socket.socket:
    """A listening socket; without a host everywhere, by IPv4 and, where the system has it, IPv6.

    Raises OSError.
    """
    if not host and socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True
            )
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
    family = socket.AF_INET6 if host and ":" in host else socket.AF_INET
    return socket.create_server((host or "", port), family=family, backlog=_BACKLOG)


def address_of(name: Any) -> tuple[str, int] | None:
    """A peer's address and port, if there is such a thing; IPv4 is IPv4, by whatever socket it came."""
    return (name[0].removeprefix(_MAPPED), name[1]) if isinstance(name, tuple) else None


def now() -> float:
    """The system's monotonic time, in seconds."""
    return time.monotonic()


def _nothing() -> None:
    """The carrier that looks by itself."""
