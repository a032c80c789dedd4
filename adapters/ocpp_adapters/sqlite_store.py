"""Durable rows in one SQLite file: WAL, synchronous=FULL, one transaction per commit.

A commit that returned survives power loss; one that raised left nothing behind. (After a failed fsync
nobody knows what the disk holds: such a commit may show up after a crash, which to a machine is the same as a
crash just after it.) The file belongs to one process at a time; the lock is held until
:meth:`SqliteStore.close` or the end of the process. The file holds credentials and id tokens, and is created
readable by its owner alone.
"""

import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from ocpp_core import LocalProtocolError, StoreError
from ocpp_core.store import Commit, Put

from .stores import StoreWriteError

APPLICATION_ID: Final = 0x4F435050
"""``OCPP`` in the file's header: what tells our files from other programs'."""

SCHEMA_VERSION: Final = 1
"""The layout this program reads and writes, kept in ``PRAGMA user_version``."""

_LOG_PAGES: Final = 128
"""Pages of 4 kB from which on the log is carried over into the file. SQLite's own 1,000 are 4 MB: on a small
disk the log of a few rows would come to fill it, and nothing could be written ever again."""

_SCHEMA: Final = """
CREATE TABLE rows (
    scope TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, row TEXT NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (scope, name, key)
) WITHOUT ROWID
"""
_PUT: Final = "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)"
_DELETE: Final = "DELETE FROM rows WHERE scope = ? AND name = ? AND key = ?"
_LOAD: Final = "SELECT name, key, row, crc FROM rows WHERE scope = ?"


class SqliteStore:
    """The rows of one machine, or of many: each ``scope`` (a station's identity; "" by default) has its own.

    Thread-safe. Raises :class:`StoreError` if the file is from a newer version, of another program, damaged
    or cannot be opened, and :class:`StoreWriteError` if another process has it.
    """

    __slots__ = ("_connection", "_lock", "_path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._connection = _open(self._path)

    def load(self, scope: str = "") -> dict[str, dict[str, str]]:
        """The rows of a scope: table -> key -> row. Raises :class:`StoreError` if the file is damaged."""
        tables: dict[str, dict[str, str]] = {}
        with self._lock:
            try:
                for name, key, row, crc in self._usable().execute(_LOAD, (scope,)):
                    if crc != _checksum(scope, name, key, row):
                        raise StoreError(
                            f"{self._path} is damaged: row {key!r} of table {name!r} has changed"
                        )
                    tables.setdefault(name, {})[key] = row
            except sqlite3.Error as error:
                raise StoreError(f"{self._path} is damaged: {error}") from error
        return tables

    def commit(self, commit: Commit, scope: str = "") -> None:
        """Make the changes durable, all or none. Raises :class:`StoreWriteError`: then none is."""
        self.commit_all(((scope, commit),))

    def commit_all(self, commits: Sequence[tuple[str, Commit]]) -> None:
        """Make several machines' commits durable in one transaction. Raises :class:`StoreWriteError`."""
        with self._lock:
            connection = self._usable()
            try:
                connection.execute("BEGIN IMMEDIATE")
                for scope, commit in commits:
                    _write(connection, scope, commit)
                connection.execute("COMMIT")
            except (sqlite3.Error, UnicodeError) as error:  # UnicodeError: a lone surrogate is no text
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise StoreWriteError(f"cannot write {self._path}: {error}") from error

    def close(self) -> None:
        """Give up the file; closing twice is harmless."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _usable(self) -> sqlite3.Connection:
        if self._connection is None:
            raise LocalProtocolError(f"the store {self._path} is closed")
        return self._connection


def _write(connection: sqlite3.Connection, scope: str, commit: Commit) -> None:
    for change in commit.changes:
        place = (scope, change.table, change.key)
        if isinstance(change, Put):
            connection.execute(_PUT, (*place, change.row, _checksum(*place, change.row)))
        else:
            connection.execute(_DELETE, place)


def _checksum(*texts: str) -> int:
    # SQLite notices a torn page, not a flipped bit in a text; a bill must not rest on one.
    return zlib.crc32("\0".join(texts).encode())


def _open(path: Path) -> sqlite3.Connection | None:
    connection: sqlite3.Connection | None = None
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        _prepare(connection, path)
    except (OSError, sqlite3.Error, StoreError) as error:
        if connection is not None:
            connection.close()
        raise _explain(error, path) from error
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    empty = not _pragma(connection, "schema_version")
    if not empty and application != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program (application id {application:#x})")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer version of this program: its schema is {version}, "
            f"this program knows up to {SCHEMA_VERSION}"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    # In exclusive mode the first write takes the lock that keeps other processes out until we close.
    connection.execute("BEGIN IMMEDIATE")
    if empty:
        connection.execute(_SCHEMA)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
    _check(connection.execute("PRAGMA quick_check(1)"), path)


def _check(answer: Iterable[tuple[str]], path: Path) -> None:
    for (verdict,) in answer:
        if verdict != "ok":
            raise StoreError(f"{path} is damaged: {verdict}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _explain(error: Exception, path: Path) -> StoreError:
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreWriteError(f"{path} is in use by another process")
    if code is not None and code & 0xFF == sqlite3.SQLITE_NOTADB:
        return StoreError(f"{path} is damaged, or no store at all: {error}")
    if code is not None and code & 0xFF == sqlite3.SQLITE_CORRUPT:
        return StoreError(f"{path} is damaged: {error}")
    return StoreError(f"cannot open {path}: {error}")
