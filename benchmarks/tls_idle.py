"""What an idle connection costs the native server: without TLS, with ours, with asyncio's own.

``python -m benchmarks.tls_idle KIND [COUNT]`` is one server with its stations in a further process; it prints
the resident memory in bytes and the CPU time in seconds per connection.
"""

import asyncio
import gc
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from benchmarks.report import Table, amount
from ocpp_adapters import asyncio_server
from ocpp_adapters.server_driver import Registry
from ocpp_adapters.sessions import Session
from ocpp_adapters.tls_policy import CsmsTls, files
from ocpp_core.wire import ServerConfig

CONNECTIONS = 1_000
KINDS = {"plain": "without TLS", "ours": "TLS 1.3, this library's", "asyncio": "TLS 1.3, asyncio's own"}
CLIENTS = """
import socket, ssl, sys
port, count, secure = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] != "plain"
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
held = []
for number in range(count):
    link = socket.create_connection(("127.0.0.1", port))
    held.append(context.wrap_socket(link) if secure else link)
    held[-1].sendall((
        f"GET /CP{number} HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n"
        "Sec-WebSocket-Protocol: ocpp1.6\\r\\n\\r\\n"
    ).encode())
    assert held[-1].recv(4096).startswith(b"HTTP/1.1 101 ")
print("open", flush=True)
sys.stdin.read()
"""


def _certificate(folder: Path) -> Path:
    """A certificate that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    path = folder / "both.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM) + secret)
    return path


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def _serve(kind: str, folder: Path, count: int) -> tuple[float, float]:
    """Bytes and seconds of CPU per connection."""
    context = CsmsTls(credentials=(files(_certificate(folder)),)).context()
    registry = Registry(lambda _handshake, _peer: Session(), ServerConfig(ping_interval=300.0), None)
    server = asyncio_server.Server(registry, context if kind == "ours" else None)
    await server.listen(host="127.0.0.1", port=0, ssl=context if kind == "asyncio" else None)
    async with server:
        before, began = _resident(), time.process_time()
        clients = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CLIENTS, str(server.port), str(count), kind),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert clients.stdout is not None
        assert await clients.stdout.readline() == b"open\n"
        spent, grown = time.process_time() - began, _resident() - before
        clients.kill()
        await clients.wait()
    return grown / count, spent / count


def run() -> list[Table]:
    """Memory and CPU time per connection, each kind in a process of its own."""
    rows = []
    for kind, name in KINDS.items():
        command = [sys.executable, "-m", "benchmarks.tls_idle", kind, str(CONNECTIONS)]
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        size, spent = map(float, said.split())
        rows.append((name, f"{size / 1024:.3g} kB", f"{spent * 1000:.3g} ms"))
    header = ("transport", "resident memory", "server's CPU time until open")
    notes = (
        f"{amount(CONNECTIONS)} idle connections to the native server, an ECDSA certificate, no resumption."
    )
    return [Table("TLS: what a connection costs", header, tuple(rows), notes)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        wanted = int(sys.argv[2]) if len(sys.argv) > 2 else CONNECTIONS
        print(*asyncio.run(_serve(sys.argv[1], Path(made), wanted)))
