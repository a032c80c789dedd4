"""Our central system: ``python -m benchmarks.peers.our_csms rpc|csms``. Prints its port.

``rpc``: typed calls, answered by hand as mobilityhouse's and ocpp-rpc's handlers do. ``csms``: the CSMS machine
on top, with registration, transactions, de-duplication and domain events.
"""

import asyncio
import gc
import os
from datetime import UTC, datetime

from ocpp_adapters.asyncio_server import serve
from ocpp_adapters.sessions import Peer, Session, TextLink
from ocpp_core import OcppVersion, Role
from ocpp_core.messages import Response, v16
from ocpp_core.rpc import CallReceived, RpcConfig, RpcSession, SendFrame, codec_for
from ocpp_core.wire import HandshakeReceived

CONFIG = RpcConfig()
BOOTED = v16.BootNotificationResponse(
    current_time=datetime(2025, 3, 14, tzinfo=UTC), interval=300, status=v16.RegistrationStatus.ACCEPTED
)
ANSWERS: dict[str, Response] = {"BootNotification": BOOTED, "MeterValues": v16.MeterValuesResponse()}


class RpcLevel(Session):
    """Typed calls, answered from a table."""

    __slots__ = ("_link", "_rpc")

    _link: TextLink

    def __init__(self) -> None:
        self._rpc = RpcSession(OcppVersion.V16, Role.CSMS, os.urandom, CONFIG)

    def link_opened(self, link: TextLink, now: float) -> None:
        del now
        self._link = link

    def receive_text(self, text: str, now: float) -> None:
        rpc = self._rpc
        rpc.receive_frame(text, now)
        while actions := rpc.actions():
            for action in actions:
                if type(action) is SendFrame:
                    self._link.send_text(action.text)
                elif type(action) is CallReceived:
                    rpc.respond(action.call_id, ANSWERS[action.action], now)


def admit(_handshake: HandshakeReceived, _peer: Peer) -> Session:
    return RpcLevel()


async def main() -> None:
    """Serve until killed."""
    codec_for(OcppVersion.V16, Role.CSMS).prebuild(["BootNotification", "MeterValues"])
    server = await serve(admit, "127.0.0.1", backlog=2048)
    gc.collect()
    gc.freeze()
    print(server.port, flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
