"""Conversations between our stack and a foreign one, each in its own process, over a real socket.

Both ends follow a script (see ``peers/mobilityhouse.py``) and report what they heard, in the same words.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ocpp_adapters.rpc_link import CallFailedError, RefuseCallError, RpcLink
from ocpp_core.messages import Response, message_set
from ocpp_core.rpc import CallReceived, ErrorCode, SendReceived

HERE = Path(__file__).parent
MODULES = HERE / "node" / "node_modules"
PATIENCE = 40.0
Json = Any
Report = list[dict[str, Json]]


@dataclass(frozen=True, slots=True)
class Step:
    """A call to make, once the action ``when`` was received; ``unchecked``: although it is invalid."""

    action: str
    payload: Json
    when: str | None = None
    unchecked: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """What one end answers (None: it refuses) and what it calls, in order; the password it gives or wants."""

    answers: dict[str, Json] = field(default_factory=dict)
    calls: list[Step] = field(default_factory=list)
    password: str | None = None

    def as_json(self) -> str:
        """As the peers read it."""
        return json.dumps(asdict(self))


def node_command() -> list[str]:
    """How to run the peer on Node, or why the test skips."""
    node = shutil.which("node")
    if node is None or not MODULES.is_dir():
        pytest.skip("ocpp-rpc is not installed: run tools/node_packages.sh (as root it installs Node too)")
    return [node, str(HERE / "peers" / "ocpp_rpc.js")]


def python_command() -> list[str]:
    """How to run the peer on Python."""
    return [sys.executable, str(HERE / "peers" / "mobilityhouse.py")]


PEERS: dict[str, Callable[[], list[str]]] = {"mobilityhouse": python_command, "ocpp-rpc": node_command}


class Peer:
    """A foreign end as a process; ``report`` grows as it speaks."""

    def __init__(self, name: str, *arguments: str) -> None:
        self._command = [*PEERS[name](), *arguments]
        self._process: asyncio.subprocess.Process | None = None
        self.report: Report = []

    async def start(self, script: Script) -> None:
        """Run it and hand it its script."""
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            env={**os.environ, "NODE_PATH": str(MODULES)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 22,
        )
        assert process.stdin is not None
        process.stdin.write(script.as_json().encode())
        process.stdin.close()

    async def line(self) -> dict[str, Json] | None:
        """The next line it says; None at its end."""
        assert self._process is not None
        assert self._process.stdout is not None
        text = await self._process.stdout.readline()
        if not text:
            return None
        said: dict[str, Json] = json.loads(text)
        self.report.append(said)
        return said

    async def port(self) -> int:
        """Where a central system listens: the first thing it says."""
        said = await self.line()
        assert said is not None
        self.report.clear()
        return int(said["port"])

    async def finish(self) -> Report:
        """Everything it said, when it has come to its end by itself."""
        assert self._process is not None
        while await self.line() is not None:
            pass
        assert await self._process.wait() == 0
        return self.report

    async def end(self) -> None:
        """Leave nobody behind, whatever happened."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.communicate()


class Ours:
    """Our end on the rpc level, following a script; closes the link once ``expected`` calls came as well."""

    def __init__(self, script: Script, expected: int) -> None:
        self._script = script
        self._expected = expected
        self._arrived: dict[str, asyncio.Event] = {}
        self._all_arrived = asyncio.Event()
        self.report: Report = []

    def handle(self, link: RpcLink, call: CallReceived | SendReceived) -> Response:
        """Answer from the script."""
        self.report.append({"received": call.action, "payload": json.loads(call.request.to_json())})
        asyncio.get_running_loop().call_soon(self._note, call.action)  # that is, after the answer
        answer = self._script.answers.get(call.action)
        if answer is None:
            raise RefuseCallError(ErrorCode.NOT_SUPPORTED, "not in the script")
        model = message_set(link.version).response(call.action)
        return model.model_validate_json(json.dumps(answer))

    async def run(self, link: RpcLink) -> None:
        """Make the script's calls, one after the other, and wait for those of the other end."""
        for step in self._script.calls:
            action, payload = step.action, step.payload
            if step.when is not None:
                await self._arrival(step.when).wait()
            request = message_set(link.version).request(action).model_validate_json(json.dumps(payload))
            self.report.append({"sent": action, "payload": payload})
            try:
                response = await link.call(request)
            except CallFailedError as error:
                failure = error.failure
                said = {"error": action, "code": failure.code, "description": failure.description}
            else:
                said = {"result": action, "payload": json.loads(response.to_json())}
            self.report.append(said)
        if self._expected:
            await self._all_arrived.wait()
        link.close()

    def _note(self, action: str) -> None:
        self._arrival(action).set()
        if sum("received" in said for said in self.report) == self._expected:
            self._all_arrived.set()

    def _arrival(self, action: str) -> asyncio.Event:
        return self._arrived.setdefault(action, asyncio.Event())


def play(conversation: Awaitable[None]) -> None:
    """Run one conversation, but not for ever."""

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await conversation

    asyncio.run(bounded())
