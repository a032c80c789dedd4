"""Stations on every adapter: each plays a scenario against a port, and returns when it is over."""

import ssl
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

import anyio

from ocpp_adapters import anyio_rpc, anyio_station, poll_rpc, poll_station, threads_rpc, threads_station
from ocpp_adapters.poll import Poll
from ocpp_adapters.routes import Route
from ocpp_core.entropy import SeededEntropy
from ocpp_core.messages import Request, Response
from ocpp_core.wire import ClientConfig
from tests.adapters.conformance.calls import handle_on_station, play
from tests.adapters.conformance.session import ScriptedStation
from tests.adapters.conformance.trace import Trace

PATIENCE = 20.0


Context: TypeAlias = ssl.SSLContext | None


def route(port: int, context: Context, subprotocol: str = "ocpp2.0.1") -> Route:
    scheme = "ws" if context is None else "wss"
    url = f"{scheme}://127.0.0.1:{port}/ocpp/CP%201"
    return Route(config=ClientConfig(url=url, subprotocols=(subprotocol,)), ssl_context=context)


# The rpc level.


def call_on_anyio(port: int, trace: Trace, context: Context, backend: str) -> None:
    async def main() -> None:
        entropy = SeededEntropy("station")
        with anyio.fail_after(PATIENCE):
            handler = partial(handle_on_station, trace=trace)
            async with anyio_rpc.open_rpc(route(port, context), handler, entropy=entropy) as link:
                await play(link, trace)

    anyio.run(main, backend=backend)


class Blocking:
    """A blocking link as coroutines see it."""

    def __init__(self, link: threads_rpc.BlockingLink) -> None:
        self._link = link

    async def call(self, request: Request) -> Response:
        return self._link.call(request)


def to_the_end(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never suspends."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it did")


def call_in_threads(port: int, trace: Trace, context: Context) -> None:
    def handler(link: threads_rpc.BlockingLink, call: Any) -> Any:
        return to_the_end(handle_on_station(Blocking(link), call, trace))

    with threads_rpc.open_rpc(route(port, context), handler, entropy=SeededEntropy("station")) as link:
        to_the_end(play(Blocking(link), trace))


def call_by_polling(port: int, trace: Trace, context: Context) -> None:
    handler = partial(handle_on_station, trace=trace)
    deadline = time.monotonic() + PATIENCE
    with Poll() as poll:
        link = poll_rpc.open_rpc(poll, route(port, context), handler, entropy=SeededEntropy("station"))
        step_until(poll, lambda: link.opened, deadline)
        playing = poll.spawn(play(link.session, trace))
        step_until(poll, lambda: playing.done, deadline)
        playing.result()
        link.close()
        step_until(poll, lambda: link.closed is not None, deadline)


def step_until(poll: Poll, condition: Callable[[], bool], deadline: float) -> None:
    while not condition():
        assert time.monotonic() < deadline
        poll.wait(min(poll.step(), 0.005))


CallingStation: TypeAlias = Callable[[int, Trace, Context], None]
CALLING: dict[str, CallingStation] = {
    "anyio-asyncio": partial(call_on_anyio, backend="asyncio"),
    "anyio-trio": partial(call_on_anyio, backend="trio"),
    "threads": call_in_threads,
    "poll": call_by_polling,
}


# The behaviour level.


def charge_on_anyio(port: int, script: ScriptedStation, context: Context, backend: str) -> None:
    async def main() -> None:
        station = script.make(anyio.current_time())
        config = route(port, context, script.config.versions[0])
        connected = anyio_station.connect_station(
            station, config, script.store, script, observe=script.observe
        )
        with anyio.fail_after(PATIENCE):
            async with connected as script.runner:
                while not script.done.is_set():
                    await anyio.sleep(0.005)

    anyio.run(main, backend=backend)


def charge_in_threads(port: int, script: ScriptedStation, context: Context) -> None:
    station = script.make(time.monotonic())
    config = route(port, context, script.config.versions[0])
    connected = threads_station.connect_station(station, config, script.store, script, observe=script.observe)
    with connected as script.runner:
        assert script.done.wait(PATIENCE)


def charge_by_polling(port: int, script: ScriptedStation, context: Context) -> None:
    with Poll() as poll:
        station = script.make(time.monotonic())
        script.runner = runner = poll_station.connect_station(
            poll,
            station,
            route(port, context, script.config.versions[0]),
            script.store,
            script,
            observe=script.observe,
        )
        step_until(poll, script.done.is_set, time.monotonic() + PATIENCE)
        runner.leave()
        step_until(poll, lambda: runner.gone, time.monotonic() + PATIENCE)


ChargingStation: TypeAlias = Callable[[int, ScriptedStation, Context], None]
CHARGING: dict[str, ChargingStation] = {
    "anyio-asyncio": partial(charge_on_anyio, backend="asyncio"),
    "anyio-trio": partial(charge_on_anyio, backend="trio"),
    "threads": charge_in_threads,
    "poll": charge_by_polling,
}
