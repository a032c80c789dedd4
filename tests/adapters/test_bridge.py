"""Links over messages that others carry: plain functions, an asynchronous transport, threads."""

import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from ocpp_adapters.anyio_link import AnyioConcurrency
from ocpp_adapters.bridge import Bridge
from ocpp_adapters.bridge_anyio import carry
from ocpp_adapters.poll import Poll
from ocpp_adapters.rpc_link import CallFailedError, RpcLink
from ocpp_adapters.threads_bridge import ThreadBridge
from ocpp_adapters.threads_monitor import Monitor
from ocpp_adapters.threads_rpc import BlockingLink
from ocpp_core import OcppVersion, Role
from ocpp_core.messages import v201
from ocpp_core.rpc import FailureReason
from tests.adapters.servers import Alarmed, Echo, eventually

HEARTBEAT = v201.HeartbeatRequest()
WHO: Any = {"identity": "CP1", "subprotocol": "ocpp2.0.1"}


def bridge(session: Any, **options: Any) -> tuple[Bridge, list[str], list[tuple[int, str]]]:
    sent: list[str] = []
    ended: list[tuple[int, str]] = []
    made = Bridge(session, sent.append, close=lambda *it: ended.append(it), **WHO, **options)
    return made, sent, ended


def test_messages_go_to_the_session_and_back() -> None:
    echo = Echo()
    link, sent, ended = bridge(echo)
    link.receive("too early")
    link.open()
    link.receive("one")
    link.receive("two")
    assert sent == ["one", "two"]
    link.lost(1000, "enough")
    link.lost()
    link.receive("too late")
    link.send_text("too late")
    link.close(1000, "")
    assert (sent, ended) == (["one", "two"], [])
    assert echo.log == ["opened CP1 ocpp2.0.1", "closed 1000 enough"]


def test_this_side_ends_the_link() -> None:
    echo = Echo()
    link, _, ended = bridge(echo)
    link.open()
    link.close(1000, "enough")
    link.close(1000, "again")
    assert ended == [(1000, "enough")]
    assert echo.closed is not None
    assert echo.closed.code == 1000
    other, _, ended = bridge(Echo())
    other.open()
    other.abort()
    assert ended == [(1001, "")]


def test_a_session_that_fails_ends_the_link(caplog: pytest.LogCaptureFixture) -> None:
    link, _, ended = bridge(Echo())
    link.open()
    link.receive("crash")
    assert ended == [(1011, "internal error")]
    assert "a session failed" in caplog.text


def test_a_session_may_hold_and_be_woken() -> None:
    held: list[bool] = []
    armed: list[float | None] = []
    clock = [100.0]
    session = Alarmed()
    link: Bridge
    link, sent, _ = bridge(
        session, hold=held.append, rearm=lambda: armed.append(link.due()), clock=lambda: clock[0]
    )
    link.open()
    assert armed[-1] == 160.0
    link.hold(True)
    assert held == [True]
    clock[0] = 160.5
    link.handle_timer(clock[0])
    assert sent == ["hello"]
    assert link.due() is None


def test_calls_time_out_on_the_bridge_s_clock() -> None:
    clock = [0.0]
    with Poll() as poll:
        session = RpcLink(Role.STATION, lambda *_: None, poll)
        link, sent, _ = bridge(session, clock=lambda: clock[0])
        link.open()
        assert session.version is OcppVersion.V201
        task = poll.spawn(session.call(HEARTBEAT, timeout=5))
        poll.step()
        assert len(sent) == 1
        assert link.due() == 5.0
        link.handle_timer(5.0)
        poll.step()
        with pytest.raises(CallFailedError) as error:
            task.result()
    assert error.value.failure.reason is FailureReason.TIMEOUT


def test_threads() -> None:
    monitor = Monitor()
    link = BlockingLink(Role.STATION, lambda *_: None, monitor)
    sent: list[str] = []
    ended: list[int] = []
    with ThreadBridge(
        link, sent.append, monitor=monitor, close=lambda code, _: ended.append(code), **WHO
    ) as over:
        begun = time.monotonic()
        with pytest.raises(CallFailedError) as error:
            link.call(HEARTBEAT, timeout=0.05)  # the bridge's thread keeps the time
        assert error.value.failure.reason is FailureReason.TIMEOUT
        assert time.monotonic() - begun < 5
        over.lost()
        with pytest.raises(CallFailedError) as error:
            link.call(HEARTBEAT)
        assert error.value.failure.reason is FailureReason.DISCONNECTED
    assert len(sent) == 1
    assert ended == []  # it was the transport that ended
    with ThreadBridge(Echo(), sent.append, monitor=monitor, close=lambda code, _: ended.append(code), **WHO):
        pass
    assert ended == [1000]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
class TestCarry:
    """An asynchronous transport."""

    async def test_both_ends(self, anyio_backend: str) -> None:
        up_put, up_get = anyio.create_memory_object_stream[str](10)
        down_put, down_get = anyio.create_memory_object_stream[str](10)
        async with anyio.create_task_group() as tasks, up_put, up_get, down_put, down_get:
            concurrency = AnyioConcurrency(tasks)
            csms = RpcLink(Role.CSMS, lambda *_: None, concurrency)
            station = RpcLink(Role.STATION, answer, concurrency)

            async def end(code: int, reason: str) -> None:
                await up_put.aclose()

            async def run_csms() -> None:
                await carry(csms, up_get, down_put.send, **WHO)

            async def run_station() -> None:
                await carry(station, down_get, up_put.send, close=end, **WHO)

            tasks.start_soon(run_csms)
            tasks.start_soon(run_station)
            await anyio.wait_all_tasks_blocked()
            response = await csms.call(v201.ClearCacheRequest())
            assert isinstance(response, v201.ClearCacheResponse)
            with pytest.raises(CallFailedError) as error:
                await station.call(HEARTBEAT)
            assert error.value.failure.code == "InternalError"
            station.close(1000, "enough")
            assert (await station.wait_closed()).code == 1000
            assert (await csms.wait_closed()).code == 1006
            await anyio.wait_all_tasks_blocked()

    async def test_a_transport_that_fails(self, anyio_backend: str) -> None:
        echo = Echo()

        async def messages() -> AsyncIterator[str]:
            yield "hello"
            await anyio.sleep_forever()

        async def send(text: str) -> None:
            raise ConnectionResetError(text)

        with pytest.raises(BaseExceptionGroup) as group:
            await carry(echo, messages(), send, **WHO)
        assert group.group_contains(ConnectionResetError, match="hello")
        assert echo.closed is not None

    async def test_alarms(self, anyio_backend: str) -> None:
        session, sent = Alarmed(), list[str]()
        gate = anyio.Event()

        async def messages() -> AsyncIterator[str]:
            await gate.wait()
            for text in list[str]():
                yield text

        async def send(text: str) -> None:
            sent.append(text)

        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                await carry(session, messages(), send, **WHO)

            tasks.start_soon(run)
            await eventually(lambda: session.link is not None)
            assert session.link is not None
            session.at = session.link.now() + 0.02
            session.link.rearm()
            await eventually(lambda: sent == ["hello"])
            gate.set()


def answer(link: RpcLink, call: Any) -> v201.ClearCacheResponse:
    return v201.ClearCacheResponse(status=v201.ClearCacheStatusEnum.ACCEPTED)
