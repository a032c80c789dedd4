"""Links that any thread may use: what threads can do to them, they survive."""

import logging
import os
import select
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ocpp_adapters.central import Central
from ocpp_adapters.routes import Route
from ocpp_adapters.rpc_client import HandshakeFailedError
from ocpp_adapters.rpc_link import CallFailedError
from ocpp_adapters.sessions import Limits, Reject
from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_adapters.stores import GroupCommitter, MemoryStores
from ocpp_adapters.threads_link import dial
from ocpp_adapters.threads_monitor import Monitor
from ocpp_adapters.threads_rpc import BlockingHandler, BlockingLink, open_rpc
from ocpp_adapters.threads_server import Server, serve
from ocpp_adapters.threads_station import StationRunner, connect_station
from ocpp_core import LocalProtocolError, Role
from ocpp_core.csms import CommandAnswered, CsmsAction, RequestStart, TransactionEnded, TransactionStarted
from ocpp_core.messages import Response, v21, v201
from ocpp_core.rpc import CallReceived, FailureReason, RpcConfig, SendReceived
from ocpp_core.station import OpenLink, Station, StationAction
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig, Text
from ocpp_core.wire import FailureReason as WireFailure
from tests.adapters.certificates import write_certificate
from tests.adapters.charger import EASY, TOKEN, Charger, config

ACCEPTED = v201.DataTransferStatusEnum.ACCEPTED


def at(port: int, **options: Any) -> ClientConfig:
    return ClientConfig(url=f"ws://127.0.0.1:{port}/ocpp/CP1", subprotocols=("ocpp2.0.1",), **options)


def echo(link: BlockingLink, call: CallReceived | SendReceived) -> Response:
    request = call.request
    assert isinstance(request, v201.DataTransferRequest)
    return v201.DataTransferResponse(status=ACCEPTED, data=request.data)


@contextmanager
def csms(handler: BlockingHandler = echo, **options: Any) -> Iterator[tuple[Server, list[BlockingLink]]]:
    """A CSMS on the rpc level; its links."""
    monitor = Monitor()
    links: list[BlockingLink] = []

    def admit(*_: object) -> BlockingLink:
        links.append(BlockingLink(Role.CSMS, handler, monitor))
        return links[-1]

    with serve(admit, "127.0.0.1", monitor=monitor, **options) as server:
        yield server, links


def send(link: BlockingLink, data: Any, vendor: str = "V") -> Any:
    response = link.call(v201.DataTransferRequest(vendor_id=vendor, data=data))
    assert isinstance(response, v201.DataTransferResponse)
    return response.data


