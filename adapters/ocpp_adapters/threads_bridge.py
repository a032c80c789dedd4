"""OCPP over a message transport with threads of its own, as an MQTT client: any may call, any may deliver.

::

    monitor = Monitor()
    link = BlockingLink(Role.STATION, handler, monitor)
    with ThreadBridge(link, publish, identity="CP1", subprotocol="ocpp2.0.1", monitor=monitor) as bridge:
        client.on_message = lambda *it: bridge.receive(it[2].payload.decode())
        print(link.call(v201.BootNotificationRequest(...)))
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ocpp_core.wire import CloseCode

from .bridge import Bridge
from .sessions import Session
from .threads_monitor import Monitor
from .threads_rpc import BlockingLink


class ThreadBridge:
    """A :class:`~ocpp_adapters.bridge.Bridge` under a monitor, with a thread that keeps its time.

    Arguments:
        session: who gets the messages; a session of its own is called while the monitor is held.
        send: takes one text message to the peer; called while the monitor is held, must not block for long,
            and must not wait for a thread that delivers.
        identity: the station's.
        subprotocol: what is spoken, as ``ocpp2.0.1``; there is no negotiation.
        monitor: that of the session.
        close: called with code and reason when this side ends the link.

    As a context manager it closes the link at the end with 1000.
    """

    def __init__(
        self,
        session: Session | BlockingLink,
        send: Callable[[str], object],
        *,
        identity: str,
        subprotocol: str,
        monitor: Monitor,
        close: Callable[[int, str], object] | None = None,
    ) -> None:
        self._monitor = monitor
        self._changed = monitor.condition()
        self._over = False
        self._close = close
        self._bridge = Bridge(
            session.session if isinstance(session, BlockingLink) else session,
            send,
            identity=identity,
            subprotocol=subprotocol,
            close=self._closed,
            rearm=self._changed.notify_all,
        )
        self._clock = threading.Thread(target=self._keep_time, name="ocpp-bridge", daemon=True)

    def open(self) -> None:
        """Begin: both sides are there."""
        with self._monitor:
            self._bridge.open()
        self._clock.start()

    def receive(self, text: str) -> None:
        """One text message came."""
        with self._monitor:
            self._bridge.receive(text)

    def lost(self, code: int = CloseCode.ABNORMAL, reason: str = "") -> None:
        """The transport has ended. Harmless if that is known."""
        with self._monitor:
            self._bridge.lost(code, reason)
            self._stop()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the link; harmless if it has ended."""
        with self._monitor:
            self._bridge.close(code, reason)
            self._stop()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._clock.join()

    def _closed(self, code: int, reason: str) -> None:
        self._stop()
        if self._close is not None:
            self._close(code, reason)

    def _stop(self) -> None:
        self._over = True
        self._changed.notify_all()

    def _keep_time(self) -> None:
        with self._monitor:
            while not self._over:
                now, at = self._bridge.now(), self._bridge.due()
                if at is not None and at <= now:
                    self._bridge.handle_timer(now)
                else:
                    self._changed.wait(None if at is None else at - now)
