"""The link to the certificate in use, the order of chains, and which leaf is used."""

from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpp_security.errors import CertificateStoreError
from ocpp_security.pki.certificate import Certificate, parse_bundle
from ocpp_security.pki.path import order_chain
from ocpp_security.trust import links
from ocpp_security.trust.decisions import (
    TrustPolicy,
)
from ocpp_security.trust.inventory import Inventory, Leaf, LeafUse, TrustUse
from tests.security.pki_kit import DAY, NOW, Authority, root

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


# Links.


def test_a_link_always_leads_to_a_whole_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads through the link sees a certificate and its own key, whenever power fails."""
    link = tmp_path / "current"
    keys = {STATION.certificate: tmp_path / "station.key", SECC.certificate: tmp_path / "secc.key"}
    for certificate, path in keys.items():
        path.write_text(certificate.fingerprint)
    links.point(link, STATION, keys[STATION.certificate])
    real = Path.replace
    for step in range(6):
        steps = count()

        def replace(path: Path, target: Path) -> Path:
            if next(steps) >= step:  # noqa: B023 - called before the next turn only
                raise OSError(5, "Input/output error")
            return real(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            with suppress(CertificateStoreError):
                links.point(link, SECC, keys[SECC.certificate])
        (certificate, *_) = parse_bundle((link / "chain.pem").read_bytes())
        assert parse_bundle((link / "leaf.pem").read_bytes()) == (certificate,)
        assert (link / "key.pem").read_text() == certificate.fingerprint
    assert certificate == SECC.certificate
    assert len(list(tmp_path.glob(".current-*"))) == 1
    links.point(link, SECC, None)  # nothing to do
    links.remove(link)
    links.remove(link)
    assert not link.exists()


# Chains.


@given(st.permutations([SUB1.certificate, SUB2.certificate, V2G_ROOT.certificate, OTHER.certificate]))
@settings(max_examples=24)
def test_chains_are_put_in_order(others: list[Certificate]) -> None:
    chain = order_chain(SECC.certificate, others)
    assert chain == SECC.chain


@pytest.mark.requirement("A02.FR.15", "A03.FR.15", "1.6-A02.FR.09", "1.6-A03.FR.09")
def test_the_newest_valid_leaf_of_each_root_is_used() -> None:
    other = root("V2G 2")
    ages = {days: Leaf(LeafUse.V2G, (other.leaf(begin=NOW - days * DAY).certificate,)) for days in (1, 2)}
    future = Leaf(LeafUse.V2G, (other.leaf(begin=NOW + DAY).certificate,))
    orphan = Leaf(LeafUse.V2G, (root("Nobody").leaf(begin=NOW).certificate,))
    expired = Leaf(LeafUse.V2G, (other.leaf(end=NOW - DAY).certificate,))
    leaves = (orphan, ages[2], SECC, future, ages[1], expired)
    inventory = holding((V2G, V2G_ROOT), (V2G, other), leaves=leaves)
    assert inventory.current(LeafUse.V2G, NOW) == (ages[1], SECC)
    assert inventory.valid(LeafUse.V2G, NOW) == (ages[1], ages[2], SECC)
    assert inventory.current(LeafUse.V2G, NOW + 2 * DAY)[0] == future
    assert inventory.current(LeafUse.CHARGING_STATION, NOW) == ()
    assert inventory.ordered_chain(orphan, NOW) == orphan.chain
    assert inventory.ordered_chain(SECC, NOW)[-1] == V2G_ROOT.certificate
