"""A connection on its way on asyncio or trio: a dialler, and a task for each of its sockets."""

import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from anyio.abc import ByteStream, SocketStream, TaskGroup
from anyio.lowlevel import RunVar

from .binding import DialError, SocketAddress, begin, dial_error, explain, finish, look_up
from .dialler import Abandon, Action, Connect, Connected, DialFailed, Dialler, Lookup, Send
from .proxy import authority
from .routes import Route

_CHUNK = 4 << 10
"""Bytes of a proxy's answer read at a time."""
_WORKERS = 40
"""Threads of one loop at most; who finds none waits, within the time of its attempt."""
_workers: RunVar[CapacityLimiter | None] = RunVar("ocpp_adapters.anyio_dial")
Result = TypeVar("Result")


async def beside(work: Callable[[], Result]) -> Result:
    """Do what may take its time in a thread; cancelled, do not wait for it.

    A dead DNS server, or a key that hangs, takes the threads of dialling and no others: the disk has its own.
    """
    limiter = _workers.get(None)
    if limiter is None:
        limiter = CapacityLimiter(_WORKERS)
        _workers.set(limiter)
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)


async def connect(route: Route) -> ByteStream:
    """Open the connection of a route, without TLS: through its proxy, bound as it says, the addresses racing.

    Raises :class:`~ocpp_adapters.binding.DialError`, an OSError: there is none, or not in time
    (``handshake_timeout``).
    """
    race = _Race(route)
    try:
        await race.run()
        return await _stream_of(race.result(), route)
    except BaseException:
        race.close()
        raise


async def _stream_of(connection: socket.socket, route: Route) -> ByteStream:
    try:
        return await SocketStream.from_socket(connection)
    except ValueError as error:  # it was reset since: to anyio, not connected
        hop = route.config.endpoint if route.proxy is None else route.proxy
        words = f"{authority(hop.host, hop.port)}: closed the connection at once"
        raise dial_error(errno.ECONNRESET, words) from error


class _Race:
    def __init__(self, route: Route) -> None:
        self._binding = route.binding
        self._dialler = Dialler(route, anyio.current_time())
        self._sockets: dict[int, socket.socket] = {}
        self._attempts: dict[int, anyio.CancelScope] = {}
        self._outcome: Connected | DialFailed | None = None
        self._changed = anyio.Event()

    def result(self) -> socket.socket:
        """The connection. Raises DialError."""
        outcome = self._outcome
        assert outcome is not None, "it has been run"
        if isinstance(outcome, DialFailed):
            raise outcome.error
        winner = self._sockets.pop(outcome.number)
        self.close()
        self._sockets[outcome.number] = winner
        return winner

    def close(self) -> None:
        """Close whatever is open."""
        for sock in self._sockets.values():
            sock.close()

    async def run(self) -> None:
        """Until there is a connection and nothing else, or nothing at all."""
        async with anyio.create_task_group() as tasks:
            while True:
                self._changed = anyio.Event()
                while actions := self._dialler.actions():
                    for action in actions:
                        self._perform(action, tasks)
                at = self._dialler.next_timer()
                if at is None:
                    break
                with anyio.CancelScope(deadline=at) as sleep:
                    await self._changed.wait()
                if sleep.cancelled_caught:
                    # The clock may lag behind its timers.
                    self._dialler.handle_timer(max(at, anyio.current_time()))
            tasks.cancel_scope.cancel()

    def _perform(self, action: Action, tasks: TaskGroup) -> None:
        match action:
            case Lookup(host, port):
                tasks.start_soon(self._look_up, host, port)
            case Connect():
                self._begin(action, tasks)
            case Abandon(number):
                self._attempts[number].cancel()  # its task closes the socket
            case Send(number, data):
                tasks.start_soon(self._talk, number, data)
            case Connected() | DialFailed():
                self._outcome = action

    async def _look_up(self, host: str, port: int) -> None:
        work = partial(look_up, host, port, self._binding)
        try:
            found = await beside(work)
        except DialError as error:
            self._dialler.lookup_failed(error, anyio.current_time())
        else:
            self._dialler.looked_up(found, anyio.current_time())
        self._changed.set()

    def _begin(self, action: Connect, tasks: TaskGroup) -> None:
        number = action.number
        try:
            self._sockets[number] = begin(self._binding, action.family, action.address)
        except DialError as error:
            self._dialler.failed(number, error, anyio.current_time())
            return
        self._attempts[number] = anyio.CancelScope()  # now, as it may be abandoned before its task begins
        tasks.start_soon(self._finish, number, action.address)

    async def _finish(self, number: int, address: SocketAddress) -> None:
        sock = self._sockets[number]
        try:
            with self._attempts[number] as attempt:
                await anyio.wait_writable(sock)
                finish(sock, self._binding, address)
        except DialError as error:
            sock.close()
            self._dialler.failed(number, error, anyio.current_time())
        else:
            if attempt.cancelled_caught:
                sock.close()
            else:
                self._dialler.connected(number, anyio.current_time())
        self._changed.set()

    async def _talk(self, number: int, data: bytes) -> None:
        """With a proxy, until that is over."""
        sock = self._sockets[number]
        try:
            while data:
                await anyio.wait_writable(sock)
                data = data[sock.send(data) :]
            while self._dialler.next_timer() is not None:
                await anyio.wait_readable(sock)
                self._receive(sock.recv(_CHUNK))
        except OSError as error:
            self._dialler.failed(number, explain(error, self._binding, ""), anyio.current_time())
            self._changed.set()

    def _receive(self, data: bytes) -> None:
        if data:
            self._dialler.receive_data(data, anyio.current_time())
        else:
            self._dialler.receive_eof(anyio.current_time())
        self._changed.set()
