"""Meter readings as a CSMS sees them: taken from the message that brought them when someone looks."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from math import isfinite
from typing import Any, overload

from ..domain.metering import Quantity
from ..values import value


@value
class Reading:
    """What a station read at one moment (UTC).

    ``context`` is a :class:`~ocpp_core.domain.metering.ReadingContext` where the domain knows it, else the
    text on the wire. ``texts`` holds signed data, and values of 1.6 that are no numbers.
    """

    at: datetime
    context: str
    quantities: tuple[Quantity, ...]
    texts: tuple[str, ...] = ()


Convert = Callable[[Sequence[Any]], tuple[Reading, ...]]


class Readings(Sequence[Reading]):
    """The readings of one message, converted at the first look and not before.

    A CSMS takes in far more readings than anyone looks at; until then this is a reference to the decoded
    message. Equal to any other readings with the same content, whatever version brought them.
    """

    __slots__ = ("_convert", "_readings", "_wire")

    def __init__(self, wire: Sequence[Any] = (), convert: Convert = tuple) -> None:
        self._wire = wire
        self._convert = convert
        self._readings: tuple[Reading, ...] | None = None

    def _all(self) -> tuple[Reading, ...]:
        if self._readings is None:
            self._readings = self._convert(self._wire)
            self._wire = ()
        return self._readings

    @overload
    def __getitem__(self, index: int) -> Reading: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Reading, ...]: ...
    def __getitem__(self, index: int | slice) -> Reading | tuple[Reading, ...]:
        return self._all()[index]

    def __iter__(self) -> Iterator[Reading]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Readings) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return f"Readings({list(self._all())!r})"


def scaled(digits: str, exponent: int) -> float | None:
    """The decimal ``digits`` times ten to the ``exponent``, rounded once; None if that is not finite.

    ``digits`` is a decimal number without spaces or underscores.
    """
    if exponent:
        mantissa, _, power = digits.lower().partition("e")
        digits = f"{mantissa}e{int(power or 0) + exponent}"
    value = float(digits)
    return value if isfinite(value) else None
