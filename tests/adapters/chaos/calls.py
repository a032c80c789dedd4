"""The rpc level behind the relay: one link after another, some calls at once, on any adapter."""

import socket
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any, TypeAlias

import anyio

from ocpp_adapters import anyio_rpc, poll_rpc, threads_rpc
from ocpp_adapters.calls import Concurrency
from ocpp_adapters.poll import Poll
from ocpp_adapters.routes import Route
from ocpp_adapters.rpc_client import HandshakeFailedError
from ocpp_adapters.rpc_link import CallFailedError, RpcLink
from ocpp_adapters.sessions import Session
from ocpp_core import Role
from ocpp_core.messages import Request, Response, v201
from ocpp_core.rpc import RpcConfig
from ocpp_core.wire import ServerConfig
from tests.adapters.chaos.run import TIMELESS, TIMES, Case, Contexts, relay_for, route_to
from tests.adapters.chaos.tidy import connections_of, eventually_none
from tests.adapters.conformance.central_systems import CENTRAL_SYSTEMS

SHORT = RpcConfig(message_timeout=1.0)
AT_ONCE = 3
ACCEPTED: Any = v201.DataTransferStatusEnum.ACCEPTED
GONE = (OSError, HandshakeFailedError, CallFailedError)
"""What a link behind the relay may end with."""


class Talk:
    """What is said over the links, and what came of it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.begun = 0
        self.answered = 0
        self.failed = 0

    async def call(self, call: Callable[[Request], Awaitable[Response]]) -> None:
        """A few calls, one after the other, as long as they are answered."""
        for _ in range(3):
            size = self._random.choice((1, 500, 20_000, 400_000))
            data = f"{self.begun} " + "x" * size
            self.begun += 1
            try:
                response: Any = await call(v201.DataTransferRequest(vendor_id="echo", data=data))
            except CallFailedError:
                self.failed += 1
                return
            assert response.data == data
            self.answered += 1


async def on_csms(link: RpcLink, received: Any) -> Response:
    """Call back, then send back."""
    if received.request.data.startswith(("0", "2", "4", "6", "8")):
        await link.call(v201.ClearCacheRequest())
    return v201.DataTransferResponse(status=ACCEPTED, data=received.request.data)


def on_station(link: Any, received: Any) -> Response:
    """Agree."""
    assert isinstance(received.request, v201.ClearCacheRequest)
    return v201.ClearCacheResponse(status=v201.ClearCacheStatusEnum.ACCEPTED)


def on_anyio(route: Route, talk: Talk, backend: str) -> None:
    async def main() -> None:
        async with (
            anyio_rpc.open_rpc(route, on_station, rpc=SHORT) as link,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(AT_ONCE):
                tasks.start_soon(talk.call, link.call)

    anyio.run(main, backend=backend)


def in_threads(route: Route, talk: Talk) -> None:
    def talk_to(link: threads_rpc.BlockingLink) -> None:
        async def call(request: Request) -> Response:
            return link.call(request)

        try:
            talk.call(call).send(None)
        except StopIteration:
            return

    with threads_rpc.open_rpc(route, on_station, rpc=SHORT) as link:
        threads = [threading.Thread(target=talk_to, args=(link,)) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def by_polling(route: Route, talk: Talk) -> None:
    with Poll() as poll:
        link = poll_rpc.open_rpc(poll, route, on_station, rpc=SHORT)

        def until(condition: Callable[[], bool]) -> None:
            while not condition():
                poll.wait(min(poll.step(), 0.005))

        until(lambda: link.opened)
        tasks = [poll.spawn(talk.call(link.session.call)) for _ in range(AT_ONCE)]
        until(lambda: all(task.done for task in tasks))
        for task in tasks:
            task.result()
        link.close()
        until(lambda: link.closed is not None)


Caller: TypeAlias = Callable[[Route, Talk], None]
CALLERS: dict[str, Caller] = {
    "anyio-asyncio": partial(on_anyio, backend="asyncio"),
    "anyio-trio": partial(on_anyio, backend="trio"),
    "threads": in_threads,
    "poll": by_polling,
}


def play(case: Case, contexts: Contexts | None, links: int = 6) -> Talk:
    """Call behind the relay; raises AssertionError where something is not as it must be."""
    secured = contexts if case.secure else None
    talk = Talk(Random(case.seed))

    def session(concurrency: Concurrency) -> Session:
        handler: Any = on_csms
        return RpcLink(Role.CSMS, handler, concurrency, SHORT)

    settings = ServerConfig(**TIMES)
    with (
        CENTRAL_SYSTEMS[case.csms](session, secured and secured.csms, config=settings) as port,
        relay_for(case, port) as relay,
    ):
        route = route_to(relay, case, secured, "ocpp2.0.1")
        for _ in range(links):
            _live(CALLERS[case.station], route, talk)
        relay.be_honest()
        _until_somebody_listens(relay.port)
        before = talk.begun, talk.answered
        CALLERS[case.station](route, talk)
        assert (talk.begun - before[0], talk.answered - before[1]) == (3 * AT_ONCE, 3 * AT_ONCE)
        if case.csms not in TIMELESS:
            left = eventually_none(lambda: connections_of(port))
            assert not left, f"the server keeps connections open: {left}"
    assert talk.begun == talk.answered + talk.failed, "calls without an end"
    return talk


def _until_somebody_listens(port: int) -> None:
    end = time.monotonic() + 5.0
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.01)


def _live(caller: Caller, route: Route, talk: Talk) -> None:
    """One link, whatever it comes to; not for long."""
    began = time.monotonic()
    try:
        caller(route, talk)
    except* GONE:
        pass
    assert time.monotonic() - began < 20.0, "calls are waited for too long"
