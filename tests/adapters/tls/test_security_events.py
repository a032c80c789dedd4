"""A station that meets a CSMS it must not trust, and then a good one: what the good one learns (A00, A04)."""

import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from ocpp_adapters import anyio_station, poll_station, threads_station
from ocpp_adapters.central import Central
from ocpp_adapters.poll import Poll
from ocpp_adapters.routes import Route
from ocpp_adapters.sessions import Decision, Peer, Reject
from ocpp_adapters.stores import MemoryStores
from ocpp_adapters.threads_monitor import Monitor
from ocpp_adapters.threads_server import serve
from ocpp_adapters.tls_policy import CsmsTls, SecurityProfile, StationTls
from ocpp_core.csms import CsmsAction, SecurityEventReported
from ocpp_core.domain.security import SecurityEvent
from ocpp_core.station import LinkChanged, RegistrationChanged, SendFrame, Station, StationAction
from ocpp_core.store import MemoryStore
from ocpp_core.versions import OcppVersion
from ocpp_core.wire import ClientConfig, HandshakeReceived, Text
from tests.adapters.charger import EASY, Charger, config
from tests.adapters.tls.pki import DAY, Authority

SECONDS = 15.0
QUIET = 0.1


@dataclass
class Encounter:
    """A station on its way to a CSMS that has something wrong with it, until it has failed three times.

    Whoever runs the station asks :meth:`over` again and again.
    """

    version: OcppVersion
    url: ClientConfig | Route
    trust: ssl.SSLContext
    mend: Callable[[], object]
    """Nothing is wrong with the CSMS any longer."""
    expected: int
    """Notifications."""
    seen: list[StationAction | Text] = field(default_factory=list)
    mended: bool = False
    done_at: float | None = None
    poll: Poll = field(default_factory=Poll)
    """Of the station that has one."""
    logged: Callable[[], list[dict[str, Any]]] = list
    """The station's security log."""

    def station(self, now: float) -> Station:
        station = Station(config(self.version), os.urandom, now)
        self.logged = station.security_log
        return station

    @property
    def refusals(self) -> list[str]:
        return [a.reason for a in list(self.seen) if isinstance(a, LinkChanged) and a.version is None]

    @property
    def notifications(self) -> list[dict[str, Any]]:
        frames = [json.loads(a.text) for a in list(self.seen) if isinstance(a, SendFrame)]
        return [frame[3] for frame in frames if frame[2] == "SecurityEventNotification"]

    def over(self) -> bool:
        """Whether the CSMS, once it was good, took the station, was told, and for a while no more came."""
        if not self.mended and len(self.refusals) >= 3:
            self.mend()
            self.mended = True
        if not any(isinstance(action, RegistrationChanged) for action in list(self.seen)):
            return False
        if len(self.notifications) < self.expected or any(entry["untold"] for entry in self.logged()):
            return False
        self.done_at = self.done_at or time.monotonic()
        return time.monotonic() > self.done_at + QUIET


Family = Callable[[Encounter], Station]


def on_anyio(backend: str) -> Family:
    def run(encounter: Encounter) -> Station:
        async def main() -> Station:
            station = encounter.station(anyio.current_time())
            async with anyio_station.connect_station(
                station,
                encounter.url,
                MemoryStore(),
                Charger(),
                observe=encounter.seen.append,
                ssl_context=encounter.trust,
            ):
                with anyio.fail_after(SECONDS):
                    while not encounter.over():
                        await anyio.sleep(0.005)
            return station

        return anyio.run(main, backend=backend)

    return run


def on_threads(encounter: Encounter) -> Station:
    station = encounter.station(time.monotonic())
    with threads_station.connect_station(
        station,
        encounter.url,
        MemoryStore(),
        Charger(),
        observe=encounter.seen.append,
        ssl_context=encounter.trust,
    ):
        deadline = time.monotonic() + SECONDS
        while not encounter.over():
            assert time.monotonic() < deadline, encounter.seen
            time.sleep(0.005)
    return station


def on_poll(encounter: Encounter) -> Station:
    station = encounter.station(time.monotonic())
    with encounter.poll as poll:
        runner = poll_station.connect_station(
            poll,
            station,
            encounter.url,
            MemoryStore(),
            Charger(),
            observe=encounter.seen.append,
            ssl_context=encounter.trust,
        )
        deadline = time.monotonic() + SECONDS
        while not encounter.over():
            assert time.monotonic() < deadline, encounter.seen
            poll.wait(min(poll.step(), 0.01))
        runner.leave()
    return station


FAMILIES = {"asyncio": on_anyio("asyncio"), "trio": on_anyio("trio"), "threads": on_threads, "poll": on_poll}
families = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


