"""Whether a path is revoked, from the lists and responses at hand, without asking anybody."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from ..errors import CertificateError, Fault
from .certificate import Certificate
from .crl import RevocationList, revocation
from .ocsp import Revocation, verify_response
from .path import Path


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is at hand: lists, and a way to find the OCSP response (DER) about a certificate."""

    crls: Sequence[RevocationList] = ()
    response: Callable[[Certificate], bytes | None] = lambda _: None


def check_revocation(path: Path, evidence: Evidence, at: datetime, *, require: bool = False) -> None:
    """Raise CertificateError (REVOKED) if any certificate of a path but its anchor is known to be revoked.

    With ``require``, a status that is not known is a failure too (STATUS_UNKNOWN), for each certificate that
    names a responder or a list to ask.
    """
    for certificate, issuer in path.links():
        status = _status(certificate, issuer, evidence, at)
        if status is Revocation.REVOKED:
            raise CertificateError(Fault.REVOKED, certificate.subject)
        checkable = certificate.responder_urls or certificate.crl_urls
        if require and checkable and status is Revocation.UNKNOWN:
            raise CertificateError(Fault.STATUS_UNKNOWN, certificate.subject)


def crl_status(path: Path, crls: Sequence[RevocationList], at: datetime) -> Revocation:
    """The worst that lists say of a path."""
    statuses = {_status(c, issuer, Evidence(crls), at) for c, issuer in path.links()}
    bad = (Revocation.REVOKED, Revocation.UNKNOWN)
    return next((status for status in bad if status in statuses), Revocation.GOOD)


def _status(certificate: Certificate, issuer: Certificate, evidence: Evidence, at: datetime) -> Revocation:
    """REVOKED if anybody credible says so, else GOOD if anybody does, else UNKNOWN."""
    said: set[Revocation] = set()
    for crl in evidence.crls:
        with suppress(CertificateError):  # another issuer's list, or not to be believed
            said.add(revocation(crl, certificate, issuer, at))
    response = evidence.response(certificate)
    if response is not None:
        with suppress(CertificateError):
            said.add(verify_response(response, certificate, issuer, at).revocation)
    if Revocation.REVOKED in said:
        return Revocation.REVOKED
    return Revocation.GOOD if Revocation.GOOD in said else Revocation.UNKNOWN
