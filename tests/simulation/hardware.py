"""The physical side of a station in virtual time: cars, contactors, and meters that count exactly.

Time is integer milliseconds and power integer watts, so energy is integer watt-milliseconds: what the oracle
compares bills with has no rounding of its own. It survives the station's power losses, as hardware does.
"""

from dataclasses import dataclass, field
from typing import Literal

MS_PER_HOUR = 3_600_000


@dataclass(slots=True)
class Outlet:
    """One EVSE with one connector: energy flows while a car draws, and the contactor is closed."""

    plugged: bool = False
    closed: bool = False
    paused_by: set[Literal["EV", "EVSE"]] = field(default_factory=set)
    watts: int = 7360
    watt_ms: int = 0
    since: int = 0
    switched_wh: set[float] = field(default_factory=lambda: {0.0})
    """Where the register stood whenever the contactor moved: a transaction begins and ends nowhere else."""

    def advance(self, now: int) -> None:
        """Let the meter count up to ``now``."""
        if self.flows:
            self.watt_ms += self.watts * (now - self.since)
        self.since = now

    def switch(self, on: bool, now: int) -> None:
        """Close or open the contactor."""
        self.advance(now)
        self.closed = on
        self.switched_wh.add(self.register_wh)

    @property
    def flows(self) -> bool:
        """Whether energy flows."""
        return self.plugged and self.closed and not self.paused_by

    @property
    def register_wh(self) -> float:
        """The energy register in Wh."""
        return self.watt_ms / MS_PER_HOUR
