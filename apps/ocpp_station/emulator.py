"""An emulated station: the core, the hardware it believes in, and what can be done to both from outside."""

from collections.abc import Callable
from typing import Any

from ocpp_core import StoreError
from ocpp_core.domain.tokens import IdToken
from ocpp_core.station import Station, StationConfig
from ocpp_core.station.actions import DoLock, DoPower, StationAction

from .events import Event, event_of
from .simulation import Hardware, HardwareError, Side

StationFactory = Callable[[StationConfig, float], Station]
"""Builds a station from what its store kept; the argument after its configuration is the time."""


class Emulator:
    """Hardware that outlives its station: the station is there only while there is power.

    Every input that could change the flow of energy, or make the station look at its meters, is preceded by
    their readings at the same moment. ``clock`` gives monotonic seconds, ``emit`` takes events.
    """

    def __init__(
        self,
        config: StationConfig,
        hardware: Hardware,
        build: StationFactory,
        clock: Callable[[], float],
        emit: Callable[[Event], None],
    ) -> None:
        self.config = config
        self.hardware = hardware
        self.station: Station | None = None
        self.clock = clock
        self._build = build
        self._emit = emit

    # power

    def power_up(self, utc_ms: int | None) -> Station:
        """Start the station from its store; it finds the cars that are plugged in."""
        now = self.clock()
        station = self.station = self._build(self.config, now)
        if utc_ms is not None:
            station.set_utc(utc_ms, now)
        self.read_meters(now)
        for ref in self.hardware.plugged():
            station.plug_in(ref.evse, ref.connector, now)
            for by in self.hardware.evse(ref.evse).suspended_by:
                station.suspend(ref.evse, by, now)
        return station

    def power_down(self) -> None:
        """Lose the station as it stands; contactors fall open, cars stay."""
        self.hardware.lose_power(self.clock())
        self.station = None

    @property
    def powered(self) -> Station:
        """The station, or :class:`HardwareError` while it has no power."""
        if self.station is None:
            raise HardwareError("the station has no power")
        return self.station

    def state(self) -> dict[str, Any]:
        """Everything there is to know: the station's own view, if it has power, and the hardware's."""
        now = self.clock()
        self.read_meters(now)
        view = {} if self.station is None else self.station.state(now)
        return {**view, "power": self.station is not None, "hardware": self.hardware.state(now)}

    # what the station wants

    def perform(self, action: StationAction) -> None:
        """Carry out what concerns the hardware, and tell everything else as an event."""
        match action:
            case DoPower(evse, on):
                self._switch(evse, on)
            case DoLock(ref, locked):
                locks = self.hardware.evse(ref.evse).locked
                (locks.add if locked else locks.discard)(ref.connector)
            case _:
                if event := event_of(action):
                    self._emit(event)

    def read_meters(self, now: float) -> None:
        """Tell the station what its meters show."""
        if self.station is None:
            return
        for evse in self.hardware.evses:
            try:
                readings = self.hardware.read(evse, now)
            except StoreError as error:
                self._emit({"event": "notice", "kind": "meter not remembered", "detail": str(error)})
                continue  # the station goes on with the last reading that was
            self.station.meter(evse, readings, now)

    def _switch(self, evse: int, on: bool) -> None:
        now = self.clock()
        self.read_meters(now)
        self.hardware.evse(evse).switch(on, now)
        self.powered.power_switched(evse, on, now)

    # what happens at the station

    def plug_in(self, evse: int, connector: int, cable_amps: float | None) -> None:
        """A car is connected."""
        place = self.hardware.free_connector(evse, connector)
        now = self._moment()
        if self.station is not None:
            self.station.plug_in(evse, connector, now)
        place.plug_in(connector, cable_amps, now)

    def plug_out(self, evse: int, connector: int | None) -> None:
        """The car is gone."""
        place = self.hardware.occupied(evse)
        plugged = place.plugged
        if connector not in (None, plugged):
            raise HardwareError(f"the car at EVSE {evse} is plugged into connector {plugged}")
        now = self._moment()
        if self.station is not None and plugged is not None:
            self.station.plug_out(evse, plugged, now)
        place.plug_out(now)

    def present_token(self, token: IdToken, evse: int | None) -> None:
        """A driver identifies."""
        if evse is not None:
            self.hardware.evse(evse)
        self.powered.present_token(token, evse, self._moment())

    def suspend(self, evse: int, by: Side) -> None:
        """The car or the station pauses."""
        place = self.hardware.occupied(evse)
        now = self._moment()
        self.powered.suspend(evse, by, now)
        place.suspend(by, now)

    def resume(self, evse: int, by: Side) -> None:
        """The car or the station goes on."""
        place = self.hardware.occupied(evse)
        now = self._moment()
        self.powered.resume(evse, by, now)
        place.resume(by, now)

    def _moment(self) -> float:
        """The time of an input, which the station knows its meters at."""
        now = self.clock()
        self.read_meters(now)
        return now
