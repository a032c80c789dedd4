"""The station's own certificates: signing requests, chains that come back, which to use (A02, A03)."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from ocpp_core.errors import OcppError

from ..errors import CertificateError, Fault
from ..pki.certificate import Certificate
from ..pki.hashdata import CertificateHashData
from ..pki.path import Path as CertificationPath
from ..pki.properties import StationSubject
from ..questions import LeafState, Outcome, SecurityEvent, SigningRequest
from ..trust.decisions import Decision, PutLeaf, Status, decide_root_proven
from ..trust.inventory import Leaf, LeafUse, TrustUse
from ..trust.leaves import (
    PendingKey,
    alternative_names,
    decide_collect,
    decide_leaf_proven,
    decide_signed,
    subject_name,
)
from .context import Context

MAX_PENDING = 4
"""Keys of one use for which a certificate was asked and has not come; the oldest goes for a new one."""
MAX_CSR = 5500
"""Characters of SignCertificateRequest.csr."""

_KEY_NAME = re.compile(r"(charging_station|v2g|v2g20)-([1-9][0-9]{0,8})")
_UNJUDGED = frozenset({Fault.TOO_LARGE, Fault.UNKNOWN_REQUEST, Fault.STORAGE_FAILED})
"""Why a chain may be refused without the certificate being at fault: no security event."""


@dataclass(frozen=True, slots=True)
class LeafInfo:
    """A certificate of the station, ready to be used."""

    leaf: Leaf
    path: CertificationPath
    key_name: str
    key_path: Path | None
    files: tuple[Path, ...]
    """Where the chain is."""


class OwnCertificates:
    """Certificates of the charging station and of its ISO 15118 server (SECC)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._number = 0
        """The highest that was given to a request: to a CSMS, another with it would be the same request."""

    def make_request(self, use: LeafUse, at: datetime) -> SigningRequest | Outcome:
        """Make a key pair and a CSR for it (A02.FR.02, A02.FR.03); an Outcome says why there is none."""
        keys, config = self._context.keys, self._context.config
        try:
            subject = subject_name(config.subjects.get(use, StationSubject("", "")))
            extensions = alternative_names(config.alternative_names.get(use, ()))
            self._make_room(use, at)
            number = self._number = max((self._number, *self._numbers())) + 1
            name = f"{use.name.lower()}-{number}"
            key = keys.create(name, config.key_algorithms.get(use, config.key_algorithm))
            csr = key.sign_csr(subject, extensions)
        except CertificateError as error:
            return Outcome(Status.FAILED, error.fault, error.detail, use=use)
        except OcppError as error:
            return Outcome(Status.FAILED, Fault.STORAGE_FAILED, str(error), use=use)
        if len(csr) > MAX_CSR:
            return Outcome(Status.FAILED, Fault.TOO_LARGE, f"CSR of {len(csr)} characters", use=use)
        return SigningRequest(use, number, csr, self._root_name(use, at))

    def take(
        self, pem: str, at: datetime, *, use: LeafUse | None = None, request_id: int | None = None
    ) -> Outcome:
        """CertificateSigned: take the chain or refuse it (A02.FR.06, A02.FR.07, A02.FR.16, A02.FR.26)."""
        context = self._context
        try:
            decision, key = decide_signed(
                context.inventory,
                context.config.leaves,
                {key.public: key for key in self._keys()},
                context.config.subjects,
                pem,
                at,
                use=use,
                request_id=request_id,
                crls=context.files.load_crls(),
            )
        except OcppError as error:
            return Outcome(Status.REJECTED, Fault.STORAGE_FAILED, str(error), use=use)
        outcome = context.carry_out(decision, at)
        whose = use if key is None else key.use
        if outcome.accepted:
            (begins,) = (c.leaf.certificate.not_before for c in decision.changes if isinstance(c, PutLeaf))
            return replace(outcome, use=whose, valid_from=begins)
        blamed = outcome.fault not in _UNJUDGED
        events = (SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE,) if blamed else ()
        return Outcome(Status.REJECTED, outcome.fault, outcome.detail, events, whose)

    def state(self, use: LeafUse, at: datetime) -> LeafState:
        """How long a use is served by certificates that have a path and a key; and what is to come.

        While the keys cannot be reached they are taken to be there.
        """
        inventory = self._context.inventory
        with suppress(OcppError):
            names = self._context.key_names()
            leaves = tuple(leaf for leaf in inventory.leaves if leaf.key_octets in names)
            inventory = replace(inventory, leaves=leaves)
        expires = min((f.certificate.not_after for f in inventory.current(use, at)), default=None)
        begins = [f.certificate.not_before for f in inventory.of_use(use)]
        return LeafState(use, expires, min((begin for begin in begins if begin > at), default=None))

    def expires_in(self, use: LeafUse, at: datetime) -> timedelta | None:
        """How long until the first of a use's current certificates expires; None: there is none."""
        expires = self.state(use, at).expires
        return None if expires is None else expires - at

    def usable(self, use: LeafUse, at: datetime) -> tuple[LeafInfo, ...]:
        """The certificates of a use that are valid and have a key, newest first.

        Raises OcppError: the keys cannot be reached.
        """
        context, names = self._context, self._context.key_names()
        return tuple(
            LeafInfo(
                leaf,
                context.inventory.installed_path(leaf, at),
                names[leaf.key_octets],
                context.keys.path(names[leaf.key_octets]),
                context.files.leaf_files(leaf),
            )
            for leaf in context.inventory.valid(use, at)
            if leaf.key_octets in names
        )

    def to_connect(self, at: datetime) -> tuple[LeafInfo, ...]:
        """What a station connects with: the first, and the others in turns if that fails (A02.FR.28).

        They are its usable certificates; if there is none, those that expired last, or else those that will
        be valid first: whether they will do, and whose clock is wrong, is for the CSMS to say (A00.FR.429,
        A00.FR.430). Raises OcppError: the keys cannot be reached.
        """
        use = LeafUse.CHARGING_STATION
        certificates = [leaf.certificate for leaf in self._context.inventory.of_use(use)]
        expired = sorted((c.not_after for c in certificates if c.not_after < at), reverse=True)
        future = sorted(c.not_before for c in certificates if c.not_before > at)
        moments = dict.fromkeys((at, *expired, *future))
        return next(filter(None, (self.usable(use, moment) for moment in moments)), ())

    def check_profile(self, profile: int, at: datetime) -> Outcome:
        """Whether a security profile can be used: 2 and 3 need a valid CSMS root (A05.FR.02), 3 a certificate
        of the station's own (A05.FR.03)."""
        roots = self._context.inventory.trusted(TrustUse.CSMS)
        if profile >= 2 and not any(root.not_before <= at <= root.not_after for root in roots):
            return Outcome(Status.REJECTED, Fault.NO_ANCHOR)
        try:
            if profile >= 3 and not self.usable(LeafUse.CHARGING_STATION, at):
                return Outcome(Status.REJECTED, Fault.NO_CERTIFICATE)
        except OcppError as error:
            return Outcome(Status.FAILED, Fault.STORAGE_FAILED, str(error))
        return Outcome(Status.ACCEPTED)

    def connected(self, root: Certificate | None, leaf: Certificate | None, at: datetime) -> Outcome:
        """The station is connected: drop what was kept in case that this would fail.

        The fallback root goes once the new one has proved itself (M05.FR.13), and so do the charging station
        certificates that are not the one in use (A02.FR.10), be they old or new (A02.FR.29), unless they are
        yet to become valid.
        """
        context = self._context
        context.in_use = frozenset(c.fingerprint for c in (root, leaf) if c is not None)
        changes = () if root is None else decide_root_proven(context.inventory, context.config.trust, root)
        dropped, newer = ((), False) if leaf is None else decide_leaf_proven(context.inventory, leaf, at)
        outcome = context.carry_out(Decision(Status.ACCEPTED, changes=(*changes, *dropped)), at)
        if not outcome.accepted:
            return outcome
        events = (SecurityEvent.DISCARDED_RENEWED_CLIENT_CERTIFICATE,) if newer else ()
        return replace(outcome, events=events)

    def _keys(self) -> Iterator[PendingKey]:
        """The keys that were made for CSRs. Raises OcppError."""
        for octets, name in self._context.key_names().items():
            match = _KEY_NAME.fullmatch(name)
            if match is not None:
                yield PendingKey(name, LeafUse[match[1].upper()], int(match[2]), octets)

    def _numbers(self) -> Iterator[int]:
        """The numbers that are taken, be it by keys that cannot be loaded. Raises OcppError."""
        matches = map(_KEY_NAME.fullmatch, self._context.keys.names())
        return (int(match[2]) for match in matches if match is not None)

    def _make_room(self, use: LeafUse, at: datetime) -> None:
        """Drop expired chains beyond the limit, and the oldest keys that still wait for a certificate."""
        context = self._context
        expired = decide_collect(context.inventory, context.config.leaves, at)
        context.carry_out(Decision(Status.ACCEPTED, changes=expired), at)
        served = {leaf.key_octets for leaf in context.inventory.leaves}
        waiting = [key for key in self._keys() if key.use is use and key.public not in served]
        waiting.sort(key=lambda key: key.request_id)
        for key in waiting[: max(0, len(waiting) - MAX_PENDING + 1)]:
            context.delete_key(key.name)

    def _root_name(self, use: LeafUse, at: datetime) -> CertificateHashData | None:
        """Under which root the certificate is to be (A02.FR.27, A03.FR.23): the one whose certificate expires
        first, or else the only one there is."""
        if use is LeafUse.CHARGING_STATION:
            return None
        inventory = self._context.inventory
        roots, leaves = inventory.trusted(use.trust), inventory.current(use, at)
        if leaves:
            first = min(leaves, key=lambda leaf: leaf.certificate.not_after)
            roots = (inventory.installed_path(first, at).anchor,)
        if len(roots) != 1:
            return None
        return inventory.hash_data(roots[0], self._context.config.hash_algorithm)
