"""Revocation by asking, at real ports: a CSMS of every adapter lets nobody in who is revoked (A00.FR.705)."""

import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509

from ocpp_adapters.anyio_web import AnyioFetch
from ocpp_adapters.poll_web import PollFetch
from ocpp_adapters.sessions import Session
from ocpp_adapters.threads_web import BlockingFetch
from ocpp_adapters.tls_admission import ProfileGate, Refusal, StationRecord
from ocpp_adapters.tls_policy import CsmsTls, SecurityProfile, StationTls
from ocpp_security.inquiry import Fetch, StatusPolicy, WhenUnknown
from ocpp_security.online import OnlineStatus
from tests.adapters.servers import ADAPTERS, Adapter, Polled, Threaded
from tests.adapters.tls.asgi_servers import Uvicorn
from tests.adapters.tls.pki import DAY, OPERATOR, Authority, Leaf
from tests.adapters.tls.responder import GOOD, REVOKED, UNKNOWN, Says, responder
from tests.adapters.tls.test_profiles import ask
from tests.adapters.web_servers import reset, silent

pytestmark = pytest.mark.anyio
SERIAL = "SN-0001"
RECORD = StationRecord(
    profile=SecurityProfile.TLS_CERTIFICATE, serial_number=SERIAL, organizations=frozenset({OPERATOR})
)
EVERY = {
    **{str(adapter): adapter for adapter in ADAPTERS},
    "poll": Polled("asyncio", False, direct=True),
    "threads": Threaded("asyncio", False, direct=True),
    "uvicorn": Uvicorn("asyncio", False),
}


def fetching(adapter: Adapter) -> Fetch:
    if isinstance(adapter, Polled):
        return PollFetch(adapter.poll)
    return BlockingFetch() if isinstance(adapter, Threaded) else AnyioFetch()


class Stations:
    """Certificates, what the responder says of them, and what a CSMS answers that takes no chances."""

    def __init__(self, root: Authority, stack: ExitStack) -> None:
        self.root = root
        self.sub = root.authority("Sub")
        self.responder = stack.enter_context(responder(self.sub))
        self.rows: dict[str, tuple[Leaf, int]] = {}
        url, list_url = self.responder.url, self.responder.list_url
        impostor = self.sub.leaf("Impostor")
        response, delegated = self.responder.response, self.responder.delegated
        makes: dict[str, tuple[int, Callable[[x509.Certificate], Says]]] = {
            "good": (101, lambda it: GOOD),
            "revoked": (403, lambda it: REVOKED),
            "nobody's": (403, lambda it: UNKNOWN),
            "good, says a delegate": (101, delegated),
            "revoked, says a delegate": (403, lambda it: delegated(it, REVOKED)),
            "stale": (503, lambda it: response(it, end=-DAY)),
            "signed by another": (503, lambda it: response(it, signer=impostor)),
            "rubbish": (503, lambda it: b"<html>"),
            "reset": (503, lambda it: reset),
        }
        for name, (status, says) in makes.items():
            self._add(name, status, says, responder=url)
        listed = self._add("listed", 403, lambda it: reset, responder=url, list_at=list_url)
        self.responder.listed.append(listed)
        self._add("not listed", 101, lambda it: reset, responder=url, list_at=list_url)
        self._add("names nobody", 101, lambda it: GOOD)

    def _add(
        self, name: str, status: int, says: Callable[[x509.Certificate], Says], **wishes: str
    ) -> x509.Certificate:
        leaf = self.sub.leaf(SERIAL, **wishes)
        self.responder.say(leaf.certificate, says(leaf.certificate))
        self.rows[name] = leaf, status
        return leaf.certificate

    def context(self, name: str) -> ssl.SSLContext:
        credential = self.rows[name][0].credential
        profile = SecurityProfile.TLS_CERTIFICATE
        return StationTls(trust=(self.root.file,), profile=profile, credential=credential).context()

    def csms(self) -> ssl.SSLContext:
        own = (self.root.leaf("localhost").credential,)
        profile = SecurityProfile.TLS_CERTIFICATE
        return CsmsTls(credentials=own, trust=(self.root.file,), profile=profile).context()


@pytest.fixture
def stations(root: Authority) -> Any:
    with ExitStack() as stack:
        yield Stations(root, stack)


