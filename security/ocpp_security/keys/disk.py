"""Key files: mode 0600, written whole or not at all, never overwritten."""

import os
from collections.abc import Callable
from pathlib import Path

from ..durable import make_directory, sync_directory
from .errors import KeyExistsError, KeyNotFoundError, KeyStorageError

MAX_KEY_SIZE = 64 << 10
"""Octets of a key file."""
SUFFIX = ".key"
_NEW = ".new"


def prepare(directory: Path) -> None:
    """Make the directory, for its owner only, and clear away what an interrupted write left in it."""
    try:
        make_directory(directory, 0o700)
        for remains in directory.glob(f".*{SUFFIX}{_NEW}"):
            remains.unlink(missing_ok=True)
    except OSError as error:
        raise KeyStorageError(f"cannot use {directory}: {error.strerror}") from error


def write_new(path: Path, data: bytes) -> None:
    """Make a file durably, complete or not at all. Raises KeyExistsError, KeyStorageError."""
    try:
        _write(path, data, os.link)  # unlike a rename it fails if the name is taken
    except FileExistsError:
        raise KeyExistsError(f"there is a key {path.stem!r}") from None
    except OSError as error:
        raise KeyStorageError(f"cannot write {path}: {error.strerror}") from error


def replace(path: Path, data: bytes) -> None:
    """Replace a file durably: afterwards it is the old one or the new one. Raises KeyStorageError."""
    try:
        _write(path, data, os.replace)
    except OSError as error:
        raise KeyStorageError(f"cannot write {path}: {error.strerror}") from error


def read(path: Path) -> bytes:
    """A key file's octets, ``MAX_KEY_SIZE`` and one at most. Raises KeyNotFoundError, KeyStorageError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEY_SIZE + 1)
    except FileNotFoundError:
        raise KeyNotFoundError(f"there is no key {path.stem!r}") from None
    except OSError as error:
        raise KeyStorageError(f"cannot read {path}: {error.strerror}") from error


def remove(path: Path) -> None:
    """Remove a key file durably. Raises KeyNotFoundError, KeyStorageError."""
    try:
        path.unlink()
        sync_directory(path.parent)
    except FileNotFoundError:
        raise KeyNotFoundError(f"there is no key {path.stem!r}") from None
    except OSError as error:
        raise KeyStorageError(f"cannot remove {path}: {error.strerror}") from error


def names(directory: Path) -> list[str]:
    """The names of the key files. Raises KeyStorageError."""
    try:
        found = [path for path in directory.iterdir() if path.suffix == SUFFIX and path.is_file()]
    except OSError as error:
        raise KeyStorageError(f"cannot read {directory}: {error.strerror}") from error
    return [path.stem for path in found if not path.name.startswith(".")]


def _write(path: Path, data: bytes, put: Callable[[Path, Path], None]) -> None:
    new = path.with_name(f".{path.name}{_NEW}")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        put(new, path)
    finally:
        new.unlink(missing_ok=True)
    sync_directory(path.parent)
