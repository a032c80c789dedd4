"""A relay between a station and its CSMS that does to their connections what bad networks do, from a seed.

One thread, plain sockets. Each connection gets a :class:`Fault` when it is accepted; what a fault does not
forbid is passed on as it came, until the relay is told to be honest. Connections that are dead by then stay
dead: to notice that is the ends' business.
"""

import selectors
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final, Self

_CHUNK: Final = 16 << 10
_TICK: Final = 0.002
"""Seconds at most between two looks at the time."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: closing is a RST."""


class Kind(StrEnum):
    """What becomes of a connection when its fault strikes."""

    NONE = "none"
    END = "end"
    """FIN to both ends."""
    RESET = "reset"
    """RST to both ends."""
    HALF = "half"
    """FIN or RST to one end, the other hears nothing any more."""
    LAST_WORDS = "last words"
    """FIN to one end; the other direction goes on."""
    HOLE = "hole"
    """Nothing passes any more, in one direction or both, for good."""
    PAUSE = "pause"
    """The same for a while; then all of it arrives."""
    DELAY = "delay"
    """Everything is late."""
    TRICKLE = "trickle"
    """One byte at a time."""
    CORRUPT = "corrupt"
    """A byte arrives as another one."""
    CLOSED = "closed"
    """Nobody listens for a while."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a connection once ``after`` bytes have passed, or it is ``age`` seconds old."""

    kind: Kind
    after: int = 0
    age: float = 3600.0
    seconds: float = 0.0
    up: bool = True
    """The direction or end that it concerns: the station's bytes, or what the station gets."""
    both: bool = False
    reset: bool = False


def draw(random: Random, *, secure: bool, patience: float) -> Fault:
    """The next connection's fault; ``patience`` is how long the ends wait for a pong."""
    kinds = [kind for kind in Kind if secure or kind is not Kind.CORRUPT]
    limit = random.choice((1, 500, 3_000, 20_000))
    return Fault(
        random.choice(kinds),
        after=random.randrange(limit),
        age=random.uniform(0.05, 0.6),
        seconds=random.choice((0.01, 0.05, 0.5 * patience, 2 * patience)),
        up=random.random() < 0.5,
        both=random.random() < 0.5,
        reset=random.random() < 0.5,
    )


@dataclass(slots=True, eq=False)
class _End:
    """One of a connection's two sockets, and what is on its way to it."""

    sock: socket.socket
    queue: deque[tuple[float, bytes]] = field(default_factory=deque)
    """What to write, and not before when."""
    reading: bool = True
    """Its peer may still send."""
    finished: bool = False
    """Nothing is written any more; the FIN follows what is on its way."""
    open: bool = True


class _Connection:
    """A pair of sockets, and the fault between them."""

    def __init__(
        self, station: socket.socket, csms: socket.socket, fault: Fault, now: float, *, proxy: bool
    ) -> None:
        self.ends = {True: _End(station), False: _End(csms)}
        """By the direction of the bytes that come from there: up are the station's."""
        self.fault = fault
        self.struck_at: float | None = None
        self._since = now
        self._passed = 0
        self._request: bytes | None = b"" if proxy else None
        """What the station has said to the proxy, until that is all."""
        self._deaf: set[bool] = set()
        """Directions in which nothing passes."""

    @property
    def over(self) -> bool:
        """Nothing comes any more, and all is written."""
        return not any(end.open and (end.reading or end.queue) for end in self.ends.values())

    def close(self) -> None:
        for end in self.ends.values():
            _close(end, reset=False)

    def read(self, up: bool, now: float) -> None:
        """What has come is put on its way."""
        source, target = self.ends[up], self.ends[not up]
        try:
            data = source.sock.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            source.reading = False
            _close(source, reset=True)
            if up not in self._deaf:
                _close(target, reset=True)
            return
        if not data:
            source.reading = False
            target.finished = target.finished or up not in self._deaf
            return
        if up and self._request is not None:
            data = self._asked(data, now)
        self._pass(up, data, now)

    def _asked(self, data: bytes, now: float) -> bytes:
        """A proxy is asked for a tunnel; returns what is for the CSMS."""
        head, end, rest = ((self._request or b"") + data).partition(b"\r\n\r\n")
        if not end:
            self._request = head
            return b""
        assert head.startswith(b"CONNECT ")
        self._request = None
        self._pass(False, b"HTTP/1.1 200 Connection established\r\n\r\n", now)
        return rest

    def _pass(self, up: bool, data: bytes, now: float) -> None:
        target, fault, before = self.ends[not up], self.fault, self._passed
        self._passed += len(data)
        if self.struck_at is None and self._passed > fault.after:
            kept = fault.after - before
            self._queue(up, data[:kept], now)
            data = self.strike(up, data[kept:], now)
        if up not in self._deaf and target.open:
            self._queue(up, data, now)

    def _queue(self, up: bool, data: bytes, now: float) -> None:
        fault, queue = self.fault, self.ends[not up].queue
        late = now + fault.seconds if self.struck_at is not None and fault.kind is Kind.DELAY else now
        if fault.kind is Kind.PAUSE and self.struck_at is not None and (fault.both or up == fault.up):
            late = max(now, self.struck_at + fault.seconds)
        if fault.kind is Kind.TRICKLE and self.struck_at is not None:
            queue.extend((late, data[at : at + 1]) for at in range(len(data)))
        elif data:
            queue.append((late, data))

    def strike(self, up: bool, data: bytes, now: float) -> bytes:
        """The fault's moment has come; returns what still passes of the data at hand."""
        fault = self.fault
        self.struck_at = now
        match fault.kind:
            case Kind.END | Kind.RESET:
                for end in self.ends.values():
                    self.flush(end, now)
                    _close(end, reset=fault.kind is Kind.RESET)
            case Kind.HALF:
                self._deaf = {True, False}
                _close(self.ends[fault.up], reset=fault.reset)
            case Kind.LAST_WORDS:
                self._deaf = {fault.up}
                self.ends[not fault.up].finished = True
            case Kind.HOLE:
                self._deaf = {True, False} if fault.both else {fault.up}
            case Kind.CORRUPT if data:
                return bytes((data[0] ^ 0x20,)) + data[1:]
        return data

    def age(self, now: float) -> None:
        if self.struck_at is None and now - self._since >= self.fault.age:
            self.strike(self.fault.up, b"", now)

    def flush(self, end: _End, now: float) -> None:
        """Write what is due."""
        single = self.fault.kind is Kind.TRICKLE
        while end.open and end.queue and end.queue[0][0] <= now:
            late, data = end.queue[0]
            try:
                count = end.sock.send(data)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                _close(end, reset=True)
                return
            end.queue.popleft()
            if count < len(data):
                end.queue.appendleft((late, data[count:]))
            if single and len(data) == 1:
                return
        if end.open and end.finished and not end.queue:
            end.finished = False
            with suppress(OSError):
                end.sock.shutdown(socket.SHUT_WR)


