"""What goes wrong at one link stays there: a raising application, damaged rows, half-open predecessors."""

import asyncio
import json
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from ocpp_adapters.asyncio_server import AsyncioConcurrency, serve
from ocpp_adapters.central import Central, StationLink
from ocpp_adapters.sessions import Limits, Peer, Reject, Session
from ocpp_adapters.stores import Finish, GroupCommitter
from ocpp_core import StoreError
from ocpp_core.csms import CsmsAction, StationBooted
from ocpp_core.csms.csms import tables_of
from ocpp_core.store import Commit, MemoryStore, Put, Snapshot
from ocpp_core.wire import HandshakeReceived
from tests.adapters.charger import EASY
from tests.adapters.servers import (
    ADAPTERS,
    SERVERS,
    Adapter,
    Echo,
    RawClient,
    eventually,
    frame,
    raw_client,
    request,
)

STATION = {"model": "M", "vendorName": "V"}
BOOT = json.dumps([2, "1", "BootNotification", {"reason": "PowerUp", "chargingStation": STATION}])
pytestmark = pytest.mark.anyio


class SlowDisk:
    """Rows of many machines, whose loads and commits take a moment in which others join in."""

    def __init__(self) -> None:
        self.stores: dict[str, MemoryStore] = {}
        self.broken = ""

    def commit_all(self, commits: Any) -> None:
        for scope, commit in commits:
            self.stores.setdefault(scope, MemoryStore()).commit(commit)

    def load(self, scope: str) -> Snapshot:
        if scope == self.broken:
            raise RuntimeError("a bug of the store")
        return self.stores.setdefault(scope, MemoryStore()).load()

    def submit(self, work: Any) -> None:
        def finish() -> None:
            done: Finish = work()
            done()

        asyncio.get_running_loop().call_later(0.02, finish)


@asynccontextmanager
async def central_system(disk: SlowDisk, *culprits: str) -> AsyncIterator[int]:
    """A central system on the native adapter whose application cannot bear some stations."""

    def observe(link: StationLink, action: CsmsAction) -> None:
        if isinstance(action, StationBooted) and link.identity in culprits:
            raise RuntimeError("a bug of the application")

    central = Central(EASY, observe, GroupCommitter(disk, disk.submit), AsyncioConcurrency())
    async with await serve(lambda handshake, peer: central.session(), "127.0.0.1") as server:
        yield server.port


@asynccontextmanager
async def station(port: int, identity: str) -> AsyncIterator[RawClient]:
    async with raw_client(port) as client:
        await client.open(identity)
        yield client


@pytest.fixture
def adapter() -> Adapter:
    return Adapter("asyncio", True)


async def test_an_application_that_raises_costs_one_link_only(caplog: pytest.LogCaptureFixture) -> None:
    async with central_system(SlowDisk(), "BAD") as port:
        for _ in range(2):  # a second time: the culprit's link has left nothing behind
            async with (
                station(port, "CP1") as first,
                station(port, "BAD") as bad,
                station(port, "CP2") as last,
            ):
                for client in (first, bad, last):
                    await client.send(frame(BOOT))
                for client in (first, last):
                    assert b"Accepted" in await client.until(b"Accepted")
                assert b"internal error" in await bad.until(b"internal error")
    assert "a bug of the application" in caplog.text


async def test_rows_that_cannot_be_read_cost_one_link_only() -> None:
    disk = SlowDisk()
    disk.broken = "BAD"
    table, *_ = tables_of("TORN")
    disk.stores["TORN"] = MemoryStore()
    disk.stores["TORN"].commit(Commit((Put(table, "registration", "torn"),)))
    async with central_system(disk) as port:
        for _ in range(2):
            async with (
                station(port, "BAD") as bad,
                station(port, "TORN") as torn,
                station(port, "CP1") as good,
            ):
                for client in (bad, torn):
                    assert b"storage failure" in await client.until(b"storage failure")
                await good.send(frame(BOOT))
                assert b"Accepted" in await good.until(b"Accepted")


class Unsteady(Echo):
    """Its timer is a bug."""

    def next_timer(self) -> float | None:
        raise RuntimeError("a bug of a session")


@pytest.mark.parametrize("adapter", ADAPTERS, ids=str)
async def test_whatever_fails_in_a_connection_the_server_stands(adapter: Adapter) -> None:
    def admit(handshake: HandshakeReceived, peer: Peer) -> Session | Reject:
        if handshake.identity == "REFUSED":
            return Reject(200)
        return Unsteady() if handshake.identity == "BAD" else Echo()

    async with adapter.serve(admit) as port, raw_client(port) as bad, raw_client(port) as good:
        async with raw_client(port) as refused:
            await refused.send(request("REFUSED"))
            assert b" 500 " in await refused.until(b"\r\n")
        await good.open("CP1")
        await bad.send(request("BAD"))
        with anyio.move_on_after(0.2):
            await bad.to_the_end()
        await good.send(frame("still there?"))
        assert b"still there?" in await good.until(b"there?")


@pytest.mark.parametrize("adapter", [it for it in SERVERS if not it.native], ids=str)
async def test_a_connection_for_which_there_is_no_room_is_no_end(
    adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    """No descriptor is left for it. (In the native server asyncio sees to that.)"""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with adapter.serve(lambda *_: Echo()) as port, raw_client(port) as earlier:
        await earlier.open("CP1")
        with socket.socket() as sock:
            resource.setrlimit(resource.RLIMIT_NOFILE, (sock.fileno(), limits[1]))
            try:
                sock.connect(("127.0.0.1", port))
                await eventually(lambda: "no connection accepted: [Errno 24]" in caplog.text)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            await earlier.send(frame("still there?"))
            assert b"still there?" in await earlier.until(b"there?")
            async with await SocketStream.from_socket(sock) as stream:
                await RawClient(stream).open("CP2")


def test_one_machine_that_fails_on_its_commit_keeps_no_other_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    works: list[Any] = []
    committer = GroupCommitter(SlowDisk(), works.append)
    told: list[object] = []

    def fail(_: object) -> None:
        raise RuntimeError("a bug of a machine")

    committer.committer("A")(Commit(()), told.append)
    committer.committer("B")(Commit(()), fail)
    committer.load("C", fail)
    committer.load("D", told.append)
    while works:
        works.pop(0)()()
    assert told == [None, {}]
    assert len(caplog.records) == 2


def test_a_store_that_breaks_while_loading_is_a_store_error() -> None:
    works: list[Any] = []
    disk = SlowDisk()
    disk.broken = "A"
    loaded: list[object] = []
    GroupCommitter(disk, works.append).load("A", loaded.append)
    works.pop()()()
    assert isinstance(loaded[0], StoreError)


async def test_links_that_were_replaced_are_no_handshakes_and_take_no_room() -> None:
    log: list[str] = []
    limits = Limits(connections=1, handshakes=1)
    async with await serve(lambda handshake, peer: Echo(log), "127.0.0.1", limits=limits) as server:
        clients = [raw_client(server.port) for _ in range(4)]
        for client in clients:  # none of them answers the Close it gets, as if its link were half-open
            await (await client.__aenter__()).open("CP1")
        await eventually(lambda: sum(line.startswith("closed") for line in log) == 3)
        for client in clients:
            await client.__aexit__(None, None, None)
