"""The array around a payload: what it must look like, and what can be read of one that does not.

Only for frames off the codec's short path.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from ocpp_core.versions import OcppVersion

from .error_codes import ErrorCode
from .frames import ID_LIMIT, CallError, CallResultError, Malformed, MessageType

ECHO_LIMIT = 255
"""Characters of an over-long message id up to which a CALLERROR still carries it."""
_SALVAGE_LIMIT = 2048
"""Characters at the start of a frame in which a header is looked for: an id in escapes fits."""
_SALVAGE = re.compile(
    r"[ \t\r\n]*\[[ \t\r\n]*(\d{1,9})"  # the message type
    r'(?:[ \t\r\n]*,[ \t\r\n]*("[^"\\]*(?:\\.[^"\\]*)*"))?'  # the message id, escapes and all
).match

_LENGTHS = {MessageType.CALL: 4, MessageType.CALLRESULT: 3, MessageType.SEND: 4}
_KNOWN = {
    OcppVersion.V16: frozenset({2, 3, 4}),
    OcppVersion.V201: frozenset({2, 3, 4}),
    OcppVersion.V21: frozenset({2, 3, 4, 5, 6}),
}


@dataclass(slots=True)
class Envelope:
    """A CALL, CALLRESULT or SEND whose array is sound; its payload is not looked at yet."""

    kind: MessageType
    call_id: str
    action: str | None
    """None for a CALLRESULT, which does not name it."""
    payload: dict[str, Any]
    """Empty also if it was ``null``."""


def open_envelope(value: Any, version: OcppVersion) -> Envelope | CallError | CallResultError | Malformed:
    """Check the array of a frame that was parsed as JSON.

    An error frame is read for what it says, however incomplete: it ends a call in any case.
    """
    if not isinstance(value, list):
        return _malformed(None, None, "a message is a JSON array")
    head = value[0] if value else None
    kind = head if type(head) is int else None
    call_id = value[1] if len(value) > 1 and isinstance(value[1], str) else None
    if kind is None:
        return _malformed(None, call_id, "the message type is no integer")
    if kind not in _KNOWN[version]:
        return _unknown_type(kind, call_id)
    if call_id is None:
        return _malformed(kind, None, "the message id is no string")
    if kind == MessageType.CALLERROR:
        return CallError(call_id, *_error_members(value))
    if kind == MessageType.CALLRESULTERROR:
        return CallResultError(call_id, *_error_members(value))
    return _open_payload(MessageType(kind), call_id, value)


def _open_payload(kind: MessageType, call_id: str, value: list[Any]) -> Envelope | Malformed:
    if len(call_id) > ID_LIMIT:
        return _malformed(kind, call_id, f"the message id is longer than {ID_LIMIT} characters")
    if len(value) != _LENGTHS[kind]:
        return _malformed(kind, call_id, f"a {kind.name} has {_LENGTHS[kind]} elements, not {len(value)}")
    action = None if kind is MessageType.CALLRESULT else value[2]
    if kind is not MessageType.CALLRESULT and not isinstance(action, str):
        return _malformed(kind, call_id, "the action is no string")
    payload = {} if value[-1] is None else value[-1]
    if not isinstance(payload, dict):
        return Malformed(kind, call_id, ErrorCode.FORMAT_VIOLATION, "the payload is no JSON object")
    return Envelope(kind, call_id, action, payload)


def salvage(text: str, version: OcppVersion, description: str) -> Malformed:
    """Read message type and id, where that can be done, of a text that is not JSON or not to be parsed."""
    header = _SALVAGE(text, 0, _SALVAGE_LIMIT)
    if header is None:
        return _malformed(None, None, description)
    try:
        call_id = from_json(header[2]) if header[2] else None
    except (ValueError, TypeError):
        call_id = None
    kind = int(header[1])
    if kind not in _KNOWN[version]:
        return _unknown_type(kind, call_id)
    if call_id is None:
        return _malformed(kind, None, description)
    return Malformed(kind, _echoable(call_id), ErrorCode.FORMAT_VIOLATION, description)


def _error_members(value: list[Any]) -> tuple[str, str, Mapping[str, Any]]:
    code, description, details = (*value[2:5], None, None, None)[:3]
    return (
        code if isinstance(code, str) else "",
        description if isinstance(description, str) else "",
        details if isinstance(details, dict) else {},
    )


def _unknown_type(kind: int, call_id: str | None) -> Malformed:
    name = f"message type {kind}" if abs(kind) < 10**9 else "this message type"
    return Malformed(
        kind, _echoable(call_id), ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, f"{name} is not supported"
    )


def _malformed(kind: int | None, call_id: str | None, description: str) -> Malformed:
    return Malformed(kind, _echoable(call_id), ErrorCode.RPC_FRAMEWORK_ERROR, description)


def _echoable(call_id: str | None) -> str | None:
    return call_id if call_id is None or len(call_id) <= ECHO_LIMIT else None
