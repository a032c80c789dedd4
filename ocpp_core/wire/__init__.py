"""Bytes to text messages and back: WebSocket client and server as pure machines (RFC 6455, RFC 7692).

Feed :class:`WebSocketServer` or :class:`WebSocketClient` with what the transport delivers, carry out their
``actions()``, and call ``handle_timer()`` when ``next_timer()`` says so.
"""

from .address import Endpoint, connection_url, identity_allowed, parse_identity, parse_url
from .client import WebSocketClient
from .config import ClientConfig, LinkConfig, NoCommonSubprotocol, ServerConfig
from .credentials import Credentials, parse_basic, password_matches
from .events import (
    Action,
    Closed,
    CloseTransport,
    FailureReason,
    HandshakeFailed,
    HandshakeReceived,
    NoticeKind,
    Opened,
    PongReceived,
    SendBytes,
    Text,
    WireNotice,
)
from .frames import CloseCode
from .handshake import negotiate
from .link import Link, LinkState
from .server import NEGOTIATED, WebSocketServer

__all__ = [
    "WebSocketServer",
    "WebSocketClient",
    "ServerConfig",
    "ClientConfig",
    "LinkConfig",
    "NoCommonSubprotocol",
    "NEGOTIATED",
    "Link",
    "LinkState",
    "Action",
    "SendBytes",
    "CloseTransport",
    "HandshakeReceived",
    "Opened",
    "Text",
    "PongReceived",
    "Closed",
    "HandshakeFailed",
    "FailureReason",
    "WireNotice",
    "NoticeKind",
    "CloseCode",
    "Credentials",
    "parse_basic",
    "password_matches",
    "Endpoint",
    "connection_url",
    "parse_url",
    "parse_identity",
    "identity_allowed",
    "negotiate",
]
