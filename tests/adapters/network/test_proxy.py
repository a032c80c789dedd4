"""What a proxy is asked and what its answers mean, in whatever pieces they come; how one is configured."""

import errno
from base64 import b64decode
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_adapters.binding import DialError
from ocpp_adapters.proxy import Proxy, Tunnel
from ocpp_core import ConfigurationError

PLAIN = Proxy("proxy.example", 3128)
JO = Proxy("proxy.example", 3128, "jo", "öpen:sesame")
WHO = "proxy proxy.example:3128 "
TARGET = "csms.example:443"


def answered(answer: bytes, cuts: list[int], proxy: Proxy = PLAIN) -> str:
    """What becomes of an answer that comes in pieces: ``open``, the error's text, or nothing yet."""
    tunnel = Tunnel(proxy, "csms.example", 443)
    places = sorted({cut % (len(answer) + 1) for cut in cuts} | {0, len(answer)})
    pieces = [answer[start:end] for start, end in pairwise(places)]
    try:
        for number, piece in enumerate(pieces, 1):
            if tunnel.receive_data(piece):
                assert number == len(pieces), "not before the end of the answer"
                return "open"
    except DialError as error:
        return str(error)
    return "nothing"


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (b"HTTP/1.1 200 Connection established\r\n\r\n", "open"),
        (b"HTTP/1.0 200 OK\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n", "open"),
        (b"HTTP/1.1 204 No Content\r\nVia: 1.1 p\r\n\r\n", "open"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n",
            "open",
        ),  # ignored: §9.3.6
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "open"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not understand CONNECT (HTTP 400)"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\nno", f"does not allow connections to {TARGET} (HTTP 403)"),
        (
            b"HTTP/1.1 405 Method Not Allowed\r\n\r\n",
            "does not allow CONNECT: is it a web server? (HTTP 405)",
        ),
        (b"HTTP/1.1 407 \r\n\r\n", "wants a user name and a password"),
        (b'HTTP/1.1 407 \r\nProxy-Authenticate: Basic realm="x"\r\n\r\n', "wants a user name and a password"),
        (
            b"HTTP/1.1 407 \r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n",
            "wants Negotiate, NTLM authentication; what we have is Basic",
        ),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", f"cannot connect to {TARGET} (HTTP 502)"),
        (b"HTTP/1.1 504 Gateway Time-out\r\n\r\n", f"cannot connect to {TARGET} in time (HTTP 504)"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://login\r\n\r\n", f"does not connect to {TARGET} (HTTP 302)"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "does not answer as an HTTP proxy does"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nServer:", "nothing"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n", "does not answer as an HTTP proxy does"),
        (b"\x15\x03\x01\x00\x02\x02\x50\r\n\r\n", "does not answer as an HTTP proxy does"),
        (b"HTTP/1.1 20\r\n\r\n", "does not answer as an HTTP proxy does"),
    ],
)
@given(cuts=st.lists(st.integers(0, 200), max_size=6))
def test_what_an_answer_means_in_whatever_pieces_it_comes(
    answer: bytes, meaning: str, cuts: list[int]
) -> None:
    expected = meaning if meaning in {"open", "nothing"} else WHO + meaning
    assert answered(answer, cuts) == expected


def test_credentials_that_the_proxy_refuses() -> None:
    answer = b'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n'
    assert answered(answer, [], JO) == WHO + "refuses our user name or password"
    answer = b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: BASIC realm="x"\r\n\r\n'
    assert answered(answer, [], JO) == WHO + "refuses our user name or password"
    assert answered(b"HTTP/1.1 407 \r\nProxy-Authenticate: Digest\r\n\r\n", [], JO).startswith(
        WHO + "wants Digest"
    )


def test_a_proxy_puts_no_control_characters_into_our_log() -> None:
    answer = b"HTTP/1.1 407 \r\nProxy-Authenticate: \x1b[2J\r\nProxy-Authenticate: NTLM\r\n\r\n"
    assert answered(answer, []) == WHO + "wants NTLM authentication; what we have is Basic"


def test_bytes_behind_the_answer_are_no_tunnel() -> None:
    tunnel = Tunnel(PLAIN, "csms.example", 443)
    with pytest.raises(DialError, match="sent something after its answer") as error:
        tunnel.receive_data(b"HTTP/1.1 200 OK\r\n\r\nhello")
    assert error.value.errno == errno.EPROTO


