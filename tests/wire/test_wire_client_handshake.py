"""The client's opening handshake: what it says, and what it takes for an answer."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.entropy import SeededEntropy
from ocpp_core.errors import ConfigurationError
from ocpp_core.wire import (
    Action,
    ClientConfig,
    Closed,
    CloseTransport,
    Credentials,
    FailureReason,
    HandshakeFailed,
    HandshakeReceived,
    LinkState,
    NoCommonSubprotocol,
    NoticeKind,
    Opened,
    ServerConfig,
    Text,
    WebSocketClient,
    WebSocketServer,
    WireNotice,
)
from tests.wire.wire_kit import PLACES, URL, connecting, cut, feed, frame, only, rest, sent


def request_of(config: ClientConfig) -> tuple[str, dict[str, str]]:
    lines = sent(WebSocketClient(config, SeededEntropy(0), 0.0).actions()).decode().split("\r\n")
    assert lines[-2:] == ["", ""]
    return lines[0], dict(line.split(": ", 1) for line in lines[1:-2])


@pytest.mark.requirement("RFC6455-4.1", "1.6-J-3.1.3", "2.0.1-J-3.1.3", "2.1-J-3.1.3", "A00.FR.203")
def test_the_request() -> None:
    config = ClientConfig(
        url="wss://csms.example:8443/ocpp/RDAM%7C123?x=1",
        subprotocols=("ocpp2.1", "ocpp1.6"),
        credentials=Credentials(b"RDAM|123", b"\x00:\xff"),
        headers=(("User-Agent", "test/1"),),
    )
    line, headers = request_of(config)
    assert line == "GET /ocpp/RDAM%7C123?x=1 HTTP/1.1"
    assert len(base64.b64decode(headers.pop("Sec-WebSocket-Key"))) == 16
    assert headers == {
        "Host": "csms.example:8443",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "ocpp2.1, ocpp1.6",
        "Authorization": "Basic UkRBTXwxMjM6ADr/",
        "User-Agent": "test/1",
    }


@pytest.mark.requirement("RFC7692-7.1")
def test_compression_is_offered_only_where_it_is_asked_for() -> None:
    assert "Sec-WebSocket-Extensions" not in request_of(ClientConfig(url=URL))[1]
    offer = request_of(ClientConfig(url=URL, deflate=True))[1]["Sec-WebSocket-Extensions"]
    assert offer == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.requirement("RFC6455-4.1", "RFC6455-10.3")
@given(st.integers())
def test_the_nonce_is_drawn_from_the_entropy(seed: int) -> None:
    machine = WebSocketClient(ClientConfig(url=URL), SeededEntropy(seed), 0.0)
    assert base64.b64encode(SeededEntropy(seed)(16)) in sent(machine.actions())


@pytest.mark.requirement("RFC6455-4.1")
@given(PLACES, st.booleans())
def test_a_proper_answer_in_any_pieces_opens_the_link(places: list[int], informed: bool) -> None:
    machine, answer = connecting()
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" if informed else b""
    actions = feed(machine, cut(early + answer + frame(1, b"first", masked=False), places))
    assert actions == [Opened("ocpp1.6"), Text("first")]


def failed(actions: list[Action]) -> HandshakeFailed:
    """The failure at the end of ``actions``; before it the transport is closed."""
    assert isinstance(actions[-1], HandshakeFailed)
    assert actions[-2] == CloseTransport(abort=True)
    return actions[-1]


@pytest.mark.requirement("RFC6455-4.1", "1.6-J-3.2", "2.0.1-J-3.2", "2.1-J-3.3")
@pytest.mark.parametrize(
    ("head", "reason", "status"),
    [
        ("HTTP/1.1 401 Unauthorized", FailureReason.UNAUTHORIZED, 401),
        ("HTTP/1.1 403 Forbidden", FailureReason.UNAUTHORIZED, 403),
        ("HTTP/1.1 404 Not Found", FailureReason.NOT_FOUND, 404),
        ("HTTP/1.1 200 OK", FailureReason.HTTP_STATUS, 200),
        ("HTTP/1.1 302 Found", FailureReason.HTTP_STATUS, 302),
        ("HTTP/1.1 400 Bad Request", FailureReason.HTTP_STATUS, 400),
        ("HTTP/1.0 503 Busy", FailureReason.HTTP_STATUS, 503),
        ("HTTP/9 what", FailureReason.BAD_HANDSHAKE, None),
        ("SSH-2.0-OpenSSH", FailureReason.BAD_HANDSHAKE, None),
        ("HTTP/1.1 200 " + "x" * 20000, FailureReason.BAD_HANDSHAKE, None),
    ],
)
def test_what_is_no_101(head: str, reason: FailureReason, status: int | None) -> None:
    machine, _ = connecting()
    failure = failed(feed(machine, [f"{head}\r\nContent-Length: 3\r\n\r\nwhy".encode()]))
    assert (failure.reason, failure.status) == (reason, status)
    assert status is None or str(status) in failure.detail
    assert machine.state is LinkState.CLOSED
    assert machine.next_timer() is None


@pytest.mark.requirement("RFC6455-4.1", "RFC7692-7.1")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Upgrade: websocket\r\n", b""),
        (b"Upgrade: websocket", b"Upgrade: h2c"),
        (b"Connection: Upgrade\r\n", b""),
        (b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: x"),
        (b"Sec-WebSocket-Accept", b"X-Accept"),
        (b"Protocol: ocpp1.6", b"Protocol: ocpp1.5"),
        (b"Protocol: ocpp1.6", b"Protocol: ocpp1.6, ocpp2.1"),
        (b"Upgrade: websocket", b"Upgrade: websocket\r\nSec-WebSocket-Extensions: x-webkit"),
        (
            b"Upgrade: websocket",
            b"Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover",
        ),
    ],
)
def test_a_101_that_is_none(old: bytes, new: bytes) -> None:
    machine, answer = connecting()
    assert old in answer
    failure = failed(feed(machine, [answer.replace(old, new, 1)]))
    assert (failure.reason, failure.status) == (FailureReason.BAD_HANDSHAKE, 101)


@pytest.mark.requirement("RFC7692-7.1")
@pytest.mark.parametrize(
    ("extensions", "good"),
    [
        ("permessage-deflate; server_no_context_takeover", True),
        ("permessage-deflate; client_no_context_takeover; server_no_context_takeover", True),
        ("permessage-deflate; server_no_context_takeover; server_max_window_bits=10", True),
        ('permessage-deflate; server_no_context_takeover; server_max_window_bits="8"', True),
        ("permessage-deflate", False),
        ("permessage-deflate; client_no_context_takeover", False),
        ("permessage-deflate; server_no_context_takeover=1", False),
        ("permessage-deflate; server_no_context_takeover; server_max_window_bits", False),
        ("permessage-deflate; server_no_context_takeover; server_max_window_bits=7", False),
        ("permessage-deflate; server_no_context_takeover; client_max_window_bits=12", False),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", False),
        ("permessage-deflate; server_no_context_takeover; mystery", False),
        ("permessage-deflate; server_no_context_takeover, permessage-deflate", False),
        ("x-webkit-deflate-frame", False),
    ],
)
def test_the_answer_to_the_offer_of_compression(extensions: str, good: bool) -> None:
    config = ClientConfig(url=URL, deflate=True)
    machine, answer = connecting(config, f"Sec-WebSocket-Extensions: {extensions}")
    actions = feed(machine, [answer])
    assert (actions == [Opened("ocpp1.6")]) == good
    assert good or failed(actions).reason is FailureReason.BAD_HANDSHAKE


@pytest.mark.requirement("1.6-J-3.2", "2.0.1-J-3.2", "2.1-J-3.3")
@pytest.mark.parametrize(
    ("theirs", "detail"),
    [
        (frame(8, b"\x03\xeasupported ocpp1.5", masked=False), "supported ocpp1.5"),
        (frame(1, b"[2]", masked=False) + frame(8, masked=False), ""),
    ],
)
def test_a_101_without_subprotocol_is_a_refusal_told_in_the_servers_words(theirs: bytes, detail: str) -> None:
    machine, answer = connecting(protocol=None)
    actions = feed(machine, [answer + theirs])
    assert rest(actions) == []
    assert sent(actions)[0] == 0x88
    machine.receive_eof(2.0)
    assert machine.actions() == [
        CloseTransport(abort=False),
        HandshakeFailed(FailureReason.REFUSED_SUBPROTOCOL, 101, detail),
    ]


@pytest.mark.requirement("1.6-J-3.2", "2.0.1-J-3.2", "2.1-J-3.3")
def test_a_server_that_neither_agrees_nor_closes_is_left() -> None:
    machine, answer = connecting(ClientConfig(url=URL, close_timeout=3.0), protocol=None)
    feed(machine, [answer], now=1.0)
    assert machine.next_timer() == 4.0
    machine.handle_timer(4.0)
    actions = machine.actions()
    assert failed(actions).reason is FailureReason.REFUSED_SUBPROTOCOL


@pytest.mark.requirement("RFC6455-4.1")
def test_silence_ends_in_time() -> None:
    machine = WebSocketClient(ClientConfig(url=URL, handshake_timeout=7.0), SeededEntropy(0), 100.0)
    machine.actions()
    assert machine.next_timer() == 107.0
    machine.receive_data(b"HTTP/1.1 101", 106.0)
    machine.handle_timer(106.9)
    assert machine.actions() == []
    machine.handle_timer(107.0)
    actions = machine.actions()
    assert only(actions, WireNotice).kind is NoticeKind.TIMEOUT
    assert failed(actions).reason is FailureReason.TIMEOUT


def test_endless_informational_answers_are_bounded() -> None:
    machine, _ = connecting()
    for _ in range(1000):
        actions = feed(machine, [b"HTTP/1.1 102 Processing\r\n\r\n"])
        if actions:
            assert failed(actions).reason is FailureReason.BAD_HANDSHAKE
            return
    raise AssertionError("no bound")


def test_the_transport_ends_and_the_caller_gives_up() -> None:
    machine, _ = connecting()
    machine.receive_eof(1.0)
    assert failed(machine.actions()).reason is FailureReason.TRANSPORT
    machine, _ = connecting()
    machine.close(1000, "", 1.0)
    assert failed(machine.actions()).reason is FailureReason.TRANSPORT


@pytest.mark.requirement("RFC6455-4.1", "RFC6455-4.2.2")
@pytest.mark.parametrize("refuse", [True, False])
@pytest.mark.parametrize("deflate", [True, False])
@pytest.mark.parametrize("protocols", [("ocpp2.1", "ocpp1.6"), ("ocpp1.5",)])
def test_client_and_server_understand_each_other(
    refuse: bool, deflate: bool, protocols: tuple[str, ...]
) -> None:
    policy = NoCommonSubprotocol.REFUSE if refuse else NoCommonSubprotocol.COMPLETE_THEN_CLOSE
    csms = WebSocketServer(ServerConfig(no_common_subprotocol=policy), 0.0)
    config = ClientConfig(url=URL, subprotocols=protocols, deflate=deflate)
    station = WebSocketClient(config, SeededEntropy(3), 0.0)
    csms.receive_data(sent(station.actions()), 0.0)
    assert only(csms.actions(), HandshakeReceived).subprotocols == protocols
    csms.accept(0.0)
    station.receive_data(sent(csms.actions()), 0.0)
    told = station.actions()
    if protocols == ("ocpp2.1", "ocpp1.6"):
        assert told == [Opened("ocpp2.1")]
        text = "Zähler " * 40
        station.send_text(text, 0.0)
        data = sent(station.actions())
        assert (len(data) < len(text)) == deflate
        csms.receive_data(data, 0.0)
        assert csms.actions() == [Text(text)]
        csms.send_text(text, 0.0)
        station.receive_data(sent(csms.actions()), 0.0)
        assert station.actions() == [Text(text)]
        return
    csms.receive_data(sent(told), 0.0)
    assert only(csms.actions() if not refuse else [Closed(0, "", False)], Closed)
    station.receive_eof(0.0)
    failure = only(told + station.actions(), HandshakeFailed)
    assert failure.reason is (FailureReason.HTTP_STATUS if refuse else FailureReason.REFUSED_SUBPROTOCOL)
    assert refuse or "supported ocpp2.1, ocpp2.0.1, ocpp1.6; offered ocpp1.5" in failure.detail


@pytest.mark.requirement("RFC6455-4.2.2")
def test_the_request_is_what_websockets_takes() -> None:
    from websockets.frames import Frame
    from websockets.http11 import Request
    from websockets.protocol import OPEN
    from websockets.server import ServerProtocol
    from websockets.typing import Subprotocol

    peer = ServerProtocol(subprotocols=[Subprotocol("ocpp1.6")])
    machine = WebSocketClient(ClientConfig(url=URL), SeededEntropy(0), 0.0)
    peer.receive_data(sent(machine.actions()))
    (asked,) = peer.events_received()
    assert isinstance(asked, Request)
    peer.send_response(peer.accept(asked))
    assert peer.state is OPEN
    machine.receive_data(b"".join(peer.data_to_send()), 0.0)
    assert machine.actions() == [Opened("ocpp1.6")]
    machine.send_text("héllo", 0.0)
    peer.receive_data(sent(machine.actions()))
    (message,) = peer.events_received()
    assert isinstance(message, Frame)
    assert message.data == "héllo".encode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"subprotocols": ()},
        {"subprotocols": ("ocpp 1.6",)},
        {"subprotocols": ("ocpp1.6", "ocpp1.6")},
        {"max_message_size": 0},
        {"max_header_size": -1},
        {"handshake_timeout": 0.0},
        {"close_timeout": float("inf")},
        {"ping_interval": -1.0},
        {"pong_timeout": float("nan")},
        {"headers": (("Host", "x"),)},
        {"headers": (("sec-websocket-foo", "x"),)},
        {"headers": (("X", "a\r\nb"),)},
        {"headers": (("X Y", "a"),)},
        {"url": "http://csms/"},
    ],
)
def test_a_setting_that_makes_no_sense_is_named_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ClientConfig(**{"url": URL, **wrong})


@pytest.mark.parametrize("realm", ['a"b', "a\\b", "a\r\nb", "é"])
def test_a_realm_that_breaks_the_header_is_refused(realm: str) -> None:
    with pytest.raises(ConfigurationError, match="realm"):
        ServerConfig(realm=realm)


def test_what_the_adapter_has_to_dial() -> None:
    endpoint = ClientConfig(url=URL).endpoint
    assert (endpoint.host, endpoint.port, endpoint.secure) == ("csms.example", 80, False)
