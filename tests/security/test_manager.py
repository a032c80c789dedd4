"""The manager with real files and keys: what a station asks, and what it gets."""

import base64
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ocpp_security.certificates.own import MAX_PENDING
from ocpp_security.errors import CertificateStoreError, Fault
from ocpp_security.keys import FileKeyStore, KeyStorageError, one_secret
from ocpp_security.manager import CertificateConfig, CertificateManager
from ocpp_security.pki.certificate import parse_bundle
from ocpp_security.pki.hashdata import HashAlgorithm, hash_data
from ocpp_security.pki.properties import StationSubject
from ocpp_security.questions import (
    ChainKind,
    CheckFileSignature,
    CheckLeaf,
    CheckSigningCertificate,
    Connected,
    DeleteCertificate,
    Installed,
    InstalledChain,
    InstallRoot,
    LeafState,
    ListCertificates,
    ListOcspRequests,
    MakeSigningRequest,
    OcspRequests,
    Outcome,
    SecurityEvent,
    SigningRequest,
    TakeOcspResponse,
    TakeSigned,
)
from ocpp_security.trust import disk
from ocpp_security.trust.decisions import Status, TrustPolicy
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import LeafUse, TrustUse
from ocpp_security.trust.layout import Layout
from ocpp_security.trust.leaves import LeafPolicy
from tests.security.pki_kit import CA_USAGE, DAY, NOW, Authority, ec_key, pem, root, rsa_key, usage

STATION, V2G = LeafUse.CHARGING_STATION, LeafUse.V2G
SUBJECT = StationSubject("SN-0001", "Operator")
SECC = StationSubject("SECC1", "Operator", "DE", "CPO")
CONFIG = CertificateConfig({STATION: SUBJECT, V2G: SECC})
CSMS_ROOT = root("CSMS root")
V2G_ROOT = root("V2G root")
V2G_SUB = V2G_ROOT.sub("V2G sub", responder="http://ocsp.example/root")
URL = "http://ocsp.example/sub"


def open_manager(path: Path, config: CertificateConfig = CONFIG) -> CertificateManager:
    return CertificateManager(CertificateFiles(Layout.under(path)), FileKeyStore(path / "keys"), config)


@pytest.fixture
def manager(tmp_path: Path) -> CertificateManager:
    made = open_manager(tmp_path)
    for use, authority in ((TrustUse.CSMS, CSMS_ROOT), (TrustUse.V2G, V2G_ROOT)):
        assert made.answer(InstallRoot(use, pem(authority)), NOW) == Outcome(
            Status.ACCEPTED, events=(SecurityEvent.RECONFIGURATION_OF_SECURITY_PARAMETERS,)
        )
    return made


def ask(manager: CertificateManager, use: LeafUse = STATION, at: datetime = NOW) -> SigningRequest:
    request = manager.answer(MakeSigningRequest(use), at)
    assert isinstance(request, SigningRequest)
    return request


def take(
    manager: CertificateManager, chain: str, at: datetime = NOW, request_id: int | None = None
) -> Outcome:
    outcome = manager.answer(TakeSigned(chain, request_id=request_id), at)
    assert isinstance(outcome, Outcome)
    return outcome


def renew(manager: CertificateManager, at: datetime = NOW, **wish: object) -> str:
    """A station certificate that was asked for and taken."""
    begin = wish.pop("begin", at)
    chain = pem(CSMS_ROOT.sign_csr(ask(manager, at=at).csr, begin=begin, **wish))
    assert take(manager, chain, at).accepted
    return chain


def renew_v2g(manager: CertificateManager) -> str:
    leaf = V2G_SUB.sign_csr(ask(manager, V2G).csr, responder=URL)
    chain = pem(leaf, V2G_SUB)
    assert take(manager, chain).accepted
    return chain


# Signing requests.


