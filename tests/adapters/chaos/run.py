"""One station charging behind a :class:`~.relay.Relay`, on any adapter, with any server; what must hold then.

A case is its seed: what it draws are the two adapters, the version, TLS or none, the faults, and when people
plug in, show their token and leave. (Threads and the kernel have their say too: a seed is no proof, but in
practice it brings a failure back.)
"""

import gc
import json
import logging
import os
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from cryptography import x509

from ocpp_adapters.anyio_link import AnyioConcurrency, in_thread
from ocpp_adapters.asyncio_server import AsyncioConcurrency, DiskThread
from ocpp_adapters.calls import Concurrency
from ocpp_adapters.central import Central, StationLink, utc_ms
from ocpp_adapters.routes import Route
from ocpp_adapters.sessions import Session
from ocpp_adapters.stores import GroupCommitter, StoreWriteError, Submit
from ocpp_adapters.threads_monitor import Monitor
from ocpp_adapters.tls_policy import CsmsTls, StationTls
from ocpp_core import OcppVersion
from ocpp_core.csms import Csms, CsmsAction, CsmsConfig, TransactionEnded, TransactionStarted
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.network import SecurityProfile
from ocpp_core.domain.status import StationInfo
from ocpp_core.domain.transactions import Phase
from ocpp_core.station import (
    Backoff,
    LinkChanged,
    Notice,
    NoticeKind,
    Station,
    StationAction,
    StationConfig,
    TransactionChanged,
)
from ocpp_core.store import Commit, MemoryStore, Snapshot
from ocpp_core.wire import ClientConfig, ServerConfig, Text
from tests.adapters.chaos.relay import Relay
from tests.adapters.charger import EASY, TOKEN, Charger
from tests.adapters.conformance.central_systems import CENTRAL_SYSTEMS
from tests.adapters.network.station_child import ADAPTERS, Give, Site
from tests.adapters.tls import pki

PONG = 0.2
PATIENCE = 20.0
"""Seconds in which all is well again, once the relay is honest."""
TIMES: dict[str, Any] = {
    "handshake_timeout": 0.6,
    "close_timeout": 0.2,
    "ping_interval": 0.1,
    "pong_timeout": PONG,
}
SERVERS = [name for name in CENTRAL_SYSTEMS if name != "asgi-hypercorn-trio"]
TIMELESS = {"asgi-uvicorn-asyncio"}
"""Give a handshake as long as it likes."""
STATIONS = list(ADAPTERS)
LEDGER = CsmsConfig(
    registration=EASY.registration, authorization=EASY.authorization, closed_transactions=1000
)
LOSSES = {NoticeKind.FACT_DISCARDED, NoticeKind.FACTS_THINNED}
GRACE = 3.0
"""Seconds in which threads that were given up come to their end."""


class Contexts(NamedTuple):
    """The TLS of the two ends."""

    csms: ssl.SSLContext
    station: ssl.SSLContext


def mutual(folder: Path) -> Contexts:
    """Security profile 3."""
    root = pki.root(folder)
    leaf = root.leaf("CSMS", names=(x509.IPAddress(ip_address("127.0.0.1")),))
    common: Any = {"profile": SecurityProfile.TLS_CERTIFICATE, "trust": (root.file,)}
    return Contexts(
        CsmsTls(credentials=(leaf.credential,), **common).context(),
        StationTls(credential=root.leaf("SN-0001").credential, **common).context(),
    )


@dataclass(frozen=True)
class Case:
    """Who talks to whom, and the seed of everything else."""

    seed: int
    station: str
    csms: str
    version: OcppVersion
    secure: bool
    disks: bool
    """Whether those of both ends are full at times."""

    def __str__(self) -> str:
        more = [word for word, true in (("tls", self.secure), ("full-disks", self.disks)) if true]
        return "-".join([str(self.seed), self.station, self.csms, self.version, *more])

    @classmethod
    def draw(cls, seed: int, station: str | None = None, csms: str | None = None) -> "Case":
        random = Random(seed)
        drawn = (random.choice(STATIONS), random.choice(SERVERS), random.choice(list(OcppVersion)))
        secure, disks = random.random() < 0.5, random.random() < 0.3
        return cls(seed, station or drawn[0], csms or drawn[1], drawn[2], secure, disks)


def station_config(version: OcppVersion) -> StationConfig:
    return StationConfig(
        StationInfo("Model", "Vendor"),
        versions=(version,),
        sample_interval=0.05,
        backoff=Backoff(minimum=0.02, random_range=0.02, repeats=2),
        message_timeout=1.0,
        attempts=1000,
        attempt_interval=0.02,
        dial_timeout=5.0,
        offline_tx_for_unknown_id=True,
        store_retry_interval=0.05,
    )


