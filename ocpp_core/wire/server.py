"""The CSMS's end of a WebSocket link."""

from collections.abc import Sequence
from enum import Enum
from http import HTTPStatus
from typing import Final

import h11

from ..errors import LocalProtocolError
from .address import identity_allowed
from .config import NoCommonSubprotocol, ServerConfig, is_header
from .events import Closed, NoticeKind, SendBytes, WireNotice
from .frames import CloseCode
from .handshake import HeadReader, RefusedError, UpgradeRequest, accept_key, check_request
from .link import Link, LinkState


class _Default(Enum):
    NEGOTIATED = "negotiated"


NEGOTIATED: Final = _Default.NEGOTIATED
"""For ``accept()``: the subprotocol that the negotiation found."""

_STATUS_HEADERS: Final[dict[int, list[tuple[str, str]]]] = {
    405: [("Allow", "GET")],
    426: [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
}


class WebSocketServer(Link):
    """One station's connection as the CSMS sees it: bytes in, actions out.

    ``now`` is when the transport was accepted, in monotonic seconds.
    """

    __slots__ = ("_early", "_head", "_request")

    _config: ServerConfig

    def __init__(self, config: ServerConfig, now: float) -> None:
        super().__init__(config, None, now)
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=config.max_header_size)
        # All three go when the handshake is over: h11 is the better part of a connection's memory.
        self._head: HeadReader | None = HeadReader(http, config.max_header_size)
        self._request: UpgradeRequest | None = None
        self._early = b""

    def accept(self, now: float, subprotocol: str | _Default | None = NEGOTIATED) -> None:
        """Answer :class:`.HandshakeReceived` with 101.

        ``subprotocol`` may be any that the client offers. If it is ``None`` - and it is by default if there
        is none in common - the link does not open: the configuration says whether the handshake is
        completed without one and the link closed with a reason, or refused with 400. Raises
        :class:`LocalProtocolError` if no handshake waits for an answer, or if the client did not offer
        ``subprotocol`` or may not use it with its identity.
        """
        request = self._awaiting("accept()")
        asked = request.asked
        chosen = asked.subprotocol if subprotocol is NEGOTIATED else subprotocol
        if chosen is not None and chosen not in asked.subprotocols:
            raise LocalProtocolError(f"{chosen!r} was not offered")
        if not identity_allowed(asked.identity, chosen):
            raise LocalProtocolError(f"the identity is not allowed in {chosen}")
        if chosen is None:
            self._accept_nothing(request, now)
            return
        early = self._switch(request, chosen)
        self._open(chosen, now)
        self.receive_data(early, now)

    def reject(
        self, status: int, now: float, reason: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer :class:`.HandshakeReceived` with an HTTP error and close.

        404 for an unknown identity, 401 for bad credentials (WWW-Authenticate is added), 503 when
        overloaded; ``reason`` becomes the body. Raises :class:`LocalProtocolError` if no handshake waits
        for an answer, or if ``status`` is not in 400-599 or a header is malformed.
        """
        del now  # every input has it, this one has no use for it
        self._awaiting("reject()")
        if not 400 <= status <= 599 or not all(is_header(*header) for header in headers):
            raise LocalProtocolError("an HTTP error status from 400 to 599 and proper headers are needed")
        self._refuse(status, reason, headers)

    def _awaiting(self, what: str) -> UpgradeRequest:
        self._require(LinkState.ANSWERING, what)
        assert self._request is not None
        return self._request

    def _receive_handshake(self, data: bytes, now: float) -> None:
        del now  # the server's answer does not depend on it
        if self._state is LinkState.ANSWERING:
            # A client has to wait for our answer (RFC 6455 §4.1); what it sends early is kept, bounded.
            self._keep_early(data)
            return
        assert self._head is not None
        try:
            event, rest = self._head.receive(data)
            if not isinstance(event, h11.Request):
                return
            self._request = request = check_request(event, self._config)
        except RefusedError as refusal:
            self._refuse_by_rule(refusal.status, refusal.detail)
        except h11.RemoteProtocolError as error:
            self._refuse_by_rule(error.error_status_hint, str(error))
        else:
            self._state = LinkState.ANSWERING
            self._actions.append(request.asked)
            self._keep_early(rest)

    def _keep_early(self, data: bytes) -> None:
        if len(self._early) + len(data) > self._config.max_header_size:
            self._refuse_by_rule(400, "data ahead of the answer")
        else:
            self._early += data

    def _handshake_lost(self) -> None:
        self._forget_handshake()
        self._finish(Closed(CloseCode.ABNORMAL, "the transport ended in the handshake", False), abort=True)

    def _handshake_timed_out(self) -> None:
        if self._state is LinkState.HANDSHAKE:
            self._refuse_by_rule(408, "no request in time")
        else:
            self._refuse_by_rule(503, "no answer of the application in time")

    def _give_up_handshake(self) -> None:
        self._refuse(503, "closing")

    def _forget_handshake(self) -> None:
        self._head = self._request = None
        self._early = b""

    def _switch(self, request: UpgradeRequest, subprotocol: str | None) -> bytes:
        """Send the 101; returns what the client sent ahead of it."""
        headers = [
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Accept", accept_key(request.key)),
        ]
        window_bits = None
        if subprotocol is not None:
            headers.append((b"Sec-WebSocket-Protocol", subprotocol.encode("ascii")))
        if request.deflate is not None:
            answer, window_bits = request.deflate
            headers.append((b"Sec-WebSocket-Extensions", answer.encode("ascii")))
        assert self._head is not None
        head = h11.InformationalResponse(status_code=101, headers=headers, reason=b"Switching Protocols")
        self._actions.append(SendBytes(self._head.http.send(head)))
        early = self._early
        self._forget_handshake()
        self._start_frames(window_bits)
        return early

    def _accept_nothing(self, request: UpgradeRequest, now: float) -> None:
        """No subprotocol: never usable, so :class:`.Opened` does not come (OCPP-J part 4 §3)."""
        # The peer's part comes last: a Close holds 123 bytes, and it is the part that may be long.
        supported = ", ".join(self._config.subprotocols)
        offered = ", ".join(request.asked.subprotocols)
        detail = f"no common subprotocol: supported {supported}; offered {offered or 'none'}"
        self._actions.append(WireNotice(NoticeKind.NO_COMMON_SUBPROTOCOL, detail))
        if self._config.no_common_subprotocol is NoCommonSubprotocol.REFUSE:
            self._refuse(400, detail)
            return
        early = self._switch(request, None)
        self.close(CloseCode.PROTOCOL_ERROR, detail, now)
        self.receive_data(early, now)

    def _refuse_by_rule(self, status: int, detail: str) -> None:
        self._actions.append(WireNotice(NoticeKind.HANDSHAKE_REFUSED, f"{status}: {detail}"))
        self._refuse(status, detail)

    def _refuse(self, status: int, detail: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        assert self._head is not None
        http = self._head.http
        # 405 may answer a HEAD, which has no body.
        body = b"" if status == HTTPStatus.METHOD_NOT_ALLOWED else f"{detail}\n".encode(errors="replace")
        extra = list(_STATUS_HEADERS.get(status, ()))
        if status == HTTPStatus.UNAUTHORIZED:
            extra.append(("WWW-Authenticate", f'Basic realm="{self._config.realm}"'))
        response = h11.Response(
            status_code=status,
            reason=_phrase(status),
            headers=[
                ("Connection", "close"),
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(body))),
                *extra,
                *headers,
            ],
        )
        sent = http.send(response) + http.send(h11.Data(data=body)) + http.send(h11.EndOfMessage())
        self._actions.append(SendBytes(sent))
        self._forget_handshake()
        self._finish(Closed(CloseCode.ABNORMAL, f"refused with {status}: {detail}", False), abort=False)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
