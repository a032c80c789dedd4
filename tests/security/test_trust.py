"""What may be installed and deleted, and that the directory survives power loss at every step."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ocpp_security.errors import CertificateStoreError, Fault
from ocpp_security.pki.certificate import Certificate, parse_bundle
from ocpp_security.pki.hashdata import HashAlgorithm, hash_data
from ocpp_security.trust import disk
from ocpp_security.trust.decisions import (
    Decision,
    RemoveCa,
    Status,
    TrustPolicy,
    decide_delete,
    decide_install,
    decide_root_proven,
)
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import Inventory, Leaf, LeafUse, TrustUse
from ocpp_security.trust.layout import Layout
from tests.security.disk_kit import PowerLossError
from tests.security.pki_kit import DAY, NOW, Authority, pem, root, rsa_key, usage

CSMS, MF, V2G, MO, OEM = (
    TrustUse.CSMS,
    TrustUse.MANUFACTURER,
    TrustUse.V2G,
    TrustUse.MO,
    TrustUse.OEM,
)
OLD, OTHER = root("Old"), root("Other")
SIGNED = OLD.sub("New")
NEWEST = SIGNED.sub("Newest")
V2G_ROOT = root("V2G")
SUB1 = V2G_ROOT.sub("Sub 1")
SUB2 = SUB1.sub("Sub 2")
SECC = Leaf(LeafUse.V2G, (SUB2.leaf("SECC").certificate, SUB2.certificate, SUB1.certificate))
STATION = Leaf(LeafUse.CHARGING_STATION, (OLD.leaf().certificate,))
DEFAULT = TrustPolicy()
CHECKED = TrustPolicy(additional_root_certificate_check=True)


def holding(*anchors: tuple[TrustUse, Authority], **fields: object) -> Inventory:
    installed: dict[TrustUse, tuple[Certificate, ...]] = {}
    for use, authority in anchors:
        installed[use] = (*installed.get(use, ()), authority.certificate)
    return Inventory(installed, **fields)  # type: ignore[arg-type]


def verdict(decision: Decision) -> tuple[Status, Fault | None]:
    return decision.status, decision.fault


# InstallCertificate.


@pytest.mark.parametrize("use", TrustUse)
@pytest.mark.requirement("M05.FR.01", "M05.FR.02")
def test_a_good_root_is_installed(use: TrustUse, tmp_path: Path) -> None:
    files = CertificateFiles(Layout.under(tmp_path))
    decision = decide_install(files.load(), DEFAULT, use, pem(OLD), NOW)
    assert decision.status is Status.ACCEPTED
    assert files.apply(decision.changes).anchors == {use: (OLD.certificate,)}
    assert CertificateFiles(Layout.under(tmp_path)).load().anchors == {use: (OLD.certificate,)}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault.MALFORMED),
        (pem(OLD, OTHER), Fault.NOT_ONE),
        (pem(OLD.leaf()), Fault.NOT_A_CA),
        (pem(root(usage=usage("digital_signature"))), Fault.NOT_A_CA),
        (pem(root(end=NOW - DAY)), Fault.EXPIRED),
        (pem(root(begin=NOW + DAY)), Fault.NOT_YET_VALID),
        (pem(root(key=rsa_key(1024))), Fault.WEAK_KEY),
        (pem(root(digest=hashes.SHA224())), Fault.WEAK_SIGNATURE),
        (pem(Authority(OLD.certificate, OTHER.key).sub("Old")), Fault.BAD_SIGNATURE),
    ],
)
@pytest.mark.requirement("M05.FR.07", "A00.FR.501", "A00.FR.504")
def test_a_bad_root_is_rejected(text: str, fault: Fault) -> None:
    assert verdict(decide_install(Inventory(), DEFAULT, CSMS, text, NOW)) == (Status.REJECTED, fault)


@pytest.mark.parametrize("use", TrustUse)
def test_over_an_unsecured_connection_only_what_is_allowed(use: TrustUse) -> None:
    refused = decide_install(Inventory(), DEFAULT, use, pem(OLD), NOW, secure=False)
    guarded = use in (CSMS, MF)
    assert refused.fault is (Fault.INSECURE_CONNECTION if guarded else None)
    lenient = TrustPolicy(allow_csms_root_over_unsecure=True, allow_mf_root_over_unsecure=True)
    assert decide_install(Inventory(), lenient, use, pem(OLD), NOW, secure=False).status is Status.ACCEPTED


@pytest.mark.requirement("M05.FR.17")
def test_a_root_that_is_there_is_accepted_again_even_if_the_store_is_full() -> None:
    full = TrustPolicy(max_entries=1)
    for policy in (DEFAULT, full, CHECKED):
        decision = decide_install(holding((CSMS, OLD)), policy, CSMS, pem(OLD), NOW)
        assert (decision.status, decision.changes) == (Status.ACCEPTED, ())


@pytest.mark.requirement("M05.FR.06")
@pytest.mark.parametrize("limit", [0, 1, 2, 5, 6, None])
@pytest.mark.parametrize("count_leaves", [False, True])
def test_the_store_has_a_limit(limit: int | None, count_leaves: bool) -> None:
    inventory = holding((CSMS, OLD), (V2G, V2G_ROOT), leaves=(SECC, STATION))
    entries = 2 + (4 if count_leaves else 0)
    assert inventory.entries(leaves=count_leaves) == entries
    policy = TrustPolicy(max_entries=limit, count_leaves=count_leaves)
    decision = decide_install(inventory, policy, MO, pem(OTHER), NOW)
    full = limit is not None and entries >= limit
    assert decision.fault is (Fault.STORE_FULL if full else None)
    assert decision.status is (Status.REJECTED if full else Status.ACCEPTED)


@pytest.mark.requirement(
    "M05.FR.09",
    "M05.FR.10",
    "M05.FR.11",
    "M05.FR.12",
    "M05.FR.13",
    "M05.FR.14",
    "1.6-M05.FR.08",
    "1.6-M05.FR.09",
    "1.6-M05.FR.10",
    "1.6-M05.FR.11",
    "1.6-M05.FR.12",
    "1.6-M05.FR.13",
)
def test_a_csms_root_is_replaced_by_one_that_it_signed(tmp_path: Path) -> None:
    files = CertificateFiles(Layout.under(tmp_path))
    files.apply(decide_install(files.load(), CHECKED, CSMS, pem(OLD), NOW).changes)
    refused = decide_install(files.load(), CHECKED, CSMS, pem(OTHER), NOW)
    assert verdict(refused) == (Status.REJECTED, Fault.NOT_SIGNED_BY_OLD_ROOT)
    assert refused.changes == ()

    accepted = decide_install(files.load(), CHECKED, CSMS, pem(SIGNED), NOW)
    assert accepted.status is Status.ACCEPTED
    inventory = files.apply(accepted.changes)
    assert inventory.anchors[CSMS] == (SIGNED.certificate,)
    assert inventory.fallback == OLD.certificate
    assert inventory.trusted(CSMS) == (SIGNED.certificate, OLD.certificate)

    assert decide_root_proven(inventory, CHECKED, OLD.certificate) == ()  # the fallback was needed: it stays
    inventory = files.apply(decide_root_proven(inventory, CHECKED, SIGNED.certificate))
    assert inventory.trusted(CSMS) == (SIGNED.certificate,)
    assert decide_root_proven(inventory, CHECKED, SIGNED.certificate) == ()
    # Its issuer is gone, and still it has the same name.
    assert inventory.hash_data(SIGNED.certificate, HashAlgorithm.SHA256) == hash_data(
        SIGNED.certificate, OLD.certificate
    )
    inventory = files.apply(decide_install(inventory, CHECKED, CSMS, pem(NEWEST), NOW).changes)
    assert (inventory.anchors[CSMS], inventory.fallback) == ((NEWEST.certificate,), SIGNED.certificate)


def test_only_the_root_in_force_can_be_replaced() -> None:
    inventory = holding((CSMS, SIGNED), fallback=OLD.certificate)
    another = decide_install(inventory, CHECKED, CSMS, pem(OLD.sub("Another")), NOW)
    assert verdict(another) == (Status.REJECTED, Fault.NOT_SIGNED_BY_OLD_ROOT)


@pytest.mark.requirement("M05.FR.10")
def test_a_fallback_makes_room_for_the_next() -> None:
    inventory = holding((CSMS, SIGNED), fallback=OLD.certificate)
    decision = decide_install(inventory, CHECKED, CSMS, pem(NEWEST), NOW)
    removed = [change.certificate for change in decision.changes if isinstance(change, RemoveCa)]
    assert removed == [OLD.certificate, SIGNED.certificate, OLD.certificate]  # anchor, anchor, fallback


def test_other_roots_are_not_bound_to_the_csms_root() -> None:
    decision = decide_install(holding((CSMS, OLD)), CHECKED, MF, pem(OTHER), NOW)
    assert decision.status is Status.ACCEPTED


# DeleteCertificate.


def named(certificate: Certificate, issuer: Certificate, algorithm: HashAlgorithm) -> object:
    return hash_data(certificate, issuer, algorithm)


@pytest.mark.parametrize("algorithm", HashAlgorithm)
@pytest.mark.requirement("M04.FR.01", "M04.FR.02", "M04.FR.04")
def test_a_root_is_deleted_by_hash_data(algorithm: HashAlgorithm, tmp_path: Path) -> None:
    files = CertificateFiles(Layout.under(tmp_path))
    for use in (MF, MO):
        files.apply(decide_install(files.load(), DEFAULT, use, pem(OLD), NOW).changes)
    name = hash_data(OLD.certificate, OLD.certificate, algorithm)
    decision = decide_delete(files.load(), DEFAULT, name)
    assert decision.status is Status.ACCEPTED
    assert files.apply(decision.changes).anchors == {}  # whatever it was trusted for
    assert decide_delete(files.load(), DEFAULT, name).status is Status.NOT_FOUND


def delete(inventory: Inventory, certificate: Certificate, issuer: Certificate, **more: object) -> Decision:
    policy = more.pop("policy", DEFAULT)
    return decide_delete(inventory, policy, hash_data(certificate, issuer), **more)  # type: ignore[arg-type]


@pytest.mark.requirement("M04.FR.03")
def test_the_last_csms_root_stays() -> None:
    one = holding((CSMS, OLD))
    assert verdict(delete(one, OLD.certificate, OLD.certificate)) == (Status.FAILED, Fault.LAST_OF_ITS_KIND)
    two = holding((CSMS, OLD), (CSMS, OTHER))
    assert delete(two, OLD.certificate, OLD.certificate).status is Status.ACCEPTED
    free = TrustPolicy(protect_last=frozenset())
    assert delete(one, OLD.certificate, OLD.certificate, policy=free).status is Status.ACCEPTED


@pytest.mark.requirement("M04.FR.03", "M04.FR.06")
def test_what_is_in_use_stays() -> None:
    used = frozenset({OLD.certificate.fingerprint, SECC.certificate.fingerprint})
    two = holding((CSMS, OLD), (CSMS, OTHER), (V2G, V2G_ROOT), leaves=(SECC, STATION))
    cases = [
        (OLD.certificate, OLD.certificate),
        (SECC.certificate, SUB2.certificate),
        (STATION.certificate, OLD.certificate),
        (SUB2.certificate, SUB1.certificate),
    ]
    for certificate, issuer in cases:
        assert verdict(delete(two, certificate, issuer, in_use=used)) == (Status.FAILED, Fault.IN_USE)
    decision = delete(two, SECC.certificate, SUB2.certificate)
    assert decision.status is Status.ACCEPTED
    fallback = holding((CSMS, SIGNED), fallback=OLD.certificate)
    assert delete(fallback, OLD.certificate, OLD.certificate, in_use=used).fault is Fault.IN_USE
    assert delete(fallback, OLD.certificate, OLD.certificate).status is Status.ACCEPTED


def test_sub_cas_that_were_provisioned_can_be_deleted(tmp_path: Path) -> None:
    (tmp_path / "ca" / "cso").mkdir(parents=True)
    (tmp_path / "ca" / "cso" / "subs.pem").write_text(pem(SUB1, SUB2))
    files = CertificateFiles(Layout.under(tmp_path))
    inventory = files.load()
    decision = delete(inventory, SUB2.certificate, SUB1.certificate)
    assert files.apply(decision.changes).intermediates == (SUB1.certificate,)


@pytest.mark.requirement("M04.FR.02", "M05.FR.14")
def test_deleting_a_new_root_puts_its_fallback_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A station is never left without a CSMS root, whenever the power fails."""
    before = tmp_path / "before"
    files = CertificateFiles(Layout.under(before))
    for authority in (OLD, SIGNED):
        files.apply(decide_install(files.load(), CHECKED, CSMS, pem(authority), NOW).changes)
    for step in range(4):
        after = tmp_path / f"after {step}"
        shutil.copytree(before, after)
        files = CertificateFiles(Layout.under(after))
        decision = delete(files.load(), SIGNED.certificate, OLD.certificate)
        assert decision.status is Status.ACCEPTED
        with power_fails(monkeypatch, step), suppress(PowerLossError):
            files.apply(decision.changes)
        trusted = CertificateFiles(Layout.under(after)).load().trusted(CSMS)
        assert trusted == ((OLD.certificate,) if step > 1 else (SIGNED.certificate, OLD.certificate))
    inventory = CertificateFiles(Layout.under(after)).load()
    assert inventory.fallback is None
    assert decide_install(inventory, CHECKED, CSMS, pem(SIGNED), NOW).status is Status.ACCEPTED


