"""Two other implementations as oracles, brought to one vocabulary: what was received, in order.

Entries: ``("text", str)``, ``("ping", bytes)``, ``("close", code, reason)``, ``("fail", code)``; nothing
follows a close or a failure.
"""

from websockets.client import ClientProtocol
from websockets.frames import Close, Frame
from websockets.frames import Opcode as Op
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

Received = list[tuple[object, ...]]


def wsproto_receives(chunks: list[bytes], *, client: bool) -> Received:
    """What wsproto's frame protocol makes of a stream; a binary message is a failure, as it is for us."""
    protocol = FrameProtocol(client, [])
    received: Received = []
    pieces: list[str] = []
    for chunk in chunks:
        protocol.receive_bytes(chunk)
        try:
            for frame in protocol.received_frames():
                if frame.opcode is Opcode.BINARY:
                    return [*received, ("fail", 1003)]
                if frame.opcode is Opcode.TEXT:
                    pieces.append(str(frame.payload))
                    if frame.message_finished:
                        received.append(("text", "".join(pieces)))
                        pieces.clear()
                elif frame.opcode is Opcode.PING:
                    received.append(("ping", frame.payload))
                elif frame.opcode is Opcode.CLOSE:
                    return [*received, ("close", *frame.payload)]
        except ParseFailed as error:
            return [*received, ("fail", int(error.code))]
    return received


def websockets_receives(chunks: list[bytes], *, client: bool) -> Received:
    """What the sans-I/O core of websockets makes of a stream. It leaves UTF-8 to its callers: done here."""
    protocol = (
        ClientProtocol(parse_uri("ws://csms/"), state=OPEN, max_size=None)
        if client
        else ServerProtocol(state=OPEN, max_size=None)
    )
    received: Received = []
    message = b""
    for chunk in chunks:
        protocol.receive_data(chunk)
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)
            if frame.opcode is Op.PING:
                received.append(("ping", bytes(frame.data)))
            elif frame.opcode is Op.CLOSE:
                close = Close.parse(frame.data)
                received.append(("close", close.code, close.reason))
            elif frame.opcode is not Op.PONG:
                message += frame.data
                if frame.fin:
                    received.append(("text", message.decode()))
                    message = b""
        if protocol.parser_exc is not None:
            assert protocol.close_sent is not None
            return [*received, ("fail", protocol.close_sent.code)]
        if protocol.close_rcvd is not None:
            break
    return received