@pytest.mark.parametrize("endless", [b"x" * 512, b"HTTP/1.1 103 \r\n\r\n", b"X: y\r\n" * 100])
@pytest.mark.parametrize("begin", [[], [b"HTTP/1.1 200 OK\r\n"]])
def test_an_answer_without_end_is_cut_off(endless: bytes, begin: list[bytes]) -> None:
    tunnel = Tunnel(PLAIN, "csms.example", 443)
    pieces = [*begin, *([endless] * ((64 << 10) // len(endless)))]
    sizes = list(accumulate(map(len, pieces)))
    with pytest.raises(DialError):
        list(map(tunnel.receive_data, pieces))
    assert tunnel._read <= next(size for size in sizes if size > 16 << 10)


def test_a_proxy_that_closes() -> None:
    error = Tunnel(PLAIN, "csms.example", 443).receive_eof()
    assert str(error) == WHO + "closed the connection without an answer"
    assert error.errno == errno.ECONNRESET


@pytest.mark.requirement("RFC9110-9.3.6")
def test_what_a_proxy_is_asked() -> None:
    request = Tunnel(PLAIN, "csms.example", 443).request
    assert request == b"CONNECT csms.example:443 HTTP/1.1\r\nHost: csms.example:443\r\n\r\n"
    assert Tunnel(PLAIN, "2001:db8::1", 80).request.startswith(b"CONNECT [2001:db8::1]:80 HTTP/1.1\r\n")


@pytest.mark.requirement("RFC7617-2")
def test_how_a_proxy_is_told_who_asks() -> None:
    request = Tunnel(JO, "csms.example", 443).request
    _, _, value = request.partition(b"Proxy-Authorization: Basic ")
    assert b64decode(value).decode() == "jo:öpen:sesame"
    _, _, value = Tunnel(Proxy("p", 1, "jo"), "csms.example", 443).request.partition(b"Authorization: Basic ")
    assert b64decode(value) == b"jo:"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.example:3128", Proxy("proxy.example", 3128)),
        ("http://proxy.example:3128/", Proxy("proxy.example", 3128)),
        ("http://proxy.example", Proxy("proxy.example", 80)),
        ("proxy.example:3128", Proxy("proxy.example", 3128)),
        ("HTTP://jo@proxy.example:1", Proxy("proxy.example", 1, "jo")),
        ("http://jo:p%40ss%3a%2f%C3%B6@[2001:db8::1]:3128", Proxy("2001:db8::1", 3128, "jo", "p@ss:/ö")),
        ("http://jo:@proxy.example:1", Proxy("proxy.example", 1, "jo", "")),
        ("http://@proxy.example:1", Proxy("proxy.example", 1)),
    ],
)
def test_a_url_of_a_proxy(url: str, expected: Proxy) -> None:
    assert Proxy.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "https://jo:opensesame@proxy.example",
        "socks5://jo:opensesame@proxy.example:1080",
        "http://jo:opensesame@",
        "http://jo:opensesame@proxy.example:0",
        "http://jo:opensesame@proxy.example:65536",
        "http://jo:opensesame@proxy.example:3128/path",
        "http://jo:opensesame@proxy.example:3128?query",
        "http://jo:open/sesame@proxy.example:3128",
        "http://jo:open#opensesame@proxy.example:3128",
        "http://jo:opensesame@[::1:3128",
        "http://j%3ao:opensesame@proxy.example:3128",
        "http://jo:opensesame\udcff@proxy.example:3128",
    ],
)
def test_no_url_of_a_proxy_and_the_password_is_not_told(url: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Proxy.parse(url)
    assert "sesame" not in f"{error.value!r} {error.value.__cause__!r}"


def test_an_https_proxy_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"not by https://"):
        Proxy.parse("https://proxy.example")


def test_a_password_needs_a_user() -> None:
    with pytest.raises(ConfigurationError, match="user"):
        Proxy("proxy.example", 3128, None, "opensesame")


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({}, "wss://csms.example/CP1", None),
        ({"https_proxy": "http://p:1"}, "wss://csms.example/CP1", Proxy("p", 1)),
        ({"HTTPS_PROXY": "http://p:1"}, "wss://csms.example/CP1", Proxy("p", 1)),
        ({"http_proxy": "http://p:1"}, "wss://csms.example/CP1", None),
        ({"http_proxy": "http://p:1"}, "ws://csms.example/CP1", Proxy("p", 1)),
        ({"all_proxy": "http://p:1"}, "ws://csms.example/CP1", Proxy("p", 1)),
        ({"https_proxy": "http://p:1", "no_proxy": "example"}, "wss://csms.example/CP1", None),
        ({"https_proxy": "http://p:1", "no_proxy": "csms.example:9000"}, "wss://csms.example:9000/x", None),
        ({"https_proxy": "http://p:1", "no_proxy": "other.example"}, "wss://csms.example/x", Proxy("p", 1)),
        ({"https_proxy": "http://p:1", "no_proxy": "*"}, "wss://csms.example/x", None),
    ],
)
def test_the_environment_when_it_is_asked(
    environment: dict[str, str], url: str, expected: Proxy | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Proxy.from_environment(url) == expected
