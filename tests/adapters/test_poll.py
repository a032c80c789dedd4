"""A main loop that steps: it never waits, nothing works behind its back, and it comes to the same end."""

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ocpp_adapters import poll_server
from ocpp_adapters.poll import Poll
from ocpp_adapters.poll_dial import Dialling
from ocpp_adapters.poll_rpc import PolledLink, open_rpc
from ocpp_adapters.poll_station import StationRunner, connect_station
from ocpp_adapters.routes import Route
from ocpp_adapters.rpc_client import HandshakeFailedError
from ocpp_adapters.rpc_link import CallFailedError, RpcLink
from ocpp_adapters.sessions import Limits, Reject
from ocpp_core import LocalProtocolError, Role
from ocpp_core.messages import v21, v201
from ocpp_core.rpc import FailureReason
from ocpp_core.station import LinkChanged, OpenLink, Station
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig, ServerConfig
from ocpp_core.wire import FailureReason as WireFailure
from tests.adapters.certificates import write_certificate
from tests.adapters.charger import Charger, config
from tests.adapters.servers import Talker

ACCEPTED = v201.DataTransferStatusEnum.ACCEPTED


@pytest.fixture
def poll() -> Iterator[Poll]:
    with Poll() as poll:
        yield poll


def at(port: int, **options: Any) -> ClientConfig:
    return ClientConfig(url=f"ws://127.0.0.1:{port}/ocpp/CP1", subprotocols=("ocpp2.0.1",), **options)


