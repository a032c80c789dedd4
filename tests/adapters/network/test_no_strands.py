"""A station that wants a link dials again, whatever went wrong; one that is gone leaves nothing behind."""

import logging
import os
import socket
import ssl
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.abc import SocketStream

from ocpp_adapters import anyio_station, poll_station, threads_station
from ocpp_adapters.anyio_dial import connect
from ocpp_adapters.binding import Binding, explain
from ocpp_adapters.poll import Poll
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.recorder import recording
from ocpp_adapters.routes import Route
from ocpp_adapters.station_runner import Runner
from ocpp_core.domain.network import NetworkProfile
from ocpp_core.station import Backoff, Station, StationConfig
from ocpp_core.store import MemoryStore
from ocpp_core.versions import OcppVersion
from ocpp_core.wire import ClientConfig, Credentials
from tests.adapters.charger import Charger, config
from tests.adapters.network.carriers import open_sockets
from tests.adapters.network.running import RUNNING, Seen, silent_csms

HASTY = config(OcppVersion.V201)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@pytest.fixture(params=RUNNING)
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def to(port: int, scheme: str = "ws", **options: Any) -> Route:
    settings: dict[str, Any] = {"ping_interval": 0.05, "pong_timeout": 0.05, "close_timeout": 0.1, **options}
    return Route(config=ClientConfig(url=f"{scheme}://127.0.0.1:{port}/CP1", **settings))


def nothing_but(before: set[str]) -> None:
    """All sockets but these are closed, or will be in no time: a thread may be about to."""
    end = time.monotonic() + 1.0
    while not open_sockets() <= before:
        assert time.monotonic() < end, open_sockets() - before
        time.sleep(0.01)


def hook(adapter: str, opens: Callable[[], socket.socket], at_last: Callable[[], None]) -> Any:
    """A dial of an adapter's: it opens a socket, and does something else just before it hands it over."""

    def blocking(_: Route, __: float) -> socket.socket:
        sock = opens()
        at_last()
        return sock

    async def suspending(_: Route) -> SocketStream:
        stream = await SocketStream.from_socket(opens())
        at_last()
        return stream

    class Polled:
        def __init__(self, poll: Poll, _: Route, told: Any) -> None:
            self._told, self._stopped = told, False
            poll.soon(self._connect)

        def stop(self) -> None:
            self._stopped = True

        def _connect(self) -> None:
            sock = opens()
            at_last()
            if self._stopped:
                sock.close()
            else:
                self._told(sock, None)

    return suspending if adapter.startswith("anyio") else blocking if adapter == "threads" else Polled


def test_a_dial_called_off_in_the_moment_that_it_connects_is_none(adapter: str) -> None:
    """Else the station waits for the end of a link that nobody ends."""
    before = open_sockets()
    seen, runners = Seen(), list[Runner]()
    kept: list[float] = []

    def call_off() -> None:
        (runner,) = runners
        with runner.turn() as now:
            runner.station.disconnect(now)

    def enough(runner: Runner) -> bool:
        runners[:] = [runner]
        if seen.lost and not kept:
            kept.append(time.monotonic())
            assert runner.station.state(runner.now())["connection"]["state"] == "idle"
        return bool(kept) and time.monotonic() > kept[0] + 0.1

    with silent_csms(speaks=False) as port:

        def opens() -> socket.socket:
            while not runners:
                time.sleep(0.001)
            return socket.create_connection(("127.0.0.1", port))

        settings = replace(HASTY, autoconnect=False)

        def begin(runner: Runner) -> bool:
            if not runners:
                runners[:] = [runner]
                with runner.turn() as now:
                    runner.station.connect(now)
            return enough(runner)

        RUNNING[adapter](to(port), seen, begin, settings, hook(adapter, opens, call_off))
    assert seen.reasons == ["unreachable: given up"]
    assert not seen.opened
    nothing_but(before)


class Unreadable(Charger):
    """A meter whose bus is out of order now and then."""

    broken = False

    def meters(self) -> Any:
        if self.broken:
            raise OSError("no answer from the meter")
        return super().meters()