@pytest.mark.parametrize(
    "adapter", [EVERY["native"], EVERY["uvicorn"]], ids=["native", "uvicorn"], indirect=True
)
async def test_a_session_that_is_resumed_is_asked_about(adapter: Adapter, stations: Stations) -> None:
    """The full handshake was a stranger's, about whom nobody was asked; no later one shows any issuer.

    There is another authority of the same name, too.
    """
    stations.rows["twin's"] = stations.root.authority("Sub").leaf(SERIAL), 101
    known: list[StationRecord | None] = [None, RECORD, RECORD]
    statuses = OnlineStatus(fetching(adapter), POLICY)
    gate = ProfileGate(lambda identity: known.pop(0), lambda *_: Session(), revoked=statuses.revoked)
    for name, status in (("good", 101), ("revoked", 403)):
        known[:] = [None, RECORD, RECORD]
        context = stations.context(name)
        async with adapter.serve(gate, ssl_context=stations.csms()) as port:
            assert [await ask(port, "CP1", None, context) for _ in range(2)] == [404, status]
            assert await ask(port, "CP1", None, stations.context("twin's")) == 101
            known.append(RECORD)
            assert await ask(port, "CP1", None, context) == status


POLICY = StatusPolicy(timeout=10.0, patience=10.0)
"""Nobody in these tests is silent."""


@pytest.mark.parametrize("adapter", EVERY.values(), ids=EVERY, indirect=True)
@pytest.mark.requirement(
    "A00.FR.702", "A00.FR.705", "1.6-A00.FR.702", "1.6-A00.FR.704", "A00.FR.407", "A00.FR.408"
)
async def test_who_is_revoked_is_not_let_in(adapter: Adapter, stations: Stations) -> None:
    refusals: list[Refusal] = []
    statuses = OnlineStatus(fetching(adapter), POLICY)
    gate = ProfileGate(
        lambda identity: RECORD, lambda *_: Session(), revoked=statuses.revoked, report=refusals.append
    )
    found = {}
    async with adapter.serve(gate, ssl_context=stations.csms()) as port:
        for name in stations.rows:
            found[name] = await ask(port, "CP1", None, stations.context(name))
        asked = len(stations.responder.server.requests)
        resumed = stations.context("revoked")
        assert [await ask(port, "CP1", None, resumed) for _ in range(2)] == [403, 403]
    assert found == {name: status for name, (_, status) in stations.rows.items()}
    assert len(stations.responder.server.requests) == asked, "a revocation is not asked about twice"
    told = {(refusal.reject.status, refusal.reject.reason, refusal.event) for refusal in refusals}
    event = "InvalidChargingStationCertificate"
    assert told == {(403, "certificate revoked", event), (503, "certificate status unknown", None)}


@pytest.mark.parametrize("adapter", [EVERY["native"]], ids=["native"], indirect=True)
async def test_a_responder_that_says_nothing(adapter: Adapter, stations: Stations) -> None:
    stations.responder.say(stations.rows["good"][0].certificate, silent)
    for rule, status in ((WhenUnknown.REFUSE, 503), (WhenUnknown.ACCEPT, 101)):
        policy = StatusPolicy(timeout=0.05, when_unknown=rule)
        revoked = OnlineStatus(AnyioFetch(), policy).revoked
        gate = ProfileGate(lambda identity: RECORD, lambda *_: Session(), revoked=revoked)
        async with adapter.serve(gate, ssl_context=stations.csms()) as port:
            assert await ask(port, "CP1", None, stations.context("good")) == status


@pytest.mark.parametrize("adapter", [EVERY["native"]], ids=["native"], indirect=True)
async def test_a_csms_that_takes_chances(adapter: Adapter, stations: Stations) -> None:
    policy = replace(POLICY, when_unknown=WhenUnknown.ACCEPT)
    gate = ProfileGate(
        lambda identity: RECORD, lambda *_: Session(), revoked=OnlineStatus(AnyioFetch(), policy).revoked
    )
    async with adapter.serve(gate, ssl_context=stations.csms()) as port:
        found = {name: await ask(port, "CP1", None, stations.context(name)) for name in stations.rows}
    expected = {name: 101 if status == 503 else status for name, (_, status) in stations.rows.items()}
    assert found == expected
