"""The charging station: routes what comes in to the blocks, and what they want out, in order.

One input is handled whole before it returns: the block it belongs to acts, domain events travel to the blocks
above, statuses are derived anew, and the next call is made if none is in flight. Nothing waits.
"""

from typing import Any, Literal

from ..domain.metering import Quantity, Sample
from ..domain.network import NetworkProfile
from ..domain.tokens import IdToken
from ..entropy import Entropy
from ..errors import LocalProtocolError
from ..messages import Request, Response
from ..rpc import ErrorCode
from ..store import Snapshot, Tables
from ..versions import OcppVersion
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
from .blocks.software import Software
from .blocks.transactions import Transactions
from .boots import stamps_on_record, start_clock
from .config import StationConfig
from .context import Accepted, Context, Deadline, DomainEvent
from .conversation import Blocks, Conversation
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
        self._software = Software(context)
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
        self._conversation = Conversation(
            context,
            Blocks(
                connectivity=self._connectivity,
                provisioning=self._provisioning,
                authorization=self._authorization,
                availability=self._availability,
                delivery=self._delivery,
                security=self._security,
                remote=self._remote,
                software=self._software,
            ),
        )
        if config.autoconnect:
            self._connectivity.connect(None, now)
        self._settle(now)

    # ------------------------------------------------------------------ the machine's verbs

    def actions(self) -> list[StationAction]:
        """Everything to do, in order, handed over once: a commit first if rows changed."""
        return self._context.out.drain()

    def next_timer(self) -> float | None:
        """When :meth:`handle_timer` must be called; None: no need."""
        deadlines = (self._context.timers.next(), self._conversation.next_timer())
        return min((at for at in deadlines if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Deadlines passed; calling early is harmless."""
        self._conversation.handle_timer(now)
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
        self._conversation.recall(now)
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

    def network_lost(self, now: float, slot: int | None = None) -> None:
        """The network of a profile is gone (None: of the one in use), as its interface is.

        A link by it is cut and the next profile dialled at once, instead of waiting for a pong; it is passed
        over until :meth:`network_back`, or for one round at most. If no other is left it is dialled as ever.
        Raises :class:`LocalProtocolError` if there is no such profile.
        """
        self._connectivity.network_lost(slot, now)

    def network_back(self, now: float, slot: int | None = None) -> None:
        """The network of a profile can be used again (None: of all): a station that waits dials at once.

        A link that is open stays. Raises :class:`LocalProtocolError` if there is no such profile.
        """
        self._connectivity.network_back(slot, now)

    def link_opened(self, subprotocol: str, now: float) -> None:
        """The WebSocket is open. Raises :class:`LocalProtocolError` if none was asked for."""
        version = self._connectivity.opened(subprotocol, now)
        if version is None:
            return
        profile = self._connectivity.profile
        self._conversation.begin(version)
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
            self._delivery.version_refused(self._connectivity.profile.csms, now)
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
        self._conversation.end(now)
        self._provisioning.link_lost()
        self._software.link_lost()
        self._remote.link_lost()
        self._delivery.link_lost()
        self._security.link_lost()
        self._authorization.decide_offline(now)
        self._settle(now)

    def receive_frame(self, text: str, now: float) -> None:
        """A text message from the CSMS; never raises, whatever the text. Without a link it is ignored."""
        if self._conversation.version is None:
            self._context.notice(NoticeKind.PEER, "a frame came without a link")
            return
        self._connectivity.heard()
        self._conversation.receive(text, now)
        self._settle(now)

    # ------------------------------------------------------------------ the software around the station

    def call(self, request: Request, now: float, *, timeout: float | None = None) -> str:
        """Call the CSMS when its turn comes; returns the message id of its CallSucceeded or CallFailed.

        Raises :class:`LocalProtocolError` while no CSMS has accepted the station, for a request that is of
        another version, not valid or the station's own to send, and if too many wait
        (``StationConfig.calls_limit``).
        """
        version = self._conversation.version
        if version is None or not self._provisioning.accepted:
            raise LocalProtocolError("no CSMS has accepted the station over this link")
        call_id = self._software.call(request, version, timeout)
        self._settle(now)
        return call_id

    def respond(self, call_id: str, response: Response, now: float) -> bool:
        """Answer a RequestReceived; False if it is too late, or there was no such request.

        Raises :class:`LocalProtocolError` if the response does not answer it.
        """
        return self._conversation.respond(call_id, response, "", now)

    def respond_error(self, call_id: str, code: ErrorCode, description: str, now: float) -> bool:
        """Answer a RequestReceived with a CALLERROR; False as for :meth:`respond`."""
        return self._conversation.respond(call_id, code, description, now)

    # ------------------------------------------------------------------ what is held for another CSMS

    def held(self) -> list[dict[str, Any]]:
        """The transactions that wait for a CSMS other than the one that is there, as JSON-able values.

        Each: transaction, csms and version to which it was told, csms_id, facts that wait, since_utc_ms.
        """
        return self._delivery.held()

    def release(self, csms: str, now: float, to: str | None = None) -> int:
        """Hold nothing for a CSMS any longer; returns how many transactions were held for it.

        Their facts, and those yet to come, are the operator's (``FactHandedOver``). With ``to``, the name of
        the CSMS that is there now, they are told to it: only for one that took the other's transactions over,
        as one under a new name does, else it gets the end of what it never saw begin (B10.FR.05). Raises
        :class:`LocalProtocolError` if nothing is held for ``csms``, or ``to`` is not there or does not speak
        the version that they were told under.
        """
        count = self._delivery.release(csms, to, now)
        self._settle(now)
        return count

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
        elif deadline is Deadline.ANSWER:
            self._conversation.answer_for_software(now)
        elif deadline is Deadline.PIN:
            self._delivery.held_too_long(now)
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
        self._conversation.pump(now)

    def _route(self, event: DomainEvent, now: float) -> None:
        if isinstance(event, Accepted):
            self._availability.forget()
            self._delivery.registered(now)
        else:
            self._authorization.remember(event.token, event.info)
            self._transactions.judged(event.transaction, event.token, event.info, now)
