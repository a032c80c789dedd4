"""The charging station: routes what comes in to the blocks, and what they want out, in order.

One input is handled whole before it returns: the block it belongs to acts, domain events travel to the blocks
above, statuses are derived anew, and the next call is made if none is in flight. Nothing waits.
"""

from typing import Any, Literal

from ..domain.metering import Quantity, Sample
from ..domain.network import NetworkProfile
from ..domain.status import RegistrationStatus
from ..domain.tokens import IdToken
from ..entropy import Entropy
from ..errors import LocalProtocolError
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
from ..store import Snapshot, Tables
from ..versions import OcppVersion, Role
from .actions import NoticeKind, StationAction
from .blocks.authorization import Authorization
from .blocks.availability import Availability
from .blocks.connectivity import Connectivity, LinkFailure
from .blocks.delivery import Delivery
from .blocks.provisioning import Provisioning
from .blocks.recording import Recording
from .blocks.remote import Remote
from .blocks.rotation import Rotation
from .blocks.security import Security
from .blocks.transactions import Transactions
from .boots import stamps_on_record, start_clock
from .config import StationConfig
from .context import Accepted, Context, Deadline, DomainEvent, Failure, Intent, Work
from .dialect import StationDialect, Verdict
from .dialects import dialect_for
from .evse import Evse
from .output import Output
from .state import state_of
from .tables import (
    BootRow,
    CachedToken,
    NetworkRow,
    OutboxRow,
    SecurityRow,
    Table,
    TransactionRow,
    WireRow,
)

_ANSWERED_BY_ALL = {Work.BOOT, Work.HEARTBEAT}
"""Calls whose content no CSMS can choke on; one that answers neither has not read them."""
_FAILURES = {
    FailureReason.TIMEOUT: Failure.TIMEOUT,
    FailureReason.DISCONNECTED: Failure.DISCONNECTED,
}


