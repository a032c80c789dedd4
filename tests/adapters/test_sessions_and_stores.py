"""Sessions whose disk is full, slow or damaged, and whose application is asked."""

import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from ocpp_adapters.anyio_link import in_thread
from ocpp_adapters.central import Central, StationLink
from ocpp_adapters.sessions import Session, TextLink
from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_adapters.stores import GroupCommitter, MemoryStores
from ocpp_core import LocalProtocolError, OcppVersion
from ocpp_core.csms import (
    AskAuthorization,
    CsmsAction,
    CsmsConfig,
    Registration,
    RequestStart,
    TransactionEnded,
    TransactionStarted,
)
from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.domain.tokens import AuthorizationStatus, IdTokenInfo
from ocpp_core.messages import v16
from ocpp_core.station import Notice, Station
from ocpp_core.store import Commit, Put
from tests.adapters.charger import EASY, TOKEN, config
from tests.adapters.servers import Adapter, eventually, frame, raw_client
from tests.adapters.systems import (
    FlakyElsewhere,
    Operator,
    ScopedFlaky,
    accepted,
    central_system,
    charge,
    linked,
    station_at,
    stop,
)

pytestmark = pytest.mark.anyio


async def test_without_a_thread_the_disk_is_written_all_the_same(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def no_thread(work: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(anyio.to_thread, "run_sync", no_thread)
    done: list[object] = []
    async with anyio.create_task_group() as tasks:
        group = GroupCommitter(ScopedFlaky(), in_thread(tasks))
        group.committer("CP1")(Commit((Put("table", "key", "row"),)), done.append)
        group.load("CP1", done.append)
    assert done == [None, {"table": {"key": "row"}}]
    assert "there is no thread for the disk" in caplog.text


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
                    await eventually(lambda: is_ready(central))
                    assert central.links["CP1"].machine.registration == "Accepted"
        while finished:
            finished.pop()()
        assert not central.links


def is_ready(central: Central) -> bool:
    """Whether the rows of the station's machine are loaded."""
    with suppress(LocalProtocolError):
        return central.links["CP1"].machine is not None
    return False


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
