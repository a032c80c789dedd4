"""The README's examples: short enough, and they run as they stand (but for the port)."""

import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.examples.example_process import EXAMPLES, running

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
WIRE, RPC, STATION, CSMS = BLOCKS


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def at(code: str, port: int) -> str:
    assert "9000" in code
    return code.replace("9000", str(port))


def eventually(dial: Callable[[], ClientConnection]) -> ClientConnection:
    """Dial until the example listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return dial()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def station(port: int) -> ClientConnection:
    """One that does not wait long for the other end to hang up: the shortest example leaves that out."""
    url, offered = f"ws://127.0.0.1:{port}/CP01", [Subprotocol("ocpp2.0.1")]
    return eventually(lambda: connect(url, subprotocols=offered, close_timeout=0.1))


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_has_at_most_15_lines(block: str) -> None:
    assert len(block.splitlines()) <= 15


def test_wire(port: int) -> None:
    with running("-c", at(WIRE, port)) as example, station(port) as link:
        link.send("hello")
        assert example.line() == "hello"


def test_rpc() -> None:
    central = str(EXAMPLES / "rpc_websockets.py"), "0"
    with running(*central) as peer, running("-c", at(RPC, peer.port())) as example:
        assert example.line() == "Accepted"
        assert example.wait() == 0


def test_station() -> None:
    with running("-c", STATION) as example:
        said = [example.line() for _ in range(3)]
        assert said[0].startswith("Commit(")
        assert said[1].startswith("OpenLink(")
        assert example.wait() == 0


def test_csms(port: int) -> None:
    boot = {"reason": "PowerUp", "chargingStation": {"model": "One", "vendorName": "Acme"}}
    with running("-c", at(CSMS, port)) as example, station(port) as link:
        link.send(json.dumps([2, "1", "BootNotification", boot]))
        assert json.loads(link.recv(10))[2]["status"] == "Accepted"
        assert example.line().startswith("CP01 StationBooted(")
