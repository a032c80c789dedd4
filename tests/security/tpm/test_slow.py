"""A TPM in hardware takes its time to sign; a station's loop has other things to do meanwhile."""

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from ocpp_adapters import anyio_server
from ocpp_adapters.anyio_link import AnyioConcurrency, dial, dial_in_worker
from ocpp_adapters.anyio_rpc import open_rpc
from ocpp_adapters.anyio_tls import secure
from ocpp_adapters.routes import Route
from ocpp_adapters.rpc_client import refuse_all
from ocpp_adapters.rpc_link import CallFailedError, RpcLink
from ocpp_core import Role
from ocpp_core.messages import v201
from ocpp_core.rpc import FailureReason
from ocpp_core.wire import ClientConfig
from ocpp_security.keys import named_failures
from tests.security.keys.tls_kit import SERVER, TLS12, TLS13, TlsKit
from tests.security.tpm.support import SoftwareTpm, station, tpm

pytestmark = pytest.mark.anyio
DELAY = 0.8


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class SlowConnection(tpm.TpmConnection):  # type: ignore[misc,name-defined]
    """Each use takes as long as hardware does."""

    delay = 0.0

    def run(self, doing: str, work: Any) -> Any:
        time.sleep(self.delay)
        return super().run(doing, work)


@pytest.fixture
def slow(folder: Path) -> Iterator[tuple[SoftwareTpm, SlowConnection, Any]]:
    """A slow TPM, and a key in it."""
    with SoftwareTpm() as chip, SlowConnection(chip.tcti) as connection:
        yield chip, connection, tpm.TpmKeyStore(folder, connection).create("leaf")


@asynccontextmanager
async def csms(context: ssl.SSLContext) -> AsyncIterator[ClientConfig]:
    """A CSMS that answers no calls but lives; where to connect."""
    async with anyio.create_task_group() as tasks:

        def admit(handshake: object, peer: object) -> RpcLink:
            return RpcLink(Role.CSMS, refuse_all, AnyioConcurrency(tasks))

        serve = partial(anyio_server.serve, admit, "127.0.0.1", ssl_context=context)
        server = await tasks.start(serve)
        yield ClientConfig(url=f"wss://localhost:{server.port}/CP1", subprotocols=("ocpp2.0.1",))
        tasks.cancel_scope.cancel()


@contextmanager
def watched(gaps: list[float], tasks: Any) -> Iterator[None]:
    """Notes how long the loop did not come round, while it is entered."""

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await anyio.sleep(0.005)
            gaps.append(time.monotonic() - before)

    with anyio.CancelScope() as scope:
        tasks.start_soon(tick)
        yield
        scope.cancel()
    tasks.cancel_scope.cancel()


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=lambda version: version.name)
async def test_the_loop_goes_on_while_the_tpm_signs(kit: TlsKit, slow: Any, version: ssl.TLSVersion) -> None:
    _, connection, key = slow
    context = station(kit, key, version)
    connection.delay = DELAY
    gaps: list[float] = []
    begun = time.monotonic()
    async with csms(kit.server()) as config, anyio.create_task_group() as tasks:
        with watched(gaps, tasks):
            async with open_rpc(config, ssl_context=context, dial=dial_in_worker) as link:
                with pytest.raises(CallFailedError) as raised:
                    await link.call(v201.HeartbeatRequest())
    assert raised.value.failure.reason is FailureReason.CALL_ERROR, "an answer, over TLS"
    assert time.monotonic() - begun >= DELAY
    assert max(gaps) < DELAY * 3 / 4, "a loop that waits for the TPM would stand still for all of it"


async def test_large_messages_and_a_goodbye(kit: TlsKit, slow: Any) -> None:
    """What comes after the handshake runs on the loop, through the same stream."""
    context = station(kit, slow[2])
    async with csms(kit.server()) as config:
        async with open_rpc(config, ssl_context=context, dial=dial_in_worker) as link:
            for size in (1, 100_000):
                with pytest.raises(CallFailedError) as raised:
                    await link.call(v201.DataTransferRequest(vendor_id="v", data="x" * size))
                assert raised.value.failure.reason is FailureReason.CALL_ERROR
        closed = await link.wait_closed()
    assert closed.code == 1000


@pytest.mark.parametrize("dialler", [dial, dial_in_worker])
async def test_a_failure_has_its_name_on_every_way(
    kit: TlsKit, slow: Any, dialler: Callable[..., Awaitable[Any]]
) -> None:
    chip, _, key = slow
    context = station(kit, key)
    async with csms(kit.server()) as config:
        chip.stop()
        with pytest.raises(tpm.TpmLostError), named_failures(context):
            await dialler(Route(config=config, ssl_context=context))
        chip.start()
        async with open_rpc(config, ssl_context=context, dial=dial_in_worker) as link:
            assert link.version == "ocpp2.0.1"


async def test_dialling_is_called_off_while_the_tpm_signs(kit: TlsKit, slow: Any) -> None:
    _, connection, key = slow
    context = station(kit, key)
    connection.delay = 1.0
    async with csms(kit.server()) as config:
        begun = time.monotonic()
        with anyio.move_on_after(0.2) as scope:
            await dial_in_worker(Route(config=config, ssl_context=context))
        assert scope.cancelled_caught
        assert time.monotonic() - begun < 0.8


async def test_other_endings(kit: TlsKit, slow: Any) -> None:
    """A server that we do not trust, one that wants a certificate, one that hangs up, and one without TLS."""
    context = station(kit, slow[2])
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with csms(kit.server()) as config:
        with pytest.raises(ssl.SSLCertVerificationError):
            await dial_in_worker(Route(config=config, ssl_context=stranger))
        nameless = await dial_in_worker(
            Route(config=config, ssl_context=kit.client())
        )  # TLS 1.3: it hears of it afterwards
        async with nameless:
            with pytest.raises(ssl.SSLError):
                await nameless.receive()

    async def hang_up(stream: Any) -> None:
        await stream.receive()
        await stream.aclose()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, hang_up)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        route = Route(config=ClientConfig(url=f"wss://{SERVER}:{port}/CP1"), ssl_context=context)
        tcp = await anyio.connect_tcp("127.0.0.1", port)
        with pytest.raises(ConnectionError, match="ended in the TLS handshake"):
            await secure(tcp, route, in_worker=True)
        plain = ClientConfig(url=f"ws://127.0.0.1:{port}/CP1")
        stream = await dial_in_worker(Route(config=plain))
        await stream.send(b"x")
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        await stream.aclose()
        tasks.cancel_scope.cancel()