# The directory.


def libocpp_directory(path: Path) -> None:
    """The files that libocpp's readme shows, with a PKI in them."""
    mo = root("MO")
    mo1 = mo.sub("MO Sub 1")
    mo2 = mo1.sub("MO Sub 2")
    content: dict[str, str | bytes] = {
        "ca/csms/CSMS_ROOT_CA.pem": pem(OLD),
        "ca/cso/CPO_CERT_CHAIN.pem": pem(*SECC.chain),
        "ca/cso/CPO_SUB_CA1.pem": pem(SUB1),
        "ca/cso/CPO_SUB_CA1_LEAF.der": SUB1.certificate.der,
        "ca/cso/CPO_SUB_CA2.pem": pem(SUB2),
        "ca/mf/MF_ROOT_CA.pem": pem(OTHER),
        "ca/mo/INTERMEDIATE_MO_CA_CERTS.pem": pem(mo2, mo1),
        "ca/mo/MO_ROOT_CA.der": mo.certificate.der,
        "ca/mo/MO_ROOT_CA.pem": pem(mo),
        "ca/mo/MO_SUB_CA1.der": mo1.certificate.der,
        "ca/mo/MO_SUB_CA2.pem": pem(mo2),
        "ca/v2g/V2G_ROOT_CA.der": V2G_ROOT.certificate.der,
        "ca/v2g/V2G_ROOT_CA.pem": pem(V2G_ROOT),
        "client/csms/CPO_SUB_CA1.key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "client/csms/key.pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "client/csms/CSMS_LEAF.pem": pem(*STATION.chain),
        "client/cso/CPO_CERT_CHAIN.pem": pem(*SECC.chain),
        "client/cso/SECC_LEAF.der": SECC.certificate.der,
        "client/cso/SECC_LEAF.pem": pem(SECC.certificate),
        "client/cso/CPO_SUB_CA1.pem": pem(SUB1),
    }
    for name, data in content.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data if isinstance(data, bytes) else data.encode())


