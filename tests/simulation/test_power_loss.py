"""Power loss and link cuts before every single action of every scenario: nothing lost, nothing billed twice."""

import pytest

from ocpp_core.versions import OcppVersion

from .promises import check
from .scenarios import SCRIPTS, play
from .world import Faults, World

VERSIONS = list(OcppVersion)


def explore(version: OcppVersion, name: str, faults: Faults, seed: int = 1) -> World:
    world = play(World(version, seed, faults=faults), SCRIPTS[name])
    try:
        check(world)
    except AssertionError as broken:
        raise AssertionError(
            f"{broken} [{version} {name} {faults}]\n" + "\n".join(world.trace[-400:])
        ) from broken
    return world


@pytest.mark.requirement("E01.FR.07", "E04.FR.01", "E04.FR.02")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_scenario_without_faults(version, name):
    world = explore(version, name, Faults())
    assert world.started


@pytest.mark.requirement("E04.FR.01", "E04.FR.02", "E01.FR.08")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_power_loss_before_every_action(version, name):
    actions = explore(version, name, Faults()).carried_out
    for number in range(actions):
        explore(version, name, Faults(power_loss={number}))


@pytest.mark.requirement("E04.FR.02", "E13.FR.02", "B04.FR.02")
@pytest.mark.parametrize("half_open", [False, True], ids=["closed", "half-open"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_link_cut_before_every_action(version, name, half_open):
    actions = explore(version, name, Faults()).carried_out
    for number in range(actions):
        explore(version, name, Faults(cut={number}, half_open=half_open))


@pytest.mark.requirement("E04.FR.01")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_store_fails_at_every_commit(version, name):
    actions = explore(version, name, Faults()).carried_out
    for number in range(actions):
        explore(version, name, Faults(store={number}))


@pytest.mark.requirement("E01.FR.08", "E04.FR.02")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("second", ["power_loss", "cut"])
@pytest.mark.parametrize("first", ["power_loss", "cut"])
def test_a_second_fault_after_the_first(version, first, second):
    actions = explore(version, "plug_then_token", Faults()).carried_out
    for number in range(0, actions, 2):
        for gap in (1, 2, 3, 5, 8):
            if first == second:
                faults = Faults(**{first: {number, number + gap}})
            else:
                faults = Faults(**{first: {number}, second: {number + gap}})
            explore(version, "plug_then_token", faults)
