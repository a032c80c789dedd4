"""Durable small files: written whole or not at all, and read with a limit."""

import contextlib
import os
from pathlib import Path

from ..durable import make_directory, sync_directory
from ..errors import CertificateStoreError

TEMPORARY = ".tmp"
"""The suffix of a file being written; one that power loss left behind is ignored and overwritten."""
MAX_FILES = 2000
"""Files looked at in one directory."""
MAX_FILE_SIZE = 6 * 1024 * 1024
"""Octets of one file, as much as the longest revocation list has in PEM."""


def write(path: Path, data: bytes) -> None:
    """Replace a file, durably and atomically. Raises CertificateStoreError: the old one is as it was."""
    if len(data) > MAX_FILE_SIZE:
        raise CertificateStoreError(f"cannot write {path}: {len(data)} octets would not be read again")
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        make_directory(path.parent)
        temporary.unlink(missing_ok=True)
        # Through nobody's link to elsewhere, and whatever the umask, for nobody else to change.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise CertificateStoreError(f"cannot write {path}: {error.strerror}") from error


def remove(path: Path) -> None:
    """Remove a file durably; one that is not there is no error. Raises CertificateStoreError."""
    try:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_directory(path.parent)
    except OSError as error:
        raise CertificateStoreError(f"cannot remove {path}: {error.strerror}") from error


def read(path: Path) -> bytes | None:
    """A file's octets; None if there is none or it is too large. Raises CertificateStoreError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_SIZE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CertificateStoreError(f"cannot read {path}: {error.strerror}") from error
    return data if len(data) <= MAX_FILE_SIZE else None


def files(path: Path, suffixes: frozenset[str]) -> list[Path]:
    """The files of a directory with one of the suffixes, by name; the path itself if it is a file.

    Raises CertificateStoreError: the directory cannot be read.
    """
    try:
        if path.is_file():
            return [path]
        entries = sorted(path.iterdir()) if path.is_dir() else []
        found = [entry for entry in entries if entry.suffix.lower() in suffixes and entry.is_file()]
    except OSError as error:
        raise CertificateStoreError(f"cannot read {path}: {error.strerror}") from error
    return found[:MAX_FILES]
