"""Carrying out a machine's actions: in order, storage first, nothing before it is durable (design rule 3)."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ocpp_core.store import Commit

from .stores import Committer, StoreWriteError

HELD_FRAMES = 64
"""Frames a machine takes in while it waits for the store, before its link is no longer read from."""


class Machine(Protocol):
    """What every machine of the core with durable state has."""

    def actions(self) -> Sequence[Any]:
        """Everything to do since the last call, in order."""
        ...

    def receive_frame(self, text: str, now: float) -> None:
        """A text message came."""
        ...

    def handle_timer(self, now: float) -> None:
        """A deadline passed."""
        ...

    def next_timer(self) -> float | None:
        """When ``handle_timer`` must be called."""
        ...

    def store_failed(self, reason: str, now: float) -> None:
        """The last commit is not durable; nothing after it in its drain was carried out."""
        ...


class Host:
    """Drains a machine: commits go to ``commit``, everything else to ``perform``, one after the other.

    While a commit is under way nothing is carried out and nothing further drained; inputs may be given to the
    machine meanwhile, and frames go through :meth:`receive`, which says when there are too many. ``settled``
    is called each time that a commit was answered after a wait.
    """

    __slots__ = (
        "_busy",
        "_commit",
        "_frames",
        "_machine",
        "_now",
        "_perform",
        "_settled",
        "_stopped",
        "_todo",
        "_waits",
    )

    def __init__(
        self,
        machine: Machine,
        commit: Committer,
        perform: Callable[[Any], None],
        now: Callable[[], float],
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self._machine = machine
        self._commit = commit
        self._perform = perform
        self._now = now
        self._settled = settled
        self._todo: deque[Any] = deque()
        self._busy = False
        self._waits = False
        self._stopped = False
        self._frames = 0

    @property
    def waits(self) -> bool:
        """Whether a commit is under way."""
        return self._waits

    @property
    def busy(self) -> bool:
        """Whether actions are being carried out: who waits for what one of them leads to waits for ever."""
        return self._busy

    def receive(self, text: str, now: float) -> bool:
        """Give the machine a frame and drain; returns whether the link should be held for now."""
        self._machine.receive_frame(text, now)
        self.drain()
        if not self._waits:
            return False
        self._frames += 1
        return self._frames >= HELD_FRAMES

    def handle_timer(self, now: float) -> None:
        """Give the machine the time and drain."""
        self._machine.handle_timer(now)
        self.drain()

    def drain(self) -> None:
        """Carry out until there is nothing to do, or until a commit has to be waited for.

        Called from within ``perform`` it does nothing: the outer turn picks up what is new.
        """
        if self._busy or self._waits:
            return
        self._busy = True
        try:
            while not self._waits and (self._todo or self._refill()):
                action = self._todo.popleft()
                if type(action) is Commit:
                    self._waits = True
                    self._commit(action, self._committed)
                else:
                    self._perform(action)
        finally:
            self._busy = False

    def stop(self) -> None:
        """Carry out nothing more, for good, as after a power loss."""
        self._todo.clear()
        self._waits = self._stopped = True

    def _refill(self) -> bool:
        self._todo.extend(self._machine.actions())
        return bool(self._todo)

    def _committed(self, error: StoreWriteError | None) -> None:
        if self._stopped:
            return
        self._waits = False
        self._frames = 0
        if error is not None:
            self._todo.clear()
            self._machine.store_failed(str(error), self._now())
        if not self._busy:  # else the answer came at once, and the turn under way goes on
            self.drain()
            self._settled()
