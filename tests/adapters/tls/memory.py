"""Two ends of TLS in one process, without a socket."""

import ssl
from dataclasses import dataclass, field

from ocpp_adapters.tls_failures import Diagnosis
from ocpp_adapters.tls_link import Established, PeerFinished, Plaintext, TlsFailed, TlsLink
from ocpp_core.wire import CloseTransport, SendBytes

HOST = "csms.example.com"


@dataclass
class End:
    """One end, and what it said."""

    link: TlsLink
    received: bytes = b""
    established: Established | None = None
    failed: Diagnosis | None = None
    finished: PeerFinished | None = None
    closed: CloseTransport | None = None
    wrote: list[bytes] = field(default_factory=list)

    def turn(self) -> bytes:
        """Carry out what the link wants; returns what to send."""
        out = b""
        for action in self.link.actions():
            match action:
                case SendBytes(data):
                    assert self.closed is None
                    out += data
                case Plaintext(data):
                    self.received += data
                case Established():
                    self.established = action
                case TlsFailed(diagnosis):
                    self.failed = diagnosis
                case PeerFinished():
                    self.finished = action
                case CloseTransport():
                    self.closed = action
        if out:
            self.wrote.append(out)
        return out


@dataclass
class Pair:
    """A station and its CSMS."""

    station: End
    csms: End
    now: float = 0.0

    def exchange(self) -> "Pair":
        """Carry bytes to and fro until both are silent; an end that closes is heard of by the other."""
        told: set[int] = set()
        busy = True
        while busy:
            busy = False
            for one, other in ((self.station, self.csms), (self.csms, self.station)):
                data = one.turn()
                if data:
                    busy = True
                    other.link.receive_data(data, self.now)
                if one.closed is not None and id(one) not in told:
                    busy = True
                    told.add(id(one))
                    other.link.receive_eof(self.now)
        return self


def pair(station: ssl.SSLContext, csms: ssl.SSLContext, host: str | None = HOST) -> Pair:
    return Pair(
        End(TlsLink(station, 0.0, server_hostname=host)),
        End(TlsLink(csms, 0.0, server_side=True)),
    )


def connect(station: ssl.SSLContext, csms: ssl.SSLContext, host: str | None = HOST) -> Pair:
    """A handshake, and a message each way if both are content."""
    both = pair(station, csms, host).exchange()
    if both.station.failed is None and both.csms.failed is None:
        both.station.link.send(b"hello", 0.0)
        both.csms.link.send(b"world", 0.0)
        both.exchange()
    return both
