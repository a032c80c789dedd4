"""Either end of a conversation on the PyPI packages ``ocpp`` and ``websockets``.

    python mobilityhouse.py station VERSION URL  <script
    python mobilityhouse.py csms VERSION         <script

The script, JSON on stdin, is ``{"answers": {action: payload or null}, "calls": [{"action", "payload", "when",
"unchecked"}], "password": text or null}``. Payloads are as the standard writes them; null refuses with
NotSupported, and the text ``"$member"`` stands for that member of the latest result that had it. The calls
are made one after the other, each once the action named by ``when`` was received (if any is named), and
without this library's own validation if ``unchecked``. The other end closes the link.

On stdout comes a JSON object a line: ``{"port": n}`` (a CSMS, first); ``{"received": action, "payload"}``
and ``{"sent": action, "payload"}``; ``{"result": action, "payload"}``, or ``{"error": action, "code"}`` with
a ``description``; ``{"refused": why}``, what this library found wrong; ``{"crashed": action, "why"}``;
``{"closed": code}``; ``{"unwelcome": status}``, a station that was not let in. Payloads are those on the
wire: this library's names for members do not all lead back.
"""

import asyncio
import json
import logging
import sys
from importlib import import_module
from typing import Any
from urllib.parse import quote

import websockets
from ocpp.charge_point import camel_to_snake_case
from ocpp.exceptions import NotSupportedError, OCPPError
from ocpp.routing import on
from websockets import Subprotocol
from websockets.asyncio.server import basic_auth

MODULES = {"ocpp1.6": "ocpp.v16", "ocpp2.0.1": "ocpp.v201", "ocpp2.1": "ocpp.v21"}


def say(**what: object) -> None:
    """One line of the report."""
    print(json.dumps(what), flush=True)


class Log(logging.Handler):
    """Reports what the library found invalid, which it only logs."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            say(refused=record.getMessage()[:300])


def filled(value: Any, results: dict[str, Any]) -> Any:
    """A payload with its ``"$member"`` texts replaced."""
    if isinstance(value, dict):
        return {name: filled(member, results) for name, member in value.items()}
    if isinstance(value, list):
        return [filled(item, results) for item in value]
    return results[value[1:]] if isinstance(value, str) and value.startswith("$") else value


class Tap:
    """A connection whose frames are reported."""

    def __init__(self, connection: websockets.ClientConnection | websockets.ServerConnection) -> None:
        self._connection = connection
        self.result: dict[str, Any] = {}

    async def recv(self) -> str | bytes:
        text = await self._connection.recv()
        kind, _, *rest = json.loads(text)
        if kind == 2:
            say(received=rest[0], payload=rest[1])
        elif kind == 3:
            self.result = rest[0]
        return text

    async def send(self, text: str) -> None:
        kind, _, *rest = json.loads(text)
        if kind == 2:
            say(sent=rest[0], payload=rest[1])
        await self._connection.send(text)


class Conversation:
    """One end of one link."""

    def __init__(self, version: str, script: dict[str, Any], identity: str, tap: Tap) -> None:
        self._calls = script["calls"]
        self._requests = import_module(f"{MODULES[version]}.call")
        self._responses = import_module(f"{MODULES[version]}.call_result")
        self._tap = tap
        self._arrived: dict[str, asyncio.Event] = {}
        self._results: dict[str, Any] = {}
        base = import_module(MODULES[version]).ChargePoint
        answers = script["answers"].items()
        members = {f"on_{action}": self._handler(action, answer) for action, answer in answers}
        self._point: Any = type("Point", (base,), members)(identity, tap)

    def _arrival(self, action: str) -> asyncio.Event:
        return self._arrived.setdefault(action, asyncio.Event())

    def _handler(self, action: str, answer: dict[str, Any] | None) -> Any:
        async def handle(_point: Any, **_: Any) -> Any:
            self._arrival(action).set()
            if answer is None:
                raise NotSupportedError(description="not in the script")
            return getattr(self._responses, action)(**camel_to_snake_case(answer))

        handle.__name__ = f"on_{action}"  # by which the library finds it
        return on(action)(handle)

    async def _make_calls(self) -> None:
        for item in self._calls:
            if item["when"] is not None:
                await self._arrival(item["when"]).wait()
            action = item["action"]
            try:
                payload = filled(item["payload"], self._results)
                request = getattr(self._requests, action)(**camel_to_snake_case(payload))
                unchecked = item["unchecked"]
                await self._point.call(request, suppress=False, skip_schema_validation=unchecked)
            except OCPPError as error:
                say(error=action, code=error.code, description=error.description)
            except TypeError as error:
                say(crashed=action, why=str(error))
            else:
                self._results |= self._tap.result
                say(result=action, payload=self._tap.result)

    async def run(self) -> None:
        """Talk until the link is closed."""
        calls = asyncio.create_task(self._make_calls())
        try:
            await self._point.start()
        except websockets.ConnectionClosed as error:
            await asyncio.wait([calls], timeout=1)  # the answer to the last call may just have come
            say(closed=error.rcvd.code if error.rcvd else 1006)
        calls.cancel()


async def station(version: str, script: dict[str, Any], url: str) -> None:
    """Connect and talk."""
    identity = url.rpartition("/")[2]
    if script["password"] is not None:
        url = url.replace("//", f"//{identity}:{quote(script['password'])}@", 1)
    try:
        async with websockets.connect(url, subprotocols=[Subprotocol(version)]) as connection:
            await Conversation(version, script, identity, Tap(connection)).run()
    except websockets.InvalidStatus as error:
        say(unwelcome=error.response.status_code)


async def csms(version: str, script: dict[str, Any]) -> None:
    """Listen, talk to one station, end."""
    done = asyncio.Event()

    async def talk(connection: websockets.ServerConnection) -> None:
        assert connection.request is not None
        identity = connection.request.path.rpartition("/")[2]
        await Conversation(version, script, identity, Tap(connection)).run()
        done.set()

    password = script["password"]
    check = (
        None if password is None else basic_auth("OCPP", check_credentials=lambda _, given: given == password)
    )
    protocols = [Subprotocol(version)]
    async with websockets.serve(
        talk, "127.0.0.1", 0, subprotocols=protocols, process_request=check
    ) as server:
        say(port=next(iter(server.sockets)).getsockname()[1])
        await done.wait()


if __name__ == "__main__":
    logging.getLogger("ocpp").addHandler(Log())
    role, version, *url = sys.argv[1:]
    script = json.load(sys.stdin)
    asyncio.run(station(version, script, url[0]) if role == "station" else csms(version, script))
