"""Asking web servers in a thread that waits for the answer."""

import socket
from time import monotonic

from .threads_link import dial
from .web import Exchange, Web, WebRequest

_CHUNK = 16 << 10


class BlockingFetch:
    """Asks; ``fetch(request, timeout)`` is a coroutine that never suspends, but blocks.

    It is what code that is written once for all loops awaits where there is none: within
    :func:`~ocpp_adapters.threads_monitor.finish`, or an admission of
    :func:`ocpp_adapters.threads_server.serve`.
    """

    __slots__ = ("_web",)

    def __init__(self, web: Web | None = None) -> None:
        self._web = web or Web()

    async def __call__(self, request: WebRequest, timeout: float) -> bytes:
        """The body of the answer, within so many seconds. Raises :class:`~ocpp_adapters.web.FetchError`."""
        until = monotonic() + timeout
        exchange = Exchange(request, self._web, timeout)
        try:
            with dial(exchange.route, timeout) as connection:
                return _converse(exchange, connection, until)
        except OSError as error:
            raise exchange.explained(error) from None


def _converse(exchange: Exchange, connection: socket.socket, until: float) -> bytes:
    connection.settimeout(_left(until))
    connection.sendall(exchange.request)
    while True:
        connection.settimeout(_left(until))
        data = connection.recv(_CHUNK)
        body = exchange.receive_data(data) if data else exchange.receive_eof()
        if body is not None:
            return body


def _left(until: float) -> float:
    """Seconds; raises TimeoutError if there are none."""
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
