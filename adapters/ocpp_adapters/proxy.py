"""Through an HTTP proxy, by CONNECT (RFC 9110 §9.3.6)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, and the password for it if it wants one (Basic)."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
