"""What follows from what is installed, to the last change: by hand-made inventories, without a directory."""

from dataclasses import replace

import pytest

from ocpp_security.errors import Fault
from ocpp_security.pki.certificate import Certificate, public_octets
from ocpp_security.pki.hashdata import HashAlgorithm, hash_data
from ocpp_security.pki.path import MAX_PATH, order_chain
from ocpp_security.pki.properties import StationSubject
from ocpp_security.trust.decisions import (
    Change,
    Decision,
    PutCa,
    RemoveCa,
    RemoveIntermediate,
    RemoveLeaf,
    Shelf,
    Status,
    TrustPolicy,
    decide_delete,
    decide_install,
    decide_root_proven,
)
from ocpp_security.trust.inventory import Inventory, Leaf, LeafUse, TrustUse
from ocpp_security.trust.leaves import (
    LeafPolicy,
    PendingKey,
    decide_collect,
    decide_leaf_proven,
    decide_signed,
)
from tests.security.pki_kit import CA_USAGE, DAY, NOW, Authority, Wish, build, ec_key, pem, root

CSMS, MF, V2G, MO = TrustUse.CSMS, TrustUse.MANUFACTURER, TrustUse.V2G, TrustUse.MO
OLD, OTHER, V2G_ROOT = root("Old"), root("Other"), root("V2G")
NEW = OLD.sub("New", begin=NOW - DAY)
NEWEST = NEW.sub("Newest")
SUB = V2G_ROOT.sub("Sub")
SECC = Leaf(LeafUse.V2G, (SUB.leaf("SECC").certificate, SUB.certificate))
DEFAULT, CHECKED = TrustPolicy(), TrustPolicy(additional_root_certificate_check=True)


def holding(*anchors: tuple[TrustUse, Authority], **fields: object) -> Inventory:
    installed: dict[TrustUse, tuple[Certificate, ...]] = {}
    for use, authority in anchors:
        installed[use] = (*installed.get(use, ()), authority.certificate)
    return Inventory(installed, **fields)  # type: ignore[arg-type]


def delete(
    inventory: Inventory, what: Authority, issuer: Authority, in_use: Authority | None = None
) -> Decision:
    used = frozenset() if in_use is None else frozenset({in_use.certificate.fingerprint})
    return decide_delete(inventory, DEFAULT, hash_data(what.certificate, issuer.certificate), in_use=used)


def test_the_policy_when_nothing_is_configured() -> None:
    assert TrustPolicy() == TrustPolicy(
        max_entries=100,
        count_leaves=True,
        additional_root_certificate_check=False,
        allow_csms_root_over_unsecure=False,
        allow_mf_root_over_unsecure=False,
        protect_last=frozenset({CSMS}),
    )
    assert LeafPolicy() == LeafPolicy(
        max_chain_size=10_000, accept_future=False, check_subject=True, max_leaves=10
    )


# Who is trusted.


@pytest.mark.requirement("M05.FR.12", "M05.FR.14")
def test_the_fallback_is_trusted_for_the_csms_only_once_and_last() -> None:
    inventory = holding((CSMS, NEW), (V2G, V2G_ROOT), fallback=OLD.certificate)
    assert inventory.trusted(CSMS) == (NEW.certificate, OLD.certificate)
    assert [inventory.trusted(use) for use in TrustUse if use is not CSMS] == [
        (),
        (V2G_ROOT.certificate,),
        (),
        (),
    ]
    twice = holding((CSMS, OLD), (CSMS, NEW), fallback=OLD.certificate)
    assert twice.trusted(CSMS) == (NEW.certificate, OLD.certificate)


def test_the_newest_root_is_tried_first() -> None:
    roots = [root(f"Root {days}", begin=NOW - days * DAY) for days in (3, 1, 2)]
    late = root("Late", begin=NOW - 2 * DAY, end=NOW + 9999 * DAY)
    inventory = holding(*[(MO, authority) for authority in (*roots, late)])
    assert inventory.trusted(MO) == tuple(a.certificate for a in (roots[1], late, roots[2], roots[0]))
    twins = [(MO, root("Twin")) for _ in range(4)]
    assert holding(*twins).trusted(MO) == holding(*reversed(twins)).trusted(MO)


