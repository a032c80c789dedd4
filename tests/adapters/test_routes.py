"""Which way a station takes to its CSMS, and which ways are refused from the start."""

import ssl
from dataclasses import replace

import pytest

from ocpp_adapters.routes import Route, Routes, RouteTable
from ocpp_core import ConfigurationError, OcppVersion
from ocpp_core.domain.status import StationInfo
from ocpp_core.station import NetworkProfile, OpenLink, SecurityProfile, StationConfig
from ocpp_core.wire import ClientConfig, Credentials

VERSIONS = (OcppVersion.V201,)


def to(host: str, *, secure: bool = False, password: bytes | None = None) -> Route:
    credentials = None if password is None else Credentials(b"CP1", password)
    url = f"{'wss' if secure else 'ws'}://{host}/CP1"
    return Route(config=ClientConfig(url=url, credentials=credentials))


def config(*profiles: NetworkProfile) -> StationConfig:
    return StationConfig(StationInfo("vendor", "model"), network_profiles=profiles or (NetworkProfile(),))


def host(table: RouteTable, slot: int, round_: int = 0) -> str:
    return table.choose(OpenLink(VERSIONS, slot, round_)).config.endpoint.host


def test_the_only_route_serves_every_profile() -> None:
    profiles = (NetworkProfile(3), NetworkProfile(1))
    for only in (to("a"), to("a").config):
        table = RouteTable(only, config(*profiles))
        assert [host(table, slot) for slot in (3, 1)] == ["a", "a"]


@pytest.mark.requirement("B10.FR.03")
def test_the_slot_chooses() -> None:
    table = RouteTable(
        {0: to("a"), 1: [to("b")], 7: to("spare")}, config(NetworkProfile(1), NetworkProfile(0))
    )
    assert [host(table, slot) for slot in (0, 1)] == ["a", "b"]
    assert table.choose(OpenLink(VERSIONS, 1)).config.subprotocols == VERSIONS


@pytest.mark.requirement("A02.FR.28", "A03.FR.24")
def test_old_and_new_take_turns() -> None:
    table = RouteTable({0: [to("new"), to("old")], 1: to("b")}, config(NetworkProfile(0), NetworkProfile(1)))
    assert [host(table, 0, round_) for round_ in range(4)] == ["new", "old", "new", "old"]
    assert {host(table, 1, round_) for round_ in range(4)} == {"b"}


def test_a_context_is_for_routes_that_have_none() -> None:
    own, common = (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2))
    routes: Routes = {0: to("a", secure=True), 1: replace(to("b", secure=True), ssl_context=own)}
    table = RouteTable(routes, config(NetworkProfile(0), NetworkProfile(1)), common)
    contexts = [table.choose(OpenLink(VERSIONS, slot)).context() for slot in (0, 1)]
    assert contexts == [common, own]


def test_a_maker_of_contexts_is_asked_each_time() -> None:
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        made.append(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return made[-1]

    route = replace(to("a", secure=True), ssl_context=make)
    assert [route.context(), route.context()] == made
    assert replace(to("a"), ssl_context=make).context() is None
    assert len(made) == 2


BASIC, TLS_BASIC, TLS_CERTIFICATE = (SecurityProfile(level) for level in (1, 2, 3))
UNFIT: dict[str, tuple[SecurityProfile, Routes, str]] = {
    "no route": (BASIC, {1: to("a")}, "no route for network profile 0; routes: 1$"),
    "no alternative": (BASIC, {0: []}, "no route for network profile 0"),
    "no password, 1": (BASIC, to("a"), "needs a password"),
    "no password, 2": (TLS_BASIC, to("a", secure=True), "needs a password"),
    "no TLS, 2": (TLS_BASIC, to("a", password=b"p" * 16), "wss://"),
    "no TLS, 3": (TLS_CERTIFICATE, to("a"), "wss://"),
    "an alternative without TLS": (TLS_CERTIFICATE, {0: [to("a", secure=True), to("a")]}, "wss://"),
}


@pytest.mark.parametrize(("level", "routes", "told"), UNFIT.values(), ids=UNFIT)
@pytest.mark.requirement("A00.FR.004", "1.6-A00.FR.004", "A00.FR.203", "A00.FR.302")
def test_what_does_not_fit_the_security_profile_is_refused(
    level: SecurityProfile, routes: Routes, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        RouteTable(routes, config(NetworkProfile(0, security_profile=level)))


@pytest.mark.parametrize("level", list(SecurityProfile))
def test_more_than_the_security_profile_wants_will_do(level: SecurityProfile) -> None:
    profile = NetworkProfile(0, security_profile=level)
    assert host(RouteTable(to("a", secure=True, password=b"p" * 16), config(profile)), 0) == "a"