def until(poll: Poll, condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        poll.wait(min(poll.step(), 0.01))


def echo(link: Any, call: Any) -> Any:
    return v201.DataTransferResponse(status=ACCEPTED, data=call.request.data)


def csms(poll: Poll, handler: Any = echo, **options: Any) -> poll_server.Server:
    return poll_server.serve(poll, lambda *_: RpcLink(Role.CSMS, handler, poll), "127.0.0.1", **options)


def connected(poll: Poll, port: int, handler: Any = echo) -> PolledLink:
    link = open_rpc(poll, at(port), handler)
    with pytest.raises(LocalProtocolError, match="not open"):
        print(link.identity, link.version)
    until(poll, lambda: link.opened)
    assert link.identity == "CP1"
    assert link.version is link.session.version
    return link


def transfer(data: Any = None) -> v201.DataTransferRequest:
    return v201.DataTransferRequest(vendor_id="V", data=data)


def test_both_ends_in_one_loop(poll: Poll) -> None:
    """A call from within a handler, either way, in one thread: nothing waits for anything."""

    async def on_csms(link: RpcLink, call: Any) -> Any:
        back = await link.call(transfer(call.request.data + 1))
        assert isinstance(back, v201.DataTransferResponse)
        return v201.DataTransferResponse(status=ACCEPTED, data=back.data)

    server = csms(poll, on_csms)
    link = connected(poll, server.port)
    tasks = [link.call(transfer(number)) for number in range(20)]
    with pytest.raises(LocalProtocolError):
        tasks[0].result()
    until(poll, lambda: all(task.done for task in tasks))
    answers = [task.result() for task in tasks]
    assert [it.data for it in answers if isinstance(it, v201.DataTransferResponse)] == list(range(1, 21))
    link.close()
    until(poll, lambda: link.closed)
    assert link.closed is not None
    assert link.closed.code == 1000
    server.close()
    until(poll, lambda: server.empty)


CHECK = """
import sys, threading
sys.modules["anyio"] = sys.modules["trio"] = sys.modules["asyncio"] = None

def refuse(*arguments, **options):
    raise AssertionError("a thread behind the poll")

threading.Thread.start = refuse
import _thread
_thread.start_new_thread = refuse
import os, time
from ocpp_adapters.poll import Poll
from ocpp_adapters.poll_rpc import open_rpc
from ocpp_adapters.poll_server import serve
from ocpp_adapters.poll_station import connect_station
from ocpp_adapters.rpc_link import RpcLink
from ocpp_core import OcppVersion, Role
from ocpp_core.domain.status import StationInfo
from ocpp_core.messages import v21, v201
from ocpp_core.station import RegistrationChanged, Station, StationConfig
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig
from datetime import UTC, datetime

class Hardware:
    def meters(self): return ()

def handler(link, call):
    if isinstance(call.request, v201.BootNotificationRequest):
        return v201.BootNotificationResponse(
            current_time=datetime.now(UTC), interval=9, status=v201.RegistrationStatusEnum.ACCEPTED
        )
    return v201.StatusNotificationResponse()

poll, seen = Poll(), []
server = serve(poll, lambda *_: RpcLink(Role.CSMS, handler, poll), "127.0.0.1")
settings = StationConfig(StationInfo("M", "V"), versions=(OcppVersion.V201,))
station = Station(settings, os.urandom, time.monotonic())
config = ClientConfig(url=f"ws://127.0.0.1:{server.port}/CP1")
runner = connect_station(poll, station, config, MemoryStore(), Hardware(), observe=seen.append)
while not any(isinstance(action, RegistrationChanged) for action in seen):
    poll.wait(min(poll.step(), 0.01))
assert threading.active_count() == 1
poll.close()
"""


def test_there_is_no_thread_and_no_loop_behind_it() -> None:
    """The same without asyncio, anyio, trio or the possibility to start a thread."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHECK], capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_step_that_has_nothing_to_do_says_for_how_long(poll: Poll) -> None:
    assert poll.step() == float("inf")
    server = poll_server.serve(
        poll, lambda *_: Reject(404), "127.0.0.1", config=ServerConfig(ping_interval=30)
    )
    assert poll.step() == float("inf")
    with socket.create_connection(("127.0.0.1", server.port)):
        poll.wait(5)
        poll.step()
        assert 15 < poll.step() <= 20  # the time-out of the handshake
    until(poll, lambda: server.empty)


def test_a_step_ends_when_its_budget_is_spent() -> None:
    spent = []

    def work() -> None:
        time.sleep(0.003)
        spent.append(1)

    with Poll(budget=0.002) as poll:
        for _ in range(5):
            poll.soon(work)
        delays = [poll.step() for _ in range(5)]
    assert len(spent) == 5
    assert delays[:4] == [0.0] * 4
    assert delays[4] == float("inf")


def test_a_peer_that_does_not_read_blocks_nothing(poll: Poll) -> None:
    """What it is sent waits, within a limit; meanwhile steps return and others are served."""
    talker = Talker()
    server = poll_server.serve(
        poll,
        lambda handshake, _: talker if handshake.identity == "stalled" else RpcLink(Role.CSMS, echo, poll),
        "127.0.0.1",
        limits=Limits(unsent_bytes=8 << 20),
    )
    stalled = open_rpc(poll, ClientConfig(url=f"ws://127.0.0.1:{server.port}/stalled"))
    until(poll, lambda: stalled.opened and talker.link)
    stalled.session._link.hold(True)  # type: ignore[union-attr]  # the peer under test's hands
    assert talker.link is not None
    for _ in range(20):
        talker.link.send_text("x" * 200_000)
        poll.step()
    link = connected(poll, server.port)
    task = link.call(transfer(1))
    until(poll, lambda: task.done)
    assert not talker.closed
    for _ in range(200):
        talker.link.send_text("x" * 200_000)
        poll.step()
        if talker.closed:
            break
    assert talker.closed


def test_refused_unreachable_and_silent(poll: Poll, free_port: int) -> None:
    refused = open_rpc(poll, at(poll_server.serve(poll, lambda *_: Reject(401), "127.0.0.1").port))
    with pytest.raises(HandshakeFailedError) as error:
        until(poll, lambda: refused.opened)
    assert error.value.failure.reason is WireFailure.UNAUTHORIZED
    unreachable = open_rpc(poll, at(free_port))
    with pytest.raises(ConnectionRefusedError):
        until(poll, lambda: unreachable.opened)
    unknown = open_rpc(poll, ClientConfig(url="ws://no-such-host.invalid/CP1"))
    with pytest.raises(OSError, match=r"."):
        until(poll, lambda: unknown.opened)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nothing = open_rpc(poll, at(silent.getsockname()[1], handshake_timeout=0.05))
        with pytest.raises(HandshakeFailedError) as error:
            until(poll, lambda: nothing.opened)
    assert error.value.failure.reason is WireFailure.TIMEOUT


class Broken(ssl.SSLContext):
    def wrap_bio(self, *arguments: Any, **named: Any) -> Any:
        raise ssl.SSLError("a key that has gone")


def test_tls_that_cannot_begin(poll: Poll) -> None:
    server = csms(poll)
    config = ClientConfig(url=f"wss://127.0.0.1:{server.port}/CP1")
    link = open_rpc(poll, config, echo, ssl_context=Broken(ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(ssl.SSLError, match="a key that has gone"):
        until(poll, lambda: link.opened)


def test_closed_before_it_was_open(poll: Poll) -> None:
    link = open_rpc(poll, at(csms(poll).port))
    link.close()
    with pytest.raises(ConnectionAbortedError):
        until(poll, lambda: link.opened)


def to(host: str, port: int, timeout: float = 5.0) -> Route:
    return Route(config=ClientConfig(url=f"ws://{host}:{port}/CP1", handshake_timeout=timeout))


def test_one_address_after_the_other(poll: Poll, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first refuses, the second is of a family that is not there, the third answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        found = [
            (socket.AF_INET, 0, 0, "", closed.getsockname()),
            (12345, 0, 0, "", ("nowhere", 1)),
            (socket.AF_INET, 0, 0, "", listener.getsockname()),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        outcome: list[Any] = []
        Dialling(poll, to("host", 1), lambda found, _: outcome.append(found))
        until(poll, lambda: outcome)
        with outcome[0] as connection:
            assert connection.getpeername() == listener.getsockname()


def test_a_connection_that_does_not_come_in_time(poll: Poll) -> None:
    """A listener whose backlog is full answers nobody."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        name = listener.getsockname()
        crowd = [socket.socket() for _ in range(8)]
        for member in crowd:
            member.setblocking(False)
            member.connect_ex(name)
        outcome: list[Any] = []
        Dialling(poll, to(*name, timeout=0.05), lambda found, _: outcome.append(found))
        until(poll, lambda: outcome)
        for member in crowd:
            member.close()
    assert isinstance(outcome[0], TimeoutError)


def test_an_unconfirmed_message_is_of_version_2_1(poll: Poll) -> None:
    heard: list[Any] = []
    server = csms(poll, lambda link, message: heard.append(message))
    link = open_rpc(poll, ClientConfig(url=f"ws://127.0.0.1:{server.port}/CP1", subprotocols=("ocpp2.1",)))
    until(poll, lambda: link.opened)
    element = v21.StreamDataElement(t=1.0, v="1")
    now = datetime(2026, 3, 1, tzinfo=UTC)
    stream = v21.NotifyPeriodicEventStream(data=[element], id=1, pending=0, basetime=now)
    link.send(stream)
    until(poll, lambda: heard)
    assert heard[0].request == stream
    with pytest.raises(LocalProtocolError):
        connected(poll, csms(poll).port).send(stream)


def test_time_out_and_the_end_of_the_link(poll: Poll) -> None:
    async def on_csms(link: RpcLink, call: Any) -> Any:
        await poll.event().wait()

    server = csms(poll, on_csms)
    link = connected(poll, server.port)
    slow = link.call(transfer(), timeout=0.05)
    until(poll, lambda: slow.done)
    with pytest.raises(CallFailedError) as error:
        slow.result()
    assert error.value.failure.reason is FailureReason.TIMEOUT
    waiting = link.call(transfer())
    poll.step()
    server.abort()
    until(poll, lambda: waiting.done)
    with pytest.raises(CallFailedError) as error:
        waiting.result()
    assert error.value.failure.reason is FailureReason.DISCONNECTED
    until(poll, lambda: link.closed)
    assert link.closed is not None
    assert link.closed.code == 1006


def test_what_was_cancelled_is_not_resumed(poll: Poll) -> None:
    event = poll.event()
    woken: list[bool] = []

    async def wait() -> None:
        await event.wait()
        woken.append(True)

    task = poll.spawn(wait())
    poll.step()
    task.cancel()
    event.set()
    poll.step()
    assert task.done
    assert woken == []
    with pytest.raises(LocalProtocolError, match="cancelled"):
        task.result()


def test_a_station_that_has_gone_before_it_was_accepted(poll: Poll) -> None:
    server = csms(poll)
    server._accept(0)
    assert server.empty


def test_a_coroutine_of_an_event_loop_is_refused(poll: Poll) -> None:
    class Foreign:
        def __await__(self) -> Generator[str, None, None]:
            yield "a future"

    async def wait() -> None:
        await Foreign()

    task = poll.spawn(wait())
    poll.step()
    with pytest.raises(LocalProtocolError):
        task.result()


def test_tls(poll: Poll, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    server = csms(poll, ssl_context=context)
    secure = ClientConfig(url=f"wss://localhost:{server.port}/CP1", subprotocols=("ocpp2.0.1",))
    link = open_rpc(poll, secure, ssl_context=trusting)
    until(poll, lambda: link.opened)
    big = link.call(transfer("x" * 200_000))
    until(poll, lambda: big.done)
    assert big.result().data == "x" * 200_000  # type: ignore[attr-defined]  # a DataTransferResponse
    distrusting = open_rpc(poll, secure)
    with pytest.raises(HandshakeFailedError):
        until(poll, lambda: distrusting.opened)


# The behaviour level: sessions are in the conformance suite, here is what goes wrong.


def station_at(poll: Poll, url: str, seen: list[Any], **options: Any) -> StationRunner:
    station = Station(config(), os.urandom, time.monotonic())
    return connect_station(
        poll, station, ClientConfig(url=url), MemoryStore(), Charger(), observe=seen.append, **options
    )


def opened(seen: list[Any]) -> int:
    return sum(isinstance(action, OpenLink) for action in seen)


def test_a_station_tries_again(poll: Poll, free_port: int) -> None:
    seen: list[Any] = []
    runner = station_at(poll, f"ws://127.0.0.1:{free_port}/CP1", seen)
    until(poll, lambda: opened(seen) >= 3)
    runner.leave()
    until(poll, lambda: runner.gone)


def test_a_station_whose_link_is_cut_comes_back(poll: Poll) -> None:
    seen: list[Any] = []
    server = csms(poll)
    runner = station_at(poll, f"ws://127.0.0.1:{server.port}/CP1", seen)
    until(poll, lambda: server.connections)
    server.connections["CP1"].abort()
    until(poll, lambda: opened(seen) == 2 and server.connections)
    changes = [action.version is not None for action in seen if isinstance(action, LinkChanged)]
    assert changes[:3] in ([True, False, True], [True, False])
    runner.power_off()
    until(poll, lambda: not server.connections)
    assert runner.gone


def test_leaving_is_for_good(poll: Poll) -> None:
    seen: list[Any] = []
    server = csms(poll)
    runner = station_at(poll, f"ws://127.0.0.1:{server.port}/CP1", seen)
    until(poll, lambda: any(isinstance(action, LinkChanged) for action in seen))
    runner.leave()
    until(poll, lambda: runner.gone and not server.connections)
    (closed,) = [it for it in seen if isinstance(it, LinkChanged) and it.version is None]
    assert closed.reason.startswith("1001")
    with runner.turn() as now:
        runner.station.connect(now)
    poll.step()
    assert opened(seen) == 2, "it is asked for"
    assert not server.connections


def test_leaving_while_dialling(poll: Poll) -> None:
    seen: list[Any] = []
    server = csms(poll)
    runner = station_at(poll, f"ws://127.0.0.1:{server.port}/CP1", seen)
    poll.step()
    assert opened(seen) == 1
    runner.leave()
    until(poll, lambda: runner.gone)
    assert not server.connections
