"""Reading WebSocket frames: a short path for the common frame, wsproto for everything else.

The short path takes a frame that is final, text, without reserved bits, masked as it must be, below 64 kB
and the limit, complete in the data at hand, and not in the middle of a fragmented message. Every other byte
goes to wsproto, whole frames and pieces alike, and once wsproto has finished its frame and its message the
short path takes over again. Property tests hold the two against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wsproto.extensions import Extension
from wsproto.frame_protocol import (
    CloseReason,
    Frame,
    FrameDecoder,
    FrameProtocol,
    ParseFailed,
    RsvBits,
)
from wsproto.frame_protocol import Opcode as WsprotoOpcode

from .deflate import InflateError, Inflater
from .events import Action, Text
from .frames import FIN, LENGTH_16, MASKED, MAX_CONTROL, CloseCode, Opcode, apply_mask, frame_size

_FINAL_TEXT: Final = FIN | Opcode.TEXT
_HEAD: Final = 10
_DETAIL: Final[dict[int, str]] = {
    CloseCode.UNSUPPORTED_DATA: "binary message",
    CloseCode.INVALID_DATA: "text that is not UTF-8, or not deflated",
    CloseCode.MESSAGE_TOO_BIG: "message too big",
}
_NO_BITS: Final = RsvBits(False, False, False)
_COMPRESSED: Final = RsvBits(True, False, False)


@dataclass(frozen=True, slots=True)
class Ping:
    """A Ping frame; to be answered with its payload (RFC 6455 §5.5.2)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """A Pong frame (RFC 6455 §5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """A Close frame; code 1005 stands for an empty one (RFC 6455 §5.5.1, §7.1.5)."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The peer broke the protocol: the link is to be failed with ``code`` (RFC 6455 §7.1.7)."""

    code: int
    detail: str


Control = Ping | Pong | Close | Failure


class FrameReader:
    """Turns bytes into messages and control frames. After a Close or a Failure it ignores what comes.

    Holds nothing but a few words while the peer sends common frames; wsproto's machinery lives from the
    first byte that needs it until it has nothing left to wait for. ``limit`` bounds a message in bytes.
    Without ``short_path`` everything goes to wsproto, to hold the two against each other.
    """

    __slots__ = (
        "_buffer",
        "_client",
        "_deflate",
        "_done",
        "_fed",
        "_head",
        "_limit",
        "_short_path",
        "_wsproto",
    )

    def __init__(self, *, client: bool, limit: int, deflate: bool, short_path: bool = True) -> None:
        self._client = client
        self._limit = limit
        self._deflate = deflate
        self._short_path = short_path
        self._done = False
        self._wsproto: FrameProtocol | None = None
        # The frame that wsproto is in the middle of: how it begins, and how many bytes of it wsproto has.
        self._head = b""
        self._fed = 0
        # The message that wsproto is in the middle of, as UTF-8.
        self._buffer: bytearray | None = None

    def receive(self, data: bytes, out: list[Action]) -> Sequence[Control]:
        """Take bytes in: appends complete messages to ``out``, returns control frames, both in order."""
        position = self._read_common(data, 0, out) if self._wsproto is None and self._short_path else 0
        return () if position == len(data) else self._read_mixed(data, position, out)

    def _read_mixed(self, data: bytes, position: int, out: list[Action]) -> list[Control]:
        """Take turns: wsproto's frame, then as many common ones as follow."""
        controls: list[Control] = []
        while position < len(data) and not self._done:
            position = self._read_any(data, position, out, controls)
            if self._idle and self._short_path:
                position = self._read_common(data, position, out)
        if self._idle:
            self._wsproto = None
        return controls

    @property
    def _idle(self) -> bool:
        """Between two frames and between two messages: wsproto holds nothing."""
        return self._fed == 0 and self._buffer is None

    def _read_common(self, data: bytes, position: int, out: list[Action]) -> int:
        """Read common frames from ``position`` on; returns where the first other one begins.

        A frame of 64 kB and more is none: unmasking is all that counts there, and the same for both paths.
        """
        masked = 0 if self._client else MASKED
        end = len(data)
        while end - position >= 2 and data[position] == _FINAL_TEXT:
            size = data[position + 1] ^ masked
            body = position + 2
            if size > MAX_CONTROL:
                if size != LENGTH_16 or end < body + 2:
                    break
                size = data[body] << 8 | data[body + 1]
                body += 2
                if size <= MAX_CONTROL:
                    break  # not the shortest form: an error, and wsproto's to report
            if masked:
                body += 4
            stop = body + size
            if stop > end or size > self._limit:
                break
            payload = data[body:stop]
            try:
                text = (apply_mask(payload, data[body - 4 : body]) if masked else payload).decode()
            except UnicodeDecodeError:
                break
            out.append(Text(text))
            position = stop
        return position

    def _read_any(self, data: bytes, position: int, out: list[Action], controls: list[Control]) -> int:
        """Hand wsproto the rest of one frame, or as much of it as is there; returns where that ends."""
        if self._wsproto is None:
            self._wsproto = FrameProtocol(self._client, [_Limits(self._limit, self._deflate)])
        if len(self._head) < _HEAD:
            # Bytes past a short frame's end may stand in here too: frame_size() does not look at them.
            self._head += data[position : position + _HEAD - len(self._head)]
        stop = min(position + frame_size(self._head) - self._fed, len(data))
        self._fed += stop - position
        self._wsproto.receive_bytes(data[position:stop])
        try:
            for frame in self._wsproto.received_frames():
                self._take(frame, out, controls)
        except ParseFailed as error:
            controls.append(Failure(int(error.code), _DETAIL.get(error.code, str(error))))
            self._done = True
        if self._done:
            self._buffer = None
            self._short_path = False
        if self._done or self._fed == frame_size(self._head):
            self._head = b""
            self._fed = 0
        return stop

    def _take(self, frame: Frame, out: list[Action], controls: list[Control]) -> None:
        """Sort in what wsproto found: a piece of a text message (we let no other in) or a control frame."""
        payload = frame.payload
        if isinstance(payload, str):
            if self._buffer is None:
                if frame.message_finished:
                    out.append(Text(payload))
                    return
                self._buffer = bytearray()
            self._buffer += payload.encode()
            if frame.message_finished:
                out.append(Text(self._buffer.decode()))
                self._buffer = None
        elif isinstance(payload, tuple):
            controls.append(Close(int(payload[0]), payload[1]))
            self._done = True
        else:
            controls.append((Ping if frame.opcode is WsprotoOpcode.PING else Pong)(payload))


