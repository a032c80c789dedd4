"""Identities, connection URLs, negotiation and passwords."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.errors import ConfigurationError
from ocpp_core.wire import (
    ClientConfig,
    Credentials,
    connection_url,
    identity_allowed,
    negotiate,
    parse_basic,
    parse_identity,
    parse_url,
    password_matches,
)


@pytest.mark.requirement("1.6-J-3.1.1", "2.0.1-J-3.1.1", "2.1-J-3.1.1")
@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("/ocpp/CP001", "CP001"),
        ("/CP001", "CP001"),
        ("/ocppj/RDAM%20123", "RDAM 123"),
        ("/ocppj/RDAM%7C123", "RDAM|123"),
        ("/ocpp//CP001", "CP001"),
        ("/a/b/c%2Fd", "c/d"),
        ("/ocpp/caf%C3%A9", "café"),
        ("/ocpp/a..b", "a..b"),
        ("/" + "x" * 255, "x" * 255),
        ("/" + "x" * 256, None),
        ("/ocpp/", None),
        ("/", None),
        ("", None),
        ("CP001", None),
        ("http://csms/CP001", None),
        ("/ocpp/.", None),
        ("/ocpp/..", None),
        ("/ocpp/%2e%2E", None),
        ("/ocpp/..%2fetc", None),
        ("/ocpp/a%5C..%5Cb", None),
        ("/ocpp/../CP001", None),
        ("/ocpp/%2e./CP001", None),
        ("/ocpp/CP%00", None),
        ("/ocpp/CP%0d%0a", None),
        ("/ocpp/CP%7f", None),
        ("/ocpp/CP%C2%85", None),
        ("/ocpp/CP%", None),
        ("/ocpp/CP%4", None),
        ("/ocpp/CP%zz", None),
        ("/oc%pp/CP", None),
        ("/ocpp/%ff", None),
        ("/%ff/CP001", None),
    ],
)
def test_identity_is_split_off_before_it_is_decoded(path: str, identity: str | None) -> None:
    assert parse_identity(path) == identity


@pytest.mark.requirement("1.6-J-3.1.1", "2.0.1-J-3.1.1", "2.1-J-3.1.1")
@pytest.mark.parametrize(
    ("identity", "subprotocol", "allowed"),
    [
        ("x" * 48, "ocpp2.0.1", True),
        ("x" * 49, "ocpp2.0.1", False),
        ("x" * 49, "ocpp2.1", False),
        ("x" * 49, "ocpp1.6", True),
        ("a:b", "ocpp2.1", False),
        ("a:b", "ocpp1.6", True),
        ("a:b", None, True),
    ],
)
def test_what_a_version_allows_as_an_identity(identity: str, subprotocol: str | None, allowed: bool) -> None:
    assert identity_allowed(identity, subprotocol) is allowed


@pytest.mark.requirement("1.6-J-3.1.1", "2.0.1-J-3.1.1", "2.1-J-3.1.1")
@given(st.text(max_size=60), st.sampled_from(["ws://csms/ocpp", "wss://csms:8443/ocpp/", "ws://csms"]))
def test_a_connection_url_leads_back_to_its_identity_or_is_refused(identity: str, endpoint: str) -> None:
    try:
        url = connection_url(endpoint, identity)
    except ConfigurationError:
        return
    assert parse_identity(parse_url(url).target) == identity
    assert ClientConfig(url=url).identity == ClientConfig(url=f"{url}?a=b/c").identity == identity


def test_a_url_without_an_identity_has_none() -> None:
    assert ClientConfig(url="ws://csms/").identity == ""


@pytest.mark.requirement("1.6-J-3.1.1", "2.0.1-J-3.1.1", "2.1-J-3.1.1")
@pytest.mark.parametrize("identity", ["", ".", "..", "a/../b", "a\x00", "x" * 256, "\ud800"])
def test_a_station_hears_at_once_of_an_identity_no_server_takes(identity: str) -> None:
    with pytest.raises(ConfigurationError, match="identity"):
        connection_url("ws://csms/ocpp", identity)


@pytest.mark.requirement("RFC6455-3")
@pytest.mark.parametrize(
    ("url", "secure", "host", "port", "target", "authority"),
    [
        ("ws://csms", False, "csms", 80, "/", "csms"),
        ("ws://csms:80/a", False, "csms", 80, "/a", "csms"),
        ("ws://csms:8080/a?b=c", False, "csms", 8080, "/a?b=c", "csms:8080"),
        ("wss://csms/a%20b", True, "csms", 443, "/a%20b", "csms"),
        ("wss://csms:80/", True, "csms", 80, "/", "csms:80"),
        ("ws://[::1]:9000/x", False, "::1", 9000, "/x", "[::1]:9000"),
        ("ws://[fe80::1%25eth0]:9000/x", False, "fe80::1%eth0", 9000, "/x", "[fe80::1]:9000"),
        ("wss://[FE80::1%eth0]/x", True, "fe80::1%eth0", 443, "/x", "[fe80::1]"),
    ],
)
def test_a_url_taken_apart(url: str, secure: bool, host: str, port: int, target: str, authority: str) -> None:
    endpoint = parse_url(url)
    assert (endpoint.secure, endpoint.host, endpoint.port, endpoint.target) == (secure, host, port, target)
    assert endpoint.authority == authority
    assert endpoint.server_name == host.partition("%")[0]


@pytest.mark.requirement("RFC6455-3")
@pytest.mark.parametrize(
    "url",
    [
        "",
        "csms/ocpp",
        "http://csms/",
        "ws:///x",
        "ws://csms:port/",
        "ws://csms:99999/",
        "ws://[::1/",
        "ws://user@csms/",
        "ws://:pw@csms/",
        "ws://csms/#x",
        "ws://csms/a b",
        "ws://csms/\n",
        "ws://csms/é",
    ],
)
def test_what_is_no_connection_url(url: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_url(url)


NAMES = st.lists(st.sampled_from(["ocpp1.5", "ocpp1.6", "ocpp2.0.1", "ocpp2.1"]), unique=True)


@pytest.mark.requirement(
    "1.6-J-3.1.2", "2.0.1-J-3.1.2", "2.1-J-3.1.2", "1.6-J-3.2", "2.0.1-J-3.2", "2.1-J-3.3"
)
@given(NAMES, NAMES, st.booleans())
def test_negotiation_takes_the_first_in_common(offered: list[str], supported: list[str], own: bool) -> None:
    chosen = negotiate(offered, supported, server_order=own)
    common = set(offered) & set(supported)
    assert (chosen is None) == (not common)
    if chosen is not None:
        order = supported if own else offered
        assert chosen in common
        assert not common & set(order[: order.index(chosen)])


IDENTITIES = st.text(min_size=1, max_size=30)


@pytest.mark.requirement("A00.FR.203", "A00.FR.204")
@given(IDENTITIES, st.binary(max_size=40))
def test_any_identity_and_any_password_survive_basic_authentication(identity: str, password: bytes) -> None:
    try:
        credentials = Credentials(identity.encode(), password)
    except UnicodeEncodeError:
        return
    read = parse_basic(credentials.header(), identity)
    assert read == credentials
    assert read is not None
    assert read.matches(identity, password)
    assert not read.matches(identity, password + b"x")
    assert not read.matches(identity + "x", password)


@pytest.mark.requirement("A00.FR.204")
def test_another_name_is_cut_at_the_first_colon_and_never_matches() -> None:
    read = parse_basic(Credentials(b"OTHER", b"a:b").header(), "CP001")
    assert read == Credentials(b"OTHER", b"a:b")
    assert read is not None
    assert not read.matches("CP001", b"a:b")


@pytest.mark.requirement("RFC7617-2")
@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"Basic Q1A6cHc=", True),
        (b"basic   Q1A6cHc= ", True),
        (b"BASIC Q1A6cHc=", True),
        (b"Basic Q1A6cHc", False),
        (b"Basic Q1A6cHc=!", False),
        (b"Basic Q1Bwdw==", False),
        (b"Basic", False),
        (b"Bearer Q1A6cHc=", False),
        (b"", False),
        (b"Basic \xff\xfe", False),
    ],
)
def test_what_is_a_basic_header(header: bytes, found: bool) -> None:
    assert (parse_basic(header, "CP") == Credentials(b"CP", b"pw")) is found


@pytest.mark.requirement("A01.FR.09")
def test_a_password_never_shows() -> None:
    assert "secret" not in repr(Credentials(b"CP", b"secret"))


@pytest.mark.parametrize("given", [("CP", b"secret"), (b"CP", "secret")])
def test_credentials_are_octets(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="are bytes") as refused:
        Credentials(*given)
    assert "secret" not in str(refused.value)


@pytest.mark.requirement("1.6-J-6.2.2")
@given(st.binary(min_size=1, max_size=20), st.binary(max_size=40))
def test_hexadecimal_text_counts_only_where_it_is_allowed(expected: bytes, other: bytes) -> None:
    text = expected.hex()
    assert password_matches(expected, expected)
    assert password_matches(expected, expected, hex_text=True)
    assert password_matches(text.encode(), expected, hex_text=True)
    assert password_matches(text.upper().encode(), expected, hex_text=True)
    assert not password_matches(text.encode(), expected)
    assert password_matches(other, expected) == (other == expected)
    assert password_matches(other, expected, hex_text=True) == (
        other == expected or other.lower() == text.encode()
    )


@pytest.mark.parametrize(
    "url",
    [
        "wss://CP1:secret@csms.example/CP1",
        "wss://CP1:secret@csms.example:port/CP1",
        "wss://CP1:sec/secret@csms.example/CP1",
        "https://CP1:secret@csms.example/CP1",
        "wss://CP1:secret\u00e4@csms.example/CP1",
        "wss://CP1:secret@[csms.example/CP1",
    ],
)
def test_no_error_of_a_url_tells_a_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_url(url)
    assert "secret" not in str(raised.value)
