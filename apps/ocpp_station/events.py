"""What the station does, as the events of the control contract."""

import json
from typing import Any

from ocpp_core.station import (
    CallFailed,
    CallSucceeded,
    FactHandedOver,
    LinkChanged,
    Notice,
    OpenLink,
    RegistrationChanged,
    SendFrame,
    StationAction,
    StatusChanged,
    TransactionChanged,
)
from ocpp_core.wire import Text

Event = dict[str, Any]


def event_of(action: StationAction | Text, *, slots: bool = False) -> Event | None:
    """The event that tells of an action or of a frame that came, or None for what the hardware alone sees.

    ``slots``: the station has several network profiles, and events say which of them.
    """
    match action:
        case SendFrame():
            return {"event": "frame", "dir": "out", "text": action.text}
        case Text():
            return {"event": "frame", "dir": "in", "text": action.text}
        case OpenLink():
            return {"event": "connection", "state": "connecting"} | _slot(action, slots)
        case LinkChanged():
            return _connection(action) | _slot(action, slots)
        case StatusChanged():
            return {
                "event": "status",
                "evse": action.ref.evse,
                "connector": action.ref.connector,
                "status": action.status,
                "status_16": action.status_16,
            }
        case TransactionChanged():
            return _transaction(action)
        case RegistrationChanged():
            return {"event": "notice", "kind": "registration", "status": action.status}
        case CallSucceeded(action=name, response=response):
            return {
                "event": "notice",
                "kind": "answered",
                "action": name,
                "with": json.loads(response.to_json()),
            }
        case CallFailed(action=name, reason=reason, code=code):
            return {"event": "notice", "kind": "not answered", "action": name, "reason": reason, "code": code}
        case FactHandedOver():
            return _handed_over(action)
        case Notice():
            return {"event": "notice", "kind": action.kind, "detail": action.detail}
        case _:
            return None


def _connection(action: LinkChanged) -> Event:
    if action.version is not None:
        return {"event": "connection", "state": "connected", "subprotocol": action.version}
    event: Event = {"event": "connection", "state": "disconnected"}
    return event | ({"reason": action.reason} if action.reason else {})


def _slot(action: OpenLink | LinkChanged, slots: bool) -> Event:
    return {"slot": action.slot} if slots else {}


def _handed_over(action: FactHandedOver) -> Event:
    """What no CSMS will hear of: enough to bill it by hand."""
    fact = action.fact
    return {
        "event": "notice",
        "kind": "fact handed over",
        "csms": action.csms,
        "version": action.version,
        "csms_id": action.csms_id,
        "attempted": action.attempted,
        "transaction": fact.transaction,
        "evse": fact.evse,
        "phase": fact.phase.lower(),
        "trigger": fact.trigger,
        "token": fact.driver.value if fact.driver else None,
        "meter_wh": fact.meter_wh,
        "utc_ms": fact.at.utc_ms,
    }


def _transaction(action: TransactionChanged) -> Event:
    event: Event = {
        "event": "transaction",
        "id": action.transaction,
        "evse": action.evse,
        "phase": action.phase.lower(),
        "trigger": action.trigger,
        "meter_wh": action.meter_wh,
    }
    if action.charging_state is not None:
        event["charging_state"] = action.charging_state
    if action.stop_reason is not None:
        event["stop_reason"] = action.stop_reason
    return event
