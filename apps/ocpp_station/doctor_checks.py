"""What the doctor looks at, and in which order."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ocpp_adapters.binding import Binding
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.routes import Route
from ocpp_adapters.threads_monitor import finish
from ocpp_adapters.threads_web import BlockingFetch
from ocpp_adapters.tls_failures import TlsFault, diagnose
from ocpp_adapters.tls_peer import PeerCertificate
from ocpp_adapters.tls_policy import Names, SecurityProfile
from ocpp_adapters.web import Web
from ocpp_core import ConfigurationError, OcppError
from ocpp_core.wire import ClientConfig, Endpoint
from ocpp_security.errors import CertificateError
from ocpp_security.inquiry import Standing, StatusPolicy
from ocpp_security.online import OnlineStatus
from ocpp_security.pki.certificate import Certificate, parse_der

from .contexts import Contexts, has_certificate
from .doctor_probe import Outcome, curious, shake_hands
from .doctor_words import Finding, describe_chain, describe_names, note, ok, problem
from .security import Security

_SUITES: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}
"""What a CSMS must have (A00.FR.318, A00.FR.421)."""
_LINGER: Final = 0.3
"""Seconds to wait for what a CSMS says after the handshake: with TLS 1.3 it refuses a station only then."""
_UNFIT: Final = "NULL:aNULL:RC4:3DES:DES:MD5:EXPORT:PSK:!AESGCM:!AESCCM:!CHACHA20:!AES:!CAMELLIA:!ARIA"
_VERSIONS: Final = {
    "TLS 1.0": (ssl.TLSVersion.TLSv1, False),
    "TLS 1.1": (ssl.TLSVersion.TLSv1_1, False),
    "TLS 1.2": (ssl.TLSVersion.TLSv1_2, True),
    "TLS 1.3": (ssl.TLSVersion.TLSv1_3, True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to look at, and as whom.

    ``security`` is whom the station trusts and what it shows; ``binding`` and ``proxy`` are those of its
    network profile; ``timeout`` in seconds for each connection; ``ocsp``: ask whether it is revoked.
    """

    url: str
    security: Security = field(default_factory=Security)
    binding: Binding = field(default_factory=Binding)
    proxy: Proxy | None = None
    timeout: float = 10.0
    ocsp: bool = False


def examine(question: Question) -> Iterator[Finding]:
    """Everything worth saying, in the order in which it is found out.

    Raises ConfigurationError: the URL is none.
    """
    route = Route(config=ClientConfig(url=question.url), binding=question.binding, proxy=question.proxy)
    endpoint = route.config.endpoint
    if not endpoint.secure:
        yield problem("ws:// has no TLS: security profile 0 or 1, for trusted networks only (A00.FR.201)")
        return
    try:
        seen = shake_hands(route, curious(), question.timeout)
    except OSError as error:
        yield problem(f"cannot connect to {endpoint.host} port {endpoint.port}: {error.strerror or error}")
        return
    if not seen.agreed:
        yield problem(f"no TLS at all: {seen.failed}")
        return
    if seen.established is not None:
        yield ok(f"{endpoint.host} speaks {seen.established.version} with {seen.established.cipher}")
    yield from _certificates(endpoint, seen, question)
    yield from _as_station(route, question)
    yield from _versions(route, question.timeout)
    yield from _suites(route, question.timeout)


def _certificates(endpoint: Endpoint, seen: Outcome, question: Question) -> Iterator[Finding]:
    try:
        chain: list[Certificate] = [parse_der(der) for der in seen.chain]
    except CertificateError as error:
        yield problem(f"a certificate cannot be read: {error}")
        return
    if chain:
        yield from describe_chain(chain, datetime.now(UTC))
        name = question.security.server_name or endpoint.server_name
        yield from describe_names(chain[0], name, exact=question.security.names is Names.EXACT)