@pytest.mark.requirement("A02.FR.02", "A02.FR.03", "A02.FR.05", "A00.FR.509", "A00.FR.511", "1.6-A02.FR.13")
def test_a_signing_request_names_the_station(manager: CertificateManager, tmp_path: Path) -> None:
    request = ask(manager)
    csr = x509.load_pem_x509_csr(request.csr.encode())
    assert csr.is_signature_valid
    assert {a.oid: a.value for a in csr.subject} == {
        NameOID.COMMON_NAME: "SN-0001",
        NameOID.ORGANIZATION_NAME: "Operator",
    }
    assert (request.use, request.request_id, request.root) == (STATION, 1, None)
    assert "PRIVATE" not in repr(request)
    assert [file.name for file in (tmp_path / "keys").iterdir()] == ["charging_station-1.key"]
    assert ask(manager).csr != request.csr  # a new key pair each time


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


# Chains that come back.


@pytest.mark.requirement("A02.FR.06", "A02.FR.08")
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


def test_a_restart_between_request_and_answer_loses_nothing(
    manager: CertificateManager, tmp_path: Path
) -> None:
    request = ask(manager)
    later = open_manager(tmp_path)
    assert take(later, pem(CSMS_ROOT.sign_csr(request.csr)), request_id=request.request_id).accepted


STRANGER = root("Stranger")
INVALID = (SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE,)


@pytest.mark.parametrize(
    ("fault", "issuer", "wish"),
    [
        (Fault.NO_PATH, STRANGER, {}),
        (Fault.EXPIRED, CSMS_ROOT, {"end": NOW - DAY}),
        (Fault.NOT_YET_VALID, CSMS_ROOT, {"begin": NOW + timedelta(seconds=1)}),
        (Fault.WRONG_USAGE, CSMS_ROOT, {"usage": usage("key_agreement")}),
        (Fault.NOT_A_LEAF, CSMS_ROOT, {"ca": True, "usage": CA_USAGE}),
        (Fault.WEAK_SIGNATURE, CSMS_ROOT, {"digest": hashes.SHA224()}),
        (Fault.NO_PATH, V2G_ROOT, {}),
    ],
)
@pytest.mark.requirement("A02.FR.06", "A02.FR.07", "A03.FR.06", "A03.FR.07")
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


@pytest.mark.requirement("A02.FR.16")
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


@pytest.mark.requirement("1.6-A02.FR.08")
def test_a_certificate_of_the_future_waits_where_that_is_allowed(manager: CertificateManager) -> None:
    manager.config = CertificateConfig(CONFIG.subjects, leaves=LeafPolicy(accept_future=True))
    renew(manager)
    tomorrow = NOW + DAY
    leaf = CSMS_ROOT.sign_csr(ask(manager).csr, begin=tomorrow)
    assert take(manager, pem(leaf)).valid_from == tomorrow
    assert manager.own.state(STATION, NOW).next_valid == tomorrow
    assert manager.own.usable(STATION, NOW)[0].leaf.certificate != leaf
    assert manager.own.usable(STATION, tomorrow)[0].leaf.certificate == leaf
    expired = CSMS_ROOT.sign_csr(ask(manager).csr, begin=tomorrow, end=tomorrow + DAY)
    assert take(manager, pem(expired), NOW + 3 * DAY).fault is Fault.EXPIRED


@pytest.mark.requirement("A02.FR.10", "A02.FR.28", "A03.FR.10", "A03.FR.24")
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


def test_connecting_with_a_certificate_that_is_not_ours_changes_nothing(manager: CertificateManager) -> None:
    renew(manager)
    before = manager.inventory
    manager.answer(Connected(None, CSMS_ROOT.leaf().certificate), NOW)
    assert manager.inventory == before


def test_expired_chains_make_room(manager: CertificateManager) -> None:
    manager.config = CertificateConfig(CONFIG.subjects, leaves=LeafPolicy(max_leaves=2))
    for days in range(4):
        renew(manager, NOW + days * DAY, end=NOW + (days + 1) * DAY)
    ask(manager, at=NOW + 4 * DAY)
    assert len(manager.inventory.leaves) == 2


