"""What every adapter does with a WebSocket machine, whatever loop and transport it is on.

A driver carries a wire machine's actions out and is the :class:`~ocpp_adapters.sessions.TextLink` of its
session. A subclass brings the transport, the timer and the clock.
"""

import logging
from collections.abc import Sequence
from typing import Any, Protocol

from ocpp_core.wire import (
    Closed,
    CloseTransport,
    HandshakeFailed,
    HandshakeReceived,
    LinkState,
    Opened,
    SendBytes,
    Text,
    WireNotice,
)

from .sessions import Session

_log = logging.getLogger(__name__)
_NOBODY = Session()


class Wire(Protocol):
    """The machine behind a link: a WebSocket's, or what stands for it where others carry the messages."""

    @property
    def state(self) -> LinkState:
        """Where the link is in its life."""
        ...

    def actions(self) -> Sequence[Any]:
        """Everything to do since the last call, in order."""
        ...

    def send_text(self, text: str, now: float) -> None:
        """Send one text message."""
        ...

    def close(self, code: int, reason: str, now: float) -> None:
        """Begin to close."""
        ...

    def handle_timer(self, now: float) -> None:
        """A deadline passed."""
        ...

    def next_timer(self) -> float | None:
        """When ``handle_timer`` must be called."""
        ...


class Driver:
    """One link: mutate, drain, mutate, drain."""

    __slots__ = ("_busy", "_handshaking", "_session", "_wire", "identity", "subprotocol")

    _wire: Wire

    def __init__(self, session: Session = _NOBODY, identity: str = "") -> None:
        self._session = session
        self._handshaking = True
        self._busy = False
        self.identity = identity
        self.subprotocol = ""

    # The transport, the timer and the clock.

    def now(self) -> float:
        """The loop's monotonic time in seconds."""
        raise NotImplementedError

    def hold(self, on: bool) -> None:
        """Stop, or go on, to read from the peer."""
        raise NotImplementedError

    def abort(self) -> None:
        """Cut the connection without a word."""
        raise NotImplementedError

    def _write(self, out: list[bytes]) -> None:
        """Write what one turn led to."""
        raise NotImplementedError

    def _close_transport(self) -> None:
        """Close the connection once everything is written."""
        raise NotImplementedError

    def _arm(self) -> None:
        """See to it that ``_timer_due`` is called at ``_next_timer()``."""
        raise NotImplementedError

    # What a session may ask for.

    def send_text(self, text: str) -> None:
        """Send one text message; dropped if the link is no longer open."""
        if self._wire.state is LinkState.OPEN:
            now = self.now()
            self._wire.send_text(text, now)
            self._pump(now)

    def close(self, code: int, reason: str) -> None:
        """Begin to close the link; harmless if it closes already."""
        now = self.now()
        self._wire.close(code, reason, now)
        self.hold(False)  # whatever the session had enough of: the peer's Close has to be read
        self._pump(now)

    def rearm(self) -> None:
        """Look at the session's ``next_timer()`` again."""
        if not self._busy:
            self._arm()

    # The loop.

    def _pump(self, now: float) -> None:
        """Carry out what the wire wants until it wants nothing, then write once.

        A session may send from within a callback: that lands here again, and is picked up by the outer turn.
        """
        if self._busy:
            return
        self._busy = True
        out: list[bytes] = []
        try:
            while actions := self._wire.actions():
                for action in actions:
                    if type(action) is Text:
                        try:
                            self._session.receive_text(action.text, now)
                        except Exception as error:
                            self._failed(error, now)
                    elif type(action) is SendBytes:
                        out.append(action.data)
                    else:
                        self._perform(action, out, now)
        finally:
            self._busy = False
        if out:
            self._write(out)
        self._arm()

    def _perform(self, action: Any, out: list[bytes], now: float) -> None:
        match action:
            case HandshakeReceived():
                self._ask(action, now)
            case Opened(subprotocol):
                self._open(subprotocol or "", now)
            case CloseTransport(abort):
                if out:
                    self._write(out)
                    out.clear()
                if abort:
                    self.abort()
                else:
                    self._close_transport()
            case Closed() | HandshakeFailed():
                self._end(action, now)
            case WireNotice(kind, detail):
                _log.info("%s: %s: %s", self.identity or "unknown", kind, detail)

    def _open(self, subprotocol: str, now: float) -> None:
        self.subprotocol = subprotocol
        self._handshaking = False
        try:
            self._session.link_opened(self, now)
        except Exception as error:
            self._failed(error, now)

    def _end(self, outcome: Closed | HandshakeFailed, now: float) -> None:
        session, self._session = self._session, _NOBODY
        if self._handshaking or isinstance(outcome, HandshakeFailed):
            return  # a session whose link never opened hears nothing
        try:
            session.link_closed(outcome, now)
        except Exception as error:
            self._failed(error, now)

    def _failed(self, error: Exception, now: float) -> None:
        """The application raised: this link ends, the others go on."""
        _log.error("%s: a session failed", self.identity, exc_info=error)
        self._wire.close(1011, "internal error", now)

    def _ask(self, handshake: HandshakeReceived, now: float) -> None:
        raise NotImplementedError

    # Timers.

    def _next_timer(self) -> float | None:
        at = self._wire.next_timer()
        if self._wire.state is not LinkState.OPEN:
            return at  # a session that has failed might want to be woken for ever
        try:
            other = self._session.next_timer()
        except Exception as error:
            now = self.now()
            self._failed(error, now)
            return now
        return other if at is None or (other is not None and other < at) else at

    def _timer_due(self, now: float) -> None:
        self._wire.handle_timer(now)
        if self._wire.state is LinkState.OPEN:
            try:
                self._session.handle_timer(now)
            except Exception as error:
                self._failed(error, now)
        self._pump(now)
