"""An emulated station: the core, the hardware it believes in, and what can be done to both from outside."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from pydantic import ValidationError

from ocpp_core import OcppVersion, StoreError
from ocpp_core.domain.layout import ConnectorRef
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.tokens import IdToken
from ocpp_core.messages import message_set
from ocpp_core.station import Station, StationAction, StationConfig
from ocpp_core.wire import Text

from .events import Event, event_of
from .simulation import Hardware, HardwareError, Side

StationFactory = Callable[[StationConfig, float], Station]
"""Builds a station from what its store kept, at a time."""

Turn = Callable[[], AbstractContextManager[float]]
"""Within it the station takes inputs at the time it yields; what they lead to happens when it is left."""


class Emulator:
    """Hardware that outlives its station: the station is there only while there is power.

    To the adapter that runs the station it is the charger's hardware. What happens from outside happens
    within :meth:`moment`, which makes the meters' readings known to the station first. ``clock`` gives
    monotonic seconds, ``emit`` takes events.
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
        self._turn: Turn | None = None
        self._clock = clock
        self._build = build
        self._emit = emit

    # power

    def power_up(self, utc_ms: int | None) -> Station:
        """Start the station from its store; it finds the cars that are plugged in."""
        now = self._clock()
        station = self.station = self._build(self.config, now)
        if utc_ms is not None:
            station.set_utc(utc_ms, now)
        for evse, readings in self.meters():
            station.meter(evse, readings, now)
        for ref in self.hardware.plugged():
            station.plug_in(ref.evse, ref.connector, now)
            for by in self.hardware.evse(ref.evse).suspended_by:
                station.suspend(ref.evse, by, now)
        return station

    def run_by(self, turn: Turn) -> None:
        """The station is run by an adapter from now on."""
        self._turn = turn

    def power_down(self) -> None:
        """Lose the station as it stands; contactors fall open, cars stay."""
        self.hardware.lose_power(self._clock())
        self.station = self._turn = None

    @property
    def powered(self) -> Station:
        """The station, or :class:`HardwareError` while it has no power."""
        if self.station is None:
            raise HardwareError("the station has no power")
        return self.station

    # what the station wants

    def meters(self) -> Iterable[tuple[int, tuple[Quantity, ...]]]:
        """What the meters show; one whose reading could not be remembered shows nothing."""
        now = self._clock()
        for evse in self.hardware.evses:
            try:
                yield evse, self.hardware.read(evse, now)
            except StoreError as error:
                self._emit({"event": "notice", "kind": "meter not remembered", "detail": str(error)})

    def switch_power(self, evse: int, on: bool) -> None:
        """The contactor obeys at once."""
        with self.moment() as now:
            self.hardware.evse(evse).switch(on, now)
            self.powered.power_switched(evse, on, now)

    def lock(self, ref: ConnectorRef, locked: bool) -> None:
        """The lock obeys at once."""
        locks = self.hardware.evse(ref.evse).locked
        (locks.add if locked else locks.discard)(ref.connector)

    def observe(self, action: StationAction | Text) -> None:
        """Tell what happens as an event."""
        if event := event_of(action, slots=len(self.config.network_profiles) > 1):
            self._emit(event)

    # what happens from outside

    @contextmanager
    def moment(self) -> Iterator[float]:
        """A time at which something happens; the consequences follow when it is over."""
        if self._turn is None:
            yield self._clock()
        else:
            with self._turn() as now:
                yield now

    def plug_in(self, evse: int, connector: int, cable_amps: float | None, now: float) -> None:
        """A car is connected."""
        place = self.hardware.free_connector(evse, connector)
        if self.station is not None:
            self.station.plug_in(evse, connector, now)
        place.plug_in(connector, cable_amps, now)

    def plug_out(self, evse: int, connector: int | None, now: float) -> None:
        """The car is gone."""
        place = self.hardware.occupied(evse)
        plugged = place.plugged
        if connector not in (None, plugged):
            raise HardwareError(f"the car at EVSE {evse} is plugged into connector {plugged}")
        if self.station is not None and plugged is not None:
            self.station.plug_out(evse, plugged, now)
        place.plug_out(now)

    def present_token(self, token: IdToken, evse: int | None, now: float) -> None:
        """A driver identifies."""
        if evse is not None:
            self.hardware.evse(evse)
        self.powered.present_token(token, evse, now)

    def transfer(self, members: Mapping[str, Any], now: float) -> None:
        """The software sends a vendor's message, its members as on the wire; an event tells the answer."""
        spoken = self.powered.state(now)["connection"]["subprotocol"]
        if spoken is None:
            raise HardwareError("there is no link")
        model = message_set(OcppVersion(spoken)).request("DataTransfer")
        try:
            request = model.model_validate_json(json.dumps(members))
        except ValidationError as error:
            raise HardwareError(f"no DataTransfer of {spoken}: {error.errors()[0]['msg']}") from None
        self.powered.call(request, now)

    def suspend(self, evse: int, by: Side, now: float) -> None:
        """The car or the station pauses."""
        place = self.hardware.occupied(evse)
        self.powered.suspend(evse, by, now)
        place.suspend(by, now)

    def resume(self, evse: int, by: Side, now: float) -> None:
        """The car or the station goes on."""
        place = self.hardware.occupied(evse)
        self.powered.resume(evse, by, now)
        place.resume(by, now)

    def state(self, now: float) -> dict[str, Any]:
        """Everything there is to know: the station's own view, if it has power, and the hardware's."""
        view = {} if self.station is None else self.station.state(now)
        return {**view, "power": self.station is not None, "hardware": self.hardware.state(now)}
