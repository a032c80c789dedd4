"""A station's certificate is renewed over OCPP: a new key in the TPM, a CSR, a connection with the answer.

At the rpc level, over real sockets with mTLS, in each version, on asyncio and trio.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.abc import TaskGroup
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from ocpp_adapters import anyio_server
from ocpp_adapters.anyio_link import AnyioConcurrency
from ocpp_adapters.anyio_rpc import open_rpc
from ocpp_adapters.rpc_link import RpcLink
from ocpp_core import OcppVersion, Role
from ocpp_core.messages import Request, Response, v16, v21, v201
from ocpp_core.rpc import CallReceived, SendReceived
from ocpp_core.wire import ClientConfig
from ocpp_security.keys import FileKeyStore, KeyAlgorithm, KeyStore, PrivateKey
from tests.security.keys.tls_kit import STATION, TlsKit
from tests.security.tpm.support import tpm

SUBJECT = x509.Name(
    [
        x509.NameAttribute(NameOID.COMMON_NAME, STATION),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Operator"),
    ]
)
TRIGGERS: dict[OcppVersion, Callable[[], Request]] = {
    OcppVersion.V16: lambda: v16.ExtendedTriggerMessageRequest(
        requested_message=v16.MessageTriggerEnum.SIGN_CHARGE_POINT_CERTIFICATE
    ),
    OcppVersion.V201: lambda: v201.TriggerMessageRequest(
        requested_message=v201.MessageTriggerEnum.SIGN_CHARGING_STATION_CERTIFICATE
    ),
    OcppVersion.V21: lambda: v21.TriggerMessageRequest(
        requested_message=v21.MessageTriggerEnum.SIGN_CHARGING_STATION_CERTIFICATE
    ),
}
MESSAGES: dict[OcppVersion, Any] = {OcppVersion.V16: v16, OcppVersion.V201: v201, OcppVersion.V21: v21}


def accepted(messages: Any, action: str) -> Response:
    """The response that says Accepted."""
    kind = getattr(messages, f"{action}Response")
    response: Response = kind(status=kind.model_fields["status"].annotation("Accepted"))
    return response


@dataclass
class StationSide:
    """What a charging station does with its keys; the decisions about certificates are made elsewhere."""

    store: KeyStore
    folder: Path
    algorithm: KeyAlgorithm
    pending: PrivateKey | None = None
    current: str = "factory"
    renewed: anyio.Event = field(init=False)
    tasks: TaskGroup = field(init=False)

    def chain(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def context(self, kit: TlsKit) -> ssl.SSLContext:
        context = kit.client()
        self.store.load(self.current).use_for_tls(context, self.chain(self.current))
        return context

    def handle(self, link: RpcLink, call: CallReceived | SendReceived) -> Any:
        messages = MESSAGES[link.version]
        if call.action.endswith("TriggerMessage"):
            return self._triggered(link, messages, call.action)
        assert call.action == "CertificateSigned"
        return self._signed(messages, call.request)

    async def _triggered(self, link: RpcLink, messages: Any, action: str) -> Response:
        self.pending = await anyio.to_thread.run_sync(self.store.create, "renewed", self.algorithm)
        self.tasks.start_soon(self._ask, link, messages)
        return accepted(messages, action)

    async def _ask(self, link: RpcLink, messages: Any) -> None:
        assert self.pending is not None
        csr = await anyio.to_thread.run_sync(self.pending.sign_csr, SUBJECT)
        answer = await link.call(messages.SignCertificateRequest(csr=csr))
        assert answer.status == "Accepted"  # type: ignore[attr-defined]

    async def _signed(self, messages: Any, request: Any) -> Response:
        """The new chain replaces the old one only if the new key, in the TPM, can be used with it."""
        assert self.pending is not None
        path = self.chain(self.pending.name)
        path.write_text(request.certificate_chain)
        use = partial(self.pending.use_for_tls, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), path)
        await anyio.to_thread.run_sync(use)
        self.current = self.pending.name
        self.renewed.set()
        return accepted(messages, "CertificateSigned")


@dataclass
class CsmsSide:
    """A CSMS with a CA behind it, and what it saw in each handshake."""

    kit: TlsKit
    seen: list[x509.Certificate] = field(default_factory=list)
    links: list[RpcLink] = field(default_factory=list)
    requests: list[x509.CertificateSigningRequest] = field(default_factory=list)
    tasks: TaskGroup = field(init=False)

    def admit(self, handshake: Any, peer: Any) -> RpcLink:
        self.seen.append(x509.load_der_x509_certificate(peer.tls.getpeercert(binary_form=True)))
        self.links.append(RpcLink(Role.CSMS, self.handle, AnyioConcurrency(self.tasks)))
        return self.links[-1]

    def handle(self, link: RpcLink, call: CallReceived | SendReceived) -> Response:
        assert call.action == "SignCertificate"
        csr = call.request.csr  # type: ignore[attr-defined]
        self.requests.append(x509.load_pem_x509_csr(csr.encode()))
        messages = MESSAGES[link.version]
        chain = self.kit.signed(csr)
        self.tasks.start_soon(self._deliver, link, messages.CertificateSignedRequest(certificate_chain=chain))
        return accepted(messages, call.action)

    async def _deliver(self, link: RpcLink, request: Request) -> None:
        answer = await link.call(request)
        assert answer.status == "Accepted"  # type: ignore[attr-defined]


async def renew(kit: TlsKit, version: OcppVersion, station: StationSide, csms: CsmsSide) -> None:
    """Connect, be told to renew, renew, go, and come back with the new certificate."""
    async with anyio.create_task_group() as tasks:
        csms.tasks = station.tasks = tasks
        station.renewed = anyio.Event()
        serve = partial(anyio_server.serve, csms.admit, "127.0.0.1", ssl_context=kit.server())
        server = await tasks.start(serve)
        config = ClientConfig(url=f"wss://localhost:{server.port}/CP1", subprotocols=(version.value,))
        async with open_rpc(config, station.handle, ssl_context=station.context(kit)):
            answer = await csms.links[0].call(TRIGGERS[version]())
            assert answer.status == "Accepted"  # type: ignore[attr-defined]
            with anyio.fail_after(10):
                await station.renewed.wait()
        async with open_rpc(config, station.handle, ssl_context=station.context(kit)) as link:
            assert link.version is version
        tasks.cancel_scope.cancel()


def check(station: StationSide, csms: CsmsSide) -> None:
    before, after = csms.seen
    (request,) = csms.requests
    assert request.is_signature_valid
    assert request.subject == SUBJECT == after.subject
    assert after.public_key() == request.public_key() != before.public_key()
    key = station.store.load("renewed")
    assert key.public_octets == after.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    station.store.delete("factory")
    assert station.store.names() == ("renewed",)


@pytest.mark.requirement("A02.FR.02", "A02.FR.03", "A02.FR.05", "A02.FR.08", "A00.FR.401", "A00.FR.402")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("version", MESSAGES, ids=lambda version: version.name)
@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
def test_a_key_in_the_tpm_gets_a_new_certificate(
    kit: TlsKit,
    folder: Path,
    store: Any,
    version: OcppVersion,
    algorithm: KeyAlgorithm,
    backend: str,
) -> None:
    station = StationSide(store, folder, algorithm)
    station.chain("factory").write_bytes(kit.chain(store.create("factory")).read_bytes())
    csms = CsmsSide(kit)
    anyio.run(renew, kit, version, station, csms, backend=backend)
    check(station, csms)
    assert isinstance(store.load("renewed"), tpm.TpmKey)


@pytest.mark.requirement("A02.FR.02", "A02.FR.03", "A02.FR.08")
def test_a_station_that_got_a_tpm_moves_into_it(kit: TlsKit, folder: Path, connection: Any) -> None:
    """The factory's key is a file; the next one is in the TPM."""
    key = FileKeyStore(folder).create("factory")
    station = StationSide(tpm.TpmKeyStore(folder, connection), folder, KeyAlgorithm.EC_P256)
    station.chain("factory").write_bytes(kit.chain(key).read_bytes())
    csms = CsmsSide(kit)
    anyio.run(renew, kit, OcppVersion.V201, station, csms)
    check(station, csms)
