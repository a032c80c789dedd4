"""Charging sessions over real sockets: station and CSMS on every adapter, store, loop and version."""

import os
import ssl
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from ocpp_adapters.anyio_link import dial
from ocpp_adapters.anyio_station import connect_station
from ocpp_adapters.central import Central
from ocpp_adapters.recorder import recording
from ocpp_adapters.replay import replay
from ocpp_adapters.routes import Route
from ocpp_adapters.sessions import Reject
from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_adapters.stores import MemoryStores
from ocpp_core import LocalProtocolError, OcppVersion
from ocpp_core.csms import (
    CommandAnswered,
    Csms,
    RequestStart,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from ocpp_core.station import Station, StationAction
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig, Text
from tests.adapters.certificates import write_certificate
from tests.adapters.charger import EASY, TOKEN, Charger, config
from tests.adapters.servers import Adapter, eventually
from tests.adapters.systems import accepted, central_system, charge, linked, station_at, stop

pytestmark = pytest.mark.anyio


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

    async def __call__(self, route: Route) -> ByteStream:
        self.streams.append(await dial(route))
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

    async def silent(route: Route) -> ByteStream:
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


async def test_a_dial_that_takes_too_long(adapter: Adapter) -> None:
    async def silent(route: Route) -> ByteStream:
        await anyio.sleep_forever()
        raise AssertionError

    station = Station(config(), os.urandom, anyio.current_time())
    seen: list[StationAction | Text] = []
    url = ClientConfig(url="ws://localhost/CP1", handshake_timeout=0.05)
    async with connect_station(station, url, MemoryStore(), Charger(), observe=seen.append, dial=silent):
        await eventually(lambda: "timeout: no connection in time" in str(seen))
