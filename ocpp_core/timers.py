"""A table of named deadlines: what a machine waits for can be listed, moved and cancelled."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


class Timers(Generic[Name]):
    """Named deadlines in monotonic seconds; a name has at most one.

    The table stays small (a machine names its timers), so the earliest is found by looking at all of them.
    """

    __slots__ = ("_deadlines",)

    def __init__(self) -> None:
        self._deadlines: dict[Name, float] = {}

    def set(self, name: Name, at: float) -> None:
        """Set or move a deadline."""
        self._deadlines[name] = at

    def cancel(self, name: Name) -> None:
        """Forget a deadline; one that is not set is no error."""
        self._deadlines.pop(name, None)

    def deadline(self, name: Name) -> float | None:
        """When ``name`` is due, or None."""
        return self._deadlines.get(name)

    def next(self) -> float | None:
        """The earliest deadline, or None."""
        return min(self._deadlines.values(), default=None)

    def due(self, now: float) -> list[Name]:
        """The names due at ``now``, earliest first, which are thereby forgotten."""
        names = sorted(
            (name for name, at in self._deadlines.items() if at <= now), key=self._deadlines.__getitem__
        )
        for name in names:
            del self._deadlines[name]
        return names

    def __contains__(self, name: Name) -> bool:
        return name in self._deadlines

    def items(self) -> list[tuple[Name, float]]:
        """Every name and its deadline, earliest first."""
        return sorted(self._deadlines.items(), key=lambda item: item[1])
