"""Typed calls over the WebSockets of aiohttp: the library carries text, this stack does the rest.

``python examples/aiohttp_bridge.py [PORT]``; stations of 2.0.1 connect to ``ws://localhost:PORT/IDENTITY``.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from aiohttp import WSMsgType, web

from ocpp_adapters.asyncio_server import AsyncioConcurrency
from ocpp_adapters.bridge_anyio import carry
from ocpp_adapters.rpc_link import RefuseCallError, RpcLink
from ocpp_core import Role
from ocpp_core.messages import Response, v201
from ocpp_core.rpc import CallReceived, ErrorCode, SendReceived


async def handle(link: RpcLink, call: CallReceived | SendReceived) -> Response:
    """Answer a call; to a boot, call back first."""
    match call.request:
        case v201.BootNotificationRequest(charging_station=station):
            print(f"{link.identity} is a {station.vendor_name} {station.model}", flush=True)
            return v201.BootNotificationResponse(
                current_time=datetime.now(UTC), interval=300, status=v201.RegistrationStatusEnum.ACCEPTED
            )
        case v201.HeartbeatRequest():
            cleared = await link.call(v201.ClearCacheRequest())
            print(f"{link.identity} says {cleared}", flush=True)
            return v201.HeartbeatResponse(current_time=datetime.now(UTC))
    raise RefuseCallError(ErrorCode.NOT_IMPLEMENTED)


async def texts(socket: web.WebSocketResponse) -> AsyncIterator[str]:
    """The text messages of a connection."""
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            yield message.data


async def station(request: web.Request) -> web.WebSocketResponse:
    """One station's connection, to its end."""
    socket = web.WebSocketResponse(protocols=("ocpp2.0.1",), heartbeat=60)
    await socket.prepare(request)
    if socket.ws_protocol is None:
        await socket.close(code=1002, message=b"no common subprotocol")
        return socket
    await carry(
        RpcLink(Role.CSMS, handle, AsyncioConcurrency()),
        texts(socket),
        socket.send_str,
        identity=request.match_info["identity"],
        subprotocol=socket.ws_protocol,
        close=lambda code, reason: socket.close(code=code, message=reason.encode()),
    )
    return socket


async def main(port: int) -> None:
    """Listen for ever."""
    app = web.Application()
    app.router.add_get("/{identity}", station)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"listening on {runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 9000))
