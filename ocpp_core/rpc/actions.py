"""What an :class:`~ocpp_core.rpc.session.RpcSession` hands to its owner, in the order to carry it out."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from ocpp_core.messages import Request, Response
from ocpp_core.values import value


class FailureReason(StrEnum):
    """Why a call of ours ended without a response."""

    CALL_ERROR = "call-error"
    """The peer answered with a CALLERROR; code, description and details are the peer's."""
    TIMEOUT = "timeout"
    """No answer came within the call's time-out on a live link, counted from the moment it was sent."""
    DISCONNECTED = "disconnected"
    """The link was lost while the call was in flight (the peer may have acted on it) or queued (not sent)."""
    BAD_RESPONSE = "bad-response"
    """The peer answered with a CALLRESULT that is not a valid response to this action."""
    CANCELLED = "cancelled"
    """The local caller withdrew the call."""


class NoticeKind(StrEnum):
    """What a :class:`RpcNotice` tells; none of them needs an answer."""

    LATE_RESPONSE = "late-response"
    """An answer to a call that had timed out, was cancelled or belonged to a lost link; ignored."""
    DUPLICATE_RESPONSE = "duplicate-response"
    """A further answer to a call that was answered already; ignored."""
    UNKNOWN_ID = "unknown-id"
    """An answer to a call that is not remembered; ignored."""
    CALL_REFUSED = "call-refused"
    """A CALL of the peer was answered with a CALLERROR by this layer."""
    CALL_REPEATED = "call-repeated"
    """A CALL came again: answered from the record, or still being handled and so not delivered twice."""
    CALLS_OVERLAP = "calls-overlap"
    """The peer sent a CALL although an earlier one is unanswered (it may have timed out there)."""
    ANSWER_NOT_SENT = "answer-not-sent"
    """An answer was given after the link of its call was lost; a repeated call is answered with it."""
    UNREADABLE = "unreadable"
    """A frame that is no OCPP-J message was dropped, or answered as the version says."""
    SEND_DROPPED = "send-dropped"
    """A SEND was invalid; the standard allows no answer to it."""
    REPAIRED = "repaired"
    """A payload was accepted only under the peer's tolerance profile; one notice per repair."""


@value
class SendFrame:
    """Send ``text`` as one text message."""

    text: str


@value
class CallReceived:
    """A valid CALL, owed exactly one ``respond()`` or ``respond_error()``.

    ``repeated``: the id was used by an earlier call that this one does not repeat exactly, or whose answer
    was an error; a CSMS checks by content whether it has processed the same facts before.
    """

    call_id: str
    action: str
    request: Request
    repeated: bool = False


@value
class SendReceived:
    """A valid SEND (OCPP 2.1); it is never answered."""

    call_id: str
    action: str
    request: Request


@value
class CallSucceeded:
    """Our call was answered; ``request`` is the object that was handed to ``call()``."""

    call_id: str
    action: str
    request: Request
    response: Response


@value
class CallFailed:
    """Our call ended without a response; ``request`` is the object that was handed to ``call()``.

    ``code`` is the error code as the peer spelled it (known or not) for CALL_ERROR, the code that describes
    the violation for BAD_RESPONSE, and empty otherwise.
    """

    call_id: str
    action: str
    request: Request
    reason: FailureReason
    code: str
    description: str
    details: Mapping[str, Any]


@value
class ResponseRefused:
    """The peer could not process a response of ours (CALLRESULTERROR, OCPP 2.1)."""

    call_id: str
    code: str
    description: str
    details: Mapping[str, Any]


@value
class RpcNotice:
    """Something an operator may want to know; ``detail`` is at most 255 characters."""

    kind: NoticeKind
    detail: str


RpcAction = SendFrame | CallReceived | SendReceived | CallSucceeded | CallFailed | ResponseRefused | RpcNotice
