"""Key files of a TPM: "TSS2 PRIVATE KEY" in PEM, the ASN.1 of the TPM 2.0 key file draft, read without a TPM.

The private part in it is encrypted by the TPM that made it; the file is of no use elsewhere. Beside or
instead of it a file may name a persistent handle in a line ``handle:0x81……``.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

from .errors import KeyFormatError, KeyUnsuitableError

MAX_FILE_SIZE: Final = 64 << 10
LOADABLE_KEY: Final = bytes.fromhex("06066781050a0103")
"""The object identifier 2.23.133.10.1.3 in DER."""
OWNER: Final = 0x40000001
"""The handle of the owner hierarchy: the parent is its primary key."""
PERSISTENT: Final = range(0x81000000, 0x81800000)
"""The persistent handles of the owner (TCG registry of reserved TPM 2.0 handles)."""

_BLOCK = re.compile(
    rb"-----BEGIN TSS2 PRIVATE KEY-----([A-Za-z0-9+/=\s]*)-----END TSS2 PRIVATE KEY-----", re.ASCII
)
_HANDLE = re.compile(rb"^handle:0x([0-9A-Fa-f]{8})\s*$", re.MULTILINE)
_OID, _INTEGER, _OCTETS, _BOOLEAN, _SEQUENCE = 0x06, 0x02, 0x04, 0x01, 0x30
_EMPTY_AUTH, _POLICY, _DESCRIPTION = 0xA0, 0xA1, 0xA4


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A key that its TPM has encrypted."""

    parent: int
    """The handle of its parent: a persistent key, or ``OWNER``."""
    empty_auth: bool
    """It has no authorisation value."""
    public: bytes
    """TPM2B_PUBLIC."""
    private: bytes = field(repr=False)
    """TPM2B_PRIVATE."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What a key file of a TPM says; at least one of the two."""

    handle: int | None
    wrapped: WrappedKey | None

    def encode(self) -> bytes:
        """The file's octets."""
        line = b"" if self.handle is None else f"handle:{self.handle:#010x}\n".encode()
        return line + (b"" if self.wrapped is None else _armour(_to_der(self.wrapped)))


def is_tpm_file(data: bytes) -> bool:
    """Whether this is a key that only a TPM can use."""
    return _BLOCK.search(data) is not None or _HANDLE.search(data) is not None


def parse(data: bytes) -> KeyFile:
    """Read a key file.

    Raises:
        KeyFormatError: it is damaged, too large, or names no key. KeyUnsuitableError: using the key takes a
            policy, which is not supported.
    """
    if len(data) > MAX_FILE_SIZE:
        raise KeyFormatError("the TPM key file is too large")
    handle, block = _HANDLE.search(data), _BLOCK.search(data)
    if handle is None and block is None:
        raise KeyFormatError("neither a TSS2 PRIVATE KEY in PEM nor a persistent handle")
    number = None if handle is None else check_handle(int(handle[1], 16))
    return KeyFile(number, None if block is None else parse_der(_unarmour(block[1])))


def check_handle(handle: int) -> int:
    """The handle, if it is a persistent one of the owner. Raises KeyFormatError."""
    if handle not in PERSISTENT:
        raise KeyFormatError(f"{handle:#x} is no persistent handle of the owner (0x81000000 to 0x817fffff)")
    return handle


def parse_der(der: bytes) -> WrappedKey:
    """Read the TPMKey structure. Raises KeyFormatError, KeyUnsuitableError."""
    reader = _Reader(_Reader(der).only(_SEQUENCE))
    if reader.take(_OID) != LOADABLE_KEY[2:]:
        raise KeyUnsuitableError("a TPM key file of another kind: only loadable keys are supported")
    empty_auth = False
    while (tag := reader.tag()) is not None and tag & 0xE0 == 0xA0:
        value = reader.take(tag)
        if tag == _EMPTY_AUTH:
            empty_auth = any(_Reader(value).only(_BOOLEAN))  # some writers encode TRUE as 1
        elif _POLICY <= tag < _DESCRIPTION:
            raise KeyUnsuitableError("the TPM key is bound to a policy, which is not supported")
    parent = int.from_bytes(reader.take(_INTEGER), "big", signed=True) & 0xFFFFFFFF  # some write it negative
    key = WrappedKey(parent, empty_auth, reader.take(_OCTETS), reader.take(_OCTETS))
    reader.end()
    if key.parent != OWNER:
        check_handle(key.parent)
    return key


class _Reader:
    """DER, one level."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def tag(self) -> int | None:
        return self._data[self._at] if self._at < len(self._data) else None

    def take(self, tag: int) -> bytes:
        if self.tag() != tag:
            raise KeyFormatError(f"the TPM key file is damaged at octet {self._at}")
        start, length = self._length(self._at + 1)
        if start + length > len(self._data):
            raise KeyFormatError("the TPM key file is cut off")
        self._at = start + length
        return self._data[start : self._at]

    def only(self, tag: int) -> bytes:
        value = self.take(tag)
        self.end()
        return value

    def end(self) -> None:
        if self._at != len(self._data):
            raise KeyFormatError("the TPM key file has trailing octets")

    def _length(self, at: int) -> tuple[int, int]:
        first = self._data[at] if at < len(self._data) else 0xFF
        if first < 0x80:
            return at + 1, first
        octets = first & 0x7F
        if not 1 <= octets <= 3 or at + 1 + octets > len(self._data):
            raise KeyFormatError("the TPM key file has a length that makes no sense")
        return at + 1 + octets, int.from_bytes(self._data[at + 1 : at + 1 + octets], "big")


def _unarmour(block: bytes) -> bytes:
    try:
        return binascii.a2b_base64(b"".join(block.split()), strict_mode=True)
    except binascii.Error:
        raise KeyFormatError("the TPM key file is not base64") from None


def _armour(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = (text[at : at + 64] for at in range(0, len(text), 64))
    body = b"\n".join(lines)
    return b"-----BEGIN TSS2 PRIVATE KEY-----\n" + body + b"\n-----END TSS2 PRIVATE KEY-----\n"


def _to_der(key: WrappedKey) -> bytes:
    # The draft's default is false; the tpm2 provider takes absence for true.
    empty_auth = _element(_EMPTY_AUTH, _element(_BOOLEAN, b"\xff" if key.empty_auth else b"\0"))
    parent = _element(_INTEGER, key.parent.to_bytes(key.parent.bit_length() // 8 + 1, "big"))
    return _element(
        _SEQUENCE,
        LOADABLE_KEY + empty_auth + parent + _element(_OCTETS, key.public) + _element(_OCTETS, key.private),
    )


def _element(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < 0x80:
        return bytes((tag, size)) + value
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + value
