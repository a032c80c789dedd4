"""TLS without I/O: ciphertext in, plaintext and ciphertext out, over memory.

The verbs are those of every machine: feed what came, carry ``actions()`` out, heed ``next_timer()``. What a
peer sends never raises. :mod:`ocpp_adapters.tls_wire` puts a WebSocket on top.
"""

import ssl
from contextlib import suppress
from enum import Enum
from typing import Final, TypeAlias

from ocpp_core import LocalProtocolError
from ocpp_core.values import value
from ocpp_core.wire import CloseTransport, SendBytes

from .tls_failures import (
    CertificateRefusedError,
    Diagnosis,
    OursRefusedError,
    TlsFault,
    diagnose,
    diagnosis,
    explained,
)
from .tls_peer import sent_chain

_CHUNK: Final = 64 << 10


class TlsState(Enum):
    """Where a link is: shaking hands, open, or closed (all input is ignored)."""

    HANDSHAKE = "handshake"
    OPEN = "open"
    CLOSED = "closed"


@value
class Established:
    """The handshake is over, the peer is who it should be."""

    version: str
    """As ``TLSv1.3``."""
    cipher: str
    """By OpenSSL's name."""
    resumed: bool
    """Shortened by an earlier session."""


@value
class Plaintext:
    """Bytes from the peer."""

    data: bytes


@value
class PeerFinished:
    """The peer will send no more; ``truncated``: it did not say so (no close_notify)."""

    truncated: bool


@value
class TlsFailed:
    """There is no TLS connection, or no longer; the last action but for CloseTransport."""

    diagnosis: Diagnosis


TlsAction: TypeAlias = SendBytes | CloseTransport | Established | Plaintext | PeerFinished | TlsFailed


class TlsLink:
    """One end of a TLS connection.

    Arguments:
        context: best one of a policy's (:mod:`ocpp_adapters.tls_policy`).
        now: when the transport was connected, monotonic seconds.
        server_hostname: for a client: the peer's name.
        server_side: whether this is the server.
        handshake_timeout: seconds for the handshake, from ``now``.

    Raises:
        ValueError: a client's context wants a name, and there is none.
    """

    __slots__ = ("_actions", "_deadline", "_incoming", "_outgoing", "_server", "_state", "error", "object")

    def __init__(
        self,
        context: ssl.SSLContext,
        now: float,
        *,
        server_hostname: str | None = None,
        server_side: bool = False,
        handshake_timeout: float = 20.0,
    ) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._server = server_side
        self.object = context.wrap_bio(self._incoming, self._outgoing, server_side, server_hostname)
        """To ask for the peer's certificate, the version, the cipher."""
        self.error: ssl.SSLError | None = None
        """What was raised, if TLS has failed by an exception."""
        self._state = TlsState.HANDSHAKE
        self._actions: list[TlsAction] = []
        self._deadline: float | None = now + handshake_timeout
        self._shake_hands()

    @property
    def state(self) -> TlsState:
        """Where the link is in its life."""
        return self._state

    def actions(self) -> list[TlsAction]:
        """Everything to do since the last call, in order, handed over once."""
        actions, self._actions = self._actions, []
        return actions

    def next_timer(self) -> float | None:
        """When ``handle_timer()`` has to be called; None: not at all."""
        return self._deadline

    def handle_timer(self, now: float) -> None:
        """Give the handshake up if its time is over; calling early is harmless."""
        if self._deadline is not None and now >= self._deadline:
            self._fail(diagnosis(TlsFault.TIMEOUT, server=self._server))

    def receive_data(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """Bytes from the transport. They are copied: the buffer may be used again at once."""
        del now  # every input has it, this one has no use for it
        if self._state is TlsState.CLOSED:
            return
        self._incoming.write(data)
        if self._state is TlsState.HANDSHAKE:
            self._shake_hands()
        if self._state is TlsState.OPEN:
            self._read()

    def receive_eof(self, now: float) -> None:
        """The transport has ended. Harmless if it had ended before."""
        del now
        if self._state is TlsState.HANDSHAKE:
            self._fail(diagnosis(TlsFault.ENDED, server=self._server))
        elif self._state is TlsState.OPEN:
            self._actions.append(PeerFinished(truncated=True))
            self._state = TlsState.CLOSED

    def send(self, data: bytes, now: float) -> None:
        """Encrypt bytes for the peer. Raises LocalProtocolError if the link is not open."""
        del now
        if self._state is not TlsState.OPEN:
            raise LocalProtocolError(f"send() while TLS is {self._state.value}")
        self.object.write(data)  # memory takes it whole
        self._flush()

    def close(self, now: float) -> None:
        """Say that nothing more comes (close_notify) and close the transport, without waiting for the peer's
        word (RFC 8446 §6.1); in the handshake: cut it. Harmless if it is closed."""
        del now
        if self._state is TlsState.CLOSED:
            return
        opened = self._state is TlsState.OPEN
        if opened:
            self._notify()
        self._state = TlsState.CLOSED
        self._deadline = None
        self._actions.append(CloseTransport(abort=not opened))

    def _shake_hands(self) -> None:
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except CertificateRefusedError as error:
            self._outgoing.read()  # OpenSSL would go on: the peer must not hear that we are content
            self._failed(error)
        except ssl.SSLError as error:
            self._failed(error)
        else:
            self._deadline = None
            self._state = TlsState.OPEN
            self._flush()
            cipher = self.object.cipher()
            name = "" if cipher is None else cipher[0]
            self._actions.append(Established(self.object.version() or "", name, self.object.session_reused))

    def _read(self) -> None:
        try:
            while data := self.object.read(_CHUNK):
                self._actions.append(Plaintext(data))
            self._finished()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._failed(error)

    def _finished(self) -> None:
        """The peer's close_notify: ours goes back, and that is the end."""
        self._notify()
        self._actions.append(PeerFinished(truncated=False))
        self._state = TlsState.CLOSED

    def _notify(self) -> None:
        with suppress(ssl.SSLError):  # it would wait for the peer's
            self.object.unwrap()
        self._flush()

    def _failed(self, error: ssl.SSLError) -> None:
        if getattr(error, "reason", None) == "SSLV3_ALERT_HANDSHAKE_FAILURE" and self._chosen():
            error = OursRefusedError(*error.args)
        self.error = explained(error, self.object.context)
        self._fail(diagnose(self.error, server=self._server))

    def _chosen(self) -> bool:
        """Whether the server has chosen a version and a suite: its certificate comes after that."""
        return not self._server and bool(sent_chain(self.object))

    def _fail(self, reason: Diagnosis) -> None:
        self._flush()  # the alert
        self._state = TlsState.CLOSED
        self._deadline = None
        self._actions += (TlsFailed(reason), CloseTransport(abort=False))

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._actions.append(SendBytes(self._outgoing.read()))
