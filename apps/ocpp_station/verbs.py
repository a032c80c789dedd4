"""What each verb of the control contract does to an emulator."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ParamSpec, Protocol, TypeVar

from ocpp_control import Call, CommandError, check
from ocpp_core import LocalProtocolError
from ocpp_core.domain.metering import ENERGY_REGISTER, Quantity
from ocpp_core.domain.time import to_utc_ms
from ocpp_core.domain.tokens import IdToken

from . import variables
from .clockwork import WallClock
from .commands import REPORTS
from .emulator import Emulator
from .network import Network
from .simulation import HardwareError, Side

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


class Power(Protocol):
    """The switches of the emulator's process."""

    async def cycle(self, off_seconds: float) -> None:
        """Take the station's power away, and give it back."""
        ...

    async def quit(self) -> None:
        """Stop in good order."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """The members of the answer, and what happens once it is given."""

    answer: Mapping[str, Any] = field(default_factory=dict)
    then: Callable[[], Awaitable[None]] | None = None


class Verbs:
    """Performs commands: what changes the station at once, what changes the world around it after the answer.

    One method per verb, whose parameters are the verb's members. ``slots_by`` tells the network profiles that
    leave by an interface or address.
    """

    def __init__(
        self,
        emulator: Emulator,
        network: Network,
        wall_clock: WallClock,
        power: Power,
        slots_by: Callable[[str], list[int]],
    ) -> None:
        self._emulator = emulator
        self._slots_by = slots_by
        self._network = network
        self._wall_clock = wall_clock
        self._power = power

    def perform(self, call: Call, now: float) -> Outcome:
        """Perform a command. Raises :class:`CommandError` if it cannot be; then nothing has changed."""
        try:
            return _VERBS[call.verb](self, now, **call.arguments) or Outcome()
        except (HardwareError, LocalProtocolError, CommandError) as error:
            raise CommandError(str(error), call.id) from None

    # cars and drivers

    def _plug_in(self, now: float, evse: int, connector: int = 1, cable_amps: float | None = None) -> None:
        self._emulator.plug_in(evse, connector, cable_amps, now)

    def _plug_out(self, now: float, evse: int, connector: int | None = None) -> None:
        self._emulator.plug_out(evse, connector, now)

    def _present_token(self, now: float, token: str, type: str = "ISO14443", evse: int | None = None) -> None:  # noqa: A002  # the contract's word
        self._emulator.present_token(_value(IdToken, token, type), evse or None, now)

    def _suspend(self, now: float, evse: int, by: Side) -> None:
        self._emulator.suspend(evse, by, now)

    def _resume(self, now: float, evse: int, by: Side) -> None:
        self._emulator.resume(evse, by, now)

    def _set_power(self, now: float, evse: int, watts: float, phases: int | None = None) -> None:
        place = self._emulator.hardware.evse(evse)
        place.set_power(watts, phases or place.phases, now)

    # meters

    def _set_meter(self, now: float, evse: int, wh: float) -> None:
        self._emulator.hardware.evse(evse).register.set_wh(wh, now)

    def _set_measurand(self, now: float, evse: int, measurand: str, value: float, **about: str) -> None:
        place = self._emulator.hardware.evse(evse)
        if measurand == ENERGY_REGISTER:
            raise CommandError(f"{ENERGY_REGISTER} is the meter's register; use set_meter")
        place.force(_value(Quantity, float(value), measurand, **({"unit": ""} | about)))

    # the station's own software

    def _report(self, now: float, what: str, **given: Any) -> None:
        members = given.get("with", {})
        check(REPORTS[what], members)
        if what == "security_event":
            self._emulator.powered.security_event(members["type"], now, members.get("techInfo"))
        else:
            self._emulator.transfer(members, now)

    # link, network, power

    def _connect(self, now: float, slot: int | None = None) -> None:
        self._emulator.powered.connect(now, slot)

    def _disconnect(self, now: float, slot: int | None = None) -> None:
        current = self._emulator.powered.state(now)["connection"]["slot"]
        if slot not in (None, current):
            raise CommandError(f"network profile {slot} is not in use; allowed: {current}")
        self._emulator.powered.disconnect(now)

    def _network_lost(self, now: float, **network: Any) -> None:
        for slot in self._networks(**network):
            self._emulator.powered.network_lost(now, slot)

    def _network_back(self, now: float, **network: Any) -> None:
        for slot in self._networks(**network):
            self._emulator.powered.network_back(now, slot)

    def _networks(self, slot: int | None = None, interface: str | None = None) -> list[int] | list[None]:
        """The network profiles that are meant; None: the one in use, or all."""
        if interface is None:
            return [None] if slot is None else [slot]
        if slot is not None:
            raise CommandError("slot or interface, not both")
        slots = self._slots_by(interface)
        if not slots:
            raise CommandError(f"no network profile leaves by {interface} alone")
        return slots

    def _held(self, now: float) -> Outcome:
        return Outcome({"held": self._emulator.powered.held()})

    def _release(self, now: float, csms: str, to: str | None = None) -> Outcome:
        return Outcome({"released": self._emulator.powered.release(csms, now, to)})

    def _cut(self, now: float, half_open: bool = False) -> Outcome:
        return Outcome(then=lambda: self._network.cut(half_open=half_open))

    def _mend(self, now: float, half_open: bool = False) -> Outcome:
        del half_open  # whichever way it was cut, it is whole again
        return Outcome(then=self._network.mend)

    def _power_cycle(self, now: float, off_seconds: float = 0) -> Outcome:
        _ = self._emulator.powered
        return Outcome(then=lambda: self._power.cycle(off_seconds))

    def _quit(self, now: float) -> Outcome:
        return Outcome(then=self._power.quit)

    # clock, settings, state

    def _set_clock(self, now: float, **given: Any) -> None:
        if not given:
            raise CommandError("set_clock takes utc, drift_ppm, or both")
        if "drift_ppm" in given:
            self._wall_clock.drift_ppm = given["drift_ppm"]
        if "utc" in given:
            utc = given["utc"]
            self._wall_clock.set(None if utc is None else to_utc_ms(datetime.fromisoformat(utc)))
            if self._emulator.station is not None:
                self._emulator.station.set_utc(self._wall_clock.utc_ms, now)

    def _get_variable(self, now: float, **name: str) -> Outcome:
        return Outcome({"value": variables.get(self._emulator.config, variables.find(name))})

    def _set_variable(self, now: float, value: str | float, **name: str) -> Outcome:
        text = value if isinstance(value, str) else json.dumps(value)
        self._emulator.config = variables.put(self._emulator.config, variables.find(name), text)
        return Outcome({"status": "RebootRequired"})

    def _state(self, now: float) -> Outcome:
        return Outcome({**self._emulator.state(now), "network": self._network.description})


def _value(kind: Callable[Parameters, Value], *args: Parameters.args, **kwargs: Parameters.kwargs) -> Value:
    """A value of the domain, which knows best what it can be."""
    try:
        return kind(*args, **kwargs)
    except ValueError as error:
        raise CommandError(str(error)) from None


_VERBS: Mapping[str, Callable[..., Outcome | None]] = {
    "plug_in": Verbs._plug_in,
    "plug_out": Verbs._plug_out,
    "present_token": Verbs._present_token,
    "suspend": Verbs._suspend,
    "resume": Verbs._resume,
    "set_power": Verbs._set_power,
    "set_meter": Verbs._set_meter,
    "set_measurand": Verbs._set_measurand,
    "report": Verbs._report,
    "connect": Verbs._connect,
    "disconnect": Verbs._disconnect,
    "network_lost": Verbs._network_lost,
    "network_back": Verbs._network_back,
    "held": Verbs._held,
    "release": Verbs._release,
    "cut": Verbs._cut,
    "mend": Verbs._mend,
    "power_cycle": Verbs._power_cycle,
    "set_clock": Verbs._set_clock,
    "get_variable": Verbs._get_variable,
    "set_variable": Verbs._set_variable,
    "state": Verbs._state,
    "quit": Verbs._quit,
}
