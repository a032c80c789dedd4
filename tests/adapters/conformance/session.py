"""The scenario of the behaviour level: boot, remote start, cable, charge, remote stop, the CSMS hangs up.

Both sides act on what they see only, each step on the one before, so that what happens does not depend on
which of them is the faster.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ocpp_adapters.central import StationLink
from ocpp_core import OcppVersion
from ocpp_core.csms import (
    CsmsAction,
    CsmsConfig,
    RequestStart,
    RequestStop,
    StatusReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from ocpp_core.domain.layout import ConnectorRef
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.status import StationInfo
from ocpp_core.entropy import SeededEntropy
from ocpp_core.rpc import SendFrame
from ocpp_core.station import (
    Backoff,
    LinkChanged,
    Station,
    StationAction,
    StationConfig,
    TransactionChanged,
)
from ocpp_core.wire import Text
from tests.adapters.charger import EASY, TOKEN
from tests.adapters.conformance.trace import Trace, TracedStore

CONFIG: CsmsConfig = EASY
UTC_MS = 1_767_268_800_000


class Turning(Protocol):
    """What every station's runner has."""

    station: Station

    def turn(self) -> Any: ...


def station_config(version: OcppVersion) -> StationConfig:
    """Nothing happens by itself within a test's time."""
    backoff = Backoff(minimum=300.0, random_range=0.0, repeats=0)
    info = StationInfo("Model", "Vendor")
    return StationConfig(info, versions=(version,), sample_interval=0, backoff=backoff)


class ScriptedStation:
    """The station's part, and its hardware: a contactor that obeys, a meter that is read when power flows."""

    def __init__(self, version: OcppVersion) -> None:
        self.trace = Trace()
        self.store = TracedStore(self.trace)
        self.config = station_config(version)
        self.done = threading.Event()
        self.runner: Turning | None = None
        self._wh = 1000.0
        self._plugged = False

    def make(self, now: float) -> Station:
        """The machine."""
        return Station(self.config, SeededEntropy("station"), now, self.store.load())

    def meters(self) -> Iterable[tuple[int, tuple[Quantity, ...]]]:
        """The register stands still but for a jump at each switch."""
        return [(1, (Quantity(self._wh),))]

    def switch_power(self, evse: int, on: bool) -> None:
        """Obey, and say so at once."""
        if not on:
            self._wh += 250.0
        assert self.runner is not None
        with self.runner.turn() as now:
            self.runner.station.power_switched(evse, on, now)

    def lock(self, ref: ConnectorRef, locked: bool) -> None:
        """Nothing to do."""

    def observe(self, action: StationAction | Text) -> None:
        """Write down, and act."""
        if self.done.is_set():
            return
        if isinstance(action, SendFrame | Text):
            self.trace.note("->" if isinstance(action, SendFrame) else "<-", action.text)
        else:
            self.trace.note("action", action)
        match action:
            case TransactionChanged() if not self._plugged:
                self._plugged = True
                self._give(lambda station, now: station.plug_in(1, 1, now))
            case LinkChanged(version=None):
                self.done.set()

    def _give(self, say: Callable[[Station, float], None]) -> None:
        assert self.runner is not None
        with self.runner.turn() as now:
            say(self.runner.station, now)


class ScriptedCsms:
    """The CSMS's part."""

    def __init__(self) -> None:
        self.trace = Trace()
        self._steps = 0

    def observe(self, link: StationLink, action: CsmsAction) -> None:
        """Write down, and act."""
        self.trace.note("event", action)
        with link.turn() as now:
            match action:
                case StatusReported() if self._steps == 0:
                    self._steps = 1
                    link.machine.call(RequestStart(TOKEN, 1, remote_start_id=7), now)
                case TransactionStarted(seq_no=None) | TransactionUpdated(charging_state="Charging") if (
                    self._steps == 1  # 1.6 has no sequence numbers, and begins where the current does
                ):
                    self._steps = 2
                    link.machine.call(RequestStop(action.transaction), now)
                case TransactionEnded():
                    self._steps = 3
        if self._steps == 3:
            link.close(1000, "enough")
