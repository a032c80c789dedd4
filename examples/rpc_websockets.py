"""Level 2, text frames to typed calls: handlers of a central system on the ``websockets`` library.

Accepts every 1.6 station and every token: ``python examples/rpc_websockets.py [PORT]``.
"""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime

from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from ocpp_core import OcppVersion, Role
from ocpp_core.messages import Request, Response, v16
from ocpp_core.rpc import CallReceived, ErrorCode, RpcSession, SendFrame


def handle(request: Request) -> Response | None:
    """Answer a call; None for what this central system does not do."""
    match request:
        case v16.BootNotificationRequest():
            print(f"{request.charge_point_vendor} {request.charge_point_model} booted", flush=True)
            return v16.BootNotificationResponse(
                current_time=datetime.now(UTC), interval=300, status=v16.RegistrationStatus.ACCEPTED
            )
        case v16.HeartbeatRequest():
            return v16.HeartbeatResponse(current_time=datetime.now(UTC))
        case v16.AuthorizeRequest():
            return v16.AuthorizeResponse(id_tag_info=v16.IdTagInfo(status=v16.AuthorizationStatus.ACCEPTED))
        case v16.StatusNotificationRequest():
            print(f"connector {request.connector_id} is {request.status}", flush=True)
            return v16.StatusNotificationResponse()
    return None


async def station(socket: ServerConnection) -> None:
    """One station's link, until it closes. (This side makes no calls, so the session has no timers.)"""
    rpc = RpcSession(OcppVersion(socket.subprotocol or ""), Role.CSMS, os.urandom)
    async for text in socket:
        rpc.receive_frame(str(text), time.monotonic())
        while actions := rpc.actions():
            for action in actions:
                match action:
                    case CallReceived(call_id, request=request) if response := handle(request):
                        rpc.respond(call_id, response, time.monotonic())
                    case CallReceived(call_id):
                        rpc.respond_error(call_id, ErrorCode.NOT_SUPPORTED, "", None, time.monotonic())
                    case SendFrame(text):
                        await socket.send(text)


async def main(port: int) -> None:
    """Listen for ever."""
    async with serve(station, "127.0.0.1", port, subprotocols=[Subprotocol("ocpp1.6")]) as server:
        print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 9000))
