"""May this root be installed, may that certificate be deleted: decided on what is installed; nothing is done.

A decision carries the changes to carry out in order. After any prefix of them, as power loss may leave it,
the directory loads to the old or to the new state (:mod:`ocpp_security.trust.files`).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from ..errors import CertificateError, Fault
from ..pki.certificate import Certificate, parse_one
from ..pki.hashdata import CertificateHashData
from ..pki.path import check_period, check_strength
from .inventory import Inventory, Leaf, LeafUse, TrustUse


class Shelf(StrEnum):
    """Where a CA certificate is kept, and so what it is good for."""

    ANCHOR = "anchor"
    FALLBACK = "fallback"
    KNOWN = "known"
    """Not trusted any more: kept for the hash data of what it signed, and for the station's own chains."""


@dataclass(frozen=True, slots=True)
class PutCa:
    """Write a CA certificate."""

    use: TrustUse
    shelf: Shelf
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class RemoveCa:
    """Remove a CA certificate from a shelf, from every file that it is in."""

    use: TrustUse
    shelf: Shelf
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class RemoveIntermediate:
    """Remove a sub-CA from every file that it is in."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class PutLeaf:
    """Write a chain of the station's."""

    leaf: Leaf


@dataclass(frozen=True, slots=True)
class RemoveLeaf:
    """Remove a chain of the station's; its key goes with it."""

    leaf: Leaf


Change: TypeAlias = PutCa | RemoveCa | RemoveIntermediate | PutLeaf | RemoveLeaf


class Status(StrEnum):
    """OCPP's answers to InstallCertificate, DeleteCertificate and CertificateSigned."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    FAILED = "Failed"
    NOT_FOUND = "NotFound"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to answer, why, and what to change."""

    status: Status
    fault: Fault | None = None
    detail: str = ""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """How the operator wants roots to be treated; the names are the standard's or libocpp's."""

    max_entries: int | None = 100
    """CertificateEntries.maxLimit, CertificateStoreMaxLength; None: no limit but the disk's."""
    count_leaves: bool = True
    """Whether the station's own chains count (2.x) or only roots (1.6)."""
    additional_root_certificate_check: bool = False
    """AdditionalRootCertificateCheck: a CSMS root must be signed by the one that it replaces."""
    allow_csms_root_over_unsecure: bool = False
    """AllowCSMSRootCertInstallWithUnsecureConnection (security profile 0 or 1)."""
    allow_mf_root_over_unsecure: bool = False
    """AllowMFRootCertInstallWithUnsecureConnection."""
    protect_last: frozenset[TrustUse] = frozenset({TrustUse.CSMS})
    """Uses of which the last root is not deleted (M04.FR.03, note)."""


def decide_install(
    inventory: Inventory,
    policy: TrustPolicy,
    use: TrustUse,
    pem: str,
    at: datetime,
    *,
    secure: bool = True,
) -> Decision:
    """InstallCertificate (M05; whitepaper M05). ``secure``: the connection has security profile 2 or 3."""
    try:
        certificate = _acceptable_root(policy, use, pem, at, secure=secure)
    except CertificateError as error:
        return Decision(Status.REJECTED, error.fault, error.detail)
    installed = inventory.anchors.get(use, ())
    if certificate in installed:
        return Decision(Status.ACCEPTED)  # M05.FR.17: to be replaced by itself
    if policy.additional_root_certificate_check and use is TrustUse.CSMS and installed:
        return _replace_csms_root(inventory, certificate)
    full = policy.max_entries is not None and (
        inventory.entries(leaves=policy.count_leaves) >= policy.max_entries
    )
    if full:
        return Decision(Status.REJECTED, Fault.STORE_FULL)
    return Decision(Status.ACCEPTED, changes=(PutCa(use, Shelf.ANCHOR, certificate),))


def _acceptable_root(
    policy: TrustPolicy, use: TrustUse, pem: str, at: datetime, *, secure: bool
) -> Certificate:
    allowed = {
        TrustUse.CSMS: policy.allow_csms_root_over_unsecure,
        TrustUse.MANUFACTURER: policy.allow_mf_root_over_unsecure,
    }
    if not secure and not allowed.get(use, True):
        raise CertificateError(Fault.INSECURE_CONNECTION)
    certificate = parse_one(pem)
    if not certificate.may_sign_certificates():
        raise CertificateError(Fault.NOT_A_CA, certificate.subject)
    if certificate.strange:
        raise CertificateError(Fault.UNKNOWN_CRITICAL, certificate.subject)
    check_period(certificate, at)
    check_strength(certificate)
    if certificate.self_issued and not certificate.issued_by(certificate):
        raise CertificateError(Fault.BAD_SIGNATURE, certificate.subject)
    return certificate


def _replace_csms_root(inventory: Inventory, new: Certificate) -> Decision:
    """M05.FR.10 to M05.FR.12: the new root must be signed by the old one, which is kept as fallback.

    The new root takes the old one's place, so the number of entries grows by the fallback only, which is
    temporary: the limit does not stand in the way of replacing a root. Further roots, of a time when there
    was no check, stay until the new one has proved itself: the CSMS may be known by one of them only.
    """
    anchors = inventory.anchors.get(TrustUse.CSMS, ())
    old = next((root for root in anchors if new.issued_by(root)), None)
    if old is None:
        return Decision(Status.REJECTED, Fault.NOT_SIGNED_BY_OLD_ROOT, new.subject)
    csms, superseded = TrustUse.CSMS, inventory.fallback
    changes: list[Change] = [
        PutCa(csms, Shelf.KNOWN, old),
        PutCa(csms, Shelf.FALLBACK, old),
        PutCa(csms, Shelf.ANCHOR, new),
        RemoveCa(csms, Shelf.ANCHOR, old),
    ]
    if superseded is not None:
        # Should power loss have left it among the anchors: it must not count as one when it is no fallback.
        changes.insert(0, RemoveCa(csms, Shelf.ANCHOR, superseded))
        changes.append(RemoveCa(csms, Shelf.FALLBACK, superseded))
    changes += [RemoveCa(csms, Shelf.FALLBACK, other) for other in inventory.leftovers if other != old]
    kept = (new, *(c for c in inventory.installed() if c != superseded))
    useless = [c for c in inventory.retired if not any(k.issued_by(c) for k in kept)]
    changes += [RemoveCa(csms, Shelf.KNOWN, root) for root in useless]
    return Decision(Status.ACCEPTED, changes=tuple(changes))