# Roots.


def listed(manager: CertificateManager, *kinds: TrustUse | ChainKind) -> tuple[InstalledChain, ...]:
    answer = manager.answer(ListCertificates(frozenset(kinds)), NOW)
    assert isinstance(answer, Installed)
    return answer.chains


@pytest.mark.parametrize("algorithm", HashAlgorithm)
@pytest.mark.requirement("M03.FR.01", "M03.FR.02", "M03.FR.03", "M03.FR.04", "M03.FR.05")
def test_what_is_installed_is_listed(manager: CertificateManager, algorithm: HashAlgorithm) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    renew(manager)  # the station's own certificate is not listed
    manager.config = CertificateConfig(CONFIG.subjects, hash_algorithm=algorithm)
    csms = InstalledChain(TrustUse.CSMS, hash_data(CSMS_ROOT.certificate, CSMS_ROOT.certificate, algorithm))
    v2g = InstalledChain(TrustUse.V2G, hash_data(V2G_ROOT.certificate, V2G_ROOT.certificate, algorithm))
    chain = InstalledChain(
        ChainKind.V2G,
        hash_data(leaf, sub, algorithm),
        (hash_data(sub, V2G_ROOT.certificate, algorithm),),
    )
    assert listed(manager) == (csms, v2g, chain)
    assert listed(manager, TrustUse.V2G) == (v2g,)
    assert listed(manager, ChainKind.V2G, TrustUse.CSMS) == (csms, chain)
    assert listed(manager, TrustUse.MO) == ()
    for other in HashAlgorithm:  # deletion understands any algorithm
        name = hash_data(leaf, sub, other)
        if other is algorithm:
            outcome = manager.answer(DeleteCertificate(name), NOW)
            assert isinstance(outcome, Outcome)
            assert outcome.accepted
    assert listed(manager, ChainKind.V2G) == ()


@pytest.mark.requirement("M04.FR.06")
def test_a_deleted_v2g_certificate_takes_its_key_along(manager: CertificateManager, tmp_path: Path) -> None:
    renew_v2g(manager)
    renew(manager)
    (chain,) = listed(manager, ChainKind.V2G)
    assert manager.roots.delete(chain.name, NOW).accepted
    assert [file.stem for file in (tmp_path / "keys").iterdir()] == ["charging_station-2"]
    (info,) = manager.own.usable(STATION, NOW)
    station = hash_data(info.leaf.certificate, CSMS_ROOT.certificate)
    assert manager.roots.delete(station, NOW).status is Status.FAILED


@pytest.mark.requirement("1.6-M04.FR.06", "M04.FR.03")
def test_the_root_of_the_connection_stays(manager: CertificateManager) -> None:
    other = root("Other")
    manager.roots.install(TrustUse.CSMS, pem(other), NOW)
    manager.own.connected(CSMS_ROOT.certificate, None, NOW)
    mine, others = (hash_data(r.certificate, r.certificate) for r in (CSMS_ROOT, other))
    assert manager.roots.delete(mine, NOW).fault is Fault.IN_USE
    assert manager.roots.delete(others, NOW).accepted
    assert manager.roots.delete(others, NOW).status is Status.NOT_FOUND


