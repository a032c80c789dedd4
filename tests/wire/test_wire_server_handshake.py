"""The server's opening handshake, request by request."""

import base64
from dataclasses import replace

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.errors import LocalProtocolError
from ocpp_core.wire import (
    Action,
    Closed,
    CloseTransport,
    Credentials,
    HandshakeReceived,
    LinkState,
    NoCommonSubprotocol,
    NoticeKind,
    Opened,
    ServerConfig,
    Text,
    WebSocketServer,
    WireNotice,
)
from tests.wire.wire_kit import ACCEPT, KEY, PLACES, cut, feed, frame, only, request, rest, sent

OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


def asked(data: bytes, config: ServerConfig | None = None) -> tuple[WebSocketServer, list[Action]]:
    machine = WebSocketServer(config or ServerConfig(), 0.0)
    machine.receive_data(data, 0.0)
    return machine, machine.actions()


def answer(actions: list[Action]) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of an HTTP answer, as h11 reads them on a client's side."""
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "x"), ("Upgrade", "websocket")]))
    http.send(h11.EndOfMessage())
    http.receive_data(sent(actions))
    head = http.next_event()
    assert isinstance(head, h11.Response | h11.InformationalResponse)
    body = b""
    if isinstance(head, h11.Response):
        while isinstance(event := http.next_event(), h11.Data):
            body += event.data
    headers: dict[str, str] = {}
    for name, value in ((name.decode(), value.decode()) for name, value in head.headers):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return head.status_code, headers, body.decode()


@pytest.mark.requirement("RFC6455-4.2.2", "1.6-J-3.1.3", "2.0.1-J-3.1.3", "2.1-J-3.1.3")
def test_a_proper_request_is_asked_about_and_then_answered_with_101() -> None:
    basic = base64.b64encode(b"CP001:secret").decode()
    machine, actions = asked(request("/ocpp/CP001?a=b", f"Authorization: Basic {basic}", "X-Site: 7"))
    (received,) = actions
    assert isinstance(received, HandshakeReceived)
    assert received.path == "/ocpp/CP001"
    assert received.query == "a=b"
    assert received.identity == "CP001"
    assert received.credentials == Credentials(b"CP001", b"secret")
    assert received.subprotocols == ("ocpp2.0.1", "ocpp1.6")
    assert received.subprotocol == "ocpp2.0.1"
    assert (b"x-site", b"7") in received.headers
    assert b"authorization" not in dict(received.headers)
    assert "secret" not in repr(received)
    assert machine.state is LinkState.ANSWERING

    machine.accept(0.0)
    actions = machine.actions()
    status, headers, _ = answer(actions)
    assert status == 101
    assert headers["sec-websocket-accept"] == ACCEPT.decode()
    assert headers["sec-websocket-protocol"] == "ocpp2.0.1"
    assert (headers["upgrade"], headers["connection"]) == ("websocket", "Upgrade")
    assert "sec-websocket-extensions" not in headers
    assert rest(actions) == [Opened("ocpp2.0.1")]


