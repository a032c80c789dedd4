"""The edges of what a station asks for and takes: whole answers, limits met exactly, and what must not go."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ocpp_security.certificates.own import MAX_CSR, MAX_PENDING
from ocpp_security.errors import CertificateStoreError, Fault
from ocpp_security.keys import FileKeyStore, KeyStorageError
from ocpp_security.manager import CertificateManager
from ocpp_security.pki.hashdata import hash_data
from ocpp_security.questions import (
    CheckProfile,
    Connected,
    LeafState,
    MakeSigningRequest,
    Outcome,
    SecurityEvent,
    SigningRequest,
    TakeSigned,
)
from ocpp_security.trust import disk
from ocpp_security.trust.decisions import Status, TrustPolicy
from ocpp_security.trust.inventory import LeafUse, TrustUse
from ocpp_security.trust.leaves import LeafPolicy
from tests.security.manager_kit import (
    CONFIG,
    CSMS_ROOT,
    SECC,
    STATION,
    SUBJECT,
    V2G,
    V2G_ROOT,
    V2G_SUB,
    ask,
    open_manager,
    renew,
    renew_v2g,
    take,
)
from tests.security.pki_kit import DAY, NOW, pem, root

V2G20 = LeafUse.V2G20
SECOND = timedelta(seconds=1)
BLAMED = (SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE,)
RECONFIGURED = (SecurityEvent.RECONFIGURATION_OF_SECURITY_PARAMETERS,)


class LongKey:
    """A key whose CSR has a given length."""

    def __init__(self, length: int) -> None:
        self.length = length

    def sign_csr(self, subject: object, extensions: object = ()) -> str:
        return self.length * "A"


# Asking.


@pytest.mark.requirement("A02.FR.02", "A02.FR.03")
def test_why_there_is_no_request(manager: CertificateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(use: LeafUse = STATION) -> object:
        return manager.answer(MakeSigningRequest(use), NOW)

    for length in (MAX_CSR, MAX_CSR + 1):
        monkeypatch.setattr(FileKeyStore, "create", lambda *_, n=length: LongKey(n))
        detail = f"CSR of {length} characters"
        long = Outcome(Status.FAILED, Fault.TOO_LARGE, detail, use=STATION)
        assert made() == (SigningRequest(STATION, 1, length * "A") if length == 5500 else long)
    nameless = made(V2G20)  # nobody said how it is to be called
    assert isinstance(nameless, Outcome)
    assert (nameless.status, nameless.fault, nameless.use) == (Status.FAILED, Fault.NO_ORGANIZATION, V2G20)
    manager.config = replace(CONFIG, subjects={V2G20: replace(SECC, serial_number="")})
    nameless = made(V2G20)
    assert isinstance(nameless, Outcome)
    assert nameless.fault is Fault.NO_COMMON_NAME
    manager.config = CONFIG

    def fail(*_: object) -> None:
        raise KeyStorageError("gone")

    monkeypatch.setattr(FileKeyStore, "create", fail)
    assert made() == Outcome(Status.FAILED, Fault.STORAGE_FAILED, "gone", use=STATION)
    monkeypatch.setattr(FileKeyStore, "names", fail)
    lost = Outcome(Status.REJECTED, Fault.STORAGE_FAILED, "gone", use=V2G)
    assert manager.answer(TakeSigned("", V2G), NOW) == lost


@pytest.mark.requirement("A02.FR.27", "A03.FR.23")
def test_a_request_names_its_root_if_there_is_one_or_one_runs_out(manager: CertificateManager) -> None:
    assert ask(manager, V2G).root == hash_data(V2G_ROOT.certificate, V2G_ROOT.certificate)
    assert ask(manager).root is None  # the station's own, whose root the CSMS knows
    other = root("Another")
    manager.roots.install(TrustUse.V2G, pem(other), NOW)
    assert ask(manager, V2G).root is None
    for issuer, end in ((V2G_ROOT, 30 * DAY), (other, 20 * DAY)):
        assert take(manager, pem(issuer.sign_csr(ask(manager, V2G).csr, end=NOW + end))).accepted
    # Or the CSMS might go on renewing the other's, and this one's would be asked for again and again.
    request = ask(manager, V2G)
    assert request.root == hash_data(other.certificate, other.certificate)
    assert take(manager, pem(other.sign_csr(request.csr))).accepted
    assert ask(manager, V2G).root == hash_data(V2G_ROOT.certificate, V2G_ROOT.certificate)


def test_only_keys_that_wait_for_the_same_use_make_room(manager: CertificateManager, tmp_path: Path) -> None:
    renew(manager)
    renew(manager, NOW + SECOND)
    renew_v2g(manager)
    ask(manager, V2G)
    kept = {path.stem for path in (tmp_path / "keys").iterdir()}
    asked = [ask(manager).request_id for _ in range(MAX_PENDING + 8)]  # beyond nine: by number, not by name
    left = {path.stem for path in (tmp_path / "keys").iterdir()}
    assert left == kept | {f"charging_station-{number}" for number in asked[-MAX_PENDING:]}
    assert MAX_PENDING == 4


@pytest.mark.requirement("A02.FR.02")
def test_expired_chains_go_before_a_new_one_is_asked_for(manager: CertificateManager, tmp_path: Path) -> None:
    manager.config = replace(CONFIG, leaves=LeafPolicy(max_leaves=1))
    for days in range(3):
        renew(manager, NOW + days * DAY, end=NOW + (days + 1) * DAY)
    newest = max(leaf.certificate.not_before for leaf in manager.inventory.leaves)
    ask(manager, at=NOW + 3 * DAY - SECOND)
    assert [leaf.certificate.not_before for leaf in manager.inventory.leaves] == [newest]
    assert {path.stem for path in (tmp_path / "keys").iterdir()} == {
        "charging_station-3",
        "charging_station-4",
    }


# Taking.


@pytest.mark.requirement("A02.FR.06", "A02.FR.07", "A02.FR.26")
def test_the_whole_answer_to_a_chain(manager: CertificateManager) -> None:
    first, second = ask(manager), ask(manager, V2G)
    leaf = CSMS_ROOT.sign_csr(first.csr)
    chain = pem(leaf)
    accepted = Outcome(Status.ACCEPTED, events=RECONFIGURED, use=STATION, valid_from=leaf.not_before)
    unknown = Outcome(Status.REJECTED, Fault.UNKNOWN_REQUEST, "9", use=STATION)
    assert manager.answer(TakeSigned(chain, STATION, 9), NOW) == unknown
    other = Outcome(
        Status.REJECTED, Fault.NO_MATCHING_KEY, f"request {second.request_id}", BLAMED, use=STATION
    )
    assert manager.answer(TakeSigned(chain, STATION, second.request_id), NOW) == other
    wrong = Outcome(Status.REJECTED, Fault.NO_MATCHING_KEY, leaf.subject, BLAMED, use=V2G)
    assert manager.answer(TakeSigned(chain, V2G), NOW) == wrong
    assert manager.answer(TakeSigned(chain), NOW) == accepted
    assert manager.answer(TakeSigned(chain, STATION, first.request_id), NOW) == accepted
    expired = CSMS_ROOT.sign_csr(first.csr, end=NOW - SECOND)
    assert manager.answer(TakeSigned(pem(expired)), NOW) == Outcome(
        Status.REJECTED, Fault.EXPIRED, expired.subject, BLAMED, use=STATION
    )
    secc = V2G_SUB.sign_csr(second.csr)
    assert manager.answer(TakeSigned(pem(secc, V2G_SUB), V2G, second.request_id), NOW) == Outcome(
        Status.ACCEPTED, events=RECONFIGURED, use=V2G, valid_from=secc.not_before
    )


# How long.


def test_the_first_that_expires_and_the_next_that_begins(manager: CertificateManager) -> None:
    manager.config = replace(CONFIG, leaves=LeafPolicy(accept_future=True))
    assert manager.own.state(V2G, NOW) == LeafState(V2G, None)
    assert manager.own.expires_in(V2G, NOW) is None
    other = root("Another")
    manager.roots.install(TrustUse.V2G, pem(other), NOW)
    ends = (NOW + 50 * DAY, NOW + 20 * DAY)
    for above, end in zip((V2G_ROOT, other), ends, strict=True):
        assert take(manager, pem(above.sign_csr(ask(manager, V2G).csr, end=end))).accepted
    assert manager.own.state(V2G, NOW) == LeafState(V2G, ends[1])
    assert manager.own.expires_in(V2G, NOW) == 20 * DAY
    begins = (NOW + 3 * DAY, NOW + 2 * DAY)
    for begin in begins:
        assert take(manager, pem(other.sign_csr(ask(manager, V2G).csr, begin=begin))).accepted
    assert manager.own.state(V2G, NOW) == LeafState(V2G, ends[1], begins[1])
    assert manager.own.state(V2G, begins[1] - SECOND).next_valid == begins[1]
    assert manager.own.state(V2G, begins[1]).next_valid == begins[0]  # it has begun
    assert manager.own.state(V2G, begins[0]).next_valid is None


@pytest.mark.requirement("A03.FR.02")
def test_a_certificate_without_its_key_serves_nobody(
    manager: CertificateManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The station cannot connect with it: it asks for another, and does not wait until it expires."""
    renew(manager, end=NOW + 90 * DAY)
    renew(manager, end=NOW + 50 * DAY, begin=NOW - DAY)
    manager = open_manager(tmp_path)
    with monkeypatch.context() as patch:

        def unreachable(_: object) -> tuple[str, ...]:
            raise KeyStorageError("cannot read the directory")

        patch.setattr(FileKeyStore, "names", unreachable)
        assert manager.own.state(STATION, NOW).expires == NOW + 90 * DAY
    (tmp_path / "keys" / "charging_station-1.key").write_text("damaged")
    manager = open_manager(tmp_path)
    assert manager.own.state(STATION, NOW) == LeafState(STATION, NOW + 50 * DAY)
    (tmp_path / "keys" / "charging_station-2.key").unlink()
    assert manager.own.state(STATION, NOW) == LeafState(STATION, None)
    assert manager.own.expires_in(STATION, NOW) is None


