"""The charging site: a station run as an adapter runs it, its hardware, its store, and the people there.

The station's actions are carried out one at a time. Before every one that can be noticed from outside, and
after the last of a drain, lies a point at which the power can fail or the link break.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.network import NetworkProfile
from ocpp_core.domain.status import RegistrationStatus, StationInfo
from ocpp_core.domain.tokens import IdToken
from ocpp_core.entropy import SeededEntropy
from ocpp_core.errors import LocalProtocolError
from ocpp_core.station import (
    Backoff,
    CloseLink,
    DoPower,
    FactHandedOver,
    LinkFailure,
    OpenLink,
    PinPolicy,
    SendFrame,
    Station,
    StationConfig,
    TxPoint,
)
from ocpp_core.store import Commit, MemoryStore

from . import promises
from .hardware import Outlet
from .network import Link

if TYPE_CHECKING:
    from .world import World

NEVER = 1 << 60
NOTICED = (Commit, SendFrame, OpenLink, CloseLink, DoPower, FactHandedOver)
"""The actions that the world outside can tell from their absence."""
By: TypeAlias = Literal["EV", "EVSE"]
_POINTS = ("tx_start_points", "tx_stop_points")


class Site:
    """The station of a world and all that is around it."""

    def __init__(self, world: "World") -> None:
        self.world = world
        settings: dict[str, Any] = {
            "info": StationInfo("Model", "Vendor"),
            "layout": world.layout,
            "versions": world.versions,
            "backoff": Backoff(2, 3, 3),
            "sample_interval": 60.0,
            "attempt_interval": 10.0,
            "offline_tx_for_unknown_id": True,
            **world.case.config,
        }
        for name in _POINTS:
            if name in settings:
                settings[name] = frozenset(map(TxPoint, settings[name]))
        ways = enumerate(world.ways)
        settings["network_profiles"] = tuple(NetworkProfile(slot, csms) for slot, csms in ways)
        if "pin_policy" in settings:
            settings["pin_policy"] = PinPolicy(settings["pin_policy"])
        self.config = StationConfig(**settings)
        self.outlets = {number: Outlet() for number in world.layout.evses}
        self.store = MemoryStore()
        self.station: Station | None = None
        self.points = 0
        """How many points were passed before the world turned fair."""
        self.commits = 0
        self.switches = 0
        self._entropy = SeededEntropy(f"station {world.case.seed}")
        self._booted_at = 0
        self._pushed: dict[int, int] = {}
        self._switches_at: dict[int, int] = {}
        self._draining = False
        self._dialling: OpenLink | None = None

    # ------------------------------------------------------------------ time

    @property
    def mono(self) -> float:
        """The station's monotonic clock: it starts anew with every boot."""
        return (self.world.now - self._booted_at) / 1000

    @property
    def due(self) -> int:
        """When the station wants its timers handled (ms of the world)."""
        at = None if self.station is None else self.station.next_timer()
        # Rounded up, so that a deadline has passed when its millisecond comes.
        return NEVER if at is None else self._booted_at - int(-at * 1000 // 1)

    def handle_timer(self) -> None:
        """Let the station handle its timers, if it is time."""
        station = self.station
        if station is not None and self.due <= self.world.now:
            self.read_meters()
            at = station.next_timer() or 0.0
            # A timer may be due a rounding error after the millisecond it falls in.
            self._input(lambda station: station.handle_timer(max(at, self.mono)))

    @property
    def at_rest(self) -> bool:
        """Whether the station owes nobody anything."""
        if self.station is None or self.world.watch.registered is not RegistrationStatus.ACCEPTED:
            return False
        state = self.station.state(self.mono)
        idle = state["queue"]["facts"] == 0 and all(evse["transaction"] is None for evse in state["evses"])
        return idle and state["store"] == "ok" and not promises.unconverged(self.world, state)

    # ------------------------------------------------------------------ power

    def boot(self) -> None:
        """Power is there: a new station over what the store kept; the hardware reports what it sees."""
        if self.station is not None:
            return
        self.world.note("boot")
        self._booted_at = self.world.now
        self._dialling = None
        self._pushed.clear()
        self.station = Station(self.config, self._entropy, 0.0, self.store.load())
        self._drain()
        self.read_meters()
        for number, outlet in self.outlets.items():
            if outlet.plugged:
                self._input(_plug_in(self, number))
            for by in sorted(outlet.paused_by):
                self._input(_suspend(self, number, by))

    def power_loss(self) -> None:
        """No goodbye, no flush: the station is gone, contactors open, the peer hears nothing."""
        self.world.note("power loss")
        for outlet in self.outlets.values():
            outlet.switch(False, self.world.now)
        self.station = None
        self.world.watch.power_lost()
        self.world.network.drop()
        self.world.after(self.world.case.off_ms, self.boot)

    # ------------------------------------------------------------------ people

    def plug(self, number: int) -> None:
        """A driver plugs in."""
        outlet = self.outlets[number]
        if not outlet.plugged:
            self.read_meters()
            outlet.plugged = True
            self._input(_plug_in(self, number))

    def unplug(self, number: int) -> None:
        """A driver takes the cable."""
        outlet = self.outlets[number]
        if outlet.plugged:
            self.read_meters()
            outlet.plugged = False
            outlet.paused_by.clear()
            self._input(lambda station: station.plug_out(number, 1, self.mono))

    def token(self, value: str, number: int | None = None) -> None:
        """A driver shows a token."""
        self.read_meters()
        self._input(lambda station: station.present_token(IdToken(value), number, self.mono))

    def pause(self, number: int, by: By) -> None:
        """The car (``EV``) or the station's own limit (``EVSE``) pauses."""
        outlet = self.outlets[number]
        if outlet.plugged:
            self.read_meters()
            outlet.paused_by.add(by)
            self._input(_suspend(self, number, by))

    def go_on(self, number: int, by: By) -> None:
        """It goes on."""
        outlet = self.outlets[number]
        if by in outlet.paused_by:
            self.read_meters()
            outlet.paused_by.discard(by)
            self._input(lambda station: station.resume(number, by, self.mono))

    def read_meters(self) -> None:
        """Push every register that moved to the station."""
        for number, outlet in self.outlets.items():
            outlet.advance(self.world.now)
            if self._pushed.get(number) != outlet.watt_ms:
                self._pushed[number] = outlet.watt_ms
                reading = (Quantity(outlet.register_wh),)
                self._input(_meter(self, number, reading))

    # ------------------------------------------------------------------ what the network brings

    def receive(self, text: str) -> None:
        """A frame arrives."""
        self._input(lambda station: station.receive_frame(text, self.mono))

    def link_closed(self, link: Link, station: Station | None, code: int = 1006) -> None:
        """A connection of a station is known to be gone, unless the station itself is."""
        network = self.world.network
        if station is self.station and link is network.link:
            network.drop()
            self._input(lambda station: station.link_closed(code, "", self.mono))

    def connect(self, slot: int) -> None:
        """The operator wants the station to use this network profile."""
        self.world.watch.sent_elsewhere()
        self._input(lambda station: station.connect(self.mono, slot))

    def network_lost(self, slot: int) -> None:
        """The host says that the network of a profile is gone: its attempts are over."""
        if self.station is not None:
            self.world.watch.told_of_network(slot, there=False)
        self._input(lambda station: station.network_lost(self.mono, slot))

    def network_back(self, slot: int) -> None:
        """The host says that it can be used again: its attempts begin."""
        if self.station is not None:
            self.world.watch.told_of_network(slot, there=True)
        self._input(lambda station: station.network_back(self.mono, slot))

    def release(self, csms: str) -> None:
        """The operator no longer waits for a CSMS."""
        self._input(lambda station: station.release(csms, self.mono) and None)

    def _dial(self, station: Station, action: OpenLink) -> None:
        if station is not self.station or action is not self._dialling:
            return
        self._dialling = None
        network, central = self.world.network, self.world.central_at(action.slot)
        reachable = network.reaches(action.slot)
        version = central.choose(action.versions) if reachable else None
        if not reachable:
            self._input(lambda station: station.link_failed(LinkFailure.UNREACHABLE, "", self.mono))
        elif version is None:
            self._input(lambda station: station.link_failed(LinkFailure.REFUSED_SUBPROTOCOL, "", self.mono))
        else:
            central.connected(network.open(action.slot, version))
            self._input(lambda station: station.link_opened(version.value, self.mono))

    def _hang_up(self, station: Station, code: int) -> None:
        link = self.world.network.link
        if link is not None:
            self.link_closed(link, station, code)
        elif station is self.station and self._dialling is not None:
            self._dialling = None
            self._input(lambda station: station.link_failed(LinkFailure.UNREACHABLE, "given up", self.mono))

    # ------------------------------------------------------------------ the station's actions

    def _input(self, act: Callable[[Station], None]) -> None:
        """Give the station an input, and carry out what it wants, action by action.

        An input that makes no sense to it (it was off when the car came) it refuses.
        """
        if self.station is None:
            return
        try:
            act(self.station)
        except LocalProtocolError as refusal:
            self.world.note(f"refused: {refusal}")
        self._drain()

    def _drain(self) -> None:
        if self._draining:
            return  # an input from within an action: the loop below sees what comes of it
        self._draining = True
        try:
            while self.station is not None and (actions := self.station.actions()):
                self._carry_out(self.station, actions)
        finally:
            self._draining = False

    def _carry_out(self, station: Station, actions: list[Any]) -> None:
        noticed = False
        for action in actions:
            if isinstance(action, NOTICED):
                noticed = True
                if not self._survives():
                    return
            self.world.note(action)
            if isinstance(action, Commit) and not self._store(action):
                station.store_failed("disk full", self.mono)
                return
            self.world.watch.sees(action)
            self._do(station, action)
        if noticed:
            self._survives()

    def _survives(self) -> bool:
        """Pass a point; False if the power fails there."""
        if self.world.fair:
            return True
        number, self.points = self.points, self.points + 1
        if number in self.world.case.cut:
            self.world.network.cut()
        if number in self.world.case.power_loss:
            self.power_loss()
            return False
        return True

    def _store(self, commit: Commit) -> bool:
        number, self.commits = self.commits, self.commits + 1
        if number in self.world.case.store and not self.world.fair:
            return False
        self.store.commit(commit)
        return True

    def _do(self, station: Station, action: Any) -> None:
        world = self.world
        if isinstance(action, SendFrame):
            if world.network.link is not None:
                world.network.link.send(action.text, from_station=True)
        elif isinstance(action, OpenLink):
            self._dialling = action
            world.after(20, lambda: self._dial(station, action))
        elif isinstance(action, CloseLink):
            world.after(10, lambda: self._hang_up(station, action.code))
        elif isinstance(action, DoPower):
            self._command_contactor(station, action)

    def _command_contactor(self, station: Station, action: DoPower) -> None:
        world = self.world
        number, self.switches = self.switches, self.switches + 1
        confirmed = number not in world.case.unconfirmed or world.fair
        at = world.now + world.draw(5, world.case.contactor_ms)
        at = self._switches_at[action.evse] = max(at, self._switches_at.get(action.evse, 0))
        world.at(at, lambda: self._switch(station, action, confirmed=confirmed))

    def _switch(self, station: Station, action: DoPower, *, confirmed: bool) -> None:
        if station is not self.station:
            return
        self.read_meters()
        self.outlets[action.evse].switch(action.on, self.world.now)
        self.world.watch.energy()
        if confirmed:
            self._input(lambda station: station.power_switched(action.evse, action.on, self.mono))


def _plug_in(site: Site, number: int) -> Callable[[Station], None]:
    return lambda station: station.plug_in(number, 1, site.mono)


def _suspend(site: Site, number: int, by: By) -> Callable[[Station], None]:
    return lambda station: station.suspend(number, by, site.mono)


def _meter(site: Site, number: int, reading: tuple[Quantity, ...]) -> Callable[[Station], None]:
    return lambda station: station.meter(number, reading, site.mono)
