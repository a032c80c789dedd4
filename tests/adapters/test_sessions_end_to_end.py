"""Charging sessions over real sockets: station and CSMS on every adapter, store, loop and version."""

import json
import logging
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream, TaskGroup

from ocpp_adapters import asyncio_server
from ocpp_adapters.anyio_link import dial, in_thread
from ocpp_adapters.anyio_station import StationRunner, connect_station
from ocpp_adapters.central import Central, StationLink
from ocpp_adapters.recorder import recording
from ocpp_adapters.replay import replay
from ocpp_adapters.sessions import Reject, Session, TextLink
from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_adapters.stores import GroupCommitter, MemoryStores, Stores, StoreWriteError
from ocpp_core import LocalProtocolError, OcppVersion
from ocpp_core.csms import (
    AskAuthorization,
    CommandAnswered,
    Csms,
    CsmsAction,
    CsmsConfig,
    Registration,
    RequestStart,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.domain.tokens import AuthorizationStatus, IdTokenInfo
from ocpp_core.messages import v16
from ocpp_core.station import LinkChanged, Notice, Station, StationAction
from ocpp_core.store import Commit, MemoryStore
from ocpp_core.wire import ClientConfig, Text
from tests.adapters.certificates import write_certificate
from tests.adapters.charger import EASY, TOKEN, Charger, config
from tests.adapters.servers import Adapter, eventually, frame, raw_client

pytestmark = pytest.mark.anyio


@dataclass
class Operator:
    """A central system: what its stations told."""

    events: list[CsmsAction] = field(default_factory=list)
    links: list[StationLink] = field(default_factory=list)

    def observe(self, link: StationLink, action: CsmsAction) -> None:
        self.events.append(action)

    def of(self, *kinds: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]


@asynccontextmanager
async def stores_at(path: Path | None, adapter: Adapter, tasks: TaskGroup) -> AsyncIterator[Stores]:
    if path is None:
        yield MemoryStores()
        return
    store = SqliteStore(path)
    if adapter.native:
        disk = asyncio_server.DiskThread()
        yield GroupCommitter(store, disk.submit)
        disk.close()
    else:
        yield GroupCommitter(store, in_thread(tasks))
    store.close()


@asynccontextmanager
async def central_system(
    adapter: Adapter, path: Path | None = None, **options: Any
) -> AsyncIterator[tuple[int, Operator, Central]]:
    operator = Operator()
    async with anyio.create_task_group() as tasks, stores_at(path, adapter, tasks) as stores:
        central = Central(EASY, operator.observe, stores, adapter.concurrency(tasks), **options)
        async with adapter.serve(lambda handshake, peer: central.session()) as port:
            yield port, operator, central


@asynccontextmanager
async def station_at(
    port: int,
    *,
    store: Any = None,
    make: Callable[..., Station] = Station,
    versions: tuple[OcppVersion, ...] = (),
    **options: Any,
) -> AsyncIterator[tuple[StationRunner, Charger, list[StationAction | Text]]]:
    store = MemoryStore() if store is None else store
    charger = Charger()
    seen: list[StationAction | Text] = []
    station = make(config(*versions), os.urandom, anyio.current_time(), store.load())
    url = ClientConfig(url=f"ws://127.0.0.1:{port}/CP1")
    async with connect_station(station, url, store, charger, observe=seen.append, **options) as runner:
        charger.runner = runner
        yield runner, charger, seen


def linked(seen: list[StationAction | Text]) -> bool:
    changes = [action for action in seen if isinstance(action, LinkChanged)]
    return bool(changes) and changes[-1].version is not None


def accepted(runner: StationRunner) -> bool:
    return bool(runner.station.state(anyio.current_time())["registration"] == "Accepted")


async def charge(runner: StationRunner, charger: Charger) -> None:
    """Plug in, present a token, charge for a moment."""
    await eventually(lambda: accepted(runner))
    with runner.turn() as now:
        runner.station.plug_in(1, 1, now)
    with runner.turn() as now:
        runner.station.present_token(TOKEN, 1, now)
    await eventually(lambda: charger.power)


async def stop(runner: StationRunner) -> None:
    with runner.turn() as now:
        runner.station.present_token(TOKEN, 1, now)
    with runner.turn() as now:
        runner.station.plug_out(1, 1, now)


@pytest.mark.parametrize("version", list(OcppVersion))
async def test_a_session_recorded_and_replayed(
    adapter: Adapter, version: OcppVersion, tmp_path: Path
) -> None:
    """The whole way on SQLite at both ends; both records replay to the same actions."""
    records = tmp_path / "station.jsonl", tmp_path / "csms.jsonl"
    csms = central_system(adapter, tmp_path / "csms.sqlite", make=recording(Csms, records[1]))
    store = SqliteStore(tmp_path / "station.sqlite")
    async with csms as (port, operator, central):
        station = station_at(port, store=store, make=recording(Station, records[0]), versions=(version,))
        async with station as (runner, charger, seen):
            await eventually(lambda: linked(seen) and "CP1" in central.links)
            await eventually(lambda: accepted(runner))
            with runner.turn() as now:
                runner.station.plug_in(1, 1, now)
            answer = await central.links["CP1"].call(RequestStart(TOKEN, 1))
            assert isinstance(answer, CommandAnswered)
            assert answer.accepted
            await eventually(lambda: len(operator.of(TransactionUpdated)) >= 2)
            await stop(runner)
            await eventually(lambda: bool(operator.of(TransactionEnded)))
            (bill,) = central.links["CP1"].machine.billed()
            assert bill.complete
            assert bill.start_wh == 1000.0
            assert bill.stop_wh is not None
            assert 1000.0 < bill.stop_wh <= charger.wh
        assert not charger.locked
        assert store.load() == runner.station.snapshot()
        await eventually(lambda: not central.links)
    store.close()
    assert len(operator.of(TransactionStarted)) == len(operator.of(TransactionEnded)) == 1
    for record in records:
        result = replay(record)
        assert result.divergence is None, str(result.divergence)
        assert result.inputs >= 10


class Line:
    """A dialler whose connections can be cut."""

    def __init__(self) -> None:
        self.streams: list[ByteStream] = []

    async def __call__(self, endpoint: Any, context: ssl.SSLContext | None) -> ByteStream:
        self.streams.append(await dial(endpoint, context))
        return self.streams[-1]

    async def cut(self) -> None:
        await anyio.aclose_forcefully(self.streams[-1])


@pytest.mark.parametrize("version", list(OcppVersion))
async def test_a_link_cut_in_the_middle_loses_nothing(
    adapter: Adapter, version: OcppVersion, tmp_path: Path
) -> None:
    line = Line()
    async with (
        central_system(adapter, tmp_path / "csms.sqlite") as (port, operator, central),
        station_at(port, versions=(version,), dial=line) as (runner, charger, seen),
    ):
        await eventually(lambda: linked(seen))
        await charge(runner, charger)
        await eventually(lambda: bool(operator.of(TransactionStarted)))
        await line.cut()
        await stop(runner)
        await eventually(lambda: len(line.streams) == 2 and linked(seen))
        await eventually(lambda: bool(operator.of(TransactionEnded)))
        await eventually(lambda: "CP1" in central.links)
        (bill,) = central.links["CP1"].machine.billed()
        assert bill.complete
    assert len(operator.of(TransactionStarted)) == len(operator.of(TransactionEnded)) == 1


async def test_power_off_and_a_second_life(adapter: Adapter, tmp_path: Path) -> None:
    path = tmp_path / "station.sqlite"
    async with central_system(adapter) as (port, operator, _):
        store = SqliteStore(path)
        async with station_at(port, store=store) as (runner, charger, seen):
            await eventually(lambda: linked(seen))
            await charge(runner, charger)
            await eventually(lambda: len(operator.of(TransactionUpdated)) >= 2)
            runner.power_off()
        before = len(seen)
        store.close()
        store = SqliteStore(path)
        async with station_at(port, store=store) as (runner, charger, _):
            await eventually(lambda: bool(operator.of(TransactionEnded)))
        store.close()
        assert len(seen) == before
    assert len(operator.of(TransactionStarted)) == len(operator.of(TransactionEnded)) == 1


class Flaky(MemoryStore):
    """A disk that is full for a while, and slow at that."""

    __slots__ = ("full",)

    def __init__(self) -> None:
        super().__init__()
        self.full = False

    def commit(self, commit: Commit) -> None:
        if self.full:
            raise StoreWriteError("the disk is full")
        super().commit(commit)


class FlakyElsewhere:
    """The same behind a thread."""

    def __init__(self) -> None:
        self.disk = Flaky()

    def load(self) -> Any:
        return self.disk.load()

    def commit(self, commit: Commit) -> None:
        self.disk.commit(commit)


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_full_disk_is_survived(adapter: Adapter, threaded: bool) -> None:
    elsewhere = FlakyElsewhere()
    disk = elsewhere.disk
    quick = replace(config(), store_retry_interval=0.1)
    async with central_system(adapter) as (port, operator, _):
        station = station_at(
            port,
            store=elsewhere if threaded else disk,
            make=lambda _, *arguments: Station(quick, *arguments),
        )
        async with station as (runner, charger, seen):
            await eventually(lambda: linked(seen))
            disk.full = True
            with runner.turn() as now:
                runner.station.plug_in(1, 1, now)
            await eventually(lambda: any("the disk is full" in str(action) for action in seen))
            assert not operator.of(TransactionStarted)
            disk.full = False
            await eventually(lambda: any("store recovered" in str(action) for action in seen))
            with runner.turn() as now:
                runner.station.plug_out(1, 1, now)
            await charge(runner, charger)
            await stop(runner)
            await eventually(lambda: bool(operator.of(TransactionEnded)))
        assert disk.load() == runner.station.snapshot()
        assert any(isinstance(action, Notice) for action in seen)


async def test_a_csms_that_cannot_store_closes_the_link_and_is_told_again(
    adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    disk = ScopedFlaky()
    async with anyio.create_task_group() as tasks:
        operator = Operator()
        group = GroupCommitter(disk, in_thread(tasks))
        central = Central(EASY, operator.observe, group, adapter.concurrency(tasks))
        async with (
            adapter.serve(lambda handshake, peer: central.session()) as port,
            station_at(port, versions=(OcppVersion.V201,)) as (runner, charger, seen),
        ):
            await eventually(lambda: linked(seen))
            await charge(runner, charger)
            disk.full = True
            await stop(runner)
            await eventually(lambda: any("1011" in str(action) for action in seen))
            assert not operator.of(TransactionEnded)
            disk.full = False
            await eventually(lambda: bool(operator.of(TransactionEnded)))
    assert len(operator.of(TransactionStarted)) == len(operator.of(TransactionEnded)) == 1


class ScopedFlaky:
    """A store of many that is full for a while."""

    def __init__(self) -> None:
        self.stores: dict[str, Flaky] = {}
        self.full = False

    def load(self, scope: str) -> Any:
        return self.stores.setdefault(scope, Flaky()).load()

    def commit_all(self, commits: Any) -> None:
        if self.full:
            raise StoreWriteError("the disk is full")
        for scope, commit in commits:
            self.stores.setdefault(scope, Flaky()).commit(commit)


@pytest.mark.parametrize(("status", "word"), [(401, "unauthorized"), (404, "not found"), (503, "http: 503")])
async def test_a_refused_station_hears_why_and_tries_again(adapter: Adapter, status: int, word: str) -> None:
    async with (
        adapter.serve(lambda handshake, peer: Reject(status)) as port,
        station_at(port) as (_, _, seen),
    ):
        await eventually(lambda: str(seen).count(word) >= 2)


async def test_nobody_there_and_nobody_answering(adapter: Adapter, free_port: int) -> None:
    async with station_at(free_port) as (_, _, seen):
        await eventually(lambda: "unreachable" in str(seen))

    async def silent(endpoint: Any, context: ssl.SSLContext | None) -> ByteStream:
        await anyio.sleep_forever()
        raise AssertionError

    async with station_at(free_port, dial=silent) as (runner, _, seen):
        await anyio.sleep(0.02)
        with runner.turn() as now:
            runner.station.disconnect(now)
        await eventually(lambda: "given up" in str(seen))


async def test_a_certificate_that_is_not_trusted(adapter: Adapter, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    seen: list[StationAction | Text] = []
    async with anyio.create_task_group() as tasks:
        central = Central(EASY, lambda link, action: None, MemoryStores(), adapter.concurrency(tasks))
        async with adapter.serve(lambda handshake, peer: central.session(), ssl_context=server_side) as port:
            url = ClientConfig(url=f"wss://localhost:{port}/CP1")
            for context, word in ((ssl.create_default_context(), "bad certificate"), (trusting, "Accepted")):
                station = Station(config(), os.urandom, anyio.current_time())
                charger = Charger()
                running = connect_station(
                    station, url, MemoryStore(), charger, observe=seen.append, ssl_context=context
                )
                async with running as charger.runner:
                    await eventually(lambda word=word: word in str(seen))


async def test_disconnect_and_connect_again(adapter: Adapter) -> None:
    async with central_system(adapter) as (port, _, central), station_at(port) as (runner, _, seen):
        await eventually(lambda: linked(seen) and "CP1" in central.links)
        with runner.turn() as now:
            runner.station.disconnect(now)
        await eventually(lambda: not linked(seen))
        with runner.turn() as now:
            runner.station.connect(now)
        await eventually(lambda: linked(seen))
        with pytest.raises(LocalProtocolError), runner.turn() as now:
            runner.station.plug_in(9, 1, now)


async def test_a_reconnect_waits_for_the_commits_of_the_earlier_link(adapter: Adapter) -> None:
    """A slow disk, a station in a hurry: the second machine is made from all that the first one was told."""
    disk, finished = ScopedFlaky(), list[Callable[[], None]]()
    async with anyio.create_task_group() as tasks:
        operator = Operator()
        group = GroupCommitter(disk, lambda work: finished.append(work()))
        central = Central(EASY, operator.observe, group, adapter.concurrency(tasks))
        async with (
            adapter.serve(lambda handshake, peer: central.session()) as port,
            adapter.serve(lambda handshake, peer: central.session()) as other_port,
        ):
            first = boot(port)
            async with first:
                await eventually(lambda: len(finished) == 1)
                finished.pop()()  # its rows
                await eventually(lambda: len(finished) == 1)  # its boot is being committed
                async with boot(other_port), boot(port):
                    await anyio.sleep(0.05)
                    assert len(finished) == 1  # nobody has loaded rows meanwhile
                    finished.pop()()
                    await eventually(lambda: len(finished) == 1)
                    finished.pop()()
                    await eventually(lambda: central.links["CP1"].machine is not None)
                    assert central.links["CP1"].machine.registration == "Accepted"
        while finished:
            finished.pop()()
        assert not central.links


@asynccontextmanager
async def boot(port: int) -> AsyncIterator[None]:
    """A station that boots, and does not care what becomes of it."""
    async with station_at(port, versions=(OcppVersion.V201,)):
        yield


async def test_rows_that_cannot_be_read_close_the_link(
    adapter: Adapter, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.CRITICAL)
    store = SqliteStore(tmp_path / "csms.sqlite")
    async with anyio.create_task_group() as tasks:
        central = Central(
            EASY,
            lambda link, action: None,
            GroupCommitter(store, in_thread(tasks)),
            adapter.concurrency(tasks),
        )
        assert store._connection is not None
        store._connection.execute("INSERT INTO rows VALUES ('CP1', 'csms/CP1', 'registration', '{}', 0)")
        async with adapter.serve(lambda handshake, peer: central.session()) as port:
            async with station_at(port) as (_, _, seen):
                await eventually(lambda: "1011" in str(seen))
            await eventually(lambda: not central.links)
    store.close()


async def test_questions_are_answered_in_a_turn_or_by_the_deadline(adapter: Adapter) -> None:
    asking = CsmsConfig(
        unanswered_registration=Registration(RegistrationStatus.ACCEPTED, 300), question_timeout=0.1
    )
    asked: list[str] = []

    def observe(link: StationLink, action: CsmsAction) -> None:
        asked.append(type(action).__name__)
        if isinstance(action, AskAuthorization):
            with link.turn() as now:
                info = IdTokenInfo(AuthorizationStatus.ACCEPTED)
                assert link.machine.answer_authorization(action.question, info, now)

    async with anyio.create_task_group() as tasks:
        central = Central(asking, observe, MemoryStores(), adapter.concurrency(tasks))
        async with (
            adapter.serve(lambda handshake, peer: central.session()) as port,
            station_at(port, versions=(OcppVersion.V201,)) as (runner, charger, seen),
        ):
            await eventually(lambda: linked(seen))
            await charge(runner, charger)  # registered by the deadline, authorized by the answer
            link = central.links["CP1"]
            with pytest.raises(LocalProtocolError):
                await link.call(v16.ResetRequest(type=v16.ResetType.SOFT))
            link.close(1001, "maintenance")
            await eventually(lambda: "1001 maintenance" in str(seen))
    assert asked.index("AskRegistration") < asked.index("AskAuthorization")


async def test_a_link_is_not_usable_before_its_rows_are_there(adapter: Adapter) -> None:
    async with anyio.create_task_group() as tasks:
        central = Central(EASY, lambda link, action: None, MemoryStores(), adapter.concurrency(tasks))
        with pytest.raises(LocalProtocolError, match="not ready"):
            await central.session().call(RequestStart(TOKEN))


BOOT = """[2,"boot","BootNotification",{"reason":"PowerUp",
    "chargingStation":{"model":"m","vendorName":"v"}}]"""


async def test_a_flood_while_the_disk_is_busy_is_held_back(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames wait in the network while a commit is under way; none is lost, and the time is told again."""
    monkeypatch.setattr("ocpp_adapters.central.UTC_INTERVAL", 0.0)
    finished, disk = list[Callable[[], None]](), ScopedFlaky()
    group = GroupCommitter(disk, lambda work: finished.append(work()))
    async with anyio.create_task_group() as tasks:
        central = Central(EASY, lambda link, action: None, group, adapter.concurrency(tasks))
        async with (
            adapter.serve(lambda handshake, peer: central.session()) as port,
            raw_client(port) as client,
        ):
            await client.open()
            charging_station = {"model": "m", "vendorName": "v"}
            await client.send(
                frame(
                    json.dumps(
                        [
                            2,
                            "boot",
                            "BootNotification",
                            {"reason": "PowerUp", "chargingStation": charging_station},
                        ]
                    )
                )
            )
            await eventually(lambda: len(finished) == 1)
            finished.pop()()
            await eventually(lambda: len(finished) == 1)
            for number in range(200):
                await client.send(frame(f'[2,"{number}","Heartbeat",{{}}]'))
            await anyio.sleep(0.05)
            assert client.buffer == b""
            while b'"199"' not in client.buffer:
                while finished:
                    finished.pop()()
                with anyio.move_on_after(0.05):
                    client.buffer += await client.stream.receive()
            assert (
                client.buffer.index(b'"boot"') < client.buffer.index(b'"0"') < client.buffer.index(b'"199"')
            )
        while finished:
            finished.pop()()


class Garrulous(Session):
    """A CSMS that answers every frame with a flood of garbage."""

    def link_opened(self, link: TextLink, now: float) -> None:
        self.link = link

    def receive_text(self, text: str, now: float) -> None:
        for number in range(300):
            self.link.send_text(f"garbage {number}")
        self.link.send_text(f"[3,{json.dumps(json.loads(text)[1])},{ACCEPTED}]")


ACCEPTED = '{"currentTime":"2026-01-01T00:00:00Z","interval":300,"status":"Accepted"}'


class Slow(FlakyElsewhere):
    """A disk that takes its time."""

    def commit(self, commit: Commit) -> None:
        time.sleep(0.02)
        super().commit(commit)


async def test_a_garrulous_csms_does_not_drown_a_station_with_a_slow_disk(adapter: Adapter) -> None:
    async with (
        adapter.serve(lambda handshake, peer: Garrulous()) as port,
        station_at(port, store=Slow(), versions=(OcppVersion.V201,)) as (runner, _, seen),
    ):
        await eventually(lambda: accepted(runner))
        assert sum(isinstance(action, Notice) for action in seen) >= 300


async def test_a_dial_that_takes_too_long(adapter: Adapter) -> None:
    async def silent(endpoint: Any, context: ssl.SSLContext | None) -> ByteStream:
        await anyio.sleep_forever()
        raise AssertionError

    station = Station(config(), os.urandom, anyio.current_time())
    seen: list[StationAction | Text] = []
    url = ClientConfig(url="ws://localhost/CP1", handshake_timeout=0.05)
    async with connect_station(station, url, MemoryStore(), Charger(), observe=seen.append, dial=silent):
        await eventually(lambda: "timeout: no connection in time" in str(seen))


async def test_what_the_body_raises_comes_out_as_it_is(adapter: Adapter, free_port: int) -> None:
    with pytest.raises(ZeroDivisionError):
        await fail_with_a_station(free_port)


async def fail_with_a_station(port: int) -> None:
    station = Station(config(), os.urandom, anyio.current_time())
    async with connect_station(
        station, ClientConfig(url=f"ws://127.0.0.1:{port}/x"), MemoryStore(), Charger()
    ):
        await anyio.sleep(0.02)
        raise ZeroDivisionError
