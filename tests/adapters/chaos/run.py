"""One station charging behind a :class:`~.relay.Relay`, on any adapter, with any server; what must hold then.

A case is its seed: what it draws are the two adapters, the version, TLS or none, the faults, and when people
plug in, show their token and leave. (Threads and the kernel have their say too: a seed is no proof, but in
practice it brings a failure back.)
"""

import json
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from cryptography import x509

from ocpp_adapters.calls import Concurrency
from ocpp_adapters.central import Central
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.routes import Route
from ocpp_adapters.sessions import Session
from ocpp_adapters.stores import GroupCommitter
from ocpp_adapters.tls_policy import CsmsTls, StationTls
from ocpp_core import OcppVersion
from ocpp_core.csms import Csms, CsmsConfig
from ocpp_core.domain.network import SecurityProfile
from ocpp_core.domain.status import StationInfo
from ocpp_core.station import Backoff, StationConfig
from ocpp_core.wire import ClientConfig, ServerConfig
from tests.adapters.chaos.disks import Disk, disk_of, odd_clock
from tests.adapters.chaos.people import Books, Cable, Customers, Operator, at_rest
from tests.adapters.chaos.relay import Relay
from tests.adapters.chaos.tidy import connections_of, eventually_none
from tests.adapters.charger import EASY
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
LEAVING = 10.0
"""Seconds in which both ends have closed their links, whatever the other does."""
SERVERS = list(CENTRAL_SYSTEMS)
TIMELESS = {"asgi-uvicorn-asyncio", "asgi-hypercorn-trio"}
"""Others' servers: they give a handshake as long as it likes, and a goodbye (asyncio's own TLS 30 s)."""
STATIONS = list(ADAPTERS)
LEDGER = CsmsConfig(
    registration=EASY.registration, authorization=EASY.authorization, closed_transactions=1000
)


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
    proxy: bool
    restarts: bool
    """Whether the CSMS is restarted in between, the station told to leave and come back, and called."""

    def __str__(self) -> str:
        more = {
            "tls": self.secure,
            "full-disks": self.disks,
            "proxy": self.proxy,
            "restarts": self.restarts,
        }
        words = [word for word, true in more.items() if true]
        return "-".join([str(self.seed), self.station, self.csms, self.version, *words])

    @classmethod
    def draw(cls, seed: int, station: str | None = None, csms: str | None = None) -> "Case":
        random = Random(seed)
        drawn = (random.choice(STATIONS), random.choice(SERVERS), random.choice(list(OcppVersion)))
        more = (random.random() < share for share in (0.5, 0.3, 0.3, 0.5))
        return cls(seed, station or drawn[0], csms or drawn[1], drawn[2], *more)


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


@dataclass
class Outcome:
    """What both sides say in the end."""

    books: Books
    operator: Operator
    disk: Disk
    faults: list[Any] = field(default_factory=list)
    recovery: float = 0.0


class Backend:
    """The CSMS, which may be restarted; its rows stay."""

    def __init__(self, case: Case, context: ssl.SSLContext | None, disk: Disk, random: Random) -> None:
        self.operator = Operator(random if case.restarts else None)
        self.port = 0
        self._case = case
        self._context = context
        self._disk = disk
        self._random = random
        self._running = self._disks = ExitStack()
        self._central: Central | None = None

    def start(self) -> None:
        """Listen, on a port of its own."""
        self._running = ExitStack()
        self._disks = self._running.enter_context(ExitStack())  # ends after the server
        system = CENTRAL_SYSTEMS[self._case.csms]
        serving = system(self._session, self._context, config=ServerConfig(**TIMES))
        self.port = self._running.enter_context(serving)

    def stop(self) -> None:
        """In good order, and not at leisure."""
        began = time.monotonic()
        self._running.close()
        if self._case.csms not in TIMELESS:
            assert time.monotonic() - began < LEAVING, "the server waits for its stations"
        self._central = None

    def check_alone(self) -> None:
        """The station has left, whether or not the network said so."""
        left = eventually_none(lambda: set(self._central.links if self._central else ()))
        assert not left, "the CSMS does not notice that the station has gone"
        if self._case.csms not in TIMELESS:
            left = eventually_none(lambda: connections_of(self.port))
            assert not left, f"the server keeps connections open: {left}"

    def _session(self, concurrency: Concurrency) -> Session:
        if self._central is None:
            self._central = Central(
                LEDGER,
                self.operator.observe,
                GroupCommitter(self._disk, disk_of(concurrency, self._disks)),
                concurrency,
                clock=odd_clock(self._random),
            )
        return self._central.session()


