"""One question to a web server and its answer, without any I/O: for OCSP responses and revocation lists.

Whom to ask is written in certificates, or comes from a station: nothing of an answer is believed but what its
reader verifies, and nothing of it may cost more than it is worth. So there is one request on one connection;
no redirect is followed (a signed answer needs none, and it would lead wherever the server likes, into our own
network, say), nothing is inflated, no cookie and no credential is sent, but to a proxy of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol
from urllib.parse import urlsplit

import h11

from ocpp_core import ConfigurationError
from ocpp_core.wire import ClientConfig

from .binding import Binding, DialError
from .proxy import Proxy, authority
from .routes import Route

HEAD_LIMIT: Final = 16 << 10
"""Bytes of an answer's head."""
URL_LIMIT: Final = 2048
"""Characters of a URL."""
_CRUMB: Final = 64
_CRUMBS: Final = 4096
"""Pieces of a body that may be smaller than a crumb: each takes its time, whatever its size."""


class FetchFault(StrEnum):
    """Why there is no answer."""

    URL = "not a URL that is asked"
    UNREACHABLE = "unreachable"
    TIMEOUT = "time-out"
    ENDED = "connection ended"
    NOT_HTTP = "not HTTP"
    STATUS = "refused"
    REDIRECT = "redirect not followed"
    WRONG_TYPE = "another type of answer"
    TOO_LARGE = "too large"


class FetchError(OSError):
    """There is no answer: ``fault`` says why, the text also of whom, in one printable line."""

    def __init__(self, fault: FetchFault, whom: str, detail: str = "") -> None:
        super().__init__(f"{whom}: {fault}" + (f" ({detail})" if detail else ""))
        self.fault = fault


class WebRequest(Protocol):
    """A question; ``ocpp_security.inquiry.Ask`` is one."""

    @property
    def url(self) -> str:
        """``http://…``."""
        ...

    @property
    def body(self) -> bytes | None:
        """What to POST; None: GET."""
        ...

    @property
    def content_type(self) -> str:
        """Of the body."""
        ...

    @property
    def accept(self) -> Sequence[str]:
        """The media types that the answer may have."""
        ...

    @property
    def limit(self) -> int:
        """Bytes of the answer's body at most."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The way to web servers: the interface or address to leave by, and the proxy that is asked instead."""

    binding: Binding = field(default_factory=Binding)
    proxy: Proxy | None = None