@pytest.mark.requirement("A05.FR.02", "A05.FR.03")
def test_a_profile_needs_a_root_that_is_valid_to_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = open_manager(tmp_path)
    begin, end = NOW - DAY, NOW + DAY
    authority = root("Short", begin=begin, end=end)
    assert manager.roots.install(TrustUse.CSMS, pem(authority), NOW).accepted

    def answer(profile: int, at: datetime = NOW) -> object:
        return manager.answer(CheckProfile(profile), at)

    no_anchor = Outcome(Status.REJECTED, Fault.NO_ANCHOR)
    for at, expected in (
        (begin - SECOND, no_anchor),
        (begin, Outcome(Status.ACCEPTED)),
        (end, Outcome(Status.ACCEPTED)),
        (end + SECOND, no_anchor),
    ):
        assert answer(1, at) == Outcome(Status.ACCEPTED)
        assert answer(2, at) == expected
    assert answer(3) == Outcome(Status.REJECTED, Fault.NO_CERTIFICATE)
    chain = pem(authority.sign_csr(ask(manager).csr, begin=begin, end=end))
    assert take(manager, chain).accepted
    assert answer(3) == Outcome(Status.ACCEPTED)

    def fail(*_: object) -> None:
        raise KeyStorageError("gone")

    monkeypatch.setattr(FileKeyStore, "names", fail)
    assert answer(2) == Outcome(Status.ACCEPTED)
    assert answer(3) == Outcome(Status.FAILED, Fault.STORAGE_FAILED, "gone")