def play(case: Case, contexts: Contexts | None, sessions: int = 2) -> Outcome:
    """Charge behind the relay; raises AssertionError where something is not as it must be."""
    books, random = Books(), Random(case.seed)
    disks = [Disk(random.randrange(10**6) if case.disks else None) for _ in range(2)]
    site = Site(Cable(), disks[0])
    secured = contexts if case.secure else None
    backend = Backend(case, secured and secured.csms, disks[1], random)
    with running(backend), relay_for(case, backend.port) as relay:

        def restart() -> None:
            backend.stop()
            backend.start()
            relay.target = backend.port

        route = route_to(relay, case, secured, case.version)
        live = partial(ADAPTERS[case.station], station_config(case.version), route, books.observe, site)
        if case.restarts:
            with live() as give:
                interludes = restart, partial(bounce, give, random)
                Customers(random, give, site, interludes).come_and_go(1, PATIENCE)
                began = time.monotonic()
            assert time.monotonic() - began < LEAVING, "the station waits for its CSMS"
        with live() as give:
            Customers(random, give, site).come_and_go(sessions, PATIENCE)
            relay.be_honest()
            for disk in disks:
                disk.random = None
            honest = time.monotonic()
            _recover(give, books)
            recovery = time.monotonic() - honest
        backend.check_alone()
    outcome = Outcome(books, backend.operator, disks[1], relay.faults, recovery)
    _audit(outcome, case, site)
    return outcome


def relay_for(case: Case, port: int) -> Relay:
    return Relay(port, case.seed, secure=case.secure, patience=PONG, proxy=case.proxy)


def route_to(relay: Relay, case: Case, secured: Contexts | None, version: str) -> Route:
    """To the relay, or by it if it is a proxy."""
    url = f"{'wss' if secured else 'ws'}://127.0.0.1:{1 if case.proxy else relay.port}/CP1"
    return Route(
        config=ClientConfig(url=url, subprotocols=(version,), **TIMES),
        ssl_context=secured and secured.station,
        proxy=Proxy("127.0.0.1", relay.port) if case.proxy else None,
    )


def bounce(give: Give, random: Random) -> None:
    """The station is told to leave and to come back."""
    give(lambda station, now: station.disconnect(now))
    time.sleep(random.choice((0.0, 0.01, 0.1)))
    give(lambda station, now: station.connect(now))


@contextmanager
def running(backend: Backend) -> Iterator[None]:
    backend.start()
    try:
        yield
    finally:
        backend.stop()


def _recover(give: Give, books: Books) -> None:
    """The network is fair: the station connects, and has nothing left to say."""
    end = time.monotonic() + PATIENCE
    while not at_rest(give):
        if time.monotonic() > end:
            state = json.dumps(give(lambda station, now: station.state(now)))
            raise AssertionError(f"{PATIENCE} s later: {state}\n" + "\n".join(books.links[-20:]))
        time.sleep(0.01)


def _audit(outcome: Outcome, case: Case, site: Site) -> None:
    """Every transaction once, with what it came to; every command ends once."""
    books, operator = outcome.books, outcome.operator
    assert not books.losses, books.losses
    assert set(books.meters) == books.ended, "transactions without end"
    for told in (operator.started, operator.ended):
        assert len(told) == len(set(told)), f"told twice: {told}"
    assert sorted(operator.asked) == sorted(operator.settled), "commands without an end, or with two"
    billed = Csms(LEDGER, "CP1", case.version, os.urandom, 0.0, outcome.disk.load("CP1")).billed()
    assert all(bill.complete for bill in billed), billed
    charged = sorted((bill.start_wh, bill.stop_wh) for bill in billed if bill.energy_wh)
    assert charged == books.bills
    total = sum(stop - start for start, stop in books.bills)
    assert total == site.charger.wh - 1000.0, "energy that nobody pays"
