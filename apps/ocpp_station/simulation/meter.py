"""An energy meter in exact arithmetic.

Power is held in whole milliwatts and time in whole nanoseconds, so energy is an integer number of
picojoules: however often the register is read, nothing is rounded away and nothing drifts.
"""

from dataclasses import dataclass
from decimal import Decimal

PICOJOULES_PER_WH = 3_600 * 10**12


@dataclass(frozen=True, slots=True)
class RegisterState:
    """What a register remembers without power: where it was set (mWh), and the energy since (pJ)."""

    set_mwh: int = 0
    counted_pj: int = 0

    @property
    def wh(self) -> float:
        """The reading: from where it was set, the register counts up in whole watt-hours."""
        return float(Decimal(self.set_mwh) / 1000 + self.counted_pj // PICOJOULES_PER_WH)


class EnergyRegister:
    """The register Energy.Active.Import of one EVSE: integrates a power over monotonic time.

    ``now`` is monotonic seconds; a reading older than the last one counts as the last one.
    """

    __slots__ = ("_power_mw", "_since_ns", "_state")

    def __init__(self, now: float, state: RegisterState | None = None) -> None:
        self._state = state or RegisterState()
        self._power_mw = 0
        self._since_ns = _nanoseconds(now)

    def set_power(self, watts: float, now: float) -> None:
        """Integrate up to ``now``, and with ``watts`` (to the milliwatt) from then on."""
        self.read(now)
        self._power_mw = round(watts * 1000)

    def set_wh(self, wh: float, now: float) -> None:
        """Make the register read ``wh`` (to the milliwatt-hour), as if another meter were mounted."""
        self.read(now)
        self._state = RegisterState(set_mwh=round(Decimal(repr(wh)) * 1000))

    def read(self, now: float) -> RegisterState:
        """The register's state at ``now``."""
        now_ns = max(_nanoseconds(now), self._since_ns)
        if energy := self._power_mw * (now_ns - self._since_ns):
            self._state = RegisterState(self._state.set_mwh, self._state.counted_pj + energy)
        self._since_ns = now_ns
        return self._state


def _nanoseconds(now: float) -> int:
    return round(now * 10**9)