class Exchange:
    """One request and its answer.

    Send ``request`` by a connection of ``route``, then feed what comes until there is a body.

    Arguments:
        request: what to ask.
        web: how to get there. A proxy is asked for the URL as a whole (RFC 9112 §3.2.2): many connect to
            nothing but ports of TLS.
        timeout: seconds for the connection of the route; the time of the whole is the caller's to keep.

    Raises:
        FetchError: it cannot be asked (URL).
    """

    __slots__ = ("_accept", "_body", "_connection", "_crumbs", "_left", "_limit", "request", "route", "whom")

    def __init__(self, request: WebRequest, web: Web, timeout: float) -> None:
        host, port, target = _taken_apart(request.url)
        self.whom = authority(host, port)
        """For words."""
        self.route = self._way(web, timeout)
        self._limit = request.limit
        self._left = 2 * HEAD_LIMIT + request.limit + request.limit // 8  # heads, body, and what chunks add
        self._crumbs = _CRUMBS
        self._accept = tuple(kind.lower() for kind in request.accept)
        self._body = bytearray()
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        self.request = self._written(request, target, web.proxy)
        """The bytes to send first."""

    def _way(self, web: Web, timeout: float) -> Route:
        """To the server or to the proxy; what a WebSocket takes is what any connection does."""
        hop = self.whom if web.proxy is None else authority(web.proxy.host, web.proxy.port)
        try:
            config = ClientConfig(url=f"ws://{hop}/", handshake_timeout=timeout)
            return Route(config=config, binding=web.binding)
        except ConfigurationError:
            raise self.error(FetchFault.URL) from None

    def _written(self, request: WebRequest, target: str, proxy: Proxy | None) -> bytes:
        host = self.whom.removesuffix(":80")
        headers = [("Host", host), ("Accept", ", ".join(request.accept))]
        headers += [("Accept-Encoding", "identity"), ("Connection", "close")]
        if proxy is not None:
            target = f"http://{host}{target}"
            headers += proxy.credentials()
        body = request.body
        if body is not None:
            headers += [("Content-Type", request.content_type), ("Content-Length", str(len(body)))]
        method = "GET" if body is None else "POST"
        head = self._connection.send(h11.Request(method=method, target=target, headers=headers)) or b""
        data = b"" if body is None else self._connection.send(h11.Data(data=body)) or b""
        return head + data + (self._connection.send(h11.EndOfMessage()) or b"")

    def receive_data(self, data: bytes) -> bytes | None:
        """Bytes came; returns the answer's body once it is complete. Raises :class:`FetchError`."""
        self._left -= len(data)
        if self._left < 0:
            raise self.error(FetchFault.TOO_LARGE)
        return self._receive(data)

    def receive_eof(self) -> bytes:
        """The server has closed the connection; returns the body, which may end so. Raises FetchError."""
        body = self._receive(b"")
        if body is None:
            raise self.error(FetchFault.ENDED)
        return body

    def error(self, fault: FetchFault, detail: str = "") -> FetchError:
        """The error that names who was asked."""
        return FetchError(fault, self.whom, detail)

    def explained(self, error: OSError) -> FetchError:
        """What an error of the connection means."""
        if isinstance(error, FetchError):
            return error
        if isinstance(error, TimeoutError):
            return self.error(FetchFault.TIMEOUT, str(error))
        if isinstance(error, DialError):
            return self.error(FetchFault.UNREACHABLE, str(error))
        return self.error(FetchFault.ENDED)

    def _receive(self, data: bytes) -> bytes | None:
        try:
            self._connection.receive_data(data)
            while True:
                event = self._connection.next_event()
                match event:
                    case h11.Response():
                        self._judge(event)
                    case h11.Data():
                        self._take(event.data)
                    case h11.EndOfMessage():
                        return bytes(self._body)
                    case h11.InformationalResponse():
                        continue
                    case _:  # more is needed, or nothing came at all
                        return None
        except h11.RemoteProtocolError:
            fault = FetchFault.NOT_HTTP if data else FetchFault.ENDED
            raise self.error(fault) from None

    def _take(self, data: bytes | bytearray) -> None:
        self._body += data
        self._crumbs -= len(data) < _CRUMB
        if len(self._body) > self._limit or self._crumbs < 0:
            raise self.error(FetchFault.TOO_LARGE)

    def _judge(self, answer: h11.Response) -> None:
        status = answer.status_code
        if 300 <= status < 400:
            raise self.error(FetchFault.REDIRECT, f"HTTP {status}")
        if status != 200:
            words = "the proxy wants a user name and a password" if status == 407 else f"HTTP {status}"
            raise self.error(FetchFault.STATUS, words)
        headers = dict(answer.headers)  # of one that is there twice, the last
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("ascii", "replace")
        if kind not in self._accept:
            words = kind[:60] if kind.isprintable() and kind else "none is told"
            raise self.error(FetchFault.WRONG_TYPE, words)
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise self.error(FetchFault.WRONG_TYPE, "compressed")
        if int(headers.get(b"content-length", b"0")) > self._limit:
            raise self.error(FetchFault.TOO_LARGE)


def _taken_apart(url: str) -> tuple[str, int, str]:
    """Host, port and target. Raises :class:`FetchError`, whose text shows nothing of the URL."""
    fault = FetchError(FetchFault.URL, "http://…")
    if len(url) > URL_LIMIT or not url.isascii() or any(not "!" <= sign <= "~" for sign in url):
        raise fault
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise fault from None
    if parts.scheme == "https":
        # Whether its certificate is revoked would have to be asked first (RFC 5280 §8).
        raise FetchError(FetchFault.URL, "https://…", "only http:// is asked: answers are signed")
    if parts.scheme != "http" or not parts.hostname or parts.username is not None or "%" in parts.hostname:
        raise fault
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.hostname, 80 if port is None else port, target
