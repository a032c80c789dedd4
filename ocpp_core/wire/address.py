"""Where a station connects and who it says it is: connection URLs and identities (OCPP-J 1.6 §3.1.1, 2.x
part 4 §3.1.1)."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlsplit

from ..errors import ConfigurationError

MAX_IDENTITY = 255
"""Longest identity taken under a version that sets no limit (characters)."""
MAX_IDENTITY_2X = 48

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PARTS = re.compile(r"[/\\]")
_PRINTABLE = re.compile(r"[!-~]+")


def parse_identity(path: str) -> str | None:
    """The identity in a request's path: its last segment, split off first and then percent-decoded.

    ``None`` if it is empty, longer than :data:`MAX_IDENTITY`, not UTF-8, badly escaped, holds a control
    character, or if anything in the path climbs (``.`` or ``..``, escaped or not).
    """
    if not path.startswith("/") or _BROKEN_ESCAPE.search(path):
        return None
    try:
        segments = [unquote_to_bytes(segment).decode() for segment in path.split("/")]
    except UnicodeDecodeError:
        return None
    identity = segments[-1]
    climbs = any(part in {".", ".."} for segment in segments for part in _PARTS.split(segment))
    if climbs or not 0 < len(identity) <= MAX_IDENTITY or _CONTROL.search(identity):
        return None
    return identity


def identity_allowed(identity: str, subprotocol: str | None) -> bool:
    """Whether the negotiated version allows ``identity``: 2.x has a maximum length and no colon."""
    if subprotocol is None or not subprotocol.startswith("ocpp2"):
        return True
    return len(identity) <= MAX_IDENTITY_2X and ":" not in identity


def connection_url(endpoint: str, identity: str) -> str:
    """The URL a station connects to: the CSMS's endpoint, a slash, the percent-encoded identity.

    Raises :class:`ConfigurationError` for an identity that no server would take.
    """
    path = "/" + quote(identity, safe="", errors="replace")
    if parse_identity(path) != identity:
        raise ConfigurationError(f"not an identity: {identity!r}")
    return endpoint.rstrip("/") + path


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A connection URL taken apart: what to dial, and what to say in the request.

    ``host`` is a name or an address; an IPv6 address may have a zone (``fe80::1%eth0``).
    """

    secure: bool
    host: str
    port: int
    target: str

    @property
    def server_name(self) -> str:
        """What the server is called: the host without its zone, which only counts here (RFC 6874 §4)."""
        return self.host.partition("%")[0]

    @property
    def authority(self) -> str:
        """The value of the Host header; the default port is left out."""
        name = self.server_name
        host = f"[{name}]" if ":" in name else name
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def parse_url(url: str) -> Endpoint:
    """Take a ``ws://`` or ``wss://`` URL apart (RFC 6455 §3); raises :class:`ConfigurationError`."""
    shown = "(with an @: it may hold a password)" if "@" in url else repr(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"not a URL: {shown}") from None  # its own text may hold a part of one, too
    if not _PRINTABLE.fullmatch(url):
        raise ConfigurationError(f"a connection URL is ASCII, percent-encoded: {shown}")
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise ConfigurationError(f"not a ws:// or wss:// URL with a host: {shown}")
    if parts.username is not None or parts.fragment:
        raise ConfigurationError("a connection URL has neither credentials nor a fragment")
    address, zoned, zone = parts.hostname.partition("%")
    host = address + zoned + zone.removeprefix("25")  # the percent sign itself, escaped (RFC 6874 §2)
    secure = parts.scheme == "wss"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(secure, host, port if port is not None else (443 if secure else 80), target)
