"""One scenario, every adapter: the same actions and frames in the same order, letter by letter."""

import queue
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from ipaddress import ip_address
from typing import Any, NamedTuple

import pytest
from cryptography import x509

from ocpp_adapters.asyncio_server import DiskThread
from ocpp_adapters.calls import Concurrency
from ocpp_adapters.central import Central
from ocpp_adapters.rpc_link import RpcLink
from ocpp_adapters.sessions import Session
from ocpp_adapters.stores import Committer, GroupCommitter, Loaded, inline
from ocpp_adapters.threads_bridge import ThreadBridge
from ocpp_adapters.threads_monitor import Monitor
from ocpp_adapters.threads_rpc import BlockingLink
from ocpp_adapters.tls_policy import CsmsTls, SecurityProfile, StationTls
from ocpp_core import OcppVersion, Role
from ocpp_core.entropy import SeededEntropy
from ocpp_core.store import Snapshot
from tests.adapters.conformance.calls import handle_on_csms, handle_on_station, play
from tests.adapters.conformance.central_systems import CENTRAL_SYSTEMS
from tests.adapters.conformance.session import CONFIG, UTC_MS, ScriptedCsms, ScriptedStation
from tests.adapters.conformance.stations import CALLING, CHARGING, Blocking, to_the_end
from tests.adapters.conformance.trace import Tap, Trace, TracedStore
from tests.adapters.systems import ScopedFlaky
from tests.adapters.tls import pki

REFERENCE = "native", "anyio-asyncio"
PAIRS = [
    *((csms, REFERENCE[1]) for csms in CENTRAL_SYSTEMS if csms != REFERENCE[0]),
    *((REFERENCE[0], station) for station in CALLING if station != REFERENCE[1]),
    ("threads", "poll"),
    ("poll", "threads"),
]
VERSIONS = [OcppVersion.V16, OcppVersion.V201, OcppVersion.V21]


class Contexts(NamedTuple):
    """The TLS of the two ends; None: without."""

    csms: ssl.SSLContext | None = None
    station: ssl.SSLContext | None = None


PLAIN = Contexts()


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    """Security profile 3."""
    root = pki.root(tmp_path_factory.mktemp("pki"))
    leaf = root.leaf("CSMS", names=(x509.IPAddress(ip_address("127.0.0.1")),))
    common: Any = {"profile": SecurityProfile.TLS_CERTIFICATE, "trust": (root.file,)}
    return Contexts(
        CsmsTls(credentials=(leaf.credential,), **common).context(),
        StationTls(credential=root.leaf("SN-0001").credential, **common).context(),
    )


def conversation(csms: str, station: str, contexts: Contexts = PLAIN) -> tuple[Trace, Trace, Trace]:
    """The rpc level: what the CSMS's link carried, what its handler saw, what the station saw."""
    frames, handled, said = Trace(), Trace(), Trace()

    def session(concurrency: Concurrency) -> Session:
        handler: Any = partial(handle_on_csms, trace=handled)
        return Tap(RpcLink(Role.CSMS, handler, concurrency, entropy=SeededEntropy("csms")), frames)

    with CENTRAL_SYSTEMS[csms](session, contexts.csms) as port:
        CALLING[station](port, said, contexts.station)
    return frames, handled, said


def charging_session(
    csms: str, station: str, version: OcppVersion, contexts: Contexts = PLAIN
) -> tuple[Trace, Trace, Trace]:
    """The behaviour level: what the CSMS's link carried, what happened there and at the station."""
    frames, operator, script = Trace(), ScriptedCsms(), ScriptedStation(version)

    def session(concurrency: Concurrency) -> Session:
        central = Central(
            CONFIG,
            operator.observe,
            TracedStores(operator.trace),
            concurrency,
            entropy=SeededEntropy("csms"),
            clock=lambda: UTC_MS,
        )
        return Tap(central.session(), frames)

    with CENTRAL_SYSTEMS[csms](session, contexts.csms) as port:
        CHARGING[station](port, script, contexts.station)
    return frames, operator.trace, script.trace


class TracedStores:
    """One station's rows, with a trace."""

    def __init__(self, trace: Trace) -> None:
        self._store = TracedStore(trace)

    def committer(self, scope: str) -> Committer:
        assert scope == "CP 1"
        return inline(self._store)

    def load(self, scope: str, loaded: Loaded) -> None:
        rows: Snapshot = self._store.load()
        loaded(rows)


def over_a_bridge() -> tuple[Trace, Trace, Trace]:
    """The rpc level over queues: no sockets, no WebSocket."""
    frames, handled, said = Trace(), Trace(), Trace()
    monitors = Monitor(), Monitor()
    handler: Any = partial(handle_on_csms, trace=handled)
    csms = RpcLink(Role.CSMS, handler, monitors[0], entropy=SeededEntropy("csms"))
    station = BlockingLink(
        Role.STATION,
        lambda link, call: to_the_end(handle_on_station(Blocking(link), call, said)),
        monitors[1],
        entropy=SeededEntropy("station"),
    )
    who: Any = {"identity": "CP 1", "subprotocol": "ocpp2.0.1"}
    up: queue.Queue[str | None] = queue.Queue()
    down: queue.Queue[str | None] = queue.Queue()
    server = ThreadBridge(Tap(csms, frames), down.put, monitor=monitors[0], **who)
    client = ThreadBridge(station, up.put, monitor=monitors[1], close=lambda *_: up.put(None), **who)
    server.open()
    with delivered(up, server), delivered(down, client):
        with client:
            to_the_end(play(Blocking(station), said))
        down.put(None)
    return frames, handled, said


