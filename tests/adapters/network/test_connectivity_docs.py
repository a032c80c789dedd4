"""docs/connectivity.md: its examples run, its numbers are true, and every error is in its table."""

import errno
import os
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from ocpp_adapters import binding, threads_station
from ocpp_adapters.binding import Binding, explain
from ocpp_adapters.dialler import ADDRESSES
from ocpp_adapters.proxy import Proxy, Tunnel
from ocpp_adapters.routes import Route
from ocpp_adapters.tls_policy import Names, StationTls
from ocpp_core import LocalProtocolError
from ocpp_core.domain.network import NetworkProfile
from ocpp_core.domain.status import StationInfo
from ocpp_core.station import Backoff, OpenLink, Station, StationConfig
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig
from tests.adapters.charger import Charger

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "connectivity.md").read_text(encoding="utf-8")
CONFIGURED, TOLD, BACK, RENEWED, RUNNING = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SAYINGS = re.findall(r"^\| `(.+?)` \|", TEXT.split("| it says |")[1], re.MULTILINE)
INTERFACE, SOURCE, NOTHING = Binding(interface="eth0"), Binding(source="192.0.2.7"), Binding()
ERRORS = [
    (errno.ENODEV, INTERFACE),
    (errno.EPERM, INTERFACE),
    (errno.EACCES, INTERFACE),
    (errno.ENETUNREACH, INTERFACE),
    (errno.EHOSTUNREACH, INTERFACE),
    (errno.EADDRNOTAVAIL, SOURCE),
    (errno.ENETUNREACH, SOURCE),
    (errno.ENETUNREACH, NOTHING),
    (errno.ECONNREFUSED, NOTHING),
    (errno.ETIMEDOUT, NOTHING),
    (errno.EAFNOSUPPORT, NOTHING),
    (errno.ENOPROTOOPT, INTERFACE),
    (errno.EINVAL, NOTHING),
]


def configured() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(CONFIGURED, names)
    exec(RENEWED, names)
    return names


def test_the_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    names = configured() | {"store": MemoryStore(), "hardware": Charger()}
    exec(RUNNING, names)
    said = capsys.readouterr().out
    assert "OpenLink" in said
    assert "slot=1" in said
    with pytest.raises(LocalProtocolError, match="those that can: 1, 2"):
        names["station"].connect(0.0, 3)


def test_what_the_host_knows_is_passed_on() -> None:
    names, seen = configured(), list[Any]()

    def refuse(*_: Any) -> Any:
        raise ConnectionRefusedError

    station = Station(names["config"], os.urandom, time.monotonic())
    with threads_station.connect_station(
        station, names["routes"], MemoryStore(), Charger(), observe=seen.append, dial=refuse
    ) as runner:
        exec(TOLD, {"runner": runner})
        back: dict[str, Any] = {}
        exec(BACK, back)
        back["cable_is_back"](runner)
        while [it.slot for it in seen if isinstance(it, OpenLink)][-1:] != [1]:
            time.sleep(0.005)
        assert station.state(runner.now())["connection"]["networks_gone"] == []


def test_new_credentials_come_first_and_old_ones_stay() -> None:
    names = configured()
    for slot, (new, old) in names["both"].items():
        assert new.config.credentials.password == b"a password that is new"
        assert old == names["routes"][slot]
        assert new.binding == old.binding


def numbers(row: str) -> list[float]:
    (line,) = re.findall(rf"^\| {row} \|(.*)\|$", TEXT, re.MULTILINE)
    return [float(cell.split()[0]) for cell in line.split("|")]


def test_the_waits_are_those_of_the_table() -> None:
    backoff, failures = Backoff(), [int(number) for number in numbers("failure in a row")]
    assert numbers("seconds, at least") == [backoff.wait(number, 0.0) for number in failures]
    assert numbers("seconds, less than") == [backoff.wait(number, 1.0) for number in failures]
    assert backoff.wait(failures[-1] + 1, 0.0) == backoff.wait(failures[-1], 0.0)


