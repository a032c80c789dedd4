"""Asking whether a path is revoked: whom, in which order, and what follows from the answers; without any I/O.

The responders that a certificate names come first (RFC 6960), each in turn until one gives an answer that can
be believed; then its revocation lists (RFC 5280 §4.2.1.13). Whoever has a way to web servers asks::

    inquiry = Inquiry(links, cache, policy, at, now)
    while (ask := inquiry.ask) is not None:
        ...                                     # fetch ask.url
        inquiry.answered(body, at, now)         # or inquiry.failed("why not")
    inquiry.verdict
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from .errors import CertificateError, printable
from .pki.certificate import Certificate
from .pki.crl import MAX_CRL_SIZE, RevocationList, parse_crl
from .pki.ocsp import MAX_RESPONSE_SIZE, OcspStatus, Revocation, request_about, verify_response
from .statuses import StatusCache

MAX_SOURCES: Final = 4
"""Responders, and lists, of one certificate that are asked."""
MAX_WORDS: Final = 500
"""Characters of what is said of one certificate."""
_OCSP_REQUEST: Final = "application/ocsp-request"
_OCSP_RESPONSE: Final = ("application/ocsp-response",)
_LIST: Final = ("application/pkix-crl", "application/x-pkcs7-crl", "application/octet-stream")
"""RFC 2585 has the first; the others are what the field sends."""

Links = Sequence[tuple[Certificate, Certificate]]
"""Certificates with their issuers, the leaf's pair first."""


class WhenUnknown(StrEnum):
    """What follows if nobody who is asked answers, or with nothing that can be believed."""

    REFUSE = "refuse"
    """The certificate does not count: "hard-fail"."""
    ACCEPT = "accept"
    """It does: "soft-fail". Whoever can keep answers from us keeps a revocation from us."""


class Standing(StrEnum):
    """What an inquiry comes to."""

    GOOD = "good"
    """Or there was nothing to ask: it names neither responder nor list."""
    REVOKED = "revoked"
    DISOWNED = "unknown to its authority"
    """A responder says under its signature that it knows no such certificate, and nobody says otherwise."""
    UNKNOWN = "status unknown"
    """Nobody could say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPolicy:
    """How certificates are asked about.

    Arguments:
        when_unknown: if nobody answers.
        ocsp: ask responders.
        lists: fetch revocation lists if no responder has answered.
        timeout: seconds for each question.
        patience: seconds for all questions about one path.
        max_age: seconds for which "good" is believed without asking again. If nobody answers then, it counts
            for as long as its answer is valid.
    """

    when_unknown: WhenUnknown = WhenUnknown.REFUSE
    ocsp: bool = True
    lists: bool = True
    timeout: float = 4.0
    patience: float = 12.0
    max_age: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a web server."""

    url: str
    body: bytes | None
    """What to POST; None: GET."""
    content_type: str
    accept: tuple[str, ...]
    limit: int
    """Octets of an answer at most."""


class Fetch(Protocol):
    """Asks web servers: the adapters' ``AnyioFetch``, ``BlockingFetch`` and ``PollFetch`` do."""

    def __call__(self, request: Ask, timeout: float) -> Awaitable[bytes]:
        """The body of the answer, within so many seconds. Raises OSError."""
        ...


def permitted(fetch: Fetch, allowed: Callable[[str], bool] | None) -> Fetch:
    """The same for URLs that are allowed to be asked; others are a PermissionError. None: all are."""
    if allowed is None:
        return fetch

    async def fetch_if_allowed(request: Ask, timeout: float) -> bytes:
        if not allowed(request.url):
            raise PermissionError(f"{request.url!r} may not be asked")
        return await fetch(request, timeout)

    return fetch_if_allowed


def ask_responder(url: str, body: bytes) -> Ask:
    """The question for an OCSP responder; ``body`` is the request in DER (RFC 6960, appendix A.1)."""
    return Ask(url, body, _OCSP_REQUEST, _OCSP_RESPONSE, MAX_RESPONSE_SIZE)


