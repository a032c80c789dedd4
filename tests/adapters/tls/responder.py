"""An OCSP responder on loopback, with a revocation list, too: signed as it should be, or as tests want."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.adapters.tls.pki import DAY, NOW, Authority
from tests.adapters.web_servers import Serve, WebServer, answer, saying, web_server

GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
Says = ocsp.OCSPCertStatus | bytes | Serve
"""A status that is true, a response in DER, or what is done to the connection."""


@dataclass
class Responder:
    """What it says of certificates, by their serial numbers; of others that it knows none of them."""

    issuer: Authority
    server: WebServer
    answers: dict[int, Serve] = field(default_factory=dict)
    listed: list[x509.Certificate] = field(default_factory=list)
    """What its list says of."""

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def list_url(self) -> str:
        return self.server.url + "/list"

    def say(self, certificate: x509.Certificate, says: Says) -> None:
        """From now on."""
        if isinstance(says, ocsp.OCSPCertStatus):
            says = self.response(certificate, says)
        if isinstance(says, bytes):
            says = saying(answer(says))
        self.answers[certificate.serial_number] = says

    def response(
        self,
        certificate: x509.Certificate,
        status: ocsp.OCSPCertStatus = GOOD,
        *,
        signer: Any = None,
        end: timedelta = DAY,
    ) -> bytes:
        """A response in DER; ``signer`` has a certificate and its key, and encloses the certificate."""
        revoked = NOW - DAY if status is REVOKED else None
        builder = ocsp.OCSPResponseBuilder().add_response(
            certificate,
            self.issuer.certificate,
            hashes.SHA1(),
            status,
            NOW - 2 * DAY,
            NOW + end,
            revoked,
            None,
        )
        by = signer or self.issuer
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, by.certificate)
        if signer is not None:
            builder = builder.certificates([signer.certificate])
        return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def delegated(self, certificate: x509.Certificate, status: ocsp.OCSPCertStatus = GOOD) -> bytes:
        """The same, signed by somebody whom the authority has made its responder."""
        signer = self.issuer.leaf("Responder", purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,), kind="rsa")
        return self.response(certificate, status, signer=signer)

    def serve(self, connection: socket.socket, request: bytes) -> None:
        """Answer one request."""
        head, _, body = request.partition(b"\r\n\r\n")
        if head.startswith(b"GET"):
            der = x509.load_pem_x509_crl(self.issuer.crl(*self.listed).read_bytes()).public_bytes(
                Encoding.DER
            )
            connection.sendall(answer(der, "application/pkix-crl"))
            return
        self.answers[ocsp.load_der_ocsp_request(body).serial_number](connection, request)


@contextmanager
def responder(issuer: Authority) -> Iterator[Responder]:
    """A responder of an authority."""
    made: list[Responder] = []
    with web_server(lambda *it: made[0].serve(*it)) as server:
        made.append(Responder(issuer, server))
        yield made[0]
