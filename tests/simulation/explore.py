"""Running cases, and the sets of cases that an exploration goes through."""

import os
from collections.abc import Iterator
from functools import cache
from itertools import product
from random import Random
from typing import Any

from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.versions import OcppVersion

from . import promises
from .case import ANY, ERROR, UNANSWERED, UNHEARD, Case
from .scenarios import END_MS, SCENARIOS
from .world import World

THOROUGH = os.environ.get("SIMULATION_THOROUGH", "0") == "1"
"""Explore every pair of faults up to :data:`GAPS` apart, not one per point."""
GAPS = (1, 2, 3, 5, 8, 13)
_SLICE_MS = 5_000
_LINES = 400


class BrokenPromiseError(AssertionError):
    """A promise did not hold; the text says which, how to see it again, and what happened."""


def run(case: Case) -> World:
    """Play a case to its end, let everything come back, and see whether the promises held.

    Raises :class:`BrokenPromiseError`.
    """
    world = World(case)
    try:
        _play(world)
        promises.check(world)
    except AssertionError as broken:
        told = "\n".join(f"{at:>8} {what}" for at, what in world.trace[-_LINES:])
        raise BrokenPromiseError(
            f"{broken}\n\nSIMULATION_CASE='{case}' pytest tests/simulation/test_cases.py\n\n{told}"
        ) from broken
    return world


def _play(world: World) -> None:
    SCENARIOS[world.case.script].script(world)
    world.run(END_MS)
    world.fair = True
    world.network.back()
    world.site.boot()
    for number in world.site.outlets:
        world.site.unplug(number)
    deadline = END_MS + promises.BOUND_MS
    while not world.at_rest and world.now < deadline:
        world.run(world.now + _SLICE_MS)


def case(version: str, script: str, **faults: Any) -> Case:
    """A case of a script, with what the script needs."""
    return Case(**{"version": version, "script": script, **SCENARIOS[script].needs, **faults})


@cache
def without_faults(version: str, script: str) -> World:
    """The script as it goes when nothing goes wrong: what there is to count."""
    return run(case(version, script))


# ---------------------------------------------------------------------- sets of cases


def power_losses(version: str, script: str) -> Iterator[Case]:
    """The power fails at every point."""
    for point in range(without_faults(version, script).site.points):
        yield case(version, script, power_loss=(point,))


def cuts(version: str, script: str) -> Iterator[Case]:
    """The link breaks at every point: noticed at once, what was on its way lost; or late (half-open)."""
    for point in range(without_faults(version, script).site.points):
        yield case(version, script, cut=(point,), arrives=point % 2 == 0)
        yield case(version, script, cut=(point,), silence_ms=25_000)


def pairs(version: str, script: str) -> Iterator[Case]:
    """A second fault soon after the first: every kind after every kind, at every point."""
    kinds = list(product(("power_loss", "cut"), repeat=2))
    points = without_faults(version, script).site.points
    for point in range(points):
        turns = product(kinds, GAPS) if THOROUGH else [(kinds[point % 4], GAPS[point // 4 % len(GAPS)])]
        for (first, second), gap in turns:
            faults: dict[str, list[int]] = {first: [point]}
            faults.setdefault(second, []).append(point + gap)
            yield case(version, script, arrives=point % 3 != 0, **faults)


def store_failures(version: str, script: str) -> Iterator[Case]:
    """Every commit of the station fails, once, or thrice in a row; or every commit of the CSMS."""
    world = without_faults(version, script)
    for commit in range(world.site.commits):
        yield case(version, script, store=(commit,))
        yield case(version, script, store=(commit, commit + 1, commit + 2), power_loss=(2 * commit,))
    for commit in range(world.central.commits):
        yield case(version, script, csms_store=(commit,))


def bad_answers(version: str, script: str) -> Iterator[Case]:
    """Every call is answered badly once, in every way; and every fact always, until it is given up."""
    world = without_faults(version, script)
    for how in (ERROR, UNHEARD, UNANSWERED):
        for number in range(world.central.calls):
            yield case(version, script, misanswers=((number, how),))
        for number in range(len(world.central.facts)):
            yield case(version, script, shunned=((number, how),))


def versions(script: str) -> list[str]:
    """The versions in which a script is played."""
    return [ANY] if SCENARIOS[script].needs.get("version") == ANY else [str(v.value) for v in OcppVersion]


# ---------------------------------------------------------------------- any case


def random_case(seed: int) -> Case:
    """A case with everything in it drawn from its seed: script, settings, links, clocks and faults."""
    random = Random(seed)

    def some(most: int, below: int) -> tuple[int, ...]:
        return tuple(sorted(random.sample(range(below), random.randint(0, most))))

    def ways(most: int, below: int) -> tuple[tuple[int, str], ...]:
        return tuple((number, random.choice((ERROR, UNHEARD, UNANSWERED))) for number in some(most, below))

    scenario = random.choice(sorted(SCENARIOS))
    needs = dict(SCENARIOS[scenario].needs)
    config = {
        "sample_interval": random.choice((0, 20, 60)),
        "ended_interval": random.choice((0, 0, 15, 60)),
        "ended_samples_limit": random.choice((3, 500)),
        "outbox_limit": random.choice((8, 2000, 2000)),
        "stop_tx_on_invalid_id": random.random() < 0.7,
        "authorize_remote_start": random.random() < 0.3,
        "attempts": random.choice((1, 2, 3)),
        **needs.pop("config", {}),
    }
    drawn = {
        "version": random.choice([ANY, *map(str, OcppVersion)]),
        "power_loss": some(3, 80),
        "off_ms": random.choice((1_000, 30_000, 200_000)),
        "cut": some(4, 80),
        "silence_ms": random.choice((0, 0, 5_000, 25_000, 45_000)),
        "arrives": random.random() < 0.7,
        "delay_ms": random.choice((50, 200, 5_000)),
        "contactor_ms": random.choice((400, 8_000)),
        "store": some(3, 40),
        "csms_store": some(3, 20),
        "misanswers": ways(3, 40),
        "shunned": ways(1, 8),
        "verdicts": tuple(random.choices(tuple(RegistrationStatus), k=random.randint(0, 3))),
        "heartbeat_s": random.choice((30, 300)),
        "clock": tuple((at, random.randint(-3_600_000, 3_600_000)) for at in some(2, 200_000)),
    }
    if scenario == "energy_transfer":
        drawn["store"] = ()  # where energy makes the transaction, some flows before the store can fail
    return Case(**{"script": scenario, "seed": seed, **drawn, **needs, "config": config})
