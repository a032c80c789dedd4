"""Old and new password: whichever the CSMS takes, the station gets in, and then holds on to that one."""

import os
from collections.abc import Callable

import anyio
import pytest

from ocpp_adapters import anyio_station, asyncio_server
from ocpp_adapters.asyncio_server import AsyncioConcurrency
from ocpp_adapters.central import Central
from ocpp_adapters.routes import Route
from ocpp_adapters.sessions import Decision, Peer, Reject
from ocpp_adapters.stores import MemoryStores
from ocpp_core import ConfigurationError
from ocpp_core.station import LinkChanged, LinkFailure, OpenLink, Station, StationAction
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig, Credentials, HandshakeReceived, Text
from tests.adapters.charger import EASY, Charger, config
from tests.adapters.servers import eventually

pytestmark = pytest.mark.anyio
OLD, NEW = b"the old password", b"the new password"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Csms:
    """Takes one password, and remembers those that came."""

    def __init__(self, password: bytes) -> None:
        self.password = password
        self.tried: list[bytes] = []
        self.central = Central(EASY, lambda *_: None, MemoryStores(), AsyncioConcurrency())

    def __call__(self, handshake: HandshakeReceived, peer: Peer) -> Decision:
        assert handshake.credentials is not None
        self.tried.append(handshake.credentials.password)
        right = handshake.credentials.password == self.password
        return self.central.session() if right else Reject(401)


@pytest.mark.parametrize(
    ("takes", "tried"), [(NEW, [NEW]), (OLD, [NEW, NEW, NEW, OLD])], ids=["new", "still the old"]
)
@pytest.mark.requirement("A02.FR.28", "A02.FR.10")
async def test_the_new_password_first_then_the_old(takes: bytes, tried: list[bytes]) -> None:
    csms = Csms(takes)
    seen: list[StationAction | Text] = []

    def count(kind: Callable[[StationAction | Text], bool]) -> int:
        return sum(map(kind, seen))

    def links() -> int:
        return count(lambda it: isinstance(it, LinkChanged) and it.version is not None)

    async with await asyncio_server.serve(csms, "127.0.0.1") as server:

        def route(password: bytes, port: int = server.port) -> Route:
            url = f"ws://127.0.0.1:{port}/CP1"
            return Route(config=ClientConfig(url=url, credentials=Credentials(b"CP1", password)))

        station = Station(config(), os.urandom, anyio.current_time())
        both = {0: [route(NEW), route(OLD)]}
        async with anyio_station.connect_station(
            station, both, MemoryStore(), Charger(), observe=seen.append
        ) as runner:
            await eventually(lambda: links() == 1 and runner.station.state(0)["registration"] == "Accepted")
            assert csms.tried == tried
            with pytest.raises(ConfigurationError):
                runner.reroute({1: route(takes)})
            runner.reroute(route(takes))
            csms.central.links["CP1"].close(1001, "")
            await eventually(lambda: links() == 2)
            assert csms.tried == [*tried, takes]
    rounds = [action.round for action in seen if isinstance(action, OpenLink)]
    assert rounds == ([0, 0] if takes is NEW else [0, 0, 0, 1, 0])
    assert (
        count(lambda it: isinstance(it, LinkChanged) and LinkFailure.UNAUTHORIZED in it.reason)
        == len(tried) - 1
    )
