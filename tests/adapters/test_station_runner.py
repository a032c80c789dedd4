"""What every adapter's runner does, seen without an adapter."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ocpp_adapters.asyncio_server import AsyncioConcurrency
from ocpp_adapters.host import HELD_FRAMES
from ocpp_adapters.routes import Route, RouteTable
from ocpp_adapters.station_runner import Runner
from ocpp_adapters.stores import StoreWriteError
from ocpp_core import SeededEntropy
from ocpp_core.station import SendFrame, Station
from ocpp_core.store import Commit
from ocpp_core.wire import ClientConfig
from tests.adapters.charger import Charger, config

URL = "ws://csms.example/CP1"


class Link:
    """A station's end of a link that is open."""

    identity, subprotocol, tls = "CP1", "ocpp2.0.1", None

    def __init__(self) -> None:
        self.held = self.cut = False
        self.sent: list[str] = []

    def hold(self, on: bool) -> None:
        self.held = on

    def abort(self) -> None:
        self.cut = True

    def send_text(self, text: str) -> None:
        self.sent.append(text)


class Bare(Runner):
    """No clock, no alarm, no network; ``done`` are the commits that have not been answered."""

    def __init__(self) -> None:
        self.done: list[Callable[[StoreWriteError | None], None]] = []
        self.dialled: list[Route] = []
        self.seen: list[Any] = []
        station = Station(config(), SeededEntropy(0), 0.0)
        routes = RouteTable(ClientConfig(url=URL), station.config)
        super().__init__(station, routes, Charger(), self.seen.append, self._commit, AsyncioConcurrency())

    def _commit(self, commit: Commit, done: Callable[[StoreWriteError | None], None]) -> None:
        self.done.append(done)

    def now(self) -> float:
        return 0.0

    def _rearm(self) -> None:
        pass

    def _open_link(self, route: Route) -> None:
        self.dialled.append(route)

    def _stop_dialling(self) -> None:
        pass


@pytest.fixture
def runner() -> Bare:
    return Bare()


@contextmanager
def turn(runner: Bare) -> Iterator[float]:
    """And the disk is quick."""
    with runner.turn() as now:
        yield now
    while runner.done:
        runner.done.pop()(None)


def opened(runner: Bare) -> Link:
    link: Any = Link()
    with turn(runner):
        pass
    assert [route.config.url for route in runner.dialled] == [URL]
    runner._attach(link)
    runner.opened(link)
    while runner.done:
        runner.done.pop()(None)
    assert isinstance(link, Link)
    return link


def test_nothing_more_is_read_while_the_disk_is_behind(runner: Bare) -> None:
    link: Any = opened(runner)
    with runner.turn() as now:
        runner.station.security_event("TamperDetectionActivated", now)
    assert len(runner.done) == 1
    for _ in range(HELD_FRAMES - 1):
        runner.receive("garbage", link, 0.0)
        assert not link.held
    runner.receive("garbage", link, 0.0)
    assert link.held
    runner.done.pop()(None)
    assert not link.held


def test_what_is_sent_without_a_link_goes_nowhere(runner: Bare) -> None:
    """The link was lost, and the station has not heard of it yet."""
    link: Any = opened(runner)
    runner.forget(link)
    sent, seen = len(link.sent), len(runner.seen)
    runner.receive('[2,"x","Unheard",{}]', link, 0.0)
    assert any(isinstance(it, SendFrame) for it in runner.seen[seen:])
    assert len(link.sent) == sent


@pytest.mark.parametrize("online", [False, True])
def test_without_power_nothing_more_is_carried_out(runner: Bare, online: bool) -> None:
    link: Any = opened(runner) if online else None
    with runner.turn() as now:
        runner.station.security_event("TamperDetectionActivated", now)
    dialled, seen = len(runner.dialled), len(runner.seen)
    runner.power_off()
    while runner.done:
        runner.done.pop()(None)
    with runner.turn() as now:
        runner.station.connect(now)
    assert (len(runner.dialled), len(runner.seen), runner.done) == (dialled, seen, [])
    assert link is None or link.cut
