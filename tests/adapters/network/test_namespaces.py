"""Where a station's bytes go: by the interface, or from the address, that it is bound to; and what is said if
they cannot."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.adapters.network.namespaces import CSMS, CSMS_V6, ELSEWHERE, LINKS, Network, told
from tests.apps.line_process import LineProcess

LINK_LOCAL = "[fe80::2%25{}]"
CSMS_6 = f"[{CSMS_V6}]"
NETWORK_CAPABILITIES = 1 << 12 | 1 << 13 | 1 << 21
"""CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN."""

WAYS: list[tuple[str, dict[str, str], str]] = [
    (CSMS, {}, "cable"),
    *((CSMS, {"interface": link}, link) for link in LINKS),
    *((CSMS_6, {"interface": link}, link) for link in LINKS),
    (CSMS, {"source": "10.231.1.1"}, "cable"),
    (CSMS, {"source": "10.231.2.1"}, "modem"),
    (CSMS_6, {"source": "fd00:231:2::1"}, "modem"),
    (CSMS, {"interface": "modem", "source": "10.231.2.1"}, "modem"),
    *((LINK_LOCAL.format(link), {}, link) for link in LINKS),
    (LINK_LOCAL.format("modem"), {"source": "fe80::1%modem"}, "modem"),
]
"""Hosts, what the connection is bound to, and the link that carries it."""


def url(host: str, identity: str = "CP1", port: int = 9000) -> str:
    return f"ws://{host}:{port}/{identity}"


def visit(station: LineProcess, csms: LineProcess, **way: Any) -> float:
    """Boot, tell the status, leave; returns the seconds until the link was open."""
    since = len(station.seen)
    station.do("start", args=[way])
    began, opened = told(station, since, "started"), told(station, since, "link", up=True)
    csms.event("booted")
    csms.event("status")
    station.do("stop")
    csms.event("disconnected")
    return float(opened["at"] - began["at"])


@pytest.mark.parametrize(("host", "bound", "link"), WAYS, ids=str)
def test_every_byte_goes_by_the_link_that_is_chosen(
    net: Network, csms: LineProcess, station: LineProcess, host: str, bound: dict[str, str], link: str
) -> None:
    (other,) = set(LINKS) - {link}
    with net.metering() as moved:
        visit(station, csms, url=url(host), **bound)
    assert moved[link] > 1500, moved
    assert moved[other] == 0, moved


@pytest.fixture
def without_rules(net: Network) -> Iterator[None]:
    """Nothing but the routing table says what leaves by the modem."""
    rule = "from 10.231.2.1 lookup 102"
    net.station.ip(f"rule del {rule}")
    yield
    net.station.ip(f"rule add {rule}")


def test_without_a_rule_for_it_a_source_address_does_not_choose_the_link(
    net: Network, csms: LineProcess, stations: dict[str, LineProcess], without_rules: None
) -> None:
    with net.metering() as moved:
        visit(stations["poll"], csms, url=url(CSMS), source="10.231.2.1")
    assert moved["cable"] > 500, moved  # what is sent
    assert moved["modem"] > 500, moved  # what is answered


def test_without_a_rule_for_it_a_strict_reverse_path_filter_drops_the_answers(
    net: Network, csms: LineProcess, stations: dict[str, LineProcess], without_rules: None
) -> None:
    station, way = stations["poll"], {"url": url(CSMS), "interface": "modem"}
    since = len(station.seen)
    net.station.set({"ipv4/conf/modem/rp_filter": 1})
    try:
        station.do("start", args=[{**way, "link": {"handshake_timeout": 0.3}}])
        failed = told(station, since, "link")
        station.do("stop")
    finally:
        net.station.set({"ipv4/conf/modem/rp_filter": 2})
    assert failed["reason"].endswith("no answer within 0.3 s"), failed
    visit(station, csms, **way)


def test_it_takes_no_privilege(net: Network, stations: dict[str, LineProcess]) -> None:
    for adapter, station in stations.items():
        privileges = station.do("privileges")["value"]
        assert privileges["uid"] == 65534, adapter
        assert not privileges["capabilities"] & NETWORK_CAPABILITIES, adapter


def test_only_another_interface_takes_one(net: Network, stations: dict[str, LineProcess]) -> None:
    said = stations["threads"].do("bind_twice", args=["cable", "modem"])["value"]
    assert "no permission to bind to interface modem" in said
    assert "CAP_NET_RAW" in said
    with net.station.running("tests.adapters.network.station_child", "threads") as root:
        assert root.do("bind_twice", args=["cable", "modem"])["value"] == ""


@contextmanager
def switched_off(net: Network, link: str) -> Iterator[None]:
    net.down(link)
    try:
        yield
    finally:
        net.up(link)


REFUSALS: list[tuple[str, dict[str, str], str]] = [
    (url(CSMS), {"interface": "nope0"}, "there is no interface nope0; there are lo, cable, modem"),
    (url(CSMS), {"source": "10.231.7.7"}, "10.231.7.7 is not an address of this machine"),
    (url(CSMS_6), {"source": "10.231.1.1"}, "10.231.1.1"),
    (url(ELSEWHERE), {}, "no route there"),
    (url(ELSEWHERE), {"source": "10.231.1.1"}, "no route there: is the network up? (bound to source address"),
    (url(CSMS, port=9), {"interface": "modem"}, "refused: nobody listens on that port"),
    (url("nobody.example"), {"interface": "modem"}, "nobody.example cannot be looked up"),
    (url(LINK_LOCAL.format("nope0")), {}, "there is no interface nope0"),
    (
        url(LINK_LOCAL.format("modem")),
        {"interface": "cable"},
        "fe80::2%modem is reached by interface modem, but this is bound to interface cable",
    ),
    (
        url(LINK_LOCAL.format("modem")),
        {"source": "fe80::1%cable"},
        "fe80::2%modem is reached by interface modem, but this is bound to source address fe80::1%cable",
    ),
    (url("[fe80::2]"), {}, "a link-local address needs its interface"),
]


@pytest.mark.parametrize(("where", "bound", "words"), REFUSALS, ids=str)
def test_what_is_wrong_is_said_and_the_station_tries_again(
    net: Network, station: LineProcess, where: str, bound: dict[str, str], words: str
) -> None:
    since = len(station.seen)
    station.do("start", args=[{"url": where, **bound}])
    for _ in range(2):
        failed = told(station, since, "link")
        assert not failed["up"]
        assert words in failed["reason"], failed["reason"]
        since = station.seen.index(failed) + 1
    assert station.do("state")["value"]["connection"]["state"] in {"waiting", "dialing"}


def test_a_link_that_is_down_is_named_and_used_once_it_is_up(
    net: Network, csms: LineProcess, station: LineProcess
) -> None:
    since = len(station.seen)
    with switched_off(net, "modem"):
        station.do("start", args=[{"url": url(CSMS), "interface": "modem"}])
        failed = told(station, since, "link")
        assert "interface modem is down, or its cable is out" in failed["reason"], failed["reason"]
    told(station, since, "link", up=True)
    csms.event("booted")


@pytest.mark.parametrize("host", ["half-dead.example", "half-dead-6.example", "no-ipv6.example"])
def test_of_several_addresses_one_that_answers_is_soon_found(
    net: Network, csms: LineProcess, station: LineProcess, host: str
) -> None:
    first, second = station.do("resolve", args=[host])["value"]
    assert (first.endswith("7"), second.endswith("9")) == (True, True)
    took = visit(station, csms, url=url(host))
    assert 0.2 < took < 2.0, f"{took:.3f} s; the first address is dead, and the next comes after 0.25 s"


def test_the_race_is_run_by_the_link_that_is_chosen(
    net: Network, csms: LineProcess, station: LineProcess
) -> None:
    with net.metering() as moved:
        visit(station, csms, url=url("no-ipv6.example"), interface="modem")
    assert moved["modem"] > 1500, moved
    assert moved["cable"] == 0, moved
