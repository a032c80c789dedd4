"""HTTP Basic credentials: bytes throughout, never decoded before they are compared (RFC 7617)."""

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from hmac import compare_digest

from ..errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password as bytes; the password never shows in a repr.

    The password is what travels: for 1.6 the bytes whose hexadecimal text is the AuthorizationKey, for 2.x
    the UTF-8 bytes of BasicAuthPassword (A00.FR.205). Raises ConfigurationError for text in their place.
    """

    username: bytes
    password: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse text, which only the first attempt to connect would stumble over."""
        if not (isinstance(self.username, bytes) and isinstance(self.password, bytes)):
            raise ConfigurationError("credentials: user name and password are bytes")

    def header(self) -> bytes:
        """The value of an Authorization header."""
        return b"Basic " + b64encode(self.username + b":" + self.password)

    def matches(self, identity: str, password: bytes, *, hex_text: bool = False) -> bool:
        """Whether this is ``identity`` (A00.FR.204) with ``password``; see :func:`password_matches`."""
        same_name = compare_digest(self.username, identity.encode())
        return password_matches(self.password, password, hex_text=hex_text) and same_name


def password_matches(presented: bytes, expected: bytes, *, hex_text: bool = False) -> bool:
    """Compare passwords in constant time.

    With ``hex_text`` the hexadecimal text of ``expected``, in either case, is accepted too: what many 1.6
    stations send although the standard means the bytes.
    """
    same_bytes = compare_digest(presented, expected)
    if not hex_text:
        return same_bytes
    return compare_digest(presented.lower(), expected.hex().encode()) or same_bytes


def parse_basic(header: bytes, identity: str) -> Credentials | None:
    """The credentials in an Authorization header, ``None`` if it is no well-formed Basic one.

    A user name may hold a colon in 1.6 and a password any byte, so the text is not cut at the first colon
    where it begins with ``identity:`` (A00.FR.204); anything else is cut there, for the log.
    """
    scheme, _, encoded = header.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        decoded = b64decode(encoded.strip(b" "), validate=True)
    except binascii.Error:
        return None
    name = identity.encode()
    if decoded.startswith(name + b":"):
        return Credentials(name, decoded[len(name) + 1 :])
    username, colon, password = decoded.partition(b":")
    return Credentials(username, password) if colon else None
