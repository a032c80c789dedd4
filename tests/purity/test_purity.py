"""The core runs under watch: no I/O, no clock, no randomness, and the same words in every process."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.purity.impure import DEEDS
from tests.purity.scenarios import SCENARIOS

ROOT = Path(__file__).parent.parent.parent


@cache
def drive(kind: str, name: str, hash_seed: int = 0) -> dict[str, Any]:
    """What ``drive.py`` reports."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.purity.drive", kind, name],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_machine_neither_acts_nor_reads_clock_nor_draws_lots(name: str) -> None:
    report = drive("scenario", name, hash_seed=1)
    assert report["findings"] == []
    assert report["said"] >= 5


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_inputs_give_the_same_words_in_every_run_and_process(name: str) -> None:
    first, second = drive("scenario", name, hash_seed=1), drive("scenario", name, hash_seed=2)
    assert {*first["digests"], *second["digests"]} == {first["digests"][0]}


@pytest.mark.parametrize("name", DEEDS)
def test_the_guard_catches(name: str) -> None:
    report = drive("deed", name)
    assert len(report["findings"]) == 1, report
