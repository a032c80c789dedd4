"""The same tests on every server adapter and every loop."""

import socket

import pytest

from tests.adapters.servers import ADAPTERS, Adapter


@pytest.fixture(params=ADAPTERS, ids=str)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


@pytest.fixture
def anyio_backend(adapter: Adapter) -> str:
    return adapter.backend


@pytest.fixture
def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
