"""Bad networks and sudden deaths, on every adapter: nothing is lost, nothing billed twice, nothing left over.

A handful of cases; how to run many is in docs/testing.md.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.chaos import calls, deaths
from tests.adapters.chaos.run import SERVERS, STATIONS, Case, Contexts, mutual, play
from tests.adapters.chaos.tidy import quiet
from tests.adapters.conformance.central_systems import CENTRAL_SYSTEMS

FIRST = int(os.environ.get("CHAOS_FIRST_SEED", "1"))
SEEDS = int(os.environ.get("CHAOS_SEEDS", "0"))
"""Beyond the handful: so many cases drawn at random, and as many deaths."""
HANDFUL = [
    Case.draw(seed, STATIONS[seed % len(STATIONS)], server) for seed, server in enumerate(SERVERS, start=1)
]
DRAWN = [Case.draw(seed) for seed in range(FIRST, FIRST + SEEDS)]


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    """The TLS of all cases; and what uvicorn opens once and keeps is open."""
    with CENTRAL_SYSTEMS["asgi-uvicorn-asyncio"](lambda _: pytest.fail("nobody comes"), None):
        pass
    return mutual(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def nursery() -> Iterator[deaths.Nursery]:
    with deaths.Nursery() as nursery:
        yield nursery


@pytest.mark.parametrize("case", [*HANDFUL, *DRAWN], ids=str)
def test_a_bad_network(case: Case, contexts: Contexts) -> None:
    with quiet():
        play(case, contexts)


@pytest.mark.parametrize("case", [*HANDFUL[:4], *DRAWN], ids=str)
def test_calls_over_a_bad_network(case: Case, contexts: Contexts) -> None:
    with quiet():
        calls.play(case, contexts)


@pytest.mark.parametrize("seed", [1, *range(FIRST, FIRST + SEEDS)])
def test_sudden_deaths(seed: int, nursery: deaths.Nursery, tmp_path: Path) -> None:
    deaths.play(seed, tmp_path, nursery)
