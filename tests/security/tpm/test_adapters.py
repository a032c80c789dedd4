"""mTLS with the station's key in a TPM, through every adapter: each server, each way to be a client."""

import os
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
import pytest

from ocpp_adapters import anyio_rpc, anyio_station, poll_rpc, poll_station, threads_rpc, threads_station
from ocpp_adapters.anyio_link import dial, dial_in_worker
from ocpp_adapters.poll import Poll
from ocpp_adapters.routes import Route
from ocpp_adapters.rpc_client import HandshakeFailedError
from ocpp_adapters.rpc_link import CallFailedError, RpcLink
from ocpp_adapters.sessions import Peer, Session
from ocpp_adapters.tls_failures import OwnKeyError, TlsFault, diagnose
from ocpp_adapters.tls_peer import peer_certificate
from ocpp_adapters.tls_wire import TlsHandshakeFailed
from ocpp_core import Role
from ocpp_core.messages import v201
from ocpp_core.station import LinkChanged, Station, StationAction
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig, Text
from ocpp_security.keys import KeyAlgorithm, KeyMismatchError, KeyStoreError, one_secret
from tests.adapters.charger import Charger, config
from tests.adapters.servers import SERVERS, Adapter, Polled, Threaded, eventually
from tests.adapters.tls.asgi_servers import Hypercorn, Uvicorn
from tests.security.keys.tls_kit import STATION, VERSIONS, TlsKit
from tests.security.tpm.support import AUTH, SoftwareTpm, station, tpm

pytestmark = pytest.mark.anyio
TRIGGER = v201.HeartbeatRequest()
NATIVE = SERVERS[0]
ALL = {
    **{str(server): server for server in SERVERS},
    "uvicorn": Uvicorn("asyncio", False),
    # Once more, for the clients that are on trio then.
    "poll, trio": Polled("trio", False),
    "threads, trio": Threaded("trio", False),
}


@pytest.fixture(params=ALL.values(), ids=ALL)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


@pytest.fixture
def anyio_backend(adapter: Adapter) -> str:
    return adapter.backend


def common_name(peer: Peer) -> str | None:
    certificate = peer_certificate(peer.tls)
    return None if certificate is None else certificate.common_name


@asynccontextmanager
async def csms(
    adapter: Adapter, context: ssl.SSLContext
) -> AsyncIterator[tuple[ClientConfig, list[str | None]]]:
    """A CSMS on an adapter: where to connect, and the common names that it sees."""
    seen: list[str | None] = []
    async with anyio.create_task_group() as tasks:
        concurrency = adapter.concurrency(tasks)

        def admit(handshake: Any, peer: Peer) -> RpcLink:
            seen.append(common_name(peer))
            return RpcLink(Role.CSMS, anyio_rpc.refuse_all, concurrency)

        async with adapter.serve(admit, ssl_context=context) as port:
            yield ClientConfig(url=f"wss://localhost:{port}/CP1", subprotocols=("ocpp2.0.1",)), seen
        tasks.cancel_scope.cancel()


def by_threads(config: ClientConfig, context: ssl.SSLContext) -> None:
    with threads_rpc.open_rpc(config, ssl_context=context) as link, pytest.raises(CallFailedError):
        link.call(TRIGGER)


def by_poll(config: ClientConfig, context: ssl.SSLContext) -> None:
    with Poll() as poll:
        link = poll_rpc.open_rpc(poll, config, ssl_context=context)
        while not link.opened:
            poll.wait(min(poll.step(), 0.01))
        task = link.call(TRIGGER)
        while not task.done:
            poll.wait(min(poll.step(), 0.01))
        with pytest.raises(CallFailedError):
            task.result()
        link.close()
        while link.closed is None:
            poll.wait(min(poll.step(), 0.01))


async def by_anyio(config: ClientConfig, context: ssl.SSLContext, dialler: Any = dial) -> None:
    async with anyio_rpc.open_rpc(config, ssl_context=context, dial=dialler) as link:
        with pytest.raises(CallFailedError):
            await link.call(TRIGGER)


@pytest.mark.requirement("A00.FR.401", "A00.FR.402", "A00.FR.415")
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
async def test_every_client_at_every_server(
    adapter: Adapter, kit: TlsKit, store: Any, algorithm: KeyAlgorithm, version: ssl.TLSVersion
) -> None:
    context = station(kit, store.create("leaf", algorithm), version)
    async with csms(adapter, kit.server(version)) as (url, seen):
        with anyio.fail_after(20):
            await by_anyio(url, context)
            await by_anyio(url, context, dial_in_worker)
            await anyio.to_thread.run_sync(by_threads, url, context)
            await anyio.to_thread.run_sync(by_poll, url, context)
    assert seen == [STATION] * 4


