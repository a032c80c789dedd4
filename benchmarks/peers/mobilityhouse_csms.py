"""A central system on mobilityhouse's ``ocpp`` and ``websockets``, as their documentation builds one.

Prints its port. ``ocpp`` validates in a thread pool unless told not to; here it is told not to, which serves
more calls.
"""

import asyncio
from contextlib import suppress

import ocpp.messages
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import Action, AuthorizationStatus, RegistrationStatus
from websockets import Subprotocol

ocpp.messages.ASYNC_VALIDATION = False


class Station(ChargePoint):
    """One connection."""

    @on(Action.boot_notification)
    def on_boot_notification(self, **_: object) -> call_result.BootNotification:
        return call_result.BootNotification(
            current_time="2025-03-14T09:26:53.000Z", interval=300, status=RegistrationStatus.accepted
        )

    @on(Action.start_transaction)
    def on_start_transaction(self, **_: object) -> call_result.StartTransaction:
        return call_result.StartTransaction(
            transaction_id=1804821390, id_tag_info=IdTagInfo(status=AuthorizationStatus.accepted)
        )

    @on(Action.meter_values)
    def on_meter_values(self, **_: object) -> call_result.MeterValues:
        return call_result.MeterValues()


async def serve(connection: websockets.ServerConnection) -> None:
    """Run a station's connection to its end."""
    assert connection.request is not None
    with suppress(websockets.ConnectionClosed):
        await Station(connection.request.path.rpartition("/")[2], connection).start()


async def main() -> None:
    """Serve until killed."""
    async with websockets.serve(
        serve, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")], backlog=2048
    ) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
