"""Moments that survive a power loss, also those taken before the wall clock was known.

A monotonic reading means nothing after a restart, and a wall time cannot be written before it is known. A
:class:`Stamp` therefore carries the number of the boot and its monotonic reading, and the wall time if the
station knew it; the station's clock resolves the others later.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_EARLIEST = -((_EPOCH - datetime.min.replace(tzinfo=UTC)) // timedelta(milliseconds=1))


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment: the station's boot number, monotonic seconds in that boot, and UTC in epoch ms if known."""

    boot: int
    mono: float
    utc_ms: int | None = None


def to_utc_ms(moment: datetime) -> int:
    """Epoch milliseconds of an aware datetime, rounded down. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a timestamp without time zone is no moment")
    return (moment - _EPOCH) // _MILLISECOND


def from_utc_ms(utc_ms: int) -> datetime:
    """The aware UTC datetime of epoch milliseconds; beyond the years 1 to 9999 the nearest one within."""
    return _EPOCH + timedelta(milliseconds=min(max(utc_ms, _EARLIEST), _LATEST))
