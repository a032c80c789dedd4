"""The same tests on every server adapter and every loop."""

import pytest

from tests.adapters.servers import ADAPTERS, Adapter


@pytest.fixture(params=ADAPTERS, ids=str)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


@pytest.fixture
def anyio_backend(adapter: Adapter) -> str:
    return adapter.backend