@pytest.mark.requirement("A00.FR.401")
@pytest.mark.parametrize("adapter", [Hypercorn("asyncio", False), Hypercorn("trio", False)], ids=str)
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
async def test_at_a_server_that_keeps_the_certificate_to_itself(
    adapter: Adapter, kit: TlsKit, store: Any, algorithm: KeyAlgorithm, version: ssl.TLSVersion
) -> None:
    """hypercorn verifies the TPM's signature, and the application hears of TLS, but not of whom."""
    context = station(kit, store.create("leaf", algorithm), version)
    async with csms(adapter, kit.server(version)) as (url, seen):
        with anyio.fail_after(20):
            await by_anyio(url, context)
            with pytest.raises((OSError, HandshakeFailedError)):
                await by_anyio(url, kit.client(version))
    assert seen == [None]


@pytest.mark.parametrize("adapter", [NATIVE], ids=str)
@pytest.mark.parametrize("client", [by_threads, by_poll])
async def test_a_dead_tpm_is_a_failed_link(
    adapter: Adapter, kit: TlsKit, folder: Any, client: Callable[[ClientConfig, ssl.SSLContext], None]
) -> None:
    """Who opened it hears why, by the key store's own name, and can try again."""
    with SoftwareTpm() as chip, tpm.TpmConnection(chip.tcti) as connection:
        context = station(kit, tpm.TpmKeyStore(folder, connection).create("leaf"))
        async with csms(adapter, kit.server()) as (url, seen):
            chip.stop()
            with pytest.raises(HandshakeFailedError) as raised:
                await anyio.to_thread.run_sync(client, url, context)
            failure = raised.value.failure
            assert isinstance(failure, TlsHandshakeFailed)
            assert failure.diagnosis.fault is TlsFault.OWN_KEY
            assert failure.diagnosis.event is None, "that is the TPM's fault, and not the CSMS's"
            assert isinstance(failure.diagnosis.cause, tpm.TpmLostError)
            chip.start()
            await anyio.to_thread.run_sync(client, url, context)
        assert seen == [STATION]


@pytest.mark.parametrize("adapter", [NATIVE, SERVERS[2]], ids=str)
@pytest.mark.parametrize("dialler", [dial, dial_in_worker])
async def test_a_dead_tpm_is_an_error_of_tls(
    adapter: Adapter, kit: TlsKit, folder: Any, dialler: Any
) -> None:
    """On anyio opening raises what TLS raises; its cause is what the key store has raised."""
    with SoftwareTpm() as chip, tpm.TpmConnection(chip.tcti) as connection:
        context = station(kit, tpm.TpmKeyStore(folder, connection).create("leaf"))
        async with csms(adapter, kit.server()) as (url, seen):
            chip.stop()
            with pytest.raises(OwnKeyError) as raised:
                await by_anyio(url, context, dialler)
            assert isinstance(raised.value.__cause__, tpm.TpmLostError)
            assert diagnose(raised.value).cause is raised.value.__cause__
            chip.start()
            await by_anyio(url, context, dialler)
        assert seen == [STATION]


Seen: TypeAlias = list[StationAction | Text]
Connect: TypeAlias = Callable[[Route, Seen, threading.Event], None]


def station_on_anyio(route: Route, seen: Seen, over: threading.Event, backend: str, dialler: Any) -> None:
    async def main() -> None:
        machine = Station(config(), os.urandom, anyio.current_time())
        async with anyio_station.connect_station(
            machine, route, MemoryStore(), Charger(), observe=seen.append, dial=dialler
        ):
            await eventually(over.is_set, 20)

    anyio.run(main, backend=backend)


def station_in_threads(route: Route, seen: Seen, over: threading.Event) -> None:
    machine = Station(config(), os.urandom, time.monotonic())
    with threads_station.connect_station(machine, route, MemoryStore(), Charger(), observe=seen.append):
        assert over.wait(20)


def station_in_a_poll(route: Route, seen: Seen, over: threading.Event) -> None:
    machine = Station(config(), os.urandom, time.monotonic())
    with Poll() as poll:
        runner = poll_station.connect_station(
            poll, machine, route, MemoryStore(), Charger(), observe=seen.append
        )
        until = time.monotonic() + 20
        while not over.is_set():
            assert time.monotonic() < until
            poll.wait(min(poll.step(), 0.01))
        runner.leave()
        while not runner.gone:
            poll.wait(min(poll.step(), 0.01))


STATIONS: dict[str, Connect] = {
    "asyncio": partial(station_on_anyio, backend="asyncio", dialler=dial),
    "trio": partial(station_on_anyio, backend="trio", dialler=dial),
    "asyncio, worker": partial(station_on_anyio, backend="asyncio", dialler=dial_in_worker),
    "trio, worker": partial(station_on_anyio, backend="trio", dialler=dial_in_worker),
    "threads": station_in_threads,
    "poll": station_in_a_poll,
}


class DyingConnection(tpm.TpmConnection):  # type: ignore[misc,name-defined]
    """Its TPM dies as it is asked, once it is to."""

    doomed: SoftwareTpm | None = None

    def run(self, doing: str, work: Any) -> Any:
        if self.doomed is not None:
            self.doomed.stop()
        return super().run(doing, work)


