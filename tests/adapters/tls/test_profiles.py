"""Security profiles 0 to 3 at a real port of every server adapter: who is let in, by which answer not."""

import base64
import ssl

import anyio
import pytest
from anyio.streams.tls import TLSStream

from ocpp_adapters.sessions import Decision, Peer, Session
from ocpp_adapters.tls_admission import ProfileGate, StationRecord
from ocpp_adapters.tls_peer import PeerCertificate, peer_certificate
from ocpp_adapters.tls_policy import CsmsTls, SecurityProfile, StationTls
from ocpp_core.wire import HandshakeReceived
from tests.adapters.servers import SERVERS, Adapter, RawClient, request
from tests.adapters.tls import pki
from tests.adapters.tls.asgi_servers import PROTOCOLS, Hypercorn, Uvicorn
from tests.adapters.tls.pki import OPERATOR, Authority

pytestmark = pytest.mark.anyio
NONE, BASIC, TLS_BASIC, CERTIFICATE = SecurityProfile
PASSWORD, SERIAL = b"correct horse battery", "SN-0001"
RECORDS = {
    "zero": StationRecord(profile=NONE),
    "one": StationRecord(profile=BASIC, password=PASSWORD),
    "two": StationRecord(profile=TLS_BASIC, password=PASSWORD),
    "three": StationRecord(profile=CERTIFICATE, serial_number=SERIAL, organizations=frozenset({OPERATOR})),
}
TELLING = {
    **{str(server): server for server in SERVERS},
    **{f"uvicorn, {p.__name__}": Uvicorn("asyncio", False, protocol=p) for p in PROTOCOLS},
}
MUTE = {
    "uvicorn as it is": Uvicorn("asyncio", False, tells=False),
    "hypercorn, asyncio": Hypercorn("asyncio", False),
    "hypercorn, trio": Hypercorn("trio", False),
}
"""These do not tell the application of certificates."""
EVERY = {**TELLING, **MUTE}

Row = tuple[str, str | None, bytes | None, int]
"""Identity, certificate, password; the status of the answer, 0: TLS is refused."""
PLAIN: list[Row] = [
    ("zero", None, None, 101),
    ("one", None, PASSWORD, 101),
    ("one", None, b"wrong", 401),
    ("one", None, None, 401),
    ("two", None, PASSWORD, 403),
    ("three", None, None, 403),
    ("three", None, PASSWORD, 403),
    ("unknown", None, PASSWORD, 404),
]
SECURE: list[Row] = [
    ("two", None, PASSWORD, 101),
    ("two", None, b"wrong", 401),
    ("two", None, None, 401),
    ("zero", None, None, 403),
    ("one", None, PASSWORD, 403),
    ("three", None, None, 403),
    ("three", "ours", None, 0),  # the station: it was not asked for it
    ("unknown", None, PASSWORD, 404),
]
MUTUAL: list[Row] = [
    ("three", "ours", None, 101),
    ("three", "another's", None, 403),
    ("three", "stranger's", None, 403),
    ("three", "forged", None, 0),
    ("three", None, None, 0),
    ("two", "ours", PASSWORD, 403),
    ("one", "ours", PASSWORD, 403),
    ("zero", "ours", None, 403),
    ("unknown", "ours", None, 404),
]
REQUIREMENTS = (
    "A00.FR.001", "A00.FR.002", "A00.FR.004", "A00.FR.202", "A00.FR.204", "A00.FR.302", "A00.FR.303",
    "A00.FR.404", "A00.FR.405", "A00.FR.407", "A00.FR.427", "1.6-A00.FR.001", "1.6-A00.FR.002",
    "1.6-A00.FR.004", "1.6-A00.FR.006", "1.6-A00.FR.404", "1.6-A00.FR.405", "1.6-A00.FR.407",
)  # fmt: skip


class Registered:
    """The application behind the gate: lets in whom it is asked about."""

    def __init__(self) -> None:
        self.certificates: list[PeerCertificate | None] = []

    def __call__(self, handshake: HandshakeReceived, peer: Peer) -> Decision:
        self.certificates.append(peer_certificate(peer.tls))
        return Session()