@pytest.mark.requirement("M05.FR.12", "M05.FR.13")
def test_a_fallback_root_goes_when_the_new_one_has_proved_itself(tmp_path: Path) -> None:
    policy = TrustPolicy(additional_root_certificate_check=True)
    manager = open_manager(tmp_path, CertificateConfig(trust=policy))
    new = CSMS_ROOT.sub("New root")
    for authority in (CSMS_ROOT, new):
        assert manager.roots.install(TrustUse.CSMS, pem(authority), NOW).accepted
    both = (new.certificate, CSMS_ROOT.certificate)
    assert manager.roots.trusted(TrustUse.CSMS) == both
    assert parse_bundle(manager.roots.verify_file(TrustUse.CSMS).read_bytes()) == both
    manager.own.connected(CSMS_ROOT.certificate, None, NOW)
    assert manager.roots.trusted(TrustUse.CSMS) == both
    manager.own.connected(new.certificate, None, NOW)
    assert manager.roots.trusted(TrustUse.CSMS) == both[:1]
    assert manager.roots.present(TrustUse.CSMS)
    assert not manager.roots.present(TrustUse.MO)


@pytest.mark.requirement("M04.FR.03", "M05.FR.03")
def test_a_full_disk_is_an_answer(manager: CertificateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise CertificateStoreError("cannot write: No space left on device")

    chain = pem(CSMS_ROOT.sign_csr(ask(manager).csr))
    before = manager.inventory
    monkeypatch.setattr(disk, "write", full)
    monkeypatch.setattr(disk, "remove", full)
    root_name = hash_data(V2G_ROOT.certificate, V2G_ROOT.certificate)
    questions = [InstallRoot(TrustUse.MO, pem(root("MO"))), DeleteCertificate(root_name)]
    for question in questions:
        outcome = manager.answer(question, NOW)
        assert isinstance(outcome, Outcome)
        assert (outcome.status, outcome.fault) == (Status.FAILED, Fault.STORAGE_FAILED)
        assert "No space" in outcome.detail
    refused = take(manager, chain)
    assert (refused.status, refused.fault, refused.events) == (Status.REJECTED, Fault.STORAGE_FAILED, ())
    assert manager.inventory == before


def test_what_others_change_is_seen_after_reload(manager: CertificateManager, tmp_path: Path) -> None:
    (tmp_path / "ca" / "mf").mkdir(parents=True)
    (tmp_path / "ca" / "mf" / "root.pem").write_text(pem(STRANGER))
    assert not manager.roots.present(TrustUse.MANUFACTURER)
    assert manager.reload().trusted(TrustUse.MANUFACTURER) == (STRANGER.certificate,)


# Keys and links.


def test_links_follow_the_newest_certificate(tmp_path: Path) -> None:
    link = tmp_path / "client" / "csms" / "current"
    config = CertificateConfig(
        CONFIG.subjects,
        leaves=LeafPolicy(accept_future=True),
        links={STATION: link},
        key_directory=tmp_path / "keys",
    )
    manager = open_manager(tmp_path, config)
    manager.roots.install(TrustUse.CSMS, pem(CSMS_ROOT), NOW)
    assert not link.exists()
    renew(manager)
    renew(manager, begin=NOW + DAY)  # taken now, valid tomorrow
    for at, key in ((NOW, "charging_station-1"), (NOW + DAY, "charging_station-2")):
        manager.update_links(at)
        assert (link / "key.pem").resolve().stem == key
        (info, *_) = manager.own.usable(STATION, at)
        assert parse_bundle((link / "chain.pem").read_bytes()) == info.leaf.chain
        assert info.key_path == tmp_path / "keys" / f"{key}.key"
    assert len(CertificateFiles(Layout.under(tmp_path)).load().leaves) == 2  # the link is no third


def test_a_certificate_without_its_key_is_not_usable(manager: CertificateManager, tmp_path: Path) -> None:
    renew(manager)
    locked = CertificateManager(
        CertificateFiles(Layout.under(tmp_path)), FileKeyStore(tmp_path / "others"), CONFIG
    )
    assert locked.own.usable(STATION, NOW) == ()
    (tmp_path / "keys" / "charging_station-9.key").write_text("rubbish")
    assert len(manager.own.usable(STATION, NOW)) == 1


def test_encrypted_keys_serve_as_well(tmp_path: Path) -> None:
    keys = FileKeyStore(tmp_path / "keys", one_secret(b"password"))
    manager = CertificateManager(CertificateFiles(Layout.under(tmp_path)), keys, CONFIG)
    manager.roots.install(TrustUse.CSMS, pem(CSMS_ROOT), NOW)
    renew(manager)
    assert len(manager.own.usable(STATION, NOW)) == 1


# Revocation.


@pytest.mark.requirement("M06.FR.06", "M06.FR.07")
def test_ocsp_of_every_v2g_chain_is_asked_and_cached(manager: CertificateManager) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    renew_v2g(manager)
    answer = manager.answer(ListOcspRequests(), NOW)
    assert isinstance(answer, OcspRequests)
    assert len(answer.requests) == 3  # two leaves, and the sub-CA once
    assert {r.responder_url for r in answer.requests} == {URL, "http://ocsp.example/root"}
    name = hash_data(leaf, sub)
    assert name in {r.hash_data for r in answer.requests}
    assert manager.status.response(leaf, NOW) is None

    response = V2G_SUB.ocsp(leaf)
    text = base64.b64encode(response).decode()
    outcome = manager.answer(TakeOcspResponse(name, text), NOW)
    assert outcome == Outcome(Status.ACCEPTED, detail="Good")
    assert manager.status.response(leaf, NOW) == response
    assert manager.status.response_base64(leaf, NOW) == text
    assert manager.status.response(leaf, NOW + 8 * DAY) is None  # too old to be stapled
    assert manager.status.response_base64(leaf, NOW + 8 * DAY) is None


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (b"", Fault.MALFORMED),
        (STRANGER.ocsp(STRANGER.leaf().certificate), Fault.WRONG_SUBJECT),
        ("*", Fault.MALFORMED),
        ("\u00e9", Fault.MALFORMED),
    ],
)
def test_a_response_that_cannot_be_believed_is_not_kept(
    manager: CertificateManager, response: bytes | str, fault: Fault
) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    text = response if isinstance(response, str) else base64.b64encode(response).decode()
    outcome = manager.status.take_response(hash_data(leaf, sub), text, NOW)
    assert (outcome.status, outcome.fault) == (Status.REJECTED, fault)
    assert manager.status.response(leaf, NOW) is None


