"""Fuzz what is configured of a way to a CSMS: ``python fuzz/fuzz_addresses.py fuzz/corpus/addresses``.

The first byte chooses what the rest is: a connection URL, an identity, a proxy, an interface or address.
It is refused by :class:`ConfigurationError`, or everything made of it works.
"""

import socket
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["ocpp_adapters", "ocpp_core", "h11"]):
    from ocpp_adapters.binding import Binding, DialError, explain
    from ocpp_adapters.dialler import Connect, Dialler, Lookup, Send
    from ocpp_adapters.proxy import Proxy
    from ocpp_adapters.routes import Route
    from ocpp_core import ConfigurationError
    from ocpp_core.entropy import SeededEntropy
    from ocpp_core.wire import ClientConfig, WebSocketClient, connection_url, parse_identity, parse_url

from _harness import run

PROXY = Proxy("192.0.2.1", 3128)


def url(text: str) -> None:
    """A station dials it, and says it in its request."""
    endpoint = parse_url(text)
    assert endpoint.host
    assert 0 <= endpoint.port < 65536
    assert endpoint.target.startswith("/")
    scheme = "wss" if endpoint.secure else "ws"
    again = parse_url(f"{scheme}://{endpoint.authority}{endpoint.target}")
    assert (again.host, again.port, again.target) == (endpoint.server_name, endpoint.port, endpoint.target)
    config = ClientConfig(url=text)
    dial(Route(config=config))
    dial(Route(config=config, proxy=PROXY))
    assert WebSocketClient(config, SeededEntropy(0), 0.0).actions()


def dial(route: Route) -> None:
    dialler = Dialler(route, 0.0)
    (first,) = dialler.actions()
    if isinstance(first, Lookup):
        dialler.looked_up([(socket.AF_INET, ("192.0.2.1", first.port))], 0.0)
        (first,) = dialler.actions()
    assert isinstance(first, Connect)
    dialler.connected(1, 0.0)
    (asked,) = dialler.actions()
    if isinstance(asked, Send):
        head, _, _ = asked.data.partition(b"\r\n")
        method, target, version = head.split(b" ")
        assert (method, version) == (b"CONNECT", b"HTTP/1.1")
        assert target.rpartition(b":")[2] == str(route.config.endpoint.port).encode()
        assert asked.data.count(b"\r\n") == 3 + (route.proxy is not None and route.proxy.user is not None)


def identity(text: str) -> None:
    made = connection_url("ws://csms.example/ocpp/", text)
    assert parse_identity(parse_url(made).target) == text


def proxy(text: str) -> None:
    found = Proxy.parse(text)
    assert (
        found.password is None
        or found.password not in repr(found)
        or found.password in repr(Proxy(found.host, found.port, found.user))
    )
    dial(Route(config=ClientConfig(url="wss://csms.example/CP"), proxy=found))


def binding(text: str) -> None:
    found = Binding.parse(text)
    assert (found == Binding()) == (not text)
    assert str(found).isprintable()
    with socket.socket(found.family or socket.AF_INET) as sock:
        try:
            found.prepare(sock)
        except OSError as error:
            words = explain(error, found, "192.0.2.1")
            assert isinstance(words, DialError)
            assert str(words)


KINDS = (url, identity, proxy, binding)


def one_input(data: bytes) -> None:
    if data:
        with suppress(ConfigurationError):
            KINDS[data[0] % len(KINDS)](data[1:].decode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    run(one_input)
