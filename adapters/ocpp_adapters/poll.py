"""OCPP in a main loop of your own: one object whose ``step()`` never blocks; no thread, no event loop.

::

    poll = Poll()
    link = open_rpc(poll, ClientConfig(url="ws://csms.example/ocpp/CP1"))   # of poll_rpc
    while True:
        delay = poll.step()                 # seconds until it wants to be called again
        ...                                 # whatever else the loop does
        poll.wait(min(delay, 0.01))         # or sleep, or nothing at all

What is done between two steps is carried out in the next. A step ends soon after ``budget`` seconds of its
own, whatever there is left to do. What can take longer is what one input takes: a message is validated and
handled whole, a host name that is no numeric address is looked up by the system, a store that is no memory
waits for its disk.
"""

import heapq
import logging
import math
import selectors
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from itertools import count
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, cast

from ocpp_core import LocalProtocolError

from .socket_link import now

Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class Member(Protocol):
    """Somebody whom a :class:`Poll` looks after."""

    armed: float
    """When it is woken next at the earliest; the poll's own note, infinity to begin with."""

    def due(self) -> float | None:
        """When :meth:`handle_timer` has to be called."""
        ...

    def handle_timer(self, now: float) -> None:
        """``due()`` has passed."""
        ...

    def settle(self) -> None:
        """Something has changed: see what there is to do. Called once after any number of changes."""
        ...


class Task(Generic[Result]):
    """A coroutine under way; made by :meth:`Poll.spawn`."""

    __slots__ = ("_ended", "_error", "_result", "_work", "done")

    def __init__(self, work: Coroutine[Any, Any, Result], ended: "Callable[[Task[Any]], None]") -> None:
        self._work = work
        self._ended = ended
        self._result: Result | None = None
        self._error: Exception | None = None
        self.done = False
        """Whether :meth:`result` may be asked for."""

    def result(self) -> Result:
        """What the coroutine returned.

        Raises:
            LocalProtocolError: it is not done. Whatever the coroutine raised.
        """
        if not self.done:
            raise LocalProtocolError("the task is not done")
        if self._error is not None:
            raise self._error
        return cast(Result, self._result)

    def cancel(self) -> None:
        """Give it up. Harmless if it is done."""
        self._work.close()
        self._end(error=LocalProtocolError("the task was cancelled"))

    def resume(self) -> None:
        """Go on to where it waits next, or to its end."""
        if self.done:
            return
        try:
            event = self._work.send(None)
        except StopIteration as end:
            self._end(result=end.value)
        except Exception as error:
            self._end(error=error)
        else:
            if isinstance(event, Event):
                event.waiting.append(self)
                return
            _log.error("%s waits for an event loop; here is none", self._work)
            self.cancel()

    def _end(self, result: Result | None = None, error: Exception | None = None) -> None:
        if not self.done:
            self.done = True
            self._result, self._error = result, error
            self._ended(self)


class Event:
    """Set once; tasks of the same poll wait for it."""

    __slots__ = ("_poll", "_set", "waiting")

    def __init__(self, poll: "Poll") -> None:
        self._poll = poll
        self._set = False
        self.waiting: list[Task[Any]] = []

    def set(self) -> None:
        """Wake whoever waits, in the next step."""
        self._set = True
        waiting, self.waiting = self.waiting, []
        for task in waiting:
            self._poll.soon(task.resume)

    async def wait(self) -> None:
        """Wait until it is set."""
        if not self._set:
            await _Until(self)


class _Until:
    """What a coroutine suspends with."""

    __slots__ = ("_event",)

    def __init__(self, event: Event) -> None:
        self._event = event

    def __await__(self) -> Generator[Event, None, None]:
        yield self._event


