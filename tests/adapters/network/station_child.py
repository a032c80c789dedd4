"""A station on one of the adapters, as a process: commands and events are JSON lines.

``python -m tests.adapters.network.station_child ADAPTER``
"""

import argparse
import json
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import anyio
from anyio.from_thread import start_blocking_portal

from ocpp_adapters import anyio_station, poll_station, threads_station
from ocpp_adapters.binding import Binding, explain
from ocpp_adapters.poll import Poll
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.routes import Route
from ocpp_adapters.station_runner import Runner
from ocpp_adapters.threads_monitor import Monitor
from ocpp_core import OcppVersion
from ocpp_core.domain.network import NetworkProfile
from ocpp_core.domain.status import StationInfo
from ocpp_core.station import Backoff, LinkChanged, Station, StationAction, StationConfig
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig, Text
from tests.adapters.charger import TOKEN, Charger

Give: TypeAlias = Callable[[Callable[[Station, float], Any]], Any]
"""Gives a station inputs, from any thread."""


def in_turn(runner: Runner, say: Callable[[Station, float], Any]) -> Any:
    with runner.turn() as now:
        return say(runner.station, now)


@dataclass(frozen=True)
class Site:
    """What a station is besides its machine."""

    charger: Charger = field(default_factory=Charger)
    store: Any = field(default_factory=MemoryStore)

    def station(self, config: StationConfig, now: float) -> Station:
        """The machine, with what is in its store."""
        return Station(config, os.urandom, now, self.store.load())


@contextmanager
def on_anyio(
    config: StationConfig, routes: Any, observe: Any, site: Site | None = None, *, backend: str
) -> Iterator[Give]:
    site = Site() if site is None else site

    @asynccontextmanager
    async def run() -> AsyncIterator[Runner]:
        station = site.station(config, anyio.current_time())
        async with anyio_station.connect_station(
            station, routes, site.store, site.charger, observe=observe
        ) as site.charger.runner:
            yield site.charger.runner

    with start_blocking_portal(backend) as portal, portal.wrap_async_context_manager(run()) as runner:
        yield lambda say: portal.call(in_turn, runner, say)


@contextmanager
def in_threads(config: StationConfig, routes: Any, observe: Any, site: Site | None = None) -> Iterator[Give]:
    site, monitor = Site() if site is None else site, Monitor()
    station = site.station(config, time.monotonic())
    with closing(monitor), ExitStack() as running:
        with monitor:  # nothing is switched before the charger knows its runner
            connected = threads_station.connect_station(
                station, routes, site.store, site.charger, observe=observe, monitor=monitor
            )
            site.charger.runner = runner = running.enter_context(connected)
        yield partial(in_turn, runner)


@contextmanager
def by_polling(config: StationConfig, routes: Any, observe: Any, site: Site | None = None) -> Iterator[Give]:
    """The main loop is a thread's, so that commands can be read."""
    site = Site() if site is None else site
    poll, turn, leaving = Poll(), threading.Lock(), threading.Event()
    station = site.station(config, time.monotonic())
    runner = poll_station.connect_station(poll, station, routes, site.store, site.charger, observe=observe)
    site.charger.runner = runner

    def main_loop() -> None:
        while not (leaving.is_set() and runner.gone):
            with turn:
                delay = poll.step()
            time.sleep(min(delay, 0.002))

    def give(say: Callable[[Station, float], Any]) -> Any:
        with turn:
            return in_turn(runner, say)

    loop = threading.Thread(target=main_loop)
    loop.start()
    yield give
    with turn:
        runner.leave()
    leaving.set()
    loop.join()
    poll.close()


ADAPTERS: Mapping[str, Callable[..., AbstractContextManager[Give]]] = {
    "anyio-asyncio": partial(on_anyio, backend="asyncio"),
    "anyio-trio": partial(on_anyio, backend="trio"),
    "threads": in_threads,
    "poll": by_polling,
}


def tell(message: Mapping[str, Any]) -> None:
    """A line, written at once, whoever else writes."""
    os.write(sys.stdout.fileno(), json.dumps(message).encode() + b"\n")


def observe(action: StationAction | Text) -> None:
    """Tell of the link."""
    if isinstance(action, LinkChanged):
        link = {"slot": action.slot, "up": action.version is not None, "reason": action.reason}
        tell({"event": "link", "at": time.monotonic(), **link})


def route(way: Mapping[str, Any]) -> Route:
    """The route of a network profile."""
    config = ClientConfig(url=way["url"], **way.get("link", {}))
    proxy = Proxy(*way["proxy"]) if "proxy" in way else None
    return Route(config=config, binding=Binding(way.get("interface"), way.get("source")), proxy=proxy)


class Child:
    """Does what it is told."""

    def __init__(self, adapter: str) -> None:
        self._host = ADAPTERS[adapter]
        self._running = ExitStack()
        self._give: Give

    def start(self, *ways: Mapping[str, Any], version: str = "2.0.1", **settings: Any) -> None:
        """A station with these ways to its CSMS, each a network profile."""
        self._running.close()
        profiles = [NetworkProfile(slot, way.get("csms", "")) for slot, way in enumerate(ways)]
        config = StationConfig(
            StationInfo("Model", "Vendor"),
            versions=(OcppVersion(f"ocpp{version}"),),
            network_profiles=tuple(profiles),
            backoff=Backoff(minimum=0.05, random_range=0.0, repeats=1),
            **settings,
        )
        routes = {slot: route(way) for slot, way in enumerate(ways)}
        tell({"event": "started", "at": time.monotonic()})
        self._give = self._running.enter_context(self._host(config, routes, observe))

    def stop(self) -> None:
        """The station leaves."""
        self._running.close()

    def plug_in(self) -> None:
        """A cable."""
        self._give(lambda station, now: station.plug_in(1, 1, now))

    def present_token(self) -> None:
        """A driver."""
        self._give(lambda station, now: station.present_token(TOKEN, 1, now))

    def connect(self, slot: int) -> None:
        """Take the network profile of a slot."""
        self._give(lambda station, now: station.connect(now, slot))

    def state(self) -> Any:
        """All of it."""
        return self._give(lambda station, now: station.state(now))

    def privileges(self) -> Any:
        """Whose process this is, and its effective capabilities."""
        status = Path("/proc/self/status").read_text()
        (capabilities,) = (line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
        return {"uid": os.geteuid(), "capabilities": int(capabilities, 16)}

    def bind_twice(self, first: str, second: str) -> str:
        """What is said of a socket that is bound already."""
        with socket.socket() as bound:
            Binding(first).prepare(bound)
            try:
                Binding(second).prepare(bound)
            except OSError as error:
                return str(explain(error, Binding(second), "10.231.9.9"))
        return ""

    def resolve(self, name: str) -> list[str]:
        """The addresses of a name, in the system's order."""
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
        return [str(address[0]) for _, _, _, _, address in found]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("adapter", choices=ADAPTERS)
    child = Child(parser.parse_args().adapter)
    for line in sys.stdin:
        command = json.loads(line)
        do, number = command.pop("do"), command.pop("id")
        arguments = command.pop("args", ())
        tell({"re": number, "ok": True, "value": getattr(child, do)(*arguments, **command)})
    child.stop()


if __name__ == "__main__":
    main()
