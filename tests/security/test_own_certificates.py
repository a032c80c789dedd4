"""The station's own certificates, with real files and keys: asked for, taken, used, dropped."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from ocpp_security.certificates.own import MAX_PENDING
from ocpp_security.errors import CertificateStoreError, Fault
from ocpp_security.keys import FileKeyStore, KeyStorageError
from ocpp_security.manager import CertificateConfig, CertificateManager
from ocpp_security.pki.certificate import parse_bundle
from ocpp_security.pki.hashdata import hash_data
from ocpp_security.pki.properties import StationSubject
from ocpp_security.questions import (
    CheckLeaf,
    Connected,
    LeafState,
    MakeSigningRequest,
    Outcome,
    SecurityEvent,
    TakeSigned,
)
from ocpp_security.trust import disk
from ocpp_security.trust.decisions import Status
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import TrustUse
from ocpp_security.trust.leaves import LeafPolicy
from tests.security.manager_kit import (
    CONFIG,
    CSMS_ROOT,
    STATION,
    STRANGER,
    V2G,
    V2G_ROOT,
    ask,
    open_manager,
    renew,
    take,
)
from tests.security.pki_kit import CA_USAGE, DAY, NOW, Authority, pem, root, usage

# Signing requests.


@pytest.mark.requirement(
    "A02.FR.02",
    "A02.FR.03",
    "A02.FR.05",
    "A00.FR.509",
    "A00.FR.511",
    "1.6-A02.FR.13",
    "A03.FR.05",
    "A00.FR.506",
    "A00.FR.514",
    "1.6-A02.FR.05",
    "1.6-A03.FR.05",
    "1.6-A03.FR.13",
    "1.6-A00.FR.509",
    "1.6-A00.FR.511",
)
def test_a_signing_request_names_the_station(manager: CertificateManager, tmp_path: Path) -> None:
    request = ask(manager)
    csr = x509.load_pem_x509_csr(request.csr.encode())
    assert csr.is_signature_valid
    assert isinstance(csr.signature_hash_algorithm, hashes.SHA256)
    assert not list(csr.extensions)  # no extended key usage, no alternative name
    assert {a.oid: a.value for a in csr.subject} == {
        NameOID.COMMON_NAME: "SN-0001",
        NameOID.ORGANIZATION_NAME: "Operator",
    }
    assert (request.use, request.request_id, request.root) == (STATION, 1, None)
    assert "PRIVATE" not in repr(request)
    assert [file.name for file in (tmp_path / "keys").iterdir()] == ["charging_station-1.key"]
    assert ask(manager).csr != request.csr  # a new key pair each time


@pytest.mark.requirement("A02.FR.03")
def test_a_signing_request_asks_for_further_names(manager: CertificateManager, tmp_path: Path) -> None:
    manager.config = replace(CONFIG, alternative_names={STATION: ("cp1.example", "192.0.2.1", "2001:db8::1")})
    csr = x509.load_pem_x509_csr(ask(manager).csr.encode())
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["cp1.example"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["192.0.2.1", "2001:db8::1"]
    assert len(x509.load_pem_x509_csr(ask(manager, V2G).csr.encode()).extensions) == 0
    manager.config = replace(CONFIG, alternative_names={STATION: ("bücher.example",)})
    outcome = manager.answer(MakeSigningRequest(STATION), NOW)
    assert isinstance(outcome, Outcome)
    assert outcome.fault is Fault.MALFORMED
    assert len(list((tmp_path / "keys").iterdir())) == 2  # none was made in vain


@pytest.mark.requirement("A02.FR.27", "A03.FR.23")
def test_a_v2g_signing_request_names_its_root(manager: CertificateManager) -> None:
    request = ask(manager, V2G)
    assert request.root == hash_data(V2G_ROOT.certificate, V2G_ROOT.certificate)
    subject = x509.load_pem_x509_csr(request.csr.encode()).subject
    assert subject.get_attributes_for_oid(NameOID.COUNTRY_NAME)[0].value == "DE"
    assert subject.get_attributes_for_oid(NameOID.DOMAIN_COMPONENT)[0].value == "CPO"
    manager.roots.install(TrustUse.V2G, pem(root("Another V2G")), NOW)
    assert ask(manager, V2G).root is None  # which one is not clear


@pytest.mark.parametrize(
    ("subject", "fault"),
    [
        (StationSubject("SN", ""), Fault.NO_ORGANIZATION),
        (StationSubject("", "O"), Fault.NO_COMMON_NAME),
        (StationSubject("SN", "O", "Germany"), Fault.MALFORMED),
    ],
)
def test_without_a_name_there_is_no_request(subject: StationSubject, fault: Fault, tmp_path: Path) -> None:
    outcome = open_manager(tmp_path, CertificateConfig({STATION: subject})).answer(
        MakeSigningRequest(STATION), NOW
    )
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.fault) == (Status.FAILED, fault)
    assert not list((tmp_path / "keys").iterdir())


def test_keys_that_wait_are_few(manager: CertificateManager, tmp_path: Path) -> None:
    requests = [ask(manager) for _ in range(MAX_PENDING + 3)]
    assert len(list((tmp_path / "keys").iterdir())) == MAX_PENDING
    old, new = (pem(CSMS_ROOT.sign_csr(r.csr)) for r in (requests[2], requests[3]))
    assert take(manager, old).fault is Fault.NO_MATCHING_KEY
    assert take(manager, new).accepted


@pytest.mark.requirement("A02.FR.02", "A03.FR.02")
def test_a_damaged_key_does_not_stand_in_the_way_of_new_ones(
    manager: CertificateManager, tmp_path: Path
) -> None:
    """The number of a new key is one that no file has, whether the key in it can be loaded or not."""
    renew(manager)
    ask(manager)
    (tmp_path / "keys" / "charging_station-2.key").write_text("rubbish")
    (tmp_path / "keys" / "v2g-4.key").write_text("rubbish")
    assert ask(manager).request_id == 5
    assert ask(manager, V2G).request_id == 6


def test_a_key_store_that_fails_is_an_answer(
    manager: CertificateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = pem(CSMS_ROOT.sign_csr(ask(manager).csr))

    def fail(*_: object) -> None:
        raise KeyStorageError("cannot read: gone")

    monkeypatch.setattr(FileKeyStore, "names", fail)
    for question in (MakeSigningRequest(STATION), TakeSigned(chain)):
        outcome = manager.answer(question, NOW)
        assert isinstance(outcome, Outcome)
        assert outcome.fault is Fault.STORAGE_FAILED
        assert not outcome.accepted
        assert not outcome.events


class HugeKey:
    """A key whose CSR is longer than a message may be."""

    def sign_csr(self, subject: x509.Name, extensions: object) -> str:
        return 5501 * "A"


def test_a_signing_request_may_not_be_longer_than_its_message(
    manager: CertificateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileKeyStore, "create", lambda *_: HugeKey())
    outcome = manager.answer(MakeSigningRequest(STATION), NOW)
    assert isinstance(outcome, Outcome)
    assert outcome.fault is Fault.TOO_LARGE


def test_keys_of_other_names_are_left_alone(manager: CertificateManager, tmp_path: Path) -> None:
    keys = FileKeyStore(tmp_path / "keys")
    keys.create("provisioned")
    for _ in range(MAX_PENDING + 1):
        ask(manager)
    assert "provisioned" in keys.names()
    assert manager.config.subjects == CONFIG.subjects


# Chains that come back.


@pytest.mark.requirement("A02.FR.06", "A02.FR.08", "A03.FR.06", "A03.FR.08", "1.6-A02.FR.06", "1.6-A03.FR.06")
def test_a_signed_chain_is_taken_and_usable(manager: CertificateManager, tmp_path: Path) -> None:
    sub = CSMS_ROOT.sub("CSMS sub")
    leaf = sub.sign_csr(ask(manager).csr, begin=NOW)
    outcome = take(manager, pem(leaf, sub, CSMS_ROOT))  # some send the root too
    assert outcome == Outcome(
        Status.ACCEPTED,
        events=(SecurityEvent.RECONFIGURATION_OF_SECURITY_PARAMETERS,),
        use=STATION,
        valid_from=NOW,
    )
    (info,) = manager.own.usable(STATION, NOW)
    assert info.leaf.chain == (leaf, sub.certificate)
    assert info.path.certificates == (leaf, sub.certificate, CSMS_ROOT.certificate)
    assert info.key_name == "charging_station-1"
    (file,) = info.files
    assert parse_bundle(file.read_bytes()) == info.leaf.chain
    # It is all there after a restart.
    (again,) = open_manager(tmp_path).own.usable(STATION, NOW)
    assert again.leaf == info.leaf
    assert manager.answer(CheckLeaf(STATION), NOW) == LeafState(STATION, leaf.not_after)
    assert manager.own.expires_in(STATION, NOW) == leaf.not_after - NOW
    assert manager.own.expires_in(V2G, NOW) is None


def test_a_chain_may_come_in_any_order(manager: CertificateManager) -> None:
    sub = CSMS_ROOT.sub("CSMS sub")
    leaf = sub.sign_csr(ask(manager).csr, begin=NOW)
    outcome = take(manager, pem(CSMS_ROOT, sub, leaf))
    assert outcome.valid_from == NOW
    (info,) = manager.own.usable(STATION, NOW)
    assert info.leaf.chain == (leaf, sub.certificate)


def test_a_restart_between_request_and_answer_loses_nothing(
    manager: CertificateManager, tmp_path: Path
) -> None:
    request = ask(manager)
    later = open_manager(tmp_path)
    assert take(later, pem(CSMS_ROOT.sign_csr(request.csr)), request_id=request.request_id).accepted


INVALID = (SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE,)


@pytest.mark.parametrize(
    ("fault", "issuer", "wish"),
    [
        (Fault.NO_PATH, STRANGER, {}),
        (Fault.EXPIRED, CSMS_ROOT, {"end": NOW - DAY}),
        (Fault.NOT_YET_VALID, CSMS_ROOT, {"begin": NOW + timedelta(seconds=301)}),
        (Fault.WRONG_USAGE, CSMS_ROOT, {"usage": usage("key_agreement")}),
        (Fault.NOT_A_LEAF, CSMS_ROOT, {"ca": True, "usage": CA_USAGE}),
        (Fault.WEAK_SIGNATURE, CSMS_ROOT, {"digest": hashes.SHA224()}),
        (Fault.NO_PATH, V2G_ROOT, {}),
    ],
)
@pytest.mark.requirement(
    "A02.FR.06",
    "A02.FR.07",
    "A03.FR.06",
    "A03.FR.07",
    "1.6-A02.FR.06",
    "1.6-A02.FR.07",
    "1.6-A03.FR.06",
    "1.6-A03.FR.07",
)
def test_an_invalid_chain_is_refused_and_reported(
    manager: CertificateManager, fault: Fault, issuer: Authority, wish: dict[str, object]
) -> None:
    outcome = take(manager, pem(issuer.sign_csr(ask(manager).csr, **wish)))
    assert (outcome.status, outcome.fault, outcome.events) == (Status.REJECTED, fault, INVALID)
    assert outcome.use is STATION
    assert manager.inventory.leaves == ()


@pytest.mark.requirement("A02.FR.06", "A02.FR.07")
def test_a_certificate_for_another_key_or_name_is_refused(manager: CertificateManager) -> None:
    ask(manager)
    foreign = take(manager, pem(CSMS_ROOT.leaf()))
    assert (foreign.fault, foreign.events, foreign.use) == (Fault.NO_MATCHING_KEY, INVALID, None)
    assert take(manager, "rubbish").fault is Fault.MALFORMED
    renamed = CertificateConfig({STATION: StationSubject("SN-9999", "Operator")})
    chain = pem(CSMS_ROOT.sign_csr(ask(manager).csr))
    manager.config = renamed
    assert take(manager, chain).fault is Fault.WRONG_COMMON_NAME
    manager.config = CertificateConfig(renamed.subjects, leaves=LeafPolicy(check_subject=False))
    assert take(manager, chain).accepted


@pytest.mark.requirement("A02.FR.16", "A03.FR.16")
def test_a_chain_may_be_too_long(manager: CertificateManager) -> None:
    chain = pem(CSMS_ROOT.sign_csr(ask(manager).csr))
    manager.config = CertificateConfig(CONFIG.subjects, leaves=LeafPolicy(max_chain_size=len(chain) - 1))
    outcome = take(manager, chain)
    assert (outcome.status, outcome.fault, outcome.events) == (Status.REJECTED, Fault.TOO_LARGE, ())
    manager.config = CertificateConfig(CONFIG.subjects, leaves=LeafPolicy(max_chain_size=len(chain)))
    assert take(manager, chain).accepted


@pytest.mark.requirement("A02.FR.26", "A03.FR.22")
def test_an_unknown_request_is_refused(manager: CertificateManager) -> None:
    first, second = ask(manager), ask(manager)
    chain = pem(CSMS_ROOT.sign_csr(first.csr))
    unknown = take(manager, chain, request_id=77)
    assert (unknown.status, unknown.fault, unknown.events) == (Status.REJECTED, Fault.UNKNOWN_REQUEST, ())
    assert take(manager, chain, request_id=second.request_id).fault is Fault.NO_MATCHING_KEY
    assert take(manager, chain, request_id=first.request_id).accepted


def test_a_chain_of_another_kind_than_said_is_refused(manager: CertificateManager) -> None:
    chain = pem(CSMS_ROOT.sign_csr(ask(manager).csr))
    outcome = manager.answer(TakeSigned(chain, V2G), NOW)
    assert isinstance(outcome, Outcome)
    assert outcome.fault is Fault.NO_MATCHING_KEY


def test_a_chain_may_come_twice(manager: CertificateManager) -> None:
    chain = renew(manager)
    assert take(manager, chain).accepted
    assert len(manager.inventory.leaves) == 1


def test_a_revoked_certificate_is_refused(manager: CertificateManager) -> None:
    leaf = CSMS_ROOT.sign_csr(ask(manager).csr)
    assert manager.status.take_crl(CSMS_ROOT.crl(leaf), NOW).accepted
    assert take(manager, pem(leaf)).fault is Fault.REVOKED


@pytest.mark.requirement("1.6-A02.FR.08", "1.6-A03.FR.08", "1.6-A02.FR.09", "1.6-A03.FR.09")
def test_a_certificate_of_the_future_waits_where_that_is_allowed(manager: CertificateManager) -> None:
    manager.config = CertificateConfig(CONFIG.subjects, leaves=LeafPolicy(accept_future=True))
    renew(manager)
    tomorrow = NOW + DAY
    leaf = CSMS_ROOT.sign_csr(ask(manager).csr, begin=tomorrow)
    assert take(manager, pem(leaf)).valid_from == tomorrow
    assert manager.own.state(STATION, NOW).next_valid == tomorrow
    (today,) = manager.own.usable(STATION, NOW)
    assert today.leaf.certificate != leaf
    assert manager.own.connected(None, today.leaf.certificate, NOW) == Outcome(Status.ACCEPTED)  # it stays
    assert manager.own.usable(STATION, tomorrow)[0].leaf.certificate == leaf
    expired = CSMS_ROOT.sign_csr(ask(manager).csr, begin=tomorrow, end=tomorrow + DAY)
    assert take(manager, pem(expired), NOW + 3 * DAY).fault is Fault.EXPIRED


@pytest.mark.requirement("A00.FR.430", "B10.FR.09")
def test_a_station_connects_with_what_has_expired_if_it_has_nothing_else(
    manager: CertificateManager, tmp_path: Path
) -> None:
    """A station that was in store for too long: it is for the CSMS to let it in, and to renew it."""

    def used(at: datetime) -> list[datetime]:
        return [info.leaf.certificate.not_after for info in manager.own.to_connect(at)]

    assert used(NOW) == []
    first, second = NOW + 10 * DAY, NOW + 20 * DAY
    renew(manager, end=second)
    renew(manager, end=first)
    assert sorted(used(first)) == [first, second]
    assert used(first + DAY) == [second]
    assert used(second + 900 * DAY) == [second]
    assert manager.own.usable(STATION, second + DAY) == ()
    (tmp_path / "keys" / "charging_station-1.key").unlink()
    assert used(second + DAY) == [first]
    assert used(NOW - 30 * DAY) == [first]  # none has begun, or the clock is wrong


@pytest.mark.requirement("A02.FR.06", "A03.FR.06")
def test_a_certificate_that_was_signed_just_now_is_taken_by_a_slow_clock(manager: CertificateManager) -> None:
    """Refused, it would be given up, and the station be lost when the present one expires."""
    renew(manager, NOW - DAY)
    begins = NOW + timedelta(minutes=5)
    leaf = CSMS_ROOT.sign_csr(ask(manager).csr, begin=begins)
    outcome = take(manager, pem(leaf))
    assert (outcome.status, outcome.valid_from) == (Status.ACCEPTED, begins)
    assert leaf not in [info.leaf.certificate for info in manager.own.usable(STATION, NOW)]
    assert manager.own.usable(STATION, begins)[0].leaf.certificate == leaf


@pytest.mark.requirement("A02.FR.10", "A02.FR.28", "A03.FR.10", "A03.FR.24", "1.6-A02.FR.10", "1.6-A03.FR.10")
def test_old_and_new_are_kept_until_one_connects(manager: CertificateManager, tmp_path: Path) -> None:
    renew(manager)
    renew(manager, NOW + DAY)
    new, old = manager.own.usable(STATION, NOW + DAY)
    assert new.leaf.certificate.not_before > old.leaf.certificate.not_before
    outcome = manager.answer(Connected(CSMS_ROOT.certificate, new.leaf.certificate), NOW + DAY)
    assert outcome == Outcome(Status.ACCEPTED)
    assert [info.leaf for info in manager.own.usable(STATION, NOW + DAY)] == [new.leaf]
    assert [file.stem for file in (tmp_path / "keys").iterdir()] == [new.key_name]


@pytest.mark.requirement("A02.FR.10", "A02.FR.29", "A03.FR.25")
def test_a_new_certificate_that_does_not_work_is_dropped_and_reported(manager: CertificateManager) -> None:
    renew(manager)
    renew(manager, NOW + DAY)
    _, old = manager.own.usable(STATION, NOW + DAY)
    outcome = manager.answer(Connected(None, old.leaf.certificate), NOW + DAY)
    assert isinstance(outcome, Outcome)
    assert outcome.events == (SecurityEvent.DISCARDED_RENEWED_CLIENT_CERTIFICATE,)
    assert [info.leaf for info in manager.own.usable(STATION, NOW + DAY)] == [old.leaf]


@pytest.mark.requirement("A02.FR.24", "A02.FR.25", "A02.FR.29")
def test_the_number_of_a_request_that_came_to_nothing_is_not_given_again(manager: CertificateManager) -> None:
    """A CSMS would take it for the old request, and send the old certificate for a key that is gone."""
    renew(manager)
    (old,) = manager.own.usable(STATION, NOW)
    failed = ask(manager)
    assert take(manager, pem(CSMS_ROOT.sign_csr(failed.csr))).accepted
    manager.own.connected(None, old.leaf.certificate, NOW)
    assert ask(manager).request_id > failed.request_id
    assert ask(manager, V2G).request_id > failed.request_id + 1


def test_connecting_with_a_certificate_that_is_not_ours_changes_nothing(manager: CertificateManager) -> None:
    renew(manager)
    before = manager.inventory
    outcome = manager.answer(Connected(None, CSMS_ROOT.leaf().certificate), NOW)
    assert outcome == Outcome(Status.ACCEPTED)
    assert manager.inventory == before


def test_expired_chains_make_room(manager: CertificateManager) -> None:
    manager.config = CertificateConfig(CONFIG.subjects, leaves=LeafPolicy(max_leaves=2))
    for days in range(4):
        renew(manager, NOW + days * DAY, end=NOW + (days + 1) * DAY)
    ask(manager, at=NOW + 4 * DAY)
    assert len(manager.inventory.leaves) == 2


def test_a_failure_to_drop_what_is_superfluous_is_an_answer(
    manager: CertificateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew(manager)
    renew(manager, NOW + DAY)
    new, _ = manager.own.usable(STATION, NOW + DAY)

    def fail(*_: object) -> None:
        raise CertificateStoreError("cannot remove: Read-only file system")

    monkeypatch.setattr(disk, "remove", fail)
    monkeypatch.setattr(CertificateFiles, "load", fail)
    outcome = manager.own.connected(None, new.leaf.certificate, NOW + DAY)
    assert outcome.status is Status.FAILED
    monkeypatch.undo()
    assert manager.own.connected(None, new.leaf.certificate, NOW + DAY).accepted
    assert len(manager.own.usable(STATION, NOW + DAY)) == 1


def test_a_new_chain_with_the_same_key_keeps_the_key(manager: CertificateManager, tmp_path: Path) -> None:
    request = ask(manager)
    for days in (0, 1):
        leaf = CSMS_ROOT.sign_csr(request.csr, begin=NOW + days * DAY)
        assert take(manager, pem(leaf), NOW + days * DAY).accepted
    new, _ = manager.own.usable(STATION, NOW + DAY)
    manager.own.connected(None, new.leaf.certificate, NOW + DAY)
    assert [info.leaf for info in manager.own.usable(STATION, NOW + DAY)] == [new.leaf]