@pytest.mark.parametrize("adapter", [NATIVE], ids=str)
@pytest.mark.parametrize("made_anew", [False, True], ids=["one context", "a context for each attempt"])
@pytest.mark.parametrize("connect", STATIONS.values(), ids=STATIONS)
async def test_a_station_outlives_its_tpm(
    adapter: Adapter, kit: TlsKit, folder: Path, connect: Connect, made_anew: bool
) -> None:
    """The TPM dies in mid-handshake, or as the context is made: the link fails in the TPM's words, again and
    again, and opens when it is back."""
    actions: Seen = []
    names: list[str | None] = []
    over = threading.Event()

    def admit(handshake: Any, peer: Peer) -> Session:
        names.append(common_name(peer))
        return Session()

    def failures() -> list[str]:
        return [a.reason for a in list(actions) if isinstance(a, LinkChanged) and "TPM" in a.reason]

    with SoftwareTpm() as chip, DyingConnection(chip.tcti) as connection:
        key = tpm.TpmKeyStore(folder, connection).create("leaf")
        context = station(kit, key)
        connection.doomed = chip
        async with adapter.serve(admit, ssl_context=kit.server()) as port, anyio.create_task_group() as tasks:
            url = ClientConfig(url=f"wss://localhost:{port}/CP1")
            route = Route(config=url, ssl_context=partial(station, kit, key) if made_anew else context)
            tasks.start_soon(anyio.to_thread.run_sync, connect, route, actions, over)
            try:
                await eventually(lambda: len(failures()) >= 2, 10)
                assert names == []
                connection.doomed = None
                chip.start()
                await eventually(lambda: names == [STATION], 10)
            finally:
                over.set()
    if not made_anew:
        assert all("own key: our own key could not sign (" in reason for reason in failures())


class Attempts:
    """Makes a context for each attempt to connect: one failure after another, and then one that will do."""

    def __init__(self, folder: Path, kit: TlsKit, connection: Any, other: Any) -> None:
        values = [AUTH]
        store = tpm.TpmKeyStore(folder, connection, auth=lambda name: one_secret(values[-1])(name))
        key, another = store.create("leaf"), store.create("another")
        rotated = station(kit, store.create("rotated"))

        def of(connection: Any, **secrets: Any) -> ssl.SSLContext:
            return station(kit, tpm.TpmKeyStore(folder, connection, **secrets).load("leaf"))

        def key_of_another_certificate() -> ssl.SSLContext:
            context = kit.client()
            key.use_for_tls(context, kit.chain(another))
            return context

        def refused_in_the_handshake() -> ssl.SSLContext:
            values.append(b"wrong")
            return rotated

        def good() -> ssl.SSLContext:
            values.append(AUTH)
            return station(kit, key)

        absent = tpm.TpmConnection("swtpm:host=127.0.0.1,port=1")
        self._makers: list[Callable[[], ssl.SSLContext]] = [
            lambda: of(absent, auth=one_secret(AUTH)),
            lambda: of(connection),
            lambda: of(connection, auth=one_secret(b"wrong")),
            lambda: of(other, auth=one_secret(AUTH)),
            key_of_another_certificate,
            refused_in_the_handshake,
            good,
        ]
        self.raised: list[KeyStoreError] = []

    def __call__(self) -> ssl.SSLContext:
        maker = self._makers.pop(0) if len(self._makers) > 1 else self._makers[0]
        try:
            return maker()
        except KeyStoreError as error:
            self.raised.append(error)
            raise


@pytest.mark.parametrize("adapter", [NATIVE], ids=str)
@pytest.mark.parametrize("connect", STATIONS.values(), ids=STATIONS)
async def test_a_station_tells_every_failure_of_its_key_and_goes_on(
    adapter: Adapter, kit: TlsKit, folder: Path, connection: Any, connect: Connect
) -> None:
    actions: Seen = []
    names: list[str | None] = []
    over = threading.Event()

    def admit(handshake: Any, peer: Peer) -> Session:
        names.append(common_name(peer))
        return Session()

    with SoftwareTpm() as chip, tpm.TpmConnection(chip.tcti) as other:
        attempts = Attempts(folder, kit, connection, other)
        async with adapter.serve(admit, ssl_context=kit.server()) as port, anyio.create_task_group() as tasks:
            url = ClientConfig(url=f"wss://localhost:{port}/CP1")
            route = Route(config=url, ssl_context=attempts)
            tasks.start_soon(anyio.to_thread.run_sync, connect, route, actions, over)
            try:
                await eventually(lambda: names == [STATION], 15)
            finally:
                over.set()
    reasons = [action.reason for action in actions if isinstance(action, LinkChanged) and action.reason]
    assert [type(error) for error in attempts.raised] == [
        tpm.TpmAbsentError,
        tpm.TpmAuthError,
        tpm.TpmAuthError,
        tpm.TpmForeignKeyError,
        KeyMismatchError,
    ]
    for words in (
        *map(str, attempts.raised),
        "own key: our own key could not sign (TPM, signing with key 'rotated'",
    ):
        assert any(words in reason for reason in reasons), (words, reasons)
