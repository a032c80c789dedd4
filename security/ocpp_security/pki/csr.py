"""Signing requests as a CSMS receives them (RFC 2986): checked before they go to a certificate authority."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from ..errors import CertificateError, Fault
from .certificate import PublicKey, attribute
from .path import strong_key
from .properties import StationSubject, is_address

MAX_CSR = 5500
"""Characters of SignCertificateRequest.csr."""


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A signing request whose sender has the private key."""

    subject: StationSubject
    public_key: PublicKey
    parsed: x509.CertificateSigningRequest


def parse_csr(pem: str) -> CertificateRequest:
    """Read and check a signing request; a CSMS answers Rejected if it raises (A02.FR.12).

    Raises CertificateError: MALFORMED, TOO_LARGE, WEAK_KEY (A00.FR.501), BAD_SIGNATURE, NO_ORGANIZATION
    (A00.FR.509), NO_COMMON_NAME, ADDRESS_AS_NAME (A00.FR.511), NOT_A_LEAF: an authority that copies what a
    request asks for would make a CA.
    """
    if len(pem) > MAX_CSR:
        raise CertificateError(Fault.TOO_LARGE, f"{len(pem)} characters")
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key, signed = request.public_key(), request.is_signature_valid
        organization = attribute(request.subject, NameOID.ORGANIZATION_NAME)
        common_name = attribute(request.subject, NameOID.COMMON_NAME)
        country = attribute(request.subject, NameOID.COUNTRY_NAME)
        domain = attribute(request.subject, NameOID.DOMAIN_COMPONENT)
        would_be_ca = any(
            isinstance(e.value, x509.BasicConstraints) and e.value.ca for e in request.extensions
        )
    except Exception as error:  # the library has many kinds for what is wrong with a request
        raise CertificateError(Fault.MALFORMED, type(error).__name__) from error
    if not isinstance(key, PublicKey) or not strong_key(key):
        raise CertificateError(Fault.WEAK_KEY, type(key).__name__)
    if not signed:
        raise CertificateError(Fault.BAD_SIGNATURE, "signing request")
    if organization is None:
        raise CertificateError(Fault.NO_ORGANIZATION)
    if common_name is None:
        raise CertificateError(Fault.NO_COMMON_NAME)
    if is_address(common_name):
        raise CertificateError(Fault.ADDRESS_AS_NAME, common_name)
    if would_be_ca:
        raise CertificateError(Fault.NOT_A_LEAF, common_name)
    return CertificateRequest(StationSubject(common_name, organization, country, domain), key, request)
