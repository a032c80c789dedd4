"""The wall clock of the simulated hardware, which may be unknown, wrong, or drift."""

import time
from collections.abc import Callable


class WallClock:
    """The battery-backed clock: UTC as an offset to monotonic seconds, None while it is not known.

    It starts at the computer's time. ``drift_ppm`` is how much too fast everything that ticks here runs.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._set_at = monotonic()
        self._utc_ms: float | None = time.time() * 1000
        self._rest_ms = 0.0
        self._drift_ppm = 0.0

    @property
    def drift_ppm(self) -> float:
        """Parts per million."""
        return self._drift_ppm

    @drift_ppm.setter
    def drift_ppm(self, ppm: float) -> None:
        self.set(self.utc_ms)
        self._drift_ppm = ppm

    @property
    def utc_ms(self) -> int | None:
        """UTC in epoch milliseconds."""
        if self._utc_ms is None:
            return None
        elapsed = (self._monotonic() - self._set_at) * (1 + self._drift_ppm / 1e6)
        return round(self._utc_ms + elapsed * 1000)

    def set(self, utc_ms: int | None) -> None:
        """Put it right, or wrong; None: it is no longer known."""
        self._utc_ms, self._set_at = utc_ms, self._monotonic()

    def drifted(self, utc_ms: int, seconds: float) -> int:
        """What a clock that should show ``utc_ms`` shows for the drift of the last ``seconds``."""
        self._rest_ms += seconds * self._drift_ppm / 1000
        whole = int(self._rest_ms)
        self._rest_ms -= whole
        return utc_ms + whole
