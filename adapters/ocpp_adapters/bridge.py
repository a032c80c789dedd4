"""OCPP over messages that others carry: another WebSocket library, an ASGI server, a message broker.

A :class:`Bridge` is a link whose text messages come and go through plain functions; behind it stands any
session, so typed calls (:class:`~ocpp_adapters.rpc_link.RpcLink`) or a CSMS machine
(:class:`~ocpp_adapters.central.StationLink`)::

    link = RpcLink(Role.STATION, handler, concurrency)
    bridge = Bridge(link, publish, identity="CP1", subprotocol="ocpp2.0.1")
    bridge.open()
    bridge.receive(text)                     # for each message that comes
    bridge.handle_timer(time.monotonic())    # when bridge.due() has passed

It belongs to one thread or loop: :mod:`ocpp_adapters.threads_bridge` and
:mod:`ocpp_adapters.bridge_anyio` look after one in threads and on asyncio or trio.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from ocpp_core.values import value
from ocpp_core.wire import CloseCode, Closed, HandshakeReceived, LinkState, Opened, Text

from .calls import Concurrency
from .driver import Driver
from .server_driver import Registry, ServerDriver
from .sessions import Peer, Session

_log = logging.getLogger(__name__)


@value
class SendMessage:
    """Send one text message."""

    text: str


@value
class EndTransport:
    """Say goodbye, in the transport's own way."""

    code: int
    reason: str


@value
class Admitted:
    """Answer the handshake: the link opens under this subprotocol."""

    subprotocol: str


@value
class Refused:
    """Answer the handshake with an HTTP status."""

    status: int
    reason: str


MessageAction: TypeAlias = (
    HandshakeReceived | Opened | Text | Closed | SendMessage | EndTransport | Admitted | Refused
)


class MessageWire:
    """What stands for a WebSocket's machine where others carry the messages.

    There are no timers: keeping the connection alive, and noticing that it is not, is their part too.
    Closing is over at once.
    """

    __slots__ = ("_actions", "_asked", "_state")

    def __init__(self) -> None:
        self._state = LinkState.HANDSHAKE
        self._actions: list[MessageAction] = []
        self._asked: HandshakeReceived | None = None

    @property
    def state(self) -> LinkState:
        """Where the link is in its life."""
        return self._state

    def actions(self) -> list[MessageAction]:
        """Everything to do since the last call, in order, handed over once."""
        actions, self._actions = self._actions, []
        return actions

    def next_timer(self) -> None:
        """Never."""

    def handle_timer(self, now: float) -> None:
        """Nothing is ever due."""

    def open(self, subprotocol: str) -> None:
        """Who both sides are, and what they speak, is known."""
        self._state = LinkState.OPEN
        self._actions.append(Opened(subprotocol))

    def ask(self, handshake: HandshakeReceived) -> None:
        """A station asks to connect; ``accept()`` or ``reject()`` is the answer."""
        self._state = LinkState.ANSWERING
        self._asked = handshake
        self._actions.append(handshake)

    def accept(self, now: float) -> None:
        """The station is let in."""
        del now
        asked, self._asked = self._asked, None
        assert asked is not None
        subprotocol = asked.subprotocol or ""
        self._actions.append(Admitted(subprotocol))
        self.open(subprotocol)

    def reject(self, status: int, now: float, reason: str = "") -> None:
        """The station is not let in."""
        del now
        self._actions.append(Refused(status, reason))
        self._end(Closed(CloseCode.ABNORMAL, f"refused with {status}", clean=False))

    def receive_text(self, text: str) -> None:
        """One text message came."""
        if self._state is LinkState.OPEN:
            self._actions.append(Text(text))

    def receive_end(self, code: int, reason: str) -> None:
        """The transport has ended. Harmless if it had ended before."""
        if self._state is not LinkState.CLOSED:
            self._end(Closed(code, reason, clean=code != CloseCode.ABNORMAL))

    def send_text(self, text: str, now: float) -> None:
        """Send one text message."""
        del now
        self._actions.append(SendMessage(text))

    def close(self, code: int, reason: str, now: float) -> None:
        """Close, at once."""
        if self._state is LinkState.ANSWERING:
            self.reject(503, now, "closing")
        elif self._state is not LinkState.CLOSED:
            self._actions.append(EndTransport(code, reason))
            self._end(Closed(code, reason, clean=True))

    def _end(self, closed: Closed) -> None:
        self._state = LinkState.CLOSED
        self._actions.append(closed)


