"""The emulator as a process: standard input and output, signals, and power that comes and goes."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteStream

from ocpp_adapters.anyio_station import StationRunner, connect_station
from ocpp_adapters.anyio_tls import secure
from ocpp_adapters.recorder import recording
from ocpp_adapters.routes import Route, slots_by
from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_adapters.stores import Store
from ocpp_control import CommandError, Id, LineReader, LineWriter, parse
from ocpp_core.station import Station, StationConfig
from ocpp_core.store import MemoryStore

from .clockwork import WallClock
from .commands import STATION_COMMANDS
from .emulator import Emulator
from .events import Event
from .network import Network
from .simulation import Hardware, MeterMemory, NoMemory, StoreMemory
from .transcript import line_of
from .verbs import Verbs

_LAST_WORDS = 5.0
"""Seconds that the output may take when everything else has ended."""
_GOODBYE = 3.0
"""Seconds that closing the link may take."""
_POLL = 0.02
_TICK = 1.0
"""Seconds between the steps of a clock that drifts."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What the command line said."""

    station: StationConfig
    routes: Mapping[int, Sequence[Route]]
    store: Path | None
    record: Path | None
    control: bool
    quiet: bool


def run(launch: Launch) -> None:
    """Emulate a station until told to stop.

    Raises:
        StoreError: the store cannot be used.
    """
    store: SqliteStore | None = None if launch.store is None else SqliteStore(launch.store)
    try:
        memory = NoMemory() if store is None else StoreMemory(store)
        anyio.run(_main, launch, MemoryStore() if store is None else store, memory)
    finally:
        if store is not None:
            store.close()


async def _main(launch: Launch, store: Store, memory: MeterMemory) -> None:
    process = StationProcess(launch, store, memory)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(process.watch_signals)
        if launch.control:
            tasks.start_soon(process.write)
            tasks.start_soon(process.obey)
        tasks.start_soon(process.let_the_clock_drift)
        await process.live()
        with anyio.move_on_after(_LAST_WORDS):
            await process.writer.drained()
        tasks.cancel_scope.cancel()


class StationProcess:
    """One emulated station for as long as the process lives, over any number of power cycles."""

    def __init__(self, launch: Launch, store: Store, memory: MeterMemory) -> None:
        self.writer = LineWriter(sys.stdout.fileno())
        self._launch = launch
        self._store = store
        self._started = anyio.current_time()
        self._network = Network()
        self._wall_clock = WallClock(anyio.current_time)
        self._runner: StationRunner | None = None
        self._over = anyio.Event()
        self._off_seconds = 0.0
        config = launch.station
        self._emulator = Emulator(
            config,
            Hardware(config.layout, memory, self._started),
            self._build,
            anyio.current_time,
            self._emit,
        )
        slots_of = partial(slots_by, launch.routes)
        self._verbs = Verbs(self._emulator, self._network, self._wall_clock, self, slots_of)

    def _build(self, config: StationConfig, now: float) -> Station:
        record = self._launch.record
        build = Station if record is None else recording(Station, record)
        return build(config, os.urandom, now, self._store.load())

    def _emit(self, event: Event) -> None:
        event = {"event": event["event"], "at": round(anyio.current_time() - self._started, 6), **event}
        if self._launch.quiet:
            return
        if self._launch.control:
            self.writer.event(event)
        else:
            print(line_of(event), file=sys.stderr, flush=True)

    # life

    async def live(self) -> None:
        """Run the station, once for every time that it gets power."""
        while not self._over.is_set():
            station = self._emulator.power_up(self._wall_clock.utc_ms)
            async with connect_station(
                station,
                self._launch.routes,
                self._store,
                self._emulator,
                observe=self._emulator.observe,
                dial=self._dial,
            ) as self._runner:
                self._emulator.run_by(self._runner.turn)
                await self._over.wait()
                await self._hang_up(station)
            if not self._over.is_set():
                with anyio.move_on_after(self._off_seconds):
                    await self._over.wait()
                await self._network.restore_power()

    async def _hang_up(self, station: Station) -> None:
        """Close the link as the operator would, if the network lets us."""
        with self._emulator.moment() as now:
            station.disconnect(now)
        with anyio.move_on_after(_GOODBYE):
            while station.state(anyio.current_time())["connection"]["state"] != "idle":
                await anyio.sleep(_POLL)

    async def cycle(self, off_seconds: float) -> None:
        """Take the station's power away, and give it back."""
        self._off_seconds = off_seconds
        self._network.lose_power()
        if self._runner is not None:
            self._runner.power_off()
        self._emulator.power_down()

    async def quit(self) -> None:
        """Stop in good order."""
        self._over.set()

    async def _dial(self, route: Route) -> ByteStream:
        return await secure(await self._network.dial(route), route, in_worker=True)  # the key may be a TPM's

    async def let_the_clock_drift(self) -> None:
        """Nudge the station's clock, whoever set it, for as long as it is to drift."""
        last = anyio.current_time()
        while True:
            await anyio.sleep(_TICK)
            seconds, last = anyio.current_time() - last, anyio.current_time()
            station = self._emulator.station
            if station is not None and self._wall_clock.drift_ppm:
                with self._emulator.moment() as now:
                    self._drift(station, seconds, now)

    def _drift(self, station: Station, seconds: float, now: float) -> None:
        believed = station.state(now)["clock"]["utc_ms"]
        if believed is not None:
            station.set_utc(self._wall_clock.drifted(believed, seconds), now)

    # commands

    async def watch_signals(self) -> None:
        """An interrupt or a termination is an orderly stop."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                self._over.set()

    async def write(self) -> None:
        """Write answers and events; when nobody is left to read them, stop."""
        await self.writer.run()
        self._over.set()

    async def obey(self) -> None:
        """Perform commands until there are no more, which means quit."""
        async for line in LineReader(sys.stdin.fileno()).lines():
            await self.writer.room()
            await self._obey(line)
            if self._over.is_set():
                return
        self._over.set()

    async def _obey(self, line: bytes | None) -> None:
        """One command: the answer first, then what follows from it."""
        then = None
        with self._emulator.moment() as now:
            try:
                call = parse(line, STATION_COMMANDS)
                outcome = self._verbs.perform(call, now)
            except CommandError as error:
                self._answer(error.id, {"ok": False, "error": str(error)})
            else:
                self._answer(call.id, {"ok": True, **outcome.answer})
                then = outcome.then
        if then is not None:
            await then()

    def _answer(self, id_: Id | None, members: dict[str, Any]) -> None:
        self.writer.answer(members if id_ is None else {"re": id_, **members})
