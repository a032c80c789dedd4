"""mTLS with the key in a TPM, through the interpreter's own ssl, on everything that Python does TLS with."""

import asyncio
import contextlib
import gc
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.streams.tls import TLSStream

from ocpp_security.keys import (
    FileKeyStore,
    Handshake,
    KeyAlgorithm,
    drive,
    named_failures,
)
from tests.security.keys.tls_kit import SERVER, STATION, VERSIONS, TlsKit, common_name, shake
from tests.security.tpm.support import SoftwareTpm, loaded_objects, openssl, station, tpm

ALGORITHMS = (KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384, KeyAlgorithm.RSA_2048)
P521 = KeyAlgorithm.EC_P521
versions = pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
algorithms = pytest.mark.parametrize("algorithm", ALGORITHMS)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory, chip: SoftwareTpm) -> Iterator[Any]:
    """One key of each kind, in a store for the whole module."""
    with tpm.TpmConnection(chip.tcti) as connection:
        store = tpm.TpmKeyStore(tmp_path_factory.mktemp("keys"), connection)
        for algorithm in (*ALGORITHMS, P521):
            store.create(algorithm.name, algorithm)
        yield store


@pytest.fixture(scope="module")
def port(kit: TlsKit) -> Iterator[int]:
    """A server on a thread that answers with the common name it saw, then ends the connection."""
    context = kit.server()

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(10)
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.sendall(common_name(secure).encode())
                secure.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(8) as pool:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    pool.submit(serve, listener.accept()[0])

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.requirement("A00.FR.401", "A00.FR.402", "A02.FR.05")
@versions
@pytest.mark.parametrize("algorithm", [*ALGORITHMS, P521])
def test_in_memory(kit: TlsKit, keys: Any, algorithm: KeyAlgorithm, version: ssl.TLSVersion) -> None:
    context = station(kit, keys.load(algorithm.name), version)
    server = kit.server(version)
    for _ in range(3):
        ends = shake(context, server)
        assert ends.peer == STATION
        assert ends.client.version() == version.name.replace("v1_", "v1.")


@versions
@algorithms
def test_on_a_blocking_socket(
    kit: TlsKit, keys: Any, port: int, algorithm: KeyAlgorithm, version: ssl.TLSVersion
) -> None:
    context = station(kit, keys.load(algorithm.name), version)
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname=SERVER) as secure,
    ):
        assert secure.recv(100).decode() == STATION


@versions
@algorithms
def test_on_asyncio(
    kit: TlsKit, keys: Any, port: int, algorithm: KeyAlgorithm, version: ssl.TLSVersion
) -> None:
    context = station(kit, keys.load(algorithm.name), version)

    async def main() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=SERVER)
        seen = await reader.read(100)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return seen

    assert asyncio.run(main()).decode() == STATION


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@algorithms
def test_on_anyio(kit: TlsKit, keys: Any, port: int, algorithm: KeyAlgorithm, backend: str) -> None:
    context = station(kit, keys.load(algorithm.name))

    async def main() -> bytes:
        plain = await anyio.connect_tcp("127.0.0.1", port)
        secure = await TLSStream.wrap(plain, hostname=SERVER, ssl_context=context, standard_compatible=False)
        async with secure:
            return await secure.receive(100)

    assert anyio.run(main, backend=backend).decode() == STATION


def test_a_server_with_its_key_in_a_tpm(kit: TlsKit, keys: Any, folder: Path) -> None:
    key = keys.load("EC_P256")
    server = kit.server()
    key.use_for_tls(server, kit.chain(key, SERVER))
    client = FileKeyStore(folder).create("client")
    ends = shake(station(kit, client), server)
    assert ends.peer == STATION
    assert common_name(ends.client) == SERVER


@pytest.mark.parametrize("digest", ["SHA1", "SHA224", "SHA256", "SHA384", "SHA512"])
@pytest.mark.parametrize("name", ["EC_P256", "EC_P384", "EC_P521"])
def test_a_server_that_wants_another_hash(kit: TlsKit, keys: Any, name: str, digest: str) -> None:
    """TLS 1.2 leaves the hash to the server; a TPM knows few, and does not need to know this one."""
    import ctypes

    context = station(kit, keys.load(name), VERSIONS[0])
    server = kit.server(VERSIONS[0])
    for each in (context, server):
        each.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384:@SECLEVEL=0")
    bound = openssl.openssl()
    control = ctypes.CDLL(__import__("_ssl").__file__).SSL_CTX_ctrl
    control.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    set_client_signature_algorithms = 102
    pointer = bound._pointer(server)
    assert control(pointer, set_client_signature_algorithms, 0, f"ECDSA+{digest}".encode()) == 1
    assert shake(context, server).peer == STATION


# Many at a time.


