"""Calls and answers over one OCPP-J link, for either role.

The session is fed with text messages and with what its owner wants to say, and hands out actions::

    session = RpcSession(OcppVersion.V201, Role.STATION, os.urandom)
    session.call(v201.HeartbeatRequest(), now)
    for action in session.actions():
        ...                             # SendFrame: send its text; CallReceived: respond(); ...
    session.receive_frame(text, now)
    session.handle_timer(now)           # when next_timer() is due

At most one CALL of ours is in flight (1.6-J §4.1.1, 2.x part 4 §4.1.1); every call ends in exactly one
CallSucceeded or CallFailed. Nothing a peer sends raises. What the local caller does wrong raises
:class:`~ocpp_core.errors.LocalProtocolError` and changes nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ocpp_core.entropy import Entropy, message_id
from ocpp_core.errors import LocalProtocolError
from ocpp_core.messages import Repair, Request, Response
from ocpp_core.messages.tolerance import path_text
from ocpp_core.versions import OcppVersion, Role

from .actions import (
    CallFailed,
    CallReceived,
    CallSucceeded,
    FailureReason,
    NoticeKind,
    ResponseRefused,
    RpcAction,
    RpcNotice,
    SendFrame,
    SendReceived,
)
from .answers import AnswerCache
from .codec import codec_for
from .config import RpcConfig
from .envelope import salvage
from .error_codes import DESCRIPTION_LIMIT, ErrorCode
from .frames import (
    ID_LIMIT,
    UNREADABLE_ID,
    Call,
    CallError,
    CallResult,
    CallResultError,
    Malformed,
    MessageType,
    Send,
    UnmatchedResult,
)
from .incoming import IncomingCalls, Reception
from .outgoing import OutgoingCall, OutgoingCalls
from .ranks import ORDERED_ACTIONS, CallRank, default_rank
from .sendable import check_payload, check_request, check_response

_REPAIR_NOTICES = 16
"""Repairs of one payload that are noticed one by one."""
_DEFAULT_CONFIG = RpcConfig()


class RpcSession:
    """One end of OCPP-J, on one link after another.

    Arguments:
        version: the version negotiated.
        role: which end this is.
        entropy: the source of message ids.
        config: time-out and limits.
        answers: a record of answers to go on with, kept from an earlier session with the same station.
    """

    __slots__ = ("_actions", "_codec", "_config", "_entropy", "_incoming", "_outgoing", "role", "version")

    def __init__(
        self,
        version: OcppVersion,
        role: Role,
        entropy: Entropy,
        config: RpcConfig = _DEFAULT_CONFIG,
        answers: AnswerCache | None = None,
    ) -> None:
        self.version = version
        self.role = role
        self._entropy = entropy
        self._config = config
        self._codec = codec_for(version, role)
        self._actions: list[RpcAction] = []
        self._outgoing = OutgoingCalls(config.queue_limit)
        recorded = config.recorded_actions
        if recorded is None:
            recorded = ORDERED_ACTIONS if role is Role.CSMS else frozenset()
        answers = AnswerCache(config.answer_cache) if answers is None else answers
        self._incoming = IncomingCalls(config.unanswered_limit, answers, recorded)

    @property
    def idle(self) -> bool:
        """No call of ours is in flight or queued."""
        return self._outgoing.idle

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The ids of the peer's calls that await ``respond()`` or ``respond_error()``, oldest first."""
        return tuple(self._incoming.unanswered)

    @property
    def answers(self) -> AnswerCache:
        """The record of answers, to be handed to the next session with the same station."""
        return self._incoming.answers

    def actions(self) -> list[RpcAction]:
        """Everything to do since the last call, in order; handed over once."""
        actions, self._actions = self._actions, []
        return actions

    def next_timer(self) -> float | None:
        """When ``handle_timer`` must be called; None: no need."""
        call = self._outgoing.in_flight
        return None if call is None else call.deadline

    def call(
        self,
        request: Request,
        now: float,
        *,
        call_id: str | None = None,
        timeout: float | None = None,
        rank: CallRank | None = None,
    ) -> str:
        """Send ``request`` as a CALL, now or when its turn comes.

        Arguments:
            request: a request of this version that this role sends.
            now: monotonic seconds.
            call_id: the id of the call that this one repeats; None: a fresh one.
            timeout: seconds until it counts as unanswered; None: the configured ``message_timeout``.
            rank: its class in the queue; None: :func:`~ocpp_core.rpc.ranks.default_rank` of the action.

        Returns:
            the message id.

        Raises:
            LocalProtocolError: the request is of another version or direction, is sent with ``send()``, is
                not valid, its id is in use or too long, or there is no room for it.
        """
        self._check_request(request, confirmed=True)
        if timeout is not None and not timeout > 0:
            raise LocalProtocolError("the time-out must be positive")
        if self._outgoing.full:
            raise LocalProtocolError("a call is in flight and no further one can wait")
        call_id = message_id(self._entropy) if call_id is None else call_id
        if len(call_id) > ID_LIMIT or self._outgoing.find(call_id) is not None:
            raise LocalProtocolError(f"message id {call_id!r} is in use or longer than {ID_LIMIT} characters")
        text = self._codec.encode_call(call_id, request)
        timeout = self._config.message_timeout if timeout is None else timeout
        rank = default_rank(request.ACTION) if rank is None else rank
        self._outgoing.add(OutgoingCall(call_id, request, text, timeout, rank))
        self._launch(now)
        return call_id

    def send(self, request: Request, now: float) -> str:
        """Send ``request`` as a SEND (OCPP 2.1): at once, unanswered.

        Returns:
            the message id.

        Raises:
            LocalProtocolError: the version has no SEND, or the request is not one to be sent so.
        """
        self._check_request(request, confirmed=False)
        call_id = message_id(self._entropy)
        self._actions.append(SendFrame(self._codec.encode_send(call_id, request)))
        return call_id

    def cancel(self, call_id: str, now: float) -> None:
        """Give up a call: it fails CANCELLED at once.

        A call in flight still holds the slot until it is answered or times out, as the standard asks.

        Raises:
            LocalProtocolError: no such call is in flight or queued.
        """
        call = self._outgoing.find(call_id)
        if call is None or call.cancelled:
            raise LocalProtocolError(f"no call {call_id!r} is in flight or queued")
        self._outgoing.withdraw(call)
        self._actions.append(_failed(call, FailureReason.CANCELLED, "cancelled by the caller"))

    def recall(self, now: float) -> None:
        """Take back the call in flight, whose frame was not sent after all: as if it had not been made.

        It ends in nothing, and the next call goes. For an owner that makes something durable before it sends.

        Raises:
            LocalProtocolError: no call is in flight.
        """
        if self._outgoing.in_flight is None:
            raise LocalProtocolError("no call is in flight")
        self._outgoing.in_flight = None
        self._launch(now)

    def link_lost(self, now: float) -> None:
        """The link is gone: every call of ours fails DISCONNECTED; frames not yet handed out are dropped.

        The peer's unanswered calls may still be answered: the answer goes on record, or out over the next
        link if the peer repeats the call there. The session is ready for that next link.
        """
        self._actions = [action for action in self._actions if not isinstance(action, SendFrame)]
        for call in self._outgoing.clear():
            self._actions.append(_failed(call, FailureReason.DISCONNECTED, "the link was lost"))
        self._incoming.unlink()

    def handle_timer(self, now: float) -> None:
        """Let the call in flight time out, if its time has come; harmless at any other time."""
        call = self._outgoing.in_flight
        if call is None or now < call.deadline:
            return
        if not call.cancelled:
            description = f"no answer within {call.timeout:g} s"
            self._actions.append(_failed(call, FailureReason.TIMEOUT, description))
        self._outgoing.end(NoticeKind.LATE_RESPONSE)
        self._launch(now)

    def respond(self, call_id: str, response: Response, now: float) -> None:
        """Answer the peer's call with a CALLRESULT.

        Raises:
            LocalProtocolError: no such call awaits an answer, or the response is of another action or
                version, or not valid.
        """
        action = self._owed(call_id)
        check_response(response, action, self.version)
        if self._config.validate_outgoing:
            check_payload(response)
        text = self._codec.encode_result(call_id, response)
        self._answer(call_id, text, recorded=text)

    def respond_error(
        self,
        call_id: str,
        code: ErrorCode,
        description: str,
        details: Mapping[str, Any] | None,
        now: float,
    ) -> None:
        """Answer the peer's call with a CALLERROR.

        Arguments:
            call_id: the id of the call.
            code: the error code; the version's spelling is seen to.
            description: cut to 255 characters.
            details: a JSON object; None: an empty one.
            now: monotonic seconds.

        Raises:
            LocalProtocolError: no such call awaits an answer, or the details are not JSON.
        """
        self._owed(call_id)
        self._answer(call_id, self._codec.encode_error(call_id, code, description, details), recorded=None)

    def receive_frame(self, text: str, now: float) -> None:
        """Take in one text message of the peer; never raises, whatever the text."""
        config = self._config
        if len(text) > config.max_frame_size:
            description = f"longer than {config.max_frame_size} characters"
            self._on_malformed(salvage(text, self.version, description), now)
            return
        frame = self._codec.decode(text, self._outgoing.awaited_action, config.tolerance)
        match frame:
            case Call():
                self._on_call(frame, text)
            case CallResult():
                self._on_result(frame, now)
            case CallError(call_id, code, description, details):
                self._settle(
                    call_id,
                    lambda call: _failed(call, FailureReason.CALL_ERROR, description, code, details),
                    now,
                )
            case Send():
                self._notice_repairs(frame.action, frame.repairs)
                self._actions.append(SendReceived(frame.call_id, frame.action, frame.payload))
            case CallResultError(call_id, code, description, details):
                self._actions.append(ResponseRefused(call_id, code, description, details))
            case UnmatchedResult(call_id):
                self._notice_unmatched(call_id)
            case _:
                self._on_malformed(frame, now)

    # What the peer's frames lead to.

    def _on_call(self, frame: Call, text: str) -> None:
        call_id, action = frame.call_id, frame.action
        answer = self._incoming.answers.find(call_id, text)
        if answer is not None:
            self._notice(NoticeKind.CALL_REPEATED, f"{action} {call_id}: answered from the record")
            self._actions.append(SendFrame(answer))
            return
        match self._incoming.receive(call_id, action, text):
            case Reception.NEW:
                pass  # looked for first, as it is nearly always
            case Reception.BEING_HANDLED:
                self._notice(NoticeKind.CALL_REPEATED, f"{action} {call_id}: still being handled")
                return
            case Reception.ID_IN_USE:
                self._refuse(call_id, ErrorCode.GENERIC_ERROR, "a call with this message id is being handled")
                return
            case Reception.TOO_MANY:
                self._refuse(call_id, ErrorCode.GENERIC_ERROR, "too many earlier calls await their answer")
                return
            case _:  # OVERLAPPING
                self._notice(NoticeKind.CALLS_OVERLAP, f"{action} {call_id}")
        if frame.repairs:
            self._notice_repairs(action, frame.repairs)
        self._actions.append(CallReceived(call_id, action, frame.payload, call_id in self._incoming.answers))

    def _on_result(self, frame: CallResult, now: float) -> None:
        self._notice_repairs(frame.action, frame.repairs)
        self._settle(
            frame.call_id,
            lambda call: CallSucceeded(call.call_id, frame.action, call.request, frame.payload),
            now,
        )

    def _on_malformed(self, frame: Malformed, now: float) -> None:
        kind, call_id, description = frame.message_type, frame.call_id, frame.description
        if frame.code is ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED or kind in (None, MessageType.CALL):
            self._refuse_frame(frame)
        elif kind == MessageType.SEND:
            self._notice(NoticeKind.SEND_DROPPED, f"{call_id}: {description}")
        elif call_id is None or kind == MessageType.CALLRESULTERROR:
            self._notice(NoticeKind.UNREADABLE, description)
        elif kind == MessageType.CALLERROR:
            self._settle(call_id, lambda call: _failed(call, FailureReason.CALL_ERROR, description), now)
        else:
            self._on_bad_result(call_id, frame, now)

    def _on_bad_result(self, call_id: str, frame: Malformed, now: float) -> None:
        code = frame.code.spelling(self.version)
        if self.version is OcppVersion.V21 and self._outgoing.awaited_action(call_id) is not None:
            answer = self._codec.encode_result_error(call_id, frame.code, frame.description)
            self._actions.append(SendFrame(answer))
        self._settle(
            call_id,
            lambda call: _failed(call, FailureReason.BAD_RESPONSE, frame.description, code),
            now,
        )

    def _settle(self, call_id: str, outcome: Callable[[OutgoingCall], RpcAction], now: float) -> None:
        """An answer to ``call_id`` came: end that call, if it is the one in flight."""
        call = self._outgoing.in_flight
        if call is None or call.call_id != call_id:
            self._notice_unmatched(call_id)
            return
        if call.cancelled:
            self._notice(NoticeKind.LATE_RESPONSE, f"{call_id}: the call was cancelled")
        else:
            self._actions.append(outcome(call))
        self._outgoing.end(NoticeKind.DUPLICATE_RESPONSE)
        self._launch(now)

    def _launch(self, now: float) -> None:
        call = self._outgoing.launch(now)
        if call is not None:
            self._actions.append(SendFrame(call.text))

    def _refuse_frame(self, frame: Malformed) -> None:
        """Answer what is no valid CALL with a CALLERROR, or not at all, as the version says."""
        call_id = frame.call_id
        if self.version is OcppVersion.V16 and (call_id is None or frame.message_type != MessageType.CALL):
            self._notice(NoticeKind.UNREADABLE, frame.description)
        else:
            self._refuse(UNREADABLE_ID if call_id is None else call_id, frame.code, frame.description)

    def _refuse(self, call_id: str, code: ErrorCode, description: str) -> None:
        self._actions.append(SendFrame(self._codec.encode_error(call_id, code, description)))
        self._notice(NoticeKind.CALL_REFUSED, f"{call_id}: {code.spelling(self.version)}: {description}")

    # What is owed and told.

    def _check_request(self, request: Request, *, confirmed: bool) -> None:
        check_request(request, self.version, self.role, confirmed=confirmed)
        if self._config.validate_outgoing:
            check_payload(request)

    def _owed(self, call_id: str) -> str:
        """The action of the peer's call that awaits its answer."""
        call = self._incoming.unanswered.get(call_id)
        if call is None:
            raise LocalProtocolError(f"no call {call_id!r} awaits an answer")
        return call.action

    def _answer(self, call_id: str, text: str, *, recorded: str | None) -> None:
        if self._incoming.answer(call_id, recorded):
            self._actions.append(SendFrame(text))
        else:
            self._notice(NoticeKind.ANSWER_NOT_SENT, f"{call_id}: the link of this call was lost")

    def _notice(self, kind: NoticeKind, detail: str) -> None:
        self._actions.append(RpcNotice(kind, detail[:DESCRIPTION_LIMIT]))

    def _notice_unmatched(self, call_id: str) -> None:
        self._notice(self._outgoing.kind_of_unmatched(call_id), f"an answer to call {call_id}")

    def _notice_repairs(self, action: str, repairs: tuple[Repair, ...]) -> None:
        for repair in repairs[:_REPAIR_NOTICES]:
            self._notice(NoticeKind.REPAIRED, f"{action} {path_text(repair.path)}: {repair.kind}")
        if len(repairs) > _REPAIR_NOTICES:
            self._notice(NoticeKind.REPAIRED, f"{action}: {len(repairs) - _REPAIR_NOTICES} further repairs")


def _failed(
    call: OutgoingCall,
    reason: FailureReason,
    description: str,
    code: str = "",
    details: Mapping[str, Any] | None = None,
) -> CallFailed:
    action = call.request.ACTION
    return CallFailed(call.call_id, action, call.request, reason, code, description, details or {})