@pytest.mark.requirement(
    "RFC6455-4.2.1", "RFC6455-4.4", "RFC7231-6.5", "1.6-J-3.2", "2.0.1-J-3.2", "2.1-J-3.3"
)
@pytest.mark.parametrize(
    ("data", "status", "headers"),
    [
        (request(without=["Upgrade"]), 426, {"upgrade": "websocket", "sec-websocket-version": "13"}),
        (request(without=["Connection"]), 426, {"upgrade": "websocket"}),
        (request(without=["Upgrade"], protocol=None), 426, {}),
        (request("/ocpp/CP001", "Upgrade: h2c", without=["Upgrade"]), 426, {}),
        (request(without=["Sec-WebSocket-Version"]), 426, {"sec-websocket-version": "13"}),
        (request("/ocpp/CP001", "Sec-WebSocket-Version: 8", without=["Sec-WebSocket-Version"]), 426, {}),
        (request("/ocpp/CP001", "Sec-WebSocket-Version: 8"), 426, {}),
        (request(without=["Sec-WebSocket-Key"]), 400, {}),
        (request("/ocpp/CP001", f"Sec-WebSocket-Key: {KEY.decode()}"), 400, {}),
        (request("/ocpp/CP001", "Sec-WebSocket-Key: c2hvcnQ=", without=["Sec-WebSocket-Key"]), 400, {}),
        (request("/ocpp/CP001", "Sec-WebSocket-Key: !", without=["Sec-WebSocket-Key"]), 400, {}),
        (request("/ocpp/CP001", "Content-Length: 5"), 400, {}),
        (request("/ocpp/CP001", "Transfer-Encoding: chunked"), 400, {}),
        (request("/ocpp/CP001", "Transfer-Encoding: gzip"), 501, {}),
        (request("/ocpp/CP001", "Authorization: Basic QQ==", "Authorization: Basic QQ=="), 400, {}),
        (request(without=["Host"]), 400, {}),
        (request(version="HTTP/1.0"), 505, {}),
        (request(method="POST"), 405, {"allow": "GET"}),
        (request(method="HEAD"), 405, {"allow": "GET", "content-length": "0"}),
        (request(method="CONNECT"), 405, {}),
        (request("/ocpp/"), 404, {}),
        (request("/ocpp/.."), 404, {}),
        (request("*"), 404, {}),
        (request("/ocpp/a:b"), 404, {}),
        (request("/ocpp/" + "x" * 49), 404, {}),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400, {}),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400, {}),
        (b"\r\n\r\n", 400, {}),
        (frame(1, b"no handshake") + b"\r\n\r\n", 400, {}),
    ],
)
def test_what_is_no_proper_request_gets_its_status(data: bytes, status: int, headers: dict[str, str]) -> None:
    machine, actions = asked(data)
    got, got_headers, _ = answer(actions)
    assert got == status
    assert headers.items() <= got_headers.items()
    assert "close" in got_headers["connection"].lower()
    notice, transport, closed = rest(actions)
    assert isinstance(notice, WireNotice)
    assert notice.kind is NoticeKind.HANDSHAKE_REFUSED
    assert notice.detail.startswith(str(status))
    assert transport == CloseTransport(abort=False)
    assert isinstance(closed, Closed)
    assert (closed.code, closed.clean) == (1006, False)
    assert str(status) in closed.reason
    assert machine.state is LinkState.CLOSED


@pytest.mark.requirement("1.6-J-3.1.1", "2.0.1-J-3.1.1", "2.1-J-3.1.1")
def test_the_rules_of_2x_for_identities_bind_no_1_6_station() -> None:
    for identity in ("a:b", "x" * 49):
        machine, actions = asked(request(f"/ocpp/{identity}", protocol="ocpp1.6"))
        assert only(actions, HandshakeReceived).identity == identity
        machine.accept(0.0)
        machine, _ = asked(request(f"/ocpp/{identity}", protocol="ocpp1.6, ocpp2.1"))
        with pytest.raises(LocalProtocolError, match="identity"):
            machine.accept(0.0, "ocpp2.1")
        machine.accept(0.0, "ocpp1.6")


@pytest.mark.requirement("1.6-J-3.2", "2.0.1-J-3.2", "2.1-J-3.3", "A00.FR.204")
@pytest.mark.parametrize(
    ("status", "header"),
    [(401, "www-authenticate"), (404, None), (503, None), (426, "upgrade"), (405, "allow"), (499, None)],
)
def test_the_application_refuses(status: int, header: str | None) -> None:
    machine, _ = asked(request())
    machine.reject(status, 0.0, "because\ud800", [("Retry-After", "30")])
    actions = machine.actions()
    got, headers, body = answer(actions)
    assert got == status
    assert headers["retry-after"] == "30"
    assert header is None or header in headers
    assert ("www-authenticate" in headers) == (status == 401)
    assert body == ("" if status == 405 else "because?\n")
    assert isinstance(rest(actions)[-1], Closed)


