"""Fuzz OCSP responses: ``python fuzz/fuzz_ocsp.py fuzz/corpus/ocsp``.

Nobody has the private keys any more: what is believed must have been signed when the corpus was made.
"""

from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ocpp_security"]):
    from cryptography.x509 import ocsp

    from ocpp_security.errors import CertificateError
    from ocpp_security.pki.certificate import parse_der
    from ocpp_security.pki.ocsp import verify_response

from _harness import run

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
LEAF = b64decode(
    "MIIBqDCCAU+gAwIBAgICA+owCgYIKoZIzj0EAwIwITERMA8GA1UECgwIT3BlcmF0b3IxDDAKBgNVBAMMA1N1YjAeFw0yNjA1"
    "MjIxMjAwMDBaFw0yNzA2MDExMjAwMDBaMCUxETAPBgNVBAoMCE9wZXJhdG9yMRAwDgYDVQQDDAdTTi0wMDAxMFkwEwYHKoZI"
    "zj0CAQYIKoZIzj0DAQcDQgAEbsTGgcfBZTBDPEbdOtpwLAdClfBti9vdGuz47EaF2WAWXajD4uWHcqe+SV5Cy+skiU6wzXfU"
    "Is0b49xmjubLg6NzMHEwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwLQYIKwYBBQUHAQEEITAfMB0GCCsGAQUFBzAB"
    "hhFodHRwOi8vby5leGFtcGxlLzAiBgNVHR8EGzAZMBegFaAThhFodHRwOi8vYy5leGFtcGxlLzAKBggqhkjOPQQDAgNHADBE"
    "AiBhQyIfNV9AMtvzp2vdUISU6diMPdA3Fs0stXinfWS1UwIgHx7Kw+c+/b0C1IkyVGjLdTnxUW6AAMPCva2/QMmKyOw="
)
ISSUER = b64decode(
    "MIIBiDCCAS6gAwIBAgICA+kwCgYIKoZIzj0EAwIwIjERMA8GA1UECgwIT3BlcmF0b3IxDTALBgNVBAMMBFJvb3QwHhcNMjYw"
    "NTIyMTIwMDAwWhcNMjcwNjAxMTIwMDAwWjAhMREwDwYDVQQKDAhPcGVyYXRvcjEMMAoGA1UEAwwDU3ViMFkwEwYHKoZIzj0C"
    "AQYIKoZIzj0DAQcDQgAE+c5UPStMnK01xZhq2z3dTbsPibKd8ITDJyXHXLB++0TrLjU/aFunt3CXHZ5X42TqNkL3gqDAo6my"
    "3OS9KMiibqNVMFMwEgYDVR0TAQH/BAgwBgEB/wIBADAOBgNVHQ8BAf8EBAMCAQYwLQYIKwYBBQUHAQEEITAfMB0GCCsGAQUF"
    "BzABhhFodHRwOi8vby5leGFtcGxlLzAKBggqhkjOPQQDAgNIADBFAiAyrkDUhGegvY8BHw4HEA9p+gEJfSb4gIyqVvl8H5lT"
    "3wIhAPGShbEmvq/Qcouzjcf9MW2YUFq6NJKlqKxlbNFRhcO1"
)
LEAF_CERTIFICATE, ISSUER_CERTIFICATE = parse_der(LEAF), parse_der(ISSUER)


def signed_part(der: bytes) -> bytes:
    response = ocsp.load_der_ocsp_response(der)
    return response.tbs_response_bytes if response.response_status.value == 0 else b""


CORPUS = Path(__file__).parent / "corpus" / "ocsp"
GENUINE = {signed_part((CORPUS / name).read_bytes()) for name in ("good", "revoked", "unknown", "delegate")}
GENUINE |= {signed_part((CORPUS / "delegate_by_name").read_bytes())}
assert verify_response((CORPUS / "good").read_bytes(), LEAF_CERTIFICATE, ISSUER_CERTIFICATE, AT)


def one_input(data: bytes) -> None:
    try:
        status = verify_response(data, LEAF_CERTIFICATE, ISSUER_CERTIFICATE, AT)
    except CertificateError:
        return
    assert signed_part(data) in GENUINE
    assert status.this_update < AT < status.next_update


if __name__ == "__main__":
    run(one_input)
