"""OCPP over an asynchronous message transport, as another WebSocket library, on asyncio or trio."""

from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Generic, NoReturn, TypeVar

import anyio

from .anyio_link import Alarm, loop_clock
from .bridge import Bridge, EndTransport, SendMessage
from .sessions import Session

Item = TypeVar("Item")


class Outbox(Generic[Item]):
    """What plain functions want done, done one after the other by a task."""

    def __init__(
        self, deliver: Callable[[Item], Awaitable[object]], items: deque[Item] | None = None
    ) -> None:
        self.items: deque[Item] = deque() if items is None else items
        self._deliver = deliver
        self._changed = anyio.Event()

    def put(self, item: Item) -> None:
        """Have something done."""
        self.items.append(item)
        self.stir()

    def stir(self) -> None:
        """There is something in the items."""
        self._changed.set()

    async def run(self) -> NoReturn:
        """Deliver until cancelled."""
        while True:
            while self.items:
                await self._deliver(self.items.popleft())
            self._changed = anyio.Event()
            await self._changed.wait()


async def carry(
    session: Session,
    messages: AsyncIterable[str],
    send: Callable[[str], Awaitable[object]],
    *,
    identity: str,
    subprotocol: str,
    close: Callable[[int, str], Awaitable[object]] | None = None,
) -> None:
    """Carry a link over somebody else's connection to its end.

    Arguments:
        session: who gets the messages, as :class:`~ocpp_adapters.rpc_link.RpcLink`.
        messages: the text messages that come; it ends with the connection.
        send: sends one text message.
        identity: the station's.
        subprotocol: what is spoken, as ``ocpp2.0.1``.
        close: ends the connection with code and reason, when this side wants to.

    If ``messages`` or ``send`` raises, the session hears that the link is gone, and the error goes on. A
    peer that does not take what is sent is the transport's to notice: ``send`` then fails or is waited for.
    """
    ended = anyio.Event()

    async def deliver(item: SendMessage | EndTransport) -> None:
        if isinstance(item, SendMessage):
            await send(item.text)
            return
        if close is not None:
            await close(item.code, item.reason)
        ended.set()

    outbox: Outbox[SendMessage | EndTransport] = Outbox(deliver)
    bridge = Bridge(
        session,
        lambda text: outbox.put(SendMessage(text)),
        identity=identity,
        subprotocol=subprotocol,
        close=lambda code, reason: outbox.put(EndTransport(code, reason)),
        rearm=lambda: alarm.rearm(),
        clock=loop_clock(),
    )
    alarm = Alarm(bridge.due, bridge.handle_timer)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outbox.run)
            tasks.start_soon(alarm.run)
            tasks.start_soon(_cancel_when, ended, tasks.cancel_scope)
            bridge.open()
            async for text in messages:
                bridge.receive(text)
            tasks.cancel_scope.cancel()
    finally:
        bridge.lost()


async def _cancel_when(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
