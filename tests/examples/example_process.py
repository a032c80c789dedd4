"""Runs an example as a process of its own, and ends it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


class Example:
    """A running example; what it prints can be read line by line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def line(self) -> str:
        """The next line it prints."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the example ended with {self._process.wait()}"
        return line.rstrip("\n")

    def port(self) -> int:
        """The port that it says it listens on, in its first line."""
        said, _, port = self.line().rpartition(" ")
        assert said == "listening on"
        return int(port)

    def wait(self) -> int:
        """Its exit status."""
        return self._process.wait(timeout=20)


@contextmanager
def running(*command: str) -> Iterator[Example]:
    """Run ``python COMMAND``; it is killed at the end of the block if it still runs."""
    with subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            yield Example(process)
        finally:
            process.kill()
