"""A station on any of the adapters, run until something has happened; and a CSMS that falls silent."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeAlias

import anyio
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage
from wsproto.utilities import RemoteProtocolError

from ocpp_adapters import anyio_station, poll_station, threads_station
from ocpp_adapters.poll import Poll
from ocpp_adapters.routes import Route
from ocpp_adapters.station_runner import Runner
from ocpp_core.station import LinkChanged, OpenLink, Station, StationConfig
from ocpp_core.store import MemoryStore
from tests.adapters.charger import Charger

PATIENCE = 10.0
Step: TypeAlias = Callable[[Runner], bool]
"""Looks at what has happened, and may do something; whether it is enough."""


class Seen:
    """What a station did, and when."""

    def __init__(self) -> None:
        self.dialled: list[float] = []
        """When links were asked for."""
        self.lost: list[float] = []
        """When there was no link, or no longer."""
        self.opened = 0
        self.reasons: list[str] = []

    def __call__(self, action: object) -> None:
        if isinstance(action, OpenLink):
            self.dialled.append(time.monotonic())
        elif isinstance(action, LinkChanged) and action.version is None:
            self.lost.append(time.monotonic())
            self.reasons.append(action.reason)
        elif isinstance(action, LinkChanged):
            self.opened += 1

    @property
    def waits(self) -> list[float]:
        """Seconds from each loss to the next attempt."""
        return [again - lost for lost, again in zip(self.lost, self.dialled[1:], strict=False)]


def run_on_anyio(
    route: Route, seen: Seen, enough: Step, config: StationConfig, dial: Any = None, *, backend: str
) -> None:
    async def main() -> None:
        options = {} if dial is None else {"dial": dial}
        station = Station(config, os.urandom, anyio.current_time())
        with anyio.fail_after(PATIENCE):
            async with anyio_station.connect_station(
                station, route, MemoryStore(), Charger(), observe=seen, **options
            ) as runner:
                while not enough(runner):
                    await anyio.sleep(0.005)

    anyio.run(main, backend=backend)


def run_in_threads(route: Route, seen: Seen, enough: Step, config: StationConfig, dial: Any = None) -> None:
    station = Station(config, os.urandom, time.monotonic())
    end = time.monotonic() + PATIENCE
    with threads_station.connect_station(
        station, route, MemoryStore(), Charger(), observe=seen, dial=dial
    ) as runner:
        while not enough(runner):
            assert time.monotonic() < end
            time.sleep(0.005)


def run_by_polling(route: Route, seen: Seen, enough: Step, config: StationConfig, dial: Any = None) -> None:
    options = {} if dial is None else {"dial": dial}
    station = Station(config, os.urandom, time.monotonic())
    end = time.monotonic() + PATIENCE
    with Poll() as poll:
        runner = poll_station.connect_station(
            poll, station, route, MemoryStore(), Charger(), observe=seen, **options
        )
        while not enough(runner):
            assert time.monotonic() < end
            poll.wait(min(poll.step(), 0.005))
        runner.leave()
        while not runner.gone:
            poll.wait(min(poll.step(), 0.005))


RUNNING: dict[str, Callable[..., None]] = {
    "anyio-asyncio": partial(run_on_anyio, backend="asyncio"),
    "anyio-trio": partial(run_on_anyio, backend="trio"),
    "threads": run_in_threads,
    "poll": run_by_polling,
}


@contextmanager
def silent_csms(*, speaks: bool) -> Iterator[int]:
    """A CSMS that opens links and then says nothing, or (``speaks``) one thing; it answers no ping.

    Yields its port.
    """
    kept: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                kept.append(connection)
                threading.Thread(target=_open, args=(connection, speaks), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5.0)
            for connection in kept:
                connection.close()


def _open(connection: socket.socket, speaks: bool) -> None:
    websocket = WSConnection(ConnectionType.SERVER)
    with suppress(OSError, RemoteProtocolError):  # it understands no TLS
        while data := connection.recv(65536):
            websocket.receive_data(data)
            if any(isinstance(event, Request) for event in websocket.events()):
                connection.sendall(websocket.send(AcceptConnection(subprotocol="ocpp2.0.1")))
                if speaks:
                    connection.sendall(websocket.send(TextMessage(data='[2,"1","ClearCache",{}]')))