def test_a_meter_that_cannot_be_read_strands_no_station(
    adapter: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It fails whenever a link ends, opens or does not come to be, and when time is over."""
    monkeypatch.setattr("tests.adapters.network.running.Charger", Unreadable)
    monkeypatch.setattr(Unreadable, "broken", True)
    seen = Seen()
    with caplog.at_level(logging.ERROR), silent_csms(speaks=False) as port:
        RUNNING[adapter](to(port), seen, lambda _: len(seen.lost) > 2, HASTY)
    assert seen.opened > 1
    assert "the meters cannot be read" in caplog.text


class Faulty(ssl.SSLContext):
    """One that cannot be used at all; what comes of it is no OSError."""

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        raise ValueError("check_hostname requires server_hostname")


def test_a_context_that_cannot_be_used_is_a_failed_link(adapter: str) -> None:
    before = open_sockets()
    seen = Seen()
    with silent_csms(speaks=False) as port:
        route = replace(to(port, "wss"), ssl_context=Faulty(ssl.PROTOCOL_TLS_CLIENT))
        RUNNING[adapter](route, seen, lambda _: len(seen.dialled) > 2, HASTY)
    assert seen.reasons[:2] == ["unreachable: dialling failed: ValueError"] * 2
    nothing_but(before)


# Power loss while a connection is on its way.


class Slow:
    """A listener that can tell whether anybody said anything."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.said = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            while data := connection.recv(1000):
                self.said += data

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def over(self) -> None:
        self._thread.join(5.0)
        assert not self._thread.is_alive(), "the connection is still open"
        self.listener.close()


def powered_off_in_threads(
    route: Route, settings: StationConfig, dial: Any, barrier: threading.Barrier
) -> None:
    station = Station(settings, os.urandom, time.monotonic())
    with threads_station.connect_station(station, route, MemoryStore(), Charger(), dial=dial) as runner:
        barrier.wait(5.0)
        runner.power_off()
        barrier.wait(5.0)
        for thread in threading.enumerate():
            if thread.name == "ocpp-link":
                thread.join(5.0)


def powered_off_in_a_poll(
    route: Route, settings: StationConfig, dial: Any, barrier: threading.Barrier
) -> None:
    del dial, barrier
    station = Station(settings, os.urandom, time.monotonic())
    with Poll() as poll:
        runner = poll_station.connect_station(poll, station, route, MemoryStore(), Charger())
        poll.step()
        runner.power_off()
        assert runner.gone
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            poll.wait(min(poll.step(), 0.01))
        assert not poll._sockets


def powered_off_on_anyio(
    route: Route, settings: StationConfig, dial: Any, barrier: threading.Barrier, backend: str
) -> None:
    del dial, barrier

    async def main() -> None:
        station = Station(settings, os.urandom, anyio.current_time())
        async with anyio_station.connect_station(station, route, MemoryStore(), Charger()) as runner:
            while runner._dialling is None:
                await anyio.lowlevel.checkpoint()
            runner.power_off()

    anyio.run(main, backend=backend)


POWERED_OFF: dict[str, Callable[..., None]] = {
    "anyio-asyncio": partial(powered_off_on_anyio, backend="asyncio"),
    "anyio-trio": partial(powered_off_on_anyio, backend="trio"),
    "threads": powered_off_in_threads,
    "poll": powered_off_in_a_poll,
}


def test_a_station_without_power_opens_no_link(adapter: str) -> None:
    """That was on its way as the power went."""
    slow, barrier = Slow(), threading.Barrier(2)

    def dial(route: Route, timeout: float) -> socket.socket:
        barrier.wait(5.0)  # it is on its way
        barrier.wait(5.0)  # the power is gone
        return socket.create_connection(("127.0.0.1", slow.port), timeout)

    POWERED_OFF[adapter](to(slow.port, ping_interval=None), HASTY, dial, barrier)
    with socket.create_connection(("127.0.0.1", slow.port)):
        pass  # for the listener, in case nobody has come
    slow.over()
    assert slow.said == b""


# Nothing is left behind, however often it fails.


def said(head: bytes) -> tuple[socket.socket, threading.Thread]:
    """A server that says one thing to everybody, and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=50)

    def run() -> None:
        try:
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(head)
        except OSError:
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return listener, thread


def left() -> tuple[int, int]:
    """How many files are open, and how many threads there are."""
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def unknown(host: str, port: int, binding: Binding) -> Any:
    """A DNS server that is quicker than some, and knows nobody."""
    del port
    raise explain(socket.gaierror(socket.EAI_NONAME, "Name or service not known"), binding, host)


@linux_only
def test_two_hundred_failed_attempts_leave_nothing_behind(
    adapter: str, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens, no TLS, no WebSocket, no such name, a proxy that refuses: in turns."""
    for carrier in ("anyio_dial", "poll_dial"):
        monkeypatch.setattr(f"ocpp_adapters.{carrier}.look_up", unknown)
    server, thread = said(b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n")
    port = server.getsockname()[1]
    nowhere = replace(to(free_port), config=ClientConfig(url="ws://no-such-name.invalid/CP1"))
    routes = [
        to(free_port),
        replace(to(port, "wss"), ssl_context=ssl.create_default_context()),
        to(port),
        nowhere,
        replace(to(free_port), proxy=Proxy("127.0.0.1", port)),
    ]
    profiles = tuple(NetworkProfile(slot) for slot in range(len(routes)))
    backoff = Backoff(minimum=0.0005, random_range=0.0, repeats=0)
    settings = replace(HASTY, network_profiles=profiles, network_attempts=1, backoff=backoff)
    marks: list[tuple[int, int]] = []

    def enough(_: Runner) -> bool:
        if len(seen.lost) >= 20 and not marks:
            marks.append(left())
        return len(seen.lost) >= 220

    sockets, before, seen = open_sockets(), left(), Seen()
    RUNNING[adapter](dict(enumerate(routes)), seen, enough, settings)
    after = left()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5.0)
    assert len({reason.partition("(")[0] for reason in seen.reasons[:200]}) == len(routes), set(seen.reasons)
    took = sorted(lost - dialled for dialled, lost in zip(seen.dialled, seen.lost, strict=False))
    assert took[100] < 0.05, "what is known at once is told at once"
    nothing_but(sockets)
    for files, threads in (*marks, after):
        assert files <= before[0] + 8, (before, marks, after)
        assert threads <= before[1] + 3, (before, marks, after)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_look_ups_that_hang_do_not_keep_the_disk_waiting(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many stations of one process, one dead DNS server: what they commit is committed all the same."""
    dead = threading.Event()
    monkeypatch.setattr("ocpp_adapters.anyio_dial.look_up", lambda *_: dead.wait(10.0) and [])
    route = replace(to(9), config=ClientConfig(url="ws://csms.example/CP1"))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(connect, route)
            await anyio.sleep(0.1)
            with anyio.fail_after(1.0):
                await anyio.to_thread.run_sync(int)
            tasks.cancel_scope.cancel()
        dead.set()

    try:
        anyio.run(main, backend=backend)
    finally:
        dead.set()


def test_attempts_that_hang_do_not_pile_up_in_threads() -> None:
    """A key store that answers nobody: each attempt is given up in time, its thread cannot be."""
    answers = threading.Event()
    before = threading.active_count()
    most: list[int] = []

    def maker() -> ssl.SSLContext:
        answers.wait(10.0)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def enough(_: Runner) -> bool:
        most.append(threading.active_count() - before)
        if len(seen.lost) > 12:
            answers.set()
        return any("not TLS" in reason for reason in seen.reasons)

    seen = Seen()
    server, _ = said(b"HTTP/1.1 400 no\r\n\r\n")
    route = replace(to(server.getsockname()[1], "wss"), ssl_context=maker)
    with server:
        RUNNING["threads"](route, seen, enough, replace(HASTY, dial_timeout=0.15))
    assert any("still hang" in reason for reason in seen.reasons)
    assert max(most) < 10


@pytest.mark.parametrize("by", ["proxy", "csms"])
def test_no_secret_gets_into_reasons_logs_or_records(
    adapter: str, by: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what a station tells, logs at any level, or has recorded of it: however a refusal is worded."""
    status = b"407 no" if by == "proxy" else b"401 no"
    server, thread = said(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
    port = server.getsockname()[1]
    way = ClientConfig(url="ws://127.0.0.1:9/CP1" if by == "proxy" else f"ws://127.0.0.1:{port}/CP1")
    way = replace(way, credentials=Credentials(b"CP1", b"pass-csms"))
    proxy = Proxy("127.0.0.1", port, "user-proxy", "pass-proxy") if by == "proxy" else None
    route = Route(config=way, proxy=proxy)
    record = tmp_path / "station.jsonl"
    monkeypatch.setattr("tests.adapters.network.running.Station", recording(Station, record))
    seen = Seen()
    with caplog.at_level(logging.DEBUG), server:
        RUNNING[adapter](route, seen, lambda _: len(seen.lost) > 1, HASTY)
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5.0)
    assert "refuses our" in seen.reasons[0] if by == "proxy" else "401" in seen.reasons[0]
    told = "\n".join([*seen.reasons, caplog.text, record.read_text(), repr(route)])
    secrets = ["user-proxy", "pass-proxy", "pass-csms", b64encode(b"CP1:pass-csms").decode()]
    assert not [secret for secret in secrets if secret in told]
