"""Frames as text, text as frames; usable alone.

A common frame takes the short path: one regular expression reads its header, and the model of that very
action parses and validates what lies between the header and the closing bracket, in one go. The expression
takes only headers without escapes, which it reads as JSON does, so what it takes is a valid frame if and
only if that remainder is a valid payload. Everything else, and every payload that fails, is taken apart on
the long path to find the right error.

Of members that occur twice in an object the last one counts, on both paths (RFC 8259 §4 leaves it open). A
payload of ``null`` is the empty payload (1.6-J §4.2.1, 2.x part 4 §4.1.5).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from json import dumps
from json.encoder import encode_basestring_ascii as _quote
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from ocpp_core.errors import LocalProtocolError
from ocpp_core.messages import (
    STRICT,
    Direction,
    Payload,
    Request,
    Response,
    Tolerance,
    message_set,
    validate_tolerantly,
)
from ocpp_core.versions import OcppVersion, Role

from .directions import RECEIVED_BY, SENT_BY
from .envelope import Envelope, open_envelope, salvage
from .error_codes import DESCRIPTION_LIMIT, ErrorCode
from .frames import (
    ID_LIMIT,
    Call,
    CallError,
    CallResult,
    CallResultError,
    Frame,
    Malformed,
    MessageType,
    Send,
    UnmatchedResult,
)
from .violations import describe

_SPACE = r"[ \t\r\n]*"
_COMMA = f"{_SPACE},{_SPACE}"
_ID = rf'"([^"\\\x00-\x1f\ud800-\udfff]{{0,{ID_LIMIT}}})"'
_HEADER = re.compile(
    rf'{_SPACE}\[{_SPACE}(?:([26]){_COMMA}{_ID}{_COMMA}"([A-Za-z0-9]+)"{_COMMA}|3{_COMMA}{_ID}{_COMMA})'
).match
_REQUEST_GROUPS = 3
"""The groups of a header that names an action; a CALLRESULT's id is the fourth."""
_FRAME_OF: dict[str, Callable[..., Call | CallResult | Send]] = {"2": Call, "3": CallResult, "6": Send}

Validate = Callable[[str | bytes], Any]
ActionOf = Callable[[str], str | None]


def _no_calls(_call_id: str) -> None:
    """The ``action_of`` of someone who made no call."""


