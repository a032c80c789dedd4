"""Those at the charger, those at the central system, and what each of them has seen."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from random import Random

from ocpp_adapters.central import StationLink, utc_ms
from ocpp_core import LocalProtocolError
from ocpp_core.csms import (
    CommandAnswered,
    CommandFailed,
    CsmsAction,
    StatusReported,
    Topic,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Trigger,
)
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.transactions import Phase
from ocpp_core.station import LinkChanged, Notice, NoticeKind, Station, StationAction, TransactionChanged
from ocpp_core.wire import Text
from tests.adapters.charger import TOKEN, Charger
from tests.adapters.network.station_child import Give, Site

LOSSES = {NoticeKind.FACT_DISCARDED, NoticeKind.FACTS_THINNED}


class Books:
    """What the station says of its transactions, and how its link is."""

    def __init__(self) -> None:
        self.meters: dict[str, list[float]] = {}
        """Of each transaction the register at its beginning and, if it has ended, at its end."""
        self.ended: set[str] = set()
        self.losses: list[Notice] = []
        self.links: list[str] = []

    def observe(self, action: StationAction | Text) -> None:
        match action:
            case TransactionChanged(transaction, phase=phase, meter_wh=meter):
                self.meters.setdefault(transaction, [meter, meter])[1] = meter
                if phase is Phase.ENDED:
                    self.ended.add(transaction)
            case Notice(kind) if kind in LOSSES:
                self.losses.append(action)
            case LinkChanged(version, reason):
                self.links.append(f"{version or 'lost'} {reason}")

    @property
    def bills(self) -> list[tuple[float, float]]:
        """The registers of what was charged."""
        return sorted((start, stop) for start, stop in self.meters.values() if stop > start)


class Operator:
    """What the CSMS's application sees; with a source of chance it asks for things, too."""

    def __init__(self, random: Random | None = None) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []
        self.asked: list[str] = []
        self.settled: list[str] = []
        self._random = random

    def observe(self, link: StationLink, action: CsmsAction) -> None:
        match action:
            case TransactionStarted():
                self.started.append(action.transaction)
            case TransactionEnded():
                self.ended.append(action.transaction)
            case CommandAnswered() | CommandFailed():
                self.settled.append(action.call_id)
        if isinstance(action, StatusReported | TransactionUpdated) and self._random is not None:
            self._ask(link, self._random.choice((None, Topic.HEARTBEAT, Topic.STATUS, Topic.METER_VALUES)))

    def _ask(self, link: StationLink, topic: Topic | None) -> None:
        if topic is not None:
            with suppress(LocalProtocolError), link.turn() as now:  # it has asked for a lot already
                self.asked.append(link.machine.call(Trigger(topic, 1), now))


class Customers:
    """People at the one EVSE, whose plans are drawn."""

    def __init__(
        self, random: Random, give: Give, site: Site, interludes: Sequence[Callable[[], None]] = ()
    ) -> None:
        self._random = random
        self._give = give
        self._site = site
        self._interludes = interludes
        """What happens at times while they wait."""

    def come_and_go(self, sessions: int, patience: float) -> None:
        """So many sessions that charged; one that a full disk forbade is begun anew."""
        end = time.monotonic() + patience
        while sessions:
            assert time.monotonic() < end, "the charger does not do as it is told"
            sessions -= self._charge()

    def _charge(self) -> bool:
        give = self._give
        if self._random.random() < 0.3:
            jump = self._random.choice((-86_400_000, -1, 3_600_000))
            give(lambda station, now: station.set_utc(utc_ms() + jump, now))
        give(self._plug_in)
        self._pause(0.05)
        give(lambda station, now: station.present_token(TOKEN, 1, now))
        charged = self._until(True, 1.0)
        self._pause(0.25)
        if charged and self._random.random() < 0.5:
            give(lambda station, now: station.present_token(TOKEN, 1, now))
            self._pause(0.05)
        give(self._plug_out)
        assert self._until(False, 10.0), "power without a cable"  # a disk may be very slow
        return charged

    def _plug_in(self, station: Station, now: float) -> None:
        self._site.charger.plugged = True
        station.plug_in(1, 1, now)

    def _plug_out(self, station: Station, now: float) -> None:
        self._site.charger.plugged = False
        station.plug_out(1, 1, now)

    def _pause(self, most: float) -> None:
        time.sleep(self._random.uniform(0.0, most))
        if self._interludes and self._random.random() < 0.25:
            self._random.choice(self._interludes)()

    def _until(self, power: bool, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self._site.charger.power is not power and time.monotonic() < end:
            time.sleep(0.005)
        return self._site.charger.power is power


class Cable(Charger):
    """Without a cable nothing flows, wherever the contactor is."""

    plugged = False

    def meters(self) -> Iterable[tuple[int, tuple[Quantity, ...]]]:
        return super().meters() if self.plugged else [(1, (Quantity(self.wh),))]


def at_rest(give: Give) -> bool:
    """Whether a station is connected and has nothing to say."""
    state = give(lambda station, now: station.state(now))
    connected = state["connection"]["state"] == "open" and state["registration"] == "Accepted"
    return connected and state["store"] == "ok" and not state["queue"]["facts"]
