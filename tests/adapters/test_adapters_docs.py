"""The code in docs/adapters.md runs as it stands, but for addresses and what readers have of their own."""

import ast
import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import pytest

from ocpp_adapters import threads_server
from ocpp_adapters.asyncio_server import AsyncioConcurrency
from ocpp_adapters.rpc_client import refuse_all
from ocpp_adapters.rpc_link import CallFailedError, RpcLink
from ocpp_adapters.stores import MemoryStores
from ocpp_adapters.threads_monitor import Monitor
from ocpp_adapters.threads_rpc import BlockingLink
from ocpp_core import Role
from ocpp_core.csms import CommandAnswered, Topic, Trigger
from ocpp_core.domain.tokens import AuthorizationStatus, IdTokenInfo
from ocpp_core.station import Station
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig, Credentials
from tests.adapters.charger import EASY, Charger, config
from tests.adapters.servers import eventually

TEXT = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SERVED, ANSWERED, CALLED, RUN, THREADS, POLLED, ASGI, BRIDGED = BLOCKS
PASSWORD = b"a password of sixteen"


async def run(block: str, names: dict[str, Any], **changes: str) -> None:
    """A block, which may await; ``changes``: what stands for what."""
    for old, new in {"port=9000": "port=0", **changes}.items():
        block = block.replace(old, new)
    code = compile(block, "docs/adapters.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    made = eval(code, names)
    if made is not None:
        await made


def csms() -> dict[str, Any]:
    """What a reader has, up to the central system."""
    tokens = IdTokenInfo(AuthorizationStatus.ACCEPTED)
    mounted: list[Any] = []
    return {
        "passwords": {"CP-7": PASSWORD},
        "password": PASSWORD,
        "look_up": lambda token: tokens,
        "config": replace(EASY, authorization=None),
        "stores": MemoryStores(),
        "app": SimpleNamespace(mount=lambda path, endpoint: mounted.append((path, endpoint))),
        "mounted": mounted,
        "loop": asyncio.get_running_loop(),
    }


def test_a_server_a_station_and_a_call_from_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    charger, done = Charger(), list[str]()

    async def station(names: dict[str, Any], port: int) -> None:
        async def go_on(runner: Any) -> None:
            charger.runner = runner
            await eventually(lambda: runner.station.state(0.0)["registration"] == "Accepted")
            ask = partial(names["start_charging"], "CP-7", Trigger(Topic.HEARTBEAT))
            assert isinstance(await anyio.to_thread.run_sync(ask), CommandAnswered)
            done.append("station")

        mine = {**names, "config": config(), "hardware": charger, "go_on": go_on, "print": lambda it: None}
        running = {
            "wss://csms.example": f"ws://127.0.0.1:{port}",
            "    with runner": "    await go_on(runner)\n    with runner",
        }
        await run(RUN, mine, **running)
        assert mine["station"].state(0.0)["evses"][0]["plugged"] == 1
        mine["store"].close()

    async def main() -> None:
        names = csms()
        await run(ANSWERED, names)
        await run(ASGI, names)
        assert [path for path, _ in names["mounted"]] == ["/ocpp"]
        await run(CALLED, names)

        async def during(server: Any) -> None:
            await station(names, server.port)
            done.append("server")

        names["during"] = during
        async with anyio.create_task_group() as tasks:
            names["task_group"] = tasks
            await run(SERVED, names, **{"as server: ...": "as server: await during(server)"})
            await station(names, names["server"].port)
            tasks.cancel_scope.cancel()

    asyncio.run(main())
    assert done == ["station", "server", "station"]


def test_threads() -> None:
    monitor = Monitor()

    def answers(*_: Any) -> BlockingLink:
        return BlockingLink(Role.CSMS, refuse_all, monitor)

    with threads_server.serve(answers, "127.0.0.1", monitor=monitor) as server:
        block = THREADS.replace("csms.example", f"127.0.0.1:{server.port}").replace("port=9000", "port=0")
        with pytest.raises(CallFailedError, match="NotImplemented"):
            exec(block, {"handler": refuse_all})
        exec(block.replace("link.call(", "str("), {"handler": refuse_all})


def test_a_main_loop() -> None:
    class EnoughError(Exception):
        """The loop has no end of its own."""

    end = time.monotonic() + 5
    names: dict[str, Any] = {}

    def read_buttons(runner: Any) -> None:
        charger.runner = runner
        assert time.monotonic() < end
        if names["station"].state(0.0)["connection"]["state"] == "waiting":
            raise EnoughError

    charger = Charger()
    route = ClientConfig(url="ws://127.0.0.1:1/CP-7", credentials=Credentials(b"CP-7", PASSWORD))
    station = Station(config(), os.urandom, time.monotonic())
    names |= {"station": station, "route": route, "store": MemoryStore(), "hardware": charger}
    with pytest.raises(EnoughError):
        exec(POLLED, names | {"read_buttons": read_buttons})


def test_messages_that_others_carry() -> None:
    async def nothing() -> AsyncIterator[str]:
        return
        yield ""

    async def main() -> None:
        monitor = Monitor()
        names = {
            "handler": refuse_all,
            "messages": nothing(),
            "socket": SimpleNamespace(send_str=None, ws_protocol="ocpp2.0.1"),
            "link": BlockingLink(Role.STATION, refuse_all, monitor),
            "monitor": monitor,
            "client": SimpleNamespace(publish=lambda *_, **__: None),
            "Role": Role,
            "AsyncioConcurrency": AsyncioConcurrency,
        }
        await run(BRIDGED, names)
        assert names["RpcLink"] is RpcLink

    asyncio.run(main())
