"""Certificate properties: what the standard wants besides a valid path (A00.FR.501 to A00.FR.514)."""

import ipaddress
import re
from dataclasses import dataclass

from ..errors import CertificateError, Fault
from .certificate import Certificate

_HOST_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)+[a-z][a-z0-9-]*[a-z0-9]", re.I)


@dataclass(frozen=True, slots=True)
class StationSubject:
    """Who a charging station's certificate is about: its serial number (CN) and the operator (O).

    ``serial_number`` and ``organization`` are as in SecurityCtrlr.OrganizationName (1.6: CpoName) and
    BootNotification; ``country`` (two letters) and ``domain_component`` are for ISO 15118's SECC leaf.
    """

    serial_number: str
    organization: str
    country: str | None = None
    domain_component: str | None = None


def is_address(name: str) -> bool:
    """Whether a name has the form of a URL, an IP address or a dotted host name."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return "://" in name or _HOST_NAME.fullmatch(name) is not None
    return True


def check_station_certificate(certificate: Certificate, subject: StationSubject | None) -> None:
    """Raise CertificateError unless a certificate is fit for a charging station.

    O must be there (A00.FR.509), CN too and be no address (A00.FR.511); with ``subject`` both must be the
    ones asked for. A key usage, if there is one, must allow digital signatures (A00.FR.512): that is what a
    TLS client does with its key.
    """
    if certificate.is_ca:
        raise CertificateError(Fault.NOT_A_LEAF, certificate.subject)
    if certificate.organization is None:
        raise CertificateError(Fault.NO_ORGANIZATION, certificate.subject)
    if certificate.common_name is None:
        raise CertificateError(Fault.NO_COMMON_NAME, certificate.subject)
    if is_address(certificate.common_name):
        raise CertificateError(Fault.ADDRESS_AS_NAME, certificate.common_name)
    check_usage(certificate)
    if subject is None:
        return
    if certificate.organization != subject.organization:
        raise CertificateError(Fault.WRONG_ORGANIZATION, certificate.organization)
    if certificate.common_name != subject.serial_number:
        raise CertificateError(Fault.WRONG_COMMON_NAME, certificate.common_name)


def check_usage(certificate: Certificate) -> None:
    """Raise CertificateError (WRONG_USAGE) if the key usage extension forbids digital signatures."""
    usage = certificate.key_usage
    if usage is not None and not usage.digital_signature:
        raise CertificateError(Fault.WRONG_USAGE, certificate.subject)
