"""Replacing CSMS roots, of one or of several, while the power fails between any two things done to the disk.

Whatever is left, a station starts from it and trusts the CSMS as before or more; with the connection that the
new root was for, all is tidied up.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from ocpp_security.errors import CertificateError
from ocpp_security.pki.certificate import Certificate
from ocpp_security.pki.hashdata import HashAlgorithm, hash_data
from ocpp_security.pki.path import find_path
from ocpp_security.trust.decisions import (
    Change,
    PutCa,
    PutLeaf,
    RemoveCa,
    Shelf,
    Status,
    TrustPolicy,
    decide_delete,
    decide_install,
    decide_root_proven,
)
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import Inventory, Leaf, LeafUse, TrustUse
from ocpp_security.trust.layout import Layout
from tests.security.disk_kit import PowerLossError, power_fails
from tests.security.pki_kit import DAY, NOW, Authority, pem, root

CSMS = TrustUse.CSMS
OLD, OTHER = root("Old", begin=NOW - 9 * DAY), root("Other", begin=NOW - 8 * DAY)
NEW = OLD.sub("New", begin=NOW - 7 * DAY)
NEWEST = NEW.sub("Newest", begin=NOW - 6 * DAY)
FREE, CHECKED = TrustPolicy(), TrustPolicy(additional_root_certificate_check=True)
Changes = Callable[[Inventory], tuple[Change, ...]]


def opened(path: Path) -> CertificateFiles:
    return CertificateFiles(Layout.under(path))


def install(authority: Authority, policy: TrustPolicy = CHECKED) -> Changes:
    def changes(inventory: Inventory) -> tuple[Change, ...]:
        decision = decide_install(inventory, policy, CSMS, pem(authority), NOW)
        assert decision.status is Status.ACCEPTED
        return decision.changes

    return changes


def proven(authority: Authority, policy: TrustPolicy = CHECKED) -> Changes:
    return lambda inventory: decide_root_proven(inventory, policy, authority.certificate)


def do(path: Path, *steps: Changes) -> Inventory:
    files = opened(path)
    inventory = files.load()
    for changes in steps:
        inventory = files.apply(changes(inventory))
    return inventory


def interrupted(
    before: Path, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, Inventory]]:
    """The directory after 0, 1, … operations of a change, and as it is found at the next start."""
    for step in count():
        after = before.with_name(f"{before.name}-{step}")
        shutil.copytree(before, after)
        files, done = opened(after), False
        with power_fails(monkeypatch, step), suppress(PowerLossError):
            files.apply(changes(files.load()))
            done = True
        yield after, opened(after).load()
        if done:
            assert step > 1
            return


def names(certificates: tuple[Certificate, ...]) -> list[str | None]:
    return [certificate.common_name for certificate in certificates]


def left(path: Path) -> list[int]:
    """How many files there are of roots, of fallbacks, of retired ones."""
    folders = [path / "ca" / name for name in ("csms", "csms-fallback", "csms-retired")]
    return [len(list(folder.glob("*.pem"))) for folder in folders]


@pytest.mark.requirement("M05.FR.09", "M05.FR.12", "M05.FR.13", "M05.FR.14", "1.6-M05.FR.08", "1.6-M05.FR.11")
def test_one_of_several_roots_is_replaced_and_the_csms_is_never_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "roots"
    do(before, install(OLD, FREE), install(OTHER, FREE))
    seen = []
    for path, inventory in interrupted(before, install(NEW), monkeypatch):
        trusted = inventory.trusted(CSMS)
        for authority in (OLD, OTHER):  # whichever the CSMS has its certificate of
            assert find_path(authority.leaf("csms").certificate, (), trusted, NOW)
        seen.append(names(trusted))
        # The CSMS had no answer and asks again; then it changes its own certificate.
        assert do(path, install(NEW), proven(NEW)).trusted(CSMS) == (NEW.certificate,)
        assert left(path) == [1, 0, 2]
    assert [state for number, state in enumerate(seen) if seen.index(state) == number] == [
        ["Other", "Old"],
        ["New", "Other", "Old"],
    ]
    assert seen == sorted(seen, key=len)


@pytest.mark.requirement("M05.FR.09", "M05.FR.13")
def test_what_is_superfluous_goes_with_the_first_or_the_next_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "roots"
    do(before, install(OLD, FREE), install(OTHER, FREE), install(NEW))
    for path, inventory in interrupted(before, proven(NEW), monkeypatch):
        assert inventory.trusted(CSMS)[0] == NEW.certificate
        assert do(path, proven(NEW)).trusted(CSMS) == (NEW.certificate,)
        assert left(path) == [1, 0, 2]


@pytest.mark.requirement("M05.FR.13", "M05.FR.14")
def test_only_the_new_root_proves_the_old_one_superfluous(tmp_path: Path) -> None:
    inventory = do(tmp_path, install(OLD, FREE), install(OTHER, FREE), install(NEW))
    for authority in (OLD, OTHER, NEWEST):
        assert proven(authority)(inventory) == ()
    changes = proven(NEW, FREE)(inventory)  # where several roots are allowed, the others stay
    assert opened(tmp_path).load().trusted(CSMS) == tuple(a.certificate for a in (NEW, OTHER, OLD))
    assert do(tmp_path, lambda _: changes).trusted(CSMS) == (NEW.certificate, OTHER.certificate)


@pytest.mark.requirement("M05.FR.12", "M05.FR.13")
@pytest.mark.parametrize("then", ["proven", "deleted", "replaced"])
def test_a_root_that_was_being_replaced_does_not_come_back(
    then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power loss may leave it both as a root and as the fallback: gone is gone from both."""

    def delete(inventory: Inventory) -> tuple[Change, ...]:
        return decide_delete(inventory, FREE, hash_data(OLD.certificate, OLD.certificate)).changes

    before = tmp_path / "roots"
    do(before, install(OLD))
    halfway = 0
    for path, inventory in interrupted(before, install(NEW), monkeypatch):
        if inventory.fallback is None:
            continue
        halfway += left(path)[0] == 2
        if then == "proven":
            expected = (NEW,)
            for again, _ in interrupted(path, proven(NEW), monkeypatch):
                assert do(again, proven(NEW)).trusted(CSMS) == (NEW.certificate,)
                assert left(again)[:2] == [1, 0]
            do(path, proven(NEW))
        elif then == "deleted":
            expected = (NEW,)
            do(path, delete)
        else:
            expected = (NEWEST,)
            for again, now in interrupted(path, install(NEWEST), monkeypatch):
                assert now.trusted(CSMS) in (
                    (NEW.certificate, OLD.certificate),
                    (NEWEST.certificate, NEW.certificate),
                )
                last = do(again, install(NEWEST), proven(NEWEST))
                assert last.trusted(CSMS) == (NEWEST.certificate,)
                assert last.issuer(NEWEST.certificate) == NEW.certificate
                assert left(again)[:2] == [1, 0]
            do(path, install(NEWEST), proven(NEWEST))
        assert opened(path).load().trusted(CSMS) == tuple(a.certificate for a in expected)
        assert left(path)[:2] == [1, 0]
    assert halfway


