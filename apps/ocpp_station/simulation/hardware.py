"""The station's hardware: its EVSEs, a memory for their meters, and what cannot physically be."""

from collections.abc import Mapping
from typing import Any

from ocpp_core.domain.layout import ConnectorRef, Layout
from ocpp_core.domain.metering import Quantity

from .evse import SimulatedEvse
from .memory import MeterMemory
from .meter import EnergyRegister


class HardwareError(Exception):
    """What was asked for cannot physically be; the text says what can."""


class Hardware:
    """All EVSEs of a station, numbered from 1. The registers start where ``memory`` left them."""

    def __init__(self, layout: Layout, memory: MeterMemory, now: float) -> None:
        self._memory = memory
        self._saved_wh: dict[int, float] = {}
        self.evses: Mapping[int, SimulatedEvse] = {
            evse: SimulatedEvse(evse, connectors, EnergyRegister(now, memory.load(evse)))
            for evse, connectors in enumerate(layout.connectors, start=1)
        }

    def evse(self, evse: int) -> SimulatedEvse:
        """The EVSE of this number, or :class:`HardwareError`."""
        if evse not in self.evses:
            raise HardwareError(f"there is no EVSE {evse}; this station has 1 to {len(self.evses)}")
        return self.evses[evse]

    def free_connector(self, evse: int, connector: int) -> SimulatedEvse:
        """The EVSE, if a car can be plugged into this connector of it."""
        found = self.evse(evse)
        if not 1 <= connector <= found.connectors:
            raise HardwareError(
                f"EVSE {evse} has no connector {connector}; its connectors are 1 to {found.connectors}"
            )
        if found.plugged is not None:
            raise HardwareError(f"a car is plugged into EVSE {evse} already, at connector {found.plugged}")
        return found

    def occupied(self, evse: int) -> SimulatedEvse:
        """The EVSE, if a car is plugged in there."""
        found = self.evse(evse)
        if found.plugged is None:
            raise HardwareError(f"no car is plugged into EVSE {evse}")
        return found

    def plugged(self) -> list[ConnectorRef]:
        """The connectors that hold a car."""
        return [ConnectorRef(it.evse, it.plugged) for it in self.evses.values() if it.plugged is not None]

    def read(self, evse: int, now: float) -> tuple[Quantity, ...]:
        """The meter's readings, remembered before anybody can report them."""
        found = self.evse(evse)
        state = found.register.read(now)
        if state.wh != self._saved_wh.get(evse):
            self._memory.save(evse, state)
            self._saved_wh[evse] = state.wh
        return found.readings(now)

    def lose_power(self, now: float) -> None:
        """The grid fails; cars and cables stay where they are."""
        for evse in self.evses.values():
            evse.lose_power(now)

    def state(self, now: float) -> list[dict[str, Any]]:
        """Every EVSE as it physically is, as JSON-able values."""
        return [
            {
                "evse": it.evse,
                "plugged": it.plugged,
                "contactor_closed": it.contactor_closed,
                "locked": sorted(it.locked),
                "suspended_by": sorted(it.suspended_by),
                "watts": it.power,
                "register_wh": it.register.read(now).wh,
            }
            for it in self.evses.values()
        ]