def test_from_many_threads_at_once(kit: TlsKit, keys: Any, port: int, chip: SoftwareTpm) -> None:
    """One lock per TPM: nothing fails, nothing hangs, and what was loaded stays bounded."""
    contexts = [station(kit, keys.load(algorithm.name)) for algorithm in ALGORITHMS]

    def connect(number: int) -> str:
        with (
            socket.create_connection(("127.0.0.1", port), 20) as plain,
            contexts[number % len(contexts)].wrap_socket(plain, server_hostname=SERVER) as secure,
        ):
            return secure.recv(100).decode()

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(connect, range(96)))
    assert seen == [STATION] * 96
    assert loaded_objects(keys._connection) <= 2


def test_more_keys_than_the_tpm_has_places(kit: TlsKit, folder: Path) -> None:
    with SoftwareTpm() as chip, tpm.TpmConnection(chip.tcti, loaded=1) as connection:
        store = tpm.TpmKeyStore(folder, connection)
        contexts = {}
        for number in range(7):
            key = store.create(str(number))
            context = kit.client()
            key.use_for_tls(context, kit.chain(key, f"SN-{number}"))
            contexts[f"SN-{number}"] = context
        server = kit.server()
        for name, context in [*contexts.items()] * 2:
            assert shake(context, server).peer == name
            assert loaded_objects(connection) == 1
        connection.close()
        assert loaded_objects(connection) == 0


def test_resumption_needs_no_signature(kit: TlsKit, folder: Path) -> None:
    """A session resumed does not ask the TPM: it may even be away."""
    with SoftwareTpm() as own, tpm.TpmConnection(own.tcti) as connection:
        key = tpm.TpmKeyStore(folder, connection).create("leaf")
        context, server = station(kit, key, VERSIONS[0]), kit.server(VERSIONS[0])
        session = shake(context, server).client.session
        own.stop()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        here = context.wrap_bio(incoming, outgoing, server_hostname=SERVER, session=session)
        there = Handshake(server, server_side=True)
        for _ in range(4):
            with contextlib.suppress(ssl.SSLWantReadError):
                here.do_handshake()
            incoming.write(there.step(outgoing.read()))
        assert there.done
        assert here.session_reused


# A TPM that is slow, and loops that must not be.


class SlowConnection(tpm.TpmConnection):  # type: ignore[misc,name-defined]
    """Each use takes as long as hardware does."""

    delay = 0.0

    def run(self, doing: str, work: Any) -> Any:
        time.sleep(self.delay)
        return super().run(doing, work)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_slow_tpm_does_not_stop_the_loop(kit: TlsKit, folder: Path, port: int, backend: str) -> None:
    async def main() -> tuple[Handshake, float]:
        gaps: list[float] = []

        async def tick() -> None:
            while True:
                before = time.monotonic()
                await anyio.sleep(0.005)
                gaps.append(time.monotonic() - before)

        async with await anyio.connect_tcp("127.0.0.1", port) as stream, anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            handshake = Handshake(context, server_hostname=SERVER)
            await drive(handshake, stream.receive, stream.send, anyio.to_thread.run_sync)
            tasks.cancel_scope.cancel()
        return handshake, max(gaps)

    with SoftwareTpm() as chip, SlowConnection(chip.tcti) as connection:
        context = station(kit, tpm.TpmKeyStore(folder, connection).create("leaf"))
        connection.delay = 0.6
        handshake, longest = anyio.run(main, backend=backend)
    assert handshake.done
    assert longest < 0.5, "a loop that waits for the TPM would stand still for 0.6 s"


def test_a_failure_has_its_name_on_asyncio_too(kit: TlsKit, folder: Path, port: int) -> None:
    async def main() -> None:
        with named_failures(context):
            await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=SERVER)

    with SoftwareTpm() as own, tpm.TpmConnection(own.tcti) as connection:
        context = station(kit, tpm.TpmKeyStore(folder, connection).create("leaf"))
        own.stop()
        with pytest.raises(tpm.TpmLostError):
            asyncio.run(main())


# What is kept, and for how long.


def test_contexts_and_their_keys_are_freed(kit: TlsKit, keys: Any) -> None:
    bound = openssl.openssl()
    gc.collect()
    before = len(bound._signers)
    key = keys.load("EC_P256")
    context, server = station(kit, key), kit.server()
    ends = shake(context, server)
    seen = weakref.ref(context)
    assert len(bound._signers) == before + 1
    del context
    gc.collect()
    assert seen() is not None, "the connection needs it"
    ends.client.write(b"more")
    del ends
    gc.collect()
    assert seen() is None
    assert len(bound._signers) == before


def test_a_renewed_key_in_the_same_context(kit: TlsKit, keys: Any) -> None:
    """For keys of one kind; OpenSSL has a place for each kind, and would not forget the other kind's."""
    server = kit.server()
    context = station(kit, keys.create("old"))
    old = shake(context, server)
    new = keys.create("new")
    new.use_for_tls(context, kit.chain(new, "renewed"))
    assert shake(context, server).peer == "renewed"
    old.client.write(b"still open")
