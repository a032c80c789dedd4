"""Fuzz the opening handshake, both ways: ``python fuzz/fuzz_http_upgrade.py fuzz/corpus/http_upgrade``.

The first byte chooses the role, the server's answer and the settings, the second how the rest is cut.
"""

import unicodedata

import atheris

with atheris.instrument_imports(include=["ocpp_core", "h11", "wsproto"]):
    from ocpp_core.entropy import SeededEntropy
    from ocpp_core.wire import (
        Action,
        ClientConfig,
        Closed,
        CloseTransport,
        HandshakeFailed,
        HandshakeReceived,
        Link,
        LinkState,
        NoCommonSubprotocol,
        Opened,
        SendBytes,
        ServerConfig,
        Text,
        WebSocketClient,
        WebSocketServer,
        identity_allowed,
    )

from _harness import chunks, run

LIMIT = 2048
ENDS = (Closed, HandshakeFailed)


def server(flags: int) -> WebSocketServer:
    policy = NoCommonSubprotocol.REFUSE if flags & 2 else NoCommonSubprotocol.COMPLETE_THEN_CLOSE
    config = ServerConfig(
        max_header_size=LIMIT,
        max_message_size=LIMIT,
        no_common_subprotocol=policy,
        server_order=bool(flags & 4),
        deflate=bool(flags & 8),
    )
    return WebSocketServer(config, 0.0)


def client(flags: int) -> WebSocketClient:
    config = ClientConfig(
        url="ws://csms/ocpp/CP", max_header_size=LIMIT, max_message_size=LIMIT, deflate=bool(flags & 8)
    )
    machine = WebSocketClient(config, SeededEntropy(0), 0.0)
    (first,) = machine.actions()
    assert isinstance(first, SendBytes)
    return machine


def check_request(asked: HandshakeReceived) -> None:
    assert 0 < len(asked.identity) <= 255
    assert not any(unicodedata.category(char) == "Cc" for char in asked.identity)
    assert ".." not in asked.identity.split("/")
    assert asked.subprotocol is None or asked.subprotocol in asked.subprotocols
    assert all(name != b"authorization" for name, _ in asked.headers)


def answer(machine: Link, actions: list[Action], flags: int) -> list[Action]:
    """Check what came out, and answer a handshake as ``flags`` has it."""
    for action in actions:
        if isinstance(action, HandshakeReceived):
            assert isinstance(machine, WebSocketServer)
            check_request(action)
            if flags & 16:
                machine.reject(401 if flags & 32 else 404, 1.0)
            elif (
                flags & 64
                and action.subprotocols
                and identity_allowed(action.identity, action.subprotocols[-1])
            ):
                machine.accept(1.0, action.subprotocols[-1])
            else:
                machine.accept(1.0)
            return [*actions, *machine.actions()]
    return actions


def one_input(data: bytes) -> None:
    if len(data) < 2:
        return
    flags, rhythm, stream = data[0], data[1], data[2:]
    machine: Link = client(flags) if flags & 1 else server(flags)
    seen: list[Action] = []
    for chunk in chunks(stream, rhythm):
        machine.receive_data(chunk, 1.0)
        seen += answer(machine, machine.actions(), flags)
        if isinstance(machine, WebSocketServer):
            assert len(machine._early) <= LIMIT
    assert all(len(action.text.encode()) <= LIMIT for action in seen if isinstance(action, Text))
    machine.handle_timer(1e9)
    seen += machine.actions()
    machine.receive_eof(1e9)
    seen += machine.actions()
    ends = [index for index, action in enumerate(seen) if isinstance(action, ENDS)]
    assert ends == [len(seen) - 1]
    assert sum(isinstance(action, CloseTransport) for action in seen) == 1
    assert sum(isinstance(action, Opened | HandshakeFailed) for action in seen) <= 1
    assert machine.state is LinkState.CLOSED
    assert machine.next_timer() is None


if __name__ == "__main__":
    run(one_input)
