"""Single cases: those that once broke a promise, and the one in ``SIMULATION_CASE``.

A broken promise prints the line that runs it here again.
"""

import os

import pytest

from . import explore
from .case import Case

ONCE_BROKEN: dict[str, str] = {}
"""What broke -> the case that showed it."""

if "SIMULATION_CASE" in os.environ:
    ONCE_BROKEN["from the environment"] = os.environ["SIMULATION_CASE"]


@pytest.mark.requirement("E01.FR.07", "E04.FR.02")
@pytest.mark.parametrize("what", ONCE_BROKEN)
def test_case(what):
    explore.run(Case.parse(ONCE_BROKEN[what]))
