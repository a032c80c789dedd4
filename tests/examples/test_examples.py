"""Every example runs, and does what it says, against a peer of another make."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.examples.example_process import EXAMPLES, running


def station(port: int, version: str) -> ClientConnection:
    url = f"ws://127.0.0.1:{port}/CP%2001"
    return connect(url, subprotocols=[Subprotocol(version)], open_timeout=10, close_timeout=10)


def test_wire_socket() -> None:
    with running(str(EXAMPLES / "wire_socket.py"), "0") as example:
        with station(example.port(), "ocpp2.0.1") as socket:
            assert socket.subprotocol == "ocpp2.0.1"
            socket.send("one text frame")
            socket.send(["another, ", "in fragments"])
            socket.ping().wait(10)
        assert [example.line() for _ in range(5)] == [
            "CP 01 wants to connect",
            "it speaks ocpp2.0.1",
            "one text frame",
            "another, in fragments",
            "closed: 1000 ",
        ]


def test_rpc_websockets() -> None:
    with running(str(EXAMPLES / "rpc_websockets.py"), "0") as example:
        with station(example.port(), "ocpp1.6") as socket:
            boot = {"chargePointVendor": "Acme", "chargePointModel": "One"}
            assert call(socket, "BootNotification", boot)[2]["status"] == "Accepted"
            assert call(socket, "Authorize", {"idTag": "A"})[2] == {"idTagInfo": {"status": "Accepted"}}
            status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
            assert call(socket, "StatusNotification", status)[2] == {}
            assert "currentTime" in call(socket, "Heartbeat", {})[2]
            assert call(socket, "Heartbeat", {"surprise": 1})[0] == 4
            assert call(socket, "DataTransfer", {"vendorId": "V"})[2] == "NotSupported"
        assert [example.line() for _ in range(2)] == ["Acme One booted", "connector 1 is Charging"]


def call(socket: ClientConnection, action: str, payload: Mapping[str, object]) -> list[Any]:
    socket.send(json.dumps([2, "id", action, payload]))
    answer: list[Any] = json.loads(socket.recv(10))
    assert answer[1] == "id"
    return answer


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_station_anyio_and_csms_asyncio(version: str) -> None:
    with running(str(EXAMPLES / "csms_asyncio.py"), "0") as csms:
        url = f"ws://127.0.0.1:{csms.port()}/CP01"
        with running(str(EXAMPLES / "station_anyio.py"), url, version) as station:
            assert csms.line() == f"CP01 booted, speaking ocpp{version}"
            assert csms.line() == "CP01 says Accepted to Trigger"
            assert csms.line() == "CP01 started at 0 Wh"
            ended = re.fullmatch(r"CP01 ended: (\d+) Wh, EVDisconnected", csms.line())
            assert ended is not None
            assert int(ended[1]) > 0
            assert station.wait() == 0
