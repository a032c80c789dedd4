"""The edges of certification paths: to the bit, the second and the step."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ocpp_security.errors import CertificateError, Fault
from ocpp_security.pki.certificate import Certificate
from ocpp_security.pki.path import (
    MAX_PATH,
    MAX_STEPS,
    check_period,
    check_strength,
    find_path,
    strong_key,
    strong_signature,
)
from ocpp_security.trust.decisions import TrustPolicy
from tests.security.pki_kit import (
    CA_USAGE,
    DAY,
    NOW,
    Authority,
    Wish,
    build,
    ec_key,
    name,
    root,
    rsa_key,
)

SECOND = timedelta(seconds=1)
ROOT = root()


def certificates(*authorities: Authority) -> tuple[Certificate, ...]:
    return tuple(authority.certificate for authority in authorities)


def search(
    leaf: Authority, between: Sequence[Authority], anchors: Sequence[Authority], at: datetime = NOW
) -> tuple[Certificate, ...] | Fault:
    try:
        return find_path(leaf.certificate, certificates(*between), certificates(*anchors), at).certificates
    except CertificateError as error:
        return error.fault


@pytest.mark.requirement("A00.FR.501", "A00.FR.502", "A00.FR.503")
def test_a_key_is_strong_to_the_bit() -> None:
    for bits, strong in ((2047, False), (2048, True), (2049, True)):
        key = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) | 1).public_key()
        assert strong_key(key) is strong
    curves: list[tuple[ec.EllipticCurve, bool]] = [
        (ec.SECP192R1(), False),
        (ec.SECP224R1(), True),
        (ec.SECP256R1(), True),
    ]
    for curve, strong in curves:
        assert strong_key(ec.generate_private_key(curve).public_key()) is strong


@pytest.mark.requirement("A00.FR.501", "A00.FR.504")
def test_what_is_relied_on_is_strong_in_key_and_signature() -> None:
    weak_key, weak_signature = ROOT.leaf(key=rsa_key(1024)), ROOT.leaf(digest=hashes.SHA224())
    assert not strong_signature(weak_signature.certificate)
    for authority, fault in ((weak_key, Fault.WEAK_KEY), (weak_signature, Fault.WEAK_SIGNATURE)):
        with pytest.raises(CertificateError) as caught:
            check_strength(authority.certificate)
        assert caught.value.fault is fault
    check_strength(ROOT.certificate)
    # Nobody relies on an anchor's own signature, but on its key.
    anchor = root("Weakly signed", digest=hashes.SHA224())
    leaf = anchor.leaf()
    assert search(leaf, [], [anchor]) == certificates(leaf, anchor)
    between = ROOT.sub("Weakly signed", digest=hashes.SHA224())
    assert search(between.leaf(), [between], [ROOT]) is Fault.WEAK_SIGNATURE


@pytest.mark.requirement("RFC5280-6.1")
def test_a_certificate_is_valid_from_its_first_second_to_its_last() -> None:
    leaf = ROOT.leaf(begin=NOW, end=NOW + DAY)
    verdicts = {
        NOW - SECOND: Fault.NOT_YET_VALID,
        NOW: None,
        NOW + DAY: None,
        NOW + DAY + SECOND: Fault.EXPIRED,
    }
    for at, fault in verdicts.items():
        found = search(leaf, [], [ROOT], at)
        assert found == (certificates(leaf, ROOT) if fault is None else fault)
        if fault is None:
            check_period(leaf.certificate, at)


@pytest.mark.requirement("RFC5280-6.1")
def test_a_path_length_counts_what_is_between_and_not_self_issued() -> None:
    """A CA that renewed its key and signed itself anew adds nothing (RFC 5280, 4.2.1.9)."""
    for allowed in range(3):
        for depth in range(4):
            anchor = root("Limited", path_length=allowed)
            chain = [anchor]
            for number in range(depth):
                chain.append(chain[-1].sub(f"Level {number}"))
            leaf = chain[-1].leaf()
            found = search(leaf, chain[1:], [anchor])
            assert found == (
                certificates(leaf, *reversed(chain)) if depth <= allowed else Fault.PATH_TOO_LONG
            )
    # The limit of a CA below the root does not count that CA itself.
    for allowed in range(2):
        sub = ROOT.sub("Limited", path_length=allowed)
        lower = [sub]
        for number in range(allowed):
            lower.append(lower[-1].sub(f"Lower {number}"))
        leaf, deepest = lower[-1].leaf(), lower[-1].sub("Deepest")
        assert search(leaf, lower, [ROOT]) == certificates(leaf, *reversed(lower), ROOT)
        assert search(deepest.leaf(), [*lower, deepest], [ROOT]) is Fault.PATH_TOO_LONG
    limited = root("Limited", path_length=0)
    own = ec_key()
    wish = Wish(ca=True, usage=CA_USAGE)
    renewed = Authority(build(limited.name, own.public_key(), limited.name, limited.key, wish), own)
    leaf = renewed.leaf()
    assert search(leaf, [renewed], [limited]) == certificates(leaf, renewed, limited)


def test_the_fault_that_is_named_is_that_of_the_candidate_that_came_closest() -> None:
    expired = ROOT.sub("Sub", end=NOW - DAY)
    twin = Authority(root("Sub").certificate, expired.key)  # of the same name, but it did not sign
    leaf = expired.leaf()
    for between in ([expired, twin], [twin, expired]):
        assert search(leaf, between, [ROOT]) is Fault.EXPIRED
    deep = ROOT.sub("Level 1").sub("Level 2")
    assert search(deep.leaf(), [deep], [ROOT]) is Fault.NO_PATH
    lost = root("Unknown").sub("Upper").sub("Sub")
    others = Authority(root("Sub").certificate, lost.key)
    assert search(lost.leaf(), [others, lost], [ROOT]) is Fault.BAD_SIGNATURE
    upper = root("Unknown").sub("Upper")
    lost = upper.sub("Sub")
    assert search(lost.leaf(), [others, lost, upper], [ROOT]) is Fault.NO_PATH
    assert search(ROOT.leaf(end=NOW - DAY), [], [root("Other")]) is Fault.EXPIRED
    late = ROOT.sub("Late", begin=NOW + DAY)
    lower = late.sub("Lower")
    assert search(lower.leaf(), [lower, late, ROOT.sub("Other")], [ROOT]) is Fault.NOT_YET_VALID


def test_a_candidate_that_fails_does_not_end_the_search() -> None:
    """A CA whose certificate was renewed with the same key: the old ones lie about still."""
    key = ec_key()
    good = ROOT.sub("Sub", key=key)
    spoiled = [
        ROOT.sub("Sub", key=key, end=NOW - DAY),
        ROOT.sub("Sub", key=key, ca=False),
        root("Other").sub("Sub", key=key),
        ROOT.sub("Sub", key=key, digest=hashes.SHA224()),
    ]
    leaf = good.leaf()
    for between in ([*spoiled, good], [good, *spoiled]):
        assert search(leaf, between, [ROOT]) == certificates(leaf, good, ROOT)


def test_an_anchor_is_taken_before_the_same_name_among_the_rest() -> None:
    """Cross-signed: the shortest way to what is trusted."""
    new = root("New")
    crossed = Authority(
        build(new.name, new.key.public_key(), ROOT.name, ROOT.key, Wish(ca=True, usage=CA_USAGE)), new.key
    )
    leaf = new.leaf()
    assert search(leaf, [crossed], [ROOT, new]) == certificates(leaf, new)
    assert search(leaf, [crossed], [ROOT]) == certificates(leaf, crossed, ROOT)
    assert search(new, [], [new]) == certificates(new)


def test_a_search_verifies_no_more_signatures_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    key = ec_key()
    subject = name("Same")
    same = [
        Authority(build(subject, key.public_key(), subject, key, Wish(ca=True, usage=CA_USAGE)), key)
        for _ in range(40)
    ]
    verified = []
    real = Certificate.issued_by

    def issued_by(certificate: Certificate, issuer: Certificate) -> bool:
        verified.append(issuer)
        return real(certificate, issuer)

    monkeypatch.setattr(Certificate, "issued_by", issued_by)
    assert search(same[0].leaf(), same, [ROOT]) is Fault.PATH_TOO_LONG
    assert len(verified) == MAX_STEPS == 256
    assert MAX_PATH == 8
    verified.clear()
    strangers = [ROOT.sub(f"Stranger {number}") for number in range(100)]
    leaf = ROOT.leaf()
    assert search(leaf, strangers, [ROOT]) == certificates(leaf, ROOT)
    assert len(verified) == 1  # names are compared first


def test_as_many_steps_as_there_may_be_are_made() -> None:
    subject, other = x509.Name(name("Same")), ec_key().public_key()
    forged = [
        Authority(build(subject, other, ROOT.name, ROOT.key, Wish(ca=True)), ROOT.key)
        for _ in range(MAX_STEPS)
    ]
    own = ec_key()
    good = Authority(
        build(subject, own.public_key(), ROOT.name, ROOT.key, Wish(ca=True, usage=CA_USAGE)), own
    )
    leaf = good.leaf()
    # The last step is the one to the root.
    assert search(leaf, [*forged[: MAX_STEPS - 2], good], [ROOT]) == certificates(leaf, good, ROOT)
    assert search(leaf, [*forged[: MAX_STEPS - 1], good], [ROOT]) is Fault.BAD_SIGNATURE
    assert (TrustPolicy().max_entries or 0) < MAX_STEPS
