"""Whether a peer's certificate is revoked, by asking: for both ends of TLS, on whatever loop or thread.

At a CSMS ``OnlineStatus.revoked`` is what a gate asks before a station is let in (A00.FR.702, A00.FR.705);
at a station it is asked in the background of an open link, and ``known`` at the end of the next handshake.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Final, Protocol

from .errors import CertificateError, Fault
from .inquiry import Fetch, Inquiry, Links, Standing, StatusPolicy, Verdict, WhenUnknown
from .pki.certificate import Certificate, parse_der
from .pki.crl import RevocationList
from .pki.path import MAX_PATH
from .statuses import StatusCache

MAX_PATHS: Final = 4096
"""Paths remembered, so that who comes again costs no signatures."""
_log = logging.getLogger(__name__)


class Chained(Protocol):
    """A certificate with its chain; ``ocpp_adapters.tls_peer.PeerCertificate`` is one."""

    @property
    def chain(self) -> tuple[bytes, ...]:
        """DER, its own first."""
        ...


def _utc() -> datetime:
    return datetime.now(UTC)


class OnlineStatus:
    """Asks about certificates, and remembers what was answered.

    Arguments:
        fetch: asks web servers; it decides where this can be awaited.
        policy: whom to ask, for how long, and what follows if nobody answers.
        issuers: certificates of authorities that peers and servers may leave out.
        lists: the operator's own revocation lists, as they are now; called from whichever thread asks.
        utc, clock: the wall clock and a monotonic one, in seconds.

    It can be used by several threads.
    """

    def __init__(
        self,
        fetch: Fetch,
        policy: StatusPolicy | None = None,
        *,
        issuers: Iterable[Certificate] = (),
        lists: Callable[[], Sequence[RevocationList]] = tuple,
        utc: Callable[[], datetime] = _utc,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._fetch = fetch
        self._policy = policy or StatusPolicy()
        self._own = tuple(issuers)
        self._lists = lists
        self._utc = utc
        self._clock = clock
        self._cache = StatusCache(self._policy.max_age)
        self._paths: dict[bytes, Links] = {}
        self._lock = threading.Lock()

    async def revoked(self, certificate: Chained) -> bool:
        """Whether a certificate, or one of its chain, does not count (any more).

        Raises CertificateError (STATUS_UNKNOWN): nobody could say, and the policy refuses it then.
        """
        verdict = await self.judge(certificate)
        if verdict.standing is Standing.UNKNOWN and self._policy.when_unknown is WhenUnknown.REFUSE:
            raise CertificateError(Fault.STATUS_UNKNOWN, verdict.words)
        if verdict.standing is not Standing.GOOD:
            _log.warning("%s", verdict.words)
        return verdict.bad

    async def judge(self, certificate: Chained) -> Verdict:
        """What is known of a certificate, after asking whoever has to be asked."""
        try:
            return (await self.inquire(certificate)).verdict
        except CertificateError as error:
            return Verdict(Standing.UNKNOWN, str(error))

    async def inquire(self, certificate: Chained) -> Inquiry:
        """The same with all that was found, which the inquiry has when it is over.

        Raises CertificateError: the certificate cannot be read, or nobody knows who has issued it.
        """
        until = self._clock() + self._policy.patience
        with self._lock:
            inquiry = self._inquiry(self._links(certificate.chain))
        while (ask := inquiry.ask) is not None:
            left = until - self._clock()
            try:
                if left <= 0:
                    raise TimeoutError(f"{ask.url}: there was no time left")
                body = await self._fetch(ask, min(left, self._policy.timeout))
            except OSError as error:
                with self._lock:
                    inquiry.failed(str(error), self._utc(), self._clock())
            else:
                with self._lock:
                    inquiry.answered(body, self._utc(), self._clock())
        return inquiry

    def known(self, certificate: Chained) -> Verdict:
        """What is known of a certificate without asking anybody: for what must not wait, as a handshake."""
        try:
            with self._lock:
                return self._inquiry(self._links(certificate.chain)).verdict
        except CertificateError as error:
            return Verdict(Standing.UNKNOWN, str(error))

    def _inquiry(self, links: Links) -> Inquiry:
        return Inquiry(links, self._cache, self._policy, self._utc(), self._clock(), self._lists())

    def _links(self, chain: Sequence[bytes]) -> Links:
        """Each certificate with the issuer that has signed it, as far as issuers are known.

        Raises CertificateError: the first cannot be read, or nobody knows who has issued it.
        """
        name = hashlib.sha256(chain[0]).digest()
        known = self._paths.get(name)
        if known is None or len(chain) > len(known) + 1:  # else it shows no more than it did before
            known = self._paths[name] = self._signed(chain)
            if len(self._paths) > MAX_PATHS:
                del self._paths[next(iter(self._paths))]
        return known

    def _signed(self, chain: Sequence[bytes]) -> Links:
        leaf = parse_der(chain[0])
        candidates = [*self._own]
        for der in chain[1:MAX_PATH]:
            with suppress(CertificateError):  # TLS took it; if it is needed it will be missed
                candidates.append(parse_der(der))
        links: list[tuple[Certificate, Certificate]] = []
        last = leaf
        while not last.self_issued and len(links) < MAX_PATH:
            issuer = next((it for it in candidates if last.issued_by(it)), None)
            if issuer is None:
                break
            links.append((last, issuer))
            last = issuer
        if not links and not leaf.self_issued:
            raise CertificateError(Fault.NO_PATH, leaf.subject)
        return links
