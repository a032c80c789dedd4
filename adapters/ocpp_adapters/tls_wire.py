"""A WebSocket within TLS as one machine: adapters drive it like the WebSocket alone."""

import ssl
from collections.abc import Sequence

from ocpp_core.entropy import Entropy
from ocpp_core.values import value
from ocpp_core.wire import (
    Action,
    ClientConfig,
    Closed,
    CloseTransport,
    FailureReason,
    HandshakeFailed,
    Link,
    LinkState,
    NoticeKind,
    SendBytes,
    ServerConfig,
    WebSocketClient,
    WebSocketServer,
    WireNotice,
)

from .tls_failures import Diagnosis
from .tls_link import PeerFinished, Plaintext, TlsFailed, TlsLink, TlsState


@value
class TlsHandshakeFailed(HandshakeFailed):
    """The link did not open for a reason of TLS."""

    diagnosis: Diagnosis


def tls_handshake_failed(diagnosis: Diagnosis) -> TlsHandshakeFailed:
    """The end of a link that TLS did not let open."""
    return TlsHandshakeFailed(FailureReason.TRANSPORT, None, str(diagnosis), diagnosis)


@value
class TlsNotice(WireNotice):
    """TLS failed; the CSMS's log should hold the diagnosis' security event (A00.FR.408)."""

    diagnosis: Diagnosis


class SecuredWire:
    """What the two roles have in common."""

    __slots__ = ("_actions", "_failure", "_now", "_tls", "_wire")

    def __init__(self, wire: Link, tls: TlsLink, now: float) -> None:
        self._wire = wire
        self._tls = tls
        self._failure: Diagnosis | None = None
        self._actions: list[Action] = []
        self._take(now)

    @property
    def state(self) -> LinkState:
        """Where the WebSocket is in its life."""
        return self._wire.state

    @property
    def tls(self) -> ssl.SSLObject:
        """To ask for the peer's certificate."""
        return self._tls.object

    @property
    def error(self) -> ssl.SSLError | None:
        """What TLS has failed with."""
        return self._tls.error

    def actions(self) -> Sequence[Action]:
        """Everything to do since the last call, in order."""
        if self._tls.state is not TlsState.HANDSHAKE:
            for action in self._wire.actions():
                self._carry_over(action)
        actions, self._actions = self._actions, []
        return actions

    def receive_data(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """Bytes from the transport."""
        self._tls.receive_data(data, now)
        self._take(now)

    def receive_eof(self, now: float) -> None:
        """The transport has ended."""
        self._tls.receive_eof(now)
        self._take(now)

    def send_text(self, text: str, now: float) -> None:
        """Send one text message."""
        self._wire.send_text(text, now)

    def close(self, code: int, reason: str, now: float) -> None:
        """Begin to close."""
        self._wire.close(code, reason, now)
        self._end_handshake(now)

    def handle_timer(self, now: float) -> None:
        """A deadline passed."""
        self._tls.handle_timer(now)
        self._take(now)
        self._wire.handle_timer(now)
        self._end_handshake(now)

    def next_timer(self) -> float | None:
        """When ``handle_timer`` must be called."""
        at, other = self._wire.next_timer(), self._tls.next_timer()
        return other if at is None or (other is not None and other < at) else at

    def _take(self, now: float) -> None:
        """What TLS has to say."""
        self._now = now
        for action in self._tls.actions():
            match action:
                case SendBytes():
                    self._actions.append(action)
                case Plaintext(data):
                    self._wire.receive_data(data, now)
                case PeerFinished():
                    self._wire.receive_eof(now)
                case TlsFailed(diagnosis):
                    self._failure = diagnosis
                    told = f"{diagnosis}; security event: {diagnosis.event or 'none'}"
                    self._actions.append(TlsNotice(NoticeKind.HANDSHAKE_REFUSED, told, diagnosis))
                    self._wire.receive_eof(now)

    def _carry_over(self, action: Action) -> None:
        """What the WebSocket wants, through TLS."""
        match action:
            case SendBytes(data):
                if self._tls.state is TlsState.OPEN:
                    self._tls.send(data, self._now)
                    self._take(self._now)
            case CloseTransport(abort):
                if not abort:
                    self._tls.close(self._now)
                    self._take(self._now)
                # An alert is still to be written, where TLS has failed.
                self._actions.append(CloseTransport(abort and self._failure is None))
            case HandshakeFailed() if self._failure is not None:
                self._actions.append(tls_handshake_failed(self._failure))
            case Closed() if self._failure is not None:
                self._actions.append(Closed(action.code, str(self._failure), clean=False))
            case _:
                self._actions.append(action)

    def _end_handshake(self, now: float) -> None:
        """The WebSocket was given up before TLS was open."""
        if self._wire.state is LinkState.CLOSED and self._tls.state is TlsState.HANDSHAKE:
            self._tls.close(now)
            self._take(now)


class SecuredClient(SecuredWire):
    """A station's end of a ``wss://`` link; ``now`` is when the transport was connected."""

    __slots__ = ()

    def __init__(self, config: ClientConfig, entropy: Entropy, now: float, context: ssl.SSLContext) -> None:
        tls = TlsLink(
            context,
            now,
            server_hostname=config.endpoint.server_name,
            handshake_timeout=config.handshake_timeout,
        )
        super().__init__(WebSocketClient(config, entropy, now), tls, now)


class SecuredServer(SecuredWire):
    """A CSMS's end of a ``wss://`` link; ``now`` is when the transport was accepted."""

    __slots__ = ()

    _wire: WebSocketServer

    def __init__(self, config: ServerConfig, now: float, context: ssl.SSLContext) -> None:
        tls = TlsLink(context, now, server_side=True, handshake_timeout=config.handshake_timeout)
        super().__init__(WebSocketServer(config, now), tls, now)

    def accept(self, now: float) -> None:
        """Answer the handshake: the station is let in."""
        self._wire.accept(now)

    def reject(self, status: int, now: float, reason: str = "") -> None:
        """Answer the handshake with an HTTP error."""
        self._wire.reject(status, now, reason)
