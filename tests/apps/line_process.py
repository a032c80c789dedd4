"""A process that speaks JSON lines, for tests: commands in, answers and events out, in their order."""

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

Message = dict[str, Any]
PATIENCE = 30.0


class LineProcess:
    """A running process; ``seen`` holds everything it wrote so far that was looked at."""

    def __init__(self, arguments: Sequence[str], prefix: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.seen: list[Message] = []
        self.complaints = b""
        self._lines: queue.Queue[Message | None] = queue.Queue()
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._listen)]
        for thread in self._threads:
            thread.start()
        self._asked = 0

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.complaints += line

    def write(self, line: bytes) -> None:
        """Send raw bytes."""
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def next(self) -> Message:
        """The next line it writes."""
        message = self._lines.get(timeout=PATIENCE)
        assert message is not None, f"it ended: {self.complaints.decode()}"
        self.seen.append(message)
        return message

    def ask(self, do: str, **members: Any) -> Message:
        """Give a command, and return its answer."""
        self._asked += 1
        self.write(json.dumps({"do": do, "id": self._asked, **members}).encode() + b"\n")
        return self.until(lambda message: message.get("re") == self._asked)

    def do(self, do: str, **members: Any) -> Message:
        """Give a command that must be accepted."""
        answer = self.ask(do, **members)
        assert answer["ok"], answer
        return answer

    def until(self, happened: Callable[[Message], bool]) -> Message:
        """Read on until a line for which ``happened``."""
        while not happened(message := self.next()):
            pass
        return message

    def event(self, event: str, /, **members: Any) -> Message:
        """Read on until an event with these members."""
        return self.until(lambda it: it.get("event") == event and members.items() <= it.items())

    def state_when(self, reached: Callable[[Message], bool]) -> Message:
        """Ask for the state until it is as wanted."""
        deadline = time.monotonic() + PATIENCE
        while not reached(state := self.do("state")):
            assert time.monotonic() < deadline, state
            time.sleep(0.05)
        return state

    def ended(self) -> int:
        """Its exit status, once it has ended by itself; everything it wrote is then in ``seen``."""
        status = self.process.wait(PATIENCE)
        while (message := self._lines.get(timeout=PATIENCE)) is not None:
            self.seen.append(message)
        return status

    def close_input(self) -> None:
        """End its input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def kill(self) -> None:
        """SIGKILL, if it still runs; then nothing of it is left."""
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()


@contextmanager
def running(*arguments: str) -> Iterator[LineProcess]:
    """Run ``python -m ARGUMENTS`` for a block."""
    process = LineProcess(arguments)
    try:
        yield process
    finally:
        process.kill()
