"""What every adapter's runner does, seen without an adapter."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ocpp_adapters import station_runner
from ocpp_adapters.asyncio_server import AsyncioConcurrency
from ocpp_adapters.host import HELD_FRAMES
from ocpp_adapters.routes import Route, RouteTable
from ocpp_adapters.station_runner import Runner
from ocpp_adapters.stores import StoreWriteError
from ocpp_adapters.threads_monitor import finish
from ocpp_core import OcppError, SeededEntropy
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
        self.spawned: list[Callable[[], Coroutine[Any, Any, None]]] = []
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

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.spawned.append(work)


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


# Whether the CSMS is revoked


@pytest.fixture
def answers(runner: Bare, monkeypatch: pytest.MonkeyPatch) -> list[bool | Exception]:
    """What is said of the CSMS, in this order."""
    found: list[bool | Exception] = []

    async def revoked(certificate: object) -> bool:
        answer = found.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(station_runner, "peer_certificate", lambda tls: tls)
    monkeypatch.setattr(Link, "tls", "a certificate")
    runner.reroute(Route(config=ClientConfig(url=URL), revoked=revoked))
    return found


def vet(runner: Bare) -> None:
    finish(runner.spawned.pop()())
    while runner.done:
        runner.done.pop()(None)


def test_a_csms_is_asked_about_now_and_then_as_long_as_it_is_there(
    runner: Bare, answers: list[bool | Exception]
) -> None:
    answers += [False, OcppError("nobody answers"), RuntimeError("a bug"), True]
    link: Any = opened(runner)
    for round_ in range(4):
        now = round_ * 43_200.0
        for late in (0.0, 1.0, 43_199.0):
            runner.receive("garbage", link, now + late)
        assert len(runner.spawned) == 1
        assert not link.cut
        vet(runner)
    assert link.cut
    assert [it["type"] for it in runner.station.security_log()] == ["InvalidCsmsCertificate"]


def test_what_is_found_out_of_a_link_that_is_gone_is_no_ones(
    runner: Bare, answers: list[bool | Exception]
) -> None:
    link: Any = opened(runner)
    runner.forget(link)
    answers.append(True)
    vet(runner)
    assert not link.cut
    assert not runner.station.security_log()
    runner.receive("garbage", link, 100_000.0)
    assert not runner.spawned


def test_without_tls_there_is_nothing_to_ask(
    runner: Bare, answers: list[bool | Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Link, "tls", None)
    opened(runner)
    assert not runner.spawned
