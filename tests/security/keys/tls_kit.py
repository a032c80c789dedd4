"""A CA, a server that asks for certificates, and TLS between two contexts in memory or over sockets."""

import ssl
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ocpp_security.keys import Handshake, PrivateKey
from ocpp_security.pki.certificate import Certificate
from tests.security.pki_kit import LEAF_USAGE, Authority, Wish, build, ec_key, name, pem, root

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = (TLS12, TLS13)
SERVER = "localhost"
STATION = "SN-0001"


class Ends(NamedTuple):
    """The two ends of an established connection in memory."""

    client: ssl.SSLObject
    server: ssl.SSLObject

    @property
    def peer(self) -> str:
        """The common name that the server saw."""
        return common_name(self.server)


class TlsKit:
    """Everything for mTLS but the client's key; valid now, as ``ssl`` knows no other time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        now = datetime.now(UTC)
        self._validity = {"begin": now - timedelta(hours=1), "end": now + timedelta(hours=1)}
        self.ca: Authority = root("Test root", **self._validity)
        self.sub_ca: Authority = self.ca.sub("Test sub-CA", **self._validity)
        self.ca_file = self.write(self.ca)
        server_key = ec_key()
        certificate = self._certificate(SERVER, server_key.public_key())
        self._server_chain = self.write(certificate, self.sub_ca)
        self._server_key = folder / "server.pem"
        self._server_key.write_bytes(private_pem(server_key))

    def write(self, *certificates: Authority | Certificate) -> Path:
        """Certificates in a new PEM file."""
        path = self._folder / f"chain{next(self._numbers)}.pem"
        path.write_text(pem(*certificates))
        return path

    def _certificate(self, subject: str, public_key: object) -> Certificate:
        names = x509.SubjectAlternativeName([x509.DNSName(SERVER)])
        wish = Wish(usage=LEAF_USAGE, extensions=[(names, False)], **self._validity)  # type: ignore[arg-type]
        return build(name(subject), public_key, self.sub_ca.name, self.sub_ca.key, wish)

    def chain(self, key: PrivateKey, subject: str = STATION) -> Path:
        """A file with a certificate for the key, and its sub-CA."""
        return self.write(self._certificate(subject, key.public_key), self.sub_ca)

    def signed(self, csr: str) -> str:
        """What a CSMS sends back for a signing request: certificate and sub-CA in PEM."""
        return pem(self.sub_ca.sign_csr(csr, **self._validity), self.sub_ca)

    def server(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A server that wants a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._server_chain, self._server_key)
        context.verify_mode = ssl.CERT_REQUIRED
        return self._with(context, version)

    def client(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A client that has no certificate yet."""
        return self._with(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), version)

    def _with(self, context: ssl.SSLContext, version: ssl.TLSVersion | None) -> ssl.SSLContext:
        context.load_verify_locations(self.ca_file)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context


def private_pem(key: object) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]


def shake(client: ssl.SSLContext, server: ssl.SSLContext) -> Ends:
    """A handshake in memory, and a word each way."""
    here = Handshake(client, server_hostname=SERVER)
    there = Handshake(server, server_side=True)
    data = here.step()
    for _ in range(10):
        data = there.step(data)
        if here.done and there.done:
            break
        data = here.step(data)
    here.incoming.write(data)  # TLS 1.3's tickets
    here.ssl_object.write(b"call")
    there.incoming.write(here.outgoing.read())
    assert there.ssl_object.read() == b"call"
    there.ssl_object.write(b"result")
    here.incoming.write(there.outgoing.read())
    assert here.ssl_object.read() == b"result"
    return Ends(here.ssl_object, there.ssl_object)


def common_name(end: ssl.SSLObject | ssl.SSLSocket) -> str:
    """The common name in the certificate of the other end."""
    der = end.getpeercert(binary_form=True)
    assert der is not None
    subject = x509.load_der_x509_certificate(der).subject
    value = subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)[0].value
    assert isinstance(value, str)
    return value
