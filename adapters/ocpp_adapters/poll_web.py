"""Asking web servers in a :class:`~ocpp_adapters.poll.Poll`: nothing waits but the system's look-up."""

import math
import socket
from selectors import EVENT_READ, EVENT_WRITE

from .binding import DialError
from .poll import Poll
from .poll_dial import Race
from .socket_link import now
from .web import Exchange, FetchError, FetchFault, Web, WebRequest

_CHUNK = 2 << 10
"""Bytes read in a step: in the smallest chunks they are a few hundred events."""


class PollFetch:
    """Asks; ``fetch(request, timeout)`` is a coroutine for tasks of the same poll (``poll.spawn``)."""

    __slots__ = ("_poll", "_web")

    def __init__(self, poll: Poll, web: Web | None = None) -> None:
        self._poll = poll
        self._web = web or Web()

    async def __call__(self, request: WebRequest, timeout: float) -> bytes:
        """The body of the answer, within so many seconds. Raises :class:`~ocpp_adapters.web.FetchError`."""
        conversation = _Conversation(self._poll, Exchange(request, self._web, timeout), now() + timeout)
        try:
            await conversation.over.wait()
        finally:
            conversation.close()
        if isinstance(conversation.outcome, FetchError):
            raise conversation.outcome
        assert conversation.outcome is not None
        return conversation.outcome


class _Conversation:
    """A member of the poll until it is over."""

    def __init__(self, poll: Poll, exchange: Exchange, until: float) -> None:
        self.armed = math.inf
        self.over = poll.event()
        self.outcome: bytes | FetchError | None = None
        self._poll = poll
        self._exchange = exchange
        self._until = until
        self._unsent = exchange.request
        self._socket: socket.socket | None = None
        self._race = Race(poll, exchange.route, self._raced)
        poll.changed(self)

    def due(self) -> float | None:
        """When its time is over."""
        return None if self.outcome is not None else self._until

    def handle_timer(self, now: float) -> None:
        """Its time is over."""
        del now
        self._end(self._exchange.error(FetchFault.TIMEOUT))

    def settle(self) -> None:
        """Nothing but its deadline changes."""

    def close(self) -> None:
        """Have nothing open any more."""
        self._race.stop()
        if self._socket is not None:
            self._poll.drop(self._socket)

    def _raced(self, outcome: socket.socket | DialError) -> None:
        if isinstance(outcome, DialError):
            self._end(self._exchange.explained(outcome))
            return
        self._socket = outcome
        self._poll.watch(outcome, EVENT_WRITE, self._ready)

    def _ready(self, events: int) -> None:
        assert self._socket is not None
        if self.outcome is not None:
            return
        try:
            if events & EVENT_WRITE:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
                if not self._unsent:
                    self._poll.watch(self._socket, EVENT_READ, self._ready)
                return
            data = self._socket.recv(_CHUNK)
            body = self._exchange.receive_data(data) if data else self._exchange.receive_eof()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(self._exchange.explained(error))
        else:
            if body is not None:
                self._end(body)

    def _end(self, outcome: bytes | FetchError) -> None:
        self.outcome = outcome
        self.over.set()
