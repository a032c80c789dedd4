"""What is known of certificates' revocation, as a check at the end of every handshake."""

from typing import Protocol

from .tls_failures import CertificateRefusedError, TlsFault
from .tls_peer import PeerCertificate
from .tls_policy import Check


class Verdict(Protocol):
    """What is known of a certificate."""

    @property
    def bad(self) -> bool:
        """Whether it does not count (any more)."""
        ...

    @property
    def words(self) -> str:
        """Who says so."""
        ...


class Statuses(Protocol):
    """Knows what was answered; ``ocpp_security.online.OnlineStatus`` does."""

    def known(self, certificate: PeerCertificate) -> Verdict:
        """What is at hand; it never waits."""
        ...


def refuse_revoked(statuses: Statuses) -> Check:
    """A policy's ``check`` that refuses a certificate which is known to be revoked.

    So a station that was told of its CSMS while a link was open does not open another.
    """

    def check(certificate: PeerCertificate) -> None:
        verdict = statuses.known(certificate)
        if verdict.bad:
            raise CertificateRefusedError(TlsFault.REVOKED, verdict.words)

    return check
