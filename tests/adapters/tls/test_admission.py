"""Every station is held to its own security profile, password and certificate (A00), by the CSMS."""

import ssl
from collections.abc import Awaitable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from ocpp_adapters.sessions import Decision, Peer, Reject, Session
from ocpp_adapters.tls_admission import ProfileGate, Refusal, StationRecord, dismiss_revoked
from ocpp_adapters.tls_failures import SecurityEvent
from ocpp_adapters.tls_peer import PeerCertificate
from ocpp_adapters.tls_policy import CsmsTls, SecurityProfile, StationTls
from ocpp_core import ConfigurationError, OcppError
from ocpp_core.wire import Credentials, HandshakeReceived
from tests.adapters.tls.memory import connect
from tests.adapters.tls.pki import OPERATOR, Authority

NONE, BASIC, TLS_BASIC, CERTIFICATE = SecurityProfile
PASSWORD = b"correct horse battery"
SERIAL = "SN-0001"
WELCOME = Session()
RECORDS = {
    "zero": StationRecord(profile=NONE),
    "one": StationRecord(profile=BASIC, password=PASSWORD),
    "two": StationRecord(profile=TLS_BASIC, password=PASSWORD),
    "old": StationRecord(profile=TLS_BASIC, password=b"\x00\x3a\xff" + bytes(13), hex_password=True),
    "three": StationRecord(
        profile=CERTIFICATE, serial_number=SERIAL, organizations=frozenset({OPERATOR, "Maker"})
    ),
}


@pytest.fixture(scope="module")
def links(root: Authority) -> dict[str, ssl.SSLObject | None]:
    """What a CSMS sees of stations that connect in different ways."""
    found: dict[str, ssl.SSLObject | None] = {"plain": None}
    server = root.leaf().credential
    trusting = {"trust": (root.file,), "credentials": (server,)}
    both = connect(StationTls(trust=(root.file,)).context(), CsmsTls(**trusting).context())
    found["tls"] = both.csms.link.object
    csms = CsmsTls(**trusting, profile=CERTIFICATE).context()
    for name, leaf in {
        "ours": root.leaf(SERIAL),
        "maker's": root.leaf(SERIAL, "Maker"),
        "another's": root.leaf("SN-0002"),
        "stranger's": root.leaf(SERIAL, "Somebody"),
        "nobody's": root.leaf(SERIAL, None),
    }.items():
        station = StationTls(trust=(root.file,), credential=leaf.credential, profile=CERTIFICATE)
        found[name] = connect(station.context(), csms).csms.link.object
    return found


def handshake(identity: str, password: bytes | None, user: str | None = None) -> HandshakeReceived:
    credentials = None if password is None else Credentials((user or identity).encode(), password)
    return HandshakeReceived(f"/{identity}", identity, credentials, ("ocpp2.0.1",), "ocpp2.0.1")


CERT = SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE
TABLE: list[tuple[str, str, bytes | None, int, SecurityEvent | None]] = [
    # identity, connection, password, status (0: let in), event
    ("zero", "plain", None, 0, None),
    ("zero", "tls", None, 403, None),
    ("one", "plain", PASSWORD, 0, None),
    ("one", "plain", None, 401, None),
    ("one", "plain", b"wrong", 401, None),
    ("one", "tls", PASSWORD, 403, None),
    ("one", "ours", PASSWORD, 403, None),
    ("two", "tls", PASSWORD, 0, None),
    ("two", "tls", b"wrong", 401, None),
    ("two", "tls", None, 401, None),
    ("two", "plain", PASSWORD, 403, None),
    ("two", "ours", PASSWORD, 403, None),
    ("old", "tls", b"\x00\x3a\xff" + bytes(13), 0, None),
    ("old", "tls", (b"\x00\x3a\xff" + bytes(13)).hex().upper().encode(), 0, None),
    ("old", "tls", b"\x00\x3a", 401, None),
    ("three", "ours", None, 0, None),
    ("three", "maker's", None, 0, None),
    ("three", "plain", None, 403, None),
    ("three", "tls", PASSWORD, 403, None),
    ("three", "another's", None, 403, CERT),
    ("three", "stranger's", None, 403, CERT),
    ("three", "nobody's", None, 403, CERT),
    ("unknown", "ours", PASSWORD, 404, None),
]


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize(("identity", "link", "password", "status", "event"), TABLE)
@pytest.mark.requirement(
    "A00.FR.001", "A00.FR.002", "A00.FR.004", "A00.FR.202", "A00.FR.203", "A00.FR.204", "A00.FR.207",
    "A00.FR.301", "A00.FR.302", "A00.FR.303", "A00.FR.324", "A00.FR.404", "A00.FR.405", "A00.FR.407",
    "A00.FR.408", "A00.FR.427", "A00.FR.509", "A00.FR.511", "1.6-A00.FR.001", "1.6-A00.FR.002",
    "1.6-A00.FR.202", "1.6-A00.FR.204", "1.6-A00.FR.404", "1.6-A00.FR.405", "1.6-A00.FR.004",
    "1.6-A00.FR.006", "1.6-A00.FR.407", "1.6-A00.FR.408", "1.6-A00.FR.427", "1.6-A00.FR.509",
    "1.6-A00.FR.511",
)  # fmt: skip
def test_who_is_let_in(
    identity: str,
    link: str,
    password: bytes | None,
    status: int,
    event: SecurityEvent | None,
    later: bool,
    links: dict[str, ssl.SSLObject | None],
) -> None:
    refusals: list[Refusal] = []

    async def look_up_later(name: str) -> StationRecord | None:
        await anyio.lowlevel.checkpoint()
        return RECORDS.get(name)

    lookup = look_up_later if later else RECORDS.get
    gate = ProfileGate(lookup, welcome, report=refusals.append)
    decision = decide(gate, handshake(identity, password), links[link])
    if status == 0:
        assert decision is WELCOME
        assert refusals == []
    else:
        assert isinstance(decision, Reject)
        assert decision.status == status
        assert [(r.identity, r.reject, r.event) for r in refusals] == [(identity, decision, event)]