def test_a_path_takes_what_was_provisioned_and_only_what_leads_up() -> None:
    bare = Leaf(LeafUse.V2G, SECC.chain[:1])
    assert not holding((V2G, V2G_ROOT), leaves=(bare,)).valid(LeafUse.V2G, NOW)
    inventory = holding((V2G, V2G_ROOT), leaves=(bare,), intermediates=(SUB.certificate,))
    assert inventory.path(bare, NOW).certificates == (*SECC.chain, V2G_ROOT.certificate)


def test_a_chain_is_put_in_order_as_far_as_a_path_may_go() -> None:
    """Many authorities of one name, in a file or a message, cost no more than that."""
    chain = [OLD]
    for number in range(MAX_PATH + 2):
        chain.append(chain[-1].sub(f"Level {number}"))
    leaf, *above = [authority.certificate for authority in reversed(chain)]
    for length in (MAX_PATH - 2, MAX_PATH - 1, MAX_PATH, MAX_PATH + 1):
        assert order_chain(leaf, above[:length][::-1]) == (leaf, *above[:length])[:MAX_PATH]
    # Two that signed each other lead round in a circle, not up.
    one, two = (
        build(mine.name, mine.key.public_key(), by.name, by.key, Wish(ca=True, usage=CA_USAGE))
        for mine, by in ((OLD, OTHER), (OTHER, OLD))
    )
    leaf = OLD.leaf().certificate
    assert order_chain(leaf, (one, two)) == order_chain(leaf, (two, one)) == (leaf, one, two)


@pytest.mark.requirement("A02.FR.15", "A03.FR.15")
def test_a_station_uses_one_certificate_though_there_are_two_roots() -> None:
    leaves = [
        Leaf(LeafUse.CHARGING_STATION, (authority.leaf(begin=NOW - days * DAY).certificate,))
        for authority, days in ((OLD, 2), (OTHER, 1))
    ]
    inventory = holding((CSMS, OLD), (CSMS, OTHER), leaves=tuple(leaves))
    assert inventory.current(LeafUse.CHARGING_STATION, NOW) == (leaves[1],)
    v2g = tuple(replace(leaf, use=LeafUse.V2G20) for leaf in leaves)
    inventory = holding((V2G, OLD), (V2G, OTHER), leaves=v2g)
    assert inventory.current(LeafUse.V2G20, NOW) == (v2g[1], v2g[0])


# Install.


@pytest.mark.requirement("M05.FR.10", "M05.FR.11", "M05.FR.12")
def test_the_changes_that_replace_a_root() -> None:
    def moved(*before: Change, after: tuple[Change, ...] = ()) -> tuple[Change, ...]:
        return (
            *before,
            PutCa(CSMS, Shelf.KNOWN, NEW.certificate),
            PutCa(CSMS, Shelf.FALLBACK, NEW.certificate),
            PutCa(CSMS, Shelf.ANCHOR, NEWEST.certificate),
            RemoveCa(CSMS, Shelf.ANCHOR, NEW.certificate),
            *after,
        )

    plain = decide_install(holding((CSMS, NEW)), CHECKED, CSMS, pem(NEWEST), NOW)
    assert plain == Decision(Status.ACCEPTED, changes=moved())
    before = holding((CSMS, NEW), fallback=OLD.certificate)
    replaced = decide_install(before, CHECKED, CSMS, pem(NEWEST), NOW)
    gone = [RemoveCa(CSMS, shelf, OLD.certificate) for shelf in (Shelf.ANCHOR, Shelf.FALLBACK)]
    assert replaced.changes == moved(gone[0], after=(gone[1],))
    assert decide_root_proven(before, CHECKED, NEW.certificate) == tuple(gone)


