"""Fuzz a CSMS's end of TLS: ``python fuzz/fuzz_tls_records.py fuzz/corpus/tls_records``.

The first byte says what the bytes meet (a connection just accepted, or one that is open) and how they come
(as they are, or encrypted by an honest peer), the second how they are cut.
"""

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import atheris
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

with atheris.instrument_imports(include=["ocpp_adapters", "ocpp_core", "h11", "wsproto"]):
    from ocpp_adapters.tls_link import TlsLink, TlsState
    from ocpp_adapters.tls_policy import CsmsTls, Names, StationTls, files
    from ocpp_adapters.tls_wire import SecuredServer
    from ocpp_core.wire import (
        Action,
        Closed,
        CloseTransport,
        HandshakeReceived,
        LinkState,
        SendBytes,
        ServerConfig,
    )

from _harness import chunks, run

CONFIG = ServerConfig(max_header_size=2048, max_message_size=2048)


def make_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A station's and a CSMS's, with a certificate made for this run."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "csms")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "both.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
        station = StationTls(trust=(path,), names=Names.ANY, resumption=False)
        return station.context(), CsmsTls(credentials=(files(path),)).context()


STATION, CSMS = make_contexts()


def take(server: SecuredServer, seen: list[Action]) -> bytes:
    """Carry out what the server wants; returns what it writes."""
    out = b""
    while actions := server.actions():
        for action in actions:
            seen.append(action)
            if isinstance(action, SendBytes):
                out += action.data
            elif isinstance(action, HandshakeReceived):
                server.accept(1.0)
    return out


def shake_hands(server: SecuredServer, seen: list[Action]) -> TlsLink:
    peer = TlsLink(STATION, 0.0, server_hostname="csms")
    while peer.state is TlsState.HANDSHAKE:
        for action in peer.actions():
            if isinstance(action, SendBytes):
                server.receive_data(action.data, 0.0)
        peer.receive_data(take(server, seen), 0.0)
    for action in peer.actions():
        if isinstance(action, SendBytes):
            server.receive_data(action.data, 0.0)
    return peer


def one_input(data: bytes) -> None:
    if len(data) < 2:
        return
    flags, rhythm, stream = data[0], data[1], data[2:]
    server = SecuredServer(CONFIG, 0.0, CSMS)
    seen: list[Action] = []
    peer = shake_hands(server, seen) if flags & 1 else None
    for chunk in chunks(stream, rhythm):
        if peer is not None and flags & 2:
            peer.send(chunk, 1.0)
            chunk = b"".join(a.data for a in peer.actions() if isinstance(a, SendBytes))
        server.receive_data(chunk, 1.0)
        take(server, seen)
    server.receive_eof(2.0)
    take(server, seen)
    assert isinstance(seen[-1], Closed)
    assert sum(isinstance(action, Closed) for action in seen) == 1
    assert sum(isinstance(action, CloseTransport) for action in seen) == 1
    assert server.state is LinkState.CLOSED
    assert server.next_timer() is None


if __name__ == "__main__":
    run(one_input)
