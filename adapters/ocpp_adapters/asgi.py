"""A CSMS within any ASGI application: the WebSockets are the ASGI server's, the rest is as in every server.

::

    central = Central(config, observe, stores, AsyncioConcurrency())
    app = FastAPI()
    app.mount("/ocpp", OcppEndpoint(lambda handshake, peer: central.session()))

Pings, sizes of messages, TLS and compression are settings of the ASGI server (uvicorn:
``--ws-ping-interval``, ``--ws-max-size``, …). It runs wherever that server runs, on asyncio or trio. For a
station's certificate see :mod:`ocpp_adapters.asgi_tls`.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TypeAlias
from urllib.parse import quote

import anyio
from anyio.abc import TaskGroup

from ocpp_core.wire import (
    CloseCode,
    HandshakeReceived,
    NoCommonSubprotocol,
    ServerConfig,
    identity_allowed,
    negotiate,
    parse_basic,
    parse_identity,
)

from .anyio_link import Alarm, AnyioConcurrency, end_links, loop_clock
from .asgi_tls import told
from .bridge import Admitted, EndTransport, Refused, SendMessage, ServerBridge
from .bridge_anyio import Outbox
from .server_driver import Registry, ServerDriver
from .sessions import Admit, Limits, Peer

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_BUSY = 32
"""Messages not yet taken by the station from which on none of its own is taken."""
_REFUSAL = "websocket.http.response"
"""The ASGI extension that lets an application choose the status of a refusal."""
_log = logging.getLogger(__name__)


class OcppEndpoint:
    """An ASGI application for the WebSockets of stations; other requests are answered 426.

    Arguments:
        admit: decides on each handshake, as with every server.
        config: the subprotocols, the order of preference, what to do where none is in common, the realm and
            the time for the answer to a handshake; the rest is the ASGI server's to know.
        limits: how much to take on.

    The identity is the last segment of the path, wherever the application is mounted. A server without the
    extension ``websocket.http.response`` answers every refusal with 403.
    """

    def __init__(
        self, admit: Admit, *, config: ServerConfig | None = None, limits: Limits | None = None
    ) -> None:
        self._registry = Registry(admit, config, limits)

    @property
    def connections(self) -> Mapping[str, ServerDriver]:
        """The open links, by identity; a live view."""
        return self._registry.connections

    async def close(self, *, grace: float = 15.0) -> None:
        """Take nobody in any more, close every link with 1001; after ``grace`` seconds cut what is left.

        For the end of the application's life, before the ASGI server closes the links its own way.
        """
        await end_links(self._registry, grace)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the life of the application."""
        match scope["type"]:
            case "websocket":
                await self._serve(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case _:
                await _answer(send, "http.response", 426, [(b"upgrade", b"websocket")], "not a WebSocket\n")

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        config = self._registry.config
        transport = _Transport(scope, _raising_os_error(send), config)
        asked = _handshake(scope, config)
        if isinstance(asked, Refused):
            await transport.refuse(asked)
        elif asked.subprotocol is None and config.no_common_subprotocol is NoCommonSubprotocol.REFUSE:
            await transport.refuse(Refused(400, "no common subprotocol"))
        elif asked.subprotocol is None:
            await transport.refuse_politely(asked)
        else:
            await self._carry(asked, transport, receive)

    async def _carry(self, asked: HandshakeReceived, transport: "_Transport", receive: Receive) -> None:
        async with anyio.create_task_group() as tasks:
            bridge = ServerBridge(self._registry, AnyioConcurrency(tasks), transport.peer, loop_clock())
            if not self._registry.enter(bridge):
                await transport.refuse(Refused(503, "too many handshakes"))
                return
            try:
                await _Carried(bridge, transport, receive, tasks).run(asked)
            finally:
                bridge.lost()
                self._registry.leave(bridge)
                tasks.cancel_scope.cancel()


class _Carried:
    """A link's tasks: this one reads."""

    def __init__(
        self, bridge: ServerBridge, transport: "_Transport", receive: Receive, tasks: TaskGroup
    ) -> None:
        self._bridge = bridge
        self._transport = transport
        self._receive = receive
        self._tasks = tasks
        self._decided = anyio.Event()
        self._may_read = anyio.Event()
        self._outbox = Outbox(self._deliver, bridge.outbox)
        self._alarm = Alarm(bridge.due, bridge.handle_timer)
        bridge.stir = self._stir

    async def run(self, asked: HandshakeReceived) -> None:
        """Carry the link to its end."""
        self._tasks.start_soon(self._outbox.run)
        self._tasks.start_soon(self._alarm.run)
        self._bridge.ask(asked)
        with anyio.move_on_after(self._transport.config.handshake_timeout):
            await self._decided.wait()
        if not self._decided.is_set():
            self._bridge.give_up()
            await self._decided.wait()
        while True:
            while self._bridge.held or len(self._bridge.outbox) > _BUSY:
                self._may_read = anyio.Event()
                await self._may_read.wait()
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._bridge.lost(message.get("code") or CloseCode.NO_STATUS, message.get("reason") or "")
                return
            text = message.get("text")
            if text is None:
                self._bridge.close(CloseCode.UNSUPPORTED_DATA, "text messages only")
            else:
                self._bridge.receive(text)

    def _stir(self) -> None:
        self._outbox.stir()
        self._alarm.rearm()
        self._may_read.set()
        if self._bridge.stalled:
            self._tasks.cancel_scope.cancel()

    async def _deliver(self, item: SendMessage | EndTransport | Admitted | Refused) -> None:
        try:
            await self._transport.deliver(item)
        except OSError as error:
            _log.debug("%s: gone: %s", self._bridge.identity, error)
            self._bridge.lost()
            self._tasks.cancel_scope.cancel()
        self._may_read.set()
        if isinstance(item, Admitted | Refused):
            self._decided.set()
        if isinstance(item, EndTransport | Refused):
            self._tasks.cancel_scope.cancel()


class _Transport:
    """The ASGI server's end of a connection."""

    def __init__(self, scope: Scope, send: Send, config: ServerConfig) -> None:
        self._send = send
        self._chooses = _REFUSAL in (scope.get("extensions") or {})
        client = scope.get("client")
        self.config = config
        self.peer = Peer(None if client is None else (client[0], client[1]), told(scope))

    async def deliver(self, item: SendMessage | EndTransport | Admitted | Refused) -> None:
        """Do one thing."""
        match item:
            case SendMessage(text):
                await self._send({"type": "websocket.send", "text": text})
            case EndTransport(code, reason):
                await self._send({"type": "websocket.close", "code": int(code), "reason": reason})
            case Admitted(subprotocol):
                await self._send({"type": "websocket.accept", "subprotocol": subprotocol})
            case Refused(status, reason):
                await self._refuse(status, reason)

    async def refuse(self, refused: Refused) -> None:
        """Answer somebody who may have gone."""
        with suppress(OSError):
            await self.deliver(refused)

    async def refuse_politely(self, asked: HandshakeReceived) -> None:
        """Complete the handshake without a subprotocol, then say why it is of no use (OCPP-J part 4 §3)."""
        supported, offered = ", ".join(self.config.subprotocols), ", ".join(asked.subprotocols)
        reason = f"no common subprotocol: supported {supported}; offered {offered or 'none'}"
        reason = reason.encode()[:123].decode(errors="ignore")  # all that a Close holds
        with suppress(OSError):
            await self._send({"type": "websocket.accept"})
            await self.deliver(EndTransport(CloseCode.PROTOCOL_ERROR, reason))

    async def _refuse(self, status: int, reason: str) -> None:
        if not self._chooses:
            await self._send({"type": "websocket.close"})
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        if status == 401:
            headers.append((b"www-authenticate", f'Basic realm="{self.config.realm}"'.encode()))
        await _answer(self._send, _REFUSAL, status, headers, f"{reason}\n")


async def _answer(
    send: Send, kind: str, status: int, headers: Iterable[tuple[bytes, bytes]], text: str
) -> None:
    body = text.encode(errors="replace")
    length = (b"content-length", str(len(body)).encode())
    await send({"type": f"{kind}.start", "status": status, "headers": [*headers, length]})
    await send({"type": f"{kind}.body", "body": body})


def _raising_os_error(send: Send) -> Send:
    """With an OSError if the peer has gone, as the specification wants it; uvicorn has others as well."""

    async def say(message: Message) -> None:
        try:
            await send(message)
        except RuntimeError as error:
            raise ConnectionError(f"the ASGI server takes no {message['type']}: {error}") from error

    return say


def _handshake(scope: Scope, config: ServerConfig) -> HandshakeReceived | Refused:
    """What the station asks for, as the core's own server would tell it."""
    raw = scope.get("raw_path")
    path = raw.decode("latin-1").partition("?")[0] if raw else quote(scope["path"])
    headers = [(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]]
    offered = tuple(scope.get("subprotocols") or ())
    subprotocol = negotiate(offered, config.subprotocols, server_order=config.server_order)
    identity = parse_identity(path)
    if identity is None or not identity_allowed(identity, subprotocol):
        return Refused(404, "no identity, or none that is allowed")
    authorizations = [value for name, value in headers if name == b"authorization"]
    if len(authorizations) > 1:
        return Refused(400, "more than one Authorization")
    return HandshakeReceived(
        path=path,
        identity=identity,
        credentials=parse_basic(authorizations[0], identity) if authorizations else None,
        subprotocols=offered,
        subprotocol=subprotocol,
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=tuple(header for header in headers if header[0] != b"authorization"),
    )