class Codec:
    """Encodes and decodes the frames of one version.

    It holds nothing but the validators it has built, so one codec serves any number of connections; see
    :func:`codec_for`.

    Arguments:
        version: the version of OCPP.
        role: who reads; requests that this role does not receive are refused (NotSupported). None: the
            frames of both directions are read, as a bridge or a log viewer needs.
    """

    __slots__ = ("_messages", "_received", "_sent", "_validators", "version")

    def __init__(self, version: OcppVersion, role: Role | None = None) -> None:
        self.version = version
        self._messages = message_set(version)
        self._received = RECEIVED_BY[role] if role else frozenset(Direction)
        self._sent = SENT_BY[role] if role else frozenset(Direction)
        self._validators: dict[str, Validate] = {}

    def prebuild(self, actions: Iterable[str] | None = None) -> None:
        """Build the validators of ``actions`` (None: of every action) now rather than at first use.

        For servers, which then freeze the garbage collector's generations; a second or so per version.

        Raises:
            LocalProtocolError: the version has no such action.
        """
        for action in self._messages.actions if actions is None else actions:
            if action not in self._messages.actions:
                raise LocalProtocolError(f"OCPP {self.version.number} has no action {action!r}")
            for kind in "236":
                self._validator(kind, action)

    def encode_call(self, call_id: str, request: Request) -> str:
        """A CALL.

        Raises:
            LocalProtocolError: the request cannot be written as JSON (so for every ``encode`` method).
        """
        return f'[2,{_quote(call_id)},"{request.ACTION}",{_json_of(request)}]'

    def encode_result(self, call_id: str, response: Response) -> str:
        """A CALLRESULT."""
        return f"[3,{_quote(call_id)},{_json_of(response)}]"

    def encode_error(
        self, call_id: str, code: ErrorCode, description: str = "", details: Mapping[str, Any] | None = None
    ) -> str:
        """A CALLERROR; ``code`` is spelled as the version does, ``description`` cut to 255 characters."""
        return self._encode_error(MessageType.CALLERROR, call_id, code, description, details)

    def encode_result_error(
        self, call_id: str, code: ErrorCode, description: str = "", details: Mapping[str, Any] | None = None
    ) -> str:
        """A CALLRESULTERROR (OCPP 2.1)."""
        self._require_21("CALLRESULTERROR")
        return self._encode_error(MessageType.CALLRESULTERROR, call_id, code, description, details)

    def encode_send(self, call_id: str, request: Request) -> str:
        """A SEND (OCPP 2.1)."""
        self._require_21("SEND")
        return f'[6,{_quote(call_id)},"{request.ACTION}",{_json_of(request)}]'

    def decode(self, text: str, action_of: ActionOf = _no_calls, tolerance: Tolerance = STRICT) -> Frame:
        """The frame that ``text`` is; never raises, whatever the text.

        Arguments:
            text: one text message of the peer. Its size is the caller's to limit.
            action_of: the action of a call of ours that awaits its answer, by message id (a mapping's
                ``get``); a CALLRESULT to any other id is an :class:`UnmatchedResult`.
            tolerance: what to repair in a payload that strict validation refuses.
        """
        header = _HEADER(text)
        if header is None or text[-1] != "]":
            return self._examine(text, action_of, tolerance, None)
        if header.lastindex == _REQUEST_GROUPS:
            kind, call_id, action, _ = header.groups()
        else:
            kind, call_id = "3", header[4]
            action = action_of(call_id)
            if action is None:
                return UnmatchedResult(call_id)
        validate = self._validators.get(kind + action) or self._validator(kind, action)
        if validate is None:
            return self._examine(text, action_of, tolerance, None)
        try:
            payload = validate(text[header.end() : -1])
        except ValidationError as error:
            return self._examine(text, action_of, tolerance, error)
        return _FRAME_OF[kind](call_id, action, payload)

    def _validator(self, kind: str, action: str) -> Validate | None:
        """The validator of a frame that may be received; None if there can be no such frame."""
        key = kind + action
        validate = self._validators.get(key)
        if validate is None and self._expects(kind, action):
            validate = self._validators[key] = self._build(kind, action)
        return validate

    def _expects(self, kind: str, action: str) -> bool:
        known = self._messages.actions.get(action)
        if known is None or known.confirmed is (kind == "6"):
            return False
        return known.direction in (self._sent if kind == "3" else self._received)

    def _build(self, kind: str, action: str) -> Validate:
        model = self._model(kind, action)
        model.model_rebuild()
        return model.__pydantic_validator__.validate_json

    def _model(self, kind: str, action: str) -> type[Payload]:
        return self._messages.response(action) if kind == "3" else self._messages.request(action)

    def _examine(
        self, text: str, action_of: ActionOf, tolerance: Tolerance, error: ValidationError | None
    ) -> Frame:
        """The long path. ``error`` is what the short path ran into, if it came as far as validating."""
        envelope = self._open(text)
        if isinstance(envelope, Malformed):
            return _matched(envelope, action_of)
        if not isinstance(envelope, Envelope):
            return envelope
        kind = str(envelope.kind.value)
        action = action_of(envelope.call_id) if envelope.action is None else envelope.action
        if action is None:
            return UnmatchedResult(envelope.call_id)
        validate = self._validator(kind, action)
        if validate is None:
            return self._unexpected(envelope, action)
        if error is None or not envelope.payload:  # null has become the empty payload meanwhile
            try:
                payload = validate(to_json(envelope.payload, inf_nan_mode="constants"))
            except ValidationError as found:
                error = found
            else:
                return _FRAME_OF[kind](envelope.call_id, action, payload)
        return self._tolerate(envelope, action, tolerance, error)

    def _open(self, text: str) -> Envelope | CallError | CallResultError | Malformed:
        try:
            value = from_json(text, allow_inf_nan=False)
        except ValueError as syntax:
            return salvage(text, self.version, f"not JSON: {syntax}")
        except TypeError:
            return salvage(text, self.version, "not JSON: a lone surrogate is no character")
        return open_envelope(value, self.version)

    def _tolerate(
        self, envelope: Envelope, action: str, tolerance: Tolerance, error: ValidationError
    ) -> Frame:
        """What to make of a payload that breaks the schema."""
        kind = str(envelope.kind.value)
        if tolerance:
            payload, repairs = validate_tolerantly(self._model(kind, action), envelope.payload, tolerance)
            if payload is not None:
                return _FRAME_OF[kind](envelope.call_id, action, payload, tuple(repairs))
        code, description = describe(error, self.version)
        return Malformed(envelope.kind, envelope.call_id, code, description)

    def _unexpected(self, envelope: Envelope, action: str) -> Malformed:
        """Why this version or this role does not receive ``action`` in such a frame."""
        known = self._messages.actions.get(action)
        if known is None:
            code, why = ErrorCode.NOT_IMPLEMENTED, f"OCPP {self.version.number} has no action {action[:50]}"
        elif known.direction not in self._received:
            code, why = ErrorCode.NOT_SUPPORTED, f"{action} goes from {known.direction}"
        else:
            code, why = ErrorCode.NOT_SUPPORTED, f"{action} is not sent as a {envelope.kind.name}"
        return Malformed(envelope.kind, envelope.call_id, code, why)

    def _encode_error(
        self,
        kind: MessageType,
        call_id: str,
        code: ErrorCode,
        description: str,
        details: Mapping[str, Any] | None,
    ) -> str:
        try:
            members = dumps(dict(details or {}), allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            raise LocalProtocolError(f"error details are not JSON: {error}") from error
        text = _quote(description[:DESCRIPTION_LIMIT])
        return f'[{kind.value},{_quote(call_id)},"{code.spelling(self.version)}",{text},{members}]'

    def _require_21(self, what: str) -> None:
        if self.version is not OcppVersion.V21:
            raise LocalProtocolError(f"OCPP {self.version.number} has no {what}")


@cache
def codec_for(version: OcppVersion, role: Role | None = None) -> Codec:
    """The codec of a version and role that all connections of a process share."""
    return Codec(version, role)


def _matched(frame: Malformed, action_of: ActionOf) -> Malformed | UnmatchedResult:
    """A bad CALLRESULT to no call of ours is unmatched before it is bad."""
    call_id = frame.call_id
    if frame.message_type != MessageType.CALLRESULT or call_id is None or action_of(call_id) is not None:
        return frame
    return UnmatchedResult(call_id)


def _json_of(payload: Payload) -> str:
    try:
        return payload.to_json()
    except ValueError as error:
        raise LocalProtocolError(f"{type(payload).__name__} cannot be written as JSON: {error}") from error