@pytest.mark.parametrize("use", [use for use in TrustUse if use is not CSMS])
def test_other_roots_need_not_be_signed_by_the_one_before(use: TrustUse) -> None:
    decision = decide_install(holding((CSMS, OLD), (use, OLD)), CHECKED, use, pem(OTHER), NOW)
    assert decision.changes == (PutCa(use, Shelf.ANCHOR, OTHER.certificate),)


# Delete.


@pytest.mark.requirement("M04.FR.02", "M05.FR.14")
def test_the_changes_that_delete() -> None:
    inventory = holding(
        (CSMS, NEW),
        (MF, OTHER),
        (V2G, V2G_ROOT),
        fallback=OLD.certificate,
        intermediates=(SUB.certificate,),
    )
    expected: list[tuple[Authority, Authority, tuple[Change, ...]]] = [
        (
            OLD,
            OLD,
            (
                RemoveCa(CSMS, Shelf.ANCHOR, OLD.certificate),
                RemoveCa(CSMS, Shelf.FALLBACK, OLD.certificate),
            ),
        ),
        (OTHER, OTHER, (RemoveCa(MF, Shelf.ANCHOR, OTHER.certificate),)),
        (SUB, V2G_ROOT, (RemoveIntermediate(SUB.certificate),)),
        (
            NEW,
            OLD,
            (
                PutCa(CSMS, Shelf.ANCHOR, OLD.certificate),
                RemoveCa(CSMS, Shelf.ANCHOR, NEW.certificate),
                RemoveCa(CSMS, Shelf.FALLBACK, OLD.certificate),
            ),
        ),
    ]
    for what, issuer, changes in expected:
        assert delete(inventory, what, issuer) == Decision(Status.ACCEPTED, changes=changes)
    assert delete(inventory, NEWEST, NEW) == Decision(Status.NOT_FOUND)
    assert delete(inventory, OLD, OLD, OLD) == Decision(Status.FAILED, Fault.IN_USE, OLD.certificate.subject)


@pytest.mark.requirement("M04.FR.02")
def test_a_fallback_comes_back_for_the_root_that_it_signed_and_no_other() -> None:
    two = holding((CSMS, NEW), (CSMS, OTHER), (MF, NEW), fallback=OLD.certificate)
    assert delete(two, OTHER, OTHER).changes == (RemoveCa(CSMS, Shelf.ANCHOR, OTHER.certificate),)
    mf = holding((MF, NEW), fallback=OLD.certificate)
    assert delete(mf, NEW, OLD).changes == (RemoveCa(MF, Shelf.ANCHOR, NEW.certificate),)


@pytest.mark.requirement("M04.FR.02")
@pytest.mark.parametrize("algorithm", HashAlgorithm)
def test_serial_numbers_name_nobody_by_themselves(algorithm: HashAlgorithm) -> None:
    """Authorities number from one: what is deleted has the issuer's name and key too."""
    issuers = [root("A"), root("A"), root("B")]
    subs = [issuer.sub("Sub", serial=7) for issuer in issuers]
    held = [(V2G, issuer) for issuer in issuers]
    certificates = tuple(sub.certificate for sub in subs)
    for there in (certificates, certificates[::-1]):
        inventory = holding(*held, intermediates=there)
        for sub, issuer in zip(subs, issuers, strict=True):
            name = hash_data(sub.certificate, issuer.certificate, algorithm)
            decision = decide_delete(inventory, DEFAULT, name)
            assert decision.changes == (RemoveIntermediate(sub.certificate),)


@pytest.mark.requirement("M04.FR.02")
def test_what_another_use_relies_on_does_not_matter() -> None:
    """The connection rests on the CSMS's root: the same certificate as a V2G root may go."""
    inventory = holding((CSMS, OTHER), (V2G, OLD))
    assert delete(inventory, OLD, OLD, in_use=OLD).changes == (RemoveCa(V2G, Shelf.ANCHOR, OLD.certificate),)


