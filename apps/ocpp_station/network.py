"""The network under the link, with a switch: cut it, half-open it, mend it, without a WebSocket close.

* **Cut**: both ends find their TCP connection broken (the peer gets a reset).
* **Half-open**: nothing gets through either way and neither end is told. What is sent is held, as TCP would
  hold it, and arrives when the network is mended; a connection that the station gave up meanwhile stays open
  for the peer until then.
* **Power loss**: half-open for the peer until the power is back, and this end's connections are gone.

While the network is cut or half-open, dialling fails as unreachable.
"""

import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from enum import Enum, auto
from typing import Any, TypeVar

import anyio
from anyio.abc import ByteStream

from ocpp_adapters.anyio_link import connect
from ocpp_adapters.routes import Route

HELD_LIMIT = 262_144
"""Bytes that a half-open connection takes before sending blocks, as a socket's send buffer would."""


Result = TypeVar("Result")


class _State(Enum):
    UP = auto()
    CUT = auto()
    SILENT = auto()


class Network:
    """Dials for the station's link, and fails when told to."""

    def __init__(self) -> None:
        self._state = _State.UP
        self._flowing = anyio.Event()
        self._flowing.set()
        self._streams: set[SwitchedStream] = set()

    @property
    def description(self) -> str:
        """``up``, ``cut`` or ``half-open``."""
        return {_State.UP: "up", _State.CUT: "cut", _State.SILENT: "half-open"}[self._state]

    async def dial(self, route: Route) -> ByteStream:
        """Open the connection of a route. Raises OSError, also while the network is down."""
        if self._state is not _State.UP:
            raise ConnectionError("the network is cut")
        stream = SwitchedStream(self, await connect(route))
        self._streams.add(stream)
        if self._state is not _State.UP:  # it failed while dialling
            await stream.reset()
            raise ConnectionError("the network is cut")
        return stream

    async def cut(self, *, half_open: bool = False) -> None:
        """Let the network fail."""
        self._state = _State.SILENT if half_open else _State.CUT
        if half_open:
            if self._flowing.is_set():
                self._flowing = anyio.Event()
        else:
            for stream in list(self._streams):
                stream.kill()
                await stream.reset()
            self._flowing.set()

    def lose_power(self) -> None:
        """This end's connections cease to exist; the peer is not told before the power is back."""
        for stream in self._streams:
            stream.orphan()

    async def restore_power(self) -> None:
        """The first that the peer hears of connections of before the power loss is a reset, if anything."""
        if self._state is _State.UP:
            await self.mend()

    async def mend(self) -> None:
        """Let the network recover: held bytes arrive, connections given up meanwhile are reset."""
        self._state = _State.UP
        self._flowing.set()
        for stream in list(self._streams):
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the peer gave up as well
                await (stream.reset() if stream.dead else stream.flush())

    @property
    def silent(self) -> bool:
        """Whether bytes are held back."""
        return self._state is _State.SILENT

    async def flowing(self) -> None:
        """Return once bytes are not held back."""
        await self._flowing.wait()

    def forget(self, stream: "SwitchedStream") -> None:
        """A connection is gone for good."""
        self._streams.discard(stream)


class SwitchedStream(ByteStream):
    """A TCP connection through the switch."""

    def __init__(self, network: Network, inner: ByteStream) -> None:
        self._network = network
        self._inner = inner
        self._held = bytearray()
        self._sending = anyio.Lock()
        self._pending: set[anyio.CancelScope] = set()
        self._orphaned = False
        self.dead = False

    def kill(self) -> None:
        """Make every pending and later use at this end fail; the peer is not told."""
        self.dead = True
        for scope in self._pending:
            scope.cancel()

    def orphan(self) -> None:
        """Kill this end, and leave the peer's open until a reset."""
        self._orphaned = True
        self.kill()

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Bytes from the peer; raises EndOfStream at its end, BrokenResourceError once cut."""
        return await self._unless_killed(self._receive(max_bytes))

    async def send(self, item: bytes) -> None:
        """Send, or hold while half-open; raises BrokenResourceError once cut."""
        await self._unless_killed(self._send(item))

    async def _receive(self, max_bytes: int) -> bytes:
        self._check()
        await self._network.flowing()
        data = await self._inner.receive(max_bytes)
        await self._network.flowing()  # what arrived after the network fell silent has not arrived
        return data

    async def _send(self, item: bytes) -> None:
        self._check()
        if self._network.silent and len(self._held) + len(item) <= HELD_LIMIT:
            self._held += item
            return
        await self._network.flowing()
        await self.flush(item)

    def _check(self) -> None:
        if self.dead:
            raise anyio.BrokenResourceError

    async def flush(self, item: bytes = b"") -> None:
        """Send what is held, and then ``item``."""
        async with self._sending:
            data, self._held = bytes(self._held) + item, bytearray()
            if data:
                await self._inner.send(data)

    async def _unless_killed(self, operation: Awaitable[Result]) -> Result:
        with anyio.CancelScope() as scope:
            self._pending.add(scope)
            try:
                with suppress(anyio.ClosedResourceError):  # by whoever killed it
                    return await operation
            finally:
                self._pending.discard(scope)
        raise anyio.BrokenResourceError

    async def send_eof(self) -> None:
        """Half-close; while silent there is nobody to tell."""
        if not self.dead and not self._network.silent:
            await self._inner.send_eof()

    async def aclose(self) -> None:
        """Close this end; while silent the peer keeps its end until the network is mended."""
        self.kill()
        if not (self._network.silent or self._orphaned):
            self._network.forget(self)
            await self._inner.aclose()

    async def reset(self) -> None:
        """Close both ends with a TCP reset."""
        self._network.forget(self)
        raw = self._inner.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await anyio.aclose_forcefully(self._inner)

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the TCP connection."""
        return self._inner.extra_attributes
