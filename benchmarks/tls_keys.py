"""TLS handshakes with a client certificate whose key is in a TPM (swtpm) against one in a file, in memory.

Both sides shake hands in this process, so half of the cost is the server's. The TPM in software is a process
of its own: wall time, since CPU time here would not see it.
"""

import shutil
import ssl
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from benchmarks.report import Table, amount, ratio
from ocpp_security.keys import FileKeyStore, Handshake, KeyAlgorithm, KeyStore, PrivateKey
from tests.security.tpm.swtpm import SoftwareTpm

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
ALGORITHMS = (KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048)
ROUNDS = 3
_CA = ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(folder: Path, common_name: str, public_key: ec.EllipticCurvePublicKey | PrivateKey) -> Path:
    """A certificate of the benchmark's CA in a file."""
    now = datetime.now(UTC)
    key = public_key.public_key if isinstance(public_key, PrivateKey) else public_key
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .issuer_name(_name("ca"))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=common_name == "ca", path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
        .sign(_CA, hashes.SHA256())
    )
    path = folder / f"{made.serial_number}.pem"
    path.write_bytes(made.public_bytes(Encoding.PEM))
    return path


def _context(
    folder: Path, protocol: ssl._SSLMethod, key: PrivateKey, ca: Path, version: ssl.TLSVersion
) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    key.use_for_tls(context, _certificate(folder, "localhost", key))
    return context


def _shake(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    here = Handshake(client, server_hostname="localhost")
    there = Handshake(server, server_side=True)
    data = here.step()
    while not there.done:
        data = here.step(there.step(data))


def _rate(client: ssl.SSLContext, server: ssl.SSLContext, seconds: float) -> float:
    """Handshakes per second, the best of some rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds:
            _shake(client, server)
            count += 1
        best = max(best, count / spent)
    return best


def _measure(folder: Path, files: KeyStore, keys: KeyStore, seconds: float) -> Iterator[tuple[str, ...]]:
    ca = _certificate(folder, "ca", _CA.public_key())
    server_key = files.create("server")
    for algorithm in ALGORITHMS:
        pair = [store.create(algorithm.name, algorithm) for store in (files, keys)]
        for version in VERSIONS:
            server = _context(folder, ssl.PROTOCOL_TLS_SERVER, server_key, ca, version)
            contexts = [_context(folder, ssl.PROTOCOL_TLS_CLIENT, key, ca, version) for key in pair]
            in_file, in_tpm = (_rate(context, server, seconds) for context in contexts)
            name = version.name.replace("TLSv1_", "TLS 1.")
            yield str(algorithm), name, amount(in_file), amount(in_tpm), ratio(in_tpm, in_file)


def run(seconds: float) -> list[Table]:
    """Handshakes per second by kind of key and TLS version; nothing where there is no TPM in software."""
    try:
        from ocpp_security.tpm import TpmConnection, TpmKeyStore
    except ImportError:
        return []
    if shutil.which("swtpm") is None:
        return []
    with (
        tempfile.TemporaryDirectory() as name,
        SoftwareTpm() as chip,
        TpmConnection(chip.tcti) as connection,
    ):
        folder = Path(name)
        files, keys = FileKeyStore(folder / "files"), TpmKeyStore(folder / "tpm", connection)
        rows = tuple(_measure(folder, files, keys, seconds))
    header = ("client's key", "version", "in a file", "in a TPM", "TPM / file")
    notes = (
        "Both ends in one process, without sockets; wall time. swtpm stands for the TPM: a TPM in hardware "
        "takes 50 to 300 ms for each signature, whatever else is measured here."
    )
    return [Table("TLS: mutual handshakes per second", header, rows, notes)]