def welcome(asked: HandshakeReceived, peer: Peer) -> Decision:
    return WELCOME


async def welcome_later(asked: HandshakeReceived, peer: Peer) -> Decision:
    return WELCOME


def decide(gate: ProfileGate, asked: HandshakeReceived, tls: ssl.SSLObject | None) -> Decision:
    answer: Any = gate(asked, Peer(("127.0.0.1", 1), tls))
    if not isinstance(answer, Awaitable):
        return answer

    async def wait() -> Decision:
        return await answer

    return anyio.run(wait)


@pytest.mark.requirement("A00.FR.204", "A00.FR.207")
def test_the_user_name_is_the_identity() -> None:
    gate = ProfileGate(RECORDS.get, welcome)
    decision = decide(gate, handshake("one", PASSWORD, user="two"), None)
    assert isinstance(decision, Reject)
    assert decision.status == 401


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("admit", [welcome, welcome_later])
@pytest.mark.requirement("A00.FR.702", "A00.FR.705", "1.6-A00.FR.702", "1.6-A00.FR.704")
def test_the_authority_is_asked_about_each_certificate(
    admit: Any, later: bool, links: dict[str, ssl.SSLObject | None]
) -> None:
    asked: list[str | None] = []
    refusals: list[Refusal] = []
    revoked = False

    async def ask(certificate: PeerCertificate) -> bool:
        asked.append(certificate.common_name)
        if revoked is None:
            raise TimeoutError
        return revoked

    async def look_up_later(name: str) -> StationRecord | None:
        return RECORDS.get(name)

    lookup = look_up_later if later else RECORDS.get
    gate = ProfileGate(lookup, admit, revoked=ask, report=refusals.append)
    assert decide(gate, handshake("one", PASSWORD), None) is WELCOME
    assert decide(gate, handshake("two", PASSWORD), links["tls"]) is WELCOME
    assert isinstance(decide(gate, handshake("three", None), links["another's"]), Reject)
    assert asked == []  # there was nothing to ask about, or no need
    assert decide(gate, handshake("three", None), links["ours"]) is WELCOME
    revoked = True
    decision = decide(gate, handshake("three", None), links["ours"])
    assert decision == Reject(403, "certificate revoked")
    assert refusals[-1].event is CERT
    revoked = None
    decision = decide(gate, handshake("three", None), links["ours"])
    assert decision == Reject(503, "certificate status unknown")
    assert asked == [SERIAL] * 3


class Connection:
    """An open link."""

    def __init__(self, tls: ssl.SSLObject | None) -> None:
        self.tls = tls
        self.closed: list[tuple[int, str]] = []

    def peer(self) -> Peer:
        return Peer(None, self.tls)

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))


@pytest.mark.requirement("A00.FR.705", "1.6-A00.FR.704")
def test_who_is_connected_is_asked_about_again(
    links: dict[str, ssl.SSLObject | None], caplog: pytest.LogCaptureFixture
) -> None:
    """One is revoked by now, of one nobody can say, one is good, two show nothing, one goes meanwhile."""
    names = ("another's", "stranger's", "ours", "tls", "plain", "maker's")
    connections: dict[str, Any] = {name: Connection(links[name]) for name in names}
    everybody = dict(connections)

    async def ask(certificate: PeerCertificate) -> bool:
        connections.pop("maker's", None)
        if certificate.organizations == ("Somebody",):
            raise OcppError("nobody answers")
        if certificate.organizations == ("Maker",):
            raise RuntimeError("a bug")
        return certificate.common_name == "SN-0002"

    anyio.run(dismiss_revoked, connections, ask)
    closed = {name: it.closed for name, it in everybody.items() if it.closed}
    assert closed == {"another's": [(1008, "certificate revoked")]}
    assert "stranger's: its certificate: nobody answers" in caplog.text
    assert "maker's: its certificate: a bug" in caplog.text
    assert "another's dismissed: certificate revoked (InvalidChargingStationCertificate)" in caplog.text


def test_refusals_go_to_the_log_by_default(caplog: pytest.LogCaptureFixture) -> None:
    decide(ProfileGate(RECORDS.get, welcome), handshake("unknown", PASSWORD), None)
    assert "unknown refused: unknown station" in caplog.text
    assert PASSWORD.decode() not in caplog.text
    assert PASSWORD.decode() not in repr(RECORDS)


@pytest.mark.parametrize("profile", [BASIC, TLS_BASIC, CERTIFICATE])
@pytest.mark.requirement("A00.FR.004", "A00.FR.207", "1.6-A00.FR.004")
def test_a_record_that_cannot_be_checked_is_refused(profile: SecurityProfile) -> None:
    with pytest.raises(ConfigurationError):
        StationRecord(profile=profile)