class Books:
    """What the station says of its transactions, and how its link is."""

    def __init__(self) -> None:
        self.meters: dict[str, list[float]] = {}
        """Of each transaction the register at its beginning and, if it has ended, at its end."""
        self.ended: set[str] = set()
        self.losses: list[Notice] = []
        self.links: list[str] = []
        self.changed = threading.Condition()

    def observe(self, action: StationAction | Text) -> None:
        with self.changed:
            match action:
                case TransactionChanged(transaction, phase=phase, meter_wh=meter):
                    self.meters.setdefault(transaction, [meter, meter])[1] = meter
                    if phase is Phase.ENDED:
                        self.ended.add(transaction)
                case Notice(kind) if kind in LOSSES:
                    self.losses.append(action)
                case LinkChanged(version, reason):
                    self.links.append(f"{version or 'lost'} {reason}")
            self.changed.notify_all()

    @property
    def bills(self) -> list[tuple[float, float]]:
        """The registers of what was charged."""
        return sorted((start, stop) for start, stop in self.meters.values() if stop > start)


class Operator:
    """What the CSMS's application sees."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []

    def observe(self, link: StationLink, action: CsmsAction) -> None:
        match action:
            case TransactionStarted():
                self.started.append(action.transaction)
            case TransactionEnded():
                self.ended.append(action.transaction)


class Alarms(logging.Handler):
    """Whatever reaches a log as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(logging.Formatter().format(record))


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is logged as an error, nothing goes unheard, nothing stays open."""
    gc.collect()
    alarms, unheard = Alarms(), list[str]()
    before = (descriptors(), running())
    hooks = threading.excepthook
    logging.getLogger().addHandler(alarms)
    threading.excepthook = lambda args: unheard.append(repr(args.exc_value))
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield
            left = eventually_none(lambda: running() - before[1])
            fds = eventually_none(lambda: descriptors() - before[0])
            gc.collect()
    finally:
        threading.excepthook = hooks
        logging.getLogger().removeHandler(alarms)
    assert not alarms.records, "\n".join(alarms.records)
    assert not unheard, unheard
    complaints = [str(warning.message) for warning in warned]
    assert not complaints, complaints
    assert not left, f"threads left: {left}"
    assert not fds, f"descriptors left: {sorted(fds)}"


def running() -> set[threading.Thread]:
    """Threads; trio keeps its own for a while, for the next work."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("Trio thread")}


def descriptors() -> set[tuple[str, str]]:
    """What is open, and what it is."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add((name, os.readlink(f"/proc/self/fd/{name}")))
        except OSError:
            continue  # the listing's own
    return found


def connections_of(port: int) -> set[str]:
    """What a server on this port has accepted, and not closed."""
    lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    found = [(line.split(), line) for line in lines]
    return {
        line
        for words, line in found
        if words[1].endswith(f":{port:04X}") and words[3] != "0A" and words[9] != "0"
    }


def eventually_none(left: Callable[[], set[Any]]) -> set[Any]:
    end = time.monotonic() + GRACE
    while (found := left()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


class Customers:
    """People at the one EVSE, whose plans are drawn."""

    def __init__(self, random: Random, give: Give, site: Site) -> None:
        self._random = random
        self._give = give
        self._site = site

    def come_and_go(self, sessions: int) -> None:
        """So many sessions that charged; one that a full disk forbade is begun anew."""
        end = time.monotonic() + PATIENCE
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
        charged = self._until(True)
        self._pause(0.25)
        if charged and self._random.random() < 0.5:
            give(lambda station, now: station.present_token(TOKEN, 1, now))
            self._pause(0.05)
        give(self._plug_out)
        assert self._until(False), "power without a cable"
        return charged

    def _plug_in(self, station: Station, now: float) -> None:
        self._site.charger.plugged = True
        station.plug_in(1, 1, now)

    def _plug_out(self, station: Station, now: float) -> None:
        self._site.charger.plugged = False
        station.plug_out(1, 1, now)

    def _pause(self, most: float) -> None:
        time.sleep(self._random.uniform(0.0, most))

    def _until(self, power: bool) -> bool:
        end = time.monotonic() + 1.0
        while self._site.charger.power is not power and time.monotonic() < end:
            time.sleep(0.005)
        return self._site.charger.power is power


class Cable(Charger):
    """Without a cable nothing flows, wherever the contactor is."""

    plugged = False

    def meters(self) -> Iterable[tuple[int, tuple[Quantity, ...]]]:
        return super().meters() if self.plugged else [(1, (Quantity(self.wh),))]


@contextmanager
def disk_thread() -> Iterator[DiskThread]:
    thread = DiskThread()
    try:
        yield thread
    finally:
        thread.close()


class Disk:
    """Rows by scope, behind a thread; from a seed, full at times."""

    def __init__(self, seed: int | None) -> None:
        self.random = None if seed is None else Random(seed)
        self._rows: dict[str, MemoryStore] = {}
        self._full = 0

    def load(self, scope: str = "") -> dict[str, dict[str, str]]:
        return self._rows.setdefault(scope, MemoryStore()).load()

    def commit(self, commit: Commit) -> None:
        self.commit_all([("", commit)])

    def commit_all(self, commits: Sequence[tuple[str, Commit]]) -> None:
        random = self.random
        if random is not None:
            time.sleep(random.choice((0.0, 0.001, 0.01)))
            self._full = self._full - 1 if self._full else random.choice((0, 0, 0, 0, 0, 0, 1, 5))
            if self._full:
                raise StoreWriteError("no space left on device")
        for scope, commit in commits:
            self._rows.setdefault(scope, MemoryStore()).commit(commit)


def disk_of(concurrency: Concurrency, closing: ExitStack) -> Submit:
    """Where each adapter has its disk written."""
    if isinstance(concurrency, AsyncioConcurrency):
        return closing.enter_context(disk_thread()).submit
    if isinstance(concurrency, AnyioConcurrency):
        return in_thread(concurrency._tasks)
    if isinstance(concurrency, Monitor):
        return concurrency.submit
    return lambda work: work()()


def odd_clock(random: Random) -> Callable[[], int]:
    """A CSMS's clock that somebody sets, back and forward."""
    return lambda: utc_ms() + random.choice((0, 0, 0, -3_600_000, 86_400_000))