@contextmanager
def csms(context: ssl.SSLContext) -> Iterator[tuple[int, list[CsmsAction]]]:
    """A central system in threads; its port, and what its stations tell."""
    monitor = Monitor()
    events: list[CsmsAction] = []
    central = Central(EASY, lambda link, action: events.append(action), MemoryStores(), monitor)

    def admit(*_: object) -> Any:
        return central.session()

    with serve(admit, "127.0.0.1", monitor=monitor, ssl_context=context) as server:
        yield server.port, events


def expired(context: ssl.SSLContext, root: Authority) -> None:
    root.leaf("localhost", kind="rsa", since=-9 * DAY, until=-DAY).credential(context)


def old_version(context: ssl.SSLContext, root: Authority) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1


def forbidden_suite(context: ssl.SSLContext, root: Authority) -> None:
    context.set_ciphers("AES128-SHA:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_2


FAULTS = {
    "expired": (expired, SecurityEvent.INVALID_CSMS_CERTIFICATE, "expired"),
    "old version": (old_version, SecurityEvent.INVALID_TLS_VERSION, "TLS version"),
    "forbidden suite": (forbidden_suite, SecurityEvent.INVALID_TLS_CIPHER_SUITE, "cipher suite"),
}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(("spoil", "event", "words"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("version", list(OcppVersion))
@families
@pytest.mark.requirement(
    "A00.FR.310", "A00.FR.316", "A00.FR.323", "A00.FR.413", "A00.FR.419", "A00.FR.426", "1.6-A00.FR.309",
    "1.6-A00.FR.315", "1.6-A00.FR.322", "1.6-A00.FR.413", "1.6-A00.FR.419", "1.6-A00.FR.426", "A04.FR.01",
    "A04.FR.02", "A04.FR.04", "1.6-A04.FR.01", "1.6-A04.FR.02", "1.6-A04.FR.04",
)  # fmt: skip
def test_the_good_csms_learns_of_the_bad_one_once(
    family: Family, version: OcppVersion, spoil: Any, event: SecurityEvent, words: str, root: Authority
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    good = root.leaf("localhost", kind="rsa").credential
    good(context)
    spoil(context, root)

    def mend() -> None:
        context.set_ciphers("DEFAULT")
        context.maximum_version = ssl.TLSVersion.TLSv1_3
        good(context)

    with csms(context) as (port, events):
        url = ClientConfig(url=f"wss://localhost:{port}/CP1")
        encounter = Encounter(version, url, StationTls(trust=(root.file,)).context(), mend, 1)
        station = family(encounter)
    assert all(words in reason for reason in encounter.refusals[:3])
    (notification,) = encounter.notifications
    assert notification["type"] == event.spelling(version)
    assert notification["techInfo"].startswith(f"network profile 0: {words}: ")
    (told,) = [action for action in events if isinstance(action, SecurityEventReported)]
    assert (told.type, told.tech_info) == (notification["type"], notification["techInfo"])
    assert [(entry["type"], entry["untold"]) for entry in station.security_log()] == [(event, False)]


@families
@pytest.mark.requirement("A04.FR.04", "1.6-A04.FR.04")
def test_a_station_that_is_not_believed_logs_that_and_tells_nobody(family: Family, root: Authority) -> None:
    """First its certificate is missing, then its password is wrong: an event each, neither is critical."""
    stage = threading.Event()
    monitor = Monitor()
    central = Central(EASY, lambda link, action: None, MemoryStores(), monitor)
    tls = CsmsTls(
        credentials=(root.leaf("localhost").credential,),
        trust=(root.file,),
        profile=SecurityProfile.TLS_CERTIFICATE,
    ).context()
    refused: list[HandshakeReceived] = []

    def admit(handshake: HandshakeReceived, peer: Peer) -> Decision:
        if len(refused) < 3:
            refused.append(handshake)
            return Reject(401)
        return central.session()

    def mend() -> None:
        tls.verify_mode = ssl.CERT_NONE
        stage.set()

    with serve(admit, "127.0.0.1", monitor=monitor, ssl_context=tls) as server:
        url = ClientConfig(url=f"wss://localhost:{server.port}/CP1")
        encounter = Encounter(OcppVersion.V201, url, StationTls(trust=(root.file,)).context(), mend, 0)
        station = family(encounter)
    assert stage.is_set()
    assert len(refused) == 3
    assert encounter.notifications == []
    assert [(entry["type"], entry["untold"]) for entry in station.security_log()] == [
        (SecurityEvent.FAILED_TO_AUTHENTICATE_AT_CSMS, False)
    ]
