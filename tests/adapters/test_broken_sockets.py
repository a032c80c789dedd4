"""What a system call may come to, and threads that fail: no link hangs, nobody else is concerned."""

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ocpp_adapters import poll_dial, poll_link, threads_link, threads_station
from ocpp_adapters.binding import DialError
from ocpp_adapters.poll import Poll
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.routes import Route
from ocpp_adapters.server_driver import Registry
from ocpp_adapters.sessions import Peer, Session
from ocpp_adapters.socket_link import ClientSocket, ServerSocket
from ocpp_adapters.threads_monitor import Monitor
from ocpp_core.station import LinkChanged, Station
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig, FailureReason, HandshakeFailed
from ocpp_core.wire.handshake import accept_key
from tests.adapters.charger import Charger, config

REFUSAL = b"HTTP/1.1 401 Unauthorized\r\n\r\n"


class Moody(socket.socket):
    """A socket one of whose verbs raises: the first time only if that is no end."""

    verb = ""
    error: OSError | None = None
    lasts = False
    most = 1 << 16
    """Bytes that are sent at a time."""

    def _act(self, verb: str) -> None:
        if verb == self.verb and self.error is not None:
            error, self.error = self.error, self.error if self.lasts else None
            raise error

    def recv(self, *arguments: Any) -> bytes:
        self._act("recv")
        return super().recv(*arguments)

    def send(self, data: Any, *arguments: Any) -> int:
        self._act("send")
        return super().send(data[: self.most], *arguments)


@pytest.fixture
def sockets() -> Iterator[tuple[Moody, socket.socket]]:
    one, other = socket.socketpair()
    with Moody(fileno=one.detach()) as ours, other:
        yield ours, other


def client(sock: socket.socket, **options: Any) -> ClientSocket:
    options = {"handshake_timeout": 5.0} | options
    return ClientSocket(sock, ClientConfig(url="ws://csms/CP1", **options), Session(), os.urandom)


def by_polling(driver: ClientSocket) -> None:
    with Poll() as poll:
        ended: list[bool] = []
        poll_link.Carried(poll, driver, lambda: ended.append(True))
        while not ended:
            poll.wait(min(poll.step(), 0.1))


def by_threads(driver: ClientSocket) -> None:
    monitor = Monitor()
    with monitor:
        carried = threads_link.Carried(driver, monitor)
    carried.run()


@pytest.mark.parametrize("verb", ["recv", "send"])
@pytest.mark.parametrize(
    ("carry", "error", "lasts"),
    [
        (by_polling, BlockingIOError(), False),
        (by_polling, InterruptedError(), False),
        (by_polling, ConnectionResetError(), True),
        (by_threads, TimeoutError(), False),
        (by_threads, ConnectionResetError(), True),
    ],
)
def test_a_call_that_fails_is_tried_again_or_the_end(
    sockets: tuple[Moody, socket.socket],
    carry: Callable[[ClientSocket], None],
    error: OSError,
    lasts: bool,
    verb: str,
) -> None:
    ours, csms = sockets
    ours.verb, ours.error, ours.lasts = verb, error, lasts
    if not (lasts and verb == "send"):
        csms.sendall(REFUSAL)
    driver = client(ours)
    carry(driver)
    assert isinstance(driver.outcome, HandshakeFailed)
    assert driver.outcome.reason is (FailureReason.TRANSPORT if lasts else FailureReason.UNAUTHORIZED)
    assert ours.fileno() < 0, "it is closed"


@pytest.mark.parametrize("verb", ["recv", "send"])
@pytest.mark.parametrize(
    ("error", "lasts"),
    [(BlockingIOError(), False), (InterruptedError(), False), (OSError(errno.ECONNRESET, "reset"), True)],
)
def test_a_call_that_fails_at_a_proxy_is_tried_again_or_the_end(
    sockets: tuple[Moody, socket.socket],
    error: OSError,
    lasts: bool,
    verb: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, proxy = sockets
    ours.verb, ours.error, ours.lasts, ours.most = verb, error, lasts, 7
    ours.setblocking(False)
    monkeypatch.setattr(poll_dial, "begin", lambda *_: ours)
    proxy.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    config = ClientConfig(url="ws://csms.example/CP1", handshake_timeout=5.0)
    outcome: list[socket.socket | DialError] = []
    with Poll() as poll:
        poll_dial.Race(poll, Route(config=config, proxy=Proxy("192.0.2.1", 3128)), outcome.append)
        while not outcome:
            poll.wait(min(poll.step(), 0.1))
    if lasts:
        assert str(outcome[0]) == "proxy 192.0.2.1:3128: reset"
        assert ours.fileno() < 0, "it is closed"
    else:
        assert outcome == [ours]
        assert proxy.recv(4096).startswith(b"CONNECT csms.example:80 ")


@pytest.fixture
def server(sockets: tuple[Moody, socket.socket]) -> Iterator[ServerSocket]:
    with Poll() as poll:
        yield ServerSocket(sockets[0], Registry(lambda *_: Session(), None, None), poll)


def test_a_peer_that_never_reads_does_not_keep_a_link_that_is_over(server: ServerSocket) -> None:
    server.begin()
    server.received(b"no request\r\n\r\n")
    assert not server.over, "the refusal is not written yet"
    at = server.due()
    assert at is not None
    server.handle_timer(at)
    assert server.over


def test_a_peer_that_has_gone_has_no_address(server: ServerSocket) -> None:
    server.socket.close()
    assert server.peer() == Peer(None, None)


def test_what_fails_in_a_thread_is_told_and_the_next_is_done(caplog: pytest.LogCaptureFixture) -> None:
    monitor = Monitor(workers=1)
    done = threading.Event()

    async def fail() -> None:
        raise RuntimeError("a handler")

    async def work() -> None:
        done.set()

    def finish() -> None:
        raise RuntimeError("a commit")

    monitor.spawn(fail())
    monitor.spawn(work())
    assert done.wait(5)
    done.clear()
    monitor.submit(lambda: finish)
    monitor.submit(lambda: done.set)
    assert done.wait(5)
    told = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [str(error) for error in told] == ["a handler", "a commit"]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def open_and_be_silent(listener: socket.socket, over: threading.Event) -> None:
    """A CSMS that takes a station in, and never does anything again."""
    with listener, listener.accept()[0] as link:
        request = link.recv(4096)
        key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
        head = b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += b"Sec-WebSocket-Protocol: ocpp2.0.1\r\nSec-WebSocket-Accept: " + accept_key(key) + b"\r\n\r\n"
        link.sendall(head)
        over.wait(10)


def test_a_csms_that_does_not_say_goodbye_does_not_hold_a_station_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads_station, "_GOODBYE", 0.05)
    listener, over, opened = socket.create_server(("127.0.0.1", 0)), threading.Event(), threading.Event()
    url = f"ws://127.0.0.1:{listener.getsockname()[1]}/CP1"
    csms = threading.Thread(target=open_and_be_silent, args=(listener, over))
    csms.start()

    def observe(action: object) -> None:
        if isinstance(action, LinkChanged) and action.version is not None:
            opened.set()

    station, charger = Station(config(), os.urandom, time.monotonic()), Charger()
    routes = ClientConfig(url=url, close_timeout=60.0)
    with threads_station.connect_station(station, routes, MemoryStore(), charger, observe=observe) as runner:
        charger.runner = runner
        assert opened.wait(5)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    over.set()
    csms.join()
