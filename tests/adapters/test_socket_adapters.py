"""What threads and poll have in common: no room for a connection, a certificate that is not trusted."""

import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ocpp_adapters import poll_server, poll_station, threads_server, threads_station
from ocpp_adapters.poll import Poll
from ocpp_adapters.routes import Route
from ocpp_adapters.threads_link import dial
from ocpp_adapters.threads_monitor import Monitor
from ocpp_adapters.threads_rpc import BlockingLink, open_rpc
from ocpp_core import LocalProtocolError, OcppVersion, Role
from ocpp_core.messages import v21
from ocpp_core.rpc import CallReceived, SendReceived
from ocpp_core.station import LinkFailure, Station
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig
from tests.adapters.certificates import write_certificate
from tests.adapters.charger import Charger, config
from tests.adapters.servers import Echoes


def eventually(condition: Callable[[], object], step: Callable[[], object] = lambda: None) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        step()
        time.sleep(0.002)


class Crowded(socket.socket):
    """A listener in a process that has no file descriptor left, at first."""

    refusals: list[float]

    def accept(self) -> Any:
        if len(self.refusals) < 2:
            self.refusals.append(time.monotonic())
            raise OSError(errno.EMFILE, "too many open files")
        return super().accept()


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The listeners made from now on are crowded; when they refused."""
    refusals: list[float] = []

    def create_server(address: Any, **_: Any) -> socket.socket:
        listener = Crowded()
        listener.refusals = refusals
        listener.bind(address)
        listener.listen()
        return listener

    monkeypatch.setattr(socket, "create_server", create_server)
    return refusals


def at(port: int, scheme: str = "ws") -> ClientConfig:
    return ClientConfig(url=f"{scheme}://localhost:{port}/CP1")


def test_threads_accept_again_when_there_is_room(crowded: list[float]) -> None:
    echoes = Echoes()
    with threads_server.serve(echoes, "127.0.0.1") as server:
        with dial(Route(config=at(server.port)), 5):
            eventually(lambda: len(crowded) == 2)
        with open_rpc(at(server.port)):
            eventually(lambda: "CP1" in echoes.of)
    assert crowded[1] - crowded[0] >= 0.1


def test_a_poll_accepts_again_when_there_is_room(crowded: list[float]) -> None:
    with Poll() as poll:
        server = poll_server.serve(poll, Echoes(), "127.0.0.1")
        with dial(Route(config=at(server.port)), 5):
            steps = 0

            def step() -> None:
                nonlocal steps
                steps += poll.step() == 0.0

            eventually(lambda: not server.empty, step)
        assert steps < 50  # it does not spin meanwhile
    assert crowded[1] - crowded[0] >= 0.1


@contextmanager
def polled(*arguments: Any) -> Iterator[Any]:
    """A station's poll, stepped in the background."""
    leaving = threading.Event()
    with Poll() as poll:
        station, url, charger, seen = arguments
        poll_station.connect_station(poll, station, url, MemoryStore(), charger, observe=seen)

        def loop() -> None:
            while not leaving.is_set():
                poll.wait(min(poll.step(), 0.005))

        thread = threading.Thread(target=loop)
        thread.start()
        yield
        leaving.set()
        thread.join()


@contextmanager
def threaded(*arguments: Any) -> Iterator[Any]:
    station, url, charger, seen = arguments
    with threads_station.connect_station(station, url, MemoryStore(), charger, observe=seen):
        yield


@pytest.mark.requirement("A00.FR.309")
@pytest.mark.parametrize("run", [polled, threaded])
def test_a_certificate_that_is_not_trusted_has_its_own_failure(run: Any, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    failures: list[LinkFailure] = []

    class Watched(Station):
        def link_failed(self, failure: LinkFailure, detail: str, now: float) -> None:
            failures.append(failure)
            super().link_failed(failure, detail, now)

    with ExitStack() as stack:
        server = stack.enter_context(threads_server.serve(Echoes(), "127.0.0.1", ssl_context=context))
        station = Watched(config(), os.urandom, time.monotonic())
        stack.enter_context(run(station, at(server.port, "wss"), Charger(), lambda _: None))
        eventually(lambda: failures)
    assert failures[0] is LinkFailure.BAD_CERTIFICATE


def test_what_a_blocking_link_tells_and_sends() -> None:
    heard: list[CallReceived | SendReceived] = []
    monitor = Monitor()
    links: list[BlockingLink] = []

    def admit(*_: object) -> BlockingLink:
        links.append(BlockingLink(Role.CSMS, lambda _, message: heard.append(message), monitor))
        return links[0]

    early = BlockingLink(Role.STATION, lambda *_: None, monitor)
    with pytest.raises(LocalProtocolError):
        assert early.identity
    with (
        threads_server.serve(admit, "127.0.0.1", monitor=monitor) as server,
        open_rpc(at(server.port)) as link,
    ):
        assert link.version is OcppVersion.V21
        link.send(v21.NotifyPeriodicEventStream.model_validate_json(STREAM))
        eventually(lambda: heard)
        assert links[0].identity == "CP1"
        assert links[0].answers is not link.answers
    assert isinstance(heard[0], SendReceived)


STREAM = """{"id": 1, "pending": 0, "basetime": "2026-01-01T12:00:00Z", "data": [{"t": 0, "v": "1"}]}"""
