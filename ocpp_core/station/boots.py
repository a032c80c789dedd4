"""What a new boot of the station needs of the earlier ones: when it was that something happened."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..clock import Boot, Clock
from ..domain.metering import Sample
from ..domain.time import Stamp
from .tables import BootRow, OutboxRow, SecurityRow, Table, TransactionRow


def start_clock(boots: Table[BootRow], stamps: Iterable[Stamp], now: float) -> Clock:
    """A new boot: number it, and keep of the earlier ones what still dates a stamp."""
    earlier = boots.numbered()
    last: dict[int, float] = {}
    for stamp in stamps:
        if stamp.utc_ms is None:
            last[stamp.boot] = max(stamp.mono, last.get(stamp.boot, stamp.mono))
    known: dict[int, Boot] = {}
    undated = False
    for number, row in earlier:
        if number in last:
            row = replace(row, last=last[number] if row.last is None else row.last)
            known[number] = Boot(row.started, row.anchor, row.last)
            boots.put(str(number), row)
            undated = row.anchor is None
        elif undated and row.anchor is not None:
            known[number] = Boot(row.started, row.anchor)  # where it began, the undated one before it ended
            undated = False
        else:
            boots.delete(str(number))
    number = max((number for number, _ in earlier), default=0) + 1
    boots.put(str(number), BootRow(now))
    return Clock(number, now, known)


def stamps_on_record(
    outbox: Table[OutboxRow],
    transactions: Table[TransactionRow],
    samples: Table[Sample],
    log: Table[SecurityRow],
) -> Iterator[Stamp]:
    """Every moment on record that somebody may still be told."""
    for _, waiting in outbox.items():
        yield waiting.fact.at
        yield from (sample.at for sample in waiting.fact.samples)
    for _, row in transactions.items():
        yield row.begin.at
    yield from (sample.at for _, sample in samples.items())
    yield from (row.at for _, row in log.items())
