"""Asking web servers on asyncio or trio, by the way that everything else takes."""

import anyio
from anyio.abc import ByteStream

from .anyio_dial import connect
from .web import Exchange, FetchFault, Web, WebRequest

_CHUNK = 16 << 10
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError)


class AnyioFetch:
    """Asks; ``await fetch(request, timeout)``, in one loop.

    Arguments:
        web: how to get there.
        parallel: questions at once; a further one waits, within its time. When a CSMS comes back, all of its
            stations do, and whom to ask is nearly always the same.
    """

    __slots__ = ("_room", "_web")

    def __init__(self, web: Web | None = None, *, parallel: int = 64) -> None:
        self._web = web or Web()
        self._room = anyio.Semaphore(parallel)

    async def __call__(self, request: WebRequest, timeout: float) -> bytes:
        """The body of the answer, within so many seconds. Raises :class:`~ocpp_adapters.web.FetchError`."""
        exchange = Exchange(request, self._web, timeout)
        try:
            with anyio.fail_after(timeout):
                async with self._room:
                    return await self._ask(exchange)
        except OSError as error:
            raise exchange.explained(error) from None

    async def _ask(self, exchange: Exchange) -> bytes:
        stream = await connect(exchange.route)
        try:
            return await _converse(exchange, stream)
        finally:
            await anyio.aclose_forcefully(stream)


async def _converse(exchange: Exchange, stream: ByteStream) -> bytes:
    try:
        await stream.send(exchange.request)
        while True:
            body = exchange.receive_data(await stream.receive(_CHUNK))
            if body is not None:
                return body
    except anyio.EndOfStream:
        return exchange.receive_eof()
    except _GONE:
        raise exchange.error(FetchFault.ENDED) from None
