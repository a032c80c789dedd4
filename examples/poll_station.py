"""A charging station in a main loop of its own, as firmware has it: no thread, no event loop, no waiting.

The loop reads its inputs, steps the stack and goes on; one car charges for two seconds:
``python examples/poll_station.py [URL]``.
"""

import os
import sys
import time
from collections.abc import Iterable

from ocpp_adapters.poll import Poll
from ocpp_adapters.poll_station import StationRunner, connect_station
from ocpp_core import OcppVersion
from ocpp_core.domain.layout import ConnectorRef
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.status import StationInfo
from ocpp_core.domain.tokens import IdToken
from ocpp_core.station import RegistrationChanged, Station, StationConfig
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig

TICK = 0.01
"""Seconds of a round of the loop."""


class Charger:
    """The hardware: what the loop reads and writes once in each round."""

    def __init__(self) -> None:
        self.wanted = self.closed = False
        self.wh = 0.0
        self.opening: float | None = None
        """Since when a CSMS has accepted the station."""

    def meters(self) -> Iterable[tuple[int, tuple[Quantity, ...]]]:
        """The energy register of EVSE 1."""
        yield 1, (Quantity(float(int(self.wh))),)

    def switch_power(self, evse: int, on: bool) -> None:
        """Note what the contactor shall do; the loop sees to it."""
        del evse
        self.wanted = on

    def lock(self, ref: ConnectorRef, locked: bool) -> None:
        """Lock or unlock the cable."""
        print(f"connector {ref.connector} is {'locked' if locked else 'unlocked'}", flush=True)

    def observe(self, action: object) -> None:
        """Whoever comes to a display would see it here."""
        if isinstance(action, RegistrationChanged) and self.opening is None:
            self.opening = time.monotonic()


def work(charger: Charger, runner: StationRunner) -> None:
    """The firmware's part of a round: the contactor follows, the meter counts."""
    if charger.closed:
        charger.wh += 1.0
    if charger.closed is not charger.wanted:
        charger.closed = charger.wanted
        print(f"the contactor {'closes' if charger.closed else 'opens'}", flush=True)
        with runner.turn() as now:
            runner.station.power_switched(1, charger.closed, now)


def main(url: str) -> None:
    """A driver comes, charges and leaves."""
    config = StationConfig(info=StationInfo(model="Example", vendor="Acme"), versions=(OcppVersion.V201,))
    charger, store, poll = Charger(), MemoryStore(), Poll()
    station = Station(config, os.urandom, time.monotonic(), store.load())
    runner = connect_station(poll, station, ClientConfig(url=url), store, charger, observe=charger.observe)
    plan = [(0.5, "arrive"), (2.5, "leave"), (3.5, "end")]
    while plan or not runner.gone:
        poll.wait(min(poll.step(), TICK))
        work(charger, runner)
        if plan and charger.opening is not None and time.monotonic() - charger.opening > plan[0][0]:
            _, event = plan.pop(0)
            with runner.turn() as now:
                if event == "arrive":
                    station.plug_in(1, 1, now)
                    station.present_token(IdToken("04A1B2C3"), 1, now)
                elif event == "leave":
                    station.plug_out(1, 1, now)
            if event == "end":
                runner.leave()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:9000/CP01")
