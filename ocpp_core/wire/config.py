"""The settings of a link; a value that makes no sense raises :class:`ConfigurationError` at construction."""

import re
from dataclasses import dataclass, field, fields
from enum import Enum

from ..errors import ConfigurationError
from ..versions import OcppVersion
from .address import Endpoint, parse_identity, parse_url
from .credentials import Credentials

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
_RESERVED = re.compile(
    r"(host|upgrade|connection|authorization|content-length|transfer-encoding|expect|sec-websocket-.*)", re.I
)
_SUPPORTED = (OcppVersion.V21, OcppVersion.V201, OcppVersion.V16)


def is_token(text: str) -> bool:
    """Whether ``text`` is an HTTP token, as a subprotocol must be (RFC 7230 §3.2.6)."""
    return _TOKEN.fullmatch(text) is not None


def is_header(name: str, value: str) -> bool:
    """Whether an application may add this header to a head of ours: well-formed, and not our own."""
    return is_token(name) and not _RESERVED.fullmatch(name) and _FIELD_VALUE.fullmatch(value) is not None


class NoCommonSubprotocol(Enum):
    """What a server does when it supports nothing of what the client offers."""

    COMPLETE_THEN_CLOSE = "complete_then_close"
    """101 without Sec-WebSocket-Protocol, then Close (1.6-J §3.2, 2.x part 4 §3)."""
    REFUSE = "refuse"
    """400, no upgrade (as TC_B_58_CSMS of the 2.0.1 errata wants it)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """What both ends have in common. Sizes in bytes, times in seconds, ``None`` switches a timer off. Raises
    ConfigurationError for values that make no sense, as those made of it do.

    ``max_message_size`` counts a message's payload, inflated; ``max_header_size`` bounds a request or
    response up to its empty line. A ping goes out every ``ping_interval``; the link is given up if its pong
    takes longer than ``pong_timeout``. ``close_timeout`` bounds the wait for the peer's Close, and the
    client's wait for the server to end the connection.
    """

    subprotocols: tuple[str, ...] = _SUPPORTED
    max_message_size: int = 1 << 20
    max_header_size: int = 16 << 10
    handshake_timeout: float = 20.0
    close_timeout: float = 10.0
    ping_interval: float | None = 60.0
    pong_timeout: float | None = 20.0

    def __post_init__(self) -> None:
        """Check every value."""
        if not self.subprotocols or not all(map(is_token, self.subprotocols)):
            raise ConfigurationError("subprotocols: at least one, each an HTTP token")
        if len(set(self.subprotocols)) != len(self.subprotocols):
            raise ConfigurationError("subprotocols: one is named twice")
        for item in fields(self):
            value = getattr(self, item.name)
            if type(value) in {int, float} and not 0 < value < float("inf"):
                raise ConfigurationError(f"{item.name}: must be above zero and finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig(LinkConfig):
    """A CSMS's side of its links.

    The client's order of ``subprotocols`` decides unless ``server_order`` is set. ``deflate`` agrees to
    permessage-deflate where a station offers it, always without context takeover (RFC 7692 §7.1.1).
    """

    server_order: bool = False
    no_common_subprotocol: NoCommonSubprotocol = NoCommonSubprotocol.COMPLETE_THEN_CLOSE
    deflate: bool = True
    realm: str = "OCPP"

    def __post_init__(self) -> None:
        """Check every value."""
        LinkConfig.__post_init__(self)
        if not _FIELD_VALUE.fullmatch(self.realm) or set(self.realm) & set('"\\'):
            raise ConfigurationError("realm: printable ASCII without quote or backslash")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig(LinkConfig):
    """A station's side of its link.

    ``url`` is the connection URL (see :func:`.connection_url`); ``subprotocols`` are offered in this order
    of preference. ``headers`` go into the request beside those the handshake needs. ``deflate`` offers
    permessage-deflate without context takeover.
    """

    url: str
    credentials: Credentials | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    deflate: bool = False

    def __post_init__(self) -> None:
        """Check every value."""
        LinkConfig.__post_init__(self)
        parse_url(self.url)
        for name, value in self.headers:
            if not is_header(name, value):
                raise ConfigurationError(f"headers: {name!r} is no header, or the handshake's own")

    @property
    def endpoint(self) -> Endpoint:
        """What the adapter has to dial."""
        return parse_url(self.url)

    @property
    def identity(self) -> str:
        """The station's identity, as a server reads it in the URL; empty if that is none."""
        return parse_identity(self.endpoint.target.partition("?")[0]) or ""
