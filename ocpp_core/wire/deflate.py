"""permessage-deflate without context takeover (RFC 7692), inflating no further than it is told."""

import re
import zlib
from typing import Final

EXTENSION: Final = "permessage-deflate"

_TRAILER: Final = b"\x00\x00\xff\xff"
_PARAMETER: Final = re.compile(r"\s*([a-z_]+)\s*(?:=\s*(?:\"(\d+)\"|(\d+))\s*)?")
_WINDOW: Final = {str(bits): bits for bits in range(8, 16)}


class InflateError(Exception):
    """The payload is no deflate stream, or inflates to more than allowed (``too_big``)."""

    def __init__(self, *, too_big: bool) -> None:
        super().__init__("too big" if too_big else "not a deflate stream")
        self.too_big = too_big


class Inflater:
    """Inflates one message, fed in pieces. Output is bounded before it is made, not after."""

    __slots__ = ("_zlib",)

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=-15)

    def feed(self, data: bytes, room: int) -> bytes:
        """Inflate ``data``; raises :class:`InflateError` if there is more than ``room`` bytes of output."""
        try:
            out = self._zlib.decompress(data, room + 1)
        except zlib.error:
            raise InflateError(too_big=False) from None
        if len(out) > room:
            raise InflateError(too_big=True)
        # A stream may end in a final block; only the zero byte of RFC 7692 §7.2.3.4 may follow it.
        if self._zlib.unused_data not in (b"", b"\x00"):
            raise InflateError(too_big=False)
        return out

    def finish(self, room: int) -> bytes:
        """What is still inside at the end of the message (RFC 7692 §7.2.2)."""
        return b"" if self._zlib.eof else self.feed(_TRAILER, room)


def deflate(payload: bytes, window_bits: int) -> bytes:
    """One message, compressed on its own (RFC 7692 §7.2.1)."""
    machine = zlib.compressobj(wbits=-window_bits)
    return (machine.compress(payload) + machine.flush(zlib.Z_SYNC_FLUSH))[: -len(_TRAILER)]


def _parameters(element: str) -> dict[str, str | None] | None:
    """The parameters of one extension element, ``None`` if it is not ours or not well-formed."""
    name, *rest = element.split(";")
    if name.strip() != EXTENSION:
        return None
    found: dict[str, str | None] = {}
    for text in rest:
        match = _PARAMETER.fullmatch(text)
        if match is None or match[1] in found:
            return None
        found[match[1]] = match[2] or match[3]
    return found


def accept_offer(header: str) -> tuple[str, int] | None:
    """Answer a client's Sec-WebSocket-Extensions: our answer and the window bits we must keep to.

    The first acceptable element wins (RFC 7692 §5.1); ``None`` if there is none. A window of 8 bits is
    declined: zlib cannot write a raw stream with one.
    """
    for element in header.split(","):
        parameters = _parameters(element)
        if parameters is None or not parameters.keys() <= {
            "server_no_context_takeover",
            "client_no_context_takeover",
            "server_max_window_bits",
            "client_max_window_bits",
        }:
            continue
        if any(parameters.get(f"{side}_no_context_takeover") is not None for side in ("server", "client")):
            continue
        if (parameters.get("client_max_window_bits") or "15") not in _WINDOW:
            continue
        answer = f"{EXTENSION}; server_no_context_takeover; client_no_context_takeover"
        if "server_max_window_bits" not in parameters:
            return answer, 15
        bits = _WINDOW.get(parameters["server_max_window_bits"] or "", 8)
        if bits > 8:
            return f"{answer}; server_max_window_bits={bits}", bits
    return None


OFFER: Final = f"{EXTENSION}; server_no_context_takeover; client_no_context_takeover"
"""What a client offers. It takes no window limit of its own, so the server may name none."""


def check_answer(header: str) -> bool:
    """Whether a server's Sec-WebSocket-Extensions is an answer to :data:`OFFER` (RFC 7692 §7.1)."""
    parameters = _parameters(header)
    if parameters is None or "server_no_context_takeover" not in parameters:
        return False
    bits = parameters.pop("server_max_window_bits", "15")
    valueless = {"server_no_context_takeover", "client_no_context_takeover"}
    return bits in _WINDOW and parameters.keys() <= valueless and not any(parameters.values())
