"""mTLS with the station's key in a TPM, through every adapter: each server, each way to be a client."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest

from ocpp_adapters import anyio_rpc, poll_rpc, threads_rpc
from ocpp_adapters.anyio_link import dial_in_worker
from ocpp_adapters.poll import Poll
from ocpp_adapters.rpc_client import HandshakeFailedError
from ocpp_adapters.rpc_link import CallFailedError, RpcLink
from ocpp_core import Role
from ocpp_core.messages import v201
from ocpp_core.wire import ClientConfig
from ocpp_security.keys import KeyAlgorithm, take_failure
from tests.adapters.servers import ADAPTERS, Adapter
from tests.security.keys.tls_kit import STATION, VERSIONS, TlsKit, common_name
from tests.security.tpm.support import SoftwareTpm, station, tpm

pytestmark = pytest.mark.anyio
TRIGGER = v201.HeartbeatRequest()


@pytest.fixture(params=ADAPTERS, ids=str)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


@pytest.fixture
def anyio_backend(adapter: Adapter) -> str:
    return adapter.backend


@asynccontextmanager
async def csms(adapter: Adapter, context: ssl.SSLContext) -> AsyncIterator[tuple[ClientConfig, list[str]]]:
    """A CSMS on an adapter: where to connect, and the common names that it sees."""
    seen: list[str] = []
    async with anyio.create_task_group() as tasks:
        concurrency = adapter.concurrency(tasks)

        def admit(handshake: Any, peer: Any) -> RpcLink:
            seen.append(common_name(peer.tls))
            return RpcLink(Role.CSMS, anyio_rpc.refuse_all, concurrency)

        async with adapter.serve(admit, ssl_context=context) as port:
            yield ClientConfig(url=f"wss://localhost:{port}/CP1", subprotocols=("ocpp2.0.1",)), seen
        tasks.cancel_scope.cancel()


def by_threads(config: ClientConfig, context: ssl.SSLContext) -> None:
    with threads_rpc.open_rpc(config, ssl_context=context) as link, pytest.raises(CallFailedError):
        link.call(TRIGGER)


def by_poll(config: ClientConfig, context: ssl.SSLContext) -> None:
    poll = Poll()
    link = poll_rpc.open_rpc(poll, config, ssl_context=context)
    while not link.opened:
        poll.step()
    task = link.call(TRIGGER)
    while not task.done:
        poll.step()
    with pytest.raises(CallFailedError):
        task.result()
    link.close()
    while link.closed is None:
        poll.step()


async def by_anyio(config: ClientConfig, context: ssl.SSLContext) -> None:
    for dial in (anyio_rpc.dial, dial_in_worker):
        async with anyio_rpc.open_rpc(config, ssl_context=context, dial=dial) as link:
            with pytest.raises(CallFailedError):
                await link.call(TRIGGER)


@pytest.mark.requirement("A00.FR.401", "A00.FR.402", "A00.FR.415")
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
async def test_every_client_at_every_server(
    adapter: Adapter, kit: TlsKit, store: Any, algorithm: KeyAlgorithm, version: ssl.TLSVersion
) -> None:
    context = station(kit, store.create("leaf", algorithm), version)
    async with csms(adapter, kit.server(version)) as (config, seen):
        with anyio.fail_after(20):
            await by_anyio(config, context)
            await anyio.to_thread.run_sync(by_threads, config, context)
            await anyio.to_thread.run_sync(by_poll, config, context)
    assert seen == [STATION] * 4


@pytest.mark.parametrize("adapter", ADAPTERS[:1], ids=str)
@pytest.mark.parametrize("client", [by_threads, by_poll])
async def test_a_dead_tpm_is_a_failed_link(
    adapter: Adapter, kit: TlsKit, folder: Any, client: Callable[[ClientConfig, ssl.SSLContext], None]
) -> None:
    """The station stays up: it hears that the handshake failed, and why if it asks, and tries again."""
    with SoftwareTpm() as chip, tpm.TpmConnection(chip.tcti) as connection:
        context = station(kit, tpm.TpmKeyStore(folder, connection).create("leaf"))
        async with csms(adapter, kit.server()) as (config, seen):
            chip.stop()
            with pytest.raises(HandshakeFailedError):
                await anyio.to_thread.run_sync(client, config, context)
            assert isinstance(take_failure(context), tpm.TpmLostError)
            chip.start()
            await anyio.to_thread.run_sync(client, config, context)
        assert seen == [STATION]
