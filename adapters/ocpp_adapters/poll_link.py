"""Links whose sockets a :class:`~ocpp_adapters.poll.Poll` looks after."""

import math
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE
from typing import Final

from .poll import Poll
from .socket_link import SocketDriver

_CHUNK: Final = 16 << 10
"""Bytes read at a time: what they hold is handled within one step."""


class Carried:
    """A link looked after by a poll; ``ended`` is called when its socket is closed."""

    __slots__ = ("_driver", "_ended", "_poll", "_socket", "armed")

    def __init__(self, poll: Poll, driver: SocketDriver, ended: Callable[[], None]) -> None:
        self.armed = math.inf
        self._poll = poll
        self._driver = driver
        self._ended = ended
        self._socket = driver.socket
        self._socket.setblocking(False)
        driver.stir = self._stir
        poll.watch(self._socket, 0, self._ready)
        driver.begin()

    def _stir(self) -> None:
        self._poll.changed(self)

    def due(self) -> float | None:
        """When the driver has a deadline."""
        return None if self._driver.ended else self._driver.due()

    def handle_timer(self, now: float) -> None:
        """Tell the driver."""
        self._driver.handle_timer(now)

    def settle(self) -> None:
        """Write what can be written, watch for what is wanted, close what is over."""
        driver = self._driver
        if self._socket.fileno() < 0:
            return
        self._write()
        if driver.over:
            driver.lost()
        if driver.ended:
            self._poll.drop(self._socket)
            self._ended()
            return
        wanted = (EVENT_READ if driver.reads else 0) | (EVENT_WRITE if driver.writes else 0)
        self._poll.watch(self._socket, wanted, self._ready)

    def _ready(self, events: int) -> None:
        if events & EVENT_READ:
            self._read()
        self._stir()  # to write, if that is what it is ready for

    def _read(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._driver.received(data)
        else:
            self._driver.lost()

    def _write(self) -> None:
        driver = self._driver
        while driver.writes:
            try:
                count = self._socket.send(driver.unsent())
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                driver.lost()
                return
            driver.sent(count)