def test_a_response_about_nothing_of_ours_is_not_kept(
    manager: CertificateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf, sub = parse_bundle(renew_v2g(manager))
    text = base64.b64encode(V2G_SUB.ocsp(leaf)).decode()
    name = hash_data(STRANGER.certificate, STRANGER.certificate)
    assert manager.status.take_response(name, text, NOW).fault is Fault.WRONG_SUBJECT

    def full(*_: object) -> None:
        raise CertificateStoreError("full")

    monkeypatch.setattr(disk, "write", full)
    assert manager.status.take_response(hash_data(leaf, sub), text, NOW).status is Status.FAILED
    assert manager.status.take_crl(V2G_ROOT.crl(), NOW).status is Status.FAILED


def test_lists_are_kept_of_known_authorities_only(manager: CertificateManager, tmp_path: Path) -> None:
    assert manager.status.take_crl(STRANGER.crl(), NOW).fault is Fault.WRONG_SUBJECT
    assert manager.status.take_crl(b"rubbish", NOW).fault is Fault.MALFORMED
    assert manager.status.take_crl(CSMS_ROOT.crl(begin=NOW + DAY), NOW).fault is Fault.NOT_CURRENT
    for begin in (NOW - 2 * DAY, NOW - DAY):
        assert manager.status.take_crl(CSMS_ROOT.crl(begin=begin), NOW).accepted
    assert len(list((tmp_path / "crl").iterdir())) == 1
    (tmp_path / "crl" / "broken.pem").write_text("rubbish")
    assert len(manager.status.evidence().crls) == 1


def test_a_contract_certificate_is_checked_against_mo_and_v2g_roots(manager: CertificateManager) -> None:
    mo = root("MO")
    sub = mo.sub("MO sub", responder="http://ocsp.example/mo")
    contract = sub.leaf("EMAID", responder="http://ocsp.example/contract")
    chain = pem(contract, sub)
    with pytest.raises(ValueError, match="no path"):
        manager.status.contract_requests(chain, NOW)
    manager.roots.install(TrustUse.MO, pem(mo), NOW)
    requests = manager.status.contract_requests(chain, NOW)
    assert [r.responder_url for r in requests] == ["http://ocsp.example/contract", "http://ocsp.example/mo"]
    manager.status.take_crl(mo.crl(sub.certificate), NOW)
    with pytest.raises(ValueError, match="revoked"):
        manager.status.verify(chain, (TrustUse.MO,), NOW)


# Signing.

MF_ROOT = root("MF")
MF_SUB = MF_ROOT.sub("MF sub")
SIGNER = MF_SUB.leaf("Firmware")
IMAGE = b"image" * 300_000


def signature(key: object, data: bytes = IMAGE) -> str:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return base64.b64encode(key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()


@pytest.mark.requirement("L01.FR.04", "L01.FR.12", "L01.FR.21", "L01.FR.22")
def test_firmware_is_checked_with_its_certificate(manager: CertificateManager, tmp_path: Path) -> None:
    manager.roots.install(TrustUse.MANUFACTURER, pem(MF_ROOT), NOW)
    file = tmp_path / "image.bin"
    file.write_bytes(IMAGE)
    chain = pem(SIGNER, MF_SUB)
    assert manager.answer(CheckSigningCertificate(chain), NOW) == Outcome(Status.ACCEPTED)
    good = CheckFileSignature(file, chain, signature(SIGNER.key))
    assert manager.answer(good, NOW) == Outcome(Status.ACCEPTED)
    forged = manager.answer(CheckFileSignature(file, chain, signature(ec_key())), NOW)
    assert isinstance(forged, Outcome)
    assert (forged.fault, forged.events) == (
        Fault.BAD_SIGNATURE,
        (SecurityEvent.INVALID_FIRMWARE_SIGNATURE,),
    )
    missing = manager.answer(CheckFileSignature(tmp_path / "none", chain, "AAAA"), NOW)
    assert isinstance(missing, Outcome)
    assert (missing.status, missing.fault) == (Status.FAILED, Fault.STORAGE_FAILED)


@pytest.mark.parametrize(
    ("chain", "fault"),
    [
        (pem(SIGNER), Fault.NO_PATH),
        (pem(CSMS_ROOT.leaf()), Fault.NO_PATH),
        (pem(MF_ROOT.leaf(end=NOW - DAY)), Fault.EXPIRED),
        (pem(MF_ROOT.leaf(usage=usage("key_encipherment"))), Fault.WRONG_USAGE),
        (pem(MF_ROOT.leaf(key=rsa_key(1024))), Fault.WEAK_KEY),
        ("", Fault.MALFORMED),
    ],
)
@pytest.mark.requirement("L01.FR.02", "L01.FR.22")
def test_who_may_not_sign_firmware(manager: CertificateManager, chain: str, fault: Fault) -> None:
    manager.roots.install(TrustUse.MANUFACTURER, pem(MF_ROOT), NOW)
    outcome = manager.signing.check_data([IMAGE], chain, "AAAA", NOW)
    assert (outcome.status, outcome.fault) == (Status.REJECTED, fault)
    assert outcome.events == (SecurityEvent.INVALID_FIRMWARE_SIGNING_CERTIFICATE,)


def test_a_status_can_be_required_of_signers(manager: CertificateManager) -> None:
    manager.roots.install(TrustUse.MANUFACTURER, pem(MF_ROOT), NOW)
    signer = pem(MF_ROOT.leaf(crl="http://crl.example/mf"))
    assert manager.signing.check_certificate(signer, NOW).accepted
    manager.config = CertificateConfig(require_status=True)
    assert manager.signing.check_certificate(signer, NOW).fault is Fault.STATUS_UNKNOWN
    manager.status.take_crl(MF_ROOT.crl(), NOW)
    assert manager.signing.check_certificate(signer, NOW).accepted


def test_a_log_is_signed_in_the_operators_hierarchy(manager: CertificateManager) -> None:
    station = CSMS_ROOT.leaf()
    assert manager.signing.check_data(
        [IMAGE], pem(station), signature(station.key), NOW, TrustUse.CSMS
    ).accepted
    forged = manager.signing.check_data([b"x"], pem(station), signature(station.key), NOW, TrustUse.CSMS)
    assert (forged.fault, forged.events) == (Fault.BAD_SIGNATURE, ())
    stranger = manager.signing.check_certificate(pem(SIGNER), NOW, TrustUse.CSMS)
    assert stranger.events == ()


class HugeKey:
    """A key whose CSR is longer than a message may be."""

    def sign_csr(self, subject: x509.Name) -> str:
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


def test_a_directory_that_cannot_be_read_keeps_signers_out(
    manager: CertificateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.roots.install(TrustUse.MANUFACTURER, pem(MF_ROOT), NOW)

    def fail(*_: object) -> None:
        raise CertificateStoreError("cannot read")

    monkeypatch.setattr(CertificateFiles, "load_crls", fail)
    outcome = manager.signing.check_certificate(pem(SIGNER, MF_SUB), NOW)
    assert (outcome.status, outcome.fault) == (Status.FAILED, Fault.STORAGE_FAILED)


@pytest.mark.requirement("M06.FR.07")
def test_ocsp_responses_go_with_their_certificate(manager: CertificateManager, tmp_path: Path) -> None:
    first, second = (parse_bundle(renew_v2g(manager)) for _ in range(2))
    for leaf, sub in (first, second):
        text = base64.b64encode(V2G_SUB.ocsp(leaf)).decode()
        assert manager.status.take_response(hash_data(leaf, sub), text, NOW).accepted
    above = base64.b64encode(V2G_ROOT.ocsp(V2G_SUB.certificate)).decode()
    name = hash_data(V2G_SUB.certificate, V2G_ROOT.certificate)
    assert manager.status.take_response(name, above, NOW).accepted
    manager.roots.delete(hash_data(*first), NOW)
    left = {file.stem for file in (tmp_path / "ocsp").iterdir()}
    assert left == {second[0].fingerprint, V2G_SUB.certificate.fingerprint}  # the sub-CA is still needed
    assert manager.status.response(first[0], NOW) is None


def test_a_new_chain_with_the_same_key_keeps_the_key(manager: CertificateManager, tmp_path: Path) -> None:
    request = ask(manager)
    for days in (0, 1):
        leaf = CSMS_ROOT.sign_csr(request.csr, begin=NOW + days * DAY)
        assert take(manager, pem(leaf), NOW + days * DAY).accepted
    new, _ = manager.own.usable(STATION, NOW + DAY)
    manager.own.connected(None, new.leaf.certificate, NOW + DAY)
    assert [info.leaf for info in manager.own.usable(STATION, NOW + DAY)] == [new.leaf]


def test_links_go_when_nothing_is_left(tmp_path: Path) -> None:
    link = tmp_path / "client" / "cso" / "current"
    manager = open_manager(tmp_path, CertificateConfig(CONFIG.subjects, links={V2G: link}))
    manager.roots.install(TrustUse.V2G, pem(V2G_ROOT), NOW)
    renew_v2g(manager)
    assert parse_bundle((link / "leaf.pem").read_bytes())
    assert not (link / "key.pem").exists()  # the key store has no files that it would show
    (chain,) = listed(manager, ChainKind.V2G)
    manager.roots.delete(chain.name, NOW)
    assert not link.is_symlink()
