"""What a WebSocket client and a WebSocket server have in common once they know each other.

The life of a link, whoever is which (RFC 6455 §7):

====================  ==============================================================================
state                 waits for
====================  ==============================================================================
HANDSHAKE             the peer's request (server) or response (client), until ``handshake_timeout``
ANSWERING             server only: ``accept()`` or ``reject()``, within the same time
OPEN                  messages; pings and their pongs keep it alive
CLOSING               our Close is out: the peer's, until ``close_timeout``; messages are dropped
DRAINING              client only: both are out: the server's end of stream, until ``close_timeout``
CLOSED                nothing; all input is ignored, every request of the caller but ``close()`` refused
====================  ==============================================================================
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import Final

from ..entropy import Entropy
from ..errors import LocalProtocolError
from .config import LinkConfig
from .deflate import deflate
from .events import (
    Action,
    Closed,
    CloseTransport,
    HandshakeFailed,
    NoticeKind,
    Opened,
    PongReceived,
    SendBytes,
    WireNotice,
)
from .frames import CloseCode, Opcode, close_payload, encode_frame, may_send_close
from .reader import Close, Control, Failure, FrameReader, Ping, Pong

_WIRE_REASON: Final = {
    CloseCode.PROTOCOL_ERROR: "protocol error",
    CloseCode.UNSUPPORTED_DATA: "text messages only",
    CloseCode.INVALID_DATA: "invalid data",
    CloseCode.MESSAGE_TOO_BIG: "message too big",
}
_COMPRESS_FROM: Final = 128
"""Payloads below this many bytes go out uncompressed: deflate gains nothing on them."""


class LinkState(Enum):
    """Where a link is in its life; see the table on top of the module."""

    HANDSHAKE = "handshake"
    ANSWERING = "answering"
    OPEN = "open"
    CLOSING = "closing"
    DRAINING = "draining"
    CLOSED = "closed"


class Link(ABC):
    """The part of a link's life after the handshake; :class:`.WebSocketServer` and
    :class:`.WebSocketClient` put the handshake in front of it."""

    __slots__ = (
        "_actions",
        "_config",
        "_deadline",
        "_entropy",
        "_outcome",
        "_ping_count",
        "_ping_sent",
        "_reader",
        "_state",
        "_window_bits",
    )

    _config: LinkConfig

    def __init__(self, config: LinkConfig, entropy: Entropy | None, now: float) -> None:
        self._config = config
        self._entropy = entropy
        """Where a client's masking keys come from; a server has none (RFC 6455 §5.1)."""
        self._state = LinkState.HANDSHAKE
        self._actions: list[Action] = []
        self._reader: FrameReader | None = None
        """From the opening to the peer's Close."""
        self._outcome: Closed | None = None
        """In DRAINING: how the link ended."""
        self._window_bits: int | None = None
        """With permessage-deflate: the window we compress with."""
        self._deadline: float | None = now + config.handshake_timeout
        """Of the state; in OPEN of the next ping, or of the pong if one is awaited."""
        self._ping_sent: float | None = None
        """When the ping went out whose pong is awaited."""
        self._ping_count = 0

    @property
    def state(self) -> LinkState:
        """Where the link is in its life."""
        return self._state

    def actions(self) -> list[Action]:
        """Everything to do since the last call, in order, handed over once."""
        actions, self._actions = self._actions, []
        return actions

    def next_timer(self) -> float | None:
        """When ``handle_timer()`` has to be called; ``None``: not at all."""
        return self._deadline

    def receive_data(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """Bytes from the peer. They are consumed or copied: the buffer may be used again at once."""
        reader = self._reader
        if reader is not None:
            sink = self._actions if self._state is LinkState.OPEN else []
            controls = reader.receive(data if type(data) is bytes else bytes(data), sink)
            if controls:
                self._handle_controls(controls, now)
        elif self._state in {LinkState.HANDSHAKE, LinkState.ANSWERING} and len(data) > 0:
            self._receive_handshake(bytes(data), now)

    def receive_eof(self, now: float) -> None:
        """The transport has ended, by its peer or by an error. Harmless if it had ended before."""
        del now  # every input has it, this one has no use for it
        match self._state:
            case LinkState.HANDSHAKE | LinkState.ANSWERING:
                self._handshake_lost()
            case LinkState.OPEN | LinkState.CLOSING:
                self._finish(
                    Closed(CloseCode.ABNORMAL, "the transport ended without a Close", False), abort=True
                )
            case LinkState.DRAINING:
                self._finish_drained(abort=False)

    def handle_timer(self, now: float) -> None:
        """Do what is due; calling early is harmless."""
        if self._deadline is None or now < self._deadline:
            return
        match self._state:
            case LinkState.HANDSHAKE | LinkState.ANSWERING:
                self._handshake_timed_out()
            case LinkState.OPEN if self._ping_sent is None or self._config.pong_timeout is None:
                self._send_ping(now)
            case LinkState.OPEN:
                self._time_out("no pong in time")
            case LinkState.CLOSING:
                self._time_out("no Close in time")
            case _:  # DRAINING: a closed link has no deadline
                self._finish_drained(abort=True)

    def send_text(self, text: str, now: float) -> None:
        """Send one text message.

        Raises :class:`LocalProtocolError` if the link is not open, or if ``text`` holds a lone surrogate
        and so has no UTF-8 form.
        """
        del now  # every input has it, this one has no use for it
        self._require(LinkState.OPEN, "send_text()")
        try:
            payload = text.encode()
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"not text: {error}") from None
        bits = self._window_bits
        if bits is not None and len(payload) >= _COMPRESS_FROM:
            self._send(Opcode.TEXT, deflate(payload, bits), compressed=True)
        else:
            self._send(Opcode.TEXT, payload)

    def ping(self, now: float) -> None:
        """Ask the peer for a sign of life: :class:`.PongReceived`, or the link ends after ``pong_timeout``.

        Does nothing while the pong of an earlier ping is awaited. Raises :class:`LocalProtocolError` if the
        link is not open.
        """
        self._require(LinkState.OPEN, "ping()")
        if self._ping_sent is None:
            self._send_ping(now)

    def close(self, code: int, reason: str, now: float) -> None:
        """Begin to close the link; :class:`.Closed` tells when it is done. Harmless if it closes already.

        Messages that arrive from now on are dropped. A reason beyond 123 bytes is cut. Before the link is
        open, the handshake is given up instead (a server answers 503). Raises :class:`LocalProtocolError`
        for a code that may not be sent (RFC 6455 §7.4).
        """
        if not may_send_close(code):
            raise LocalProtocolError(f"close code {code} may not be sent")
        if self._state is LinkState.OPEN:
            self._send(Opcode.CLOSE, close_payload(code, reason))
            self._state = LinkState.CLOSING
            self._deadline = now + self._config.close_timeout
        elif self._state in {LinkState.HANDSHAKE, LinkState.ANSWERING}:
            self._give_up_handshake()

    @abstractmethod
    def _receive_handshake(self, data: bytes, now: float) -> None:
        """Bytes before the link is open; ``data`` is not empty."""

    @abstractmethod
    def _handshake_lost(self) -> None:
        """The transport ended before the link was open."""

    @abstractmethod
    def _handshake_timed_out(self) -> None:
        """``handshake_timeout`` is over."""

    @abstractmethod
    def _give_up_handshake(self) -> None:
        """The caller closes the link before it was open."""

    def _require(self, state: LinkState, what: str) -> None:
        if self._state is not state:
            raise LocalProtocolError(f"{what} while the link is {self._state.value}")

    def _start_frames(self, window_bits: int | None) -> None:
        """From here on the peer speaks WebSocket."""
        self._window_bits = window_bits
        self._reader = FrameReader(
            client=self._entropy is not None,
            limit=self._config.max_message_size,
            deflate=window_bits is not None,
        )
        self._state = LinkState.OPEN
        self._deadline = None

    def _open(self, subprotocol: str, now: float) -> None:
        self._actions.append(Opened(subprotocol))
        interval = self._config.ping_interval
        self._deadline = None if interval is None else now + interval

    def _send(self, opcode: Opcode, payload: bytes, *, compressed: bool = False) -> None:
        key = None if self._entropy is None else self._entropy(4)
        self._actions.append(SendBytes(encode_frame(opcode, payload, key, compressed=compressed)))

    def _send_ping(self, now: float) -> None:
        config = self._config
        self._ping_count = (self._ping_count + 1) & 0xFFFFFFFF
        self._ping_sent = now
        self._send(Opcode.PING, self._ping_count.to_bytes(4, "big"))
        wait = config.ping_interval if config.pong_timeout is None else config.pong_timeout
        self._deadline = None if wait is None else now + wait

    def _handle_controls(self, controls: Sequence[Control], now: float) -> None:
        """Answer control frames; a Close or a Failure is always the last of them.

        Of several pings at once only the latest is answered (RFC 6455 §5.5.3), so that a flood of them
        makes no flood of pongs.
        """
        pings = [control for control in controls if type(control) is Ping]
        if pings:
            self._send(Opcode.PONG, pings[-1].payload)
        for control in controls:
            match control:
                case Pong(payload):
                    self._receive_pong(payload, now)
                case Close(code, reason):
                    self._receive_close(Closed(code, reason, clean=True), now)
                case Failure(code, detail):
                    self._fail(code, detail)

    def _receive_pong(self, payload: bytes, now: float) -> None:
        """A pong for the ping we wait for; any other is ignored (RFC 6455 §5.5.3)."""
        sent = self._ping_sent
        awaited = self._ping_count.to_bytes(4, "big")
        if sent is None or payload != awaited or self._state is not LinkState.OPEN:
            return
        self._ping_sent = None
        self._actions.append(PongReceived(now - sent))
        interval = self._config.ping_interval
        self._deadline = None if interval is None else max(now, sent + interval)

    def _receive_close(self, closed: Closed, now: float) -> None:
        """The peer's Close: echo it unless ours is out; then the server ends the connection, not the client
        (RFC 6455 §7.1.1)."""
        if self._state is LinkState.OPEN:
            empty = closed.code == CloseCode.NO_STATUS
            self._send(Opcode.CLOSE, b"" if empty else close_payload(closed.code, closed.reason))
        if self._entropy is None:
            self._finish(closed, abort=False)
            return
        self._state = LinkState.DRAINING
        self._reader = None
        self._outcome = closed
        self._deadline = now + self._config.close_timeout

    def _fail(self, code: int, detail: str) -> None:
        """The peer broke the protocol: fail the link (RFC 6455 §7.1.7)."""
        self._actions.append(WireNotice(NoticeKind.PROTOCOL_VIOLATION, detail))
        if self._state is LinkState.OPEN:
            self._send(Opcode.CLOSE, close_payload(code, _WIRE_REASON[CloseCode(code)]))
        self._finish(Closed(code, detail, clean=False), abort=False)

    def _time_out(self, detail: str) -> None:
        """The peer is silent: a Close would reach no one."""
        self._actions.append(WireNotice(NoticeKind.TIMEOUT, detail))
        self._finish(Closed(CloseCode.ABNORMAL, detail, clean=False), abort=True)

    def _finish_drained(self, *, abort: bool) -> None:
        assert self._outcome is not None
        self._finish(self._outcome, abort=abort)

    def _finish(self, last: Closed | HandshakeFailed, *, abort: bool) -> None:
        """The end of every link."""
        self._actions += (CloseTransport(abort), last)
        self._state = LinkState.CLOSED
        self._reader = None
        self._deadline = None