# Connected.


@pytest.mark.requirement("M04.FR.02", "M04.FR.03")
def test_what_a_connection_rests_on_is_in_use_until_the_next(tmp_path: Path) -> None:
    manager = open_manager(tmp_path, replace(CONFIG, trust=TrustPolicy(protect_last=frozenset())))
    for authority in (CSMS_ROOT, V2G_ROOT):
        manager.roots.install(TrustUse.CSMS, pem(authority), NOW)
    manager.roots.install(TrustUse.V2G, pem(V2G_ROOT), NOW)
    renew_v2g(manager)
    (secc,) = manager.own.usable(V2G, NOW)
    names = [
        hash_data(CSMS_ROOT.certificate, CSMS_ROOT.certificate),
        hash_data(secc.leaf.certificate, V2G_SUB.certificate),
    ]
    assert manager.own.connected(CSMS_ROOT.certificate, secc.leaf.certificate, NOW) == Outcome(
        Status.ACCEPTED
    )
    assert [manager.roots.delete(name, NOW).fault for name in names] == [Fault.IN_USE, Fault.IN_USE]
    assert manager.answer(Connected(V2G_ROOT.certificate), NOW) == Outcome(Status.ACCEPTED)
    assert all(manager.roots.delete(name, NOW).accepted for name in names)


def test_nothing_is_reported_that_was_not_done(
    manager: CertificateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in range(2):
        renew(manager, NOW + days * DAY)
    _, old = manager.own.usable(STATION, NOW + DAY)

    def fail(*_: object) -> None:
        raise CertificateStoreError("Read-only file system")

    monkeypatch.setattr(disk, "remove", fail)
    failed = manager.own.connected(None, old.leaf.certificate, NOW + DAY)
    assert failed == Outcome(Status.FAILED, Fault.STORAGE_FAILED, "Read-only file system")
    monkeypatch.undo()
    done = manager.own.connected(None, old.leaf.certificate, NOW + DAY)
    assert done == Outcome(Status.ACCEPTED, events=(SecurityEvent.DISCARDED_RENEWED_CLIENT_CERTIFICATE,))
    assert SUBJECT.serial_number == old.leaf.certificate.common_name
