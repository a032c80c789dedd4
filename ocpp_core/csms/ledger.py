"""The transactions of a station as rows: what is known of each, what it comes to, and what was seen of it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from ..domain.time import from_utc_ms
from ..domain.tokens import AuthorizationStatus, IdToken, IdTokenInfo
from ..errors import StoreError
from ..store import Tables
from .sequence import SeenNumbers

FINGERPRINTS = 4
"""Messages without a number that are remembered per transaction. A station repeats its last one only."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What a transaction comes to, as far as it is known.

    ``energy_wh`` is the difference of the registers as decimal numbers, without binary rounding; None while a
    register is missing, or if the register went backwards. Where the start or the end brought no register,
    the earliest or latest reading stands in. ``complete``: start and end have arrived, and with 2.x every
    message between them (E01.FR.07 and its like).
    """

    transaction: str
    evse: int | None
    connector: int | None
    id_token: IdToken | None
    started_at: datetime | None
    ended_at: datetime | None
    stop_reason: str | None
    start_wh: float | None
    stop_wh: float | None
    energy_wh: float | None
    complete: bool


@dataclass(slots=True)
class Record:
    """A transaction. ``confirmed``: the station has used its id, so it knows it."""

    transaction: str
    serial: int
    evse: int | None = None
    connector: int | None = None
    token: IdToken | None = None
    info: IdTokenInfo | None = None
    started_ms: int | None = None
    start_wh: float | None = None
    ended_ms: int | None = None
    stop_wh: float | None = None
    stop_reason: str | None = None
    confirmed: bool = False
    # Below: what changes with every message, in a row of its own.
    seen: SeenNumbers = field(default_factory=SeenNumbers)
    fingerprints: list[int] = field(default_factory=list)
    earliest: list[float] = field(default_factory=list)
    """The earliest moment (epoch ms) that a register was read, and the Wh; empty if none was."""
    latest: list[float] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether its end has arrived."""
        return self.ended_ms is not None

    def bill(self) -> Bill:
        """What it comes to."""
        start = self.start_wh if self.start_wh is not None or not self.earliest else self.earliest[1]
        stop = self.stop_wh if self.stop_wh is not None or not self.latest else self.latest[1]
        return Bill(
            self.transaction,
            self.evse,
            self.connector,
            self.token,
            None if self.started_ms is None else from_utc_ms(self.started_ms),
            None if self.ended_ms is None else from_utc_ms(self.ended_ms),
            self.stop_reason,
            start,
            stop,
            _difference(start, stop),
            self.started_ms is not None and self.ended and not self.seen.gaps,
        )


class Ledger:
    """The open and the recently ended transactions, oldest first, and their rows.

    Raises :class:`~ocpp_core.errors.StoreError` for rows that it did not write.
    """

    __slots__ = ("_limits", "_progress", "_rows", "_tables", "records", "serial")

    def __init__(self, tables: Tables, rows: str, progress: str, limits: tuple[int, int]) -> None:
        self._tables = tables
        self._rows = rows
        self._progress = progress
        self._limits = limits
        self.records: dict[str, Record] = {
            record.transaction: record for record in sorted(self._load(), key=lambda record: record.serial)
        }
        self.serial = max((record.serial for record in self.records.values()), default=0)

    def _load(self) -> Iterable[Record]:
        for transaction, row in self._tables.rows(self._rows):
            try:
                yield _record(transaction, json.loads(row), self._tables.get(self._progress, transaction))
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise StoreError(f"the row of transaction {transaction!r} is damaged: {error}") from error

    def create(self, transaction: str) -> tuple[Record, Record | None]:
        """A new transaction, and the open one that had to be forgotten for it, if any."""
        forgotten = self._drop_oldest(ended=False, limit=self._limits[0] - 1)
        self.serial += 1
        record = self.records[transaction] = Record(transaction, self.serial)
        return record, forgotten

    def save(self, record: Record) -> None:
        """Write all that is known of a transaction; an old ended one goes for one that has just ended."""
        self._tables.put(self._rows, record.transaction, json.dumps(_row(record)))
        self.save_progress(record)
        if record.ended:
            self._drop_oldest(ended=True, limit=self._limits[1])

    def save_progress(self, record: Record) -> None:
        """Write what every message changes."""
        # Lists of numbers are JSON as Python writes them; an encoder would take thrice as long, per message.
        row = f"[{record.seen.intervals},{record.fingerprints},{record.earliest},{record.latest}]"
        self._tables.put(self._progress, record.transaction, row)

    def _drop_oldest(self, *, ended: bool, limit: int) -> Record | None:
        same = [record for record in self.records.values() if record.ended is ended]
        if len(same) <= limit:
            return None
        oldest = same[0]
        del self.records[oldest.transaction]
        self._tables.delete(self._rows, oldest.transaction)
        self._tables.delete(self._progress, oldest.transaction)
        return oldest


def _difference(start: float | None, stop: float | None) -> float | None:
    if start is None or stop is None or stop < start:
        return None
    return float(Context(prec=40).subtract(Decimal(repr(stop)), Decimal(repr(start))))


def _row(record: Record) -> dict[str, object]:
    token, info = record.token, record.info
    return {
        "serial": record.serial,
        "evse": record.evse,
        "connector": record.connector,
        "token": token and [token.value, token.type],
        "info": info and info_row(info),
        "started": record.started_ms,
        "start_wh": record.start_wh,
        "ended": record.ended_ms,
        "stop_wh": record.stop_wh,
        "reason": record.stop_reason,
        "confirmed": record.confirmed,
    }


def info_row(info: IdTokenInfo) -> list[object]:
    """What was said of a token, as part of a row."""
    group = info.group
    return [info.status, group and [group.value, group.type], info.expires_ms, list(info.evses)]


def _record(transaction: str, row: Mapping[str, Any], progress: str | None) -> Record:
    info = row["info"]
    seen, fingerprints, earliest, latest = json.loads(progress or "[[],[],[],[]]")
    return Record(
        transaction,
        row["serial"],
        row["evse"],
        row["connector"],
        row["token"] and IdToken(*row["token"]),
        info
        and IdTokenInfo(AuthorizationStatus(info[0]), info[1] and IdToken(*info[1]), info[2], tuple(info[3])),
        row["started"],
        row["start_wh"],
        row["ended"],
        row["stop_wh"],
        row["reason"],
        row["confirmed"],
        SeenNumbers(seen),
        fingerprints,
        earliest,
        latest,
    )
