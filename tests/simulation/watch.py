"""What the station promises at every moment: watched as its actions are carried out.

A broken promise is an AssertionError at the very action that breaks it.
"""

import json
from typing import TYPE_CHECKING, Any

from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.domain.transactions import TransactionFact
from ocpp_core.station import (
    FactHandedOver,
    LinkChanged,
    Notice,
    NoticeKind,
    OpenLink,
    RegistrationChanged,
    SendFrame,
    StatusChanged,
    TransactionChanged,
    TxPoint,
)
from ocpp_core.versions import OcppVersion

from . import bookkeeper

if TYPE_CHECKING:
    from .world import World

Place = tuple[int, int]
"""EVSE and connector."""


class Watch:
    """Sees what the station does and what it hears, and remembers what that obliges it to."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.facts: list[TransactionChanged] = []
        """What the station said was recorded, over all its lives."""
        self.handed_over: set[TransactionFact] = set()
        """What the operator was given, because no CSMS can be told; he may be given it twice."""
        self.discards = 0
        self.thinned = False
        self.power_lost_at: list[int] = []
        self.offline_at: list[int] = []
        """When the station learned that a link was gone, or died with it."""
        self.registered: RegistrationStatus | None = None
        """What the station was last told in this life, under this version."""
        self._registered_by: tuple[OcppVersion, int] | None = None
        self._dials: list[int] = []
        """The slots tried since the last link."""
        self._lost_networks: set[int] = set()
        """Of which the host said that they are gone."""
        self._left: int | None = None
        """The one that it said so of last, if nothing was dialled since."""
        self._in_flight: tuple[str, int] | None = None
        self._asked: set[str] = set()
        """What the CSMS asked for over this link."""
        self._behind: set[Place] = set()
        """Whose status the CSMS had wrong when the link was opened, and has not been told since."""
        self._facts_before_link = 0
        self._explained_by: dict[Place, int] = {}
        """How many facts were recorded when a status changed."""

    def power_lost(self) -> None:
        """The station's memory is gone."""
        self.power_lost_at.append(self.world.now)
        self.offline_at.append(self.world.now)
        self.registered = self._registered_by = self._in_flight = None
        self._dials.clear()
        self._lost_networks.clear()
        self._left = None
        self._behind.clear()

    def sees(self, action: Any) -> None:
        """The station has an action carried out."""
        if isinstance(action, SendFrame):
            frame = json.loads(action.text)
            if frame[0] == 2:
                self._before_a_call(frame)
        elif isinstance(action, TransactionChanged):
            self.facts.append(action)
        elif isinstance(action, StatusChanged):
            place = action.ref.evse, action.ref.connector
            self._explained_by[place] = len(self.facts)
            self._behind.discard(place)  # what explains the new one may come first
        elif isinstance(action, RegistrationChanged):
            self.registered = action.status
        elif isinstance(action, FactHandedOver):
            self.handed_over.add(action.fact)
        elif isinstance(action, OpenLink):
            self._dialled(action.slot)
        elif isinstance(action, LinkChanged):
            self._link_changed(action.version, action.slot)
        elif isinstance(action, Notice):
            self.discards += action.kind is NoticeKind.FACT_DISCARDED
            self.thinned = self.thinned or action.kind is NoticeKind.FACTS_THINNED

    def sent_elsewhere(self) -> None:
        """The operator wants another network profile: its attempts begin."""
        self._left = None
        self._dials.clear()

    def told_of_network(self, slot: int, *, there: bool) -> None:
        """The host says whether a network profile can be used: its attempts are over, or begin."""
        (self._lost_networks.discard if there else self._lost_networks.add)(slot)
        self._left = None if there else slot
        self._dials.clear()

    def hears(self, frame: list[Any]) -> None:
        """A frame reaches the station."""
        if frame[0] in (3, 4) and self._in_flight is not None and self._in_flight[0] == frame[1]:
            self._in_flight = None
        elif frame[0] == 2 and frame[2] == "TriggerMessage":
            self._asked.add(frame[3]["requestedMessage"])

    # ------------------------------------------------------------------ the promises

    def energy(self) -> None:
        """Energy flows only in a transaction that would survive a power loss.

        Where the flow of energy is what makes a transaction, it comes first by its nature.
        """
        site = self.world.site
        if site.config.tx_start_points == {TxPoint.ENERGY_TRANSFER}:
            return
        known = {json.loads(row)["evse"] for row in site.store.load().get("transactions", {}).values()}
        for number, outlet in site.outlets.items():
            assert number in known or not outlet.flows, f"energy flows at EVSE {number}, unknown to the store"

    def _before_a_call(self, frame: list[Any]) -> None:
        self._allowed(frame[2])
        self._one_in_flight(frame)
        if frame[2] == "StatusNotification":
            self._status(frame[3])
        elif bookkeeper.tells_fact(frame):
            self._durable(frame)
            assert not self._behind, f"a fact is told before the statuses of {self._behind}"

    def _allowed(self, action: str) -> None:
        """Before it is accepted, a station boots, and says what it is asked for (B02.FR.02, B03.FR.02)."""
        accepted = self.registered is RegistrationStatus.ACCEPTED
        allowed = accepted or action == "BootNotification" or action in self._asked
        assert allowed, f"{action} leaves although the CSMS has not accepted the station"

    def _one_in_flight(self, frame: list[Any]) -> None:
        """No call before the one before it was answered, timed out, or lost with its link (OCPP-J §4.1.1)."""
        now, timeout_ms = self.world.now, self.world.site.config.message_timeout * 1000
        waiting = self._in_flight is not None and now < self._in_flight[1] + timeout_ms
        assert not waiting, f"{frame[2]} leaves while call {self._in_flight} is in flight"
        self._in_flight = frame[1], now

    def _durable(self, frame: list[Any]) -> None:
        """What fixes a fact's frame is durable before it leaves (E04.FR.01)."""
        rows = [row for table in self.world.site.store.load().values() for row in table.values()]
        assert any(frame[1] in row for row in rows), f"{frame[2]} {frame[1]} leaves, unknown to the store"

    def _status(self, body: dict[str, Any]) -> None:
        """A status waits for the facts that explain it, as far as they happened over the same link.

        Checked where nothing goes wrong, and in 2.x, where every fact is told.
        """
        place = (body.get("evseId", body["connectorId"]), body["connectorId"] if "evseId" in body else 1)
        self._behind.discard(place)
        recorded = self._explained_by.get(place, 0)
        elsewhere = len(self.world.centrals) > 1  # some of those facts may wait for another CSMS
        if (
            self.world.case.faultless
            and not elsewhere
            and "evseId" in body
            and recorded > self._facts_before_link
        ):
            told = len(self.world.central.facts)
            assert told >= recorded, f"the status of {place} is told before the facts that explain it"

    def _dialled(self, slot: int) -> None:
        """No dial while there is a link (B10.FR.06), and so many attempts by one way, no more (B10.FR.03)."""
        assert self.world.network.link is None, "a link is dialled although there is one"
        left, self._left = self._left, None
        others_there = len(self._lost_networks) < len(self.world.ways)
        assert slot != left or not others_there, f"network profile {slot} is dialled although it is gone"
        self._dials.append(slot)
        attempts = self.world.site.config.network_attempts
        last = self._dials[-attempts - 1 :]
        others = len(self.world.ways) > 1 and len(last) > attempts and not self._lost_networks
        assert not others or len(set(last)) > 1, f"network profile {slot} is tried more than {attempts} times"

    def _link_changed(self, version: OcppVersion | None, slot: int) -> None:
        self._in_flight = None
        self._asked.clear()
        self._behind.clear()
        if version is None:
            self.offline_at.append(self.world.now)
            return
        self._dials.clear()
        if self._registered_by != (version, slot):
            self.registered = None  # another version or network profile needs a new boot (B10.FR.10)
            self._registered_by = version, slot
        self._facts_before_link = len(self.facts)
        station = self.world.site.station
        if station is not None and self.world.case.answered:
            # A reconnect: facts that could not be told hold no status back any longer.
            key = "status_16" if version is OcppVersion.V16 else "status"
            believed = self.world.central.statuses
            for seen in station.state(self.world.site.mono)["connectors"]:
                place = seen["evse"], seen["connector"]
                if believed.get(place) != seen[key]:
                    self._behind.add(place)
