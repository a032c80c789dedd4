"""The demo on screen: who does what, line by line, and the table in the end."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .ledger import Pair
from .peers import Message

_COLOURS = ("cyan", "magenta", "yellow", "green")
_WIDTH = 118


class Transcript:
    """Prints one line per thing that happened, coloured by who told it."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, width=None if Console().is_terminal else _WIDTH)
        self._began = time.monotonic()
        self._colours: dict[str, str] = {}

    def story(self, text: str) -> None:
        """What the demo itself does."""
        self._line("", Text(text, style="bold"))

    def tell(self, name: str, event: Message) -> None:
        """What a process said."""
        if line := _describe(event):
            colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
            self._line(name, Text(line, style=colour))

    def _line(self, name: str, text: Text) -> None:
        at = f"{time.monotonic() - self._began:6.2f}"
        self._console.print(Text.assemble((at, "dim"), f"  {name:<8} ", text), soft_wrap=True)

    def table(self, pairs: Mapping[str, list[Pair]], versions: Mapping[str, str]) -> None:
        """What each side believes."""
        table = Table(title="What was delivered, and what was billed", title_style="bold")
        for column in ("station", "OCPP", "ended by"):
            table.add_column(column)
        for column in ("meter start", "meter stop", "delivered", "billed"):
            table.add_column(column, justify="right")
        table.add_column("agree")
        for station, found in pairs.items():
            for pair in found:
                table.add_row(station, versions[station], *_row(pair))
            table.add_section()
        table.add_row("all", "", "", "", "", *_totals(pairs))
        self._console.print(table)

    def say(self, text: str, *, good: bool) -> None:
        """The last word."""
        self._console.print(Text(text, style="bold green" if good else "bold red"))


def _row(pair: Pair) -> list[str]:
    ours, theirs = pair.station, pair.central
    known = ours or theirs
    assert known is not None
    return [
        str(known.reason),
        _wh(known.start_wh),
        _wh(known.stop_wh),
        _wh(ours.energy_wh) if ours else "unknown",
        _wh(theirs.energy_wh) if theirs else "missing",
        "yes" if pair.agrees else "NO",
    ]


def _totals(pairs: Mapping[str, list[Pair]]) -> list[str]:
    every = [pair for found in pairs.values() for pair in found]
    delivered = sum(pair.station.energy_wh or 0 for pair in every if pair.station)
    billed = sum(pair.central.energy_wh or 0 for pair in every if pair.central)
    return [_wh(delivered), _wh(billed), "yes" if all(pair.agrees for pair in every) else "NO"]


def _wh(value: float | None) -> str:
    return "?" if value is None else f"{value:,.15g} Wh"


def _describe(event: Message) -> str | None:
    """A line for an event; None for those that would only be noise."""
    match event["event"]:
        case "connection" if event["state"] != "connecting":
            return f"link {event['state']} {event.get('subprotocol') or event.get('reason') or ''}".rstrip()
        case "connected":
            return f"{event['station']} connects with {event['subprotocol']}"
        case "disconnected":
            return f"{event['station']} is gone"
        case "booted":
            return f"{event['station']} booted ({event['vendor']} {event['model']})"
        case "transaction":
            return _transaction(event)
        case _:
            return None


def _transaction(event: Message) -> str:
    who = f"{event['station']}: " if "station" in event else ""
    offline = " (while it was offline)" if event.get("offline") else ""
    meter = "" if event["meter_wh"] is None else f" at {_wh(event['meter_wh'])}"
    detail = event.get("stop_reason") or event.get("charging_state") or ""
    short = event["id"].partition("-")[0]
    return f"{who}transaction {short} {event['phase']}{meter}: {event['trigger']} {detail}".rstrip() + offline
