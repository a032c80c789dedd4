"""Every example runs, and does what it says, against a peer of another make."""

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

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


def test_station_anyio_and_csms_asyncio() -> None:
    """One station of every version, at the same time."""
    versions = ("1.6", "2.0.1", "2.1")
    with ExitStack() as stack:
        csms = stack.enter_context(running(str(EXAMPLES / "csms_asyncio.py"), "0"))
        url, example = f"ws://127.0.0.1:{csms.port()}", str(EXAMPLES / "station_anyio.py")
        stations = [stack.enter_context(running(example, f"{url}/{it}", it)) for it in versions]
        told: dict[str, list[str]] = {version: [] for version in versions}
        for _ in range(4 * len(versions)):
            station, _, words = csms.line().partition(" ")
            told[station].append(words)
        assert [station.wait() for station in stations] == [0, 0, 0]
    for version, lines in told.items():
        booted, *between, last = lines
        assert booted == f"booted, speaking ocpp{version}"
        assert sorted(between) == ["says Accepted to Trigger", "started at 0 Wh"]
        ended = re.fullmatch(r"ended: (\d+) Wh, EVDisconnected", last)
        assert ended is not None
        assert int(ended[1]) > 0
