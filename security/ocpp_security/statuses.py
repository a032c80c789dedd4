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

    def known(
        self, certificate: Certificate, issuer: Certificate, at: datetime, now: float, *, fresh: bool = True
    ) -> Revocation:
        """What the answers at hand say; UNKNOWN: nothing.

        A revocation counts until its answer's nextUpdate, and longer if the clock has been set back. A good
        word counts for ``max_age``, or, if it need not be ``fresh``, for as long as it was made for.
        """
        revoked = self._revoked.get(certificate.fingerprint)
        if revoked is not None and at <= revoked.said.next_update:
            return Revocation.REVOKED
        said = self._fetched(certificate, issuer, at, now, fresh)
        good = self._good.get(certificate.fingerprint)
        if said is Revocation.UNKNOWN and good is not None and self._counts(good, good.said, at, now, fresh):
            return Revocation.GOOD
        return said

    def keep(self, certificate: Certificate, status: OcspStatus, now: float) -> Revocation:
        """Keep what a responder says, unless something newer is at hand; returns what counts.

        Else a responder that lags behind, or a replay, would take back what was revoked since.
        """
        name = certificate.fingerprint
        for entries in (self._revoked, self._good):
            older = entries.get(name)
            if older is not None and _rank(older.said) > _rank(status):
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

    def _fetched(
        self, certificate: Certificate, issuer: Certificate, at: datetime, now: float, fresh: bool
    ) -> Revocation:
        """What the issuer's lists say that were fetched: a revocation until nextUpdate, as above."""
        said = set()
        for (fingerprint, _), found in self._lists.items():
            if fingerprint == issuer.fingerprint and at <= found.crl.next_update:
                word = self._said(found.crl, certificate, issuer)
                if word is Revocation.REVOKED or self._counts(found, found.crl, at, now, fresh):
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

    def _counts(
        self, kept: _Status | _List, made: OcspStatus | RevocationList, at: datetime, now: float, fresh: bool
    ) -> bool:
        """Whether a good word still does, by both clocks."""
        life = (made.next_update - made.this_update).total_seconds()
        limit = min(self._max_age, life) if fresh else life
        return now - kept.since <= limit and made.this_update - MAX_SKEW <= at <= made.next_update


def _rank(status: OcspStatus) -> tuple[datetime, bool]:
    """The newer counts; of the same moment the revocation."""
    return status.this_update, status.revocation is Revocation.REVOKED


def _worst(said: set[Revocation]) -> Revocation:
    return next((it for it in (Revocation.REVOKED, Revocation.GOOD) if it in said), Revocation.UNKNOWN)
