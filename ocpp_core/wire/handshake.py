"""The opening handshake's rules, both ways (RFC 6455 §4, RFC 7230), on heads that h11 has read."""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Final

import h11

from .address import identity_allowed, parse_identity
from .config import ServerConfig, is_token
from .credentials import parse_basic
from .deflate import accept_offer, check_answer
from .events import HandshakeReceived

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_COMMA: Final = re.compile(rb"[ \t]*,[ \t]*")
_HEADS: Final = (h11.Request, h11.Response, h11.InformationalResponse)
_Head = h11.Request | h11.Response | h11.InformationalResponse

RawHeaders = Sequence[tuple[bytes, bytes]]


class RefusedError(Exception):
    """A server will not go on with this request: the HTTP ``status`` to answer with, and why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class BadResponseError(Exception):
    """A client will not go on with this response, although it says 101."""


class HeadReader:
    """Reads requests or responses up to their empty line; h11 does the work, this bounds it.

    All heads of one handshake together (a response may be preceded by informational ones) have ``limit``
    bytes: h11 alone checks its limit only on what is incomplete after each chunk.
    """

    __slots__ = ("_room", "http")

    def __init__(self, http: h11.Connection, limit: int) -> None:
        self.http = http
        self._room = limit

    def receive(self, data: bytes) -> tuple[_Head | None, bytes]:
        """The next head, if it is complete, and what follows it; ``data`` is not empty.

        Raises :class:`h11.RemoteProtocolError`, whose ``error_status_hint`` is the status to answer with.
        """
        taken, beyond = data[: self._room], data[self._room :]
        self._room -= len(taken)
        self.http.receive_data(taken)
        while isinstance(event := self.http.next_event(), _HEADS):
            if not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
                return event, self.http.trailing_data[0] + beyond
        if beyond or not self._room:
            raise h11.RemoteProtocolError("header too large", error_status_hint=431)
        return None, b""


def accept_key(key: bytes) -> bytes:
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 §4.2.2)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def negotiate(offered: Sequence[str], supported: Sequence[str], *, server_order: bool = False) -> str | None:
    """The subprotocol to use: the client's first that the server supports, as OCPP-J has it.

    With ``server_order`` the server's first that the client offers. ``None`` if there is none in common.
    """
    first, second = (supported, offered) if server_order else (offered, supported)
    return next((name for name in first if name in second), None)


def _values(headers: RawHeaders, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _elements(headers: RawHeaders, name: bytes) -> list[str]:
    """The elements of a comma-separated header, over all its lines, empty ones left out (RFC 7230 §7)."""
    text = b",".join(_values(headers, name))
    return [element.decode("latin-1") for element in _COMMA.split(text.strip(b" \t")) if element]


def _says(headers: RawHeaders, name: bytes, token: str) -> bool:
    return token in (element.lower() for element in _elements(headers, name))


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    """A station's request, found to be a proper one: what to ask the application, what to answer with."""

    asked: HandshakeReceived
    key: bytes
    deflate: tuple[str, int] | None


def check_request(request: h11.Request, config: ServerConfig) -> UpgradeRequest:
    """Judge a request; raises :class:`RefusedError` (RFC 6455 §4.2.1, OCPP-J part 4 §3)."""
    headers = list(request.headers)
    key = _check_upgrade(request, headers)
    path, _, query = request.target.decode("ascii").partition("?")
    offered = tuple(dict.fromkeys(filter(is_token, _elements(headers, b"sec-websocket-protocol"))))
    subprotocol = negotiate(offered, config.subprotocols, server_order=config.server_order)
    identity = parse_identity(path)
    if identity is None or not identity_allowed(identity, subprotocol):
        raise RefusedError(404, "no identity, or none that is allowed")
    authorizations = _values(headers, b"authorization")
    if len(authorizations) > 1:
        raise RefusedError(400, "more than one Authorization")
    extensions = ",".join(_elements(headers, b"sec-websocket-extensions"))
    asked = HandshakeReceived(
        path=path,
        identity=identity,
        credentials=parse_basic(authorizations[0], identity) if authorizations else None,
        subprotocols=offered,
        subprotocol=subprotocol,
        query=query,
        headers=tuple(header for header in headers if header[0] != b"authorization"),
    )
    return UpgradeRequest(asked, key, accept_offer(extensions) if config.deflate else None)


def _check_upgrade(request: h11.Request, headers: RawHeaders) -> bytes:
    """Whether this is a WebSocket handshake at all; returns its key."""
    if request.method != b"GET":
        raise RefusedError(405, "not a GET")
    if request.http_version != b"1.1":
        raise RefusedError(505, "not HTTP/1.1")
    if not _says(headers, b"upgrade", "websocket") or not _says(headers, b"connection", "upgrade"):
        raise RefusedError(426, "not a WebSocket upgrade")
    if _values(headers, b"sec-websocket-version") != [b"13"]:
        raise RefusedError(426, "not WebSocket version 13")
    if _values(headers, b"transfer-encoding") or _values(headers, b"content-length") not in ([], [b"0"]):
        raise RefusedError(400, "a request with a body")
    keys = _values(headers, b"sec-websocket-key")
    try:
        nonce = b64decode(keys[0], validate=True) if len(keys) == 1 else b""
    except binascii.Error:
        nonce = b""
    if len(nonce) != 16:
        raise RefusedError(400, "no proper Sec-WebSocket-Key")
    return keys[0]


@dataclass(frozen=True, slots=True)
class UpgradeResponse:
    """A server's 101, found to be a proper one."""

    subprotocol: str | None
    deflate: bool


def check_response(
    headers: RawHeaders, key: bytes, offered: Sequence[str], *, deflate: bool
) -> UpgradeResponse:
    """Judge a 101; raises :class:`BadResponseError` (RFC 6455 §4.1)."""
    if not _says(headers, b"upgrade", "websocket") or not _says(headers, b"connection", "upgrade"):
        raise BadResponseError("101 without the upgrade to WebSocket")
    if _values(headers, b"sec-websocket-accept") != [accept_key(key)]:
        raise BadResponseError("wrong Sec-WebSocket-Accept")
    chosen = _elements(headers, b"sec-websocket-protocol")
    if len(chosen) > 1 or not set(chosen) <= set(offered):
        raise BadResponseError("a subprotocol that was not offered")
    extensions = ",".join(_elements(headers, b"sec-websocket-extensions"))
    if extensions and not (deflate and check_answer(extensions)):
        raise BadResponseError("an extension that was not offered")
    return UpgradeResponse(chosen[0] if chosen else None, bool(extensions))
