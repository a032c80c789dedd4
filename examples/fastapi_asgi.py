"""A FastAPI application that is a central system too: one process, one port, one event loop.

Every station and token is taken: ``python examples/fastapi_asgi.py [PORT]``; stations connect to
``ws://localhost:PORT/ocpp/IDENTITY``, ``POST /stations/IDENTITY/trigger/Heartbeat`` asks one for a message.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, HTTPException

from ocpp_adapters.asgi import OcppEndpoint
from ocpp_adapters.asyncio_server import AsyncioConcurrency
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
    Trigger,
)
from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.domain.tokens import AuthorizationStatus, IdTokenInfo

CONFIG = CsmsConfig(
    registration=Registration(RegistrationStatus.ACCEPTED, interval=300),
    authorization=IdTokenInfo(AuthorizationStatus.ACCEPTED),
)


def observe(link: StationLink, action: CsmsAction) -> None:
    """Called for everything that happens."""
    match action:
        case StationBooted(info=info):
            print(f"{link.identity} is a {info.vendor} {info.model}", flush=True)
        case TransactionEnded(stop_reason=reason):
            print(f"{link.identity} ended a transaction: {reason}", flush=True)


central = Central(CONFIG, observe, MemoryStores(), AsyncioConcurrency())
stations = OcppEndpoint(lambda *_: central.session())


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Say goodbye to the stations when the application ends."""
    del app
    yield
    await stations.close()


app = FastAPI(lifespan=lifespan)
app.mount("/ocpp", stations)


@app.post("/stations/{identity}/trigger/{topic}")
async def trigger(identity: str, topic: Topic) -> dict[str, str]:
    """Ask a station for a message, whatever version it speaks."""
    if identity not in central.links:
        raise HTTPException(404, "no such station")
    answer = await central.links[identity].call(Trigger(topic))
    if not isinstance(answer, CommandAnswered):
        raise HTTPException(502, f"no answer: {answer}")
    return {"status": answer.status}


async def main(port: int) -> None:
    """Listen for ever."""
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(f"listening on {server.servers[0].sockets[0].getsockname()[1]}", flush=True)
    await serving


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 9000))
