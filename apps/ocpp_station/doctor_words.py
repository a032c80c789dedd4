"""Certificates in words: whose, from whom, how long, how strong, and whether they hang together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ocpp_security.errors import CertificateError, printable
from ocpp_security.pki.certificate import Certificate
from ocpp_security.pki.path import check_strength
from ocpp_security.pki.properties import check_usage

_SOON = timedelta(days=30)


class Verdict(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "PROBLEM"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    verdict: Verdict
    text: str

    def __str__(self) -> str:
        return f"{self.verdict:<8}{printable(self.text)}"


def ok(text: str) -> Finding:
    """All is well."""
    return Finding(Verdict.OK, text)


def note(text: str) -> Finding:
    """Something to know."""
    return Finding(Verdict.NOTE, text)


def problem(text: str) -> Finding:
    """Something to mend."""
    return Finding(Verdict.PROBLEM, text)


def describe_chain(chain: Sequence[Certificate], now: datetime) -> Iterator[Finding]:
    """Every certificate that the server sent, and how each leads to the next; ``now`` in UTC."""
    for number, certificate in enumerate(chain):
        yield note(f"certificate {number}: {certificate.subject}")
        yield note(f"  issued by {certificate.parsed.issuer.rfc4514_string()}; {_key(certificate)}")
        yield _period(certificate, now)
        yield from _fitness(certificate, leaf=number == 0)
    for below, above in pairwise(chain):
        if not below.issued_by(above):
            yield problem(
                f"{above.subject} did not issue {below.subject}: the order is wrong, or one is missing"
            )
    last = chain[-1]
    if not last.self_issued:
        yield note(f"the station needs {last.parsed.issuer.rfc4514_string()} as its trust anchor")
    elif len(chain) > 1:
        yield note("the root is sent along, which no station needs")


def describe_names(leaf: Certificate, host: str, *, exact: bool) -> Iterator[Finding]:
    """Whether the certificate names the host as it should (A00.FR.309, A00.FR.412, A00.FR.510)."""
    names = _alternative_names(leaf)
    told = f"common name {leaf.common_name or 'none'}; alternative names {', '.join(names) or 'none'}"
    wanted = host.lower()
    counting = [name.lower() for name in names] or [(leaf.common_name or "").lower()]
    if wanted in counting:
        yield ok(f"the certificate names {host} ({told})")
    elif f"*.{wanted.partition('.')[2]}" in counting:
        text = f"the certificate names {host} by a wildcard only ({told})"
        yield (
            problem(f"{text}: OCPP wants the full name (AllowCSMSTLSWildcards allows it)")
            if exact
            else note(text)
        )
    else:
        yield problem(f"the certificate does not name {host} ({told})")
    if names and wanted in counting and (leaf.common_name or "").lower() != wanted:
        yield note("the host is an alternative name only: a station that looks at the common name refuses it")
    if leaf.organization is None:
        yield note("the subject has no organization name (A00.FR.509)")


def _key(certificate: Certificate) -> str:
    key = certificate.public_key
    if isinstance(key, rsa.RSAPublicKey):
        kind = f"RSA {key.key_size}"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        kind = f"EC {key.curve.name}"
    else:
        kind = type(key).__name__.removesuffix("PublicKey")
    return f"{kind} key, serial number {certificate.serial:x}"


def _period(certificate: Certificate, now: datetime) -> Finding:
    since, until = (f"{at:%Y-%m-%d %H:%M} UTC" for at in (certificate.not_before, certificate.not_after))
    if now < certificate.not_before:
        return problem(f"  not valid before {since}: is this clock right?")
    if now > certificate.not_after:
        return problem(f"  expired on {until}: is this clock right?")
    left = certificate.not_after - now
    text = f"  valid from {since} to {until}, {left.days} days left"
    return ok(text) if left > _SOON else note(text)


def _fitness(certificate: Certificate, *, leaf: bool) -> Iterator[Finding]:
    try:
        if not certificate.self_issued:
            check_strength(certificate)
        if leaf:
            check_usage(certificate)
    except CertificateError as error:
        yield problem(f"  {error.fault}")
    if leaf and certificate.is_ca:
        yield problem("  it is a CA's certificate, not a server's")
    if not leaf and not certificate.may_sign_certificates():
        yield problem("  it may not issue certificates")
    if leaf and certificate.extended_key_usage is not None:
        yield note("  it has an extended key usage, which OCPP advises against (A00.FR.514)")


def _alternative_names(leaf: Certificate) -> list[str]:
    try:
        names = leaf.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]
