"""Bytes to text messages on the CSMS's side, in memory: our wire level, wsproto, websockets' sans-I/O core.

One masked frame is handed over at a time, as a socket delivers it, and its message taken out as text.
"""

import json

from websockets.frames import Frame
from websockets.protocol import SERVER as PEER_SERVER
from websockets.protocol import Protocol
from wsproto.connection import SERVER, Connection
from wsproto.events import TextMessage

from benchmarks.load import masked
from benchmarks.payloads import METER_VALUES
from benchmarks.report import Table, amount, ratio
from benchmarks.timing import Work, rates
from ocpp_core.wire import HandshakeReceived, ServerConfig, Text, WebSocketServer

SIZES = (30, 300, 963, 16_000, 100_000)
UPGRADE = (
    b"GET /ocpp/STATION HTTP/1.1\r\nHost: csms\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)


def message(size: int) -> str:
    """JSON text of so many bytes."""
    filler = METER_VALUES.text * (size // len(METER_VALUES.text) + 1)
    return json.dumps([filler])[:size]


def _ours(frame: bytes) -> Work:
    server = WebSocketServer(ServerConfig(), 0.0)
    server.receive_data(UPGRADE, 0.0)
    assert isinstance(server.actions()[0], HandshakeReceived)
    server.accept(0.0)
    server.actions()

    def receive() -> str:
        server.receive_data(frame, 0.0)
        (action,) = server.actions()
        assert type(action) is Text
        return action.text

    return receive


def _wsproto(frame: bytes) -> Work:
    connection = Connection(SERVER)

    def receive() -> str:
        connection.receive_data(frame)
        (event,) = connection.events()
        assert type(event) is TextMessage
        return event.data

    return receive


def _websockets(frame: bytes) -> Work:
    protocol = Protocol(PEER_SERVER)

    def receive() -> str:
        protocol.receive_data(frame)
        (received,) = protocol.events_received()
        assert isinstance(received, Frame)
        return bytes(received.data).decode()

    return receive


def run(seconds: float) -> list[Table]:
    """Frames received per CPU second, by size."""
    rows = []
    for size in SIZES:
        text = message(size)
        frame = bytes(masked(text))
        work = {"ours": _ours(frame), "wsproto": _wsproto(frame), "websockets": _websockets(frame)}
        assert all(receive() == text for receive in work.values())
        found = rates(work, seconds)
        ours, wsproto, websockets = found["ours"], found["wsproto"], found["websockets"]
        rates_of_all = (amount(ours), amount(wsproto), amount(websockets))
        rows.append((f"{size:,} B", *rates_of_all, ratio(ours, wsproto), ratio(ours, websockets)))
    header = ("text message", "ours", "wsproto", "websockets", "ours / wsproto", "ours / websockets")
    notes = "websockets unmasks in C, the others in Python."
    return [Table("Wire: receive (frames per CPU second)", header, tuple(rows), notes)]