def test_a_fallback_that_is_none_is_cleared_away(tmp_path: Path) -> None:
    """Left by power loss, it would be trusted again with the next root that it happened to sign."""
    stale = PutCa(CSMS, Shelf.FALLBACK, OLD.certificate)
    inventory = do(tmp_path, install(OTHER), lambda _: (stale,))
    assert inventory.leftovers == (OLD.certificate,)
    assert inventory.trusted(CSMS) == (OTHER.certificate,)
    assert proven(OTHER)(inventory) == (RemoveCa(CSMS, Shelf.FALLBACK, OLD.certificate),)
    replaced = do(tmp_path, install(OTHER.sub("Next")))
    assert (replaced.leftovers, replaced.fallback) == ((), OTHER.certificate)


@pytest.mark.parametrize("authority", [OLD, OTHER], ids=["replaced", "superfluous"])
@pytest.mark.requirement("M05.FR.13", "A05.FR.03")
def test_the_stations_own_certificate_outlives_the_root_that_it_is_of(
    authority: Authority, tmp_path: Path
) -> None:
    """Else the new root would shut out every station with security profile 3; but none is taken of it."""
    inventory = do(tmp_path, install(OLD, FREE), install(OTHER, FREE))
    leaf = Leaf(LeafUse.CHARGING_STATION, (authority.leaf().certificate,))
    secc = Leaf(LeafUse.V2G, (authority.leaf().certificate,))
    mine = (PutLeaf(leaf), PutLeaf(secc))
    inventory = do(tmp_path, lambda _: mine, install(NEW), proven(NEW))
    assert inventory.trusted(CSMS) == (NEW.certificate,)
    assert inventory.current(LeafUse.CHARGING_STATION, NOW) == (leaf,)
    assert inventory.installed_path(leaf, NOW).anchor == authority.certificate
    assert inventory.valid(LeafUse.V2G, NOW) == ()
    with pytest.raises(CertificateError):
        inventory.path(leaf, NOW)
    inventory = do(tmp_path, install(NEWEST), proven(NEWEST))
    assert inventory.valid(LeafUse.CHARGING_STATION, NOW) == (leaf,)


@pytest.mark.requirement("M03.FR.01", "M05.FR.12")
def test_retired_roots_go_when_nothing_needs_their_names(tmp_path: Path) -> None:
    roots = [OLD]
    do(tmp_path, install(OLD))
    for number in range(8):
        roots.append(roots[-1].sub(f"Generation {number}"))
        inventory = do(tmp_path, install(roots[-1]))
        if number % 2:
            inventory = do(tmp_path, proven(roots[-1]))
        assert left(tmp_path)[2] <= 2
        for below, above in zip(roots[:0:-1], roots[-2::-1], strict=True):
            if below.certificate in inventory.trusted(CSMS):
                assert inventory.hash_data(below.certificate, HashAlgorithm.SHA256) == hash_data(
                    below.certificate, above.certificate
                )


@pytest.mark.parametrize("folder", ["v2g", "cso"])
def test_a_retired_root_stays_while_something_installed_was_signed_by_it(folder: str, tmp_path: Path) -> None:
    sub = OLD.sub("Sub")
    (tmp_path / "ca" / folder).mkdir(parents=True)
    (tmp_path / "ca" / folder / "INSTALLED_sub.pem").write_text(pem(sub))
    do(tmp_path, install(OLD), install(NEW), proven(NEW), install(NEWEST), proven(NEWEST))
    inventory = do(tmp_path, install(NEWEST.sub("Last")))
    assert OLD.certificate in inventory.retired
    assert inventory.issuer(sub.certificate) == OLD.certificate