def decide_delete(
    inventory: Inventory,
    policy: TrustPolicy,
    name: CertificateHashData,
    *,
    in_use: frozenset[str] = frozenset(),
) -> Decision:
    """DeleteCertificate (M04; whitepaper M04). ``in_use``: fingerprints that a connection relies on now."""
    for leaf in inventory.leaves:
        named = [c for c in leaf.chain if inventory.named(c, name)]
        if named:
            return _delete_leaf(leaf, named[0], in_use)
    for use in TrustUse:
        for certificate in inventory.anchors.get(use, ()):
            if inventory.named(certificate, name):
                return _delete_root(inventory, policy, certificate, in_use)
    fallback = inventory.fallback
    if fallback is not None and inventory.named(fallback, name):
        if fallback.fingerprint in in_use:
            return Decision(Status.FAILED, Fault.IN_USE, fallback.subject)
        return Decision(Status.ACCEPTED, changes=_drop_fallback(fallback))
    for certificate in inventory.intermediates:
        if inventory.named(certificate, name):
            return Decision(Status.ACCEPTED, changes=(RemoveIntermediate(certificate),))
    return Decision(Status.NOT_FOUND)


def _delete_leaf(leaf: Leaf, named: Certificate, in_use: frozenset[str]) -> Decision:
    """The station's own certificate stays (M04.FR.06; whitepaper M04.FR.05), and so does what a chain needs;
    a V2G leaf goes with its chain unless somebody is using it."""
    if leaf.use is LeafUse.CHARGING_STATION or named != leaf.certificate:
        return Decision(Status.FAILED, Fault.IN_USE, named.subject)
    if leaf.certificate.fingerprint in in_use:
        return Decision(Status.FAILED, Fault.IN_USE, named.subject)
    return Decision(Status.ACCEPTED, changes=(RemoveLeaf(leaf),))


def _delete_root(
    inventory: Inventory, policy: TrustPolicy, certificate: Certificate, in_use: frozenset[str]
) -> Decision:
    """Hash data name a certificate, not a use of it: it goes from all, or stays for all."""
    changes: list[Change] = []
    for use in TrustUse:
        if certificate in inventory.anchors.get(use, ()):
            decision = _delete_anchor(inventory, policy, use, certificate, in_use)
            if decision.status is not Status.ACCEPTED:
                return decision
            changes += decision.changes
    return Decision(Status.ACCEPTED, changes=tuple(changes))


def _delete_anchor(
    inventory: Inventory,
    policy: TrustPolicy,
    use: TrustUse,
    certificate: Certificate,
    in_use: frozenset[str],
) -> Decision:
    if use is TrustUse.CSMS and certificate.fingerprint in in_use:
        return Decision(Status.FAILED, Fault.IN_USE, certificate.subject)
    if use in policy.protect_last and len(inventory.trusted(use)) == 1:
        return Decision(Status.FAILED, Fault.LAST_OF_ITS_KIND, certificate.subject)
    removal = RemoveCa(use, Shelf.ANCHOR, certificate)
    fallback = inventory.fallback
    if use is TrustUse.CSMS and fallback is not None and certificate.issued_by(fallback):
        # The one that it replaced is in force again.
        restored = PutCa(use, Shelf.ANCHOR, fallback)
        changes = (restored, removal, RemoveCa(use, Shelf.FALLBACK, fallback))
        return Decision(Status.ACCEPTED, changes=changes)
    return Decision(Status.ACCEPTED, changes=(removal,))


def decide_root_proven(inventory: Inventory, policy: TrustPolicy, anchor: Certificate) -> tuple[Change, ...]:
    """The station is connected, and the CSMS's path ended at ``anchor``: if that replaced the fallback, the
    fallback goes (M05.FR.13), and all other roots if there is to be one only (M05.FR.09).

    The fallback goes last: while it is there, what power loss left undone is done with the next connection.
    """
    csms, fallback = TrustUse.CSMS, inventory.fallback
    changes: list[Change] = [RemoveCa(csms, Shelf.FALLBACK, other) for other in inventory.leftovers]
    anchors = inventory.anchors.get(csms, ())
    if fallback is not None and anchor in anchors and anchor.issued_by(fallback):
        if policy.additional_root_certificate_check:
            others = [root for root in anchors if root != anchor]
            changes += [PutCa(csms, Shelf.KNOWN, root) for root in others]
            changes += [RemoveCa(csms, Shelf.ANCHOR, root) for root in others]
        changes += _drop_fallback(fallback)
    return tuple(changes)


def _drop_fallback(fallback: Certificate) -> tuple[Change, ...]:
    """Power loss may have left it among the anchors, where it would count again once it is no fallback."""
    csms = TrustUse.CSMS
    return RemoveCa(csms, Shelf.ANCHOR, fallback), RemoveCa(csms, Shelf.FALLBACK, fallback)