class _Limits(Extension):
    """Sits in wsproto where an extension does, to hear each frame's header before its payload is taken in.

    Refuses binary messages (OCPP-J is text) and messages beyond the limit by the length they declare, and
    inflates compressed ones piece by piece within it: wsproto's own extension inflates without a bound.
    """

    name = "limits"

    def __init__(self, limit: int, deflate: bool) -> None:
        self._limit = limit
        self._deflate = deflate
        self._control = False
        self._in_message = False
        self._size = 0
        self._inflater: Inflater | None = None

    def enabled(self) -> bool:
        """Always: wsproto leaves out extensions that are not."""
        return True

    def offer(self) -> bool:
        """Nothing: the handshake is ours, and this is no real extension."""
        return False

    def frame_inbound_header(
        self, _proto: FrameDecoder | FrameProtocol, opcode: WsprotoOpcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """A frame begins: refuse it, or say which reserved bits it may have.

        wsproto asks again if the header's last bytes were still missing, so nothing is counted yet.
        """
        self._control = opcode.iscontrol()
        if self._control:
            return _NO_BITS
        first = not self._in_message and opcode is not WsprotoOpcode.CONTINUATION
        if first and opcode is WsprotoOpcode.BINARY:
            return CloseReason.UNSUPPORTED_DATA
        if first and self._deflate and rsv.rsv1:
            self._inflater = Inflater()
            return _COMPRESSED
        if self._inflater is None and self._size + payload_length > self._limit:
            return CloseReason.MESSAGE_TOO_BIG
        return _NO_BITS

    def frame_inbound_payload_data(
        self, _proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """A piece of a frame's payload."""
        if self._control:
            return data
        if self._inflater is None:
            self._size += len(data)
            return data
        return self._inflate(self._inflater, data)

    def frame_inbound_complete(
        self, _proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """A frame ends, and with ``fin`` its message (a control frame's end is no message's)."""
        if self._control:
            return None
        self._in_message = not fin
        if not fin:
            return None
        tail = None if self._inflater is None else self._inflate(self._inflater, None)
        self._size = 0
        self._inflater = None
        return tail

    def _inflate(self, inflater: Inflater, data: bytes | None) -> bytes | CloseReason:
        room = self._limit - self._size
        try:
            out = inflater.finish(room) if data is None else inflater.feed(data, room)
        except InflateError as error:
            return CloseReason.MESSAGE_TOO_BIG if error.too_big else CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._size += len(out)
        return out
