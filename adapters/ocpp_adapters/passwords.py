"""A station's password as it is configured, and as it travels."""

import re
from typing import Final

from ocpp_core import ConfigurationError, OcppVersion

MIN_LENGTH: Final = 16
MAX_LENGTH: Final = 64
"""Characters in 2.x, unless BasicAuthPassword's maxLimit says 40 to 63."""
_AUTHORIZATION_KEY: Final = re.compile(r"([0-9A-Fa-f]{2}){16,20}")


def password_octets(text: str, version: OcppVersion, *, max_length: int = MAX_LENGTH) -> bytes:
    """The octets to send in HTTP Basic authentication (A00.FR.205, A00.FR.304).

    Arguments:
        text: 2.x: BasicAuthPassword, any characters. 1.6: AuthorizationKey, 32 to 40 hexadecimal digits,
            which stand for the octets.
        version: whose password it is.
        max_length: the maxLimit of BasicAuthPassword.

    Raises:
        ConfigurationError: too short, too long, or no hexadecimal digits; the text is not repeated.
    """
    if version is OcppVersion.V16:
        if not _AUTHORIZATION_KEY.fullmatch(text):
            raise ConfigurationError("AuthorizationKey: 16 to 20 octets as hexadecimal digits")
        return bytes.fromhex(text)
    if not MIN_LENGTH <= len(text) <= max_length:
        raise ConfigurationError(f"BasicAuthPassword: {MIN_LENGTH} to {max_length} characters")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("BasicAuthPassword: not text") from None
