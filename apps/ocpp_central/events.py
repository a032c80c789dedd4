"""What happens at the stations, as JSON objects: the same words whatever OCPP version a station speaks."""

from datetime import datetime
from typing import Any

from ocpp_core.csms import (
    Bill,
    CsmsAction,
    HeartbeatReceived,
    MeterValuesReported,
    Notice,
    StationBooted,
    StatusReported,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
)

Event = dict[str, Any]


def event_of(station: str, action: CsmsAction) -> Event | None:
    """The event that tells of an action; None for what happens between the machines."""
    told: Event
    match action:
        case StationBooted():
            told = {"event": "booted", "model": action.info.model, "vendor": action.info.vendor}
        case HeartbeatReceived():
            told = {"event": "heartbeat"}
        case StatusReported():
            told = {
                "event": "status",
                "evse": action.ref.evse,
                "connector": action.ref.connector,
                "status": action.status,
                "wire_status": action.wire_status,
            }
        case TransactionEvent():
            told = _transaction(action)
        case MeterValuesReported():
            told = {"event": "meter_values", "evse": action.evse, "readings": len(action.readings)}
        case Notice():
            told = {"event": "notice", "kind": action.kind, "detail": action.detail}
        case _:
            return None
    return {"event": told.pop("event"), "station": station, **told}


def _transaction(event: TransactionEvent) -> Event:
    if isinstance(event, TransactionStarted):
        phase = "started"
    else:
        phase = "ended" if isinstance(event, TransactionEnded) else "updated"
    return {
        "event": "transaction",
        "id": event.transaction,
        "phase": phase,
        "evse": event.evse,
        "happened_at": _text(event.at),
        "trigger": event.trigger,
        "charging_state": event.charging_state,
        "meter_wh": event.meter_wh,
        "offline": event.offline,
        "stop_reason": event.stop_reason if isinstance(event, TransactionEnded) else None,
    }


def bill(station: str, of: Bill) -> Event:
    """A transaction as it is billed; energy in Wh, exact."""
    return {
        "station": station,
        "transaction": of.transaction,
        "evse": of.evse,
        "connector": of.connector,
        "token": None if of.id_token is None else of.id_token.value,
        "started_at": _text(of.started_at),
        "ended_at": _text(of.ended_at),
        "stop_reason": of.stop_reason,
        "start_wh": of.start_wh,
        "stop_wh": of.stop_wh,
        "energy_wh": of.energy_wh,
        "complete": of.complete,
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
