"""TLS whose handshake blocks, on a loop that does not: for a key in a TPM, which takes its time to sign."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute

from ocpp_core.wire import CloseTransport, SendBytes

from .anyio_link import connect
from .routes import Route
from .tls_link import PeerFinished, Plaintext, TlsFailed, TlsLink, TlsState

_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


async def dial_in_worker(route: Route) -> ByteStream:
    """Connect by a route; the TLS handshake of ``wss://`` runs in worker threads.

    To be passed as ``dial`` to :func:`~ocpp_adapters.anyio_station.connect_station` and
    :func:`~ocpp_adapters.anyio_rpc.open_rpc`.

    Raises:
        OSError: nobody is there, or as :func:`secure_in_worker`.
    """
    context = route.context()
    stream = await connect(route)
    return stream if context is None else await secure_in_worker(stream, route.config.endpoint.host, context)


async def secure_in_worker(stream: ByteStream, hostname: str, ssl_context: ssl.SSLContext) -> ByteStream:
    """Put TLS on a new connection, as its client; closes the connection if that fails.

    Cancelled, it does not wait for a signature that is under way.

    Raises:
        OSError: the connection ended; :class:`ssl.SSLError`, a subclass: TLS failed. Why a key could not sign
            is told by whoever put it into the context.
    """
    try:
        link = TlsLink(ssl_context, anyio.current_time(), server_hostname=hostname)
        secure = WorkerTlsStream(stream, link)
        await secure.shake_hands()
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
    return secure


class WorkerTlsStream(ByteStream):
    """A :class:`TlsLink` over a byte stream: the handshake in worker threads, all else on the loop."""

    def __init__(self, stream: ByteStream, link: TlsLink) -> None:
        self._stream = stream
        self._link = link
        self._received = bytearray()
        self._sending = anyio.Lock()
        self._ended = False

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the stream below, and the ``ssl.SSLObject``."""
        return {**self._stream.extra_attributes, TLSAttribute.ssl_object: lambda: self._link.object}

    async def shake_hands(self) -> None:
        """Run the handshake. Raises OSError."""
        await self._carry_out()
        while self._link.state is TlsState.HANDSHAKE:
            try:
                data = await self._stream.receive()
            except _GONE as error:
                raise ConnectionError("the connection ended in the TLS handshake") from error
            # A thread that was abandoned goes on with a link that nobody uses any more.
            await anyio.to_thread.run_sync(
                self._link.receive_data, data, anyio.current_time(), abandon_on_cancel=True
            )
            await self._carry_out()
        if self._link.error is not None:
            raise self._link.error

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Decrypted bytes. Raises anyio.EndOfStream; ssl.SSLError: the peer has refused us, or is broken."""
        while not self._received:
            if self._ended:
                raise self._link.error or anyio.EndOfStream
            try:
                data = await self._stream.receive()
            except anyio.EndOfStream:
                self._link.receive_eof(anyio.current_time())
            else:
                self._link.receive_data(data, anyio.current_time())
            await self._carry_out()
        taken = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        return taken

    async def send(self, item: bytes) -> None:
        """Encrypt and send. Raises anyio.BrokenResourceError: the link is closed."""
        if self._link.state is not TlsState.OPEN:
            raise anyio.BrokenResourceError
        self._link.send(item, anyio.current_time())
        await self._carry_out()

    async def send_eof(self) -> None:
        """TLS has no half-closed connections."""
        raise NotImplementedError("TLS has no half-closed connections")

    async def aclose(self) -> None:
        """Say that nothing more comes, and close the stream below."""
        self._link.close(anyio.current_time())
        try:
            await self._carry_out()
        except _GONE:
            pass
        finally:
            await self._stream.aclose()

    async def _carry_out(self) -> None:
        for action in self._link.actions():
            match action:
                case SendBytes(data):
                    async with self._sending:  # who reads may have to write, too; the lock keeps the order
                        await self._stream.send(data)
                case Plaintext(data):
                    self._received += data
                case PeerFinished() | TlsFailed() | CloseTransport():
                    self._ended = True
