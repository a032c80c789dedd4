"""Write down everything a machine is told and everything it says, so that it can be told again.

::

    station = recording(Station, "station.jsonl")(config, os.urandom, now, store.load())

The record is a text file of JSON lines, one per input, entropy draw and batch of actions, in the order in
which they happened; docs/record-replay.md describes it. It holds whatever the machine was given, id tokens
and passwords too, and is created readable by its owner alone. A record that cannot be written ends, the
machine goes on.
"""

import json
import logging
import os
import platform
import weakref
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version
from typing import Any, Final, ParamSpec, TypeVar, cast

from ocpp_core.entropy import Entropy

from .codecs import Arguments, construction_of, describe, inputs_of

FORMAT: Final = 1
"""The version of the file's format."""

LIMIT: Final = 1 << 30
"""Bytes to which a file grows, unless told otherwise."""

P = ParamSpec("P")
M = TypeVar("M")

_log = logging.getLogger(__name__)


def batch_of(actions: list[Any], *, digest: bool) -> list[Any] | str:
    """A batch of actions as it stands in the record: in full, or as a digest of that."""
    batch = [describe(action) for action in actions]
    return sha256(dump(batch).encode()).hexdigest() if digest else batch


def dump(value: Any) -> str:
    """Compact JSON in ASCII: any text goes, a lone surrogate too."""
    return json.dumps(value, separators=(",", ":"))


def recording(
    machine: Callable[P, M], path: str | os.PathLike[str], *, digest: bool = False, limit: int = LIMIT
) -> Callable[P, M]:
    """What makes a machine like ``machine`` and records its life, appended to the file.

    Arguments:
        machine: the class; its arguments are recorded by their type hints, ``entropy`` by what is drawn.
        path: the file; a file may hold any number of lives, one after another or side by side.
        digest: keep only a digest of each batch of actions: smaller, and a divergence shows one side only.
        limit: bytes that the file may have; what would go beyond ends the record.

    The result takes the arguments of ``machine`` and passes for one. Raises OSError if the file cannot be
    opened.
    """
    kind = cast(type, machine)

    def make(*args: P.args, **kwargs: P.kwargs) -> M:
        return cast(M, _Recorded(kind, _Lines(path, limit), digest, args, kwargs))

    return make


class _Lines:
    """One life in a file. Every line is with the operating system before the machine goes on: a crash loses
    none. Each line names its life by where in the file it began, as several machines may write side by side.
    """

    def __init__(self, path: str | os.PathLike[str], limit: int) -> None:
        self._path = path
        self._limit = limit
        self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._close = weakref.finalize(self, os.close, self._file)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # a line that a crash cut off must not swallow ours
        self._life = os.fstat(self._file).st_size

    def write(self, line: dict[str, Any]) -> None:
        if self._file is None:
            return
        data = dump({"life": self._life, **line}).encode() + b"\n"
        try:
            if os.fstat(self._file).st_size + len(data) > self._limit:
                raise OSError(f"it would be larger than {self._limit} bytes")
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            _log.error("the record %s ends here: %s", self._path, error)
            self._file = None
            self._close()


class _Recorded:
    """Passes for the machine it holds."""

    def __init__(
        self, kind: type, lines: _Lines, digest: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        construction = construction_of(kind)
        given = construction.bind(*args, **kwargs)
        lines.write(
            {
                "record": FORMAT,
                "machine": kind.__name__,
                "versions": versions(),
                "arguments": construction.encode(given),
            }
        )
        self._lines = lines
        self._digest = digest
        self._drained = False
        if "entropy" in given.arguments:
            given.arguments["entropy"] = self._noted(given.arguments["entropy"])
        self._machine = kind(*given.args, **given.kwargs)
        for name, arguments in inputs_of(kind).items():
            setattr(self, name, self._recorded(name, arguments))

    def actions(self) -> list[Any]:
        """The machine's actions. Of the empty batches that end every drain only the first is worth a line."""
        actions: list[Any] = self._machine.actions()
        if actions or not self._drained:
            self._lines.write({"out": batch_of(actions, digest=self._digest)})
        self._drained = True
        return actions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machine, name)

    def _noted(self, entropy: Entropy) -> Entropy:
        def draw(n: int) -> bytes:
            drawn = entropy(n)
            self._lines.write({"draw": drawn.hex()})
            return drawn

        return draw

    def _recorded(self, name: str, arguments: Arguments) -> Callable[..., Any]:
        method = getattr(self._machine, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._lines.write({"in": name, "arguments": arguments.encode(arguments.bind(*args, **kwargs))})
            self._drained = False
            try:
                return method(*args, **kwargs)
            except Exception as error:
                self._lines.write({"raised": raised(error)})
                raise

        return call


def raised(error: Exception) -> str:
    """An exception as it stands in the record."""
    return f"{type(error).__name__}: {error}"


def versions() -> dict[str, str]:
    """What the behaviour of a machine depends on."""
    return {
        "ocpp-core": version("ocpp-core"),
        "pydantic": version("pydantic"),
        "python": platform.python_version(),
    }
