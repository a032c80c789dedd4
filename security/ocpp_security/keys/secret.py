"""Passwords and authorisation values: given when needed, shown to nobody."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from .errors import KeyPasswordError

MAX_SECRET = 1023
"""Octets of a secret; more is no password to OpenSSL."""


class Secret:
    """Octets that no repr, log or pickle shows; :meth:`reveal` is the only way to them."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = bytes(octets)

    def reveal(self) -> bytes:
        """The octets."""
        return self._octets

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not pickled")


SecretSource: TypeAlias = Callable[[str], Secret | None]
"""Asked with the name of a key each time that its secret is needed; None: it has none."""


def no_secret(name: str) -> None:
    """The keys have neither password nor authorisation value."""
    del name


def one_secret(octets: bytes) -> SecretSource:
    """The same secret for every key."""
    secret = Secret(octets)
    return lambda _name: secret


def secret_file(path: Path) -> SecretSource:
    """The content of a file without its final line break, read anew each time; the same for every key.

    The source raises KeyPasswordError if the file cannot be read, is empty or longer than ``MAX_SECRET``, or
    if others than its owner may read it.
    """

    def source(name: str) -> Secret:
        del name
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                octets = file.read(MAX_SECRET + 2)
        except OSError as error:
            raise KeyPasswordError(f"cannot read the secret in {path}: {error.strerror}") from None
        if stat.S_IMODE(mode) & 0o077:
            raise KeyPasswordError(f"{path} is readable by others: chmod 600 {path}")
        octets = octets.removesuffix(b"\n").removesuffix(b"\r")
        if not 0 < len(octets) <= MAX_SECRET:
            raise KeyPasswordError(f"{path} holds no secret of 1 to {MAX_SECRET} octets")
        return Secret(octets)

    return source