class MessageDriver(Driver):
    """A driver whose transport takes messages."""

    _wire: MessageWire

    def receive(self, text: str) -> None:
        """One text message came."""
        self._wire.receive_text(text)
        self._pump(self.now())

    def lost(self, code: int = CloseCode.ABNORMAL, reason: str = "") -> None:
        """The transport has ended, with a WebSocket's close code if it has one. Harmless if that is known."""
        self._wire.receive_end(code, reason)
        self._pump(self.now())

    def due(self) -> float | None:
        """When :meth:`handle_timer` has to be called."""
        return self._next_timer()

    def handle_timer(self, now: float) -> None:
        """``due()`` has passed."""
        self._timer_due(now)

    def _perform(self, action: Any, out: list[bytes], now: float) -> None:
        match action:
            case SendMessage(text):
                self._send(text)
            case EndTransport(code, reason):
                self._finish(code, reason)
            case _:
                super()._perform(action, out, now)

    def _send(self, text: str) -> None:
        """Take a message to the peer, in order."""
        raise NotImplementedError

    def _finish(self, code: int, reason: str) -> None:
        """End the transport, after what was sent."""
        raise NotImplementedError


def _ignore(*_: object) -> None:
    """What the user has no need to know."""


class Bridge(MessageDriver):
    """A link over functions.

    Arguments:
        session: who gets the messages.
        send: takes one text message to the peer; must not block.
        identity: the station's.
        subprotocol: what is spoken, as ``ocpp2.0.1``; there is no negotiation.
        close: called with code and reason when this side ends the link.
        hold: called to stop, or go on, to take messages: what comes all the same is taken in.
        rearm: called when :meth:`due` may have changed.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        session: Session,
        send: Callable[[str], object],
        *,
        identity: str,
        subprotocol: str,
        close: Callable[[int, str], object] = _ignore,
        hold: Callable[[bool], object] = _ignore,
        rearm: Callable[[], object] = _ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(session, identity)
        self._wire = MessageWire()
        self._speaks = subprotocol
        self._to_peer = send
        self._to_end = close
        self._to_hold = hold
        self._rearm = rearm
        self._clock = clock

    def open(self) -> None:
        """Begin: both sides are there."""
        self._wire.open(self._speaks)
        self._pump(self.now())

    def now(self) -> float:
        """The clock's time."""
        return self._clock()

    def hold(self, on: bool) -> None:
        """Stop, or go on, to take messages."""
        self._to_hold(on)

    def abort(self) -> None:
        """End the transport."""
        self.close(1001, "")

    def _send(self, text: str) -> None:
        self._to_peer(text)

    def _finish(self, code: int, reason: str) -> None:
        self._to_end(code, reason)

    def _arm(self) -> None:
        self._rearm()


class ServerBridge(MessageDriver, ServerDriver):
    """A station that connected to somebody else's WebSocket server; what to do comes out as ``outbox``."""

    _wire: MessageWire

    def __init__(
        self, registry: Registry, concurrency: Concurrency, peer: Peer, clock: Callable[[], float]
    ) -> None:
        ServerDriver.__init__(self, registry)
        self._wire = MessageWire()
        self._concurrency = concurrency
        self._peer = peer
        self._clock = clock
        self.stir: Callable[[], object] = _ignore
        """Called when there is something new in the outbox, or the deadline may have changed."""
        self.held = False
        self.stalled = False
        """The station does not take what is sent: cut it off."""
        self.outbox: deque[SendMessage | EndTransport | Admitted | Refused] = deque()
        """What to do with the transport, in order; the carrier takes it away."""
        self._unsent = 0
        """Characters put into the outbox since it was empty."""

    def ask(self, handshake: HandshakeReceived) -> None:
        """The station asks to connect."""
        self._wire.ask(handshake)
        self._pump(self.now())

    def give_up(self) -> None:
        """The answer took too long."""
        self._wire.reject(503, self.now(), "no answer of the application in time")
        self._pump(self.now())

    def now(self) -> float:
        """The loop's time."""
        return self._clock()

    def peer(self) -> Peer:
        """Who is at the other end."""
        return self._peer

    def hold(self, on: bool) -> None:
        """Stop, or go on, to take messages."""
        self.held = on
        self.stir()

    def abort(self) -> None:
        """Cut the connection."""
        self.stalled = True
        self.lost()
        self.stir()

    def _perform(self, action: Any, out: list[bytes], now: float) -> None:
        if isinstance(action, Admitted | Refused):
            self.outbox.append(action)
            self.stir()
        else:
            super()._perform(action, out, now)

    def _send(self, text: str) -> None:
        self._unsent = self._unsent + len(text) if self.outbox else len(text)
        self.outbox.append(SendMessage(text))
        self.stir()
        if self._unsent > self._registry.limits.unsent_bytes:
            _log.warning("%s does not read: cut off", self.identity)
            self.abort()

    def _finish(self, code: int, reason: str) -> None:
        self.outbox.append(EndTransport(code, reason))
        self.stir()

    def _arm(self) -> None:
        self.stir()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._concurrency.spawn(work)
