"""What lies between station and CSMS: connections that delay, break, and seem alive when they are not.

Every frame that either side hands over is kept, with what became of it: the log is what the bookkeeper reads.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocpp_core.versions import OcppVersion

if TYPE_CHECKING:
    from .central import Central
    from .world import World

CSMS_NOTICES_MS = 300
"""How long after the station's power loss the CSMS's end of the connection is closed."""

FAIR_DELAY_MS = 200


@dataclass(slots=True)
class Message:
    """A frame that one side handed over."""

    at: int
    csms: str
    version: OcppVersion
    from_station: bool
    frame: list[Any]
    heard: int | None = None
    """When the other side took it in; None: it never did."""


class Link:
    """One connection, two ordered streams: what is sent earlier never arrives later."""

    def __init__(self, world: "World", slot: int, central: "Central", version: OcppVersion) -> None:
        self.slot = slot
        self.central = central
        self.version = version
        self.up = True
        """Whether frames cross. Neither end knows."""
        self._world = world
        self._last = {True: 0, False: 0}

    def send(self, text: str, *, from_station: bool) -> None:
        """Hand a frame over; it arrives later, or never."""
        world = self._world
        message = Message(world.now, self.central.name, self.version, from_station, json.loads(text))
        world.messages.append(message)
        if not self.up:
            return  # its end is there, the other is not
        slowest = FAIR_DELAY_MS if world.fair else world.case.delay_ms
        at = max(self._last[from_station], world.now + world.draw(5, slowest))
        self._last[from_station] = at
        world.at(at, lambda: self._arrive(message, text))

    def _arrive(self, message: Message, text: str) -> None:
        world = self._world
        if message.from_station:
            if (self.up or world.case.arrives) and self.central.receive(self, message, text):
                message.heard = world.now
        elif self.up:
            message.heard = world.now
            world.watch.hears(message.frame)
            world.site.receive(text)


class Network:
    """Whether the station can reach a CSMS, and the connection over which it does."""

    def __init__(self, world: "World") -> None:
        self.link: Link | None = None
        """The connection as the station sees it: it may have broken unnoticed."""
        self._world = world
        self._gone: set[int] = set()

    @property
    def linked(self) -> bool:
        """Whether there is a connection over which frames cross."""
        return self.link is not None and self.link.up

    def reaches(self, slot: int) -> bool:
        """Whether a connection can be had by a network profile."""
        return slot not in self._gone

    def away(self, *slots: int) -> None:
        """The network goes for longer, or some ways through it."""
        gone = slots or tuple(range(len(self._world.ways)))
        self._gone.update(gone)
        if self.link is not None and self.link.slot in gone:
            self.cut()

    def back(self, *slots: int) -> None:
        """The network can be used again, or these ways."""
        self._gone.difference_update(slots or range(len(self._world.ways)))

    def open(self, slot: int, version: OcppVersion) -> Link:
        """A new connection; it replaces what there was."""
        self.link = Link(self._world, slot, self._world.central_at(slot), version)
        return self.link

    def cut(self) -> None:
        """The connection breaks; both ends learn of it, at once or when their keep-alive finds out."""
        self._break("cut", self._world.case.silence_ms)

    def hang_up(self) -> None:
        """The CSMS closes the connection."""
        self._break("the CSMS hangs up", FAIR_DELAY_MS)

    def _break(self, how: str, silence: int) -> None:
        link, station = self.link, self._world.site.station
        if link is None or not link.up:
            return
        link.up = False
        self._world.note(how)
        self._world.after(silence, lambda: self._world.site.link_closed(link, station))
        self._world.after(max(silence, CSMS_NOTICES_MS), lambda: link.central.link_lost(link))

    def drop(self) -> None:
        """The station is off or has hung up; the CSMS learns of it."""
        link, self.link = self.link, None
        if link is not None:
            link.up = False
            self._world.after(CSMS_NOTICES_MS, lambda: link.central.link_lost(link))