def _as_station(route: Route, question: Question) -> Iterator[Finding]:
    """The very handshake that a station with these settings would make."""
    try:
        profile = _profile(question.security)
        context = Contexts(question.security, own=profile is SecurityProfile.TLS_CERTIFICATE)()
    except OcppError as error:
        yield problem(str(error))
        return
    except OSError as error:
        yield problem(f"cannot use {error.filename}: {error.strerror}")
        return
    outcome = _try(route, context, question.timeout, linger=_LINGER)
    if outcome.failed is None:
        yield ok(f"a station with security profile {profile.value} trusts it, and is let in by TLS")
        if question.ocsp and outcome.certificate is not None:
            yield from _revocation(outcome.certificate, question)
        return
    yield problem(f"a station with security profile {profile.value} does not connect: {outcome.failed}")
    if outcome.failed.event is not None:
        yield note(f"it reports the security event {outcome.failed.event}")
    if outcome.failed.fault is TlsFault.REFUSED_OURS and profile is SecurityProfile.TLS_BASIC:
        yield note(
            "the CSMS seems to want a client certificate (profile 3): give --cert and --key, or --security"
        )


def _revocation(certificate: PeerCertificate, question: Question) -> Iterator[Finding]:
    """What the authorities say of a chain that is trusted."""
    fetch = BlockingFetch(Web(binding=question.binding, proxy=question.proxy))
    policy = StatusPolicy(timeout=question.timeout, patience=3 * question.timeout)
    try:
        inquiry = finish(OnlineStatus(fetch, policy).inquire(certificate))
    except CertificateError as error:
        yield problem(f"revocation cannot be asked about: {error}")
        return
    for verdict in inquiry.findings:
        told = problem if verdict.bad else note if verdict.standing is Standing.UNKNOWN else ok
        yield told(f"revocation of {verdict.words}")


def _profile(security: Security) -> SecurityProfile:
    """Which of the two with TLS. Raises ConfigurationError: a certificate is wanted, and there is none."""
    wanted = security.security_profile
    if wanted is None:
        return SecurityProfile.TLS_CERTIFICATE if has_certificate(security) else SecurityProfile.TLS_BASIC
    if wanted is SecurityProfile.TLS_CERTIFICATE and security.chain is None and security.directory is None:
        raise ConfigurationError(f"security_profile {wanted} needs chain and key, or a directory")
    return wanted if wanted.secure else SecurityProfile.TLS_BASIC


def _versions(route: Route, timeout: float) -> Iterator[Finding]:
    for name, (version, wanted) in _VERSIONS.items():
        outcome = _try(route, curious(version, version), timeout)
        if outcome.agreed is wanted:
            yield ok(f"{name} is {'offered' if wanted else 'refused'}")
        elif wanted:
            yield note(f"{name} is not offered")
        else:
            yield problem(f"{name} is offered: OCPP 2.x has TLS 1.2 and later only (A00.FR.313)")


def _suites(route: Route, timeout: float) -> Iterator[Finding]:
    tls12 = ssl.TLSVersion.TLSv1_2
    for name, cipher in _SUITES.items():
        outcome = _try(route, curious(tls12, tls12, cipher), timeout)
        if outcome.agreed:
            yield ok(f"{name} is offered")
        else:
            yield note(f"{name} is not offered, which a CSMS must do (A00.FR.318)")
    try:
        unfit = curious(tls12, tls12, _UNFIT)
    except ssl.SSLError:
        return  # this OpenSSL has none that it could offer
    outcome = _try(route, unfit, timeout)
    if outcome.established is not None:
        yield problem(f"{outcome.established.cipher} is offered, which OCPP forbids (A00.FR.320)")


def _try(route: Route, context: ssl.SSLContext, timeout: float, *, linger: float = 0.0) -> Outcome:
    """A handshake; a connection that fails now, after others did not, counts as one that failed in TLS."""
    try:
        return shake_hands(route, context, timeout, linger=linger)
    except OSError as error:
        return Outcome(diagnose(error), None)
