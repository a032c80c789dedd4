"""Station, hardware, network and CSMS in virtual time: everything from one case, the same every time.

Nothing here knows how the station works inside. :class:`Site` runs a station as an adapter would, and lets
faults strike between its actions; :class:`Network` carries frames; :class:`Central` runs the CSMS.
"""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from ocpp_core.domain.layout import Layout
from ocpp_core.versions import OcppVersion

from .case import ANY, Case
from .central import Central
from .network import Message, Network
from .site import Site
from .watch import Watch

EVSES = 2
STEPS = 200_000
"""Events in one run: more means that something goes round in circles."""


class World:
    """One station, one CSMS or several, and what lies between them, from time 0 (ms)."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.versions = tuple(reversed(OcppVersion)) if case.version == ANY else (OcppVersion(case.version),)
        self.layout = Layout((1,) * EVSES)
        self.now = 0
        self.fair = False
        """Whether faults are over."""
        self.trace: list[tuple[int, Any]] = []
        """What happened, for whoever reads why a promise broke."""
        self.messages: list[Message] = []
        """Every frame that either side sent."""
        self._random = Random(case.seed)
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self.ways: tuple[str, ...] = tuple(case.config.get("network_profiles", ("",)))
        """The CSMS to which each network profile leads, by slot."""
        self.network = Network(self)
        self.watch = Watch(self)
        self.centrals = {name: Central(self, name) for name in self.ways}
        self.site = Site(self)
        self.site.boot()

    def central_at(self, slot: int) -> Central:
        """The CSMS to which a network profile leads."""
        return self.centrals[self.ways[slot]]

    @property
    def central(self) -> Central:
        """The CSMS to which the station has a link, or the first."""
        return self.central_at(0 if self.network.link is None else self.network.link.slot)

    def draw(self, least: int, most: int) -> int:
        """A number from the seed."""
        return self._random.randint(least, max(least, most))

    def pick(self, choices: list[Any]) -> Any:
        """One of these, from the seed."""
        return self._random.choice(choices)

    def note(self, what: Any) -> None:
        """Add to the trace."""
        self.trace.append((self.now, what))

    def at(self, ms: int, act: Callable[[], None]) -> None:
        """Have something happen at a time."""
        self._order += 1
        heapq.heappush(self._agenda, (ms, self._order, act))

    def after(self, ms: int, act: Callable[[], None]) -> None:
        """Have something happen ``ms`` from now."""
        self.at(self.now + ms, act)

    def run(self, until: int) -> None:
        """Let time pass until ``until`` (ms)."""
        agenda, site, centrals = self._agenda, self.site, self.centrals.values()
        for _ in range(STEPS):
            planned = agenda[0][0] if agenda else until + 1
            due = min(planned, site.due, *(central.due for central in centrals))
            if due > until:
                self.now = until
                return
            self.now = max(self.now, due)
            if planned <= self.now:
                heapq.heappop(agenda)[2]()
            else:
                site.handle_timer()
                for central in centrals:
                    central.handle_timer()
        raise AssertionError("the station and the CSMS never come to rest")

    @property
    def at_rest(self) -> bool:
        """Whether nothing is under way and the station owes nothing."""
        return not self._agenda and self.site.at_rest and self.network.linked