@pytest.mark.requirement("M04.FR.02", "M04.FR.03", "1.6-M04.FR.02")
def test_a_root_of_several_uses_goes_from_all_or_stays_for_all() -> None:
    """Accepted means that it is not trusted any more, whatever for."""
    for uses in ((MF, V2G), (CSMS, V2G)):
        inventory = holding(*((use, OLD) for use in uses), (CSMS, OTHER))
        assert delete(inventory, OLD, OLD).changes == tuple(
            RemoveCa(use, Shelf.ANCHOR, OLD.certificate) for use in uses
        )
    last = holding((MF, OLD), (V2G, OLD), (CSMS, OLD))
    assert delete(last, OLD, OLD) == Decision(Status.FAILED, Fault.LAST_OF_ITS_KIND, OLD.certificate.subject)
    assert delete(inventory, OLD, OLD, in_use=OLD).fault is Fault.IN_USE


@pytest.mark.requirement("M04.FR.02", "M04.FR.03")
def test_a_chain_goes_by_its_leaf_and_stays_while_it_is_used() -> None:
    inventory = holding((V2G, V2G_ROOT), leaves=(SECC,))
    leaf = Authority(SECC.certificate, SUB.key)
    assert delete(inventory, leaf, SUB).changes == (RemoveLeaf(SECC),)
    assert delete(inventory, SUB, V2G_ROOT) == Decision(Status.FAILED, Fault.IN_USE, SUB.certificate.subject)
    assert delete(inventory, leaf, SUB, in_use=leaf).fault is Fault.IN_USE


# The station's own.

SUBJECT = StationSubject("SN-0001", "Operator")
STATION = LeafUse.CHARGING_STATION
KEY = ec_key()
PLAIN = LeafPolicy()
PENDING = PendingKey("charging_station-1", STATION, 1, public_octets(KEY.public_key()))


def signed(chain: str, policy: LeafPolicy = PLAIN) -> Fault | None:
    decision, key = decide_signed(
        holding((CSMS, OLD)), policy, {PENDING.public: PENDING}, {STATION: SUBJECT}, chain, NOW
    )
    assert (decision.status is Status.ACCEPTED) == (decision.fault is None) == bool(decision.changes)
    assert decision.fault is not None or key == PENDING
    return decision.fault


@pytest.mark.requirement("A02.FR.16", "A03.FR.16")
def test_the_edges_of_a_chain_that_is_taken() -> None:
    chain = pem(OLD.leaf(key=KEY))
    assert signed(chain.ljust(10_000)) is None
    assert signed(chain.ljust(10_001)) is Fault.TOO_LARGE
    others = [root(f"Other {number}", KEY) for number in range(10)]
    wide = LeafPolicy(max_chain_size=10**6)
    leaf = OLD.leaf(key=KEY)
    assert signed(pem(leaf, *others[:9]), wide) is None
    assert signed(pem(leaf, *others), wide) is Fault.TOO_LARGE


@pytest.mark.requirement("A02.FR.10", "A02.FR.29", "1.6-A02.FR.08", "1.6-A02.FR.10")
def test_what_goes_when_a_certificate_has_proved_itself() -> None:
    """Older ones, and newer ones that it was preferred to; not those whose time has not come."""
    old, used, newer, future = (
        Leaf(STATION, (OLD.leaf(begin=NOW + days * DAY).certificate,)) for days in (-3, -2, 0, 1)
    )
    inventory = holding((CSMS, OLD), leaves=(future, old, SECC, newer, used))
    assert decide_leaf_proven(inventory, used.certificate, NOW) == (
        (RemoveLeaf(newer), RemoveLeaf(old)),
        True,
    )
    assert decide_leaf_proven(inventory, newer.certificate, NOW) == (
        (RemoveLeaf(used), RemoveLeaf(old)),
        False,
    )
    stranger = OLD.leaf().certificate
    for certificate in (stranger, SECC.certificate, future.certificate):
        assert decide_leaf_proven(inventory, certificate, NOW) == ((), False)