@contextmanager
def delivered(messages: "queue.Queue[str | None]", bridge: ThreadBridge) -> Iterator[None]:
    """A thread takes messages to a bridge until there are no more, which is how the peer closes."""

    def deliver() -> None:
        while (text := messages.get()) is not None:
            bridge.receive(text)
        bridge.lost(1000)

    thread = threading.Thread(target=deliver)
    thread.start()
    yield
    thread.join()


@cache
def expected_conversation() -> tuple[Trace, Trace, Trace]:
    return conversation(*REFERENCE)


@cache
def expected_session(version: OcppVersion) -> tuple[Trace, Trace, Trace]:
    return charging_session(*REFERENCE, version)


def test_the_conversation_is_worth_comparing() -> None:
    frames, handled, said = expected_conversation()
    assert frames[0] == "opened CP 1 ocpp2.0.1"
    assert frames[-1] == "closed 1000 clean"
    assert len(frames) == 2 + 2 * 9 + 2 * 2
    assert [line.split()[1] for line in handled if line.startswith("called")] == [
        "BootNotification",
        *["DataTransfer"] * 7,
        "Heartbeat",
    ]
    assert [line for line in handled if not line.startswith("called")] == [
        'response {"ClearCacheResponse": {"status": "Accepted"}}',
        "failed call-error NotSupported",
    ]
    assert [line for line in said if line.startswith("failed")] == [
        "failed call-error SecurityError",
        "failed call-error InternalError",
        "failed call-error InternalError",
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_session_is_worth_comparing(version: OcppVersion) -> None:
    frames, operator, station = expected_session(version)
    assert frames[0] == f"opened CP 1 {version}"
    events = [line.split('"')[1] for line in operator if line.startswith("event")]
    for event in ("StationBooted", "TransactionStarted", "TransactionEnded", "CommandAnswered"):
        assert event in events
    assert any(line.startswith("commit") for line in operator)
    actions = [line.split('"')[1] for line in station if line.startswith("action")]
    assert actions[0] == "OpenLink"
    assert actions.count("DoPower") == 2
    assert actions[-1] == "LinkChanged"


@pytest.mark.parametrize(("csms", "station"), PAIRS)
def test_calls(csms: str, station: str) -> None:
    same(conversation(csms, station), told_by(csms))


@pytest.mark.parametrize(("csms", "station"), [REFERENCE, *PAIRS])
@pytest.mark.requirement("A00.FR.401")
def test_calls_with_tls(csms: str, station: str, mutual: Contexts) -> None:
    """As without, letter by letter."""
    same(conversation(csms, station, mutual), told_by(csms))


def told_by(csms: str) -> tuple[Trace, Trace, Trace]:
    """What is expected at a central system."""
    frames, handled, said = expected_conversation()
    if csms == "asgi-hypercorn-trio":  # it does not tell its application how a WebSocket was closed
        frames = Trace([*frames[:-1], "closed 1006 not clean"])
    return frames, handled, said


def test_calls_over_a_bridge() -> None:
    bridged, expected = over_a_bridge(), expected_conversation()
    same([trace.renumbered() for trace in bridged], [trace.renumbered() for trace in expected])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("csms", "station"), PAIRS)
def test_charging_session(csms: str, station: str, version: OcppVersion) -> None:
    same(charging_session(csms, station, version), expected_session(version))


@pytest.mark.parametrize(("csms", "station"), [REFERENCE, *PAIRS])
@pytest.mark.requirement("A00.FR.401")
def test_charging_session_with_tls(csms: str, station: str, mutual: Contexts) -> None:
    version = OcppVersion.V201
    same(charging_session(csms, station, version, mutual), expected_session(version))


def test_a_disk_whose_thread_answers_beside_all_tasks() -> None:
    """Asyncio calls what a thread has to say; there is no task then, and anyio knows of no loop."""
    operator, script = ScriptedCsms(), ScriptedStation(OcppVersion.V201)
    disks: list[DiskThread] = []

    def session(concurrency: Concurrency) -> Session:
        disks.append(DiskThread())
        stores = GroupCommitter(ScopedFlaky(), disks[0].submit)
        return Central(CONFIG, operator.observe, stores, concurrency).session()

    with CENTRAL_SYSTEMS["asgi-uvicorn-asyncio"](session, None) as port:
        CHARGING["poll"](port, script, None)
    disks[0].close()
    assert any("TransactionEnded" in line for line in operator.trace)


def same(traces: Sequence[Trace], expected: Sequence[Trace]) -> None:
    for trace, other in zip(traces, expected, strict=True):
        assert trace == other
