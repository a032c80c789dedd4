"""A WebSocket within TLS behaves as one without; and TLS's failures become the link's."""

import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpp_adapters.tls_failures import SecurityEvent, TlsFault
from ocpp_adapters.tls_policy import CsmsTls, SecurityProfile, StationTls
from ocpp_adapters.tls_wire import SecuredClient, SecuredServer, TlsHandshakeFailed, TlsNotice
from ocpp_core.entropy import Entropy
from ocpp_core.wire import (
    Action,
    ClientConfig,
    Closed,
    CloseTransport,
    FailureReason,
    HandshakeFailed,
    HandshakeReceived,
    LinkState,
    Opened,
    SendBytes,
    ServerConfig,
    Text,
    WebSocketClient,
    WebSocketServer,
)
from tests.adapters.tls.memory import HOST
from tests.adapters.tls.pki import Authority

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]
CONFIG = ClientConfig(url=f"wss://{HOST}/ocpp/CP1", handshake_timeout=30.0)
ENTROPY: Entropy = bytes


@pytest.fixture(scope="module")
def contexts(root: Authority) -> Contexts:
    station = StationTls(trust=(root.file,), resumption=False)
    return station.context(), CsmsTls(credentials=(root.leaf().credential,)).context()


class Ends:
    """Both ends, what they did but for the bytes, and a transport between them."""

    def __init__(
        self, client: SecuredClient | WebSocketClient, server: SecuredServer | WebSocketServer
    ) -> None:
        self.client, self.server = client, server
        self.said: dict[str, list[Action]] = {"client": [], "server": []}
        self.now = 0.0
        self.decide = lambda: server.accept(self.now)

    def exchange(self) -> "Ends":
        busy = True
        while busy:
            busy = False
            for name in ("client", "server"):
                one = self.client if name == "client" else self.server
                other = self.server if name == "client" else self.client
                for action in one.actions():
                    busy = True
                    match action:
                        case SendBytes(data):
                            other.receive_data(data, self.now)
                        case CloseTransport():
                            self.said[name].append(action)
                            other.receive_eof(self.now)
                        case HandshakeReceived():
                            self.said[name].append(action)
                            self.decide()
                        case _:
                            self.said[name].append(action)
        return self


def secured(contexts: Contexts) -> Ends:
    return Ends(
        SecuredClient(CONFIG, ENTROPY, 0.0, contexts[0]), SecuredServer(ServerConfig(), 0.0, contexts[1])
    )


def plain() -> Ends:
    return Ends(WebSocketClient(CONFIG, ENTROPY, 0.0), WebSocketServer(ServerConfig(), 0.0))


@given(st.lists(st.tuples(st.booleans(), st.text(max_size=300)), max_size=8), st.booleans())
@settings(max_examples=25)
def test_the_same_actions_as_without_tls(
    contexts: Contexts, messages: list[tuple[bool, str]], by_client: bool
) -> None:
    """Differential: nothing but the bytes may differ."""
    told = []
    for ends in (secured(contexts), plain()):
        ends.exchange()
        for from_client, text in messages:
            (ends.client if from_client else ends.server).send_text(text, 1.0)
            ends.exchange()
        (ends.client if by_client else ends.server).close(1000, "bye", 2.0)
        ends.exchange()
        assert ends.client.state is ends.server.state is LinkState.CLOSED
        told.append(
            {name: [a for a in said if type(a) is not CloseTransport] for name, said in ends.said.items()}
        )
    assert told[0] == told[1]
    assert [a.text for a in told[0]["server"] if type(a) is Text] == [t for c, t in messages if c]


def only(kind: type, said: list[Action]) -> Action:
    found = [action for action in said if isinstance(action, kind)]
    assert len(found) == 1, said
    return found[0]


