"""An emulator in virtual time: station core, simulated hardware and a store, without process or network."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from ocpp_control import Call, CommandError
from ocpp_core import SeededEntropy
from ocpp_core.domain.layout import Layout
from ocpp_core.domain.status import StationInfo
from ocpp_core.errors import StoreError
from ocpp_core.station import DoLock, DoPower, Station, StationConfig
from ocpp_core.store import Commit, MemoryStore
from ocpp_station.clockwork import WallClock
from ocpp_station.emulator import Emulator
from ocpp_station.network import Network
from ocpp_station.simulation import Hardware, RegisterState
from ocpp_station.verbs import Outcome, Verbs

CONFIG = StationConfig(
    info=StationInfo("M", "V"),
    layout=Layout((1, 2)),
    autoconnect=False,
    offline_tx_for_unknown_id=True,
    sample_interval=10.0,
)


@dataclass
class Session:
    """A transaction as the station told of it."""

    evse: int
    first_wh: float
    last_wh: float
    ended: bool


class Rig:
    """An emulator with its verbs, a store and a clock that only moves when told to."""

    def __init__(self, before: "Rig | None" = None, config: StationConfig = CONFIG) -> None:
        self.now: float = 1000.0 if before is None else before.now
        self.store: MemoryStore = MemoryStore() if before is None else before.store
        self.registers: dict[int, RegisterState] = {} if before is None else before.registers
        self.events: list[dict[str, Any]] = [] if before is None else before.events
        self.starts: int = 0 if before is None else before.starts
        self.cycled: list[float] = []
        self.quits = 0
        self.memory_fails = False
        self.emulator = Emulator(
            config, Hardware(config.layout, self, self.now), self._build, lambda: self.now, self.events.append
        )
        self.clock = WallClock(lambda: self.now)
        bound = {"eth0": [3], "wwan0": [7]}
        self.verbs = Verbs(self.emulator, Network(), self.clock, self, lambda name: bound.get(name, []))
        self.power_up(self.clock.utc_ms)

    def killed(self) -> "Rig":
        """The process is killed as it stands, and another one takes over what it made durable."""
        return Rig(self, self.emulator.config)

    def _build(self, config: StationConfig, now: float) -> Station:
        self.starts += 1
        return Station(config, SeededEntropy(self.starts), now, self.store.load())

    def load(self, evse: int) -> RegisterState:
        return self.registers.get(evse, RegisterState())

    def save(self, evse: int, state: RegisterState) -> None:
        if self.memory_fails:
            raise StoreError("disk full")
        self.registers[evse] = state

    async def cycle(self, off_seconds: float) -> None:
        self.cycled.append(off_seconds)

    async def quit(self) -> None:
        self.quits += 1

    @contextmanager
    def turn(self) -> Iterator[float]:
        self._read_meters()
        yield self.now
        self.pump()

    def _read_meters(self) -> None:
        for evse, readings in self.emulator.meters():
            self.station.meter(evse, readings, self.now)

    def perform(self, verb: str, **members: Any) -> Outcome:
        with self.emulator.moment() as now:
            return self.verbs.perform(Call(verb, members), now)

    def do(self, verb: str, **members: Any) -> Outcome:
        outcome = self.perform(verb, **members)
        if outcome.then is not None:
            anyio.run(outcome.then)
        return outcome

    def refused(self, verb: str, **members: Any) -> str:
        with pytest.raises(CommandError) as caught, self.emulator.moment() as now:
            self.verbs.perform(Call(verb, members, "id"), now)
        assert caught.value.id == "id"
        return str(caught.value)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.station.next_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self._read_meters()
            self.station.handle_timer(self.now)
            self.pump()
        self.now = end

    def pump(self) -> None:
        while actions := self.station.actions():
            for action in actions:
                if isinstance(action, Commit):
                    self.store.commit(action)
                elif isinstance(action, DoPower):
                    self.emulator.switch_power(action.evse, action.on)
                elif isinstance(action, DoLock):
                    self.emulator.lock(action.ref, action.locked)
                else:
                    self.emulator.observe(action)

    def power_up(self, utc_ms: int | None) -> None:
        self.emulator.power_up(utc_ms)
        self.emulator.run_by(self.turn)
        self.pump()

    @property
    def station(self) -> Station:
        return self.emulator.powered

    def power_cycle(self) -> None:
        self.emulator.power_down()
        self.power_up(self.clock.utc_ms)

    def phases(self) -> list[str]:
        return [it["phase"] for it in self.events if it["event"] == "transaction"]

    def last(self, kind: str) -> dict[str, Any]:
        return next(it for it in reversed(self.events) if it["event"] == kind)

    def sessions(self) -> dict[str, Session]:
        """Every transaction that the station told of, by id."""
        sessions: dict[str, Session] = {}
        for event in self.events:
            if event["event"] == "transaction":
                reading = event["meter_wh"]
                session = sessions.setdefault(event["id"], Session(event["evse"], reading, reading, False))
                assert not session.ended
                session.last_wh = reading
                session.ended = event["phase"] == "ended"
        return sessions
