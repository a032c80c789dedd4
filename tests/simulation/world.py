"""A charging site in virtual time: station core, hardware, store, link and CSMS core, everything from a seed.

The station's actions are carried out one at a time, and each has a number: an explorer can have the power fail
or the link break before any of them. Nothing here knows how the station works inside.
"""

import heapq
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ocpp_core.csms import (
    AskAuthorization,
    Csms,
    CsmsConfig,
    Registration,
    StatusReported,
    TransactionEnded,
    TransactionStarted,
)
from ocpp_core.csms import CloseLink as CsmsCloseLink
from ocpp_core.domain.layout import Layout
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.status import RegistrationStatus, StationInfo
from ocpp_core.domain.tokens import AuthorizationStatus, IdToken, IdTokenInfo
from ocpp_core.entropy import SeededEntropy, fraction
from ocpp_core.errors import LocalProtocolError
from ocpp_core.station import (
    Backoff,
    CloseLink,
    DoPower,
    LinkFailure,
    Notice,
    NoticeKind,
    OpenLink,
    SendFrame,
    Station,
    StationConfig,
)
from ocpp_core.store import Commit, MemoryStore
from ocpp_core.versions import OcppVersion

from .hardware import Outlet

UTC_MS = 1_795_168_800_000
"""What the CSMS's clock says when the world begins."""

IDENTITY = "CP-1"
REFUSED_TOKEN = "BAD0"


@dataclass(slots=True)
class Faults:
    """What goes wrong, by the number of the action before which it does."""

    power_loss: set[int] = field(default_factory=set)
    """The power fails; a commit of that number is lost."""
    cut: set[int] = field(default_factory=set)
    store: set[int] = field(default_factory=set)
    """The action of that number, if it is a commit, fails."""
    off_ms: int = 30_000
    half_open: bool = False
    """Whether a cut link looks alive until the keep-alive finds out."""
    arrives: bool = True
    """Whether what the station sent before the link or the power went still reaches the CSMS."""
    csms_clock_error: Callable[[int], int] = lambda now: 0


