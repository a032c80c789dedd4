"""Central systems and stations to test together, on real sockets."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ocpp_adapters import asyncio_server
from ocpp_adapters.anyio_link import in_thread
from ocpp_adapters.anyio_station import StationRunner, connect_station
from ocpp_adapters.central import Central, StationLink
from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_adapters.stores import GroupCommitter, MemoryStores, Stores, StoreWriteError
from ocpp_core import OcppVersion
from ocpp_core.csms import (
    CsmsAction,
)
from ocpp_core.station import LinkChanged, Station, StationAction
from ocpp_core.store import Commit, MemoryStore
from ocpp_core.wire import ClientConfig, Text
from tests.adapters.charger import EASY, TOKEN, Charger, config
from tests.adapters.servers import Adapter, eventually


@dataclass
class Operator:
    """A central system: what its stations told."""

    events: list[CsmsAction] = field(default_factory=list)
    links: list[StationLink] = field(default_factory=list)

    def observe(self, link: StationLink, action: CsmsAction) -> None:
        self.events.append(action)

    def of(self, *kinds: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]


@asynccontextmanager
async def stores_at(path: Path | None, adapter: Adapter, tasks: TaskGroup) -> AsyncIterator[Stores]:
    if path is None:
        yield MemoryStores()
        return
    store = SqliteStore(path)
    if adapter.native:
        disk = asyncio_server.DiskThread()
        yield GroupCommitter(store, disk.submit)
        disk.close()
    else:
        yield GroupCommitter(store, in_thread(tasks))
    store.close()


@asynccontextmanager
async def central_system(
    adapter: Adapter, path: Path | None = None, **options: Any
) -> AsyncIterator[tuple[int, Operator, Central]]:
    operator = Operator()
    async with anyio.create_task_group() as tasks, stores_at(path, adapter, tasks) as stores:
        central = Central(EASY, operator.observe, stores, adapter.concurrency(tasks), **options)
        async with adapter.serve(lambda handshake, peer: central.session()) as port:
            yield port, operator, central


@asynccontextmanager
async def station_at(
    port: int,
    *,
    store: Any = None,
    make: Callable[..., Station] = Station,
    versions: tuple[OcppVersion, ...] = (),
    **options: Any,
) -> AsyncIterator[tuple[StationRunner, Charger, list[StationAction | Text]]]:
    store = MemoryStore() if store is None else store
    charger = Charger()
    seen: list[StationAction | Text] = []
    station = make(config(*versions), os.urandom, anyio.current_time(), store.load())
    url = ClientConfig(url=f"ws://127.0.0.1:{port}/CP1")
    async with connect_station(station, url, store, charger, observe=seen.append, **options) as runner:
        charger.runner = runner
        yield runner, charger, seen


def linked(seen: list[StationAction | Text]) -> bool:
    changes = [action for action in seen if isinstance(action, LinkChanged)]
    return bool(changes) and changes[-1].version is not None


def accepted(runner: StationRunner) -> bool:
    return bool(runner.station.state(anyio.current_time())["registration"] == "Accepted")


async def charge(runner: StationRunner, charger: Charger) -> None:
    """Plug in, present a token, charge for a moment."""
    await eventually(lambda: accepted(runner))
    with runner.turn() as now:
        runner.station.plug_in(1, 1, now)
    with runner.turn() as now:
        runner.station.present_token(TOKEN, 1, now)
    await eventually(lambda: charger.power)


async def stop(runner: StationRunner) -> None:
    with runner.turn() as now:
        runner.station.present_token(TOKEN, 1, now)
    with runner.turn() as now:
        runner.station.plug_out(1, 1, now)


class Flaky(MemoryStore):
    """A disk that is full for a while, and slow at that."""

    __slots__ = ("full",)

    def __init__(self) -> None:
        super().__init__()
        self.full = False

    def commit(self, commit: Commit) -> None:
        if self.full:
            raise StoreWriteError("the disk is full")
        super().commit(commit)


class FlakyElsewhere:
    """The same behind a thread."""

    def __init__(self) -> None:
        self.disk = Flaky()

    def load(self) -> Any:
        return self.disk.load()

    def commit(self, commit: Commit) -> None:
        self.disk.commit(commit)


class ScopedFlaky:
    """A store of many that is full for a while."""

    def __init__(self) -> None:
        self.stores: dict[str, Flaky] = {}
        self.full = False

    def load(self, scope: str) -> Any:
        return self.stores.setdefault(scope, Flaky()).load()

    def commit_all(self, commits: Any) -> None:
        if self.full:
            raise StoreWriteError("the disk is full")
        for scope, commit in commits:
            self.stores.setdefault(scope, Flaky()).commit(commit)