def eventually(condition: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.requirement("1.6-J-4.1.1")
def test_a_thousand_calls_from_sixteen_threads_both_ways() -> None:
    """Each call gets its own response, one is in flight at a time, and nobody waits for ever."""
    at_once, most = Counter[str](), Counter[str]()

    def counted(side: str) -> BlockingHandler:
        def handler(link: BlockingLink, call: CallReceived | SendReceived) -> Response:
            at_once[side] += 1
            most[side] = max(most[side], at_once[side])
            response = echo(link, call)
            at_once[side] -= 1
            return response

        return handler

    with csms(counted("csms")) as (server, links):
        with open_rpc(at(server.port), counted("station")) as station, ThreadPoolExecutor(16) as threads:
            eventually(lambda: links and server.connections)
            answers = list(
                threads.map(lambda number: send((station, links[0])[number % 2], number), range(1000))
            )
        assert answers == list(range(1000))
    assert most == {"csms": 1, "station": 1}


def test_handlers_call_back_and_wait() -> None:
    """Both sides' handlers call the other side while it waits for them."""

    def on_csms(link: BlockingLink, call: CallReceived | SendReceived) -> Response:
        assert isinstance(call.request, v201.DataTransferRequest)
        depth: Any = call.request.data
        back = None if depth == 0 else send(link, depth - 1)
        return v201.DataTransferResponse(status=ACCEPTED, data=[depth, back])

    with csms(on_csms) as (server, _), open_rpc(at(server.port), echo) as station:
        assert send(station, 0) == [0, None]
        assert send(station, 7) == [7, 6]


def test_a_handler_that_blocks_stops_nobody_else() -> None:
    gate = threading.Event()

    def on_csms(link: BlockingLink, call: CallReceived | SendReceived) -> Response:
        if getattr(call.request, "vendor_id", "") == "slow":
            gate.wait(10)
        return echo(link, call)

    with (
        csms(on_csms) as (server, _),
        open_rpc(at(server.port)) as one,
        open_rpc(ClientConfig(url=f"ws://127.0.0.1:{server.port}/CP2")) as other,
        ThreadPoolExecutor(1) as thread,
    ):
        slow = thread.submit(send, one, 1, "slow")
        quick = v21.DataTransferRequest(vendor_id="quick")
        with pytest.raises(
            CallFailedError
        ):  # answered with a message of another version: a bug, but no silence
            other.call(quick)
        assert not slow.done()
        gate.set()
        assert slow.result(10) == 1


def test_time_out_close_and_calls_after_it() -> None:
    gate = threading.Event()

    def on_csms(link: BlockingLink, call: CallReceived | SendReceived) -> Response:
        gate.wait(10)
        return echo(link, call)

    with csms(on_csms) as (server, links):
        with open_rpc(at(server.port)) as station, ThreadPoolExecutor(2) as threads:
            with pytest.raises(CallFailedError) as error:
                station.call(v201.DataTransferRequest(vendor_id="V"), timeout=0.1)
            assert error.value.failure.reason is FailureReason.TIMEOUT
            waiting = threads.submit(send, station, 1)
            watching = threads.submit(links[0].wait_closed)
            time.sleep(0.05)
            links[0].close(1000, "enough")
            with pytest.raises(CallFailedError) as error:
                waiting.result(10)
            assert error.value.failure.reason is FailureReason.DISCONNECTED
            assert watching.result(10).code == 1000
            assert station.wait_closed().reason == "enough"
            with pytest.raises(CallFailedError):
                send(station, 1)
        gate.set()


def test_a_full_queue_is_the_callers_mistake() -> None:
    gate = threading.Event()

    def on_csms(link: BlockingLink, call: CallReceived | SendReceived) -> Response:
        gate.wait(10)
        return echo(link, call)

    rpc = RpcConfig(queue_limit=0)
    with (
        csms(on_csms) as (server, _),
        open_rpc(at(server.port), rpc=rpc) as station,
        ThreadPoolExecutor(1) as thread,
    ):
        waiting = thread.submit(send, station, 1)
        time.sleep(0.05)
        with pytest.raises(LocalProtocolError):
            send(station, 2)
        gate.set()
        assert waiting.result(10) == 1


def test_refused_and_unreachable(free_port: int) -> None:
    with serve(lambda *_: Reject(404), "127.0.0.1") as server:
        with pytest.raises(HandshakeFailedError) as error, open_rpc(at(server.port)):
            raise AssertionError
        assert error.value.failure.reason is WireFailure.NOT_FOUND
    with pytest.raises(ConnectionRefusedError), open_rpc(at(free_port)):
        raise AssertionError


def test_nobody_answers_the_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(HandshakeFailedError) as error, open_rpc(at(port, handshake_timeout=0.1)):
            raise AssertionError
    assert error.value.failure.reason is WireFailure.TIMEOUT


def test_tls(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with csms(ssl_context=context) as (server, _):
        secure = ClientConfig(url=f"wss://localhost:{server.port}/CP1", subprotocols=("ocpp2.0.1",))
        with open_rpc(secure, ssl_context=trusting) as station:
            assert send(station, "x" * 200_000) == "x" * 200_000
        with pytest.raises(HandshakeFailedError), open_rpc(secure):  # not trusted
            raise AssertionError


def test_a_coroutine_of_an_event_loop_is_refused() -> None:
    async def foreign() -> None:
        class Suspends:
            def __await__(self) -> Generator[None, None, None]:
                yield

        await Suspends()

    with pytest.raises(LocalProtocolError):
        Monitor().run(foreign())


def test_closing_a_server_cuts_off_those_who_do_not_go() -> None:
    with csms() as (server, links), dial(Route(config=at(server.port)), 5) as silent:
        silent.sendall(
            b"GET /CP1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n"
        )
        eventually(lambda: server.connections)
        begun = time.monotonic()
        server.close(grace=0.1)
        assert time.monotonic() - begun < 5
        assert links[0].wait_closed().code in {1001, 1006}


def test_threads_end_with_what_they_are_for() -> None:
    """Also those of a monitor that was made for it, whose workers had something to do."""
    before = set(threading.enumerate())
    with (
        serve(lambda *_: Reject(404), "127.0.0.1") as server,
        pytest.raises(HandshakeFailedError),
        open_rpc(at(server.port)),
    ):
        pass
    eventually(lambda: not set(threading.enumerate()) - before)


def no_thread_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has none for the next of that name."""
    start, due = threading.Thread.start, [name]

    def moody(thread: threading.Thread) -> None:
        if thread.name in due:
            due.remove(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", moody)


@pytest.mark.parametrize("name", ["ocpp-reader", "ocpp-writer"])
def test_a_link_without_threads_is_cut_off_and_the_next_served(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with csms() as (server, _):
        no_thread_for(name, monkeypatch)
        with dial(Route(config=at(server.port)), 5) as unlucky:
            assert unlucky.recv(1) == b""
        with open_rpc(at(server.port)) as link:
            assert send(link, "x") == "x"
    assert "there is no thread for it: can't start new thread" in caplog.text


def test_a_station_without_a_thread_to_dial_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    csms = Central2()
    with serve(lambda *_: csms.central.session(), "127.0.0.1", monitor=csms.monitor) as server:
        no_thread_for("ocpp-link", monkeypatch)
        with station_at(server.port, MemoryStore()) as (runner, _, seen):
            eventually(lambda: accepted(runner))
        assert "unreachable: there is no thread for it" in str(seen)


def test_limits_hold() -> None:
    with csms(limits=Limits(handshakes=1)) as (server, _), ExitStack() as stack:
        route = Route(config=at(server.port))
        both = [stack.enter_context(dial(route, 5)) for _ in range(2)]
        cut_off, _, _ = select.select(both, [], [], 5)
        assert [sock.recv(1) for sock in cut_off] == [b""], "one of them"
        assert both[0].getblocking()


# The behaviour level.


class Central2:
    """A CSMS on the behaviour level, asked from the test's thread."""

    def __init__(self, stores: Any = None) -> None:
        self.monitor = Monitor()
        self.events: list[CsmsAction] = []
        stores = MemoryStores() if stores is None else stores(self.monitor)
        self.central = Central(EASY, lambda link, action: self.events.append(action), stores, self.monitor)

    def of(self, kind: type) -> list[Any]:
        return [event for event in list(self.events) if isinstance(event, kind)]


@contextmanager
def station_at(
    port: int, store: Any, **options: Any
) -> Iterator[tuple[StationRunner, Charger, list[StationAction | Text]]]:
    charger, seen = Charger(), list[StationAction | Text]()
    station = Station(config(), lambda n: bytes(n), time.monotonic(), store.load())
    url = ClientConfig(url=f"ws://127.0.0.1:{port}/CP1")
    with connect_station(station, url, store, charger, observe=seen.append, **options) as runner:
        charger.runner = runner
        yield runner, charger, seen


def accepted(runner: StationRunner) -> bool:
    with runner.turn() as now:
        return bool(runner.station.state(now)["registration"] == "Accepted")


def test_a_charging_session_with_disks_at_both_ends(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    disk = SqliteStore(tmp_path / "csms.sqlite")
    csms = Central2(lambda monitor: GroupCommitter(disk, monitor.submit))
    store = SqliteStore(tmp_path / "station.sqlite")
    with serve(lambda *_: csms.central.session(), "127.0.0.1", monitor=csms.monitor) as server:
        with station_at(server.port, store) as (runner, charger, _):
            eventually(lambda: accepted(runner))
            with runner.turn() as now:
                runner.station.plug_in(1, 1, now)
            answer = csms.monitor.run(csms.central.links["CP1"].call(RequestStart(TOKEN, 1)))
            assert isinstance(answer, CommandAnswered)
            assert answer.accepted
            eventually(lambda: charger.power)
            with runner.turn() as now:
                runner.station.plug_out(1, 1, now)
            eventually(lambda: csms.of(TransactionEnded))
        assert store.load() == runner.station.snapshot()
        eventually(lambda: not csms.central.links)
    assert len(csms.of(TransactionStarted)) == 1
    store.close()
    disk.close()
    csms.monitor.close()
    eventually(lambda: not set(threading.enumerate()) - before)


def test_a_station_without_a_csms_tries_again(free_port: int) -> None:
    with station_at(free_port, MemoryStore()) as (_, _, seen):
        eventually(lambda: sum(type(it).__name__ == "OpenLink" for it in list(seen)) >= 3)


def test_an_observer_that_fails_costs_nothing_but_what_it_missed(
    free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """On the thread that keeps the time there is nobody to raise it to."""
    dials: list[OpenLink] = []

    def observe(action: object) -> None:
        if isinstance(action, OpenLink):
            dials.append(action)
            if len(dials) == 2:
                raise RuntimeError("a bug in the display")

    station, charger = Station(config(), os.urandom, time.monotonic()), Charger()
    with connect_station(station, at(free_port), MemoryStore(), charger, observe=observe) as runner:
        eventually(lambda: len(dials) >= 4)
        runner.leave()
        so_far = len(dials)
        with runner.turn() as now:
            station.connect(now)
        assert len(dials) == so_far + 1, "it is asked for, and not done"
    (failure,) = [record.exc_info for record in caplog.records if record.levelno == logging.ERROR]
    assert failure is not None
    assert str(failure[1]) == "a bug in the display"
    eventually(lambda: not any(thread.name == "ocpp-link" for thread in threading.enumerate()))


def test_power_off_says_no_goodbye() -> None:
    csms = Central2()
    with serve(lambda *_: csms.central.session(), "127.0.0.1", monitor=csms.monitor) as server:
        with station_at(server.port, MemoryStore()) as (runner, _, _):
            eventually(lambda: accepted(runner))
            runner.power_off()
        eventually(lambda: not csms.central.links)


def test_dialling_that_is_given_up(free_port: int) -> None:
    """The station takes the link down while its adapter dials: at once, whatever the dialling comes to."""
    gate = threading.Event()

    def slowly(route: Route, timeout: float) -> socket.socket:
        gate.wait(10)
        return dial(route, timeout)

    csms = Central2()
    with serve(lambda *_: csms.central.session(), "127.0.0.1", monitor=csms.monitor) as server:
        with station_at(server.port, MemoryStore(), dial=slowly) as (_, _, seen):
            eventually(lambda: seen)
        gate.set()
    assert not csms.events
