"""Power loss, link cuts, failing stores and bad answers at every point of every scenario, in virtual time.

Nothing is lost, nothing billed twice, everything drains: :mod:`tests.simulation.promises` says what holds.
"""

from collections.abc import Callable, Iterator

import pytest

from . import explore
from .case import Case
from .scenarios import SCENARIOS

PLACES = [(version, script) for script in SCENARIOS for version in explore.versions(script)]
every_script = pytest.mark.parametrize(("version", "script"), PLACES)


def go_through(cases: Callable[[str, str], Iterator[Case]], version: str, script: str) -> None:
    count = 0
    for case in cases(version, script):
        explore.run(case)
        count += 1
    assert count, "there was nothing to explore"


@pytest.mark.requirement("E01.FR.07", "E01.FR.16", "E02.FR.10", "E03.FR.01", "E06.FR.11", "E07.FR.02")
@every_script
def test_scenario_without_faults(version, script):
    world = explore.without_faults(version, script)
    assert all(central.started for central in world.centrals.values())
    assert world.watch.discards == 0 or script == "slow_link"


@pytest.mark.requirement("E04.FR.01", "E04.FR.02", "E01.FR.08")
@every_script
def test_power_loss_at_every_point(version, script):
    go_through(explore.power_losses, version, script)


@pytest.mark.requirement("E04.FR.02", "E13.FR.02", "B04.FR.01", "B04.FR.02")
@every_script
def test_link_cut_at_every_point(version, script):
    go_through(explore.cuts, version, script)


@pytest.mark.requirement("E01.FR.08", "E04.FR.02", "E13.FR.02")
@every_script
def test_a_second_fault_after_the_first(version, script):
    go_through(explore.pairs, version, script)


@pytest.mark.requirement("E04.FR.01")
@every_script
def test_store_fails_at_every_commit(version, script):
    go_through(explore.store_failures, version, script)


@pytest.mark.requirement("E06.FR.11", "E07.FR.02")
@pytest.mark.parametrize(
    ("version", "script"),
    [(version, script) for version, script in PLACES if not SCENARIOS[script].energy_first],
)
def test_contactors_that_do_not_answer(version, script):
    go_through(explore.silent_contactors, version, script)


@pytest.mark.requirement("E13.FR.02", "E13.FR.03", "E13.FR.04")
@every_script
def test_bad_answers_to_every_call(version, script):
    go_through(explore.bad_answers, version, script)
