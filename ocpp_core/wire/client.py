"""The charging station's end of a WebSocket link."""

from base64 import b64encode

import h11

from ..entropy import Entropy
from .config import ClientConfig
from .deflate import OFFER
from .events import Closed, FailureReason, HandshakeFailed, NoticeKind, SendBytes, WireNotice
from .frames import CloseCode
from .handshake import BadResponseError, HeadReader, check_response
from .link import Link

_REASONS = {
    401: FailureReason.UNAUTHORIZED,
    403: FailureReason.UNAUTHORIZED,
    404: FailureReason.NOT_FOUND,
}


class WebSocketClient(Link):
    """A station's connection to its CSMS: bytes in, actions out; the request is the first of them.

    ``entropy`` is asked for the handshake's nonce (16 bytes) and each frame's masking key (4 bytes), and
    must be cryptographic in the field (RFC 6455 §10.3). ``now`` is when the transport was connected, in
    monotonic seconds.
    """

    __slots__ = ("_head", "_key", "_refused")

    _config: ClientConfig

    def __init__(self, config: ClientConfig, entropy: Entropy, now: float) -> None:
        super().__init__(config, entropy, now)
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=config.max_header_size)
        self._head: HeadReader | None = HeadReader(http, config.max_header_size)
        self._key = b64encode(entropy(16))
        self._refused = False
        self._actions.append(SendBytes(http.send(self._request())))

    def _request(self) -> h11.Request:
        config = self._config
        endpoint = config.endpoint
        headers: list[tuple[str, str]] = [
            ("Host", endpoint.authority),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self._key.decode()),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", ", ".join(config.subprotocols)),
        ]
        if config.deflate:
            headers.append(("Sec-WebSocket-Extensions", OFFER))
        if config.credentials is not None:
            headers.append(("Authorization", config.credentials.header().decode()))
        return h11.Request(method="GET", target=endpoint.target, headers=[*headers, *config.headers])

    def _receive_handshake(self, data: bytes, now: float) -> None:
        assert self._head is not None
        try:
            event, rest = self._head.receive(data)
            if isinstance(event, h11.InformationalResponse):
                self._switch(event, rest, now)
            elif isinstance(event, h11.Response):
                status = event.status_code
                phrase = event.reason.decode("latin-1")
                self._give_up(_REASONS.get(status, FailureReason.HTTP_STATUS), status, f"{status} {phrase}")
        except h11.RemoteProtocolError as error:
            self._give_up(FailureReason.BAD_HANDSHAKE, None, str(error))
        except BadResponseError as error:
            self._give_up(FailureReason.BAD_HANDSHAKE, 101, str(error))

    def _switch(self, response: h11.InformationalResponse, rest: bytes, now: float) -> None:
        config = self._config
        answer = check_response(
            list(response.headers), self._key, config.subprotocols, deflate=config.deflate
        )
        self._head = None
        self._key = b""
        self._start_frames(15 if answer.deflate else None)
        if answer.subprotocol is None:
            # How a CSMS refuses (OCPP-J part 4 §3): its Close is on the way, and may say why.
            self._refused = True
            self.close(CloseCode.PROTOCOL_ERROR, "no subprotocol agreed", now)
        else:
            self._open(answer.subprotocol, now)
        self.receive_data(rest, now)

    def _handshake_lost(self) -> None:
        self._give_up(FailureReason.TRANSPORT, None, "the transport ended in the handshake")

    def _handshake_timed_out(self) -> None:
        self._actions.append(WireNotice(NoticeKind.TIMEOUT, "no response in time"))
        self._give_up(FailureReason.TIMEOUT, None, "no response in time")

    def _give_up_handshake(self) -> None:
        self._give_up(FailureReason.TRANSPORT, None, "closed before it was open")

    def _give_up(self, reason: FailureReason, status: int | None, detail: str) -> None:
        self._head = None
        super()._finish(HandshakeFailed(reason, status, detail), abort=True)

    def _finish(self, last: Closed | HandshakeFailed, *, abort: bool) -> None:
        """A refused subprotocol never opened the link, whatever ended it."""
        if self._refused:
            last = HandshakeFailed(FailureReason.REFUSED_SUBPROTOCOL, 101, last.reason)
        super()._finish(last, abort=abort)
