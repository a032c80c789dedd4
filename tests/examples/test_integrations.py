"""The stack in somebody else's framework, loop or broker: each example runs and does its work."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.daemons import daemon, unused_port
from tests.examples.example_process import EXAMPLES, running

INSTALL = Path(__file__).parents[2] / "tools" / "system_package.sh"
BOOT = {"reason": "PowerUp", "chargingStation": {"model": "One", "vendorName": "Acme"}}


def station(port: int, path: str = "/CP01") -> ClientConnection:
    url = f"ws://127.0.0.1:{port}{path}"
    return connect(url, subprotocols=[Subprotocol("ocpp2.0.1")], open_timeout=10, close_timeout=10)


def call(link: ClientConnection, action: str, payload: Any) -> None:
    link.send(json.dumps([2, action, action, payload]))


def result(link: ClientConnection, action: str) -> Any:
    kind, call_id, payload = json.loads(link.recv(10))
    assert (kind, call_id) == (3, action)
    return payload


def answer(link: ClientConnection, action: str, payload: Any) -> None:
    """Wait for a call of the central system, and answer it."""
    kind, call_id, called, _ = json.loads(link.recv(10))
    assert (kind, called) == (2, action)
    link.send(json.dumps([3, call_id, payload]))


class Post:
    """An HTTP request under way."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._thread = ThreadPoolExecutor(1)
        self._answer = self._thread.submit(self._post)

    def json(self) -> Any:
        """The body of the answer, whatever its status."""
        with self._thread:
            return json.loads(self._answer.result(20))

    def _post(self) -> bytes:
        try:
            with urllib.request.urlopen(urllib.request.Request(self._url, method="POST"), timeout=20) as it:
                body: bytes = it.read()
        except urllib.error.HTTPError as error:
            with error:
                body = error.read()
        return body


def test_flask_and_threads() -> None:
    with running(str(EXAMPLES / "flask_threads.py"), "0", "0") as example:
        port = example.port()
        web = f"http://127.0.0.1:{example.line().removeprefix('HTTP on ')}/stations"
        assert Post(f"{web}/CP02/reset").json() == {"error": "no such station"}
        with station(port) as link:
            call(link, "BootNotification", BOOT)
            assert result(link, "BootNotification")["status"] == "Accepted"
            post = Post(f"{web}/CP01/reset")
            answer(link, "Reset", {"status": "Scheduled"})
            assert post.json() == {"status": "Scheduled"}
        assert example.line() == "CP01 is a Acme One"


def test_fastapi() -> None:
    with running(str(EXAMPLES / "fastapi_asgi.py"), "0") as example:
        port = example.port()
        web = f"http://127.0.0.1:{port}/stations"
        with station(port, "/ocpp/CP01") as link:
            call(link, "BootNotification", BOOT)
            assert result(link, "BootNotification")["status"] == "Accepted"
            post = Post(f"{web}/CP01/trigger/Heartbeat")
            answer(link, "TriggerMessage", {"status": "Accepted"})
            assert post.json() == {"status": "Accepted"}
            assert Post(f"{web}/CP02/trigger/Heartbeat").json() == {"detail": "no such station"}
        assert example.line() == "CP01 is a Acme One"


def test_aiohttp() -> None:
    with running(str(EXAMPLES / "aiohttp_bridge.py"), "0") as example:
        with station(example.port()) as link:
            call(link, "BootNotification", BOOT)
            assert result(link, "BootNotification")["status"] == "Accepted"
            call(link, "Heartbeat", {})
            answer(link, "ClearCache", {"status": "Accepted"})
            assert "currentTime" in result(link, "Heartbeat")
        assert example.line() == "CP01 is a Acme One"
        assert "ACCEPTED" in example.line()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """A mosquitto of our own, on the loopback."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        subprocess.run([str(INSTALL), "mosquitto"], check=False, timeout=300)
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("no MQTT broker: tools/system_package.sh mosquitto")
    port = unused_port()
    settings = tmp_path / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with daemon([program, "-c", str(settings)], port):
        yield port


def test_mqtt(broker: int) -> None:
    program = str(EXAMPLES / "mqtt_bridge.py")
    with running(program, "csms", str(broker)) as csms:
        assert csms.line() == "ready"
        with running(program, "station", str(broker)) as example:
            assert example.line().startswith("boot: ")
            assert example.line().startswith("heartbeat: ")
            assert example.wait() == 0
        assert csms.line() == "CP01 booted"
        assert csms.line().startswith("the cache of CP01: ")


def test_poll_loop() -> None:
    with running(str(EXAMPLES / "csms_asyncio.py"), "0") as csms:
        url = f"ws://127.0.0.1:{csms.port()}/CP01"
        with running(str(EXAMPLES / "poll_station.py"), url) as example:
            assert [example.line() for _ in range(4)] == [
                "connector 1 is locked",
                "the contactor closes",
                "connector 1 is unlocked",
                "the contactor opens",
            ]
            assert example.wait() == 0
        said = [csms.line() for _ in range(4)]
        assert said[0] == "CP01 booted, speaking ocpp2.0.1"
        assert said[2] == "CP01 started at 0 Wh"
        assert said[3].startswith("CP01 ended: ")
        assert said[3].endswith(" Wh, EVDisconnected")