@pytest.mark.requirement("A00.FR.310", "A00.FR.311")
def test_a_bad_certificate_is_a_link_that_did_not_open(contexts: Contexts, root: Authority) -> None:
    bad = CsmsTls(credentials=(root.leaf("elsewhere").credential,)).context()
    ends = secured((contexts[0], bad)).exchange()
    failed = only(HandshakeFailed, ends.said["client"])
    assert isinstance(failed, TlsHandshakeFailed)
    assert failed.reason is FailureReason.TRANSPORT
    assert failed.diagnosis.fault is TlsFault.WRONG_NAME
    assert failed.diagnosis.event is SecurityEvent.INVALID_CSMS_CERTIFICATE
    assert failed.detail.startswith("wrong name: ")
    assert only(CloseTransport, ends.said["client"]) == CloseTransport(abort=False)  # the alert goes out
    notice = only(TlsNotice, ends.said["server"])
    assert isinstance(notice, TlsNotice)
    assert notice.diagnosis.fault is TlsFault.REFUSED_OURS
    closed = only(Closed, ends.said["server"])
    assert isinstance(closed, Closed)
    assert not any(isinstance(a, HandshakeReceived) for a in ends.said["server"])  # no request was sent
    assert isinstance(ends.client.error, ssl.SSLCertVerificationError)


@pytest.mark.requirement("A00.FR.407")
def test_a_refusal_after_our_handshake_is_the_links_failure_too(contexts: Contexts, root: Authority) -> None:
    """TLS 1.3: the station is content before the CSMS has looked at its certificate."""
    strict = CsmsTls(
        credentials=(root.leaf().credential,), trust=(root.file,), profile=SecurityProfile.TLS_CERTIFICATE
    ).context()
    ends = secured((contexts[0], strict)).exchange()
    failed = only(HandshakeFailed, ends.said["client"])
    assert isinstance(failed, TlsHandshakeFailed)
    assert failed.diagnosis.fault is TlsFault.REFUSED_OURS
    assert ends.server.state is LinkState.CLOSED


def test_garbage_ends_an_open_link(contexts: Contexts) -> None:
    ends = secured(contexts).exchange()
    assert any(isinstance(a, Opened) for a in ends.said["server"])
    ends.server.receive_data(b"\x17\x03\x03\x00\x04abcd", 1.0)
    ends.exchange()
    closed = only(Closed, ends.said["server"])
    assert isinstance(closed, Closed)
    assert (closed.code, closed.clean) == (1006, False)
    assert "protocol error" in closed.reason
    assert isinstance(only(Closed, ends.said["client"]), Closed)


def test_the_shorter_time_counts_and_tls_is_within_it(contexts: Contexts) -> None:
    server = SecuredServer(ServerConfig(handshake_timeout=3.0), 10.0, contexts[1])
    assert server.next_timer() == 13.0
    server.handle_timer(13.0)
    said = list(server.actions())
    assert isinstance(said[-1], Closed)
    assert "not over in time" in said[-1].reason
    assert CloseTransport(abort=False) in said
    assert server.next_timer() is None
    ends = secured(contexts).exchange()
    assert ends.server.next_timer() == ServerConfig().ping_interval
    ends.server.handle_timer(60.0)
    ends.exchange()
    assert ends.server.state is LinkState.OPEN


@pytest.mark.parametrize("how", ["close", "end"])
def test_a_handshake_given_up(contexts: Contexts, how: str) -> None:
    for end in (
        SecuredClient(CONFIG, ENTROPY, 0.0, contexts[0]),
        SecuredServer(ServerConfig(), 0.0, contexts[1]),
    ):
        end.actions()
        if how == "close":
            end.close(1001, "going away", 1.0)
        else:
            end.receive_eof(1.0)
        said = list(end.actions())
        assert isinstance(said[-1], Closed | HandshakeFailed)
        assert isinstance(said[-2], CloseTransport)
        assert not any(isinstance(a, SendBytes) for a in said)
        assert end.state is LinkState.CLOSED
        assert list(end.actions()) == []


def test_a_refused_station_hears_why(contexts: Contexts) -> None:
    ends = secured(contexts)
    ends.decide = lambda: ends.server.reject(404, 0.0, "unknown")
    failed = only(HandshakeFailed, ends.exchange().said["client"])
    assert isinstance(failed, HandshakeFailed)
    assert (failed.reason, failed.status) == (FailureReason.NOT_FOUND, 404)
