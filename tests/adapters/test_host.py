"""Carrying out actions: in order, storage first, nothing overtakes a commit."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_adapters.host import HELD_FRAMES, Host
from ocpp_adapters.stores import Done, StoreWriteError
from ocpp_core.store import Commit, Put

ROW = Commit((Put("t", "k", "r"),))


@dataclass
class Fake:
    """A machine that wants what it is told to want."""

    batches: deque[list[Any]] = field(default_factory=deque)
    heard: list[str] = field(default_factory=list)

    def actions(self) -> list[Any]:
        return self.batches.popleft() if self.batches else []

    def receive_frame(self, text: str, now: float) -> None:
        self.heard.append(text)
        self.batches.append([f"answer to {text}"])

    def handle_timer(self, now: float) -> None:
        self.heard.append(f"timer {now}")

    def next_timer(self) -> float | None:
        return None

    def store_failed(self, reason: str, now: float) -> None:
        self.heard.append(f"store failed: {reason}")
        self.batches.append(["after the failure"])


@dataclass
class Disk:
    """A committer that answers at once, or when told to."""

    at_once: bool = False
    waiting: deque[Done] = field(default_factory=deque)

    def __call__(self, commit: Commit, done: Done) -> None:
        if self.at_once:
            done(None)
        else:
            self.waiting.append(done)

    def finish(self, error: StoreWriteError | None = None) -> None:
        self.waiting.popleft()(error)


def host_of(machine: Fake, disk: Disk) -> tuple[Host, list[Any]]:
    done: list[Any] = []
    return Host(machine, disk, done.append, lambda: 7.0, lambda: done.append("settled")), done


@pytest.mark.parametrize("at_once", [True, False])
def test_nothing_overtakes_a_commit(at_once: bool) -> None:
    machine, disk = Fake(deque([[ROW, 1, 2], [3], [ROW, 4]])), Disk(at_once)
    host, done = host_of(machine, disk)
    host.drain()
    if not at_once:
        assert (done, host.waits) == ([], True)
        host.drain()
        assert done == []
        disk.finish()
        assert (done, host.waits) == ([1, 2, 3, "settled"], True)
        disk.finish()
        assert done[4:] == [4, "settled"]
    assert [action for action in done if action != "settled"] == [1, 2, 3, 4]
    assert not host.waits


def test_what_came_after_a_failed_commit_is_dropped_and_the_machine_told() -> None:
    machine, disk = Fake(deque([[ROW, "never"]])), Disk()
    host, done = host_of(machine, disk)
    host.drain()
    disk.finish(StoreWriteError("disk full"))
    assert machine.heard == ["store failed: disk full"]
    assert done == ["after the failure", "settled"]


def test_inputs_from_within_an_action_are_carried_out_after_the_batch() -> None:
    machine, disk = Fake(deque([[1, 2]])), Disk()
    done: list[Any] = []

    def perform(action: Any) -> None:
        done.append(action)
        if action == 1:
            host.receive("nested", 0.0)

    host = Host(machine, disk, perform, lambda: 0.0)
    host.drain()
    assert done == [1, 2, "answer to nested"]


def test_frames_go_on_while_the_store_takes_its_time_until_there_are_too_many() -> None:
    machine, disk = Fake(deque([[ROW]])), Disk()
    host, done = host_of(machine, disk)
    host.handle_timer(5.0)
    held = [host.receive(str(number), 0.0) for number in range(HELD_FRAMES)]
    assert held == [False] * (HELD_FRAMES - 1) + [True]
    assert done == []
    disk.finish()
    assert done == [*(f"answer to {number}" for number in range(HELD_FRAMES)), "settled"]
    assert not host.receive("more", 0.0)


def test_an_action_that_fails_does_not_take_the_rest_with_it() -> None:
    machine, disk = Fake(deque([[1, 2]])), Disk()
    done: list[Any] = []

    def perform(action: Any) -> None:
        if action == 1:
            raise RuntimeError
        done.append(action)

    host = Host(machine, disk, perform, lambda: 0.0)
    with pytest.raises(RuntimeError):
        host.drain()
    host.drain()
    assert done == [2]


def test_after_a_stop_nothing_is_carried_out() -> None:
    machine, disk = Fake(deque([[ROW, 1], [2]])), Disk()
    host, done = host_of(machine, disk)
    host.drain()
    host.stop()
    disk.finish()
    host.drain()
    assert done == []


@given(
    batches=st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=6),
    outcomes=st.lists(st.booleans(), min_size=6, max_size=6),
    nested=st.sets(st.integers(0, 20), max_size=4),
)
def test_any_machine_gets_its_actions_carried_out_in_order_behind_its_commits(
    batches: list[tuple[bool, int]], outcomes: list[bool], nested: set[int]
) -> None:
    """Oracle: the batches one after the other, those behind a failed commit left out."""
    number, wanted = 0, deque[list[Any]]()
    expected: list[Any] = []
    results = iter(outcomes)
    failures: list[bool] = []
    for commits, size in batches:
        actions = list(range(number, number + size))
        number += size
        if commits:
            failures.append(next(results))
        if commits or actions:
            wanted.append([ROW, *actions] if commits else list(actions))
        if not (commits and failures[-1]):
            expected += actions
    machine, disk = Fake(wanted), Disk()
    done: list[int] = []

    def perform(action: Any) -> None:
        if isinstance(action, int):
            done.append(action)
            if action in nested:
                host.drain()

    host = Host(machine, disk, perform, lambda: 0.0)
    host.drain()
    for failed in failures:
        disk.finish(StoreWriteError("no") if failed else None)
    assert done == expected
    assert not disk.waiting
