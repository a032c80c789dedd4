"""The certificate that a TLS peer has proved to own: serial number, owner, names, as in the standard."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import _ssl


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """A certificate that was verified against the trust anchors."""

    common_name: str | None
    """A station's serial number (A00.FR.511), a CSMS's host name (A00.FR.510); None unless there is one."""
    organizations: tuple[str, ...]
    """Its owner (A00.FR.509)."""
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    not_before: float
    """Seconds since the epoch."""
    not_after: float
    chain: tuple[bytes, ...]
    """DER, its own first, up to the trust anchor. A resumed handshake shows only its own: then the issuers
    are those of the names that should follow which a policy's context has seen in full handshakes."""

    def names_exactly(self, host: str) -> bool:
        """Whether any of its names is ``host`` itself (A00.FR.309). A verified certificate that names it by a
        wildcard only has none such."""
        wanted = _canonical(host)
        names = (self.common_name or "", *self.dns_names, *self.ip_addresses)
        return any(wanted == _canonical(name) for name in names)


Revoked: TypeAlias = Callable[[PeerCertificate], Awaitable[bool]]
"""Asks the certificate authority whether a certificate is revoked, by OCSP say; ``OnlineStatus.revoked`` of
``ocpp_security.online`` does."""


@dataclass(frozen=True, slots=True)
class TlsElsewhere:
    """TLS that somebody in front of us ends, as an ASGI server does, and what is told of it."""

    certificate: PeerCertificate | None
    """That was verified; None: none, or it is not told."""


def peer_certificate(tls: ssl.SSLObject | TlsElsewhere | None) -> PeerCertificate | None:
    """The certificate at the other end; None if there is none, or none that was verified.

    Nor is there one when TLS has failed since: whoever sent it may be gone, and somebody else have broken in.
    """
    if tls is None or isinstance(tls, TlsElsewhere):
        return None if tls is None else tls.certificate
    try:
        info, der = tls.getpeercert(), tls.getpeercert(binary_form=True)
    except ValueError:  # to OpenSSL the handshake is not over any more
        return None
    if not info or der is None:
        return None
    issuers = _remembered(tls, info) if tls.session_reused else verified_chain(tls)[1:]
    return _read(info, (der, *map(_der, issuers)))


def _remembered(tls: ssl.SSLObject, info: Any) -> "list[_ssl.Certificate]":
    known: Mapping[_ssl.Certificate, Any] = getattr(tls.context, "issuers", {})
    chain: list[_ssl.Certificate] = []
    wanted = info["issuer"]
    while found := [issuer for issuer, name in known.items() if name == wanted and issuer not in chain]:
        chain += found
        wanted = found[-1].get_info()["issuer"]
    return chain


def validity(info: Any) -> tuple[float, float]:
    """From when to when a certificate is valid, in seconds since the epoch."""
    return ssl.cert_time_to_seconds(info["notBefore"]), ssl.cert_time_to_seconds(info["notAfter"])


def verified_chain(tls: ssl.SSLObject) -> "list[_ssl.Certificate]":
    """The path that OpenSSL has found, the peer's certificate first; empty after a resumed handshake.

    Until CPython 3.13 there is no public way to it.
    """
    return getattr(tls, "_sslobj").get_verified_chain() or []  # noqa: B009 - not in the type's stub


def sent_chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates as the peer has sent them, in DER, verified or not."""
    return tuple(map(_der, getattr(tls, "_sslobj").get_unverified_chain() or ()))  # noqa: B009 - likewise


def _canonical(name: str) -> str:
    """The one spelling of a host name or an address."""
    try:
        return str(ip_address(name.strip()))
    except ValueError:
        return name.rstrip(".").lower()


def _der(certificate: "_ssl.Certificate") -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.public_bytes())


def _read(info: Any, chain: tuple[bytes, ...]) -> PeerCertificate:
    subject = [attribute for rdn in info.get("subject", ()) for attribute in rdn]
    names = [value for key, value in subject if key == "commonName"]
    alternatives = info.get("subjectAltName", ())
    not_before, not_after = validity(info)
    return PeerCertificate(
        common_name=names[0] if len(names) == 1 else None,
        organizations=tuple(value for key, value in subject if key == "organizationName"),
        dns_names=tuple(value for kind, value in alternatives if kind == "DNS"),
        ip_addresses=tuple(_canonical(value) for kind, value in alternatives if kind == "IP Address"),
        not_before=not_before,
        not_after=not_after,
        chain=chain,
    )