class Poll:
    """Sockets, deadlines and coroutines of one thread; also a :class:`~ocpp_adapters.calls.Concurrency`.

    Arguments:
        budget: seconds after which a step begins nothing further.
    """

    def __init__(self, *, budget: float = 0.002) -> None:
        self._budget = budget
        self._selector = selectors.DefaultSelector()
        self._ready: deque[tuple[selectors.SelectorKey, int]] = deque()
        self._soon: deque[Callable[[], None]] = deque()
        self._changed: dict[Member, None] = {}
        self._sockets: set[socket.socket] = set()
        self._tasks: set[Task[Any]] = set()
        self._deadlines: list[tuple[float, int, Member]] = []
        self._order = count()

    def step(self) -> float:
        """Do what can be done at once; returns the seconds until the next step is needed.

        0.0: now, there is more to do; infinity: not before a socket is ready or there is something to say.
        Sockets are looked at in every step: to find out what has come, step more often, or :meth:`wait`.
        """
        until = now() + self._budget
        self._settle()
        self._look(0)
        while self._one_thing() and now() < until:
            pass
        self._settle()
        return self._delay()

    def wait(self, seconds: float) -> None:
        """Sleep until a socket is ready, so many seconds at most; for a loop that has nothing else to do."""
        if seconds > 0:
            self._look(None if math.isinf(seconds) else seconds)

    def close(self) -> None:
        """Give up tasks that wait and sockets that are open, without a word."""
        for task in list(self._tasks):
            task.cancel()
        for sock in list(self._sockets):
            self.drop(sock)
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # As the concurrency of sessions.

    def event(self) -> Event:
        """A new event."""
        return Event(self)

    def spawn(self, work: Coroutine[Any, Any, Result]) -> Task[Result]:
        """Run a coroutine of the sessions' beside everything else; it may wait for this poll's events."""
        task = Task(work, self._tasks.discard)
        self._tasks.add(task)
        self.soon(task.resume)
        return task

    # For the members.

    def soon(self, work: Callable[[], None]) -> None:
        """Call something in the next step."""
        self._soon.append(work)

    def changed(self, member: Member) -> None:
        """Let a member settle, and look at its deadline again, in this step or the next."""
        self._changed[member] = None

    def watch(self, sock: socket.socket, events: int, ready: Callable[[int], None]) -> None:
        """Call ``ready`` when a socket can be read or written; no events: not for now."""
        self._sockets.add(sock)
        watched = self._selector.get_map().get(sock)
        if watched is None:
            if events:
                self._selector.register(sock, events, ready)
        elif not events:
            self._selector.unregister(sock)
        elif watched.events != events:
            self._selector.modify(sock, events, ready)

    def release(self, sock: socket.socket) -> None:
        """Have nothing more to do with a socket that was watched."""
        self._sockets.discard(sock)
        if sock in self._selector.get_map():
            self._selector.unregister(sock)

    def drop(self, sock: socket.socket) -> None:
        """Close a socket that was watched. Harmless if it is closed."""
        if sock in self._sockets:
            self.release(sock)
            sock.close()

    # A step.

    def _settle(self) -> None:
        while self._changed:
            member = next(iter(self._changed))
            del self._changed[member]
            member.settle()
            at = member.due()
            if at is not None and at < member.armed:
                member.armed = at
                heapq.heappush(self._deadlines, (at, next(self._order), member))

    def _look(self, seconds: float | None) -> None:
        if not self._ready:  # else somebody would come first each time
            self._ready.extend(self._selector.select(seconds))

    def _one_thing(self) -> bool:
        """A deadline, a piece of work, a socket; whether there was one."""
        if self._deadlines and self._deadlines[0][0] <= now():
            self._wake()
        elif self._soon:
            self._soon.popleft()()
        elif self._ready:
            key, events = self._ready.popleft()
            sock = cast(socket.socket, key.fileobj)
            if sock.fileno() >= 0 and sock in self._selector.get_map():  # else closed meanwhile
                key.data(events)
        else:
            return False
        self._settle()
        return True

    def _wake(self) -> None:
        at, _, member = heapq.heappop(self._deadlines)
        if at == member.armed:  # else a later entry than one that has been served
            member.armed = math.inf
            due = member.due()
            if due is not None and due <= now():
                member.handle_timer(now())
            self.changed(member)

    def _delay(self) -> float:
        if self._ready or self._soon or self._changed:
            return 0.0
        return max(0.0, self._deadlines[0][0] - now()) if self._deadlines else math.inf
