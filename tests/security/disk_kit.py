"""What is done to a disk, and in which order: what survives power loss rests on it."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

Journal = list[tuple[str, str]]
"""What was done, and the name of the file it was done to."""


def journal_of(monkeypatch: pytest.MonkeyPatch) -> Journal:
    """From now on, what is done by ``os`` and ``Path``."""
    done: Journal = []

    def record(owner: object, name: str, told: Callable[..., Path]) -> None:
        real = getattr(owner, name)

        def recorded(*arguments: object, **more: object) -> object:
            done.append((name, told(*arguments).name))
            return real(*arguments, **more)

        monkeypatch.setattr(owner, name, recorded)

    record(os, "fsync", lambda descriptor: Path(f"/proc/self/fd/{descriptor}").readlink())
    for name in ("link", "replace"):
        record(os, name, lambda _, target: Path(target))
    for name in ("mkdir", "unlink", "symlink_to"):
        record(Path, name, lambda path, *_: path)
    return done


class PowerLossError(BaseException):
    """Not an Exception, as nothing survives it."""


@contextmanager
def power_fails(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    """The ``step``-th thing that is done to the disk does not happen, and nothing after it."""

    def cut(done: int) -> None:
        if done >= step:
            raise PowerLossError

    with _watched(monkeypatch, cut):
        yield


@contextmanager
def disk_is_full(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    """The ``step``-th thing that is done to the disk fails, and only that."""

    def refuse(done: int) -> None:
        if done == step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with _watched(monkeypatch, refuse):
        yield


@contextmanager
def _watched(monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None]) -> Iterator[None]:
    steps = count()

    def guard(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def operation(*arguments: object, **more: object) -> object:
            before(next(steps))
            return real(*arguments, **more)

        patch.setattr(owner, name, operation)

    with monkeypatch.context() as patch:
        for name in ("fsync", "link"):
            guard(os, name)
        for name in ("mkdir", "unlink", "replace", "symlink_to"):
            guard(Path, name)
        yield
