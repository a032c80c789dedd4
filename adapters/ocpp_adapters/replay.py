"""Tell a machine again what a record says it was told, and see whether it says the same.

``python -m ocpp_adapters.replay FILE`` ends with 0 if every batch of actions is the same, with 1 at the first
that is not, and with 2 if the file is no record.
"""

import argparse
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import ndiff
from typing import Any

from ocpp_core import OcppError
from ocpp_core.csms import Csms
from ocpp_core.station import Station

from .codecs import construction_of, describe, inputs_of
from .recorder import FORMAT, batch_of, dump, raised, versions

MACHINES: Mapping[str, type] = {"Station": Station, "Csms": Csms}
"""The machines that records are made of, by name."""


class RecordError(OcppError):
    """The file is no record, is from a newer version, or is damaged; the text says which and where."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first difference between the record and the replay.

    ``line`` is where the record has its side; ``after`` is the input that led to it, as the record has it.
    """

    line: int
    after: str
    recorded: tuple[str, ...]
    replayed: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"line {self.line}, after {self.after}", "- recorded  + replayed"]
        return "\n".join([*lines, *(text.rstrip("\n") for text in ndiff(self.recorded, self.replayed))])


@dataclass(slots=True)
class ReplayResult:
    """What became of a replay: how much was replayed, what differs, what else is worth knowing."""

    lives: int = 0
    inputs: int = 0
    batches: int = 0
    divergence: Divergence | None = None
    notes: list[str] = field(default_factory=list)


class _DivergedError(Exception):
    """Ends the replay."""

    def __init__(self, line: int, recorded: Sequence[str], replayed: Sequence[str]) -> None:
        super().__init__(line)
        self.line = line
        self.recorded = tuple(recorded)
        self.replayed = tuple(replayed)


def replay(path: str | os.PathLike[str], machines: Mapping[str, type] = MACHINES) -> ReplayResult:
    """Replay a record up to its end or to the first divergence.

    Raises:
        RecordError: the file is no record.
        OSError: it cannot be read.
    """
    result = ReplayResult()
    lives: dict[int, _Player] = {}
    player = _Player(machines, result)
    try:
        for number, entry in _entries(path, result):
            player = lives.setdefault(entry["life"], _Player(machines, result))
            player.play(number, entry)
        for player in lives.values():
            player.end()
    except _DivergedError as diverged:
        result.divergence = Divergence(diverged.line, player.after, diverged.recorded, diverged.replayed)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordError(f"line {player.line} is damaged: {error!r}") from error
    return result


def _entries(path: str | os.PathLike[str], result: ReplayResult) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines. One that is cut off by a crash is the last of its life, and is passed over."""
    number = 0
    with open(path, encoding="ascii", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            whole = isinstance(entry, dict)
            if number == 1 and not (whole and "record" in entry):
                raise RecordError(f"{path} is no record")
            if whole:
                yield number, entry
            else:
                result.notes.append(f"line {number} is cut off")
    if not number:
        raise RecordError(f"{path} is empty")


class _Player:
    """Tells the machine of one life what it was told.

    An entry is carried out when the next one is seen: the draws that belong to it come between.
    """

    def __init__(self, machines: Mapping[str, type], result: ReplayResult) -> None:
        self._machines = machines
        self._result = result
        self._machine: Any = None
        self._kind: type | None = None
        self.line = 0
        self._entry: dict[str, Any] = {}
        self._draws: deque[bytes] = deque()
        self._raised: str | None = None
        self.after = "the construction"

    def play(self, line: int, entry: dict[str, Any]) -> None:
        """Take in the next entry."""
        if not self.line and "record" not in entry:
            raise RecordError(f"line {line} is of no life that this record has")
        if "draw" in entry:
            self._draws.append(bytes.fromhex(entry["draw"]))
        elif "raised" in entry:
            self._carry_out()
            self._expect(line, [entry["raised"]], [] if self._raised is None else [self._raised])
            self._raised = None
        else:
            self._carry_out()
            self._expect_none_raised(line)
            self.line, self._entry = line, entry

    def end(self) -> None:
        """A life is over. What its last input led to is not known: it may have been cut short."""
        if "out" in self._entry:
            self._carry_out()

    def _carry_out(self) -> None:
        entry, self._entry = self._entry, {}
        if "record" in entry:
            self._construct(entry)
        elif "in" in entry:
            self._input(entry["in"], entry["arguments"])
        elif "out" in entry:
            self._drain(entry["out"])
        self._expect(self.line, [f"draws {len(drawn)} bytes" for drawn in self._draws], [])

    def _construct(self, header: dict[str, Any]) -> None:
        if header["record"] != FORMAT:
            raise RecordError(f"the record has format {header['record']}, this program knows {FORMAT}")
        kind = self._machines.get(header["machine"])
        if kind is None:
            raise RecordError(f"no machine is called {header['machine']!r}")
        self._result.lives += 1
        for name, version in versions().items():
            if header["versions"].get(name) != version:
                note = f"recorded with {name} {header['versions'].get(name)}, replayed with {version}"
                self._result.notes.append(note)
        self._kind = kind
        self.after = "the construction"
        arguments = construction_of(kind).decode(header["arguments"])
        self._machine = self._attempt(lambda: kind(**arguments, entropy=self._draw))

    def _input(self, name: str, values: dict[str, Any]) -> None:
        self.after = f"{name} {dump(values)}"
        assert self._kind is not None
        inputs = inputs_of(self._kind)
        if name not in inputs:
            raise RecordError(f"line {self.line}: a {self._kind.__name__} has no input {name!r}")
        arguments = inputs[name].decode(values)
        self._result.inputs += 1
        self._attempt(lambda: getattr(self._machine, name)(**arguments))

    def _drain(self, recorded: list[Any] | str) -> None:
        self._result.batches += 1
        actions = self._machine.actions()
        replayed = batch_of(actions, digest=isinstance(recorded, str))
        if dump(recorded) != dump(replayed):  # as texts: a NaN equals nothing
            sides = recorded if isinstance(recorded, list) else [recorded]
            raise _DivergedError(self.line, [*map(dump, sides)], [*map(dump, map(describe, actions))])

    def _attempt(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except _DivergedError:
            raise
        except Exception as error:
            self._raised = raised(error)
            return None

    def _draw(self, n: int) -> bytes:
        if not self._draws or len(self._draws[0]) != n:
            raise _DivergedError(
                self.line, [f"draws {len(drawn)} bytes" for drawn in self._draws], [f"draws {n} bytes"]
            )
        return self._draws.popleft()

    def _expect(self, line: int, recorded: list[str], replayed: list[str]) -> None:
        if recorded != replayed:
            raise _DivergedError(line, recorded, replayed)

    def _expect_none_raised(self, line: int) -> None:
        if self._raised is not None:
            raise _DivergedError(line, [], [self._raised])


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: replay a file and say what came of it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="ocpp replay", description="Replay a record of a machine.")
    parser.add_argument("file", help="a record, as a recorder wrote it")
    options = parser.parse_args(argv)
    try:
        result = replay(options.file)
    except (RecordError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    for note in result.notes:
        print(f"note: {note}")
    print(f"{result.lives} lives, {result.inputs} inputs, {result.batches} batches of actions", end=": ")
    print("the same" if result.divergence is None else f"diverged at\n{result.divergence}")
    return 0 if result.divergence is None else 1


if __name__ == "__main__":
    sys.exit(main())
