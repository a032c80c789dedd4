"""The rpc level on every adapter: typed calls both ways, also from within handlers."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from ocpp_adapters.anyio_rpc import HandshakeFailedError, open_rpc
from ocpp_adapters.rpc_link import CallFailedError, Handler, RefuseCallError, RpcLink
from ocpp_adapters.sessions import Reject
from ocpp_core import LocalProtocolError, OcppVersion, Role
from ocpp_core.messages import Response, v16, v21, v201
from ocpp_core.rpc import CallReceived, ErrorCode, FailureReason, RpcConfig, SendReceived
from ocpp_core.wire import ClientConfig
from ocpp_core.wire import FailureReason as WireFailure
from tests.adapters.servers import Adapter, eventually

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEARTBEAT = v201.HeartbeatResponse(current_time=NOW)


@asynccontextmanager
async def csms(
    adapter: Adapter, handler: Handler, **options: Any
) -> AsyncIterator[tuple[int, list[RpcLink]]]:
    """A CSMS of ours: its port, and its links as they come."""
    links: list[RpcLink] = []
    async with anyio.create_task_group() as tasks:
        concurrency = adapter.concurrency(tasks)

        def admit(handshake: Any, peer: Any) -> RpcLink | Reject:
            if handshake.identity != "CP1":
                return Reject(404)
            links.append(RpcLink(Role.CSMS, handler, concurrency))
            return links[-1]

        async with adapter.serve(admit) as port:
            yield port, links


def station(port: int, *versions: OcppVersion, identity: str = "CP1") -> ClientConfig:
    return ClientConfig(url=f"ws://127.0.0.1:{port}/{identity}", subprotocols=versions or (OcppVersion.V201,))


def heartbeats(link: RpcLink, call: CallReceived | SendReceived) -> Response:
    return HEARTBEAT


async def test_a_call_and_its_response(adapter: Adapter) -> None:
    async with csms(adapter, heartbeats) as (port, links):
        async with open_rpc(station(port)) as link:
            assert await link.call(v201.HeartbeatRequest()) == HEARTBEAT
            assert (link.version, links[0].version, links[0].identity) == ("ocpp2.0.1", "ocpp2.0.1", "CP1")
        closed = await links[0].wait_closed()
        assert (closed.code, closed.clean) == (1000, True)
        links[0].close()


async def test_calls_from_within_handlers_do_not_deadlock(adapter: Adapter) -> None:
    """Each side answers only when its own calls, made from the handler, are answered: three levels deep."""
    path: list[str] = []

    async def on_csms(link: RpcLink, call: CallReceived | SendReceived) -> Response:
        path.append(f"csms {call.action}")
        if call.action == "BootNotification":
            await link.call(v201.ClearCacheRequest())
            return v201.BootNotificationResponse(
                current_time=NOW, interval=1, status=v201.RegistrationStatusEnum.ACCEPTED
            )
        return HEARTBEAT

    async def on_station(link: RpcLink, call: CallReceived | SendReceived) -> Response:
        path.append(f"station {call.action}")
        # The station's BootNotification is in flight: this call waits in the queue, the handler with it.
        tasks.start_soon(link.call, v201.HeartbeatRequest())
        return v201.ClearCacheResponse(status=v201.ClearCacheStatusEnum.ACCEPTED)

    boot = v201.BootNotificationRequest(
        reason=v201.BootReasonEnum.POWER_UP,
        charging_station=v201.ChargingStation(model="m", vendor_name="v"),
    )
    async with csms(adapter, on_csms) as (port, _), anyio.create_task_group() as tasks:
        with anyio.fail_after(5):
            async with open_rpc(station(port), on_station) as link:
                await link.call(boot)
                await eventually(lambda: len(path) == 3)
    assert path == ["csms BootNotification", "station ClearCache", "csms Heartbeat"]


@pytest.mark.requirement("1.6-J-4.2.3")
async def test_what_a_handler_does_wrong_is_a_call_error(
    adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    def on_csms(link: RpcLink, call: CallReceived | SendReceived) -> Any:
        match count.pop(0):
            case 0:
                raise RefuseCallError(ErrorCode.NOT_SUPPORTED, "not here", {"why": "because"})
            case 1:
                raise ValueError("a bug")
            case 2:
                return None
            case 3:
                return v201.StatusNotificationResponse()
            case 4:
                return later(RefuseCallError(ErrorCode.SECURITY_ERROR))
            case 5:
                return later(RefuseCallError(ErrorCode.GENERIC_ERROR, details={"no JSON": {1}}))  # type: ignore[dict-item]  # on purpose

    async def later(refusal: RefuseCallError) -> Response:
        raise refusal

    count = [0, 1, 2, 3, 4, 5]
    codes = []
    caplog.set_level(logging.CRITICAL)
    async with csms(adapter, on_csms) as (port, _), open_rpc(station(port)) as link:
        while count:
            with pytest.raises(CallFailedError) as caught:
                await link.call(v201.HeartbeatRequest())
            codes.append(caught.value.failure.code)
            assert caught.value.failure.reason is FailureReason.CALL_ERROR
    assert codes == ["NotSupported", *3 * ["InternalError"], "SecurityError", "GenericError"]


async def test_whoever_handles_nothing_refuses(adapter: Adapter) -> None:
    async with csms(adapter, heartbeats) as (port, links), open_rpc(station(port)):
        await eventually(lambda: bool(links))
        with pytest.raises(CallFailedError, match="NotImplemented ClearCache is not handled here"):
            await links[0].call(v201.ClearCacheRequest())


async def test_calls_in_flight_and_queued_fail_when_the_link_goes(adapter: Adapter) -> None:
    gate, reasons = anyio.Event(), []

    async def on_csms(link: RpcLink, call: CallReceived | SendReceived) -> Response:
        await gate.wait()
        return HEARTBEAT

    async def call(link: RpcLink) -> None:
        with pytest.raises(CallFailedError) as caught:
            await link.call(v201.HeartbeatRequest())
        reasons.append(caught.value.failure.reason)

    async with csms(adapter, on_csms) as (port, links), open_rpc(station(port)) as link:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(call, link)
            await eventually(lambda: bool(links))
            await anyio.sleep(0.05)
            links[0].close(1001, "bye")
        assert reasons == [FailureReason.DISCONNECTED] * 3
        with pytest.raises(CallFailedError, match="disconnected"):
            await link.call(v201.HeartbeatRequest())
        gate.set()  # the handler answers into the void
        await anyio.sleep(0.02)


async def test_a_handler_whose_own_call_fails_is_no_bug(
    adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    async def on_csms(link: RpcLink, call: CallReceived | SendReceived) -> Response:
        await link.call(v201.ClearCacheRequest())
        return HEARTBEAT

    async with csms(adapter, on_csms) as (port, _), open_rpc(station(port)) as link:  # it refuses all
        with pytest.raises(CallFailedError, match="InternalError"):
            await link.call(v201.HeartbeatRequest())
    (record,) = (record for record in caplog.records if "handler of Heartbeat" in record.message)
    assert record.levelno == logging.WARNING
    assert "CP1: the handler of Heartbeat gave up: ClearCache: call-error" in record.message


async def test_time_out_and_withdrawal(adapter: Adapter) -> None:
    gate = anyio.Event()
    received: list[str] = []

    async def on_csms(link: RpcLink, call: CallReceived | SendReceived) -> Response:
        received.append(call.action)
        await gate.wait()
        return HEARTBEAT

    async with csms(adapter, on_csms) as (port, _), open_rpc(station(port)) as link:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(give_up, link)
            await eventually(lambda: bool(received))
            with anyio.move_on_after(0.02):
                await link.call(v201.HeartbeatRequest())  # queued, then withdrawn: never sent
        gate.set()
        assert await link.call(v201.HeartbeatRequest()) == HEARTBEAT
    assert received == ["Heartbeat", "Heartbeat"]


async def give_up(link: RpcLink) -> None:
    with pytest.raises(CallFailedError, match="timeout"):
        await link.call(v201.HeartbeatRequest(), timeout=0.1)


async def test_a_full_queue_is_the_callers_mistake(adapter: Adapter) -> None:
    async def on_csms(link: RpcLink, call: CallReceived | SendReceived) -> Response:
        await anyio.sleep(0.05)
        return HEARTBEAT

    async with (
        csms(adapter, on_csms) as (port, _),
        open_rpc(station(port), rpc=RpcConfig(queue_limit=0)) as link,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(link.call, v201.HeartbeatRequest())
        await anyio.sleep(0.01)
        with pytest.raises(LocalProtocolError):
            await link.call(v201.HeartbeatRequest())


async def test_send_is_not_answered(adapter: Adapter, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []
    caplog.set_level(logging.CRITICAL)

    def on_csms(link: RpcLink, call: CallReceived | SendReceived) -> Any:
        heard.append(f"{type(call).__name__} {call.action}")
        if len(heard) == 2:
            raise RuntimeError("a bug")
        if len(heard) == 3:
            return later()
        return v21.HeartbeatResponse(current_time=NOW) if isinstance(call, CallReceived) else None

    async def later() -> None:
        raise RuntimeError("a bug")

    stream = v21.NotifyPeriodicEventStream(
        data=[v21.StreamDataElement(t=1.0, v="1")], id=1, pending=0, basetime=NOW
    )
    async with csms(adapter, on_csms) as (port, _), open_rpc(station(port, OcppVersion.V21)) as link:
        for _ in range(3):
            link.send(stream)
        await link.call(v21.HeartbeatRequest())
    assert heard == ["SendReceived NotifyPeriodicEventStream"] * 3 + ["CallReceived Heartbeat"]


async def test_a_link_that_does_not_open_says_why(adapter: Adapter, free_port: int) -> None:
    async with csms(adapter, heartbeats) as (port, _):
        with pytest.raises(HandshakeFailedError) as caught:
            async with open_rpc(station(port, identity="unknown")):
                pytest.fail("it is not open")
        assert caught.value.failure.reason is WireFailure.NOT_FOUND
    with pytest.raises(OSError):  # noqa: PT011 - which one is the platform's affair
        async with open_rpc(station(free_port)):
            pytest.fail("it is not open")


async def test_what_the_body_raises_comes_out_as_it_is(adapter: Adapter) -> None:
    async with csms(adapter, heartbeats) as (port, links):
        with pytest.raises(ZeroDivisionError):
            await fail_with_a_link(port)
        assert (await links[0].wait_closed()).code == 1001


async def fail_with_a_link(port: int) -> None:
    async with open_rpc(station(port)) as link:
        await link.call(v201.HeartbeatRequest())
        raise ZeroDivisionError


async def test_before_it_is_open_there_is_no_link(adapter: Adapter) -> None:
    async with anyio.create_task_group() as tasks:
        link = RpcLink(Role.CSMS, heartbeats, adapter.concurrency(tasks))
        assert link.next_timer() is None
        link.handle_timer(0.0)
        link.close()
        with pytest.raises(LocalProtocolError, match="not open"):
            await link.call(v201.ClearCacheRequest())


async def test_the_record_of_answers_goes_on_over_a_new_link(adapter: Adapter) -> None:
    handled: list[str] = []

    def on_csms(link: RpcLink, call: CallReceived | SendReceived) -> Response:
        handled.append(call.call_id)
        return v16.StartTransactionResponse(
            transaction_id=len(handled), id_tag_info=v16.IdTagInfo(status=v16.AuthorizationStatus.ACCEPTED)
        )

    start = v16.StartTransactionRequest(connector_id=1, id_tag="T", meter_start=0, timestamp=NOW)
    ids = Repeating()
    async with anyio.create_task_group() as tasks:
        links: list[RpcLink] = []

        def admit(handshake: Any, peer: Any) -> RpcLink:
            answers = links[-1].answers if links else None
            links.append(RpcLink(Role.CSMS, on_csms, adapter.concurrency(tasks), answers=answers))
            return links[-1]

        async with adapter.serve(admit) as port:
            for _ in range(2):
                async with open_rpc(station(port, OcppVersion.V16), entropy=ids) as link:
                    response = await link.call(start)
                    assert isinstance(response, v16.StartTransactionResponse)
                    assert response.transaction_id == 1
    assert len(handled) == 1


class Repeating:
    """Entropy that makes every message id the same, as a retry does."""

    def __call__(self, n: int) -> bytes:
        return b"\x01" * n
