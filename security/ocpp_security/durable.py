"""What keys and certificates need of the disk to outlive a power loss: names that are durable."""

import os
from pathlib import Path


def make_directory(path: Path, mode: int = 0o755) -> None:
    """Make a directory, and those above it, durably; ``mode`` is for the last one. Raises OSError.

    Whatever the umask, nobody else may put something into them: that would be a key or a trust anchor.
    """
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(mode, exist_ok=True)
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names in a directory durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
