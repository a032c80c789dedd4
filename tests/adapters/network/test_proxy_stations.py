"""A station on every adapter reaches its CSMS with TLS through a proxy, and tells what a proxy refuses."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ocpp_adapters import threads_server
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.routes import Route
from ocpp_core import OcppVersion
from ocpp_core.wire import ClientConfig
from tests.adapters.certificates import write_certificate
from tests.adapters.charger import config
from tests.adapters.network.running import RUNNING, Seen
from tests.adapters.network.test_proxy_carriers import OPEN, proxy_that, says
from tests.adapters.servers import Echoes

STATION = config(OcppVersion.V201)


@pytest.fixture(params=RUNNING)
def run(request: pytest.FixtureRequest) -> Callable[..., None]:
    return RUNNING[request.param]


def relay(request: bytes, station: socket.socket) -> None:
    """What a CONNECT asks for."""
    host, _, port = request.split()[1].decode().rpartition(":")
    with socket.create_connection((host, int(port)), 5.0) as csms:
        station.sendall(OPEN)
        back = threading.Thread(target=pump, args=(csms, station))
        back.start()
        pump(station, csms)
        back.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@pytest.mark.requirement("RFC9110-9.3.6", "RFC6455-4.1")
def test_tls_and_websocket_through_a_tunnel(run: Callable[..., None], tmp_path: Path) -> None:
    """The certificate is checked for the CSMS's name: that of the URL, which the proxy looks up."""
    certificate, key = write_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    seen = Seen()
    with threads_server.serve(Echoes(), "127.0.0.1", ssl_context=context) as server:
        url = ClientConfig(url=f"wss://localhost:{server.port}/CP1")
        with proxy_that(relay) as port:
            route = Route(config=url, ssl_context=trusting, proxy=Proxy("127.0.0.1", port))
            run(route, seen, lambda _: seen.opened > 0, STATION)
    assert seen.opened == 1


def test_a_refusal_of_the_proxy_is_a_failed_link_with_its_words(run: Callable[..., None]) -> None:
    seen = Seen()
    with proxy_that(says(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as port:
        url = ClientConfig(url="wss://csms.example/CP1")
        route = Route(config=url, proxy=Proxy("127.0.0.1", port, "jo", "opensesame"))
        run(route, seen, lambda _: len(seen.dialled) > 1, STATION)
    assert seen.reasons[0] == f"unreachable: proxy 127.0.0.1:{port} refuses our user name or password"
