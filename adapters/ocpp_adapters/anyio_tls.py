"""The TLS of every adapter over an anyio byte stream; beside the loop while a slow key signs, if need be."""

import math
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute

from ocpp_core.wire import CloseTransport, SendBytes

from .anyio_dial import beside
from .routes import Route
from .tls_link import PeerFinished, Plaintext, TlsFailed, TlsLink, TlsState

_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


async def secure(stream: ByteStream, route: Route, *, in_worker: bool = False) -> ByteStream:
    """Put TLS on a new connection if its route's URL is ``wss://``; closes the connection if that fails.

    Arguments:
        stream: the connection, which the TLS one takes over.
        route: says whose name is expected, how long the handshake may take, and has the context.
        in_worker: shake hands in worker threads, for a key that takes its time to sign. Cancelled, it does
            not wait for a signature that is under way.

    Raises:
        OSError: the connection ended; :class:`TimeoutError`, a subclass: not in time; :class:`ssl.SSLError`,
            another: TLS failed, or the certificate is not trusted (:class:`ssl.SSLCertVerificationError`).
            Also what the route's maker of contexts raises.
    """
    if not route.config.endpoint.secure:
        return stream
    try:
        context = await _context(route)
        host, patience = route.config.endpoint.server_name, route.config.handshake_timeout
        link = TlsLink(context, anyio.current_time(), server_hostname=host, handshake_timeout=patience)
        secured = TlsStream(stream, link, in_worker=in_worker)
        await secured.shake_hands()
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
    return secured


async def _context(route: Route) -> ssl.SSLContext:
    """The context for one attempt, made in a worker thread if it is yet to be made: that reads files."""
    if isinstance(route.ssl_context, ssl.SSLContext):
        return route.ssl_context
    context = await beside(route.context)
    assert context is not None, "the URL is wss://"
    return context


class TlsStream(ByteStream):
    """A :class:`TlsLink` over a byte stream; ``in_worker``: the handshake computes in worker threads."""

    def __init__(self, stream: ByteStream, link: TlsLink, *, in_worker: bool = False) -> None:
        self._stream = stream
        self._link = link
        self._in_worker = in_worker
        self._received = bytearray()
        self._unsent = bytearray()
        self._sending = anyio.Lock()
        self._ended = False
        self._take()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the stream below, and the ``ssl.SSLObject``."""
        return {**self._stream.extra_attributes, TLSAttribute.ssl_object: lambda: self._link.object}

    async def shake_hands(self) -> None:
        """Run the handshake. Raises OSError, as :func:`secure`."""
        at = self._link.next_timer()
        with anyio.CancelScope(deadline=math.inf if at is None else at) as time:
            try:
                await self._shake_hands()
            except _GONE as error:
                if self._link.error is None:
                    raise ConnectionError("the connection ended in the TLS handshake") from error
        if self._link.error is not None:
            raise self._link.error
        if time.cancelled_caught:
            raise TimeoutError("the TLS handshake was not over in time")

    async def _shake_hands(self) -> None:
        await self._flush()
        while self._link.state is TlsState.HANDSHAKE:
            data = await self._stream.receive()
            if self._in_worker:
                # A thread that was abandoned goes on with a link that nobody uses any more.
                await beside(partial(self._link.receive_data, data, anyio.current_time()))
            else:
                self._link.receive_data(data, anyio.current_time())
            self._take()
            await self._flush()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Decrypted bytes.

        Raises:
            anyio.EndOfStream: the peer has said that nothing more comes, or has just gone.
            ssl.SSLError: the peer has refused us (with TLS 1.3 that comes after our own handshake), or breaks
                the protocol.
        """
        while not self._received:
            if self._ended:
                raise self._link.error or anyio.EndOfStream
            try:
                data = await self._stream.receive()
            except anyio.EndOfStream:
                self._link.receive_eof(anyio.current_time())
            else:
                self._link.receive_data(data, anyio.current_time())
            self._take()
            await self._answer()
        taken = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        return taken

    async def send(self, item: bytes) -> None:
        """Encrypt and send.

        Raises:
            anyio.BrokenResourceError: the link is closed.
            ssl.SSLError: because TLS has failed.
        """
        if self._link.state is not TlsState.OPEN:
            raise self._link.error or anyio.BrokenResourceError
        self._link.send(item, anyio.current_time())
        self._take()
        await self._flush()

    async def send_eof(self) -> None:
        """TLS has no half-closed connections."""
        raise NotImplementedError("TLS has no half-closed connections")

    async def aclose(self) -> None:
        """Say that nothing more comes, and close the stream below."""
        self._link.close(anyio.current_time())
        self._take()
        try:
            await self._answer()
        finally:
            await self._stream.aclose()

    def _take(self) -> None:
        """Whatever happens to the bytes that go out, nothing that came in is lost."""
        for action in self._link.actions():
            match action:
                case SendBytes(data):
                    self._unsent += data
                case Plaintext(data):
                    self._received += data
                case PeerFinished() | TlsFailed() | CloseTransport():
                    self._ended = True

    async def _answer(self) -> None:
        """Send what the link says of its own accord: alerts, key updates, its goodbye."""
        try:
            await self._flush()
        except _GONE:
            self._ended = True  # the peer has gone: what it said before still counts

    async def _flush(self) -> None:
        async with self._sending:  # who reads may have to write, too; the lock keeps the order
            data, self._unsent = bytes(self._unsent), bytearray()
            if not data:
                return
            try:
                await self._stream.send(data)
            except BaseException:
                # A record that went out by half, or not at all: nothing after it can be deciphered.
                self._link.receive_eof(anyio.current_time())
                self._take()
                raise
