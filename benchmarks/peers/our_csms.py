"""Our central system: ``python -m benchmarks.peers.our_csms rpc|csms|durable``. Prints its port.

``rpc``: typed calls, answered by a handler, as mobilityhouse's and ocpp-rpc's are. ``csms``: the CSMS
machine, with registration, transactions, de-duplication and domain events, over rows in memory. ``durable``:
the same over SQLite, every row on the disk before its call is answered.
"""

import asyncio
import gc
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from ocpp_adapters.asyncio_server import AsyncioConcurrency, DiskThread, serve
from ocpp_adapters.central import Central, StationLink
from ocpp_adapters.rpc_link import RpcLink
from ocpp_adapters.sessions import Admit
from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_adapters.stores import GroupCommitter, MemoryStores, Stores
from ocpp_core import OcppVersion, Role
from ocpp_core.csms import CsmsAction, CsmsConfig, Registration, TransactionUpdated
from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.domain.tokens import AuthorizationStatus, IdTokenInfo
from ocpp_core.messages import Response, v16
from ocpp_core.rpc import CallReceived, RpcConfig, SendReceived, codec_for

ACTIONS = ("BootNotification", "StartTransaction", "MeterValues")
ACCEPTED = v16.IdTagInfo(status=v16.AuthorizationStatus.ACCEPTED)
ANSWERS: dict[str, Response] = {
    "BootNotification": v16.BootNotificationResponse(
        current_time=datetime(2025, 3, 14, tzinfo=UTC), interval=300, status=v16.RegistrationStatus.ACCEPTED
    ),
    "StartTransaction": v16.StartTransactionResponse(transaction_id=1804821390, id_tag_info=ACCEPTED),
    "MeterValues": v16.MeterValuesResponse(),
}


def rpc_level() -> Admit:
    """A handler for every call."""
    config = RpcConfig()
    concurrency = AsyncioConcurrency()

    def handle(_link: RpcLink, call: CallReceived | SendReceived) -> Response:
        return ANSWERS[call.action]

    return lambda *_: RpcLink(Role.CSMS, handle, concurrency, config)


def csms_level(stores: Stores) -> Admit:
    """The CSMS machine, and an application that looks at what it tells."""
    config = CsmsConfig(
        registration=Registration(RegistrationStatus.ACCEPTED),
        authorization=IdTokenInfo(AuthorizationStatus.ACCEPTED),
    )
    updates = 0

    def observe(_link: StationLink, action: CsmsAction) -> None:
        nonlocal updates
        if type(action) is TransactionUpdated:
            updates += 1

    central = Central(config, observe, stores, AsyncioConcurrency())
    return lambda *_: central.session()


def admission(level: str, folder: str) -> Admit:
    """Who answers the stations."""
    if level == "rpc":
        return rpc_level()
    if level == "csms":
        return csms_level(MemoryStores())
    return csms_level(GroupCommitter(SqliteStore(Path(folder) / "rows.sqlite"), DiskThread().submit))


async def main(level: str) -> None:
    """Serve until killed."""
    codec_for(OcppVersion.V16, Role.CSMS).prebuild(ACTIONS)
    with tempfile.TemporaryDirectory() as folder:
        server = await serve(admission(level, folder), "127.0.0.1", backlog=2048)
        gc.collect()
        gc.freeze()
        print(server.port, flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
