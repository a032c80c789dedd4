"""A station asks about its CSMS's certificate while it is connected, and leaves one that is revoked."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ocpp_adapters.anyio_web import AnyioFetch
from ocpp_adapters.poll_web import PollFetch
from ocpp_adapters.routes import Route
from ocpp_adapters.threads_web import BlockingFetch
from ocpp_adapters.tls_policy import StationTls
from ocpp_adapters.tls_revocation import refuse_revoked
from ocpp_core.domain.security import SecurityEvent
from ocpp_core.station import LinkChanged
from ocpp_core.versions import OcppVersion
from ocpp_core.wire import ClientConfig
from ocpp_security.inquiry import StatusPolicy
from ocpp_security.online import OnlineStatus
from tests.adapters.test_threads import no_thread_for
from tests.adapters.tls.pki import Authority
from tests.adapters.tls.responder import GOOD, REVOKED, Responder, responder
from tests.adapters.tls.test_security_events import FAMILIES, Encounter, csms
from tests.adapters.web_servers import silent

FETCHES: dict[str, Callable[[Encounter], object]] = {
    "asyncio": lambda encounter: AnyioFetch(),
    "trio": lambda encounter: AnyioFetch(),
    "threads": lambda encounter: BlockingFetch(),
    "poll": lambda encounter: PollFetch(encounter.poll),
}
families = pytest.mark.parametrize("family", FAMILIES)


def meet(
    family: str, root: Authority, port: int, mend: Callable[[], object], expected: int, patience: float = 10.0
) -> Encounter:
    """A station on its way to a CSMS about which it asks."""
    url = ClientConfig(url=f"wss://localhost:{port}/CP1")
    encounter = Encounter(OcppVersion.V201, url, ssl.create_default_context(), mend, expected)
    statuses = OnlineStatus(FETCHES[family](encounter), StatusPolicy(timeout=patience))
    policy = StationTls(trust=(root.file,), check=refuse_revoked(statuses))
    encounter.url = Route(config=url, ssl_context=policy.context(), revoked=statuses.revoked)
    return encounter


@contextmanager
def said_to_be(root: Authority, answer: Any) -> Iterator[tuple[int, Responder]]:
    """A CSMS and what the responder answers about it: the port, and the responder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with responder(root) as ocsp:
        leaf = root.leaf("localhost", responder=ocsp.url)
        ocsp.say(leaf.certificate, answer)
        leaf.credential(context)
        with csms(context) as (port, _):
            yield port, ocsp


def connections(encounter: Encounter) -> int:
    return sum(isinstance(action, LinkChanged) and action.version is not None for action in encounter.seen)


@families
@pytest.mark.requirement("A00.FR.308", "A00.FR.310", "1.6-A00.FR.307", "1.6-A00.FR.309", "A04.FR.02")
def test_a_revoked_csms_is_left_and_then_refused(family: str, root: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with responder(root) as ocsp:
        bad, good = (root.leaf("localhost", kind="rsa", responder=ocsp.url) for _ in range(2))
        ocsp.say(bad.certificate, REVOKED)
        ocsp.say(good.certificate, GOOD)
        bad.credential(context)
        with csms(context) as (port, _):
            encounter = meet(family, root, port, lambda: good.credential(context), 1)
            station = FAMILIES[family](encounter)
        assert len(ocsp.server.requests) == 2
    assert connections(encounter) == 2, "the bad one, and after refusals the good one"
    assert "bad certificate: revoked: " in encounter.refusals[1]
    (notification,) = encounter.notifications
    assert notification["type"] == SecurityEvent.INVALID_CSMS_CERTIFICATE
    assert notification["techInfo"].startswith("network profile 0: revoked: ")
    assert len(station.security_log()) == 1


@families
def test_that_nobody_answers_is_no_reason_to_leave(family: str, root: Authority) -> None:
    with said_to_be(root, silent) as (port, ocsp):
        encounter = meet(family, root, port, lambda: None, 0, patience=0.05)
        FAMILIES[family](encounter)
        assert len(ocsp.server.requests) == 1
    assert (connections(encounter), encounter.notifications) == (1, [])
    assert encounter.refusals in ([], ["1001 going away"]), "at the end of the test, if at all"


def test_without_a_thread_to_ask_the_link_stays(
    root: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with said_to_be(root, REVOKED) as (port, ocsp):
        encounter = meet("threads", root, port, lambda: None, 0)
        no_thread_for("ocpp-vet", monkeypatch)
        FAMILIES["threads"](encounter)
        assert not ocsp.server.requests
    assert connections(encounter) == 1
    assert "not asked about: there is no thread for it: can't start new thread" in caplog.text