def test_a_directory_of_libocpp_loads_as_it_is(tmp_path: Path) -> None:
    libocpp_directory(tmp_path)
    files = CertificateFiles(Layout.under(tmp_path))
    inventory = files.load()
    assert {use: len(anchors) for use, anchors in inventory.anchors.items()} == {
        CSMS: 1,
        MF: 1,
        V2G: 1,
        MO: 1,
    }
    assert inventory.leaves == (STATION, SECC)
    assert {c.common_name for c in inventory.intermediates} >= {"Sub 1", "Sub 2", "MO Sub 1", "MO Sub 2"}
    assert inventory.path(SECC, NOW).anchor == V2G_ROOT.certificate
    assert not [problem for problem in files.problems if "CPO_CERT_CHAIN" not in problem]
    # Deleting the root takes it out of the PEM and of the DER.
    decision = delete(inventory, V2G_ROOT.certificate, V2G_ROOT.certificate)
    assert V2G not in files.apply(decision.changes).anchors
    assert not list((tmp_path / "ca" / "v2g").iterdir())
    # Deleting a leaf takes every file with it, and nothing else.
    files.apply(delete(inventory, SECC.certificate, SUB2.certificate).changes)
    assert [file.name for file in (tmp_path / "client" / "cso").iterdir()] == ["CPO_SUB_CA1.pem"]


