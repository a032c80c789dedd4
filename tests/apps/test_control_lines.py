"""Lines over pipes and files: nothing is lost, torn, or allowed to pile up."""

import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_control import MAX_LINE, LineReader, LineWriter


def run(function: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        with anyio.fail_after(20):
            return await function()

    return anyio.run(bounded)


async def collect(fd: int) -> list[bytes | None]:
    return [line async for line in LineReader(fd).lines()]


@given(st.lists(st.text(alphabet="ab {}\t", max_size=8), max_size=8), st.booleans(), st.data())
def test_every_line_that_is_not_blank_arrives_whole(texts: list[str], ended: bool, data: Any) -> None:
    sent = "\n".join(texts).encode() + (b"\n" if ended else b"")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    parts = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]

    async def talk() -> list[bytes | None]:
        read, write = os.pipe()
        received: list[bytes | None] = []

        async def reader() -> None:
            received.extend(await collect(read))

        async with anyio.create_task_group() as group:
            group.start_soon(reader)
            for part in parts:
                os.write(write, part)
                await anyio.sleep(0)
            os.close(write)
        os.close(read)
        return received

    assert run(talk) == [line for line in sent.split(b"\n") if line.strip()]


@pytest.mark.parametrize("ended", [True, False])
def test_a_line_without_end_is_reported_and_costs_no_memory(tmp_path: Path, ended: bool) -> None:
    path = tmp_path / "commands"
    path.write_bytes(b"first\n" + b"x" * (3 * MAX_LINE) + (b"\nlast\n" if ended else b""))

    async def read() -> list[bytes | None]:
        with path.open("rb") as file:
            return await collect(file.fileno())

    assert run(read) == [b"first", None, *([b"last"] if ended else [])]


def test_output_is_written_in_order_and_may_exceed_the_pipe() -> None:
    values = [{"n": n, "text": "y" * 700} for n in range(400)]

    async def talk() -> list[bytes | None]:
        read, write = os.pipe()
        writer, received = LineWriter(write), []

        async def reader() -> None:
            received.extend(await collect(read))

        async with anyio.create_task_group() as outer:
            outer.start_soon(reader)
            async with anyio.create_task_group() as inner:
                inner.start_soon(writer.run)
                for value in values:
                    await writer.room()
                    writer.answer(value)
                await writer.drained()
                inner.cancel_scope.cancel()
            os.close(write)
        os.close(read)
        return received

    assert [json.loads(line) for line in run(talk)] == values


def test_events_that_nobody_reads_are_dropped_and_counted_answers_are_not() -> None:
    async def talk() -> list[dict[str, Any]]:
        read, write = os.pipe()
        writer = LineWriter(write, limit=3)
        for n in range(10):
            writer.event({"event": "status", "at": float(n)})
        writer.answer({"re": 1, "ok": True})
        received: list[bytes] = []
        async with anyio.create_task_group() as group:
            group.start_soon(writer.run)
            await writer.drained()
            writer.event({"event": "status", "at": 11.0})
            await writer.drained()
            group.cancel_scope.cancel()
        os.close(write)
        received = os.read(read, 65_536).splitlines()
        os.close(read)
        return [json.loads(line) for line in received]

    lines = run(talk)
    assert [line.get("at") for line in lines] == [0.0, 1.0, 2.0, None, 11.0, 11.0]
    assert lines[3] == {"re": 1, "ok": True}
    assert lines[4] == {"event": "notice", "at": 11.0, "kind": "events dropped", "count": 7}


def test_room_waits_while_nobody_reads() -> None:
    async def talk() -> bool:
        read, write = os.pipe()
        writer = LineWriter(write, limit=2)
        for n in range(2):
            writer.answer({"re": n})
        with anyio.move_on_after(0.05) as scope:
            await writer.room()
        os.close(read)
        os.close(write)
        return scope.cancelled_caught

    assert run(talk)


def test_the_writer_ends_when_the_other_side_has_gone() -> None:
    async def talk() -> None:
        read, write = os.pipe()
        os.close(read)
        writer = LineWriter(write)
        writer.answer({"ok": True})
        await writer.run()
        await writer.drained()
        writer.answer({"ok": True})
        await writer.drained()
        os.close(write)

    run(talk)


@pytest.mark.skipif(sys.platform == "win32", reason="os.devnull is no file descriptor to select there")
def test_files_and_devices_need_no_waiting(tmp_path: Path) -> None:
    async def talk() -> list[bytes | None]:
        path = tmp_path / "answers"
        with path.open("wb") as file:
            writer = LineWriter(file.fileno())
            writer.answer({"ok": True})
            async with anyio.create_task_group() as group:
                group.start_soon(writer.run)
                await writer.drained()
                group.cancel_scope.cancel()
        with path.open("rb") as written, open(os.devnull, "rb") as nothing:
            return await collect(written.fileno()) + await collect(nothing.fileno())

    assert run(talk) == [b'{"ok": true}']
