"""A Flask application that is a central system too: stations in threads, calls from any request's thread.

``curl -X POST localhost:8000/stations/CP01/reset``: ``python examples/flask_threads.py [PORT [HTTP_PORT]]``.
"""

import sys
from datetime import UTC, datetime

from flask import Flask
from werkzeug.serving import make_server

from ocpp_adapters.rpc_link import CallFailedError, RefuseCallError
from ocpp_adapters.sessions import Peer
from ocpp_adapters.threads_monitor import Monitor
from ocpp_adapters.threads_rpc import BlockingLink
from ocpp_adapters.threads_server import serve
from ocpp_core import Role
from ocpp_core.messages import Response, v201
from ocpp_core.rpc import CallReceived, ErrorCode, SendReceived
from ocpp_core.wire import HandshakeReceived, ServerConfig

app = Flask(__name__)
monitor = Monitor()
stations: dict[str, BlockingLink] = {}


def admit(handshake: HandshakeReceived, peer: Peer) -> BlockingLink:
    """Let every station in. Runs in a thread of its own: a query of a database may stand here."""
    del peer
    stations[handshake.identity] = link = BlockingLink(Role.CSMS, handle, monitor)
    return link


def handle(link: BlockingLink, call: CallReceived | SendReceived) -> Response:
    """Answer a call; runs in a thread of its own, too, and may call back."""
    match call.request:
        case v201.BootNotificationRequest(charging_station=station):
            print(f"{link.identity} is a {station.vendor_name} {station.model}", flush=True)
            return v201.BootNotificationResponse(
                current_time=datetime.now(UTC), interval=300, status=v201.RegistrationStatusEnum.ACCEPTED
            )
        case v201.HeartbeatRequest():
            return v201.HeartbeatResponse(current_time=datetime.now(UTC))
    raise RefuseCallError(ErrorCode.NOT_IMPLEMENTED)


@app.post("/stations/<identity>/reset")
def reset(identity: str) -> tuple[dict[str, str], int]:
    """Ask a station to restart, and wait for what it says."""
    if identity not in stations:
        return {"error": "no such station"}, 404
    try:
        response = stations[identity].call(v201.ResetRequest(type=v201.ResetEnum.ON_IDLE))
    except CallFailedError as error:
        return {"error": str(error)}, 502
    assert isinstance(response, v201.ResetResponse)
    return {"status": response.status}, 200


def main(port: int, http_port: int) -> None:
    """Listen for ever."""
    config = ServerConfig(subprotocols=("ocpp2.0.1",))
    with serve(admit, "127.0.0.1", port, monitor=monitor, config=config) as server:
        web = make_server("127.0.0.1", http_port, app, threaded=True)
        print(f"listening on {server.port}", flush=True)
        print(f"HTTP on {web.server_port}", flush=True)
        web.serve_forever()


if __name__ == "__main__":
    ports = [int(argument) for argument in sys.argv[1:]]
    main(*[*ports, *(9000, 8000)[len(ports) :]])
