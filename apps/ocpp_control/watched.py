"""Files that are replaced while a program runs."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from ocpp_core import OcppError

Value = TypeVar("Value")
Stamp: TypeAlias = tuple[tuple[Path, int, int, int], ...]
_log = logging.getLogger(__name__)


def stamp(paths: Iterable[Path]) -> Stamp:
    """What differs once a file was replaced or written to. Raises OSError: one is gone."""
    states = ((path, path.stat()) for path in paths)
    return tuple((path, state.st_ino, state.st_size, state.st_mtime_ns) for path, state in states)


class Watched(Generic[Value]):
    """What files say; call it for what they say now.

    They are read again when one has changed. If that fails, what they said before counts, and a line in the
    log says so, once for each change.

    Arguments:
        paths: the files.
        read: reads them; raises OcppError or OSError.

    Raises what ``read`` does, the first time.
    """

    def __init__(self, paths: Iterable[Path], read: Callable[[], Value]) -> None:
        self._paths = tuple(paths)
        self._read = read
        self._stamp = self._look()
        self._value = read()

    def __call__(self) -> Value:
        """What they say now."""
        found = self._look()
        if found != self._stamp:
            self._stamp = found  # first, so that what changes meanwhile is read the next time
            try:
                self._value = self._read()
            except (OcppError, OSError) as error:
                _log.warning("what was read before counts: %s", error)
        return self._value

    def _look(self) -> Stamp | None:
        try:
            return stamp(self._paths)
        except OSError:
            return None
