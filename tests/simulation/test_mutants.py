"""The exploration notices what it is for: every mutant breaks a promise within a reduced exploration."""

from collections.abc import Iterator
from itertools import islice, zip_longest
from random import Random

import pytest

from . import explore
from .case import Case
from .mutants import MUTANTS
from .network_mutants import NETWORK_MUTANTS
from .scenarios import SCENARIOS

ALL = MUTANTS | NETWORK_MUTANTS
LIMIT = 800
"""Cases that a mutant may survive."""


def in_script(script: str) -> Iterator[Case]:
    """Bad answers, failing stores and power losses in one script."""
    for version in explore.versions(script):
        yield from explore.bad_answers(version, script)
        yield from explore.store_failures(version, script)
        yield from explore.power_losses(version, script)


def reduced() -> Iterator[Case]:
    """A sample of every set of cases and of random ones, mixed; the same one each time."""
    random = Random(1)
    places = [(version, script) for script in SCENARIOS for version in explore.versions(script)]
    yield from (explore.case(version, script) for version, script in places)
    sets = [[explore.random_case(seed) for seed in range(LIMIT)]]
    for make in (explore.power_losses, explore.cuts, explore.store_failures, explore.bad_answers):
        sets.append([case for place in places for case in make(*place)])
        random.shuffle(sets[-1])
    for turn in zip_longest(*sets):
        yield from (case for case in turn if case is not None)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return list(islice(reduced(), LIMIT))


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.__name__)
def test_mutant_is_killed(mutant, cases, monkeypatch):
    script = ALL[mutant]
    chosen = list(in_script(script)) if script else cases
    mutant(monkeypatch)
    for case in chosen:
        try:
            explore.run(case)
        except explore.BrokenPromiseError:
            return
    pytest.fail(f"survived {len(chosen)} cases")