def csms(root: Authority, profile: SecurityProfile) -> ssl.SSLContext:
    trust = (root.file,) if profile is CERTIFICATE else ()
    return CsmsTls(credentials=(root.leaf("localhost").credential,), trust=trust, profile=profile).context()


def stations(root: Authority) -> dict[str | None, ssl.SSLContext]:
    """What a station may have in its hands, by the name of its certificate."""
    leaves = {
        "ours": root.leaf(SERIAL),
        "another's": root.leaf("SN-0002"),
        "stranger's": root.leaf(SERIAL, "Somebody"),
        "forged": pki.root(root.folder, "Another root").leaf(SERIAL),
    }
    trust = (root.file,)
    made: dict[str | None, ssl.SSLContext] = {
        name: StationTls(trust=trust, profile=CERTIFICATE, credential=leaf.credential).context()
        for name, leaf in leaves.items()
    }
    return {**made, None: StationTls(trust=trust).context()}


async def ask(port: int, identity: str, password: bytes | None, context: ssl.SSLContext | None) -> int:
    """The status of the answer to a handshake; 0: the connection ended without one."""
    headers = []
    if password is not None:
        token = base64.b64encode(identity.encode() + b":" + password).decode()
        headers.append(f"Authorization: Basic {token}")
    stream = await anyio.connect_tcp("127.0.0.1", port)
    try:
        secured = stream
        if context is not None:
            secured = await TLSStream.wrap(
                stream, hostname="localhost", ssl_context=context, standard_compatible=False
            )
        client = RawClient(secured)
        await client.send(request(identity, *headers))
        with anyio.fail_after(5):
            head = await client.until(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1])
    except (ssl.SSLError, anyio.EndOfStream, anyio.BrokenResourceError):
        return 0
    finally:
        await anyio.aclose_forcefully(stream)


async def answers(adapter: Adapter, rows: list[Row], root: Authority, profile: SecurityProfile) -> list[Row]:
    """The rows with the statuses that they have brought."""
    registered = Registered()
    options = {"ssl_context": csms(root, profile)} if profile.secure else {}
    contexts = stations(root)
    found = []
    async with adapter.serve(ProfileGate(RECORDS.get, registered), **options) as port:
        for identity, certificate, password, _ in rows:
            context = contexts[certificate] if profile.secure else None
            status = await ask(port, identity, password, context)
            found.append((identity, certificate, password, status))
    if profile is CERTIFICATE:
        assert all(told is not None and told.common_name == SERIAL for told in registered.certificates)
    return found


@pytest.mark.parametrize(("rows", "profile"), [(PLAIN, BASIC), (SECURE, TLS_BASIC)], ids=["plain", "TLS"])
@pytest.mark.parametrize("adapter", EVERY.values(), ids=EVERY, indirect=True)
@pytest.mark.requirement(*REQUIREMENTS)
async def test_with_and_without_tls(
    adapter: Adapter, rows: list[Row], profile: SecurityProfile, root: Authority
) -> None:
    assert await answers(adapter, rows, root, profile) == rows


@pytest.mark.parametrize("adapter", TELLING.values(), ids=TELLING, indirect=True)
@pytest.mark.requirement(*REQUIREMENTS)
async def test_certificates(adapter: Adapter, root: Authority) -> None:
    assert await answers(adapter, MUTUAL, root, CERTIFICATE) == MUTUAL


@pytest.mark.parametrize("adapter", MUTE.values(), ids=MUTE, indirect=True)
@pytest.mark.requirement("A00.FR.404", "A00.FR.405", "A00.FR.407")
async def test_a_certificate_that_the_server_does_not_tell_lets_nobody_in(
    adapter: Adapter, root: Authority
) -> None:
    """The server has verified a chain, but whose it is nobody here can know."""
    rows = [row for row in MUTUAL if row[0] in {"three", "zero", "one"}]
    refused = [(*row[:3], row[3] and 403) for row in rows]
    assert await answers(adapter, rows, root, CERTIFICATE) == refused
