"""Handshakes for the doctor: one connection each, blocking, over the same machine as the adapters'."""

import socket
import ssl
import warnings
from dataclasses import dataclass

from ocpp_adapters.routes import Route
from ocpp_adapters.threads_link import dial
from ocpp_adapters.tls_failures import Diagnosis
from ocpp_adapters.tls_link import Established, TlsFailed, TlsLink, TlsState
from ocpp_adapters.tls_peer import PeerCertificate, peer_certificate, sent_chain
from ocpp_core.wire import SendBytes

_READ_SIZE = 64 << 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one handshake: established, or failed; with TLS 1.3 perhaps one after the other."""

    failed: Diagnosis | None
    established: Established | None
    chain: tuple[bytes, ...] = ()
    """As the server sent it, DER."""
    certificate: PeerCertificate | None = None
    """As it was verified, if it was."""

    @property
    def agreed(self) -> bool:
        """Whether the server has taken version and suite, even if it then missed a certificate of ours."""
        return self.established is not None or bool(self.chain)


def shake_hands(route: Route, context: ssl.SSLContext, timeout: float, *, linger: float = 0.0) -> Outcome:
    """Connect and shake hands; then listen for ``linger`` seconds. Raises OSError: there is no connection."""
    with dial(route, timeout) as connection:
        connection.settimeout(timeout)
        link = TlsLink(context, 0.0, server_hostname=route.config.endpoint.server_name)
        established = None
        while True:
            for action in link.actions():
                if isinstance(action, SendBytes):
                    _send(connection, action.data)
                elif isinstance(action, Established):
                    established = action
                    connection.settimeout(linger)
                elif isinstance(action, TlsFailed):
                    return Outcome(action.diagnosis, established, sent_chain(link.object))
            settled = established is not None and not linger
            if settled or link.state is TlsState.CLOSED or not _receive(connection, link):
                chain, verified = sent_chain(link.object), peer_certificate(link.object)
                return Outcome(None, established, chain, verified)


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except ConnectionError:
        return  # what it had to say before may still be read


def _receive(connection: socket.socket, link: TlsLink) -> bool:
    """Whether there is more to expect."""
    try:
        data = connection.recv(_READ_SIZE)
    except TimeoutError:
        if link.state is TlsState.OPEN:
            return False
        link.handle_timer(float("inf"))
        return True
    except ConnectionError:
        data = b""
    if data:
        link.receive_data(data, 0.0)
        return True
    opened = link.state is TlsState.OPEN
    link.receive_eof(0.0)
    return not opened


def curious(
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1,
    newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ciphers: str = "ALL:COMPLEMENTOFALL",
) -> ssl.SSLContext:
    """A context that trusts everybody and takes everything: to look, never to connect a station with.

    Raises ssl.SSLError: this OpenSSL has none of the ciphers.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old versions are old: that is why they are looked for
        context.maximum_version = newest
        context.minimum_version = oldest
    return context