def test_a_sub_ca_beside_its_root_is_not_trusted_on_its_own(tmp_path: Path) -> None:
    libocpp_directory(tmp_path)
    (tmp_path / "ca" / "mo" / "MO_ROOT_CA.der").unlink()
    (tmp_path / "ca" / "mo" / "MO_ROOT_CA.pem").unlink()
    assert CertificateFiles(Layout.under(tmp_path)).load().trusted(MO) == ()


def test_a_bundle_serves_as_well_as_a_directory(tmp_path: Path) -> None:
    bundle = tmp_path / "csms.pem"
    bundle.write_text(pem(OLD, OTHER))
    layout = Layout.under(tmp_path)
    layout = Layout(
        {**layout.ca, CSMS: bundle},
        *(
            getattr(layout, name)
            for name in ("sub_cas", "fallback", "retired", "client", "crl", "ocsp", "verify")
        ),
    )
    files = CertificateFiles(layout)
    files.apply(decide_install(files.load(), DEFAULT, CSMS, pem(SIGNED), NOW).changes)
    assert len(parse_bundle(bundle.read_bytes())) == 3
    inventory = files.apply(delete(files.load(), OTHER.certificate, OTHER.certificate).changes)
    assert set(inventory.anchors[CSMS]) == {OLD.certificate, SIGNED.certificate}


