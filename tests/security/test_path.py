"""Certification paths: every fault by name, and OpenSSL as oracle."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path as FilePath

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpp_security.errors import CertificateError, Fault
from ocpp_security.pki.certificate import Certificate, parse_der
from ocpp_security.pki.path import MAX_PATH, Path, find_path, strong_key, strong_signature
from tests.security.pki_kit import (
    CA_USAGE,
    DAY,
    NOW,
    Authority,
    Wish,
    build,
    ec_key,
    name,
    pem,
    root,
    rsa_key,
    usage,
)

ROOT = root()
SUB = ROOT.sub("Sub 1")
SUB2 = SUB.sub("Sub 2")
LEAF = SUB2.leaf()


def certificates(*authorities: Authority) -> tuple[Certificate, ...]:
    return tuple(authority.certificate for authority in authorities)


def fault_of(
    leaf: Authority, between: Sequence[Authority], anchors: Sequence[Authority], at: datetime = NOW
) -> Fault:
    with pytest.raises(CertificateError) as caught:
        find_path(leaf.certificate, certificates(*between), certificates(*anchors), at)
    return caught.value.fault


@pytest.mark.requirement("A00.FR.403", "RFC5280-6.1")
def test_a_path_leads_from_leaf_to_anchor() -> None:
    path = find_path(LEAF.certificate, certificates(SUB, SUB2), certificates(root(), ROOT), NOW)
    assert path == Path(certificates(LEAF, SUB2, SUB, ROOT))
    assert path.leaf is LEAF.certificate
    assert path.anchor == ROOT.certificate
    assert list(path.links()) == [
        (LEAF.certificate, SUB2.certificate),
        (SUB2.certificate, SUB.certificate),
        (SUB.certificate, ROOT.certificate),
    ]


def test_an_anchor_need_not_be_self_signed() -> None:
    assert find_path(LEAF.certificate, certificates(SUB2), certificates(SUB), NOW).anchor == SUB.certificate
    assert find_path(SUB.certificate, (), certificates(SUB), NOW) == Path(certificates(SUB))


STRANGE = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
CONSTRAINED = x509.NameConstraints([x509.DNSName("example.com")], None)
IMPOSTOR = Authority(
    build(name("Sub 2"), SUB2.key.public_key(), SUB.name, ec_key(), Wish(ca=True, usage=CA_USAGE)), SUB2.key
)


@dataclass
class Case:
    fault: Fault
    leaf: Authority
    between: Sequence[Authority] = ()
    anchors: Sequence[Authority] = (ROOT,)
    openssl: bool = True
    """Whether OpenSSL refuses it too."""


def under_sub(fault: Fault, openssl: bool = True, **wish: object) -> Case:
    sub = ROOT.sub("Sub", **wish)  # type: ignore[arg-type]
    return Case(fault, sub.leaf(), [sub], openssl=openssl)


def under_root(fault: Fault, openssl: bool = True, **wish: object) -> Case:
    anchor = root("Odd root", **wish)  # type: ignore[arg-type]
    return Case(fault, anchor.leaf(), anchors=[anchor], openssl=openssl)


WEAK = ec.generate_private_key(ec.SECP192R1())
CASES = {
    "no anchors": Case(Fault.NO_ANCHOR, LEAF, [SUB, SUB2], []),
    "another root": Case(Fault.NO_PATH, LEAF, [SUB, SUB2], [root("Other")]),
    "a root of the same name": Case(Fault.BAD_SIGNATURE, LEAF, [SUB, SUB2], [root()]),
    "missing intermediate": Case(Fault.NO_PATH, LEAF, [SUB]),
    "forged intermediate": Case(Fault.BAD_SIGNATURE, LEAF, [SUB, IMPOSTOR]),
    "expired leaf": Case(Fault.EXPIRED, ROOT.leaf(end=NOW - DAY)),
    "leaf not yet valid": Case(Fault.NOT_YET_VALID, ROOT.leaf(begin=NOW + DAY)),
    "expired sub-CA": under_sub(Fault.EXPIRED, end=NOW - DAY),
    "expired root": under_root(Fault.EXPIRED, end=NOW - DAY),
    "sub-CA that is none": under_sub(Fault.NOT_A_CA, ca=False),
    "sub-CA without constraints": under_sub(Fault.NOT_A_CA, ca=None),
    "sub-CA that may not sign": under_sub(Fault.WRONG_USAGE, usage=usage("digital_signature")),
    "root that may not sign": under_root(Fault.WRONG_USAGE, usage=usage("crl_sign")),
    "strange critical extension": under_sub(Fault.UNKNOWN_CRITICAL, extensions=[(STRANGE, True)]),
    "name constraints": under_sub(Fault.UNKNOWN_CRITICAL, openssl=False, extensions=[(CONSTRAINED, True)]),
    "weak signature": Case(Fault.WEAK_SIGNATURE, ROOT.leaf(digest=hashes.SHA224()), openssl=False),
    "weak leaf key": Case(Fault.WEAK_KEY, ROOT.leaf(key=WEAK), openssl=False),
    "weak sub-CA key": under_sub(Fault.WEAK_KEY, openssl=False, key=WEAK),
    "weak root key": under_root(Fault.WEAK_KEY, openssl=False, key=WEAK),
    "weak RSA key": Case(Fault.WEAK_KEY, ROOT.leaf(key=rsa_key(1024)), openssl=False),
}
LIMITED = ROOT.sub("Limited", path_length=0)
BELOW = LIMITED.sub("Below")
CASES["path length"] = Case(Fault.PATH_TOO_LONG, BELOW.leaf(), [LIMITED, BELOW])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.requirement(
    "A00.FR.403",
    "A00.FR.501",
    "A00.FR.502",
    "A00.FR.503",
    "A00.FR.504",
    "A02.FR.06",
    "1.6-A00.FR.501",
    "1.6-A00.FR.502",
    "1.6-A00.FR.503",
    "1.6-A00.FR.504",
)
def test_faults(case: Case, tmp_path: FilePath) -> None:
    assert fault_of(case.leaf, case.between, case.anchors) is case.fault
    if case.openssl:
        assert not openssl_accepts(tmp_path, case.leaf, case.between, case.anchors)


def test_strange_extensions_that_are_not_critical_do_not_matter() -> None:
    sub = ROOT.sub("Sub", extensions=[(STRANGE, False)])
    assert find_path(sub.leaf().certificate, certificates(sub), certificates(ROOT), NOW)


def test_a_path_has_a_limit() -> None:
    chain = [ROOT]
    for number in range(MAX_PATH - 2):
        chain.append(chain[-1].sub(f"Level {number}"))
    longest = chain[-1].leaf()
    assert (
        len(find_path(longest.certificate, certificates(*chain), certificates(ROOT), NOW).certificates) == 8
    )
    deeper = chain[-1].sub("One more")
    assert fault_of(deeper.leaf(), [*chain, deeper], [ROOT]) is Fault.PATH_TOO_LONG


def test_many_authorities_of_one_name_cost_bounded_time() -> None:
    """Cross-signed circles of equal names are the classic way to make a verifier search for ever."""
    key = ec_key()
    subject = name("Same")
    same = [
        Authority(build(subject, key.public_key(), subject, key, Wish(ca=True, usage=CA_USAGE)), key)
        for _ in range(40)
    ]
    leaf = same[0].leaf()
    assert fault_of(leaf, same, [ROOT]) in (Fault.NO_PATH, Fault.PATH_TOO_LONG)


def test_the_right_one_of_two_issuers_of_a_name_is_found() -> None:
    twin = ROOT.sub("Sub 2")
    path = find_path(LEAF.certificate, certificates(twin, SUB, IMPOSTOR, SUB2), certificates(ROOT), NOW)
    assert path.certificates[1] == SUB2.certificate


@pytest.mark.parametrize("key", [rsa_key(), ec.generate_private_key(ec.SECP384R1())], ids=["RSA", "P-384"])
@pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda d: d.name)
@pytest.mark.requirement(
    "A00.FR.504", "A00.FR.505", "A00.FR.506", "1.6-A00.FR.504", "1.6-A00.FR.505", "1.6-A00.FR.506"
)
def test_recommended_algorithms_are_accepted(key: object, digest: hashes.HashAlgorithm) -> None:
    anchor = root("Algorithms", key=key)  # type: ignore[arg-type]
    leaf = anchor.leaf(digest=digest).certificate
    assert find_path(leaf, (), certificates(anchor), NOW)


def test_pss_and_edwards_curves_are_accepted() -> None:
    anchor = root("PSS", key=rsa_key(), pss=True)
    assert find_path(anchor.leaf(pss=True).certificate, (), certificates(anchor), NOW)
    key = ed25519.Ed25519PrivateKey.generate()
    subject = name("Ed")
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(5).not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    certificate = _parsed(made.sign(key, None))
    assert strong_signature(certificate)
    assert strong_key(certificate.public_key)
    assert find_path(certificate, (), (certificate,), NOW)


def _parsed(certificate: x509.Certificate) -> Certificate:
    return parse_der(certificate.public_bytes(Encoding.DER))


@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.requirement("RFC5280-6.1")
def test_openssl_agrees(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Random hierarchies with random faults: OpenSSL's verdict and ours are the same."""
    anchor = data.draw(st.sampled_from([ROOT, root("Second"), root("Old", end=NOW - DAY)]), "anchor")
    chain = [anchor]
    for number in range(data.draw(st.integers(0, 3), "depth")):
        chain.append(
            chain[-1].sub(
                f"Sub {number}",
                path_length=data.draw(st.sampled_from([None, 0, 1])),
                ca=data.draw(st.sampled_from([True, True, True, False])),
                usage=data.draw(st.sampled_from([CA_USAGE, CA_USAGE, None, usage("crl_sign")])),
                end=NOW + data.draw(st.sampled_from([1, 1, 1, -1])) * DAY,
            )
        )
    leaf = chain[-1].leaf(begin=NOW + data.draw(st.sampled_from([-2, -2, 2])) * DAY)
    between = data.draw(st.permutations(chain[1:]))[: data.draw(st.integers(0, 3))]
    anchors = data.draw(st.sampled_from([[anchor], [anchor, ROOT], [ROOT]]), "anchors")
    try:
        find_path(leaf.certificate, certificates(*between), certificates(*anchors), NOW)
        ours = True
    except CertificateError:
        ours = False
    assert openssl_accepts(tmp_path_factory.mktemp("pki"), leaf, between, anchors) is ours


def openssl_accepts(
    folder: FilePath, leaf: Authority, between: Sequence[Authority], anchors: Sequence[Authority]
) -> bool:
    if not anchors:
        return False
    files = {"leaf": [leaf], "between": between or [leaf], "anchors": anchors}
    for kind, content in files.items():
        (folder / f"{kind}.pem").write_text(pem(*content))
    done = subprocess.run(
        [
            *("openssl", "verify", "-attime", str(int(NOW.timestamp())), "-partial_chain"),
            *("-no-CApath", "-no-CAstore", "-CAfile", "anchors.pem", "-untrusted", "between.pem", "leaf.pem"),
        ],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def test_signature_algorithms_that_nobody_knows_are_weak() -> None:
    odd = ROOT.leaf().certificate
    broken = bytearray(odd.der)
    oid = bytes.fromhex("06082a8648ce3d040302")  # ecdsa-with-SHA256
    at = broken.rindex(oid)
    while at >= 0:
        broken[at + len(oid) - 1] = 0x7F
        at = bytes(broken).rfind(oid, 0, at)
    assert not strong_signature(parse_der(bytes(broken)))
