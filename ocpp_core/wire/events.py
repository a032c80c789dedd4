"""What the wire machines hand out: bytes to write, and what became of the link.

All of them come out of ``actions()`` in the order in which they must be carried out. A link's last action
is always :class:`Closed`, or :class:`HandshakeFailed` for a client whose link never opened.
"""

from dataclasses import field
from enum import StrEnum

from ..values import value
from .credentials import Credentials


@value
class SendBytes:
    """Write ``data`` to the transport, in order."""

    data: bytes


@value
class CloseTransport:
    """Close the TCP connection; with ``abort`` without waiting for bytes that are still unsent."""

    abort: bool = False


@value
class HandshakeReceived:
    """Server only: a station asks to connect. Answer with ``accept()`` or ``reject()``.

    ``path`` is the request's path as it came, still percent-encoded and without the query; ``identity`` is
    its last segment, decoded. ``subprotocols`` is what the client offers, in its order of preference, and
    ``subprotocol`` what ``accept()`` will choose of it (``None``: none in common). ``headers`` are the
    request's, names in lower case, without Authorization, which is in ``credentials``.
    """

    path: str
    identity: str
    credentials: Credentials | None
    subprotocols: tuple[str, ...]
    subprotocol: str | None
    query: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)


@value
class Opened:
    """The link is usable; ``subprotocol`` is the one both sides agreed on."""

    subprotocol: str


@value
class Text:
    """One complete text message."""

    text: str


@value
class PongReceived:
    """The peer answered our ping after ``latency`` seconds."""

    latency: float


@value
class Closed:
    """The link is gone: the last action, exactly once.

    ``code`` and ``reason`` are the peer's Close (1005 if it named none), or our own where we failed the
    link (1002, 1003, 1007, 1009), or 1006 if it ended without a Close. ``clean`` says that both sides
    exchanged a Close (RFC 6455 §7.1.4).
    """

    code: int
    reason: str
    clean: bool


class FailureReason(StrEnum):
    """Why a client could not open the link."""

    REFUSED_SUBPROTOCOL = "refused_subprotocol"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    HTTP_STATUS = "http_status"
    BAD_HANDSHAKE = "bad_handshake"
    TIMEOUT = "timeout"
    TRANSPORT = "transport"


@value
class HandshakeFailed:
    """Client only: the link did not open; takes the place of :class:`Closed`.

    ``status`` is the HTTP status if one came, ``detail`` is for people.
    """

    reason: FailureReason
    status: int | None
    detail: str


class NoticeKind(StrEnum):
    """What a :class:`WireNotice` is about."""

    HANDSHAKE_REFUSED = "handshake_refused"
    NO_COMMON_SUBPROTOCOL = "no_common_subprotocol"
    PROTOCOL_VIOLATION = "protocol_violation"
    TIMEOUT = "timeout"


@value
class WireNotice:
    """Something an operator may want to know; nothing has to be done about it."""

    kind: NoticeKind
    detail: str


Action = (
    SendBytes
    | CloseTransport
    | HandshakeReceived
    | Opened
    | Text
    | PongReceived
    | Closed
    | HandshakeFailed
    | WireNotice
)
