"""The demo: it passes on a machine without a terminal, and its comparison can fail."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ocpp_central.demo.ledger import Pair, Session, billed, delivered, match


def told(id_: str, phase: str, meter_wh: float, **more: str) -> dict[str, Any]:
    return {"event": "transaction", "id": id_, "phase": phase, "meter_wh": meter_wh, **more}


EVENTS = [
    {"event": "status"},
    told("x", "started", 10.0),
    told("x", "updated", 15.0),
    told("y", "started", 20.0),
    told("x", "ended", 20.0, stop_reason="Local"),
]


def bill(transaction: str, start_wh: float | None, stop_wh: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "station": "A",
        "transaction": transaction,
        "start_wh": start_wh,
        "stop_wh": stop_wh,
        "stop_reason": "Local",
        "complete": True,
        **changes,
    }


def pairs(*bills: dict[str, Any]) -> list[bool]:
    sessions = delivered(EVENTS[:3] + EVENTS[4:])
    return [pair.agrees for pair in match(sessions, billed(bills, "A"))]


def test_a_station_s_sessions_are_read_from_its_events() -> None:
    first, second = delivered(EVENTS)
    assert first == Session("x", 10.0, 20.0, "Local", closed=True)
    assert first.energy_wh == 10.0
    assert not second.closed
    assert second.energy_wh is None


@pytest.mark.parametrize("transaction", ["x", "4711"])
def test_equal_books_agree_whatever_the_id(transaction: str) -> None:
    assert pairs(bill(transaction, 10.0, 20.0), bill(transaction, 10.0, 20.0, station="B")) == [True]


@pytest.mark.parametrize(
    "bills",
    [
        [],
        [bill("x", 10.0, 20.0, station="B")],
        [bill("x", 10.0, 21.0)],
        [bill("x", 9.0, 20.0)],
        [bill("x", 9.0, 19.0)],
        [bill("x", 10.0, None)],
        [bill("x", 10.0, 20.0, complete=False)],
        [bill("x", 10.0, 20.0), bill("x", 10.0, 20.0)],
        [bill("x", 10.0, 20.0), bill("4711", 10.0, 20.0)],
        [bill("x", 10.0, 20.0), bill("z", 0.0, 5.0)],
    ],
    ids=[
        "missing",
        "of another station",
        "too much",
        "other start",
        "shifted",
        "open",
        "incomplete",
        "double",
        "double under another id",
        "invented",
    ],
)
def test_any_difference_is_found(bills: list[dict[str, Any]]) -> None:
    assert not all(pairs(*bills))


def test_a_session_that_never_ended_is_no_agreement() -> None:
    (_, second) = delivered(EVENTS)
    same = Session("y", 20.0, 20.0, None, closed=False)
    assert not Pair(second, same).agrees
    assert not Pair(None, same).agrees


@pytest.mark.slow
def test_the_demo_passes_without_a_terminal_and_leaves_nothing_behind(tmp_path: Path) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ocpp_central.demo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"TMPDIR": str(tmp_path), "PATH": "", "COLUMNS": "118"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "Both sides agree" in done.stdout
    for said in ("is cut", "SIGKILL", "PowerLoss", "while it was offline", "1.6", "2.0.1", "2.1"):
        assert said in done.stdout
    assert " NO" not in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - began < 60
