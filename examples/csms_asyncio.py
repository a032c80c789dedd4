"""Level 3, behaviour: a central system that takes every station and token, and bills on asyncio.

The same events whatever version a station speaks: ``python examples/csms_asyncio.py [PORT]``.
"""

import asyncio
import sys

from ocpp_adapters.asyncio_server import AsyncioConcurrency, serve
from ocpp_adapters.central import Central, StationLink
from ocpp_adapters.stores import MemoryStores
from ocpp_core.csms import (
    CommandAnswered,
    CsmsAction,
    CsmsConfig,
    Registration,
    StationBooted,
    Topic,
    TransactionEnded,
    TransactionStarted,
    Trigger,
)
from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.domain.tokens import AuthorizationStatus, IdTokenInfo

CONFIG = CsmsConfig(
    registration=Registration(RegistrationStatus.ACCEPTED, interval=300),
    authorization=IdTokenInfo(AuthorizationStatus.ACCEPTED),
)


def observe(link: StationLink, action: CsmsAction) -> None:
    """Called for everything that happens; what was told is durable by then."""
    match action:
        case StationBooted():
            print(f"{link.identity} booted, speaking {link.machine.version}", flush=True)
            with link.turn() as now:
                link.machine.call(Trigger(Topic.HEARTBEAT), now)
        case CommandAnswered():
            print(f"{link.identity} says {action.status} to {type(action.command).__name__}", flush=True)
        case TransactionStarted():
            print(f"{link.identity} started at {action.meter_wh:g} Wh", flush=True)
        case TransactionEnded():
            (bill,) = (it for it in link.machine.billed() if it.transaction == action.transaction)
            print(f"{link.identity} ended: {bill.energy_wh:g} Wh, {bill.stop_reason}", flush=True)


async def main(port: int) -> None:
    """Listen for ever."""
    central = Central(CONFIG, observe, MemoryStores(), AsyncioConcurrency())
    async with await serve(lambda *_: central.session(), "127.0.0.1", port) as server:
        print(f"listening on {server.port}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 9000))