class Station:
    """A charging station as a pure machine.

    ``now`` is monotonic seconds, never less than in the call before. ``snapshot`` is what the store kept of
    an earlier life. After every input, take :meth:`actions` until there are none. Raises
    :class:`~ocpp_core.errors.StoreError` if the snapshot is not a station's. Every input about an EVSE raises
    :class:`~ocpp_core.errors.LocalProtocolError` if there is none of that number, and changes nothing.
    """

    def __init__(
        self, config: StationConfig, entropy: Entropy, now: float, snapshot: Snapshot | None = None
    ) -> None:
        self.config = config
        self._tables = Tables(snapshot)
        boots = Table(self._tables, "boots", BootRow)
        outbox = Table(self._tables, "outbox", OutboxRow)
        transactions = Table(self._tables, "transactions", TransactionRow)
        samples = Table(self._tables, "samples", Sample)
        log = Table(self._tables, "security", SecurityRow)
        self._context = context = Context(
            config=config,
            clock=start_clock(boots, stamps_on_record(outbox, transactions, samples, log), now),
            entropy=entropy,
            out=Output(self._tables, config.outbox_limit),
            evses={number: Evse(number) for number in config.layout.evses},
        )
        self._delivery = Delivery(context, outbox, Table(self._tables, "wires", WireRow))
        self._security = Security(context, log, now)
        self._fact_is_next = False
        rotation = Rotation(context, Table(self._tables, "network", NetworkRow))
        self._connectivity = Connectivity(context, rotation, self._offer)
        self._provisioning = Provisioning(context, self._connectivity, boots)
        self._availability = Availability(context, self._delivery, now)
        recording = Recording(context, self._delivery, transactions, samples)
        self._transactions = Transactions(context, recording, now)
        self._authorization = Authorization(
            context, self._provisioning, self._transactions, Table(self._tables, "tokens", CachedToken)
        )
        self._remote = Remote(
            context,
            self._provisioning,
            self._availability,
            self._delivery,
            self._transactions,
            self._authorization,
        )
        self._dialect: StationDialect | None = None
        self._rpc: RpcSession | None = None
        self._in_flight: Intent | None = None
        if config.autoconnect:
            self._connectivity.connect(None, now)
        self._settle(now)

    # ------------------------------------------------------------------ the machine's verbs

    def actions(self) -> list[StationAction]:
        """Everything to do, in order, handed over once: a commit first if rows changed."""
        return self._context.out.drain()

    def next_timer(self) -> float | None:
        """When :meth:`handle_timer` must be called; None: no need."""
        deadlines = (self._context.timers.next(), self._rpc.next_timer() if self._rpc else None)
        return min((at for at in deadlines if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Deadlines passed; calling early is harmless."""
        if self._rpc is not None:
            self._rpc.handle_timer(now)
            self._take_rpc(self._rpc.actions(), now)
        for deadline, number in self._context.timers.due(now):
            self._handle_deadline(deadline, number, now)
        self._settle(now)

    def snapshot(self) -> dict[str, dict[str, str]]:
        """All durable rows, as the commits handed out so far hold them."""
        return self._tables.snapshot()

    def state(self, now: float) -> dict[str, Any]:
        """Everything there is to know, as JSON-able values."""
        return state_of(
            self._context,
            self._connectivity,
            self._provisioning,
            self._delivery,
            self._security,
            self._availability,
            now,
        )

    def security_log(self) -> list[dict[str, Any]]:
        """The security log, oldest first, as JSON-able values: type, utc_ms if known, tech_info, untold."""
        return self._security.log()

    # ------------------------------------------------------------------ the store

    def store_failed(self, reason: str, now: float) -> None:
        """The last commit is not durable, and nothing handed out after it was carried out (rule 3).

        Its rows are committed again after ``store_retry_interval``; until then transactions are refused and
        whatever presumes those rows is withheld.
        """
        self._context.out.failed()
        if self._rpc is not None and self._context.out.take_back_frame():
            self._rpc.recall(now)  # no attempt, and no time-out: it waits for the store, not for the CSMS
            self._in_flight = None
        self._context.notice(NoticeKind.STORE_FAILED, reason)
        self._context.timers.set((Deadline.STORE_RETRY, 0), now + self.config.store_retry_interval)

    # ------------------------------------------------------------------ the link

    def connect(self, now: float, slot: int | None = None) -> None:
        """Want the link to the CSMS, at once: by the network profile of ``slot``, or whose turn it is.

        A link by another profile is closed first (B10.FR.06). Raises :class:`LocalProtocolError` if there is
        no such profile, or it is less secure than the last one that connected (A05.FR.06).
        """
        self._connectivity.connect(slot, now)

    def disconnect(self, now: float) -> None:
        """Close the link and stay away until :meth:`connect`."""
        self._connectivity.disconnect()

    def link_opened(self, subprotocol: str, now: float) -> None:
        """The WebSocket is open. Raises :class:`LocalProtocolError` if none was asked for."""
        version = self._connectivity.opened(subprotocol, now)
        if version is None:
            return
        self._dialect = dialect_for(version)
        profile = self._connectivity.profile
        timeout = self._connectivity.message_timeout
        config = RpcConfig(message_timeout=timeout, queue_limit=0, tolerance=self.config.tolerance)
        self._rpc = RpcSession(version, Role.STATION, self._context.entropy, config)
        lost_at = self._connectivity.lost_at
        if lost_at is not None and now - lost_at > self.config.offline_threshold:
            self._availability.forget()
        self._availability.link_opened()
        self._delivery.link_opened(profile.csms, version)
        self._security.link_opened(profile.slot)
        self._provisioning.link_opened(version, profile, now)
        self._settle(now)

    def link_failed(self, reason: LinkFailure, detail: str, now: float) -> None:
        """The WebSocket could not be opened. Raises :class:`LocalProtocolError` if none was asked for."""
        self._connectivity.failed(reason, detail, now)
        if reason is LinkFailure.REFUSED_SUBPROTOCOL:
            self._delivery.version_refused(self._connectivity.profile.csms)
        self._security.link_failed(reason, detail, self._connectivity.profile.slot, now)
        self._settle(now)

    def link_distrusted(self, reason: LinkFailure, detail: str, now: float) -> None:
        """The CSMS of the open link turns out not to be who it should be, as its certificate is revoked.

        It is a security event as if the link had failed for this reason; nothing more is said to the CSMS.
        Raises :class:`LocalProtocolError` if there is no link.
        """
        self._connectivity.distrusted(str(reason))
        self._security.link_failed(reason, detail, self._connectivity.profile.slot, now)
        self._settle(now)

    def link_closed(self, code: int, reason: str, now: float) -> None:
        """The WebSocket is gone, whoever closed it. Raises :class:`LocalProtocolError` if there was none."""
        self._connectivity.closed(code, reason, now)
        self._context.out.drop_frames()
        rpc, self._rpc = self._rpc, None
        if rpc is not None:
            rpc.link_lost(now)
            self._take_rpc(rpc.actions(), now)
        self._dialect = None
        self._provisioning.link_lost()
        self._remote.link_lost()
        self._delivery.link_lost()
        self._security.link_lost()
        self._authorization.decide_offline(now)
        self._settle(now)

    def receive_frame(self, text: str, now: float) -> None:
        """A text message from the CSMS; never raises, whatever the text. Without a link it is ignored."""
        if self._rpc is None:
            self._context.notice(NoticeKind.PEER, "a frame came without a link")
            return
        self._connectivity.heard()
        self._rpc.receive_frame(text, now)
        self._take_rpc(self._rpc.actions(), now)
        self._settle(now)

    # ------------------------------------------------------------------ the hardware

    def meter(self, evse: int, quantities: tuple[Quantity, ...], now: float) -> None:
        """The meter's latest values. Push them before any input that changes the flow of energy."""
        target = self._context.evse(evse)
        target.take_reading(quantities)
        self._transactions.recover(target, now)
        self._settle(now)

    def plug_in(self, evse: int, connector: int, now: float) -> None:
        """A cable connects a car. Raises :class:`LocalProtocolError` if it cannot be so."""
        self._transactions.plug_in(self._context.evse(evse), connector, now)
        self._settle(now)

    def plug_out(self, evse: int, connector: int, now: float) -> None:
        """The car is gone. Raises :class:`LocalProtocolError` if none was there."""
        target = self._context.evse(evse)
        if target.plugged != connector:
            raise LocalProtocolError(f"EVSE {evse} has no car at connector {connector}")
        self._transactions.plug_out(target, now)
        self._settle(now)

    def present_token(self, token: IdToken, evse: int | None, now: float) -> None:
        """A driver identifies, at one EVSE or, without one, at the station."""
        self._authorization.present(token, evse, now)
        self._settle(now)

    def suspend(self, evse: int, by: Literal["EV", "EVSE"], now: float) -> None:
        """Charging pauses. Raises :class:`LocalProtocolError` without a car."""
        self._transactions.suspend(self._context.evse(evse), by, now)
        self._settle(now)

    def resume(self, evse: int, by: Literal["EV", "EVSE"], now: float) -> None:
        """Charging goes on. Raises :class:`LocalProtocolError` if it had not paused."""
        self._transactions.resume(self._context.evse(evse), by, now)
        self._settle(now)

    def power_switched(self, evse: int, on: bool, now: float) -> None:
        """The contactor closed or opened: the answer to ``DoPower``, or of its own accord."""
        self._transactions.power_switched(self._context.evse(evse), on, now)
        self._settle(now)

    def set_utc(self, utc_ms: int | None, now: float) -> None:
        """The wall clock as the station itself learned it (None: not known any longer).

        Raises :class:`LocalProtocolError` for a fraction: a :func:`time.time` forgotten to be made whole.
        """
        if not isinstance(utc_ms, int | None):
            raise LocalProtocolError(f"utc_ms: whole milliseconds since 1970, not {utc_ms!r}")
        self._provisioning.learn_utc(utc_ms, now)
        self._settle(now)

    def security_event(self, kind: str, now: float, tech_info: str | None = None) -> None:
        """A security event: a :class:`~ocpp_core.domain.security.SecurityEvent`, or a vendor's own.

        It is logged, and told to the CSMS if it is critical or configured to be (A04.FR.01, A04.FR.04).
        Raises :class:`LocalProtocolError` for a type of more than 50 or a tech_info of more than 255
        characters.
        """
        self._security.report(kind, tech_info, now)
        self._settle(now)

    # ------------------------------------------------------------------ inside

    def _offer(self, profile: NetworkProfile) -> tuple[OcppVersion, ...]:
        pinned = self._delivery.pinned(profile.csms)
        return (profile.versions or self.config.versions) if pinned is None else (pinned,)

    def _handle_deadline(self, deadline: Deadline, number: int, now: float) -> None:
        if deadline in (Deadline.DIAL, Deadline.REDIAL):
            self._connectivity.handle(deadline, now)
        elif deadline in (Deadline.BOOT, Deadline.HEARTBEAT):
            self._provisioning.handle(deadline)
        elif deadline is Deadline.STORE_RETRY:
            if self._context.out.retry():
                self._context.timers.set((deadline, number), now)  # at once: to see whether it worked
        elif number:
            self._transactions.handle(deadline, self._context.evse(number), now)
        # STATUS_RETRY, FACT_RETRY, SECURITY_RETRY: that they are over is all there is to them.

    def _settle(self, now: float) -> None:
        """Let what happened take its course: domain events, statuses, the next call."""
        events = self._context.events
        while events:
            self._route(events.popleft(), now)
        self._delivery.pass_on()
        self._availability.refresh(now)
        self._pump(now)

    def _route(self, event: DomainEvent, now: float) -> None:
        if isinstance(event, Accepted):
            self._availability.forget()
            self._delivery.registered()
        else:
            self._authorization.remember(event.token, event.info)
            self._transactions.judged(event.transaction, event.token, event.info, now)

    def _pump(self, now: float) -> None:
        """Make the most urgent call if none is in flight (the order of classes; nothing is ever queued)."""
        if self._rpc is None or self._dialect is None or self._in_flight is not None:
            return
        if not self._connectivity.online:
            return  # it is being closed
        intent = self._next_intent(self._dialect, now)
        if intent is None:
            return
        self._in_flight = intent
        self._provisioning.called(now)
        self._connectivity.asked()
        self._rpc.call(intent.request, now, call_id=intent.call_id)
        for frame in self._rpc.actions():
            assert isinstance(frame, SendFrame)  # no other call was in flight
            self._context.out.do(frame, durable=intent.durable)

    def _next_intent(self, dialect: StationDialect, now: float) -> Intent | None:
        intent = self._provisioning.next_boot(dialect)
        if intent is None and self._provisioning.status is not RegistrationStatus.REJECTED:
            intent = self._remote.next_triggered(dialect, now)
        if intent is not None or not self._provisioning.accepted:
            return intent
        return (
            self._authorization.next_call(dialect, now)
            or self._availability.next_call(dialect, now)
            or self._next_kept(dialect)
            # Facts that this version says nothing of are settled now; they hold no status back.
            or self._availability.next_call(dialect, now)
            or self._provisioning.next_heartbeat(dialect)
        )

    def _next_kept(self, dialect: StationDialect) -> Intent | None:
        """A fact or a security event, in turns while both wait.

        A long backlog of facts must not delay an alarm, and events that somebody may provoke at will must not
        hold up what is billed. A retry of the one does not wait for the other.
        """
        event, fact = self._security.next_call, self._delivery.next_call
        first, second = (fact, event) if self._fact_is_next else (event, fact)
        intent = first(dialect) or second(dialect)
        if intent is not None:
            self._fact_is_next = intent.work is Work.SECURITY_EVENT
        return intent

    @property
    def _answers(self) -> bool:
        """Whether the CSMS may be answered: not on a link that closes, nor in 1.6 while rejected (§4.2)."""
        rejected = self._provisioning.status is RegistrationStatus.REJECTED
        silent = rejected and self._dialect is not None and not self._dialect.answers_while_rejected
        return self._connectivity.online and not silent

    def _take_rpc(self, actions: list[RpcAction], now: float) -> None:
        for action in actions:
            if isinstance(action, SendFrame):
                if self._answers:
                    self._context.out.do(action)
            elif isinstance(action, CallReceived):
                self._command(action, now)
            elif isinstance(action, CallSucceeded):
                self._answered(action.response, now)
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
        if not self._connectivity.online:
            return  # the link closes: there is no answering, hence no doing
        command = dialect.command(self.config.layout, call.request)
        accepted = False
        if self._provisioning.status is RegistrationStatus.REJECTED:
            rpc.respond_error(call.call_id, ErrorCode.SECURITY_ERROR, "rejected by the CSMS", None, now)
        elif command is None:
            text = f"{call.action} is not supported"
            rpc.respond_error(call.call_id, ErrorCode.NOT_SUPPORTED, text, None, now)
        else:
            verdict, transaction = self._remote.judge(command, dialect, now)
            accepted = verdict is Verdict.ACCEPTED
            rpc.respond(call.call_id, dialect.verdict(call.request, verdict, transaction), now)
        self._take_rpc(rpc.actions(), now)
        if command is not None and accepted:
            self._remote.carry_out(command, dialect, now)

    def _answered(self, response: Response, now: float) -> None:
        intent, self._in_flight = self._in_flight, None
        dialect = self._dialect
        assert intent is not None
        assert dialect is not None
        if intent.work is Work.BOOT:
            self._provisioning.boot_answered(response, dialect, now)
        elif intent.work is Work.HEARTBEAT:
            self._provisioning.heartbeat_answered(response, dialect, now)
        elif intent.work is Work.AUTHORIZE:
            self._authorization.answered(response, dialect, now)
        elif intent.work is Work.STATUS:
            self._availability.answered(intent.key)
        elif intent.work is Work.FACT:
            self._delivery.answered(intent.key, response, dialect)
        elif intent.work is Work.SECURITY_EVENT:
            self._security.answered(intent.key)

    def _failed(self, failed: CallFailed, now: float) -> None:
        intent, self._in_flight = self._in_flight, None
        assert intent is not None
        failure = _FAILURES.get(failed.reason, Failure.REFUSED)
        detail = f"{failed.code or failed.reason} {failed.description}".strip()
        if failure is Failure.REFUSED:
            self._context.notice(NoticeKind.PEER, f"{failed.action}: {detail}")
        elif (
            failure is Failure.TIMEOUT and intent.work in _ANSWERED_BY_ALL and self._connectivity.unanswered()
        ):
            failure = Failure.DISCONNECTED
        if intent.work is Work.BOOT:
            self._provisioning.boot_failed(failure, now)
        elif intent.work is Work.HEARTBEAT:
            self._provisioning.heartbeat_failed(failure, now)
        elif intent.work is Work.AUTHORIZE:
            self._authorization.failed(failure, now)
        elif intent.work is Work.STATUS:
            self._availability.failed(failure, now)
        elif intent.work is Work.FACT:
            self._delivery.failed(intent.key, failure, detail, now)
        elif intent.work is Work.SECURITY_EVENT:
            self._security.failed(intent.key, failure, failed.code, detail, now)