def _close(end: _End, *, reset: bool) -> None:
    if not end.open:
        return
    end.open = end.reading = False
    end.queue.clear()
    with suppress(OSError):
        if reset:
            end.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.sock.close()


class Relay:
    """Listens on a port of its own, as long as its context lasts; ``proxy``: one that is asked first."""

    def __init__(self, target: int, seed: int, *, secure: bool, patience: float, proxy: bool = False) -> None:
        self.target = target
        self.faults: list[Fault] = []
        """Those that there were."""
        self._random = Random(seed)
        self._secure = secure
        self._patience = patience
        self._proxy = proxy
        self._honest = threading.Event()
        self._over = threading.Event()
        self._connections: set[_Connection] = set()
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._deaf_until = 0.0
        self._thread = threading.Thread(target=self._run, name="relay")

    def be_honest(self) -> None:
        """From now on pass everything on, of connections that are yet to come."""
        self._honest.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            self._wait()
            now = time.monotonic()
            for connection in list(self._connections):
                connection.age(now)
                for end in connection.ends.values():
                    connection.flush(end, now)
                if connection.over:
                    connection.close()
                    self._connections.discard(connection)
            if self._listener is None and (now >= self._deaf_until or self._honest.is_set()):
                self._listen()
        for connection in self._connections:
            connection.close()
        if self._listener is not None:
            self._listener.close()

    def _wait(self) -> None:
        """Until something comes, or for a tick; and take it."""
        with selectors.DefaultSelector() as selector:
            if self._listener is not None:
                selector.register(self._listener, selectors.EVENT_READ, None)
            for connection in self._connections:
                for up, end in connection.ends.items():
                    if end.reading:
                        selector.register(end.sock, selectors.EVENT_READ, (connection, up))
            found = selector.select(_TICK)
        for key, _ in found:
            if key.data is None:
                self._accept()
            elif key.data[0].ends[key.data[1]].reading:
                key.data[0].read(key.data[1], time.monotonic())

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            station, _ = self._listener.accept()
        except OSError:
            return
        fault = Fault(Kind.NONE) if self._honest.is_set() else self._draw()
        if fault.kind is Kind.CLOSED:
            _close(_End(station), reset=fault.reset)
            self._listener.close()
            self._listener = None
            self._deaf_until = time.monotonic() + fault.seconds
            return
        try:
            csms = socket.create_connection(("127.0.0.1", self.target), timeout=1.0)
        except OSError:
            _close(_End(station), reset=True)
            return
        for sock in (station, csms):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(_Connection(station, csms, fault, time.monotonic(), proxy=self._proxy))

    def _draw(self) -> Fault:
        fault = draw(self._random, secure=self._secure, patience=self._patience)
        self.faults.append(fault)
        return fault

    def _listen(self) -> None:
        with suppress(OSError):  # somebody else has the port for the moment
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._listener.setblocking(False)
