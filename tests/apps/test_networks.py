"""Network profiles: what the file says, what the command line adds, and what comes of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocpp_adapters.binding import Binding
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.tls_policy import SecurityProfile
from ocpp_core import ConfigurationError, OcppVersion
from ocpp_core.domain.network import NetworkProfile
from ocpp_station.config import load_config
from ocpp_station.networks import Defaults, Network, plan
from ocpp_station.security import Security

URL = "ws://csms.example:9000/ocpp"
WORD = "0123456789abcdef"


def planned(
    folder: Path,
    *profiles: object,
    url: str | None = URL,
    security: Security | None = None,
    versions: tuple[OcppVersion, ...] | None = None,
) -> tuple[Network, ...]:
    """What comes of ``network_profiles``; without any, of a file that says nothing of them."""
    path = folder / "config.json"
    path.write_text(json.dumps({"network_profiles": profiles} if profiles else {}))
    config = load_config(path, versions)
    return plan(config.networks, config.link, Defaults("CP 1", url, security or Security()))


def equipped(folder: Path, having: str) -> Security:
    """Security settings with a password, a certificate, both or neither."""
    security = Security(password=WORD if "password" in having else None)
    if "certificate" not in having:
        return security
    (folder / "own.key").touch()
    return replace(security, chain=folder / "own.pem", key=folder / "own.key")


def test_without_profiles_there_is_the_one_of_the_command_line(tmp_path: Path) -> None:
    (network,) = planned(tmp_path)
    assert network.profile == NetworkProfile()
    (route,) = network.routes
    assert route.config.url == f"{URL}/CP%201"
    assert (route.config.credentials, route.ssl_context, route.proxy) == (None, None, None)
    assert (route.binding, route.config.ping_interval) == (Binding(), 60.0)


def test_a_profile_says_what_differs(tmp_path: Path) -> None:
    first, second = planned(
        tmp_path,
        {"slot": 2, "interface": "eth0", "message_timeout": 10},
        {
            "slot": 1,
            "url": "ws://192.0.2.1/x",
            "identity": "CP2",
            "csms": "ours",
            "versions": ["1.6", "2.1"],
            "interface": "wwan0",
            "source": "192.0.2.7",
            "proxy": "http://me:secret@proxy.example:3128",
            "security": {"password": WORD},
        },
    )
    assert first.profile == NetworkProfile(2, "csms.example:9000/ocpp", message_timeout=10)
    assert first.routes[0].binding == Binding(interface="eth0")
    assert second.profile == NetworkProfile(
        1, "ours", SecurityProfile.BASIC, (OcppVersion.V16, OcppVersion.V21)
    )
    (route,) = second.routes
    assert route.config.url == "ws://192.0.2.1/x/CP2"
    assert route.config.credentials is not None
    assert (route.config.credentials.username, route.config.credentials.password) == (b"CP2", WORD.encode())
    assert route.binding == Binding(interface="wwan0", source="192.0.2.7")
    assert route.proxy == Proxy("proxy.example", 3128, "me", "secret")


def test_an_interface_may_be_named_by_its_address(tmp_path: Path) -> None:
    (network,) = planned(tmp_path, {"slot": 1, "interface": "192.0.2.7"})
    assert network.routes[0].binding == Binding(source="192.0.2.7")


def test_versions_of_the_command_line_win(tmp_path: Path) -> None:
    (network,) = planned(tmp_path, {"slot": 1, "versions": ["1.6"]}, versions=(OcppVersion.V21,))
    assert network.profile.versions == ()


def test_a_station_with_one_profile_has_one_csms(tmp_path: Path) -> None:
    assert planned(tmp_path, {"slot": 5})[0].profile.csms == ""
    names = [it.profile.csms for it in planned(tmp_path, {"slot": 1}, {"slot": 2}, {"slot": 3, "csms": ""})]
    assert names == ["csms.example:9000/ocpp", "csms.example:9000/ocpp", ""]


@pytest.mark.parametrize(
    ("url", "having", "found"),
    [
        ("ws://c", "", 0),
        ("ws://c", "password", 1),
        ("wss://c", "", 0),
        ("wss://c", "password", 2),
        ("wss://c", "certificate", 3),
        ("wss://c", "password certificate", 3),
        ("ws://c", "certificate", 0),
    ],
)
def test_without_a_word_it_is_the_highest_profile_there_is_what_it_takes_for(
    tmp_path: Path, url: str, having: str, found: int
) -> None:
    (network,) = planned(tmp_path, url=url, security=equipped(tmp_path, having))
    (route,) = network.routes
    assert network.profile.security_profile == found
    assert (route.config.credentials is not None) is (found in (1, 2))
    assert (route.ssl_context is not None) is url.startswith("wss")


@pytest.mark.requirement("A00.FR.004")
@pytest.mark.parametrize(
    ("url", "having", "wanted", "lacks"),
    [
        ("ws://c", "", 1, "a password or an authorization_key"),
        ("wss://c", "password", 1, "a URL that begins with ws://"),
        ("ws://c", "", 2, "a URL that begins with wss://, and a password or an authorization_key"),
        ("wss://c", "certificate", 2, "a password or an authorization_key"),
        ("wss://c", "password", 3, "chain and key, or a directory"),
        ("ws://c", "certificate", 3, "a URL that begins with wss://"),
    ],
)
def test_a_profile_that_is_wanted_needs_what_it_takes(
    tmp_path: Path, url: str, having: str, wanted: int, lacks: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        planned(
            tmp_path,
            {"slot": 7, "security_profile": wanted},
            {"slot": 8},
            url=url,
            security=equipped(tmp_path, having),
        )
    assert str(caught.value) == f"network profile 7: security_profile {wanted} needs {lacks}"


def test_a_profile_that_is_wanted_leaves_out_what_it_does_not_take(tmp_path: Path) -> None:
    everything = equipped(tmp_path, "password certificate")
    wss = "wss://csms.example"
    plain, basic, tls, certified = planned(
        tmp_path,
        {"slot": 0, "security_profile": 0},
        {"slot": 1, "security_profile": 1},
        {"slot": 2, "url": wss, "security_profile": 2},
        {"slot": 3, "url": wss},
        security=everything,
    )
    levels = [it.profile.security_profile for it in (plain, basic, tls, certified)]
    assert levels == [0, 1, 2, 3]
    having = [it.routes[0].config.credentials is not None for it in (plain, basic, tls, certified)]
    assert having == [False, True, True, False]


def test_the_settings_name_the_profile_unless_the_network_does(tmp_path: Path) -> None:
    security = replace(equipped(tmp_path, "password"), security_profile=SecurityProfile.NONE)
    first, second = planned(tmp_path, {"slot": 1}, {"slot": 2, "security_profile": 1}, security=security)
    assert [it.profile.security_profile for it in (first, second)] == [0, 1]


def test_two_certificates_of_a_directory_take_turns(tmp_path: Path) -> None:
    (network,) = planned(
        tmp_path, {"slot": 1, "url": "wss://c", "security": {"security_profile": 3, "directory": "."}}
    )
    assert len(network.routes) == 2


BAD: dict[str, tuple[list[Any], str]] = {
    "no list": ([], "network_profiles: a list with at least one is expected"),
    "no object": (["eth0"], "network_profiles.0: an object is expected"),
    "unknown member": (
        [{"slot": 1}, {"iface": "eth0"}],
        "network_profiles.1.iface is no setting; allowed: slot",
    ),
    "no slot": ([{}], "network_profiles.0.slot: Field required"),
    "slot as text": ([{"slot": "1"}], "network_profiles.0.slot: Input should be a valid integer"),
    "slot below 0": ([{"slot": -1}], "slot: 0 or more"),
    "versions": (
        [{"slot": 1, "versions": ["1.5"]}],
        "network_profiles.0.versions must be of 1.6, 2.0.1, 2.1",
    ),
    "profile": (
        [{"slot": 1, "security_profile": 5}],
        "network_profiles.0.security_profile: Input",
    ),
    "time-out": ([{"slot": 1, "message_timeout": 0}], "message_timeout: more than 0 seconds"),
    "URL": ([{"slot": 1, "url": "http://x"}], "not a ws:// or wss:// URL with a host: 'http://x'"),
    "identity": ([{"slot": 1, "identity": "a\nb"}], "not an identity: "),
    "proxy": ([{"slot": 1, "proxy": "https://x"}], "a proxy is talked to by http://"),
    "interface": ([{"slot": 1, "interface": "e/0"}], "not the name of a network interface: 'e/0'"),
    "source": ([{"slot": 1, "source": "eth0"}], "not an address: 'eth0'"),
    "security": (
        [{"slot": 1, "security": {"colour": 1}}],
        "network_profiles.0.security.colour is no setting; allowed: security_profile,",
    ),
    "security file": (
        [{"slot": 1, "security": {"trust": ["gone"]}}],
        "network_profiles.0.security.trust: there is no ",
    ),
    "security password": (
        [{"slot": 1, "security": {"password": "short"}}],
        "network_profiles.0.security.password: BasicAuthPassword: 16 to 64 characters",
    ),
}


def planned_of(path: Path) -> tuple[Network, ...]:
    config = load_config(path, None)
    return plan(config.networks, config.link, Defaults("CP1", URL))


@pytest.mark.parametrize(("profiles", "said"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_named(tmp_path: Path, profiles: list[Any], said: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"network_profiles": profiles}))
    with pytest.raises(ConfigurationError) as caught:
        planned_of(path)
    assert said in str(caught.value)


def test_a_url_is_needed_by_every_profile(tmp_path: Path) -> None:
    planned(tmp_path, {"slot": 1, "url": URL}, {"slot": 2, "url": URL}, url=None)
    for profiles in ([{"slot": 1, "url": URL}, {"slot": 2}], []):
        with pytest.raises(ConfigurationError, match="there is no URL: give --url"):
            planned(tmp_path, *profiles, url=None)


@pytest.mark.parametrize(("name", "value"), [("network_attempts", 0), ("network_profiles", {})])
def test_what_the_station_itself_is_told_is_checked_too(tmp_path: Path, name: str, value: object) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({name: value}))
    with pytest.raises(ConfigurationError, match=name):
        load_config(path, None)