def ask_for_list(url: str) -> Ask:
    """The question for a revocation list."""
    return Ask(url, None, "", _LIST, MAX_CRL_SIZE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a path; ``words`` say of which certificate, and who said so, or why nobody did."""

    standing: Standing
    words: str

    @property
    def bad(self) -> bool:
        """Whether somebody who must know says that it does not count."""
        return self.standing in {Standing.REVOKED, Standing.DISOWNED}


class Inquiry:
    """One path: each certificate but the anchor, unless it is known already.

    Arguments:
        links: the path.
        cache: what is known, and where answers are kept.
        policy: whom to ask.
        at: UTC.
        now: monotonic seconds.
        lists: further lists, the operator's own: responders are asked nevertheless, as they know what is
            newer. If there are any, a certificate that none of them covers and that names nobody to ask is
            unknown, else there is nothing to ask.
    """

    def __init__(
        self,
        links: Links,
        cache: StatusCache,
        policy: StatusPolicy,
        at: datetime,
        now: float,
        lists: Sequence[RevocationList] = (),
    ) -> None:
        self._links = deque(links)
        self._cache = cache
        self._policy = policy
        self._lists = lists
        self._sources: deque[Ask] = deque()
        self._troubles: list[str] = []
        self._disowned = ""
        self._at_hand = Revocation.UNKNOWN
        """What the operator's lists say of the certificate whose turn it is."""
        self.findings: list[Verdict] = []
        """What is known of each certificate, the leaf first."""
        self.ask: Ask | None = None
        """What to ask next; None: it is over."""
        self._look(at, now)

    @property
    def verdict(self) -> Verdict:
        """What is known so far: the worst of it."""
        for standing in (Standing.REVOKED, Standing.DISOWNED, Standing.UNKNOWN):
            for finding in self.findings:
                if finding.standing is standing:
                    return finding
        if self._links:
            return Verdict(Standing.UNKNOWN, "whom it concerns was not asked yet")
        return Verdict(Standing.GOOD, "; ".join(finding.words for finding in self.findings))

    def answered(self, body: bytes, at: datetime, now: float) -> None:
        """What came as the answer to ``ask``. Harmless if it is over."""
        if self.ask is None:
            return
        certificate, issuer = self._links[0]
        try:
            if self.ask.body is None:
                self._cache.keep_list(parse_crl(body), issuer, at, now)
                said = self._cache.known(certificate, issuer, at, now)
                words = f"says the list {self.ask.url}"
            else:
                status = verify_response(body, certificate, issuer, at)
                said = self._cache.keep(certificate, status, now)
                words = f"says {self.ask.url} ({_dated(status)})"
                self._disowned = words if said is Revocation.UNKNOWN else ""
        except CertificateError as error:
            self.failed(f"{self.ask.url}: {error}", at, now)
            return
        if said is Revocation.UNKNOWN:
            self._turn(at, now)
        else:
            self._found(_STANDINGS[said], words, at, now)

    def failed(self, why: str, at: datetime, now: float) -> None:
        """There is no answer to ``ask``. Harmless if it is over."""
        if self.ask is not None:
            self._troubles.append(why)
            self._turn(at, now)

    def _look(self, at: datetime, now: float) -> None:
        """At the next certificate that is left, and whom to ask about it."""
        self.ask = None
        self._troubles = []
        self._disowned = ""
        if not self._links:
            return
        certificate, issuer = self._links[0]
        said = self._cache.known(certificate, issuer, at, now)
        self._at_hand = self._cache.listed(self._lists, certificate, issuer, at)
        if Revocation.REVOKED in {said, self._at_hand}:
            self._found(Standing.REVOKED, "as is known", at, now)
        elif said is Revocation.GOOD:
            self._found(Standing.GOOD, "as is known", at, now)
        else:
            self._sources = deque(_sources(certificate, issuer, self._policy, self._at_hand))
            self._turn(at, now)

    def _turn(self, at: datetime, now: float) -> None:
        """To the next whom to ask about this certificate, if there is one."""
        if self._sources:
            self.ask = self._sources.popleft()
            return
        certificate, issuer = self._links[0]
        before = self._cache.known(certificate, issuer, at, now, fresh=False)
        if self._at_hand is Revocation.GOOD:
            self._found(Standing.GOOD, "says a list at hand", at, now)
        elif self._disowned:
            self._found(Standing.DISOWNED, self._disowned, at, now)
        elif before is Revocation.GOOD:
            self._found(Standing.GOOD, "as was said before, and is not out of date", at, now)
        elif self._troubles:
            self._found(Standing.UNKNOWN, "; ".join(self._troubles), at, now)
        elif self._lists or certificate.responder_urls or certificate.crl_urls:
            self._found(Standing.UNKNOWN, "no list at hand says anything, and nobody is asked", at, now)
        else:
            self._found(Standing.GOOD, "it names nobody to ask", at, now)

    def _found(self, standing: Standing, words: str, at: datetime, now: float) -> None:
        certificate, _ = self._links.popleft()
        told = printable(f"{certificate.subject}: {standing}, {words}")
        self.findings.append(Verdict(standing, told[:MAX_WORDS]))
        if standing is Standing.REVOKED:
            self._links.clear()
        self._look(at, now)


_STANDINGS: Final = {Revocation.GOOD: Standing.GOOD, Revocation.REVOKED: Standing.REVOKED}


def _dated(status: OcspStatus) -> str:
    told = f"as of {status.this_update:%Y-%m-%d %H:%M} UTC"
    return told if status.revoked_at is None else f"since {status.revoked_at:%Y-%m-%d %H:%M} UTC, {told}"


def _sources(
    certificate: Certificate, issuer: Certificate, policy: StatusPolicy, at_hand: Revocation
) -> Iterator[Ask]:
    """Responders know what is newer than any list; a list says no more than one that is at hand."""
    if policy.ocsp:
        for url in certificate.responder_urls[:MAX_SOURCES]:
            yield ask_responder(url, request_about(certificate, issuer))
    if policy.lists and at_hand is Revocation.UNKNOWN:
        for url in [url for url in certificate.crl_urls if url.startswith("http:")][:MAX_SOURCES]:
            yield ask_for_list(url)  # LDAP is not spoken
