"""Wall time as something learned: stamps taken before it is known are resolved later, never invented.

Each boot of a station has a number and its own monotonic clock. The first time the station learns UTC in a
boot, that boot gets a write-once anchor, which resolves every stamp of the boot that carries no UTC. Later
corrections affect only new stamps. A boot that ended without ever learning the time is placed to end where
the next one began.
"""

from dataclasses import dataclass

from .domain.time import Stamp


@dataclass(frozen=True, slots=True)
class Anchor:
    """At ``mono`` seconds of its boot, UTC was ``utc_ms``."""

    mono: float
    utc_ms: int


@dataclass(frozen=True, slots=True)
class Boot:
    """What is known of one boot: when it started, when it was last heard of, and its anchor."""

    started: float
    anchor: Anchor | None = None
    last: float | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """A resolved stamp: epoch milliseconds, and whether they are an estimate."""

    utc_ms: int
    estimated: bool = False


class Clock:
    """The wall clock of a machine, as offset to the monotonic clock, plus the anchors of earlier boots."""

    __slots__ = ("_boots", "_offset_ms", "boot")

    def __init__(self, boot: int, now: float, earlier: dict[int, Boot] | None = None) -> None:
        self.boot = boot
        self._boots = dict(earlier or {})
        self._boots[boot] = Boot(now)
        self._offset_ms: int | None = None

    @property
    def known(self) -> bool:
        """Whether the wall clock is known now."""
        return self._offset_ms is not None

    @property
    def current(self) -> Boot:
        """What is known of this boot."""
        return self._boots[self.boot]

    def utc_ms(self, now: float) -> int | None:
        """UTC at ``now`` in epoch milliseconds, or None while it is not known."""
        return None if self._offset_ms is None else round(now * 1000) + self._offset_ms

    def set_utc(self, utc_ms: int | None, now: float) -> bool:
        """Learn (or, with None, forget) UTC at ``now``. True if this anchored the boot."""
        if utc_ms is None:
            self._offset_ms = None
            return False
        self._offset_ms = utc_ms - round(now * 1000)
        boot = self.current
        if boot.anchor is not None:
            return False
        self._boots[self.boot] = Boot(boot.started, Anchor(now, utc_ms))
        return True

    def stamp(self, now: float) -> Stamp:
        """This moment, with UTC if it is known."""
        return Stamp(self.boot, now, self.utc_ms(now))

    def resolve(self, stamp: Stamp) -> Moment | None:
        """UTC of a stamp, or None while nothing ties it to UTC."""
        if stamp.utc_ms is not None:
            return Moment(stamp.utc_ms)
        boot = self._boots.get(stamp.boot)
        if boot is None:
            return None
        if boot.anchor is not None:
            return Moment(boot.anchor.utc_ms + round((stamp.mono - boot.anchor.mono) * 1000))
        return self._estimate(stamp, boot)

    def _estimate(self, stamp: Stamp, boot: Boot) -> Moment | None:
        later = min((number for number in self._boots if number > stamp.boot), default=None)
        if later is None:
            return None
        began = self.resolve(Stamp(later, self._boots[later].started))
        if began is None:
            return None
        last = stamp.mono if boot.last is None else max(boot.last, stamp.mono)
        return Moment(began.utc_ms - round((last - stamp.mono) * 1000), estimated=True)
