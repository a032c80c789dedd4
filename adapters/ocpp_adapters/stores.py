"""How adapters make a machine's :class:`~ocpp_core.store.Commit` durable: inline, or in a thread, in order.

A machine hands over one commit at a time, and nothing else of it is carried out until the answer is in
(design rule 3). :func:`inline` answers before it returns; :class:`GroupCommitter` collects the commits of
many machines while the disk is busy and writes them as one transaction.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from ocpp_core import StoreError
from ocpp_core.store import Commit, Snapshot


class StoreWriteError(StoreError):
    """A commit could not be made durable (disk full, file locked, I/O error). Nothing of it was kept."""


class Store(Protocol):
    """Durable rows of one machine."""

    def load(self) -> Snapshot:
        """Everything that was made durable. Raises StoreError if it cannot be read."""
        ...

    def commit(self, commit: Commit) -> None:
        """Make the changes durable, all or none, before returning. Raises StoreWriteError."""
        ...


Done: TypeAlias = Callable[[StoreWriteError | None], None]
"""Called once, in the loop's thread, when a commit is durable (None) or has failed."""

Committer: TypeAlias = Callable[[Commit, Done], None]
"""Starts to make a commit durable; at most one per machine at a time."""


def inline(store: Store) -> Committer:
    """Commit in the caller's thread: right for memory, and for a loop that has nothing else to do."""

    def commit(commit: Commit, done: Done) -> None:
        try:
            store.commit(commit)
        except StoreWriteError as error:
            done(error)
        else:
            done(None)

    return commit


class ManyStore(Protocol):
    """Durable rows of many machines, told apart by a scope (a station's identity)."""

    def commit_all(self, commits: Sequence[tuple[str, Commit]]) -> None:
        """Make (scope, commit) pairs durable as one transaction. Raises StoreWriteError: none is."""
        ...


Outcome: TypeAlias = list[StoreWriteError | None]

Submit: TypeAlias = Callable[[Callable[[], Outcome], Callable[[Outcome], None]], None]
"""``submit(write, finished)``: run ``write()``, which raises nothing, in a thread; then ``finished`` with its
result in the loop's thread. It is called for one write at a time, so order is kept."""


class GroupCommitter:
    """Many machines, one disk: whatever came in during one write goes into the next, as one transaction.

    Commits that fail together are tried again one by one, so that nobody fails for another's sake. The
    waiting list is bounded by the number of machines, each of which has at most one commit under way.
    """

    __slots__ = ("_store", "_submit", "_waiting", "_writing")

    def __init__(self, store: ManyStore, submit: Submit) -> None:
        self._store = store
        self._submit = submit
        self._waiting: list[tuple[str, Commit, Done]] = []
        self._writing: list[tuple[str, Commit, Done]] = []

    @property
    def busy(self) -> bool:
        """Whether a write is under way."""
        return bool(self._writing)

    def scope(self, scope: str) -> Committer:
        """The committer of one machine."""

        def commit(commit: Commit, done: Done) -> None:
            self._waiting.append((scope, commit, done))
            if not self._writing:
                self._write()

        return commit

    def _write(self) -> None:
        self._writing, self._waiting = self._waiting, []
        commits = [(scope, commit) for scope, commit, _ in self._writing]
        self._submit(lambda: self._together_or_alone(commits), self._finished)

    def _together_or_alone(self, commits: list[tuple[str, Commit]]) -> Outcome:
        error = self._attempt(commits)
        if error is None or len(commits) == 1:
            return [error] * len(commits)
        return [self._attempt([commit]) for commit in commits]

    def _attempt(self, commits: list[tuple[str, Commit]]) -> StoreWriteError | None:
        try:
            self._store.commit_all(commits)
        except StoreWriteError as error:
            return error
        except Exception as error:
            return StoreWriteError(f"the store failed: {error!r}")
        return None

    def _finished(self, outcome: Outcome) -> None:
        written, self._writing = self._writing, []
        for (_, _, done), error in zip(written, outcome, strict=True):
            done(error)
        if self._waiting and not self._writing:
            self._write()