@dataclass
class Outcome:
    """What both sides say in the end."""

    books: Books
    operator: Operator
    rows: Snapshot
    faults: list[Any] = field(default_factory=list)
    recovery: float = 0.0


def play(case: Case, contexts: Contexts | None, sessions: int = 3) -> Outcome:
    """Charge behind the relay; raises AssertionError where something is not as it must be."""
    books, operator, random = Books(), Operator(), Random(case.seed)
    disks = [Disk(random.randrange(10**6) if case.disks else None) for _ in range(2)]
    site, rows = Site(Cable(), disks[0]), disks[1]
    centrals: list[Central] = []
    config = station_config(case.version)
    secured = contexts if case.secure else None

    def session(concurrency: Concurrency) -> Session:
        if not centrals:
            stores = GroupCommitter(rows, disk_of(concurrency, closing))
            centrals.append(Central(LEDGER, operator.observe, stores, concurrency, clock=odd_clock(random)))
        return centrals[0].session()

    settings = ServerConfig(**TIMES)
    with (
        ExitStack() as closing,
        CENTRAL_SYSTEMS[case.csms](session, secured and secured.csms, config=settings) as port,
        Relay(port, case.seed, secure=case.secure, patience=PONG) as relay,
    ):
        url = f"{'wss' if secured else 'ws'}://127.0.0.1:{relay.port}/CP1"
        way = ClientConfig(url=url, subprotocols=(case.version,), **TIMES)
        route = Route(config=way, ssl_context=secured and secured.station)
        with ADAPTERS[case.station](config, route, books.observe, site) as give:
            Customers(random, give, site).come_and_go(sessions)
            relay.be_honest()
            for disk in disks:
                disk.random = None
            honest = time.monotonic()
            _recover(give, books)
            outcome = Outcome(books, operator, {}, relay.faults, time.monotonic() - honest)
        left = eventually_none(lambda: set(centrals[0].links))
        assert not left, "the CSMS does not notice that the station has gone"
        if case.csms not in TIMELESS:
            left = eventually_none(lambda: connections_of(port))
            assert not left, f"the server keeps connections open: {left}"
    outcome.rows = rows.load("CP1")
    _audit(outcome, case, site)
    return outcome


def _recover(give: Give, books: Books) -> None:
    """The network is fair: the station connects, and has nothing left to say."""
    end = time.monotonic() + PATIENCE
    while not at_rest(give):
        if time.monotonic() > end:
            state = json.dumps(give(lambda station, now: station.state(now)))
            raise AssertionError(f"{PATIENCE} s later: {state}\n" + "\n".join(books.links[-20:]))
        time.sleep(0.01)


def at_rest(give: Give) -> bool:
    """Whether the station is connected and has nothing to say."""
    state = give(lambda station, now: station.state(now))
    connected = state["connection"]["state"] == "open" and state["registration"] == "Accepted"
    return connected and state["store"] == "ok" and not state["queue"]["facts"]


def _audit(outcome: Outcome, case: Case, site: Site) -> None:
    """Every transaction once, with what it came to."""
    books, operator = outcome.books, outcome.operator
    assert not books.losses, books.losses
    assert set(books.meters) == books.ended, "transactions without end"
    for told in (operator.started, operator.ended):
        assert len(told) == len(set(told)), f"told twice: {told}"
    billed = Csms(LEDGER, "CP1", case.version, os.urandom, 0.0, outcome.rows).billed()
    assert all(bill.complete for bill in billed), billed
    charged = sorted((bill.start_wh, bill.stop_wh) for bill in billed if bill.energy_wh)
    assert charged == books.bills
    total = sum(stop - start for start, stop in books.bills)
    assert total == site.charger.wh - 1000.0, "energy that nobody pays"
