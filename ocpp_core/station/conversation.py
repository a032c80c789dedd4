"""What passes between station and CSMS over one link after another: calls each way, and who handles them.

One call is in flight at most. When none is, the most urgent one is asked for; nothing is ever queued, but for
the calls of the station's own software.
"""

from dataclasses import dataclass

from ..domain.status import RegistrationStatus
from ..messages import Response
from ..rpc import (
    CallFailed,
    CallReceived,
    CallSucceeded,
    ErrorCode,
    FailureReason,
    ResponseRefused,
    RpcAction,
    RpcConfig,
    RpcNotice,
    RpcSession,
    SendFrame,
)
from ..versions import OcppVersion, Role
from .actions import NoticeKind
from .blocks.authorization import Authorization
from .blocks.availability import Availability
from .blocks.connectivity import Connectivity
from .blocks.delivery import Delivery
from .blocks.provisioning import Provisioning
from .blocks.remote import Remote
from .blocks.security import Security
from .blocks.software import Software
from .context import Context, Failure, Intent, Work
from .dialect import StationDialect, Verdict
from .dialects import dialect_for

_ANSWERED_BY_ALL = {Work.BOOT, Work.HEARTBEAT}
"""Calls whose content no CSMS can choke on; one that answers neither has not read them."""
_FAILURES = {
    FailureReason.TIMEOUT: Failure.TIMEOUT,
    FailureReason.DISCONNECTED: Failure.DISCONNECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Whoever has something to say to the CSMS, or answers it."""

    connectivity: Connectivity
    provisioning: Provisioning
    authorization: Authorization
    availability: Availability
    delivery: Delivery
    security: Security
    remote: Remote
    software: Software


class Conversation:
    """Makes the station's calls and answers those of the CSMS, while there is a link."""

    __slots__ = ("_blocks", "_context", "_dialect", "_fact_is_next", "_in_flight", "_rpc", "_software_spoke")

    def __init__(self, context: Context, blocks: Blocks) -> None:
        self._context = context
        self._blocks = blocks
        self._fact_is_next = False
        self._software_spoke = False
        """Whether the last call was the software's, which has no two in a row while something else waits."""
        self._dialect: StationDialect | None = None
        self._rpc: RpcSession | None = None
        self._in_flight: Intent | None = None

    def next_timer(self) -> float | None:
        """When the call in flight times out."""
        return None if self._rpc is None else self._rpc.next_timer()

    @property
    def version(self) -> OcppVersion | None:
        """What is spoken; None: there is no link."""
        return None if self._rpc is None else self._rpc.version

    def handle_timer(self, now: float) -> None:
        """The call in flight may have timed out."""
        if self._rpc is not None:
            self._rpc.handle_timer(now)
            self._take(self._rpc.actions(), now)

    def begin(self, version: OcppVersion) -> None:
        """A link is open under this version."""
        self._dialect = dialect_for(version)
        timeout = self._blocks.connectivity.message_timeout
        config = RpcConfig(message_timeout=timeout, queue_limit=0, tolerance=self._context.config.tolerance)
        self._rpc = RpcSession(version, Role.STATION, self._context.entropy, config)

    def end(self, now: float) -> None:
        """The link is gone, and the call in flight has failed."""
        rpc, self._rpc = self._rpc, None
        if rpc is not None:
            rpc.link_lost(now)
            self._take(rpc.actions(), now)
        self._dialect = None

    def receive(self, text: str, now: float) -> None:
        """A frame of the CSMS."""
        assert self._rpc is not None
        self._rpc.receive_frame(text, now)
        self._take(self._rpc.actions(), now)

    def recall(self, now: float) -> None:
        """The frame of the call in flight was not sent, as the store failed: no attempt, and no time-out."""
        if self._rpc is not None and self._context.out.take_back_frame():
            self._rpc.recall(now)
            self._in_flight = None

    def respond(self, call_id: str, response: Response | ErrorCode, description: str, now: float) -> bool:
        """The software's answer to a call; False if it comes too late, or there was no such call.

        Raises :class:`LocalProtocolError` if it does not answer the call.
        """
        rpc, software = self._rpc, self._blocks.software
        if rpc is None or not self._blocks.connectivity.online or not software.asked(call_id):
            return False
        if isinstance(response, ErrorCode):
            rpc.respond_error(call_id, response, description, None, now)
        else:
            rpc.respond(call_id, response, now)
        software.answered(call_id)
        self._take(rpc.actions(), now)
        return True

    def answer_for_software(self, now: float) -> None:
        """The software has not answered what it was asked in time."""
        for call_id in self._blocks.software.overdue(now):
            self._context.notice(NoticeKind.SOFTWARE_SILENT, f"no answer to {call_id}")
            self.respond(call_id, ErrorCode.INTERNAL_ERROR, "no answer within the time for it", now)

    def pump(self, now: float) -> None:
        """Make the most urgent call if none is in flight (the order of classes; nothing is ever queued)."""
        if self._rpc is None or self._dialect is None or self._in_flight is not None:
            return
        if not self._blocks.connectivity.online:
            return  # it is being closed
        intent = self._next_intent(self._dialect, now)
        if intent is None:
            return
        self._in_flight = intent
        self._software_spoke = intent.work is Work.SOFTWARE
        self._blocks.provisioning.called(now)
        self._blocks.connectivity.asked()
        self._rpc.call(intent.request, now, call_id=intent.call_id, timeout=intent.timeout)
        for frame in self._rpc.actions():
            assert isinstance(frame, SendFrame)  # no other call was in flight
            self._context.out.do(frame, durable=intent.durable)

    def _next_intent(self, dialect: StationDialect, now: float) -> Intent | None:
        intent = self._blocks.provisioning.next_boot(dialect)
        if intent is None and self._blocks.provisioning.status is not RegistrationStatus.REJECTED:
            intent = self._blocks.remote.next_triggered(dialect, now)
        if intent is not None or not self._blocks.provisioning.accepted:
            return intent
        return (
            self._blocks.authorization.next_call(dialect, now)
            or (None if self._software_spoke else self._blocks.software.next_call())
            or self._blocks.availability.next_call(dialect, now)
            or self._next_kept(dialect)
            # Facts that this version says nothing of are settled now; they hold no status back.
            or self._blocks.availability.next_call(dialect, now)
            or self._blocks.provisioning.next_heartbeat(dialect)
            or self._blocks.software.next_call()
        )

    def _next_kept(self, dialect: StationDialect) -> Intent | None:
        """A fact or a security event, in turns while both wait.

        A long backlog of facts must not delay an alarm, and events that somebody may provoke at will must not
        hold up what is billed. A retry of the one does not wait for the other.
        """
        event, fact = self._blocks.security.next_call, self._blocks.delivery.next_call
        first, second = (fact, event) if self._fact_is_next else (event, fact)
        intent = first(dialect) or second(dialect)
        if intent is not None:
            self._fact_is_next = intent.work is Work.SECURITY_EVENT
        return intent

    @property
    def _answers(self) -> bool:
        """Whether the CSMS may be answered: not on a link that closes, nor in 1.6 while rejected (§4.2)."""
        rejected = self._blocks.provisioning.status is RegistrationStatus.REJECTED
        silent = rejected and self._dialect is not None and not self._dialect.answers_while_rejected
        return self._blocks.connectivity.online and not silent

    def _take(self, actions: list[RpcAction], now: float) -> None:
        for action in actions:
            if isinstance(action, SendFrame):
                if self._answers:
                    self._context.out.do(action)
            elif isinstance(action, CallReceived):
                self._command(action, now)
            elif isinstance(action, CallSucceeded):
                self._answered(action, now)
            elif isinstance(action, CallFailed):
                self._failed(action, now)
            elif isinstance(action, ResponseRefused):
                text = f"the CSMS refused our answer to {action.call_id}: {action.code} {action.description}"
                self._context.notice(NoticeKind.PEER, text)
            else:
                assert isinstance(action, RpcNotice)  # no SEND goes to a station
                self._context.notice(NoticeKind.PEER, f"{action.kind}: {action.detail}")

    def _command(self, call: CallReceived, now: float) -> None:
        """Answer a call of the CSMS, then do what it asked."""
        rpc, dialect = self._rpc, self._dialect
        assert rpc is not None
        assert dialect is not None
        if not self._blocks.connectivity.online:
            return  # the link closes: there is no answering, hence no doing
        command = dialect.command(self._context.config.layout, call.request)
        accepted = False
        if self._blocks.provisioning.status is RegistrationStatus.REJECTED:
            rpc.respond_error(call.call_id, ErrorCode.SECURITY_ERROR, "rejected by the CSMS", None, now)
        elif self._blocks.software.answers(call.action):
            self._blocks.software.ask(call, now)
        elif command is None:
            self._decline(call, rpc, dialect, now)
        else:
            verdict, transaction = self._blocks.remote.judge(command, dialect, now)
            accepted = verdict is Verdict.ACCEPTED
            rpc.respond(call.call_id, dialect.verdict(call.request, verdict, transaction), now)
        self._take(rpc.actions(), now)
        if command is not None and accepted:
            self._blocks.remote.carry_out(command, dialect, now)

    def _decline(self, call: CallReceived, rpc: RpcSession, dialect: StationDialect, now: float) -> None:
        """Answer a call that is nobody's."""
        response = dialect.unhandled(call.request)
        if response is None:
            text = f"{call.action} is not supported"
            rpc.respond_error(call.call_id, ErrorCode.NOT_SUPPORTED, text, None, now)
        else:
            rpc.respond(call.call_id, response, now)

    def _answered(self, answered: CallSucceeded, now: float) -> None:
        intent, self._in_flight = self._in_flight, None
        dialect, response = self._dialect, answered.response
        assert intent is not None
        assert dialect is not None
        if intent.work is Work.BOOT:
            self._blocks.provisioning.boot_answered(response, dialect, now)
        elif intent.work is Work.HEARTBEAT:
            self._blocks.provisioning.heartbeat_answered(response, dialect, now)
        elif intent.work is Work.AUTHORIZE:
            self._blocks.authorization.answered(response, dialect, now)
        elif intent.work is Work.STATUS:
            self._blocks.availability.answered(intent.key)
        elif intent.work is Work.FACT:
            self._blocks.delivery.answered(intent.key, response, dialect)
        elif intent.work is Work.SECURITY_EVENT:
            self._blocks.security.answered(intent.key)
        elif intent.work is Work.SOFTWARE:
            self._blocks.software.ended(answered)

    def _failed(self, failed: CallFailed, now: float) -> None:
        intent, self._in_flight = self._in_flight, None
        assert intent is not None
        failure = _FAILURES.get(failed.reason, Failure.REFUSED)
        detail = f"{failed.code or failed.reason} {failed.description}".strip()
        if failure is Failure.REFUSED and intent.work is not Work.SOFTWARE:
            self._context.notice(NoticeKind.PEER, f"{failed.action}: {detail}")
        elif (
            failure is Failure.TIMEOUT
            and intent.work in _ANSWERED_BY_ALL
            and self._blocks.connectivity.unanswered()
        ):
            failure = Failure.DISCONNECTED
        if intent.work is Work.BOOT:
            self._blocks.provisioning.boot_failed(failure, now)
        elif intent.work is Work.HEARTBEAT:
            self._blocks.provisioning.heartbeat_failed(failure, now)
        elif intent.work is Work.AUTHORIZE:
            self._blocks.authorization.failed(failure, now)
        elif intent.work is Work.STATUS:
            self._blocks.availability.failed(failure, now)
        elif intent.work is Work.FACT:
            self._blocks.delivery.failed(intent.key, failure, detail, now)
        elif intent.work is Work.SECURITY_EVENT:
            self._blocks.security.failed(intent.key, failure, failed.code, detail, now)
        elif intent.work is Work.SOFTWARE:
            self._blocks.software.ended(failed)
