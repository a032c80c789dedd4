"""The types of a command's members: what is accepted, and how to say so."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of JSON value; ``says`` names it for people."""

    says: str
    accepts: Callable[[object], bool]

    def nullable(self) -> "Kind":
        """The same, or null."""
        return Kind(f"{self.says} or null", lambda value: value is None or self.accepts(value))


def whole(least: int, most: int = 2**31 - 1) -> Kind:
    """A whole number within bounds; ``true`` is no number and ``1.0`` is not whole text."""
    return Kind(
        f"a whole number from {least}" + (f" to {most}" if most < 2**31 - 1 else ""),
        lambda value: type(value) is int and least <= value <= most,
    )


def number(least: float = -1e12, most: float = 1e12) -> Kind:
    """A number within bounds, so neither NaN nor infinite."""

    def accepts(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most

    return Kind(f"a number from {least:g} to {most:g}", accepts)


def choice(*values: str) -> Kind:
    """One of some words."""
    return Kind(" or ".join(f'"{value}"' for value in values), lambda value: value in values)


def _is_moment(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def text(most: int) -> Kind:
    """Text that is not empty and can be written as UTF-8: JSON can escape half a character."""

    def accepts(value: object) -> bool:
        if not isinstance(value, str):
            return False
        return 0 < len(value) <= most and not _HALF_CHARACTER.search(value)

    return Kind(f"text of 1 to {most} characters", accepts)


TEXT = Kind("text", text(10_000).accepts)
SCALAR = Kind("text, a number, true or false", lambda value: isinstance(value, str | int | float))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
OBJECT = Kind("an object", lambda value: isinstance(value, dict))
LIST = Kind("a list", lambda value: isinstance(value, list))
MOMENT = Kind('a time with zone, as "2030-01-31T12:00:00Z"', _is_moment)
