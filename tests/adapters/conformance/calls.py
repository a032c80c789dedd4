"""The scenario of the rpc level: calls both ways, refusals, a bug, a call from within a handler."""

from datetime import UTC, datetime
from typing import Any, Protocol

from ocpp_adapters.rpc_link import CallFailedError, RefuseCallError
from ocpp_core.messages import Request, Response, v201
from ocpp_core.rpc import CallReceived, ErrorCode, SendReceived
from tests.adapters.conformance.trace import Trace

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Caller(Protocol):
    """What a link offers, on every adapter."""

    async def call(self, request: Request) -> Response: ...


async def outcome(link: Caller, request: Request, trace: Trace) -> None:
    """Call and write down what came of it."""
    try:
        trace.note("response", await link.call(request))
    except CallFailedError as error:
        trace.note("failed", f"{error.failure.reason} {error.failure.code}")


async def play(link: Caller, trace: Trace) -> None:
    """What the station has to say."""
    station = v201.ChargingStation(model="Model", vendor_name="Vendor")
    await outcome(
        link,
        v201.BootNotificationRequest(charging_station=station, reason=v201.BootReasonEnum.POWER_UP),
        trace,
    )
    for size in (1, 3_000, 100_000):
        await outcome(link, v201.DataTransferRequest(vendor_id="echo", data="x" * size), trace)
    for vendor in ("call me back", "refuse", "a bug", "not a response"):
        await outcome(link, v201.DataTransferRequest(vendor_id=vendor), trace)
    await outcome(link, v201.HeartbeatRequest(), trace)


async def handle_on_csms(link: Caller, call: CallReceived | SendReceived, trace: Trace) -> Any:
    """The CSMS's answers."""
    trace.note("called", call.action)
    match call.request:
        case v201.BootNotificationRequest():
            return v201.BootNotificationResponse(
                current_time=NOON, interval=300, status=v201.RegistrationStatusEnum.ACCEPTED
            )
        case v201.HeartbeatRequest():
            return v201.HeartbeatResponse(current_time=NOON)
        case v201.DataTransferRequest(vendor_id="echo") as request:
            return v201.DataTransferResponse(status=v201.DataTransferStatusEnum.ACCEPTED, data=request.data)
        case v201.DataTransferRequest(vendor_id="call me back"):
            await outcome(link, v201.ClearCacheRequest(), trace)
            await outcome(link, v201.ResetRequest(type=v201.ResetEnum.IMMEDIATE), trace)
            return v201.DataTransferResponse(status=v201.DataTransferStatusEnum.ACCEPTED)
        case v201.DataTransferRequest(vendor_id="refuse"):
            raise RefuseCallError(ErrorCode.SECURITY_ERROR, "not you", {"why": 1})
        case v201.DataTransferRequest(vendor_id="a bug"):
            raise RuntimeError("a bug of the application")
    return None


async def handle_on_station(link: Caller, call: CallReceived | SendReceived, trace: Trace) -> Any:
    """The station's answers."""
    trace.note("called", call.action)
    if isinstance(call.request, v201.ClearCacheRequest):
        return v201.ClearCacheResponse(status=v201.ClearCacheStatusEnum.ACCEPTED)
    raise RefuseCallError(ErrorCode.NOT_SUPPORTED, "never")
