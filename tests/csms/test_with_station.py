"""A whole session with the station of this project, its link cut in the middle, in virtual time."""

from collections.abc import Callable
from typing import Any

import pytest

from ocpp_core import OcppVersion, SeededEntropy
from ocpp_core.csms import (
    CommandAnswered,
    RequestStart,
    RequestStop,
    StationBooted,
    StatusReported,
    Topic,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
    Trigger,
)
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.status import ConnectorStatus, StationInfo
from ocpp_core.domain.tokens import IdToken
from ocpp_core.domain.transactions import StopReason
from ocpp_core.rpc import CallFailed, SendFrame
from ocpp_core.station import CloseLink, DoPower, LinkFailure, OpenLink, Station, StationConfig
from ocpp_core.store import Commit, MemoryStore
from tests.csms.csms_kit import START_MS, V16, VERSIONS, Host, of, one


class World:
    """A station and a CSMS, the wire between them, and a meter that runs while there is power."""

    def __init__(self, version: OcppVersion) -> None:
        self.version = version
        self.now = 100.0
        self.online = True
        self.power = False
        self.wh = 5000.0
        self.store = MemoryStore()
        self.host: Host | None = None
        self.csms_store = MemoryStore()
        self.told: list[Any] = []
        self.station = Station(
            StationConfig(StationInfo("Model", "Vendor"), versions=(version,)), SeededEntropy(1), self.now
        )
        self.turn(lambda: None)

    def turn(self, happen: Callable[[], Any]) -> None:
        """Let something happen and carry out what follows, until nothing does."""
        self.station.meter(1, (Quantity(self.wh),), self.now)
        happen()
        while self._station_turn() or self._csms_turn():
            pass

    def _station_turn(self) -> bool:
        actions = self.station.actions()
        for action in actions:
            match action:
                case Commit():
                    self.store.commit(action)
                case OpenLink() if self.online:
                    self.host = Host(self.version, store=self.csms_store)
                    self.host.csms.set_utc(START_MS + int(self.now * 1000), self.host.now)
                    self.station.link_opened(self.version, self.now)
                case OpenLink():
                    self.station.link_failed(LinkFailure.UNREACHABLE, "cut", self.now)
                case SendFrame(text) if self.host is not None:
                    self.host.csms.receive_frame(text, self.host.now)
                case DoPower(evse, on):
                    self.power = on
                    self.station.power_switched(evse, on, self.now)
                case CloseLink(code, reason):
                    self.station.link_closed(code, reason, self.now)
        return bool(actions)

    def _csms_turn(self) -> bool:
        if self.host is None:
            return False
        actions = self.host.drain()
        for action in actions:
            if isinstance(action, SendFrame):
                self.station.receive_frame(action.text, self.now)
            else:
                self.told.append(action)
        return bool(actions)

    def cut(self) -> None:
        """The link is lost."""
        assert self.host is not None
        self.online = False
        self.host.csms.link_lost(self.host.now)
        self.told += self.host.drain()
        self.host = None
        self.turn(lambda: self.station.link_closed(1006, "cut", self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass in steps of the timers; 7,200 W are 2 Wh a second."""
        end = self.now + seconds
        while True:
            due = self.station.next_timer()
            until = end if due is None else min(end, max(due, self.now))
            self.wh += 2 * (until - self.now) if self.power else 0
            self.now = until
            if due is None or due > end:
                return
            self.turn(lambda: self.station.handle_timer(self.now))

    def call(self, command: Any) -> CommandAnswered:
        """A command and its answer."""
        assert self.host is not None
        csms, at = self.host.csms, self.host.now
        self.turn(lambda: csms.call(command, at))
        return of(self.told, CommandAnswered)[-1]


@pytest.mark.requirement("E01.FR.07", "E04.FR.02", "E12.FR.02", "1.6-3.7", "1.6-4.8", "1.6-4.10")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_with_the_link_cut_in_the_middle(version: OcppVersion) -> None:
    world = World(version)
    station = world.station
    world.turn(lambda: station.plug_in(1, 1, world.now))
    world.turn(lambda: station.present_token(IdToken("T"), 1, world.now))
    assert world.power
    world.wait(100)
    world.cut()
    world.wait(200)
    world.online = True
    world.wait(600)
    world.turn(lambda: station.present_token(IdToken("T"), 1, world.now))
    stopped_at = world.wh
    world.wait(10)
    world.turn(lambda: station.plug_out(1, 1, world.now))
    world.wait(10)
    assert world.host is not None
    (bill,) = world.host.csms.billed()
    assert (bill.start_wh, bill.stop_wh, bill.energy_wh) == (5000, stopped_at, stopped_at - 5000)
    assert bill.complete
    assert stopped_at > 6500
    events = [event for event in world.told if isinstance(event, TransactionEvent)]
    assert isinstance(events[0], TransactionStarted)
    assert len(of(events, TransactionStarted)) == len(of(events, TransactionEnded)) == 1
    assert one(events, TransactionEnded).stop_reason == StopReason.LOCAL
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert any(event.offline for event in events) is (version is not V16)
    assert of(world.told, StationBooted)
    assert of(world.told, StatusReported)[-1].status is ConnectorStatus.AVAILABLE
    assert not of(world.told, CallFailed)


@pytest.mark.requirement("F01.FR.01", "F03.FR.01", "F06.FR.01", "1.6-5.11", "1.6-5.12", "1.6-5.17")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_from_afar(version: OcppVersion) -> None:
    world = World(version)
    station = world.station
    world.turn(lambda: station.plug_in(1, 1, world.now))
    before = len(of(world.told, StatusReported))
    assert world.call(Trigger(Topic.STATUS, 1)).accepted
    assert len(of(world.told, StatusReported)) == before + 1
    assert world.call(RequestStart(IdToken("T"), 1)).accepted
    world.wait(90)
    assert world.power
    started = of(world.told, TransactionStarted)[-1]
    assert world.call(RequestStop(started.transaction)).accepted
    world.wait(5)
    world.turn(lambda: station.plug_out(1, 1, world.now))
    ended = one(world.told, TransactionEnded)
    assert (ended.transaction, ended.stop_reason) == (started.transaction, StopReason.REMOTE)
    assert not world.call(RequestStop(started.transaction)).accepted
