"""Revocation of vehicles' certificate chains, as the CSMS finds it out (OCPP 2.1, use case M07)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ..errors import CertificateError, Fault
from ..pki.certificate import Certificate, parse_bundle
from ..pki.hashdata import CertificateHashData, hash_data
from ..pki.ocsp import Revocation
from ..pki.path import Path, find_path
from ..trust.inventory import TrustUse
from .context import Context

MAX_AGE = timedelta(days=7)
"""How long a status is kept at most (M07.FR.09)."""
MAX_ENTRIES = 1000
"""Statuses kept; the oldest goes first."""
MAX_URLS = 5
MAX_URL = 2000
"""Of one request, and the length of each."""


class StatusSource(StrEnum):
    """Where the CSMS is to ask."""

    OCSP = "OCSP"
    CRL = "CRL"


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """One entry of GetCertificateChainStatusRequest."""

    name: CertificateHashData
    source: StatusSource
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """One entry of GetCertificateChainStatusResponse."""

    name: CertificateHashData
    status: Revocation | None
    """None: the CSMS could not find it out (Failed)."""
    next_update: datetime


class VehicleStatus:
    """The local cache of certificate statuses. It is in memory: it lasts a week at most anyway."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._entries: dict[CertificateHashData, tuple[Revocation, datetime]] = {}

    def requests(self, pem: str, at: datetime) -> tuple[StatusRequest, ...]:
        """What to ask the CSMS about a vehicle's chain (leaf first): certificates whose status is not in the
        cache, or no longer (M07.FR.10, M07.FR.11).

        Raises CertificateError: the chain has no path to an OEM or V2G root.
        """
        requests = []
        for certificate, name in self._links(pem, at):
            if self._known(name, at) is None:
                source = StatusSource.OCSP if certificate.responder_urls else StatusSource.CRL
                urls = certificate.responder_urls or certificate.crl_urls
                urls = tuple(url for url in urls if len(url) <= MAX_URL)[:MAX_URLS]
                if urls:
                    requests.append(StatusRequest(name, source, urls))
        return tuple(requests)

    def take(self, entries: Iterable[StatusEntry], at: datetime) -> None:
        """Keep what the CSMS found out, for a week at most (M07.FR.09)."""
        for entry in entries:
            self._entries.pop(entry.name, None)
            if entry.status is not None and entry.next_update > at:
                self._entries[entry.name] = (entry.status, min(entry.next_update, at + MAX_AGE))
        while len(self._entries) > MAX_ENTRIES:
            del self._entries[next(iter(self._entries))]

    def check(self, pem: str, at: datetime, *, require: bool = True) -> Path:
        """The path of a vehicle's chain, not revoked; with ``require`` every status must be known and good.

        Raises CertificateError (REVOKED, STATUS_UNKNOWN, or what is wrong with the path).
        """
        statuses = {name: self._known(name, at) for _, name in self._links(pem, at)}
        if Revocation.REVOKED in statuses.values():
            raise CertificateError(Fault.REVOKED)
        if require and any(status is not Revocation.GOOD for status in statuses.values()):
            raise CertificateError(Fault.STATUS_UNKNOWN)
        return self._path(pem, at)

    def _known(self, name: CertificateHashData, at: datetime) -> Revocation | None:
        status, until = self._entries.get(name, (None, at))
        return status if until > at else None

    def _links(self, pem: str, at: datetime) -> list[tuple[Certificate, CertificateHashData]]:
        """The certificates to be checked, all but the root, with their names."""
        algorithm = self._context.config.hash_algorithm
        links = self._path(pem, at).links()
        return [(certificate, hash_data(certificate, issuer, algorithm)) for certificate, issuer in links]

    def _path(self, pem: str, at: datetime) -> Path:
        certificates, inventory = parse_bundle(pem), self._context.inventory
        anchors = [root for use in (TrustUse.OEM, TrustUse.V2G) for root in inventory.trusted(use)]
        return find_path(certificates[0], (*certificates[1:], *inventory.intermediates), anchors, at)
