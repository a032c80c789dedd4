"""Stations on every adapter, and a central system, in network namespaces of their own."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.adapters.network.namespaces import Network, central_system, network, refusal
from tests.apps.line_process import LineProcess

STATIONS = ("anyio-asyncio", "anyio-trio", "threads", "poll")


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    if reason := refusal():
        pytest.skip(reason)
    with network() as made:
        yield made


@pytest.fixture(scope="module")
def stations(net: Network) -> Iterator[dict[str, LineProcess]]:
    """One of every adapter; nobody's processes: what they may do, everybody may."""
    with ExitStack() as running:
        yield {
            adapter: running.enter_context(
                net.station.running("tests.adapters.network.station_child", adapter, unprivileged=True)
            )
            for adapter in STATIONS
        }


@pytest.fixture(params=STATIONS)
def station(request: pytest.FixtureRequest, stations: dict[str, LineProcess]) -> Iterator[LineProcess]:
    """One adapter's."""
    chosen = stations[request.param]
    yield chosen
    chosen.do("stop")


@pytest.fixture(scope="module")
def csms(net: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LineProcess]:
    """A central system that listens on port 9000 of every address."""
    with central_system(net, tmp_path_factory.mktemp("csms"), 9000) as process:
        yield process
