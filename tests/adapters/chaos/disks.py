"""Disks that are slow, and full at times, where each adapter has them; and a clock that somebody sets."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import Random

from ocpp_adapters.anyio_link import AnyioConcurrency, in_thread
from ocpp_adapters.asyncio_server import AsyncioConcurrency, DiskThread
from ocpp_adapters.calls import Concurrency
from ocpp_adapters.central import utc_ms
from ocpp_adapters.stores import StoreWriteError, Submit
from ocpp_adapters.threads_monitor import Monitor
from ocpp_core.store import Commit, MemoryStore


@contextmanager
def disk_thread() -> Iterator[DiskThread]:
    thread = DiskThread()
    try:
        yield thread
    finally:
        thread.close()


class Disk:
    """Rows by scope, behind a thread; from a seed, full at times."""

    def __init__(self, seed: int | None) -> None:
        self.random = None if seed is None else Random(seed)
        self._rows: dict[str, MemoryStore] = {}
        self._full = 0

    def load(self, scope: str = "") -> dict[str, dict[str, str]]:
        return self._rows.setdefault(scope, MemoryStore()).load()

    def commit(self, commit: Commit) -> None:
        self.commit_all([("", commit)])

    def commit_all(self, commits: Sequence[tuple[str, Commit]]) -> None:
        random = self.random
        if random is not None:
            time.sleep(random.choice((0.0, 0.001, 0.01)))
            self._full = self._full - 1 if self._full else random.choice((0, 0, 0, 0, 0, 0, 1, 5))
            if self._full:
                raise StoreWriteError("no space left on device")
        for scope, commit in commits:
            self._rows.setdefault(scope, MemoryStore()).commit(commit)


def disk_of(concurrency: Concurrency, closing: ExitStack) -> Submit:
    """Where each adapter has its disk written."""
    if isinstance(concurrency, AsyncioConcurrency):
        return closing.enter_context(disk_thread()).submit
    if isinstance(concurrency, AnyioConcurrency):
        return in_thread(concurrency._tasks)
    if isinstance(concurrency, Monitor):
        return concurrency.submit
    return lambda work: work()()


def odd_clock(random: Random) -> Callable[[], int]:
    """A CSMS's clock that somebody sets, back and forward."""
    return lambda: utc_ms() + random.choice((0, 0, 0, -3_600_000, 86_400_000))
