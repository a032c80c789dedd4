"""Level 3, behaviour: a charging station with a charger of your own behind it, on asyncio or trio.

One car charges for two seconds: ``python examples/station_anyio.py [URL [VERSION]]``.
"""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

import anyio

from ocpp_adapters.anyio_station import StationRunner, connect_station
from ocpp_core import OcppVersion
from ocpp_core.domain.layout import ConnectorRef
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.status import StationInfo
from ocpp_core.domain.tokens import IdToken
from ocpp_core.station import Station, StationConfig
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig

WATTS = 360_000


class Charger:
    """The hardware: one contactor and one meter. Replace it by what drives yours."""

    def __init__(self) -> None:
        self.runner: StationRunner | None = None
        self._wh = 0.0
        self._since: float | None = None

    def meters(self) -> Iterable[tuple[int, tuple[Quantity, ...]]]:
        """The energy register of EVSE 1."""
        flowing = 0.0 if self._since is None else (anyio.current_time() - self._since) * WATTS / 3600
        yield 1, (Quantity(float(int(self._wh + flowing))),)

    def switch_power(self, evse: int, on: bool) -> None:
        """Close or open the contactor, and say when it is done."""
        now = anyio.current_time()
        if self._since is not None:
            self._wh += (now - self._since) * WATTS / 3600
        self._since = now if on else None
        print(f"the contactor {'closes' if on else 'opens'}", flush=True)
        if self.runner is not None:
            with self.runner.turn() as moment:
                self.runner.station.power_switched(evse, on, moment)

    def lock(self, ref: ConnectorRef, locked: bool) -> None:
        """Lock or unlock the cable."""
        print(f"connector {ref.connector} is {'locked' if locked else 'unlocked'}", flush=True)


async def until(station: Station, reached: Callable[[dict[str, Any]], bool]) -> None:
    """Wait for a state. (A charger does not: it may be offline for days, and charge all the same.)"""
    while not reached(station.state(anyio.current_time())):
        await anyio.sleep(0.05)


async def main(url: str, version: str) -> None:
    """A driver comes, charges and leaves."""
    config = StationConfig(
        info=StationInfo(model="Example", vendor="Acme"), versions=(OcppVersion(f"ocpp{version}"),)
    )
    store = MemoryStore()
    charger = Charger()
    station = Station(config, os.urandom, anyio.current_time(), store.load())
    async with connect_station(station, ClientConfig(url=url), store, charger) as charger.runner:
        await until(station, lambda state: state["registration"] == "Accepted")
        with charger.runner.turn() as now:
            station.plug_in(1, 1, now)
            station.present_token(IdToken("04A1B2C3"), 1, now)
        await anyio.sleep(2)
        with charger.runner.turn() as now:
            station.plug_out(1, 1, now)
        await until(station, lambda state: state["queue"]["facts"] == 0)


if __name__ == "__main__":
    url, version, *_ = [*sys.argv[1:], *["ws://127.0.0.1:9000/CP01", "2.0.1"][len(sys.argv) - 1 :]]
    anyio.run(main, url, version)
