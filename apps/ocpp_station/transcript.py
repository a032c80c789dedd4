"""The same events for people: one line each, on standard error."""

from collections.abc import Callable
from typing import Any

from .events import Event

_WIDTH = 160


def line_of(event: Event) -> str:
    """One readable line for an event."""
    describe = _LINES.get(event["event"], _other)
    text = f"{event['at']:9.3f}  {describe(event)}"
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _connection(event: Event) -> str:
    details = [str(event[name]) for name in ("subprotocol", "reason") if name in event]
    slot = [f"({event['slot']})"] if "slot" in event else []
    return " ".join(["link", *slot, event["state"], *details])


def _frame(event: Event) -> str:
    return f"{'->' if event['dir'] == 'out' else '<-'} {event['text']}"


def _status(event: Event) -> str:
    return f"EVSE {event['evse']} connector {event['connector']} is {event['status']}"


def _transaction(event: Event) -> str:
    state = event.get("stop_reason") or event.get("charging_state") or ""
    return (
        f"EVSE {event['evse']} transaction {event['id']} {event['phase']}: "
        f"{event['trigger']}, {event['meter_wh']:.15g} Wh {state}".rstrip()
    )


def _other(event: Event) -> str:
    details: list[Any] = [value for name, value in event.items() if name not in ("event", "at")]
    return " ".join(map(str, [event["event"], *details]))


_LINES: dict[str, Callable[[Event], str]] = {
    "connection": _connection,
    "frame": _frame,
    "status": _status,
    "transaction": _transaction,
}
