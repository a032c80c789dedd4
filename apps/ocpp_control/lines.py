"""Lines over a pair of file descriptors, without threads and without ever blocking the loop.

A pipe that is ready for writing takes 4,096 bytes (PIPE_BUF) at once; what is no pipe and cannot be waited
for, a file or /dev/null, never blocks.
"""

import json
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio

from .grammar import MAX_LINE

_CHUNK = 4096


class LineReader:
    """Lines from a file descriptor, until its end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    async def lines(self) -> AsyncIterator[bytes | None]:
        """Each line that is not blank, without its end; None stands for one longer than MAX_LINE."""
        buffer, too_long = b"", False
        while chunk := await self._read():
            *complete, buffer = (buffer + chunk).split(b"\n")
            for line in complete:
                if too_long or len(line) > MAX_LINE:
                    yield None
                elif line.strip():
                    yield line
                too_long = False
            if len(buffer) > MAX_LINE:
                buffer, too_long = b"", True
        if too_long:
            yield None
        elif buffer.strip():
            yield buffer

    async def _read(self) -> bytes:
        await _ready(anyio.wait_readable, self._fd)
        return os.read(self._fd, 65_536)


class LineWriter:
    """JSON lines to a file descriptor, in order, written by :meth:`run`.

    Answers are always kept, so wait for :meth:`room` before taking a command; events beyond ``limit`` waiting
    lines are dropped, and a notice that says how many takes their place as soon as there is room.
    """

    def __init__(self, fd: int, limit: int = 10_000) -> None:
        self._fd = fd
        self._limit = limit
        self._waiting: deque[bytes] = deque()
        self._dropped = 0
        self._gone = False
        self._news = anyio.Event()
        self._progress = anyio.Event()

    def answer(self, value: Mapping[str, Any]) -> None:
        """Write the answer to a command."""
        self._put(value)

    def event(self, value: Mapping[str, Any]) -> None:
        """Write an event, or drop it when nobody reads."""
        if len(self._waiting) >= self._limit:
            self._dropped += 1
            return
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._put({"event": "notice", "at": value["at"], "kind": "events dropped", "count": dropped})
        self._put(value)

    def _put(self, value: Mapping[str, Any]) -> None:
        if self._gone:
            return
        self._waiting.append(json.dumps(value).encode() + b"\n")
        self._news.set()

    async def room(self) -> None:
        """Return once another answer may be added: to wait here is what bounds the answers."""
        await self._below(self._limit)

    async def drained(self) -> None:
        """Return once everything was written, or nobody is left to read it."""
        await self._below(1)

    async def _below(self, count: int) -> None:
        while len(self._waiting) >= count:
            if self._progress.is_set():
                self._progress = anyio.Event()
            await self._progress.wait()

    async def run(self) -> None:
        """Write until cancelled; returns when the other side has gone."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            while self._waiting:
                try:
                    await self._write(self._waiting[0])
                except BrokenPipeError:
                    self._give_up()
                    return
                self._waiting.popleft()
                self._progress.set()

    def _give_up(self) -> None:
        self._gone = True
        self._waiting.clear()
        self._progress.set()

    async def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            await _ready(anyio.wait_writable, self._fd)
            rest = rest[os.write(self._fd, rest[:_CHUNK]) :]


async def _ready(wait: Any, fd: int) -> None:
    """Wait until ``fd`` is ready; what cannot be waited for always is."""
    try:
        await wait(fd)
    except OSError:
        await anyio.sleep(0)
