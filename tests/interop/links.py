"""Our end on the rpc level, as a CSMS and as a station, with a foreign process at the other end."""

import asyncio

from ocpp_adapters.anyio_rpc import open_rpc
from ocpp_adapters.asyncio_server import AsyncioConcurrency, serve
from ocpp_adapters.rpc_link import RpcLink
from ocpp_adapters.sessions import Decision, Reject, TextLink
from ocpp_adapters.sessions import Peer as Remote
from ocpp_core import OcppVersion, Role
from ocpp_core.wire import ClientConfig, Credentials, HandshakeReceived, ServerConfig
from tests.interop.conversation import Ours, Peer, Report, Script

STATION = "STATION-1"


class Central(RpcLink):
    """Our CSMS's end, which makes its calls once the link is open."""

    __slots__ = ("_ours", "_talk")

    def __init__(self, ours: Ours) -> None:
        super().__init__(Role.CSMS, ours.handle, AsyncioConcurrency())
        self._ours = ours

    def link_opened(self, link: TextLink, now: float) -> None:
        super().link_opened(link, now)
        self._talk = asyncio.get_running_loop().create_task(self._ours.run(self))


async def with_their_station(
    name: str, version: OcppVersion, ours: Ours, theirs: Script, password: str | None = None
) -> Report:
    """Our CSMS, which may want a password, and their station; what they report."""

    def admit(handshake: HandshakeReceived, _remote: Remote) -> Decision:
        given = handshake.credentials
        if password is None or (given is not None and given.matches(STATION, password.encode())):
            return Central(ours)
        return Reject(401)

    async with await serve(admit, "127.0.0.1", config=ServerConfig(subprotocols=(version,))) as server:
        peer = Peer(name, "station", version, f"ws://127.0.0.1:{server.port}/ocpp/{STATION}")
        try:
            await peer.start(theirs)
            return await peer.finish()
        finally:
            await peer.end()


async def with_their_csms(
    name: str, version: OcppVersion, ours: Ours, theirs: Script, password: str | None = None
) -> Report:
    """Our station, which may have a password, and their CSMS; what they report."""
    credentials = None if password is None else Credentials(STATION.encode(), password.encode())
    peer = Peer(name, "csms", version)
    try:
        await peer.start(theirs)
        url = f"ws://127.0.0.1:{await peer.port()}/{STATION}"
        config = ClientConfig(url=url, subprotocols=(version,), credentials=credentials)
        async with open_rpc(config, ours.handle) as link:
            await ours.run(link)
        return await peer.finish()
    finally:
        await peer.end()
