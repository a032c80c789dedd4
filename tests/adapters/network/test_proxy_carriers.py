"""Through a proxy on asyncio, on trio, in a thread and in a poll loop: one of our own, and a real one."""

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import pytest

from ocpp_adapters.binding import DialError
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.routes import Route
from ocpp_core.wire import ClientConfig
from tests.adapters.network.carriers import CARRIERS, GIVING_UP, Carrier, GivingUp, open_sockets
from tests.daemons import daemon, unused_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
INSTALL = Path(__file__).parents[3] / "tools" / "system_package.sh"
OPEN = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n"
Behaviour: TypeAlias = Callable[[bytes, socket.socket], None]
"""What a proxy does about a request on a connection."""


@contextmanager
def proxy_that(behaves: Behaviour) -> Iterator[int]:
    """A proxy for one connection; its port."""

    def serve() -> None:
        with suppress(OSError), listener.accept()[0] as connection:
            connection.settimeout(5.0)
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += connection.recv(1)
            behaves(request, connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5.0)
        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join(5.0)
        assert not thread.is_alive()


def says(*pieces: bytes) -> Behaviour:
    def behaves(request: bytes, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.002)

    return behaves


def through(
    port: int, *, timeout: float = 5.0, target: str = "csms.example:9000", proxy: Proxy | None = None
) -> Route:
    config = ClientConfig(url=f"ws://{target}/CP1", handshake_timeout=timeout)
    return Route(config=config, proxy=proxy or Proxy("127.0.0.1", port))


@pytest.fixture(params=CARRIERS)
def dial(request: pytest.FixtureRequest) -> Iterator[Carrier]:
    before = open_sockets()
    yield CARRIERS[request.param]
    assert open_sockets() <= before


@pytest.mark.requirement("RFC9110-9.3.6")
def test_a_tunnel(dial: Carrier) -> None:
    """The name of the CSMS is the proxy's to look up."""
    asked: list[bytes] = []

    def echo(request: bytes, connection: socket.socket) -> None:
        asked.append(request)
        for number in range(len(OPEN)):
            connection.sendall(OPEN[number : number + 1])
        connection.sendall(connection.recv(99))

    with proxy_that(echo) as port, dial(through(port)) as here:
        here.sendall(b"ping")
        assert here.recv(99) == b"ping"
    assert asked == [b"CONNECT csms.example:9000 HTTP/1.1\r\nHost: csms.example:9000\r\n\r\n"]


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (says(b"HTTP/1.1 407 \r\n", b"\r\n"), "wants a user name and a password"),
        (says(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), "does not allow connections to"),
        (says(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), "cannot connect to csms.example:9000"),
        (says(b"220 smtp.example ESMTP\r\n", b"\r\n"), "does not answer as an HTTP proxy does"),
        (says(b"HTTP/1.1 200 OK\r\n"), "closed the connection without an answer"),
        (says(), "closed the connection without an answer"),
        (says(b"X: y\r\n" * 9000), "HTTP proxy does|without end"),
        (says(OPEN + b"hello"), "sent something after its answer"),
    ],
)
def test_a_proxy_that_does_not_connect(dial: Carrier, behaviour: Behaviour, words: str) -> None:
    with proxy_that(behaviour) as port, pytest.raises(DialError, match=words) as error:
        dial(through(port))
    assert str(error.value).startswith(f"proxy 127.0.0.1:{port} ")


def test_a_proxy_that_does_not_answer(dial: Carrier) -> None:
    def silent(request: bytes, connection: socket.socket) -> None:
        assert connection.recv(1) == b"", "given up"

    with proxy_that(silent) as port, pytest.raises(TimeoutError, match=r"does not answer within 0\.1 s"):
        dial(through(port, timeout=0.1))


def test_a_proxy_that_resets(dial: Carrier) -> None:
    def reset(request: bytes, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with proxy_that(reset) as port, pytest.raises(DialError, match=r"^proxy .* reset"):
        dial(through(port))


def test_a_proxy_that_is_not_there(dial: Carrier, free_port: int) -> None:
    with pytest.raises(ConnectionRefusedError, match=rf"^proxy 127\.0\.0\.1:{free_port}: refused"):
        dial(through(free_port))


@pytest.mark.parametrize("adapter", GIVING_UP)
def test_giving_up_while_the_proxy_thinks(adapter: str) -> None:
    give_up: GivingUp = GIVING_UP[adapter]
    closed = threading.Event()

    def silent(request: bytes, connection: socket.socket) -> None:
        assert connection.recv(1) == b""
        closed.set()

    with proxy_that(silent) as port:
        give_up(through(port), 0.15)
        assert closed.wait(1.0)


# A real one.


@pytest.fixture(scope="module")
def tinyproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A tinyproxy with a password, on the loopback."""
    if shutil.which("tinyproxy") is None:
        subprocess.run([str(INSTALL), "tinyproxy"], check=False, timeout=300)
    program = shutil.which("tinyproxy")
    if program is None:
        pytest.skip("no proxy: tools/system_package.sh tinyproxy")
    port = unused_port()
    settings = tmp_path_factory.mktemp("proxy") / "tinyproxy.conf"
    settings.write_text(
        f"Port {port}\nListen 127.0.0.1\nBasicAuth jo opensesame\nTimeout 10\nAllow 127.0.0.1\n"
    )
    with daemon([program, "-d", "-c", str(settings)], port):
        yield port


def test_a_tunnel_through_a_real_proxy(dial: Carrier, tinyproxy: int) -> None:
    known = Proxy.parse(f"http://jo:opensesame@127.0.0.1:{tinyproxy}")
    with socket.create_server(("127.0.0.1", 0)) as csms:
        target = f"localhost:{csms.getsockname()[1]}"
        with dial(through(0, target=target, proxy=known)) as here, csms.accept()[0] as there:
            here.sendall(b"ping")
            assert there.recv(9) == b"ping"
            there.sendall(b"pong")
            assert here.recv(9) == b"pong"


def test_what_a_real_proxy_refuses(dial: Carrier, tinyproxy: int, free_port: int) -> None:
    target = f"localhost:{free_port}"
    for proxy, words in (
        (f"http://127.0.0.1:{tinyproxy}", "wants a user name and a password"),
        (f"http://jo:wrong@127.0.0.1:{tinyproxy}", "refuses our user name or password"),
        (f"http://jo:opensesame@127.0.0.1:{tinyproxy}", f"has failed|cannot connect to {target}"),
    ):
        with pytest.raises(DialError, match=words) as error:
            dial(through(0, target=target, proxy=Proxy.parse(proxy)))
        assert "opensesame" not in str(error.value)
