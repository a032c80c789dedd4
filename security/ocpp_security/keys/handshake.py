"""A TLS handshake in steps that may block, for workers: a TPM signs in one of them.

The sans-I/O part is :class:`Handshake`; :func:`drive` runs it on any loop, each step in a worker thread. What
it leaves behind (``ssl_object`` and its two BIOs) is an established connection for whatever reads and writes.
"""

import ssl
from collections.abc import Awaitable, Callable

from .errors import KeyStoreError
from .failures import named_failures


class HandshakeEndedError(KeyStoreError, ConnectionError):
    """The peer closed the connection in the middle of the TLS handshake."""


class Handshake:
    """The handshake of one connection, over memory.

    Arguments:
        context: whose key authenticates, and whose policy holds.
        server_hostname: a client's name for its peer; None with ``server_side``.
    """

    def __init__(
        self, context: ssl.SSLContext, *, server_hostname: str | None = None, server_side: bool = False
    ) -> None:
        self._context = context
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(self.incoming, self.outgoing, server_side, server_hostname)
        self._done = False

    @property
    def done(self) -> bool:
        """The handshake is over."""
        return self._done

    def step(self, data: bytes = b"") -> bytes:
        """Take what the peer sent (nothing, to begin) and return what to send to it.

        Blocks while a TPM signs: call it in a worker thread. Not to be called from two threads at once.

        Raises:
            ssl.SSLError: the handshake failed; :attr:`outgoing` may hold an alert to send.
            KeyStoreError: it failed because the key could not sign, and this says why.
        """
        self.incoming.write(data)
        try:
            with named_failures(self._context):
                self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            pass
        else:
            self._done = True
        return self.outgoing.read()


async def drive(
    handshake: Handshake,
    receive: Callable[[], Awaitable[bytes]],
    send: Callable[[bytes], Awaitable[None]],
    in_worker: Callable[[Callable[[bytes], bytes], bytes], Awaitable[bytes]],
) -> None:
    """Run a handshake on an event loop that goes on meanwhile.

    Arguments:
        handshake: not begun.
        receive: the next octets from the peer; ``b""`` is its end.
        send: writes octets to the peer.
        in_worker: ``asyncio.to_thread``, ``anyio.to_thread.run_sync`` or ``trio.to_thread.run_sync``.

    Raises:
        ssl.SSLError, KeyStoreError: as :meth:`Handshake.step`; the peer has been sent the alert.
        HandshakeEndedError, and what ``receive`` and ``send`` raise.
    """
    data = b""
    while True:
        try:
            out = await in_worker(handshake.step, data)
        except (ssl.SSLError, KeyStoreError):
            if alert := handshake.outgoing.read():
                await send(alert)
            raise
        if out:
            await send(out)
        if handshake.done:
            return
        data = await receive()
        if not data:
            raise HandshakeEndedError("the peer closed the connection in the TLS handshake")
