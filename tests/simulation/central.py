"""The CSMS of a world: the real core run as an adapter runs it, and an application that decides and orders.

It can be told to fail: to answer a call with an error or not at all, to lose a commit, to have a wrong clock.
"""

import json
from typing import TYPE_CHECKING, Any

from ocpp_core.csms import (
    AskAuthorization,
    AskRegistration,
    Bill,
    CloseLink,
    Command,
    Csms,
    CsmsConfig,
    Registration,
    RequestStart,
    RequestStop,
    StatusReported,
    Topic,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Trigger,
)
from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.domain.tokens import AuthorizationStatus, IdToken, IdTokenInfo
from ocpp_core.entropy import SeededEntropy
from ocpp_core.errors import LocalProtocolError
from ocpp_core.rpc import SendFrame
from ocpp_core.store import Commit, MemoryStore
from ocpp_core.versions import OcppVersion

from . import bookkeeper
from .case import ANY, ERROR, UNANSWERED
from .network import Link, Message

if TYPE_CHECKING:
    from .world import World

UTC_MS = 1_795_168_800_000
"""What a right clock says when the world begins."""
IDENTITY = "CP-1"
REFUSED_TOKEN = "BAD0"
REGISTRATION_INTERVAL = 20
NEVER = 1 << 60


class Central:
    """One CSMS and what it was told."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.store = MemoryStore()
        self.csms: Csms | None = None
        self.calls = 0
        """How many calls of the station arrived before the world turned fair."""
        self.commits = 0
        self.facts: list[str] = []
        """The message ids of the facts that arrived, in the order in which they first did."""
        self.statuses: dict[tuple[int, int], str] = {}
        self.started: list[str] = []
        self.updated: list[TransactionUpdated] = []
        self.ended: list[str] = []
        self._link: Link | None = None
        self._mute = False
        self._lost: bool | None = None
        """Whether the first commit since a frame came failed: then what the frame said never happened."""
        self._draining = False
        self._entropy = SeededEntropy(f"csms {name}{world.case.seed}")
        self._verdicts = list(world.case.verdicts)
        self._config = CsmsConfig(layout=world.layout, closed_transactions=100)
        self._misanswers = dict(world.case.misanswers)
        self._shunned = dict(world.case.shunned)

    # ------------------------------------------------------------------ time

    @property
    def due(self) -> int:
        """When the machine wants its timers handled (ms of the world)."""
        at = None if self.csms is None else self.csms.next_timer()
        return NEVER if at is None else -int(-at * 1000 // 1)

    def handle_timer(self) -> None:
        """Let the machine handle its timers, if it is time."""
        csms = self.csms
        if csms is not None and self.due <= self.world.now:
            csms.handle_timer(max(csms.next_timer() or 0.0, self._now))
            self._drain()

    @property
    def _now(self) -> float:
        return self.world.now / 1000

    def _utc_ms(self) -> int:
        errors = [error for since, error in self.world.case.clock if since <= self.world.now]
        return UTC_MS + self.world.now + (errors[-1] if errors else 0)

    # ------------------------------------------------------------------ the link

    def choose(self, offer: tuple[OcppVersion, ...]) -> OcppVersion | None:
        """The version for a new connection: one that this server takes today, if the station offers it."""
        if self.world.case.version != ANY or self.world.fair:
            return offer[0]
        today = self.world.pick(list(OcppVersion))
        return today if today in offer else None

    def connected(self, link: Link) -> None:
        """The station is there, over a new connection, which replaces the one there was."""
        if self._link is not None:
            self.link_lost(self._link)
        self._link = link
        self.csms = self._machine(link.version)

    def _machine(self, version: OcppVersion) -> Csms:
        return Csms(self._config, IDENTITY, version, self._entropy, self._now, self.store.load())

    def link_lost(self, link: Link) -> None:
        """A connection is known to be gone."""
        if link is self._link and self.csms is not None:
            self.csms.link_lost(self._now)
            self._drain()
            self.csms = self._link = None

    def receive(self, link: Link, message: Message, text: str) -> bool:
        """A frame arrives; False if nothing comes of it: the connection is over, the call ignored or lost."""
        csms = self.csms
        if csms is None or link is not self._link:
            return False
        how = self._fault(message) if message.frame[0] == 2 else None
        if how == ERROR:
            link.send(json.dumps([4, message.frame[1], "InternalError", "", {}]), from_station=False)
        if how not in (None, UNANSWERED):
            return False
        self._mute, self._lost = how == UNANSWERED, None
        csms.set_utc(self._utc_ms(), self._now)
        csms.receive_frame(text, self._now)
        self._drain()
        self._mute = False
        return not self._lost

    def _fault(self, message: Message) -> str | None:
        """How this call is to be treated, if not as it should."""
        call_id: str = message.frame[1]
        if self.world.fair:
            return None
        number, self.calls = self.calls, self.calls + 1
        shunned = None
        if bookkeeper.tells_fact(message.frame):
            if call_id not in self.facts:
                self.facts.append(call_id)
            shunned = self._shunned.get(self.facts.index(call_id))
        return self._misanswers.get(number, shunned)

    # ------------------------------------------------------------------ the operator

    def start(self, token: str, evse: int | None) -> None:
        """Start charging from afar."""
        self._call(RequestStart(IdToken(token), evse))

    def stop(self) -> None:
        """Stop from afar what was told first and is not over."""
        running = [transaction for transaction in self.started if transaction not in self.ended]
        if running:
            self._call(RequestStop(running[0]))

    def trigger(self, topic: Topic) -> None:
        """Have the station say something now."""
        self._call(Trigger(topic))

    def _call(self, command: Command) -> None:
        if self.csms is None:
            return
        try:
            self.csms.call(command, self._now)
        except LocalProtocolError as refusal:
            self.world.note(f"the CSMS may not: {refusal}")
        self._drain()

    def bills(self) -> tuple[Bill, ...]:
        """What a new machine over the store bills."""
        return self._machine(OcppVersion.V16).billed()

    # ------------------------------------------------------------------ the machine's actions

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        try:
            while self.csms is not None and (actions := self.csms.actions()):
                for action in actions:
                    if isinstance(action, Commit) and not self._store(action):
                        self.csms.store_failed("disk full", self._now)
                        break
                    self._do(self.csms, action)
        finally:
            self._draining = False

    def _store(self, commit: Commit) -> bool:
        number, self.commits = self.commits, self.commits + 1
        fails = number in self.world.case.csms_store and not self.world.fair
        self._lost = fails if self._lost is None else self._lost
        if fails:
            self.world.note("the CSMS's commit fails")
            return False
        self.store.commit(commit)
        return True

    def _do(self, csms: Csms, action: Any) -> None:
        if isinstance(action, SendFrame):
            if self._link is not None and not self._mute:
                self._link.send(action.text, from_station=False)
        elif isinstance(action, CloseLink):
            if self._link is self.world.network.link:
                self.world.network.hang_up()
        elif isinstance(action, AskAuthorization):
            refused = action.token.value == REFUSED_TOKEN
            status = AuthorizationStatus.BLOCKED if refused else AuthorizationStatus.ACCEPTED
            csms.answer_authorization(action.question, IdTokenInfo(status), self._now)
        elif isinstance(action, AskRegistration):
            verdict = RegistrationStatus.ACCEPTED
            if self._verdicts and not self.world.fair:
                verdict = RegistrationStatus(self._verdicts.pop(0))
            accepted = verdict is RegistrationStatus.ACCEPTED
            interval = self.world.case.heartbeat_s if accepted else REGISTRATION_INTERVAL
            csms.answer_registration(action.question, Registration(verdict, interval), self._now)
        elif isinstance(action, StatusReported):
            self.statuses[action.ref.evse, action.ref.connector] = action.wire_status
        elif isinstance(action, TransactionStarted):
            self.started.append(action.transaction)
        elif isinstance(action, TransactionUpdated):
            self.updated.append(action)
        elif isinstance(action, TransactionEnded):
            self.ended.append(action.transaction)