def test_defaults() -> None:
    attempts = StationConfig(StationInfo("Model", "Vendor")).network_attempts
    waits = [sum(Backoff().wait(number, part) for number in range(1, attempts + 2)) for part in (0.0, 1.0)]
    link = ClientConfig(url="ws://csms.example")
    assert f"after {waits[0]:g} to {waits[1]:g} s" in " ".join(TEXT.split())
    assert f"({link.ping_interval:g} + {link.pong_timeout:g} s)" in TEXT
    assert f"`handshake_timeout` ({link.handshake_timeout:g} s)" in TEXT
    assert f"`Route.attempt_delay` ({Route(config=link).attempt_delay:g} s)" in TEXT
    assert (ADDRESSES, "Sixteen addresses at most" in TEXT) == (16, True)


def in_the_table(words: str) -> bool:
    return any(re.match(re.escape(saying).replace("…", ".*"), words) for saying in SAYINGS)


@pytest.mark.parametrize(("number", "bound"), ERRORS, ids=str)
def test_every_error_is_in_the_table(number: int, bound: Binding) -> None:
    said = str(explain(OSError(number, os.strerror(number)), bound, "fe80::2"))
    assert in_the_table(said), said


def test_so_are_those_of_an_interface_that_is_down_a_name_and_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(binding, "_is_down", lambda interface: True)
    down = explain(OSError(errno.ENETUNREACH, ""), INTERFACE, "192.0.2.1")
    unknown = explain(socket.gaierror(socket.EAI_NONAME, "not known"), INTERFACE, "csms.example")
    proxy = Tunnel(Proxy("proxy.example", 3128), "csms.example", 443)
    with pytest.raises(OSError, match="proxy") as refused:
        proxy.receive_data(b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\n\r\n")

    def absent() -> Any:
        raise FileNotFoundError(2, "No such file or directory", "station.key")

    route = Route(config=ClientConfig(url="wss://csms.example"), ssl_context=absent)
    with pytest.raises(OSError, match="TLS") as unprepared:
        route.context()
    for error in (down, unknown, refused.value, unprepared.value):
        assert in_the_table(str(error)), error


OWNERS: dict[str, type] = {
    it.__name__: it
    for it in (Backoff, Binding, ClientConfig, Names, NetworkProfile, Route, StationConfig, StationTls)
}


def test_every_way_from_libocpp_leads_somewhere() -> None:
    text = (DOCS / "coming-from-libocpp.md").read_text(encoding="utf-8").split("## Connectivity")[1]
    named = re.findall(rf"`({'|'.join(OWNERS)})\.(\w+)", text)
    assert {owner for owner, _ in named} == set(OWNERS)
    for owner, name in named:
        known = getattr(OWNERS[owner], "__dataclass_fields__", {})
        assert name in known or hasattr(OWNERS[owner], name), (owner, name)
    assert (Backoff().minimum, Backoff().random_range, Backoff().repeats) == (5, 5, 5)
    link = ClientConfig(url="ws://csms.example")
    assert (link.ping_interval, link.pong_timeout, link.max_message_size) == (60, 20, 1 << 20)
    for option in (
        *("IFace", "UseTPM", "HostName", "AuthorizationKey", "WebSocketPingInterval", "WebsocketPingPayload"),
        *("WebsocketPongTimeout", "messageTimeout", "max_connection_attempts", "SupportedCiphers12"),
        *("UseSslDefaultVerifyPaths", "VerifyCsmsCommonName", "VerifyCsmsAllowWildcards", "TLSKeylogFile"),
        *("AdditionalRootCertificateCheck", "NetworkConnectionProfiles", "EnableExternalWebsocketControl"),
        *("on_network_disconnected", "configure_network_connection_profile_callback"),
    ):
        assert re.search(rf"^\|.*`{option}[`(].* \|", text, re.MULTILINE), option
