"""The four ways in which a dialler is carried, behind one: a route goes in, a connected socket comes out."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import anyio
from anyio.abc import SocketAttribute

from ocpp_adapters import anyio_dial, threads_link
from ocpp_adapters.poll import Poll
from ocpp_adapters.poll_dial import Dialling
from ocpp_adapters.routes import Route

PATIENCE = 10.0
Carrier: TypeAlias = Callable[[Route], socket.socket]
GivingUp: TypeAlias = Callable[[Route, float], None]


def by_anyio(route: Route, backend: str) -> socket.socket:
    async def main() -> socket.socket:
        with anyio.fail_after(PATIENCE):
            stream = await anyio_dial.connect(route)
            kept = stream.extra(SocketAttribute.raw_socket).dup()
            await anyio.aclose_forcefully(stream)
            return kept

    return blocking(anyio.run(main, backend=backend))


def give_up_anyio(route: Route, seconds: float, backend: str) -> None:
    async def main() -> None:
        with anyio.move_on_after(seconds):
            await anyio_dial.connect(route)

    anyio.run(main, backend=backend)


def by_threads(route: Route) -> socket.socket:
    return blocking(threads_link.dial(route, route.config.handshake_timeout))


def give_up_threads(route: Route, seconds: float) -> None:
    dialling = threads_link.Dialling()
    told: list[Exception] = []

    def work() -> None:
        try:
            dialling.dial(route, PATIENCE)
        except OSError as error:
            told.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(seconds)
    dialling.stop()
    thread.join(1.0)
    assert not thread.is_alive()
    assert isinstance(told[0], ConnectionAbortedError)


def by_polling(route: Route) -> socket.socket:
    outcome: list[socket.socket | Exception] = []
    end = time.monotonic() + PATIENCE
    with Poll() as poll:
        Dialling(poll, route, lambda told, _: outcome.append(told))
        while not outcome:
            assert time.monotonic() < end
            poll.wait(min(poll.step(), 0.05))
        poll.step()
        assert not poll._sockets, "those that have not won are closed"
    assert len(outcome) == 1, "told once"
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return blocking(outcome[0])


def give_up_polling(route: Route, seconds: float) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was given up")

    end = time.monotonic() + seconds
    poll = Poll()  # its own end would close the sockets as well
    dialling = Dialling(poll, route, never)
    while time.monotonic() < end:
        poll.wait(min(poll.step(), 0.01))
    dialling.stop()
    for _ in range(3):
        poll.step()
    poll._selector.close()


def blocking(sock: socket.socket) -> socket.socket:
    sock.settimeout(PATIENCE)
    return sock


CARRIERS: dict[str, Carrier] = {
    "anyio-asyncio": partial(by_anyio, backend="asyncio"),
    "anyio-trio": partial(by_anyio, backend="trio"),
    "threads": by_threads,
    "poll": by_polling,
}
GIVING_UP: dict[str, GivingUp] = {
    "anyio-asyncio": partial(give_up_anyio, backend="asyncio"),
    "anyio-trio": partial(give_up_anyio, backend="trio"),
    "threads": give_up_threads,
    "poll": give_up_polling,
}


def open_sockets() -> set[str]:
    """The sockets of this process."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:  # that of the listing itself
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@contextmanager
def black_hole() -> Iterator[int]:
    """A port of 127.0.0.1 that answers nobody: its queue of connections is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        crowd = [socket.socket() for _ in range(4)]
        for member in crowd:
            member.setblocking(False)
            member.connect_ex(listener.getsockname())
        try:
            yield int(listener.getsockname()[1])
        finally:
            for member in crowd:
                member.close()
