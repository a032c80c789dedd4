"""The other way to TLS: the tpm2 provider, in a process of its own, a resource manager before the TPM."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import pytest

from ocpp_security.keys import KeyAlgorithm
from tests.security.keys.tls_kit import STATION, VERSIONS, TlsKit, common_name
from tests.security.tpm.support import REASON, SoftwareTpm, tpm

Keys: TypeAlias = dict[KeyAlgorithm, Path]
ALGORITHMS = (KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048)
MAKE = """
import sys
from pathlib import Path
from ocpp_security.keys import KeyAlgorithm, one_secret
from ocpp_security.tpm import TpmConnection, TpmKeyStore

with TpmConnection("tabrmd:bus_type=session") as connection:
    for algorithm in (KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048):
        store = TpmKeyStore(Path(sys.argv[1]) / algorithm.name, connection, auth=one_secret(b"authorise"))
        if not store.names():
            store.create("leaf", algorithm)
"""
CONNECT = """
import socket, ssl, sys
from pathlib import Path
from ocpp_security.keys import one_secret
from ocpp_security.tpm import Provider, TpmConnection, TpmKeyStore

folder, chain, port = sys.argv[1:]
tcti = "tabrmd:bus_type=session"
provider = Provider(tcti)
store = TpmKeyStore(Path(folder), TpmConnection(tcti), auth=one_secret(b"authorise"), provider=provider)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
store.load("leaf").use_for_tls(context, Path(chain))
with socket.create_connection(("127.0.0.1", int(port)), 20) as plain:
    with context.wrap_socket(plain) as secure:
        print(secure.version(), secure.recv(100).decode())
"""


@pytest.fixture(scope="module")
def manager(chip: SoftwareTpm) -> Iterator[str]:
    """The address of a message bus on which a resource manager speaks for the TPM."""
    programs = [
        shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in ("dbus-daemon", "tpm2-abrmd")
    ]
    bus, broker = programs
    if bus is None or broker is None:
        pytest.skip(REASON)
    daemon = subprocess.Popen(
        [bus, "--session", "--nofork", "--print-address"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert daemon.stdout is not None
    address = daemon.stdout.readline().strip()
    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": address}
    root = ["--allow-root"] if os.geteuid() == 0 else []
    abrmd = subprocess.Popen(
        [broker, "--session", f"--tcti={chip.tcti}", *root],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield address
    finally:
        for process in (abrmd, daemon):
            process.kill()
            process.wait()
        daemon.stdout.close()


def run(program: str, *arguments: object, bus: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def keys(kit: TlsKit, manager: str, tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Directories with a key of each kind, made through the resource manager."""
    folder = tmp_path_factory.mktemp("provider")
    deadline = time.monotonic() + 20
    while (made := run(MAKE, folder, bus=manager)).returncode:
        assert time.monotonic() < deadline, made.stderr
        time.sleep(0.1)
    return {algorithm: folder / algorithm.name for algorithm in ALGORITHMS}


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_mtls_through_the_provider(
    kit: TlsKit,
    manager: str,
    keys: dict[KeyAlgorithm, Path],
    algorithm: KeyAlgorithm,
    version: ssl.TLSVersion,
) -> None:
    folder = keys[algorithm]
    chain = kit.chain(tpm.TpmKeyStore(folder, tpm.TpmConnection("none")).load("leaf"))
    context = kit.server(version)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(30)

        def serve() -> None:
            with context.wrap_socket(listener.accept()[0], server_side=True) as secure:
                secure.sendall(common_name(secure).encode())

        served = pool.submit(serve)
        port = listener.getsockname()[1]
        done = run(CONNECT, folder, chain, port, bus=manager)
        assert done.stdout == f"{version.name.replace('v1_', 'v1.')} {STATION}\n", done.stderr
        served.result()


def test_the_provider_needs_the_right_value(
    kit: TlsKit, manager: str, keys: dict[KeyAlgorithm, Path]
) -> None:
    folder = keys[KeyAlgorithm.EC_P256]
    chain = kit.chain(tpm.TpmKeyStore(folder, tpm.TpmConnection("none")).load("leaf"))
    done = run(CONNECT.replace("authorise", "wrong"), folder, chain, 1, bus=manager)
    assert done.returncode
    assert "wrong" not in done.stdout + done.stderr.replace(CONNECT, "")


def test_the_provider_is_not_installed(tmp_path: Path) -> None:
    """The error says what to install."""
    program = "from ocpp_security.tpm import Provider\nProvider('device:/dev/tpmrm0')"
    environment = {**os.environ, "OPENSSL_MODULES": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "TpmTlsUnavailableError" in done.stderr
    assert "apt-get install tpm2-openssl" in done.stderr