@pytest.mark.requirement("RFC7617-2")
def test_the_realm_is_the_configured_one() -> None:
    machine, _ = asked(request(), ServerConfig(realm="Depot 7"))
    machine.reject(401, 0.0)
    assert answer(machine.actions())[1]["www-authenticate"] == 'Basic realm="Depot 7"'


@pytest.mark.parametrize(
    ("status", "headers"),
    [(399, []), (600, []), (101, []), (404, [("Upgrade", "x")]), (404, [("a b", "x")]), (404, [("a", " x")])],
)
def test_an_answer_that_http_does_not_know_is_the_callers_error(
    status: int, headers: list[tuple[str, str]]
) -> None:
    machine, _ = asked(request())
    with pytest.raises(LocalProtocolError):
        machine.reject(status, 0.0, "", headers)
    assert machine.actions() == []
    machine.accept(0.0)
    assert answer(machine.actions())[0] == 101


@pytest.mark.requirement("1.6-J-3.1.2", "2.0.1-J-3.1.2", "2.1-J-3.1.2")
@pytest.mark.parametrize(
    ("offered", "config", "chosen"),
    [
        ("ocpp1.6, ocpp2.1", ServerConfig(), "ocpp1.6"),
        ("ocpp1.6, ocpp2.1", ServerConfig(server_order=True), "ocpp2.1"),
        ("ocpp1.5, ocpp1.6", ServerConfig(), "ocpp1.6"),
        ("ocpp1.6,,  ocpp1.6 ,", ServerConfig(), "ocpp1.6"),
        ("ocpp2.1", ServerConfig(subprotocols=("ocpp1.6",)), None),
        ("OCPP1.6", ServerConfig(), None),
        ("oc pp, \xe9, ocpp1.6", ServerConfig(), "ocpp1.6"),
    ],
)
def test_the_subprotocol(offered: str, config: ServerConfig, chosen: str | None) -> None:
    _, actions = asked(request(protocol=offered), config)
    received = only(actions, HandshakeReceived)
    assert received.subprotocol == chosen
    assert all(name.isascii() and " " not in name for name in received.subprotocols)
    assert len(set(received.subprotocols)) == len(received.subprotocols)


@pytest.mark.requirement("1.6-J-3.1.2", "2.0.1-J-3.1.2", "2.1-J-3.1.2")
def test_offers_on_several_lines_are_one_list() -> None:
    _, actions = asked(request("/CP", "Sec-WebSocket-Protocol: ocpp1.6", protocol="ocpp2.1"))
    assert only(actions, HandshakeReceived).subprotocols == ("ocpp2.1", "ocpp1.6")


def test_the_application_may_choose_any_offered_subprotocol_but_no_other() -> None:
    machine, _ = asked(request())
    with pytest.raises(LocalProtocolError, match="offered"):
        machine.accept(0.0, "ocpp2.1")
    assert machine.actions() == []
    machine.accept(0.0, "ocpp1.6")
    assert only(machine.actions(), Opened) == Opened("ocpp1.6")


@pytest.mark.requirement("1.6-J-3.2", "2.0.1-J-3.2", "2.1-J-3.3")
@pytest.mark.parametrize("protocol", ["ocpp1.5", None])
def test_without_a_common_subprotocol_the_handshake_is_completed_and_then_closed(
    protocol: str | None,
) -> None:
    machine, _ = asked(request(protocol=protocol))
    machine.accept(0.0)
    actions = machine.actions()
    head, _, close = sent(actions).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"protocol" not in head.lower().replace(b"switching protocols", b"")
    assert close[0] == 0x88
    assert int.from_bytes(close[2:4], "big") == 1002
    reason = close[4:].decode()
    assert "ocpp2.1, ocpp2.0.1, ocpp1.6" in reason
    assert ("ocpp1.5" if protocol else "none") in reason
    (notice,) = rest(actions)
    assert isinstance(notice, WireNotice)
    assert notice.kind is NoticeKind.NO_COMMON_SUBPROTOCOL
    machine.receive_data(frame(8, close[2:]), 0.0)
    assert rest(machine.actions()) == [CloseTransport(abort=False), Closed(1002, reason, clean=True)]