class World:
    """One station, one CSMS, and what lies between them."""

    def __init__(
        self,
        version: OcppVersion,
        seed: int,
        *,
        faults: Faults | None = None,
        config: dict[str, Any] | None = None,
        evses: int = 2,
        verdicts: tuple[RegistrationStatus, ...] = (),
    ) -> None:
        self.now = 0
        self.version = version
        self.faults = faults or Faults()
        self.entropy = SeededEntropy(seed)
        self.layout = Layout((1,) * evses)
        self.station_config = StationConfig(
            **{
                "info": StationInfo("Model", "Vendor"),
                "layout": self.layout,
                "versions": (version,),
                "backoff": Backoff(2, 3, 3),
                "sample_interval": 60.0,
                "attempt_interval": 10.0,
                "offline_tx_for_unknown_id": True,
                **(config or {}),
            }
        )
        self.verdicts = list(verdicts)
        self.outlets = {number: Outlet() for number in self.layout.evses}
        self.store = MemoryStore()
        self.csms_store = MemoryStore()
        self.station: Station | None = None
        self.csms: Csms | None = None
        self.link = 0
        """The number of the connection; what was sent over an earlier one never arrives."""
        self.linked = False
        self.network_up = True
        self.carried_out = 0
        """How many actions of the station were carried out before the world turned fair."""
        self.fair = False
        self.trace: list[str] = []
        self.frames: list[tuple[int, list[Any]]] = []
        """Every frame of the station that reached the CSMS, with the time."""
        self.statuses: dict[tuple[int, int], str] = {}
        self.started: list[str] = []
        self.ended: list[str] = []
        self.notices: list[Notice] = []
        self._booted_at = 0
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._draining = False
        self.boot()

    # ------------------------------------------------------------------ time

    def after(self, ms: int, act: Callable[[], None]) -> None:
        """Have something happen ``ms`` from now."""
        self._order += 1
        heapq.heappush(self._agenda, (self.now + ms, self._order, act))

    def run(self, until: int) -> None:
        """Let time pass until ``until`` (ms)."""
        for _ in range(200_000):
            at = self._next()
            if at is None or at > until:
                break
            self.now = max(self.now, at)
            if self._agenda and self._agenda[0][0] <= self.now:
                heapq.heappop(self._agenda)[2]()
            else:
                self._timers()
        else:
            raise AssertionError(f"never at rest: {self.trace[-20:]}")
        self.now = max(self.now, until)

    def _next(self) -> int | None:
        dues = [self._agenda[0][0]] if self._agenda else []
        if self.station is not None and (at := self.station.next_timer()) is not None:
            dues.append(self._booted_at + _ms(at))
        if self.csms is not None and (at := self.csms.next_timer()) is not None:
            dues.append(_ms(at))
        return min(dues, default=None)

    def _timers(self) -> None:
        station = self.station
        if (
            station is not None
            and (at := station.next_timer()) is not None
            and self._booted_at + _ms(at) <= self.now
        ):
            self.read_meters()
            # A timer may be due a rounding error after the millisecond it falls in.
            self.into_station(lambda: station.handle_timer(max(at, self.mono)))
        csms = self.csms
        if csms is not None and (due := csms.next_timer()) is not None and _ms(due) <= self.now:
            csms.handle_timer(max(due, self.now / 1000))
            self.drain_csms()

    @property
    def mono(self) -> float:
        """The station's monotonic clock: it starts anew with every boot."""
        return (self.now - self._booted_at) / 1000

    # ------------------------------------------------------------------ power

    def boot(self) -> None:
        """Power is there: a new station over what the store kept; the hardware reports what it sees."""
        if self.station is not None:
            return
        self.trace.append(f"{self.now} boot")
        self._booted_at = self.now
        self.station = Station(self.station_config, self.entropy, 0.0, self.store.load())
        self.drain()
        self.read_meters()
        for number, outlet in self.outlets.items():
            station = self.station
            if station is not None and outlet.plugged:
                self.into_station(lambda n=number, s=station: s.plug_in(n, 1, self.mono))
            for by in sorted(outlet.paused_by):
                self.into_station(
                    lambda n=number, b=by: self.station and self.station.suspend(n, b, self.mono)
                )

    def power_loss(self) -> None:
        """No goodbye, no flush: the station is gone, contactors open, the peer hears nothing."""
        self.trace.append(f"{self.now} power loss")
        for outlet in self.outlets.values():
            outlet.advance(self.now)
            outlet.closed = False
        self.station = None
        self._lose_link(told_station=False)
        self.after(self.faults.off_ms, self.boot)

    # ------------------------------------------------------------------ people

    def plug(self, number: int) -> None:
        """A driver plugs in."""
        outlet = self.outlets[number]
        if not outlet.plugged:
            self.read_meters()
            outlet.plugged = True
            self.hardware(lambda station: station.plug_in(number, 1, self.mono))

    def unplug(self, number: int) -> None:
        """A driver takes the cable."""
        outlet = self.outlets[number]
        if outlet.plugged:
            self.read_meters()
            outlet.plugged = False
            outlet.paused_by.clear()
            self.hardware(lambda station: station.plug_out(number, 1, self.mono))

    def token(self, value: str, number: int | None = None) -> None:
        """A driver shows a token."""
        self.read_meters()
        self.hardware(lambda station: station.present_token(IdToken(value), number, self.mono))

    def pause(self, number: int, by: str = "EV") -> None:
        """The car (or the station's own limit) pauses."""
        outlet = self.outlets[number]
        if outlet.plugged:
            self.read_meters()
            outlet.paused_by.add(by)
            self.hardware(lambda station: station.suspend(number, by, self.mono))

    def go_on(self, number: int, by: str = "EV") -> None:
        """It goes on."""
        outlet = self.outlets[number]
        if by in outlet.paused_by:
            self.read_meters()
            outlet.paused_by.discard(by)
            self.hardware(lambda station: station.resume(number, by, self.mono))

    def hardware(self, act: Callable[[Station], None]) -> None:
        """An input from the hardware; one that makes no sense to a station just booted is refused by it."""
        station = self.station
        if station is None:
            return

        def refusable() -> None:
            try:
                act(station)
            except LocalProtocolError as refusal:
                self.trace.append(f"{self.now} refused: {refusal}")

        self.into_station(refusable)

    def read_meters(self) -> None:
        """Push every register to the station."""
        for number, outlet in self.outlets.items():
            outlet.advance(self.now)
            station = self.station
            if station is not None:
                reading = (Quantity(outlet.register_wh),)
                self.into_station(lambda s=station, n=number, r=reading: s.meter(n, r, self.mono))

    # ------------------------------------------------------------------ the station's actions

    def into_station(self, act: Callable[[], Any]) -> None:
        """Give the station an input and carry out what it wants, action by action."""
        act()
        self.drain()

    def drain(self) -> None:
        """Carry out the station's actions in order until it has none; faults strike in between."""
        if self._draining:
            return
        self._draining = True
        try:
            while (station := self.station) is not None:
                actions = station.actions()
                if not actions:
                    return
                for action in actions:
                    if not self._carry_out(station, action):
                        break
        finally:
            self._draining = False

    def _carry_out(self, station: Station, action: Any) -> bool:
        """One action; False if the rest of the batch is void."""
        number = -1 if self.fair else self.carried_out
        self.carried_out += not self.fair
        if number in self.faults.power_loss:
            self.power_loss()
            return False
        if number in self.faults.cut:
            self.cut()
        self.trace.append(f"{self.now} #{number} {action}")
        if isinstance(action, Commit):
            if number in self.faults.store:
                station.store_failed("disk full", self.mono)
                return False
            self.store.commit(action)
        elif isinstance(action, SendFrame):
            self._to_csms(action.text)
        elif isinstance(action, OpenLink):
            self.after(20, lambda: self._dial(station))
        elif isinstance(action, CloseLink):
            self.after(10, lambda: self._close(station, action.code))
        elif isinstance(action, DoPower):
            self.after(self._jitter(400), lambda: self._switch(station, action))
        elif isinstance(action, Notice):
            self.notices.append(action)
        return True

    def _switch(self, station: Station, action: DoPower) -> None:
        if station is self.station:
            self.read_meters()
            self.outlets[action.evse].closed = action.on
            self.into_station(lambda: station.power_switched(action.evse, action.on, self.mono))

    # ------------------------------------------------------------------ the link

    def cut(self) -> None:
        """The network breaks: both ends learn of it, at once or when their keep-alive finds out."""
        if self.linked:
            self.trace.append(f"{self.now} cut")
            self._lose_link(told_station=True)

    def network(self, up: bool) -> None:
        """The network goes away for longer, or comes back."""
        self.network_up = up
        if not up:
            self.cut()

    def _lose_link(self, *, told_station: bool) -> None:
        linked, self.linked = self.linked, False
        self.link += 1
        silence = 25_000 if self.faults.half_open else 0
        station, csms = self.station, self.csms
        if linked and told_station and station is not None:
            self.after(silence, lambda: self._closed(station))
        if csms is not None:
            self.after(max(silence, 300), lambda: self._csms_lost(csms))

    def _closed(self, station: Station) -> None:
        if station is self.station:
            self.hardware(lambda machine: machine.link_closed(1006, "", self.mono))

    def _csms_lost(self, csms: Csms) -> None:
        if csms is self.csms:
            csms.link_lost(self.now / 1000)
            self.drain_csms()
            self.csms = None

    def _close(self, station: Station, code: int) -> None:
        if station is self.station and self.linked:
            self._lose_link(told_station=False)
            self.into_station(lambda: station.link_closed(code, "", self.mono))

    def _dial(self, station: Station) -> None:
        if station is not self.station:
            return
        if not self.network_up:
            self.hardware(lambda machine: machine.link_failed(LinkFailure.UNREACHABLE, "", self.mono))
            return
        if self.csms is not None:  # a newer connection of the same identity replaces the old one
            self._csms_lost(self.csms)
        self.link += 1
        self.linked = True
        registration = None if self.verdicts else Registration(RegistrationStatus.ACCEPTED, 300)
        self.csms = Csms(
            CsmsConfig(registration=registration, layout=self.layout),
            IDENTITY,
            self.version,
            self.entropy,
            self.now / 1000,
            self.csms_store.load(),
        )
        self.hardware(lambda machine: machine.link_opened(self.version.value, self.mono))

    def _to_csms(self, text: str) -> None:
        csms, link = self.csms, self.link

        def arrive() -> None:
            stands = link == self.link or self.faults.arrives
            if stands and csms is not None and csms is self.csms:
                self.frames.append((self.now, json.loads(text)))
                csms.set_utc(UTC_MS + self.now + self.faults.csms_clock_error(self.now), self.now / 1000)
                csms.receive_frame(text, self.now / 1000)
                self.drain_csms()

        if self.linked:
            self.after(self._jitter(200), arrive)

    def _to_station(self, text: str) -> None:
        link = self.link

        def arrive() -> None:
            station = self.station
            if self.linked and link == self.link and station is not None:
                self.into_station(lambda: station.receive_frame(text, self.mono))

        if self.linked:
            self.after(self._jitter(200), arrive)

    def _jitter(self, most: int) -> int:
        # Ordered like a stream: no frame overtakes another, as each end waits for the other's answer.
        return 5 + int(fraction(self.entropy) * most)

    # ------------------------------------------------------------------ the CSMS

    def drain_csms(self) -> None:
        """Carry out the CSMS's actions."""
        csms = self.csms
        while csms is not None and (actions := csms.actions()):
            for action in actions:
                self._csms_does(csms, action)

    def _csms_does(self, csms: Csms, action: Any) -> None:
        if isinstance(action, Commit):
            self.csms_store.commit(action)
        elif isinstance(action, SendFrame):
            self._to_station(action.text)
        elif isinstance(action, CsmsCloseLink):
            self.cut()
        elif isinstance(action, AskAuthorization):
            bad = action.token.value == REFUSED_TOKEN
            status = AuthorizationStatus.BLOCKED if bad else AuthorizationStatus.ACCEPTED
            csms.answer_authorization(action.question, IdTokenInfo(status), self.now / 1000)
        elif type(action).__name__ == "AskRegistration":
            verdict = self.verdicts.pop(0) if self.verdicts else RegistrationStatus.ACCEPTED
            csms.answer_registration(action.question, Registration(verdict, 20), self.now / 1000)
        elif isinstance(action, StatusReported):
            self.statuses[action.ref.evse, action.ref.connector] = action.wire_status
        elif isinstance(action, TransactionStarted):
            self.started.append(action.transaction)
        elif isinstance(action, TransactionEnded):
            self.ended.append(action.transaction)

    def discards(self) -> list[Notice]:
        """What the station gave up."""
        return [notice for notice in self.notices if notice.kind is NoticeKind.FACT_DISCARDED]


def _ms(seconds: float) -> int:
    """Milliseconds, rounded up, so that a deadline has passed when its millisecond comes."""
    return -int(-seconds * 1000 // 1)
