"""On every adapter: the software around a station calls and answers, and passes on what the host knows."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

import anyio
import pytest

from ocpp_adapters import anyio_station, poll_station, threads_station
from ocpp_adapters.binding import Binding
from ocpp_adapters.poll import Poll
from ocpp_adapters.routes import Route
from ocpp_adapters.rpc_link import CallFailedError
from ocpp_adapters.station_runner import Runner
from ocpp_adapters.threads_monitor import Monitor
from ocpp_adapters.threads_rpc import BlockingLink
from ocpp_adapters.threads_server import serve
from ocpp_core import LocalProtocolError, OcppVersion, Role
from ocpp_core.domain.network import NetworkProfile
from ocpp_core.messages import Request, Response, v201
from ocpp_core.rpc import CallReceived, FailureReason
from ocpp_core.station import (
    Backoff,
    LinkChanged,
    RegistrationChanged,
    RequestReceived,
    Station,
    StationConfig,
)
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig
from tests.adapters.charger import Charger, config
from tests.adapters.network.running import silent_csms

PATIENCE = 5.0
ACCEPTED = v201.DataTransferStatusEnum.ACCEPTED
TRANSFER = v201.DataTransferRequest(vendor_id="com.example", data="ping")
SETTINGS = replace(config(OcppVersion.V201), requests=frozenset({"DataTransfer"}))


class Csms:
    """Answers what stations say at first; remembers from where they came."""

    def __init__(self) -> None:
        self.monitor = Monitor()
        self.links: list[BlockingLink] = []
        self.sources: list[str] = []
        self.asked = False
        self.answers = threading.Event()
        self.answers.set()

    def admit(self, _: Any, peer: Any) -> BlockingLink:
        assert peer.address is not None
        self.sources.append(peer.address[0])
        self.links.append(BlockingLink(Role.CSMS, self._answer, self.monitor))
        return self.links[-1]

    def _answer(self, link: BlockingLink, call: Any) -> Response | None:
        assert isinstance(call, CallReceived)
        match call.request:
            case v201.BootNotificationRequest():
                now = datetime.now(UTC)
                status = v201.RegistrationStatusEnum.ACCEPTED
                return v201.BootNotificationResponse(current_time=now, interval=300, status=status)
            case v201.DataTransferRequest(data="bye"):
                link.close()
            case v201.DataTransferRequest(data=data):
                self.asked = True
                self.answers.wait(PATIENCE)
                return v201.DataTransferResponse(status=ACCEPTED, data=data)
        return v201.StatusNotificationResponse()


@contextmanager
def csms() -> Iterator[tuple[Csms, int]]:
    system = Csms()
    with serve(system.admit, "127.0.0.1", monitor=system.monitor) as server:
        yield system, server.port
        system.answers.set()


class Software:
    """What runs beside the station: one DataTransfer each way."""

    def __init__(self) -> None:
        self.runner: Runner | None = None
        self.asked: list[Any] = []
        self.opened: list[int] = []

    def observe(self, action: Any) -> None:
        if isinstance(action, RequestReceived):
            self.asked.append(getattr(action.request, "data", None))
            assert self.runner is not None
            with self.runner.turn() as now:
                answer = v201.DataTransferResponse(status=ACCEPTED, data="pong")
                assert self.runner.station.respond(action.call_id, answer, now)
        elif isinstance(action, LinkChanged) and action.version is not None:
            self.opened.append(action.slot)

    @property
    def accepted(self) -> bool:
        runner = self.runner
        return runner is not None and runner.station.state(runner.now())["registration"] == "Accepted"


Play: TypeAlias = Callable[[Any, Callable[[Request], Any], Callable[[Callable[[], bool]], None]], None]
"""With a runner; what calls the CSMS and returns how it ended; what waits until something is so."""
Run: TypeAlias = Callable[[Any, StationConfig, Software, Play], None]


def ended(work: Callable[[], Response]) -> Any:
    try:
        return work()
    except CallFailedError as error:
        return error


def on_anyio(routes: Any, settings: StationConfig, software: Software, play: Play, backend: str) -> None:
    """The play is a plain function: it runs in a thread, and its awaiting in the loop."""

    async def main() -> None:
        station = Station(settings, os.urandom, anyio.current_time())
        async with anyio_station.connect_station(
            station, routes, MemoryStore(), Charger(), observe=software.observe
        ) as runner:
            software.runner = runner

            def call(request: Request) -> Any:
                return ended(lambda: anyio.from_thread.run(runner.call, request))

            def until(so: Callable[[], bool]) -> None:
                end = time.monotonic() + PATIENCE
                while not anyio.from_thread.run_sync(so):
                    assert time.monotonic() < end
                    time.sleep(0.005)

            await anyio.to_thread.run_sync(partial(play, InLoop(runner), call, until))

    anyio.run(main, backend=backend)


class InLoop:
    """A runner's methods, called from a thread."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def station(self) -> Station:
        return self._runner.station

    def __getattr__(self, name: str) -> Any:
        return partial(anyio.from_thread.run_sync, getattr(self._runner, name))


def in_threads(routes: Any, settings: StationConfig, software: Software, play: Play) -> None:
    station = Station(settings, os.urandom, time.monotonic())
    with threads_station.connect_station(
        station, routes, MemoryStore(), Charger(), observe=software.observe
    ) as runner:
        software.runner = runner

        def until(so: Callable[[], bool]) -> None:
            end = time.monotonic() + PATIENCE
            while not so():
                assert time.monotonic() < end
                time.sleep(0.005)

        play(runner, lambda request: ended(lambda: runner.call(request)), until)


