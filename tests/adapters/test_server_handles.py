"""What a CSMS does with its server, whichever it is: see who is there, send one away, renew TLS, end."""

import socket
import ssl
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from ocpp_adapters.sessions import Peer
from ocpp_adapters.tls_policy import CsmsTls
from ocpp_core.wire import HandshakeReceived
from tests.adapters.servers import (
    ADAPTERS,
    SERVERS,
    Adapter,
    Echo,
    RawClient,
    close_frame,
    eventually,
    raw_client,
)
from tests.adapters.tls import pki

pytestmark = pytest.mark.anyio
every_server = pytest.mark.parametrize("adapter", SERVERS, ids=str)


@every_server
async def test_one_that_is_connected_can_be_sent_away(adapter: Adapter) -> None:
    sessions = dict[str, Echo]()

    def admit(handshake: HandshakeReceived, peer: Peer) -> Echo:
        return sessions.setdefault(handshake.identity, Echo())

    async with adapter.server(admit) as server, raw_client(server.port) as client:
        await client.open()
        await eventually(lambda: list(server.connections) == ["CP1"])
        server.connections["CP1"].close(1008, "for maintenance")
        await client.until(b"\x03\xf0for maintenance")
        await client.send(close_frame(1008))
        await client.to_the_end()
        await eventually(lambda: not server.connections)
        await eventually(lambda: sessions["CP1"].closed is not None)


@every_server
async def test_a_renewed_certificate_is_for_connections_to_come(adapter: Adapter, tmp_path: Path) -> None:
    leaf = pki.root(tmp_path).leaf
    before, after = (CsmsTls(credentials=(leaf("localhost").credential,)).context() for _ in range(2))
    async with adapter.server(lambda *_: Echo(), ssl_context=before) as server:
        shown = partial(ssl.get_server_certificate, ("127.0.0.1", server.port), timeout=5.0)
        first = await anyio.to_thread.run_sync(shown)
        server.ssl_context = after
        assert await anyio.to_thread.run_sync(shown) != first


@every_server
async def test_everywhere_is_one_port_and_an_address_is_what_it_is(adapter: Adapter) -> None:
    came: list[tuple[str, int] | None] = []

    def admit(handshake: HandshakeReceived, peer: Peer) -> Echo:
        came.append(peer.address)
        return Echo()

    addresses = ["127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])]
    async with adapter.server(admit, host=None) as server:
        for address in addresses:
            async with await anyio.connect_tcp(address, server.port) as stream:
                await RawClient(stream).open()
    assert [address and address[0] for address in came] == addresses


@pytest.mark.parametrize("adapter", ADAPTERS, ids=str)
async def test_those_who_do_not_go_are_cut_off_in_the_end(adapter: Adapter) -> None:
    async with adapter.server(lambda *_: Echo()) as server:
        async with raw_client(server.port) as client:
            await client.open()
            await eventually(lambda: list(server.connections) == ["CP1"])
            with anyio.fail_after(2):
                await server.close(grace=0.1)
            assert not server.connections
        await server.close()  # nobody is left, nobody is waited for