@pytest.mark.requirement("1.6-J-3.2", "2.0.1-J-3.2", "2.1-J-3.3")
def test_the_application_may_refuse_all_subprotocols() -> None:
    machine, _ = asked(request())
    machine.accept(0.0, None)
    actions = machine.actions()
    assert sent(actions).startswith(b"HTTP/1.1 101 ")
    assert machine.state is LinkState.CLOSING


@pytest.mark.requirement("TC_B_58_CSMS")
def test_without_a_common_subprotocol_the_handshake_may_be_refused_instead() -> None:
    config = ServerConfig(no_common_subprotocol=NoCommonSubprotocol.REFUSE)
    machine, _ = asked(request(protocol="ocpp1.5"), config)
    machine.accept(0.0)
    actions = machine.actions()
    status, _, body = answer(actions)
    assert status == 400
    assert "ocpp1.5" in body
    assert [type(action) for action in rest(actions)] == [WireNotice, CloseTransport, Closed]


@pytest.mark.requirement("RFC6455-4.2.1")
@given(PLACES, st.booleans())
def test_a_request_may_come_in_any_pieces(places: list[int], early: bool) -> None:
    """With ``early`` the client does not wait for the answer: its first frames come with the request."""
    frames = frame(1, b"first") + frame(9, b"p")
    machine = WebSocketServer(ServerConfig(), 0.0)
    actions = feed(machine, cut(request() + (frames if early else b""), places))
    assert rest(actions) == [asked(request())[1][0]]
    machine.accept(1.0)
    actions = machine.actions()
    if not early:
        machine.receive_data(frames, 1.0)
        actions += machine.actions()
    assert rest(actions) == [Opened("ocpp2.0.1"), Text("first")]
    assert sent(actions).endswith(frame(10, b"p", masked=False))


