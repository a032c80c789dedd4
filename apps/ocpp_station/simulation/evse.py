"""One simulated EVSE: contactor, cable, car and meter."""

from dataclasses import dataclass, field
from typing import Literal

from ocpp_core.domain.metering import Quantity

from .meter import EnergyRegister

CAR_WATTS = 7360.0
"""What a car draws, on one phase, until told otherwise."""
VOLTS = 230.0
"""Between a phase and neutral."""

Side = Literal["EV", "EVSE"]
"""Who pauses the charging."""

ReadingKey = tuple[str, str | None, str | None]
"""Measurand, phase and location: two readings that agree in these are readings of the same thing."""


@dataclass(slots=True)
class SimulatedEvse:
    """What the hardware of one EVSE is at a moment; the register integrates whatever power flows.

    Change a field only through the methods: they take ``now`` (monotonic seconds) because each of them
    may change the flow of energy.
    """

    evse: int
    connectors: int
    register: EnergyRegister
    plugged: int | None = None
    cable_amps: float | None = None
    watts: float = CAR_WATTS
    phases: int = 1
    contactor_closed: bool = False
    locked: set[int] = field(default_factory=set)
    suspended_by: set[Side] = field(default_factory=set)
    forced: dict[ReadingKey, Quantity] = field(default_factory=dict)

    @property
    def power(self) -> float:
        """Watts that flow: none without a car, a closed contactor and the consent of both sides."""
        if self.plugged is None or not self.contactor_closed or self.suspended_by:
            return 0.0
        if self.cable_amps is None:
            return self.watts
        return min(self.watts, self.cable_amps * VOLTS * self.phases)

    def plug_in(self, connector: int, cable_amps: float | None, now: float) -> None:
        """Connect a car by a cable."""
        self.plugged, self.cable_amps = connector, cable_amps
        self._reflow(now)

    def plug_out(self, now: float) -> None:
        """Take the car and its cable away, and with them whatever the car had paused."""
        self.plugged = self.cable_amps = None
        self.suspended_by.clear()
        self._reflow(now)

    def set_power(self, watts: float, phases: int, now: float) -> None:
        """What cars draw here from now on, if they may."""
        self.watts, self.phases = watts, phases
        self._reflow(now)

    def suspend(self, by: Side, now: float) -> None:
        """One side (``EV`` or ``EVSE``) stops the flow."""
        self.suspended_by.add(by)
        self._reflow(now)

    def resume(self, by: Side, now: float) -> None:
        """One side no longer stops the flow."""
        self.suspended_by.discard(by)
        self._reflow(now)

    def switch(self, closed: bool, now: float) -> None:
        """Close or open the contactor."""
        self.contactor_closed = closed
        self._reflow(now)

    def force(self, quantity: Quantity) -> None:
        """Let a reading be this from now on."""
        self.forced[reading_key(quantity)] = quantity

    def lose_power(self, now: float) -> None:
        """The grid fails: the contactor falls open, the locks let go, the EVSE forgets that it paused."""
        self.contactor_closed = False
        self.locked.clear()
        self.suspended_by.discard("EVSE")
        self._reflow(now)

    def readings(self, now: float) -> tuple[Quantity, ...]:
        """Everything the meter shows at ``now``; readings that were forced replace or join its own."""
        amps = self.power / VOLTS / self.phases
        own = [
            Quantity(self.register.read(now).wh),
            Quantity(self.power, "Power.Active.Import", "W"),
        ]
        for phase in ("L1", "L2", "L3")[: self.phases]:
            own.append(Quantity(round(amps, 3), "Current.Import", "A", phase=phase))
            own.append(Quantity(VOLTS, "Voltage", "V", phase=f"{phase}-N"))
        return tuple(({reading_key(quantity): quantity for quantity in own} | self.forced).values())

    def _reflow(self, now: float) -> None:
        self.register.set_power(self.power, now)


def reading_key(quantity: Quantity) -> ReadingKey:
    """What a quantity is a reading of."""
    return quantity.measurand, quantity.phase, quantity.location
