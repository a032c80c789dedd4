"""How adapters make a machine's :class:`~ocpp_core.store.Commit` durable: inline, or in a thread, in order.

A machine hands over one commit at a time, and nothing else of it is carried out until the answer is in
(design rule 3). :func:`inline` answers before it returns; :class:`GroupCommitter` collects the commits of
many machines while the disk is busy and writes them as one transaction.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeAlias, TypeVar

from ocpp_core import StoreError
from ocpp_core.store import Commit, MemoryStore, Snapshot

_log = logging.getLogger(__name__)

Told = TypeVar("Told")


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

Loaded: TypeAlias = Callable[[Snapshot | StoreError], None]
"""Called once, in the loop's thread, with rows or with why there are none."""


def attempt(write: Callable[[], None]) -> StoreWriteError | None:
    """Write; whatever goes wrong is a failed commit, which a machine knows how to live with."""
    try:
        write()
    except StoreWriteError as error:
        return error
    except Exception as error:
        return StoreWriteError(f"the store failed: {error!r}")
    return None


def inline(store: Store) -> Committer:
    """Commit in the caller's thread: right for memory, and for a loop that has nothing else to do."""

    def commit(commit: Commit, done: Done) -> None:
        done(attempt(lambda: store.commit(commit)))

    return commit


class Stores(Protocol):
    """Durable rows of many machines, told apart by a scope (a station's identity)."""

    def committer(self, scope: str) -> Committer:
        """Where the machine of this scope commits."""
        ...

    def load(self, scope: str, loaded: Loaded) -> None:
        """Fetch the rows of a scope, with everything committed so far."""
        ...


class MemoryStores:
    """Rows of many machines in memory."""

    __slots__ = ("_stores",)

    def __init__(self) -> None:
        self._stores: dict[str, MemoryStore] = {}

    def committer(self, scope: str) -> Committer:
        """Where the machine of this scope commits."""
        return inline(self._stores.setdefault(scope, MemoryStore()))

    def load(self, scope: str, loaded: Loaded) -> None:
        """Fetch the rows of a scope, at once."""
        store = self._stores.get(scope)
        loaded({} if store is None else store.load())


class ManyStore(Protocol):
    """A store with scopes whose calls take their time, as
    :class:`~ocpp_adapters.sqlite_store.SqliteStore`."""

    def commit_all(self, commits: Sequence[tuple[str, Commit]]) -> None:
        """Make (scope, commit) pairs durable as one transaction. Raises StoreWriteError: none is."""
        ...

    def load(self, scope: str) -> Snapshot:
        """The rows of a scope. Raises StoreError."""
        ...


Finish: TypeAlias = Callable[[], None]
Submit: TypeAlias = Callable[[Callable[[], Finish]], None]
"""``submit(work)``: run ``work()``, which raises nothing, in a thread; then what it returned in the loop's
thread. It is called for one piece of work at a time, so order is kept."""


class GroupCommitter:
    """Many machines, one disk: whatever came in during one write goes into the next, as one transaction.

    Commits that fail together are tried again one by one, so that nobody fails for another's sake. The
    waiting lists are bounded by the number of machines, each of which waits for one thing at a time.
    """

    __slots__ = ("_busy", "_commits", "_loads", "_store", "_submit")

    def __init__(self, store: ManyStore, submit: Submit) -> None:
        self._store = store
        self._submit = submit
        self._commits: list[tuple[str, Commit, Done]] = []
        self._loads: list[tuple[str, Loaded]] = []
        self._busy = False

    def committer(self, scope: str) -> Committer:
        """Where the machine of this scope commits."""

        def commit(commit: Commit, done: Done) -> None:
            self._commits.append((scope, commit, done))
            self._next()

        return commit

    def load(self, scope: str, loaded: Loaded) -> None:
        """Fetch the rows of a scope, behind the commits that wait."""
        self._loads.append((scope, loaded))
        self._next()

    def _next(self) -> None:
        if self._busy or not (self._commits or self._loads):
            return
        self._busy = True
        commits, self._commits = self._commits, []
        loads, self._loads = self._loads, []
        self._submit(lambda: self._work(commits, loads))

    def _work(self, commits: list[tuple[str, Commit, Done]], loads: list[tuple[str, Loaded]]) -> Finish:
        """In the thread: commit, then load; returns what tells everybody."""
        outcomes = self._commit([(scope, commit) for scope, commit, _ in commits])
        rows = [self._load(scope) for scope, _ in loads]

        def finish() -> None:
            self._busy = False
            for (_, _, done), outcome in zip(commits, outcomes, strict=True):
                _tell(done, outcome)
            for (_, loaded), snapshot in zip(loads, rows, strict=True):
                _tell(loaded, snapshot)
            self._next()

        return finish

    def _commit(self, commits: list[tuple[str, Commit]]) -> list[StoreWriteError | None]:
        if not commits:
            return []
        error = attempt(lambda: self._store.commit_all(commits))
        if error is None or len(commits) == 1:
            return [error] * len(commits)
        return [attempt(partial(self._store.commit_all, [commit])) for commit in commits]

    def _load(self, scope: str) -> Snapshot | StoreError:
        try:
            return self._store.load(scope)
        except StoreError as error:
            return error
        except Exception as error:
            return StoreError(f"the store failed: {error!r}")


def _tell(tell: Callable[[Told], None], what: Told) -> None:
    """Tell one machine: whatever it makes of it, the others wait for their turn."""
    try:
        tell(what)
    except Exception:
        _log.exception("a machine failed on what its store had to say")