def test_broken_files_are_passed_over_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "MAX_FILE_SIZE", 5000)
    directory = tmp_path / "ca" / "csms"
    directory.mkdir(parents=True)
    (directory / "a.pem").write_text("rubbish")
    (directory / "b.pem").write_bytes(b"x" * 5001)
    (directory / "c.pem").write_text(pem(OLD.leaf()))
    (directory / "d.pem").write_text(pem(OLD))
    (directory / "e.txt").write_text("not looked at")
    files = CertificateFiles(Layout.under(tmp_path))
    assert files.load().anchors == {CSMS: (OLD.certificate,)}
    assert [problem.split(": ")[0].rsplit("/", 1)[1] for problem in files.problems] == [
        "a.pem",
        "b.pem",
        "c.pem",
    ]


@contextmanager
def power_fails(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    """The ``step``-th write or removal does not happen, and nothing after it."""
    steps = count()

    def guarded(real: object) -> object:
        def operation(*arguments: object) -> object:
            if next(steps) >= step:
                raise PowerLossError
            return real(*arguments)  # type: ignore[operator]

        return operation

    with monkeypatch.context() as patch:
        patch.setattr(disk, "write", guarded(disk.write))
        patch.setattr(disk, "remove", guarded(disk.remove))
        yield


@pytest.mark.parametrize("with_fallback", [False, True])
@pytest.mark.requirement("M05.FR.12", "1.6-M05.FR.11")
def test_power_loss_leaves_the_old_root_or_the_new(
    with_fallback: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never none, never both as equals, and the fallback is there as soon as the new one is."""
    first, second = (SIGNED, NEWEST) if with_fallback else (OLD, SIGNED)
    before = tmp_path / "before"
    files = CertificateFiles(Layout.under(before))
    files.apply(decide_install(files.load(), CHECKED, CSMS, pem(OLD), NOW).changes)
    if with_fallback:
        files.apply(decide_install(files.load(), CHECKED, CSMS, pem(SIGNED), NOW).changes)
    seen = set()
    for step in range(8):
        after = tmp_path / f"after {step}"
        shutil.copytree(before, after)
        files = CertificateFiles(Layout.under(after))
        changes = decide_install(files.load(), CHECKED, CSMS, pem(second), NOW).changes
        with power_fails(monkeypatch, step):
            try:
                files.apply(changes)
            except PowerLossError:
                pass
            else:
                seen.add("done")
        inventory = CertificateFiles(Layout.under(after)).load()
        (anchor,) = inventory.anchors[CSMS]
        seen.add(anchor.common_name or "")
        if anchor == second.certificate:
            assert inventory.fallback == first.certificate
        else:
            assert anchor == first.certificate
            assert inventory.fallback == (OLD.certificate if with_fallback else None)
        # What power loss left over does not stand in the way of doing it again.
        again = decide_install(inventory, CHECKED, CSMS, pem(second), NOW)
        assert again.status is Status.ACCEPTED
        inventory = CertificateFiles(Layout.under(after)).load()
    assert seen == {"done", first.certificate.common_name, second.certificate.common_name}


def test_a_write_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file.pem"
    disk.write(file, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CertificateStoreError, match="No space left"):
        disk.write(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(CertificateStoreError, match="cannot remove"):
        disk.remove(file)


def test_what_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(CertificateStoreError, match="cannot read"):
        disk.read(tmp_path / "folder")
    assert disk.read(tmp_path / "nothing") is None
    assert list(disk.files(tmp_path / "nothing", frozenset({".pem"}))) == []

    def refuse(path: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(CertificateStoreError, match="Permission denied"):
        list(disk.files(tmp_path, frozenset({".pem"})))


def test_verify_files_follow_what_is_trusted(tmp_path: Path) -> None:
    files = CertificateFiles(Layout.under(tmp_path))
    path = files.write_verify_file(CSMS, (OLD.certificate, OTHER.certificate))
    assert parse_bundle(path.read_bytes()) == (OLD.certificate, OTHER.certificate)
    written = path.stat().st_ino
    files.write_verify_file(CSMS, (OLD.certificate, OTHER.certificate))
    assert path.stat().st_ino == written
    files.write_verify_file(CSMS, ())
    assert path.read_bytes() == b""


def test_a_file_that_broke_since_it_was_read_is_left_alone(tmp_path: Path) -> None:
    files = CertificateFiles(Layout.under(tmp_path))
    inventory = files.apply(decide_install(files.load(), DEFAULT, MF, pem(OLD), NOW).changes)
    (file,) = (tmp_path / "ca" / "mf").iterdir()
    file.write_text("rubbish")
    changes = delete(inventory, OLD.certificate, OLD.certificate).changes
    assert files.apply(changes).anchors == {}
    assert file.read_text() == "rubbish"


def test_a_root_that_nobody_could_judge_is_rejected() -> None:
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    decision = decide_install(Inventory(), DEFAULT, CSMS, pem(root(extensions=[(strange, True)])), NOW)
    assert verdict(decision) == (Status.REJECTED, Fault.UNKNOWN_CRITICAL)
