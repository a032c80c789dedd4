"""Through an HTTP proxy, by CONNECT (RFC 9110 §9.3.6): who it is, and the conversation with it."""

import errno
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import h11

from ocpp_core import ConfigurationError

from .binding import DialError, dial_error

_ANSWER_LIMIT: Final = 16 << 10
"""Bytes of an answer."""
_HINT: Final = "a proxy is http://[user:password@]host[:port], special characters percent-encoded"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, and the password for it if it wants one (Basic, RFC 7617).

    Raises :class:`~ocpp_core.ConfigurationError` where a value makes no sense; it never tells the password.
    """

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.host or not 0 < self.port < 65536:
            raise ConfigurationError(_HINT)
        if self.user is None and self.password is not None:
            raise ConfigurationError("a proxy's password needs a user")
        if self.user is not None and ":" in self.user:
            raise ConfigurationError("a proxy's user name has no colon (RFC 7617)")
        try:
            f"{self.user}{self.password}".encode()
        except UnicodeEncodeError:
            raise ConfigurationError("a proxy's user and password are text: UTF-8") from None

    @classmethod
    def parse(cls, url: str) -> Self:
        """From ``http://user:password@proxy.example:3128``; the port is 80 if there is none.

        Raises :class:`~ocpp_core.ConfigurationError`; an ``https://`` proxy is not supported.
        """
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ConfigurationError(_HINT) from None  # whose text might hold the password
        if parts.scheme != "http":
            raise ConfigurationError(f"a proxy is talked to by http://, not by {parts.scheme}://")
        if parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ConfigurationError(_HINT)
        user, password = (None if it is None else unquote(it) for it in (parts.username, parts.password))
        return cls(host or "", 80 if port is None else port, user or None, password if user else None)

    @classmethod
    def from_environment(cls, url: str) -> Self | None:
        """The proxy that the environment names for a URL (``https_proxy``, ``no_proxy``, ...), if any.

        Nothing reads the environment unless this is called. Raises :class:`~ocpp_core.ConfigurationError`.
        """
        from urllib.request import getproxies_environment, proxy_bypass  # costly, rarely wanted

        parts = urlsplit(url)
        proxies = getproxies_environment()
        found = proxies.get("https" if parts.scheme == "wss" else "http") or proxies.get("all")
        return None if not found or proxy_bypass(parts.netloc) else cls.parse(found)

    def credentials(self) -> list[tuple[str, str]]:
        """The header that says who asks, if the proxy wants that."""
        if self.user is None:
            return []
        secret = b64encode(f"{self.user}:{self.password or ''}".encode()).decode()
        return [("Proxy-Authorization", f"Basic {secret}")]


class Tunnel:
    """The conversation with a proxy about one connection; no I/O.

    Arguments:
        proxy: whom :attr:`request` is for.
        host: to connect to: a name or an address.
        port: its port.
    """

    __slots__ = ("_connection", "_proxy", "_read", "_target", "request")

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        self._proxy = proxy
        self._target = authority(host, port)
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_ANSWER_LIMIT)
        self._read = 0
        headers = [("Host", self._target), *proxy.credentials()]
        request = h11.Request(method="CONNECT", target=self._target, headers=headers)
        self.request = (self._connection.send(request) or b"") + (
            self._connection.send(h11.EndOfMessage()) or b""
        )
        """The bytes to send first."""

    def receive_data(self, data: bytes) -> bool:
        """What the proxy answers; True: the peer is at the other end now. Raises :class:`DialError`."""
        self._read += len(data)
        try:
            self._connection.receive_data(data)
            event = self._connection.next_event()
            while isinstance(event, h11.InformationalResponse):
                event = self._connection.next_event()
        except h11.RemoteProtocolError:
            raise self._error(errno.EPROTO, "does not answer as an HTTP proxy does") from None
        if isinstance(event, h11.Response):
            self._judge(event)
            return True
        if self._read > _ANSWER_LIMIT:
            raise self._error(errno.EPROTO, "answers without end")
        return False

    def receive_eof(self) -> DialError:
        """The proxy has closed the connection before it had answered: the error that this is."""
        return self._error(errno.ECONNRESET, "closed the connection without an answer")

    def _judge(self, answer: h11.Response) -> None:
        status = answer.status_code
        if 200 <= status < 300:
            if self._connection.trailing_data[0]:
                # In TLS and WebSocket alike the client speaks first.
                raise self._error(errno.EPROTO, "sent something after its answer: it is no tunnel")
        elif status in {401, 407}:  # tinyproxy answers wrong credentials as if it were the server
            raise self._error(errno.EACCES, self._wants(answer))
        else:
            number, words = _ANSWERS.get(status, (errno.EPROTO, "does not connect to {}"))
            raise self._error(number, f"{words.format(self._target)} (HTTP {status})")

    def _wants(self, answer: h11.Response) -> str:
        challenges = [value for name, value in answer.headers if name.endswith(b"-authenticate")]
        schemes = [value.split(None, 1)[0].decode("ascii", "replace") for value in challenges if value]
        schemes = [scheme for scheme in schemes if scheme.isprintable()]  # they go into a log
        if schemes and not any(scheme.lower() == "basic" for scheme in schemes):
            return f"wants {', '.join(schemes)[:40]} authentication; what we have is Basic"
        if self._proxy.user is None:
            return "wants a user name and a password"
        return "refuses our user name or password"

    def _error(self, number: int, words: str) -> DialError:
        return dial_error(number, f"proxy {authority(self._proxy.host, self._proxy.port)} {words}")


def authority(host: str, port: int) -> str:
    """Host and port as one text; an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_ANSWERS: Final = {
    400: (errno.EPROTO, "does not understand CONNECT"),
    403: (errno.EACCES, "does not allow connections to {}"),
    404: (errno.EPROTO, "is a web server, or knows no {}"),
    405: (errno.EACCES, "does not allow CONNECT: is it a web server?"),
    429: (errno.EAGAIN, "has enough of us for now"),
    500: (errno.EHOSTUNREACH, "has failed"),
    501: (errno.EPROTO, "does not know CONNECT: is it a web server?"),
    502: (errno.EHOSTUNREACH, "cannot connect to {}"),
    503: (errno.EHOSTUNREACH, "cannot connect to {} at present"),
    504: (errno.EHOSTUNREACH, "cannot connect to {} in time"),
}
"""What a refusal means."""