def by_polling(routes: Any, settings: StationConfig, software: Software, play: Play) -> None:
    station = Station(settings, os.urandom, time.monotonic())
    with Poll() as poll:

        def until(so: Callable[[], bool]) -> None:
            end = time.monotonic() + PATIENCE
            while not so():
                assert time.monotonic() < end
                poll.wait(min(poll.step(), 0.005))

        runner = poll_station.connect_station(
            poll, station, routes, MemoryStore(), Charger(), observe=software.observe
        )
        software.runner = runner

        def call(request: Request) -> Any:
            task = runner.call(request)
            until(lambda: task.done)
            return ended(task.result)

        play(runner, call, until)
        runner.leave()
        until(lambda: runner.gone)


ADAPTERS: dict[str, Run] = {
    "asyncio": partial(on_anyio, backend="asyncio"),
    "trio": partial(on_anyio, backend="trio"),
    "threads": in_threads,
    "poll": by_polling,
}
every_adapter = pytest.mark.parametrize("run", ADAPTERS.values(), ids=ADAPTERS)


def to(port: int, **options: Any) -> Route:
    return Route(config=ClientConfig(url=f"ws://127.0.0.1:{port}/CP1"), **options)


@every_adapter
def test_the_software_calls_and_is_called(run: Run) -> None:
    software = Software()
    with csms() as (system, port):

        def play(runner: Any, call: Callable[[Request], Any], until: Any) -> None:
            until(lambda: software.accepted)
            outcome = call(TRANSFER)
            assert (outcome.status, outcome.data) == (ACCEPTED, "ping")
            answers: list[Any] = []
            system.monitor.spawn(ask(system.links[-1], answers))
            until(lambda: bool(answers))
            assert answers[0].data == "pong"
            assert software.asked == ["ping"]
            failed = call(v201.DataTransferRequest(vendor_id="com.example", data="bye"))
            assert failed.failure.reason is FailureReason.DISCONNECTED

        run(to(port), SETTINGS, software, play)


async def ask(link: BlockingLink, answers: list[Any]) -> None:
    answers.append(await link.session.call(TRANSFER))


def test_whoever_waits_when_the_power_goes_is_told_so() -> None:
    software = Software()
    with csms() as (system, port):

        def play(runner: Any, call: Callable[[Request], Any], until: Any) -> None:
            until(lambda: software.accepted)
            system.answers.clear()
            with ThreadPoolExecutor(1) as threads:
                waits = threads.submit(call, TRANSFER)
                until(lambda: system.asked)
                runner.power_off()
                with pytest.raises(LocalProtocolError, match="any more"):
                    waits.result(PATIENCE)

        in_threads(to(port), SETTINGS, software, play)


def test_a_call_where_the_station_waits_for_the_caller_is_refused() -> None:
    """It would wait for ever, and the station with it."""
    refused: list[str] = []

    class Rash(Software):
        def observe(self, action: Any) -> None:
            super().observe(action)
            runner: Any = self.runner
            if isinstance(action, RegistrationChanged):
                with pytest.raises(LocalProtocolError) as error:
                    runner.call(TRANSFER)
                refused.append(str(error.value))

    software = Rash()
    with csms() as (_, port):

        def play(runner: Any, call: Callable[[Request], Any], until: Any) -> None:
            until(lambda: refused and software.accepted)
            assert call(TRANSFER).status == ACCEPTED

        in_threads(to(port), SETTINGS, software, play)
    assert refused == ["the station waits for this function: call from another thread"]


@every_adapter
def test_a_network_that_is_gone_is_left_at_once(run: Run) -> None:
    """Its CSMS would never answer a Close; the other one is reached from another address."""
    software = Software()
    settings = replace(SETTINGS, network_profiles=(NetworkProfile(1), NetworkProfile(2)))
    with silent_csms(speaks=True) as silent, csms() as (system, port):

        def play(runner: Any, call: Callable[[Request], Any], until: Any) -> None:
            until(lambda: software.opened == [1])
            runner.network_lost("eth7")  # of no concern
            began = time.monotonic()
            runner.network_lost("127.0.0.1")
            until(lambda: software.accepted)
            assert time.monotonic() - began < 2.0
            assert software.opened == [1, 2]
            runner.network_lost("127.0.0.2")
            until(lambda: runner.station.state(0.0)["connection"]["state"] == "waiting")
            runner.network_back(2)
            until(lambda: software.accepted and len(software.opened) == 3)
            runner.network_back()
            assert software.opened == [1, 2, 2]
            with pytest.raises(LocalProtocolError, match="no network profile 7"):
                runner.network_lost(7)
            assert system.sources == ["127.0.0.2", "127.0.0.2"]

        routes = {
            1: to(silent, binding=Binding(source="127.0.0.1")),
            2: to(port, binding=Binding(source="127.0.0.2")),
        }
        run(routes, replace(settings, backoff=Backoff(minimum=60.0)), software, play)


@every_adapter
def test_so_is_one_that_never_answered_the_handshake(run: Run) -> None:
    software = Software()
    settings = replace(SETTINGS, network_profiles=(NetworkProfile(1), NetworkProfile(2)))
    with socket.create_server(("127.0.0.1", 0)) as mute, csms() as (_, port):
        mute.settimeout(PATIENCE)

        def play(runner: Any, call: Callable[[Request], Any], until: Any) -> None:
            came: list[socket.socket] = []

            def hear() -> None:
                connection, _ = mute.accept()
                connection.recv(1)
                came.append(connection)

            threading.Thread(target=hear, daemon=True).start()
            until(lambda: bool(came))
            began = time.monotonic()
            runner.network_lost(1)
            until(lambda: software.accepted)
            assert time.monotonic() - began < 2.0
            assert software.opened == [2]
            came[0].close()

        routes = {1: to(mute.getsockname()[1]), 2: to(port)}
        run(routes, replace(settings, backoff=Backoff(minimum=60.0)), software, play)
