"""One lock for everything that belongs together, and the threads that take turns with it.

Machines, sessions and drivers know nothing of threads: whoever calls one holds the monitor, and whoever
waits, or runs an application's code, gives it up meanwhile.
"""

import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from types import TracebackType
from typing import Any, TypeVar

from ocpp_core import LocalProtocolError

from .stores import Finish

_log = logging.getLogger(__name__)
Result = TypeVar("Result")


def finish(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that never suspends, but blocks, to its end; returns what it returns.

    Raises:
        LocalProtocolError: it waits for an event loop. Whatever the coroutine raises.
    """
    try:
        work.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    work.close()
    raise LocalProtocolError("the coroutine waits for an event loop; threads have none")


class Monitor:
    """A lock, held as a context manager, and the :class:`~ocpp_adapters.calls.Concurrency` of threads.

    Whoever makes one closes it when the last of what belongs to it is closed.

    Arguments:
        workers: threads at most for handlers and admissions, each of which may block as it likes. A handler
            that waits occupies one; links whose handler finds none wait their turn.
    """

    def __init__(self, *, workers: int = 32) -> None:
        self._lock = threading.RLock()
        self._workers = ThreadPoolExecutor(workers, "ocpp-worker")
        self._disk = ThreadPoolExecutor(1, "ocpp-disk")

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Give the lock up for a while; for code that holds it once."""
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()

    def close(self) -> None:
        """Let its threads end, when what they are at is over; for whoever made it, once nothing uses it."""
        self._workers.shutdown(wait=False)
        self._disk.shutdown(wait=False)

    def condition(self) -> threading.Condition:
        """A condition of this lock; waiting for it gives the lock up, however often it is held."""
        return threading.Condition(self._lock)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine of the sessions' to its end, from any thread, blocking; returns what it returns.

        ``monitor.run(link.call(...))`` is how :class:`~ocpp_adapters.rpc_link.RpcLink` and
        :class:`~ocpp_adapters.central.StationLink` are asked for something.

        Raises:
            LocalProtocolError: the coroutine waits for what is not of this monitor.
        """
        with self:
            return finish(work)

    # As the concurrency of sessions.

    def event(self) -> "_Event":
        """A new event; waiting for it blocks the thread and gives the lock up."""
        return _Event(self.condition())

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in a worker thread."""
        self._workers.submit(self._work, work)

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            self.run(work)
        except BaseException:
            _log.exception("a worker failed")

    def submit(self, work: Callable[[], Finish]) -> None:
        """For the disk: work in a thread of its own, finish under the lock."""
        self._disk.submit(self._finish, work)

    def _finish(self, work: Callable[[], Finish]) -> None:
        finish = work()
        try:
            with self:
                finish()
        except BaseException:
            _log.exception("what a commit led to failed")


@contextmanager
def monitor_or_own(monitor: Monitor | None) -> Iterator[Monitor]:
    """A monitor: the caller's, who closes it, or one that is closed at the end of the context."""
    with nullcontext(monitor) if monitor is not None else closing(Monitor()) as used:
        yield used


class _Event:
    """Set once; the waiting is a coroutine that never suspends, but blocks."""

    __slots__ = ("_condition", "_set")

    def __init__(self, condition: threading.Condition) -> None:
        self._condition = condition
        self._set = False

    def set(self) -> None:
        with self._condition:
            self._set = True
            self._condition.notify_all()

    async def wait(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._set)
