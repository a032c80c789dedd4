"""Running cases, and the sets of cases that an exploration goes through."""

import os
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import cycle, product
from random import Random
from typing import Any, TypeVar

from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.versions import OcppVersion

from . import promises
from .case import ANY, ERROR, UNANSWERED, UNHEARD, Case
from .scenarios import END_MS, SCENARIOS
from .world import World

Item = TypeVar("Item")

THOROUGH = os.environ.get("SIMULATION_THOROUGH", "0") == "1"
"""Explore everything: every pair of faults, :data:`GAPS` apart, and every case that is left out below."""
GAPS = (1, 2, 3, 5, 8, 13)
WAYS = (ERROR, UNHEARD, UNANSWERED)
SILENCES_MS = (25_009, 45_007)
"""A keep-alive that finds out before the message time-out, and one that does after it."""
_SLICE_MS = 5_000
_VISIT_MS = 60_000
"""How long the operator leaves a station with each CSMS, so that all can be told what waits for them."""
_LINES = 400


class BrokenPromiseError(AssertionError):
    """A promise did not hold; the text says which, how to see it again, and what happened."""


def run(case: Case) -> World:
    """Play a case to its end, let everything come back, and see whether the promises held.

    Raises :class:`BrokenPromiseError`, also for whatever the cores raise: they promise not to.
    """
    world = World(case)
    try:
        _play(world)
        promises.check(world)
    except Exception as broken:
        what = str(broken) if isinstance(broken, AssertionError) else repr(broken)
        told = "\n".join(f"{at:>8} {action}" for at, action in world.trace[-_LINES:])
        raise BrokenPromiseError(
            f"{what}\n\nSIMULATION_CASE='{case}' pytest tests/simulation/test_cases.py\n\n{told}"
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
    slots = cycle(range(len(world.ways)))
    visit = world.now + _VISIT_MS
    while not world.at_rest and world.now < END_MS + promises.BOUND_MS:
        world.run(world.now + _SLICE_MS)
        if world.now >= visit and len(world.centrals) > 1:
            visit += _VISIT_MS
            world.site.connect(next(slots))


def case(version: str, script: str, **faults: Any) -> Case:
    """A case of a script, with what the script needs."""
    return Case(**{"version": version, "script": script, **SCENARIOS[script].needs, **faults})


@cache
def without_faults(version: str, script: str) -> World:
    """The script as it goes when nothing goes wrong: what there is to count."""
    return run(case(version, script))


# ---------------------------------------------------------------------- sets of cases


def power_losses(version: str, script: str) -> Iterator[Case]:
    """The power fails at every point; what the station had sent arrives (2.1), or not (2.0.1), or either."""
    for point in range(without_faults(version, script).site.points):
        arrives = version == OcppVersion.V21 or (version != OcppVersion.V201 and point % 2 == 0)
        yield case(version, script, power_loss=(point,), arrives=arrives)


def cuts(version: str, script: str) -> Iterator[Case]:
    """The link breaks at every point: noticed at once, or late (half-open)."""
    points = range(without_faults(version, script).site.points)
    for point in points:
        yield case(version, script, cut=(point,), arrives=point % 2 == 0)
    for point in _some(points, 2):
        yield case(version, script, cut=(point,), silence_ms=SILENCES_MS[point // 2 % 2])


def pairs(version: str, script: str) -> Iterator[Case]:
    """A second fault soon after the first: any kind after any kind, from every point on."""
    kinds = list(product(("power_loss", "cut"), repeat=2))
    points = range(without_faults(version, script).site.points)
    # 2.0.1 and 2.1 are one dialect: what they share is explored in full for one of them.
    for point in _some(points, 3 if version == OcppVersion.V201 else 1):
        turns = product(kinds, GAPS) if THOROUGH else [(kinds[point % 4], GAPS[point // 4 % len(GAPS)])]
        for (first, second), gap in turns:
            faults: dict[str, list[int]] = {first: [point]}
            faults.setdefault(second, []).append(point + gap)
            yield case(version, script, arrives=point % 3 != 0, **faults)


def store_failures(version: str, script: str) -> Iterator[Case]:
    """Every commit of the station fails, or three in a row and then the power; or one of the CSMS does."""
    world = without_faults(version, script)
    commits = range(world.site.commits)
    for commit in commits:
        yield case(version, script, store=(commit,))
    for commit in _some(commits, 2):
        yield case(version, script, store=(commit, commit + 1, commit + 2), power_loss=(2 * commit,))
    for commit in range(max(central.commits for central in world.centrals.values())):
        yield case(version, script, csms_store=(commit,))


def silent_contactors(version: str, script: str) -> Iterator[Case]:
    """The station never hears what became of one command to a contactor, or of two."""
    for number in range(without_faults(version, script).site.switches):
        yield case(version, script, unconfirmed=(number,))
        yield case(version, script, unconfirmed=(number, number + 1))


def bad_answers(version: str, script: str) -> Iterator[Case]:
    """Every call is answered badly once; and every fact always, in every way, until it is given up."""
    world = without_faults(version, script)
    centrals = world.centrals.values()
    calls = range(max(central.calls for central in centrals))
    facts = range(max(len(central.facts) for central in centrals))
    for number, how in _some(list(product(calls, WAYS)), 4):
        yield case(version, script, misanswers=((number, how),))
    for number, how in product(facts, WAYS):
        yield case(version, script, shunned=((number, how),))


def _some(cases: Sequence[Item], step: int) -> Sequence[Item]:
    """Every so-manieth, or all where the exploration is thorough."""
    return cases if THOROUGH else cases[::step]


def versions(script: str) -> list[str]:
    """The versions in which a script is played."""
    return list(map(str, SCENARIOS[script].versions))


# ---------------------------------------------------------------------- any case


def random_case(seed: int) -> Case:
    """A case with everything in it drawn from its seed: script, settings, links, clocks and faults."""
    random = Random(seed)

    def some(most: int, below: int) -> tuple[int, ...]:
        return tuple(sorted(random.sample(range(below), random.randint(0, most))))

    def ways(most: int, below: int) -> tuple[tuple[int, str], ...]:
        return tuple((number, random.choice(WAYS)) for number in some(most, below))

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
        "pin_policy": random.choice(("hold", "hand over")),
        **needs.pop("config", {}),
    }
    drawn = {
        "version": random.choice([ANY, *map(str, OcppVersion)]),
        "power_loss": some(3, 80),
        "off_ms": random.choice((1_000, 30_000, 200_000)),
        "cut": some(4, 80),
        "silence_ms": random.choice((0, 0, 5_003, *SILENCES_MS)),
        "arrives": random.random() < 0.7,
        "delay_ms": random.choice((50, 200, 5_000)),
        "contactor_ms": random.choice((400, 8_000)),
        "unconfirmed": some(1, 4) if random.random() < 0.2 else (),
        "store": some(3, 40),
        "csms_store": some(3, 20),
        "misanswers": ways(3, 40),
        "shunned": ways(1, 8),
        "verdicts": tuple(random.choices(tuple(RegistrationStatus), k=random.randint(0, 3))),
        "heartbeat_s": random.choice((30, 300)),
        "clock": tuple((at, random.randint(-3_600_000, 3_600_000)) for at in some(2, 200_000)),
    }
    if ANY in SCENARIOS[scenario].versions:
        drawn["version"] = ANY
    if SCENARIOS[scenario].energy_first:
        drawn["store"] = drawn["unconfirmed"] = ()
    return Case(**{"script": scenario, **drawn, **needs, "seed": seed, "config": config})