def test_for_vehicles_room_is_made_by_what_has_been_replaced_too() -> None:
    """Nothing proves a vehicle's certificate: they would pile up until the store has no room for a root."""

    def leaf(issuer: Authority, begin: int, end: float = 100) -> Leaf:
        return Leaf(LeafUse.V2G, (issuer.leaf(begin=NOW + begin * DAY, end=NOW + end * DAY).certificate,))

    expired, first, second = leaf(OTHER, -5, -1), leaf(V2G_ROOT, -9), leaf(V2G_ROOT, -8)
    newest, others, future = leaf(V2G_ROOT, -7), leaf(OTHER, -20), leaf(V2G_ROOT, 1)
    inventory = holding(
        (V2G, V2G_ROOT), (V2G, OTHER), leaves=(newest, future, first, others, expired, second)
    )
    useless = (expired, first, second)
    for limit, gone in ((6, 0), (5, 1), (4, 2), (3, 3), (0, 3)):
        removed = decide_collect(inventory, LeafPolicy(max_leaves=limit), NOW)
        assert removed == tuple(map(RemoveLeaf, useless[:gone]))


def test_room_is_made_by_the_oldest_that_have_expired_and_by_nothing_else() -> None:
    def leaf(begin: int, end: float, use: LeafUse = STATION) -> Leaf:
        return Leaf(use, (OLD.leaf(begin=NOW + begin * DAY, end=NOW + end * DAY).certificate,))

    kept = (leaf(-9, 100), leaf(-2, 1), leaf(-1, 100))
    expired = tuple(leaf(begin, -0.5) for begin in (-8, -7, -6))
    v2g = leaf(-9, -1, LeafUse.V2G)
    inventory = holding(
        (CSMS, OLD), leaves=(v2g, kept[2], expired[1], kept[0], expired[2], kept[1], expired[0])
    )
    for limit, gone in ((7, 0), (6, 0), (5, 1), (4, 2), (3, 3), (2, 3), (0, 3)):
        removed = decide_collect(inventory, LeafPolicy(max_leaves=limit), NOW)
        mine = [change for change in removed if change != RemoveLeaf(v2g)]
        assert mine == [RemoveLeaf(leaf) for leaf in expired[:gone]]
        assert (RemoveLeaf(v2g) in removed) == (limit == 0)
    edge = NOW - DAY / 2  # valid to the last second
    assert decide_collect(inventory, LeafPolicy(max_leaves=0), edge) == (RemoveLeaf(v2g),)


# Names on the wire.


def test_uses_are_called_what_the_standard_calls_them() -> None:
    assert {use.name: use.value for use in TrustUse} == {
        "CSMS": "CSMSRootCertificate",
        "MANUFACTURER": "ManufacturerRootCertificate",
        "V2G": "V2GRootCertificate",
        "MO": "MORootCertificate",
        "OEM": "OEMRootCertificate",
    }
    assert {use.name: use.value for use in LeafUse} == {
        "CHARGING_STATION": "ChargingStationCertificate",
        "V2G": "V2GCertificate",
        "V2G20": "V2G20Certificate",
    }


@pytest.mark.parametrize("algorithm", HashAlgorithm)
def test_a_certificate_whose_issuer_is_unknown_can_be_named(algorithm: HashAlgorithm) -> None:
    inventory = holding((MF, NEW))
    name = inventory.hash_data(NEW.certificate, algorithm)
    assert name == hash_data(NEW.certificate, NEW.certificate, algorithm)
    assert inventory.named(NEW.certificate, name)
    assert inventory.issuer(NEW.certificate) is None
    assert holding((MF, NEW), retired=(OLD.certificate,)).issuer(NEW.certificate) == OLD.certificate
    assert decide_delete(inventory, DEFAULT, name).status is Status.ACCEPTED
