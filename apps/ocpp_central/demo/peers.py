"""The processes of the demo, spoken to in JSON lines."""

import asyncio
import json
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Message = dict[str, Any]
_PATIENCE = 20.0
"""Seconds after which something that should have happened has not."""
_LINE = 1 << 20
_LAST_WORDS = 30


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


class Peer:
    """One process: commands go in, answers and events come out.

    Every event is kept, and told to ``tell``. Nothing is left running: :meth:`kill` in the end.
    """

    def __init__(self, name: str, tell: Callable[[str, Message], None]) -> None:
        self.name = name
        self.events: list[Message] = []
        self._tell = tell
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._answers: asyncio.Queue[Message | None] = asyncio.Queue()
        self._news = asyncio.Condition()
        self._gone = False
        self._complaints: deque[str] = deque(maxlen=_LAST_WORDS)

    async def start(self, *module_and_arguments: str) -> None:
        """Start the process: ``python -m`` and these."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *module_and_arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        self._gone = False
        self._answers = asyncio.Queue()
        listening = asyncio.create_task(self._listen(process.stderr))
        self._readers = [listening, asyncio.create_task(self._read(process.stdout, listening))]

    async def ask(self, do: str, **members: Any) -> Message:
        """Give a command; returns its answer. Raises :class:`DemoError` if it is refused."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **members}).encode() + b"\n")
        try:
            answer = await asyncio.wait_for(self._answers.get(), _PATIENCE)
        except TimeoutError:
            answer = None
        if answer is None:
            raise DemoError(f"{self.name} does not answer {do}\n{self.complaints}")
        if not answer["ok"]:
            raise DemoError(f"{self.name} refuses {do}: {answer['error']}")
        return answer

    async def until(self, what: str, happened: Callable[[Message], bool], since: int = 0) -> Message:
        """Wait for an event, past the first ``since``. Raises :class:`DemoError` if it does not come."""

        def found() -> Message | None:
            return next((event for event in self.events[since:] if happened(event)), None)

        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE), self._news:
                await self._news.wait_for(lambda: self._gone or found() is not None)
        event = found()
        if event is None:
            raise DemoError(f"{self.name}: in vain waited for: {what}\n{self.complaints}")
        return event

    async def kill(self) -> None:
        """Kill the process as the operating system can (SIGKILL), and wait until it is gone."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await asyncio.gather(*self._readers)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None

    async def quit(self) -> None:
        """Stop the process in good order. Raises :class:`DemoError` if it does not end well."""
        await self.ask("quit")
        assert self._process is not None
        async with asyncio.timeout(_PATIENCE):
            status = await self._process.wait()
        if status:
            raise DemoError(f"{self.name} ended with {status}\n{self.complaints}")

    @property
    def complaints(self) -> str:
        """The last of what it wrote to standard error."""
        return "".join(self._complaints)

    async def _read(self, stream: asyncio.StreamReader, listening: asyncio.Task[None]) -> None:
        async for line in stream:
            message = json.loads(line)
            if "event" not in message:
                self._answers.put_nowait(message)
                continue
            self._tell(self.name, message)
            async with self._news:
                self.events.append(message)
                self._news.notify_all()
        await listening  # its last words belong to whatever is said of its end
        self._answers.put_nowait(None)
        async with self._news:
            self._gone = True
            self._news.notify_all()

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self._complaints.append(line.decode(errors="replace"))
