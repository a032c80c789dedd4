"""Meter readings: measured quantities, why they were taken, and when."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from .time import Stamp

ENERGY_REGISTER = "Energy.Active.Import.Register"
"""The measurand that bills are made of, in Wh."""

LONGEST_UNIT = 20


class ReadingContext(StrEnum):
    """Why a value was read (ReadingContext of 1.6, ReadingContextEnumType of 2.x)."""

    INTERRUPTION_BEGIN = "Interruption.Begin"
    INTERRUPTION_END = "Interruption.End"
    OTHER = "Other"
    SAMPLE_CLOCK = "Sample.Clock"
    SAMPLE_PERIODIC = "Sample.Periodic"
    TRANSACTION_BEGIN = "Transaction.Begin"
    TRANSACTION_END = "Transaction.End"
    TRIGGER = "Trigger"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One value as the meter gives it: finite, in ``unit`` (``Wh``, ``W``, ``A``, ``V``, ``Percent`` …).

    ``measurand``, ``phase`` and ``location`` use the standard's names, the same in all versions
    (``Current.Import``, ``L1-N``, ``Outlet``); None means the standard's default or none. Raises ValueError
    for a value that is not finite, and for a unit of more than 20 characters.
    """

    value: float
    measurand: str = ENERGY_REGISTER
    unit: str = "Wh"
    phase: str | None = None
    location: str | None = None

    def __post_init__(self) -> None:
        if not isfinite(self.value):
            raise ValueError(f"{self.measurand}: {self.value} is no reading")
        if len(self.unit) > LONGEST_UNIT:
            raise ValueError(f"{self.measurand}: a unit has at most {LONGEST_UNIT} characters")


@dataclass(frozen=True, slots=True)
class Sample:
    """Quantities that the station read together at one moment."""

    at: Stamp
    context: ReadingContext
    quantities: tuple[Quantity, ...]