@pytest.mark.requirement("RFC6455-4.2.1", "RFC6455-10.4")
@given(st.data(), PLACES)
def test_a_damaged_request_means_the_same_in_any_pieces(data: st.DataObject, places: list[int]) -> None:
    """Up to three bytes overwritten or an end torn off: a refusal, a question or a wait, never a surprise."""
    stream = bytearray(request("/ocpp/CP001", "Authorization: Basic Q1AwMDE6cHc=", OFFER))
    for _ in range(data.draw(st.integers(0, 3))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    del stream[data.draw(st.integers(len(stream) // 2, len(stream))) :]
    machine, whole = asked(bytes(stream))
    pieces = WebSocketServer(ServerConfig(), 0.0)
    assert feed(pieces, cut(bytes(stream), places)) == whole
    assert pieces.state is machine.state
    assert [type(action) for action in rest(whole)] in (
        [],
        [HandshakeReceived],
        [WireNotice, CloseTransport, Closed],
    )


@pytest.mark.requirement("RFC6455-10.4", "RFC6585-5")
@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
@pytest.mark.parametrize(
    "bomb",
    [
        request("/ocpp/CP001", *(f"X-{number}: {'x' * 40}" for number in range(50))),
        request("/ocpp/CP001", f"X: {'x' * 5000}"),
        request("/" + "x" * 5000),
        b"G" * 5000,
    ],
)
def test_a_header_bomb_is_answered_with_431(bomb: bytes, chunk: int) -> None:
    machine = WebSocketServer(ServerConfig(max_header_size=1000), 0.0)
    actions = feed(machine, [bomb[start : start + chunk] for start in range(0, len(bomb), chunk)])
    assert answer(actions)[0] == 431
    assert isinstance(actions[-1], Closed)


@pytest.mark.requirement("RFC6585-5")
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_a_request_at_the_limit_passes_whatever_the_chunks_and_what_follows(chunk: int) -> None:
    whole = request() + frame(1, b"x" * 50)
    for spare, passes in ((0, True), (-1, False)):
        config = ServerConfig(max_header_size=len(request()) + spare)
        machine = WebSocketServer(config, 0.0)
        actions = feed(machine, [whole[start : start + chunk] for start in range(0, len(whole), chunk)])
        assert isinstance(actions[0], HandshakeReceived) == passes
        if passes:
            machine.accept(1.0)
            assert rest(machine.actions()) == [Opened("ocpp2.0.1"), Text("x" * 50)]


@pytest.mark.requirement("RFC6455-10.4")
def test_what_is_kept_ahead_of_the_answer_is_bounded() -> None:
    config = ServerConfig(max_header_size=500)
    for size, kept in ((500, True), (501, False)):
        machine, _ = asked(request(), config)
        actions = feed(machine, [b"\x81"] * size)
        assert (actions == []) == kept
        assert kept or answer(actions)[0] == 400


@pytest.mark.requirement("RFC6455-10.4")
def test_a_slow_request_is_cut_off_in_time() -> None:
    machine = WebSocketServer(ServerConfig(handshake_timeout=5.0), 100.0)
    assert machine.next_timer() == 105.0
    for now in range(100, 105):
        machine.receive_data(b"GET"[:1] if now == 100 else b"x", now)
        machine.handle_timer(now)
    assert machine.actions() == []
    assert machine.next_timer() == 105.0
    machine.handle_timer(105.0)
    actions = machine.actions()
    assert answer(actions)[0] == 408
    assert isinstance(actions[-1], Closed)
    assert machine.next_timer() is None


def test_an_application_that_does_not_answer_is_answered_for() -> None:
    machine, _ = asked(request(), ServerConfig(handshake_timeout=5.0))
    machine.handle_timer(5.0)
    assert answer(machine.actions())[0] == 503
    with pytest.raises(LocalProtocolError, match="closed"):
        machine.accept(6.0)


def test_a_server_that_shuts_down_says_so() -> None:
    for data in (b"", b"GET /", request()):
        machine, _ = asked(data)
        machine.close(1001, "going away", 0.0)
        assert answer(machine.actions())[0] == 503


@pytest.mark.requirement("1.6-J-3.1.2", "2.0.1-J-3.1.2", "2.1-J-3.1.2")
@pytest.mark.parametrize("deflate", [True, False])
def test_the_answer_is_what_websockets_takes(deflate: bool) -> None:
    from websockets.client import ClientProtocol
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
    from websockets.frames import Frame
    from websockets.protocol import OPEN
    from websockets.typing import Subprotocol
    from websockets.uri import parse_uri

    peer = ClientProtocol(
        parse_uri("ws://csms.example/ocpp/CP001"),
        extensions=[ClientPerMessageDeflateFactory()] if deflate else None,
        subprotocols=[Subprotocol("ocpp2.1"), Subprotocol("ocpp1.6")],
    )
    peer.send_request(peer.connect())
    machine, _ = asked(b"".join(peer.data_to_send()))
    machine.accept(0.0)
    peer.receive_data(sent(machine.actions()))
    peer.events_received()
    assert peer.handshake_exc is None
    assert peer.state is OPEN
    assert peer.subprotocol == "ocpp2.1"
    peer.send_text("héllo".encode() * 50)
    machine.receive_data(b"".join(peer.data_to_send()), 0.0)
    assert machine.actions() == [Text("héllo" * 50)]
    machine.send_text("wörld" * 50, 0.0)
    peer.receive_data(sent(machine.actions()))
    (message,) = peer.events_received()
    assert isinstance(message, Frame)
    assert message.data == "wörld".encode() * 50


def test_a_config_is_shared_not_copied() -> None:
    config = ServerConfig()
    assert asked(b"", config)[0]._config is config
    assert replace(config, deflate=False) != config
