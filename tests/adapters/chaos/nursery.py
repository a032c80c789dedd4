"""A process that has imported everything and forks lives off, so that one costs milliseconds.

``python -m tests.adapters.chaos.nursery``: takes JSON lines, answers each with one.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Nursery:
    """The parent's end."""

    def __enter__(self) -> Self:
        root = Path(__file__).parents[3]
        command = [sys.executable, "-m", "tests.adapters.chaos.nursery"]
        self._process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process as process:  # closes its input, which ends it and all that live
            assert process.stdin is not None
            process.stdin.close()
            process.wait()

    def start(self, life: str, **arguments: Any) -> int:
        """Begin a life, one of :mod:`.lives`; its process."""
        return int(self._ask({"start": life, **arguments}))

    def kill(self, pid: int) -> None:
        """SIGKILL, and it is over."""
        self._ask({"kill": pid})

    def wait(self, pid: int, seconds: float) -> int | None:
        """How it ended; None: not in so many seconds."""
        status: int | None = self._ask({"wait": pid, "seconds": seconds})
        return status

    def _ask(self, what: dict[str, Any]) -> Any:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(what) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())


def main() -> None:
    """Obey, as long as there is somebody to obey."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until a life knows what to do about it
    born: set[int] = set()
    try:
        _obey(born)
    finally:  # also if the test was killed
        for pid in born:
            os.kill(pid, signal.SIGKILL)


def _obey(born: set[int]) -> None:
    from tests.adapters.chaos import lives

    for line in sys.stdin:
        answer: Any = None
        match json.loads(line):
            case {"start": life, **arguments}:
                answer = os.fork()
                if answer == 0:
                    lives.live(life, arguments)
                born.add(answer)
            case {"kill": pid}:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                born.discard(pid)
            case {"wait": pid, "seconds": seconds}:
                answer = _wait(pid, seconds)
                if answer is not None:
                    born.discard(pid)
        print(json.dumps(answer), flush=True)


def _wait(pid: int, seconds: float) -> int | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


if __name__ == "__main__":
    main()
