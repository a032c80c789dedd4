"""What the versions' meter values have in common: their order, and the register that bills are made of."""

from collections.abc import Callable, Sequence
from typing import Any

from ...domain.metering import ENERGY_REGISTER, Quantity, ReadingContext
from ...domain.time import to_utc_ms
from ..dialect import RegisterSpan, in_utc, word
from ..readings import Reading

_REGISTER = (None, ENERGY_REGISTER)
_OUTLET = (None, "Outlet")


WattHours = Callable[[Any], float | None]
"""The value of a sampled value in Wh, or None if it is no number."""


def register_span(meter_values: Sequence[Any], watt_hours: WattHours) -> RegisterSpan | None:
    """The register at the earliest and at the latest moment of some meter values, None if it is not there."""
    first: tuple[int, float] | None = None
    last: tuple[int, float] | None = None
    for meter_value in meter_values:
        wh = _register(meter_value.sampled_value, watt_hours)
        if wh is None:
            continue
        # Into the one UTC first: between two time zones datetime subtracts five times slower.
        mark = to_utc_ms(in_utc(meter_value.timestamp)), wh
        if first is None or mark[0] < first[0]:
            first = mark
        if last is None or mark[0] >= last[0]:
            last = mark
    return None if first is None or last is None else RegisterSpan(*first, *last)


def _register(samples: Sequence[Any], watt_hours: WattHours) -> float | None:
    """The register over all phases: the outlet's, or, if it has none, the first there is."""
    elsewhere = None
    for sample in samples:
        if sample.measurand in _REGISTER and sample.phase is None:
            wh = watt_hours(sample)
            if wh is not None and sample.location in _OUTLET:
                return wh
            if elsewhere is None:
                elsewhere = wh
    return elsewhere


def default_unit(measurand: str) -> str:
    """The unit of a value that names none: only energy has a default."""
    return "Wh" if measurand.startswith("Energy.Active") else ""


Parts = Callable[[Any], tuple[Quantity | None, str | None]]
"""The quantity and the text in a sampled value: a number, signed data, or both."""


def readings_of(meter_values: Sequence[Any], parts: Parts) -> tuple[Reading, ...]:
    """Meter values in domain terms, one reading per moment and context (which is the single value's)."""
    readings = []
    for meter_value in meter_values:
        at = in_utc(meter_value.timestamp)
        by_context: dict[str, tuple[list[Quantity], list[str]]] = {}
        for sample in meter_value.sampled_value:
            context = word(ReadingContext, sample.context or ReadingContext.SAMPLE_PERIODIC)
            quantities, texts = by_context.setdefault(context, ([], []))
            quantity, text = parts(sample)
            if quantity is not None:
                quantities.append(quantity)
            if text is not None:
                texts.append(text)
        readings += [Reading(at, context, tuple(q), tuple(t)) for context, (q, t) in by_context.items()]
    return tuple(readings)
