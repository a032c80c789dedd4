"""What is known of certificates' revocation, for a while: answers that were verified, and lists.

Pure: ``at`` is the wall clock's UTC, ``now`` a monotonic clock's seconds. Both count, so that no jump of the
wall clock makes an old answer good: it says whether an answer is current, the other how long it has been
here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from .errors import CertificateError
from .pki.certificate import Certificate
from .pki.crl import RevocationList, Scope, check_crl, covers, is_current, revoked_serials
from .pki.ocsp import MAX_SKEW, OcspStatus, Revocation

MAX_STATUSES: Final = 20_000
"""Answers of each kind, good and revoked; the oldest goes first."""
MAX_LISTS: Final = 8
"""Lists that were fetched; they may be large."""
MAX_CHECKED: Final = 64
"""Lists, fetched or the operator's, whose signature was looked at and whose numbers are at hand."""


@dataclass(frozen=True, slots=True)
class _Status:
    said: OcspStatus
    since: float


@dataclass(frozen=True, slots=True)
class _List:
    crl: RevocationList
    since: float


class StatusCache:
    """What has been answered; ``max_age`` is how many seconds "good" is believed without asking again."""

    def __init__(self, max_age: float) -> None:
        self._max_age = max_age
        self._good: dict[str, _Status] = {}
        self._revoked: dict[str, _Status] = {}
        self._lists: dict[tuple[str, Scope | None], _List] = {}
        self._checked: dict[tuple[RevocationList, str], frozenset[int] | None] = {}
        """What is on lists, by the issuers that have signed them; None: that one has not."""

    def known(self, certificate: Certificate, issuer: Certificate, at: datetime, now: float) -> Revocation:
        """What the answers at hand say; UNKNOWN: nothing.

        A revocation counts until its answer's nextUpdate, and longer if the clock has been set back.
        """
        revoked = self._revoked.get(certificate.fingerprint)
        if revoked is not None and at <= revoked.said.next_update:
            return Revocation.REVOKED
        said = self._fetched(certificate, issuer, at, now)
        if said is Revocation.UNKNOWN and self._good_at(certificate, at, now):
            return Revocation.GOOD
        return said

    def _good_at(self, certificate: Certificate, at: datetime, now: float) -> bool:
        good = self._good.get(certificate.fingerprint)
        if good is None or not self._fresh(good.since, now):
            return False
        return good.said.this_update - MAX_SKEW <= at <= good.said.next_update

    def keep(self, certificate: Certificate, status: OcspStatus, now: float) -> Revocation:
        """Keep what a responder says, unless something newer is at hand; returns what counts.

        Else a responder that lags behind, or a replay, would take back what was revoked since.
        """
        name = certificate.fingerprint
        for entries in (self._revoked, self._good):
            older = entries.get(name)
            if older is not None and older.said.this_update > status.this_update:
                return older.said.revocation
        self._good.pop(name, None)
        self._revoked.pop(name, None)
        if status.revocation is not Revocation.UNKNOWN:
            entries = self._revoked if status.revocation is Revocation.REVOKED else self._good
            entries[name] = _Status(status, now)
            if len(entries) > MAX_STATUSES:
                del entries[next(iter(entries))]
        return status.revocation

    def keep_list(self, crl: RevocationList, issuer: Certificate, at: datetime, now: float) -> None:
        """Keep an issuer's list, unless a newer one is at hand. Raises CertificateError: not believed."""
        check_crl(crl, issuer, at)
        name = (issuer.fingerprint, crl.scope)
        older = self._lists.pop(name, None)
        newest = crl if older is None or older.crl.this_update <= crl.this_update else older.crl
        self._lists[name] = _List(newest, now)
        if len(self._lists) > MAX_LISTS:
            del self._lists[next(iter(self._lists))]

    def listed(
        self, lists: Sequence[RevocationList], certificate: Certificate, issuer: Certificate, at: datetime
    ) -> Revocation:
        """What lists of somebody else's keeping say."""
        return _worst({self._said(crl, certificate, issuer) for crl in lists if is_current(crl, at)})

    def _fetched(self, certificate: Certificate, issuer: Certificate, at: datetime, now: float) -> Revocation:
        """What the issuer's lists say that were fetched: a revocation until nextUpdate, as above."""
        said = set()
        for (fingerprint, _), found in self._lists.items():
            if fingerprint == issuer.fingerprint and at <= found.crl.next_update:
                word = self._said(found.crl, certificate, issuer)
                if word is Revocation.REVOKED or (
                    self._fresh(found.since, now) and is_current(found.crl, at)
                ):
                    said.add(word)
        return _worst(said)

    def _said(self, crl: RevocationList, certificate: Certificate, issuer: Certificate) -> Revocation:
        """What a list says, at whatever time. Its signature is verified, and it is read, once."""
        if crl.issuer_der != issuer.subject_der or not covers(crl, certificate):
            return Revocation.UNKNOWN
        name = (crl, issuer.fingerprint)
        if name not in self._checked:
            try:
                check_crl(crl, issuer, crl.this_update)
                self._checked[name] = revoked_serials(crl)
            except CertificateError:
                self._checked[name] = None
            if len(self._checked) > MAX_CHECKED:
                del self._checked[next(iter(self._checked))]
        serials = self._checked[name]
        if serials is None:
            return Revocation.UNKNOWN
        return Revocation.REVOKED if certificate.serial in serials else Revocation.GOOD

    def _fresh(self, since: float, now: float) -> bool:
        return now - since <= self._max_age


def _worst(said: set[Revocation]) -> Revocation:
    return next((it for it in (Revocation.REVOKED, Revocation.GOOD) if it in said), Revocation.UNKNOWN)
