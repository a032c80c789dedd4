"""Durable state as plain rows: what a machine asks its adapter to keep, and gets back after power loss.

The contract is one sentence (design rule 3): all changes of one drain come out as one :class:`Commit`, first,
durable together or not at all, before any later action is carried out.
"""

from collections.abc import Iterable, Mapping

from .values import value

Snapshot = Mapping[str, Mapping[str, str]]
"""Table name -> key -> row; a row is JSON text, opaque to the store."""


@value
class Put:
    """Write ``row`` (JSON text) under ``key``, replacing what was there."""

    table: str
    key: str
    row: str


@value
class Delete:
    """Remove the row under ``key``; removing what is not there is no error."""

    table: str
    key: str


@value
class Commit:
    """Changes to be made durable together or not at all, before any later action.

    At most one change per (table, key); the order within a commit does not matter. If it cannot be made
    durable, the adapter calls ``store_failed`` on the machine and carries out nothing that came after it in
    the same drain: the machine hands those actions out again when they may be carried out.
    """

    changes: tuple[Put | Delete, ...]


class Tables:
    """The rows as the machine sees them, and the changes since the last commit was taken."""

    __slots__ = ("_handed", "_pending", "_rows")

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self._rows: dict[str, dict[str, str]] = {
            table: dict(rows) for table, rows in (snapshot or {}).items() if rows
        }
        self._pending: dict[tuple[str, str], str | None] = {}
        self._handed: dict[tuple[str, str], str | None] = {}

    def rows(self, table: str) -> Iterable[tuple[str, str]]:
        """Every (key, row) of a table, ordered by key."""
        return sorted(self._rows.get(table, {}).items())

    def get(self, table: str, key: str) -> str | None:
        """The row under ``key``, or None."""
        return self._rows.get(table, {}).get(key)

    def put(self, table: str, key: str, row: str) -> None:
        """Write a row; an equal row costs no commit."""
        rows = self._rows.setdefault(table, {})
        if rows.get(key) != row:
            rows[key] = row
            self._pending[table, key] = row

    def delete(self, table: str, key: str) -> None:
        """Remove a row; one that is not there costs no commit."""
        if self._rows.get(table, {}).pop(key, None) is not None:
            self._pending[table, key] = None

    @property
    def dirty(self) -> bool:
        """Whether there are changes that no commit has taken."""
        return bool(self._pending)

    def take(self) -> Commit:
        """The changes since the last call, as one commit; call only when :attr:`dirty`."""
        self._handed, self._pending = self._pending, {}
        return Commit(
            tuple(
                Delete(table, key) if row is None else Put(table, key, row)
                for (table, key), row in self._handed.items()
            )
        )

    def failed(self) -> None:
        """The last commit taken was not made durable: its changes are pending again."""
        self._pending = {**self._handed, **self._pending}
        self._handed = {}

    def snapshot(self) -> dict[str, dict[str, str]]:
        """A copy of all rows, pending changes included."""
        return {table: dict(rows) for table, rows in self._rows.items() if rows}


class MemoryStore:
    """A store in memory, for tests, simulation and stations without a disk. Applies commits atomically."""

    __slots__ = ("_rows",)

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self._rows: dict[str, dict[str, str]] = {
            table: dict(rows) for table, rows in (snapshot or {}).items()
        }

    def commit(self, commit: Commit) -> None:
        """Make the changes durable (here: visible to :meth:`load`)."""
        for change in commit.changes:
            table = self._rows.setdefault(change.table, {})
            if isinstance(change, Put):
                table[change.key] = change.row
            else:
                table.pop(change.key, None)

    def load(self) -> dict[str, dict[str, str]]:
        """Everything that was made durable, as a snapshot for a new machine."""
        return {table: dict(rows) for table, rows in self._rows.items() if rows}
