"""Randomness as an input.

The core draws message ids, masking keys, nonces and jitter from a callable it is given; adapters inject
``os.urandom``, tests and the simulator inject :class:`SeededEntropy`, the recorder a source that writes
down every draw. With the same draws the same inputs give the same actions, byte for byte.
"""

import hashlib
from collections.abc import Callable

Entropy = Callable[[int], bytes]
"""Returns exactly ``n`` random bytes for ``n >= 1``."""


class SeededEntropy:
    """A reproducible stream of bytes: SHA-256 over a seed and a counter. Not for production keys."""

    __slots__ = ("_buffer", "_counter", "_seed")

    def __init__(self, seed: int | str) -> None:
        self._seed = str(seed).encode()
        self._counter = 0
        self._buffer = b""

    def __call__(self, n: int) -> bytes:
        """The next ``n`` bytes of the stream."""
        while len(self._buffer) < n:
            block = self._counter.to_bytes(8, "big")
            self._buffer += hashlib.sha256(self._seed + b"/" + block).digest()
            self._counter += 1
        drawn, self._buffer = self._buffer[:n], self._buffer[n:]
        return drawn


def message_id(entropy: Entropy) -> str:
    """A fresh message id: 128 random bits as a UUID version 4 (36 characters, OCPP-J errata 3.1)."""
    raw = bytearray(entropy(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def fraction(entropy: Entropy) -> float:
    """A uniform float in [0, 1), from 32 random bits."""
    return int.from_bytes(entropy(4), "big") / 2**32
