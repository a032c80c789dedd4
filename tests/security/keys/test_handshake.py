"""Handshakes whose steps block, driven by an event loop that does not."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from ocpp_security.keys import (
    FileKeyStore,
    Handshake,
    HandshakeEndedError,
    KeyPasswordError,
    drive,
    named_failures,
    take_failure,
)
from ocpp_security.keys.failures import note_failure
from tests.security.keys.tls_kit import SERVER, STATION, TlsKit, common_name, shake


@pytest.fixture
def client(kit: TlsKit, folder: Path) -> ssl.SSLContext:
    key = FileKeyStore(folder).create("leaf")
    context = kit.client()
    key.use_for_tls(context, kit.chain(key))
    return context


class Wire:
    """One end of a byte stream in memory, for any loop."""

    def __init__(self, send: Any, receive: Any) -> None:
        self._send, self._receive = send, receive
        self.sent = b""

    async def receive(self) -> bytes:
        try:
            return bytes(await self._receive.receive())
        except anyio.EndOfStream:
            return b""

    async def send(self, data: bytes) -> None:
        self.sent += data
        await self._send.send(data)

    async def end(self) -> None:
        await self._send.aclose()


@contextlib.contextmanager
def wires() -> Any:
    there, here = (anyio.create_memory_object_stream[bytes](10) for _ in range(2))
    with contextlib.ExitStack() as stack:
        for end in (*there, *here):
            stack.enter_context(end)
        yield Wire(there[0], here[1]), Wire(here[0], there[1])


class Slow(Handshake):
    """A step takes as long as a signature in hardware."""

    def step(self, data: bytes = b"") -> bytes:
        time.sleep(0.5)
        return super().step(data)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_loop_goes_on_while_a_step_blocks(kit: TlsKit, client: ssl.SSLContext, backend: str) -> None:
    async def main() -> tuple[Handshake, float]:
        gaps = []

        async def tick() -> None:
            while True:
                before = time.monotonic()
                await anyio.sleep(0.005)
                gaps.append(time.monotonic() - before)

        here = Slow(client, server_hostname=SERVER)
        there = Handshake(kit.server(), server_side=True)
        with wires() as (left, right):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(tick)
                async with anyio.create_task_group() as both:
                    both.start_soon(drive, here, left.receive, left.send, anyio.to_thread.run_sync)
                    both.start_soon(drive, there, right.receive, right.send, anyio.to_thread.run_sync)
                tasks.cancel_scope.cancel()
        return there, max(gaps)

    there, longest = anyio.run(main, backend=backend)
    assert there.done
    assert common_name(there.ssl_object) == STATION
    assert longest < 0.4, "a blocked loop would stand still for 0.5 s"


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_a_peer_that_goes_away(client: ssl.SSLContext) -> None:
    async def work() -> None:
        with wires() as (left, right):
            await right.end()
            handshake = Handshake(client, server_hostname=SERVER)
            await drive(handshake, left.receive, left.send, asyncio.to_thread)

    with pytest.raises(HandshakeEndedError):
        run(work)


def test_the_peer_is_told_that_it_failed(kit: TlsKit, client: ssl.SSLContext) -> None:
    async def work() -> None:
        with wires() as (left, right):
            there = Handshake(kit.server(), server_side=True)
            handshake = Handshake(client, server_hostname="another.example")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(drive(there, right.receive, right.send, asyncio.to_thread))
                with pytest.raises(ssl.SSLCertVerificationError):
                    await drive(handshake, left.receive, left.send, asyncio.to_thread)

    with pytest.raises(ExceptionGroup) as raised:
        run(work)
    assert "ALERT" in str(raised.value.exceptions[0])


def test_what_the_key_says_is_what_is_raised(kit: TlsKit) -> None:
    """Whoever signs notes why it cannot; the handshake's own error becomes the cause."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    reason = KeyPasswordError("the authorisation value is wrong")
    note_failure(context, reason)
    with pytest.raises(KeyPasswordError, match="authorisation") as raised, named_failures(context):
        raise ssl.SSLError(1, "EVP lib")
    assert raised.value is reason
    assert isinstance(raised.value.__cause__, ssl.SSLError)
    assert take_failure(context) is None
    with pytest.raises(ssl.SSLError, match="EVP lib"), named_failures(context):
        raise ssl.SSLError(1, "EVP lib")


def test_a_failure_does_not_keep_its_context_alive() -> None:
    import gc
    import weakref

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    seen = weakref.ref(context)
    try:
        raise KeyPasswordError("in a frame that knows the context")
    except KeyPasswordError as error:
        note_failure(context, error)
    del context
    gc.collect()
    assert seen() is None


def test_a_handshake_in_memory(kit: TlsKit, client: ssl.SSLContext) -> None:
    assert shake(client, kit.server()).peer == STATION
