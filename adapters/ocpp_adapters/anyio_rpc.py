"""A station on the rpc level: typed calls over one link, on asyncio or trio."""

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskStatus

from ocpp_core import Role
from ocpp_core.entropy import Entropy
from ocpp_core.rpc import RpcConfig
from ocpp_core.wire import ClientConfig, HandshakeFailed

from .anyio_link import AnyioConcurrency, ClientStream, Dial, dial, unwrap
from .routes import Route, route_of
from .rpc_client import AnnouncedLink, refuse_all
from .rpc_client import HandshakeFailedError as HandshakeFailedError
from .rpc_link import Handler, RpcLink


@asynccontextmanager
async def open_rpc(
    route: ClientConfig | Route,
    handler: Handler = refuse_all,
    *,
    ssl_context: ssl.SSLContext | None = None,
    rpc: RpcConfig | None = None,
    entropy: Entropy = os.urandom,
    dial: Dial = dial,
) -> AsyncIterator[RpcLink]:
    """Connect as a station; a context manager that closes the link in good order.

    Arguments:
        route: the connection URL (:func:`~ocpp_core.wire.connection_url` makes one), the versions offered
            as ``subprotocols``, the credentials; and how to get there, if there is more to it.
        handler: what answers the CSMS's calls.
        ssl_context: for ``wss://`` if the route has none; None: the system's default.
        rpc: time-out and limits of calls.
        entropy: the source of masking keys and message ids; must be cryptographic in the field.
        dial: opens the transport; ``anyio_link.dial_in_worker`` if the TLS key is in a TPM.

    A link that is lost while the context is open fails every call with CallFailedError, see also
    :meth:`~ocpp_adapters.rpc_link.RpcLink.wait_closed`. Handlers still at work at the end are cancelled.

    Raises:
        HandshakeFailedError: the CSMS refused.
        OSError: nobody is there, or TLS failed.
    """
    route = route_of(route, ssl_context)
    stream = await dial(route)
    try:
        async with anyio.create_task_group() as tasks:
            link = AnnouncedLink(Role.STATION, handler, AnyioConcurrency(tasks), rpc, entropy)
            await tasks.start(_drive, ClientStream(stream, route.config, link, entropy), link)
            yield link
            link.close()
            await link.wait_closed()
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise unwrap(group) from None


async def _drive(driver: ClientStream, link: AnnouncedLink, *, task_status: TaskStatus[None]) -> None:
    link.announce = task_status.started
    outcome = await driver.run()
    if isinstance(outcome, HandshakeFailed):
        raise HandshakeFailedError(outcome)
