"""Fuzz getting a connection: ``python fuzz/fuzz_dialler.py fuzz/corpus/dialler``.

The first byte chooses the route. Each byte after it is something that happens, its upper bits say to which
attempt, how much later, or with which error. It must end once, in time, with no socket left behind.
"""

import errno
import socket

import atheris

with atheris.instrument_imports(include=["ocpp_adapters", "h11"]):
    from ocpp_adapters.binding import Binding, SocketAddress, dial_error
    from ocpp_adapters.dialler import (
        ADDRESSES,
        Abandon,
        Connect,
        Connected,
        DialFailed,
        Dialler,
        Lookup,
        Send,
    )
    from ocpp_adapters.proxy import Proxy
    from ocpp_adapters.routes import Route
    from ocpp_core.wire import ClientConfig

from _harness import run

TIMEOUT, DELAY = 10.0, 0.25
URLS = ("ws://csms.example/CP", "wss://192.0.2.1/CP", "ws://[2001:db8::1]:9000/CP", "ws://[fe80::1%25e0]/CP")
SOURCES = (None, "192.0.2.9", "fe80::9%e0", None)
ERRORS = (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EPERM, errno.ETIMEDOUT, 0, -2, 9999, errno.ENODEV)
ANSWER = b"HTTP/1.1 200 OK\r\n\r\n"


def address(number: int) -> tuple[int, SocketAddress]:
    if number % 2:
        return socket.AF_INET, (f"192.0.2.{number}", 9000)
    return socket.AF_INET6, (f"2001:db8::{number:x}", 9000, 0, number % 3)


class Carrier:
    """What an adapter has open, and what must hold of it."""

    def __init__(self, flags: int) -> None:
        self.proxy = Proxy("proxy.example", 3128, "jo", "0pensesame") if flags & 16 else None
        config = ClientConfig(url=URLS[flags & 3], handshake_timeout=TIMEOUT)
        source = Binding(source=SOURCES[flags >> 2 & 3])
        self.now = 0.0
        self.dialler = Dialler(
            Route(config=config, binding=source, proxy=self.proxy, attempt_delay=DELAY), self.now
        )
        self.family = source.family
        self.begun = 0
        self.open: set[int] = set()
        self.asked: int | None = None
        """The attempt that leads to the proxy."""
        self.end: Connected | DialFailed | None = None
        self.drain()

    def drain(self) -> None:
        for action in self.dialler.actions():
            assert self.end is None, "nothing comes after the end"
            match action:
                case Lookup():
                    assert self.begun == 0
                case Connect(number, family):
                    self.begun += 1
                    assert number == self.begun <= ADDRESSES
                    assert self.asked is None
                    assert self.family in (None, family) or self.begun == 1
                    self.open.add(number)
                case Abandon(number):
                    self.open.remove(number)
                case Send(number):
                    assert self.proxy is not None
                    assert self.open == {number}
                    self.asked = number
                case Connected(number):
                    assert self.open == {number}
                    assert self.asked == (number if self.proxy else None)
                    self.end = action
                case DialFailed(error):
                    assert not self.open, "every socket is closed"
                    assert str(error).isprintable()
                    assert "0pensesame" not in str(error)
                    self.end = action
        at = self.dialler.next_timer()
        assert (at is None) == (self.end is not None)
        assert at is None or at <= TIMEOUT

    def happen(self, event: int, more: int) -> None:
        dialler, number = self.dialler, 1 + more % max(1, self.begun)
        match event:
            case 0:
                self.now += more / 16
                dialler.handle_timer(self.now)
            case 1:
                self.now = max(self.now, dialler.next_timer() or self.now)
                dialler.handle_timer(self.now)
            case 2:
                dialler.looked_up([address(more * it % 23) for it in range(more)], self.now)
            case 3:
                dialler.lookup_failed(dial_error(ERRORS[more % 8], "no such name"), self.now)
            case 4 if self.begun:
                dialler.connected(number, self.now)
            case 5 if self.begun:
                if self.end is None:
                    self.open.discard(number)  # who tells of a failure has closed the socket
                dialler.failed(number, dial_error(ERRORS[more % 8], "broken"), self.now)
            case 6:
                dialler.receive_data(ANSWER[more % len(ANSWER) :][: 1 + more // 2], self.now)
            case 7 if more & 1:
                dialler.receive_eof(self.now)
            case 7:
                dialler.receive_data(ANSWER, self.now)
        self.drain()


def one_input(data: bytes) -> None:
    if not data:
        return
    carrier = Carrier(data[0])
    for byte in data[1:100]:
        carrier.happen(byte & 7, byte >> 3)
    carrier.now = max(carrier.now, TIMEOUT)
    carrier.dialler.handle_timer(carrier.now)
    carrier.drain()
    assert carrier.end is not None
    assert len(carrier.open) == isinstance(carrier.end, Connected)


if __name__ == "__main__":
    run(one_input)
