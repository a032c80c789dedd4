"""Writing WebSocket frames (RFC 6455 §5.2): whole messages only, so every frame we write is final."""

from enum import IntEnum
from struct import pack, unpack_from
from typing import Final

MAX_CONTROL: Final = 125
"""Longest payload of a control frame (RFC 6455 §5.5)."""

FIN: Final = 0x80
RSV1: Final = 0x40
MASKED: Final = 0x80
LENGTH_16: Final = 126
LENGTH_64: Final = 127
"""Seven bits of length that say: the length is in the 16 or 64 bits that follow."""

_XOR: Final = [bytes(byte ^ key for byte in range(256)) for key in range(256)]
_INTEGER_MASK_BELOW: Final = 400


class Opcode(IntEnum):
    """What a frame is (RFC 6455 §5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """The close codes this package uses by name (RFC 6455 §7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011


def may_send_close(code: int) -> bool:
    """Whether ``code`` may stand in a Close frame (RFC 6455 §7.4)."""
    if code < 3000:
        return 1000 <= code <= 1014 and code not in {1004, CloseCode.NO_STATUS, CloseCode.ABNORMAL}
    return code <= 4999


def apply_mask(payload: bytes, key: bytes) -> bytes | bytearray:
    """Mask or unmask ``payload`` with the four bytes of ``key`` (RFC 6455 §5.3); the result is the caller's.

    Two ways because they cross: one XOR of long integers wins for short payloads, a translation table per
    byte of the key for long ones (measured: 0.5 against 0.7 µs at 30 bytes, 2.2 against 1.6 at 1000). The
    slices are bytearrays on purpose: assigning bytes to a stride copies them first.
    """
    size = len(payload)
    if size < _INTEGER_MASK_BELOW:
        stream = int.from_bytes((key * (size + 3 >> 2))[:size], "little")
        return (int.from_bytes(payload, "little") ^ stream).to_bytes(size, "little")
    masked = bytearray(payload)
    first, second, third, fourth = key
    masked[0::4] = masked[0::4].translate(_XOR[first])
    masked[1::4] = masked[1::4].translate(_XOR[second])
    masked[2::4] = masked[2::4].translate(_XOR[third])
    masked[3::4] = masked[3::4].translate(_XOR[fourth])
    return masked


def encode_frame(opcode: Opcode, payload: bytes, key: bytes | None, *, compressed: bool = False) -> bytes:
    """One final frame, masked with ``key`` if there is one."""
    size = len(payload)
    first = FIN | opcode | (RSV1 if compressed else 0)
    mask = 0 if key is None else MASKED
    if size <= MAX_CONTROL:
        header = pack("!BB", first, mask | size)
    elif size < 1 << 16:
        header = pack("!BBH", first, mask | LENGTH_16, size)
    else:
        header = pack("!BBQ", first, mask | LENGTH_64, size)
    if key is None:
        return header + payload
    return header + key + apply_mask(payload, key)


def close_payload(code: int, reason: str) -> bytes:
    """The payload of a Close frame; a reason that is too long is cut between characters (§5.5.1)."""
    text = reason.encode(errors="replace")[: MAX_CONTROL - 2]
    return pack("!H", code) + text.decode(errors="ignore").encode()


def frame_size(head: bytes) -> int:
    """How many bytes the frame beginning with ``head`` has at least, as far as ``head`` tells.

    Exact once ``head`` holds the length (10 bytes are always enough).
    """
    if len(head) < 2:
        return 2
    length = head[1] & 0x7F
    header = {LENGTH_16: 4, LENGTH_64: 10}.get(length, 2)
    if len(head) < header:
        return header
    if header == 4:
        length = int(unpack_from("!H", head, 2)[0])
    elif header == 10:
        length = int(unpack_from("!Q", head, 2)[0])
    return header + (4 if head[1] & MASKED else 0) + length
