"""How long a step of a polled main loop takes: of its own, not counting when others have the processor.

The peers are a process of their own. One reads nothing of what it is sent without end; one sends
MeterValues (963 bytes) as fast as it can and reads the answers; a third is idle. The store is memory, the
addresses are numeric: what the system may take its time for is left out (see docs/adapters.md). What is there
once everything is set up is taken out of the garbage collection, as that page says. A virtual machine's
processor is taken away without a trace in its accounts; so arithmetic that always takes as long is measured.
"""

import gc
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from benchmarks.load import masked
from benchmarks.payloads import METER_VALUES
from benchmarks.report import Table
from ocpp_adapters.poll import Poll
from ocpp_adapters.poll_server import serve
from ocpp_adapters.rpc_link import RpcLink
from ocpp_adapters.sessions import Limits, Session, TextLink
from ocpp_core import Role
from ocpp_core.messages import Response, v16
from ocpp_core.rpc import CallReceived, SendReceived, codec_for
from ocpp_core.versions import OcppVersion

GOAL_MS = 5.0
_PILE = "x" * 50_000
_NUMBERS = range(8_000)
"""To add them takes about as long as a step with something to do."""


class Flood(Session):
    """Sends more than its station reads, as long as a link takes it."""

    def __init__(self) -> None:
        self.link: TextLink | None = None

    def link_opened(self, link: TextLink, now: float) -> None:
        del now
        self.link = link


@dataclass
class Steps:
    """Milliseconds of each step: on the processor, and by the clock; and of arithmetic, on the processor."""

    own: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)
    arithmetic: list[float] = field(default_factory=list)

    def measure(self, step: Callable[[], float]) -> float:
        """One step; returns what it returns."""
        own, clock = time.thread_time(), time.perf_counter()
        delay = step()
        self.clock.append((time.perf_counter() - clock) * 1e3)
        self.own.append((time.thread_time() - own) * 1e3)
        own = time.thread_time()
        sum(_NUMBERS)
        self.arithmetic.append((time.thread_time() - own) * 1e3)
        return delay


def _answer(link: RpcLink, call: CallReceived | SendReceived) -> Response:
    del link, call
    return v16.MeterValuesResponse()


def _measure(kinds: tuple[str, ...], seconds: float) -> tuple[Steps, int]:
    """Steps of a server with such stations; how many messages it answered."""
    steps, floods, answered = Steps(), list[Flood](), 0

    def handle(link: RpcLink, call: CallReceived | SendReceived) -> Response:
        nonlocal answered
        answered += 1
        return _answer(link, call)

    with Poll() as poll:

        def session(identity: str) -> Session:
            if identity == "stalled":
                floods.append(Flood())
                return floods[-1]
            return RpcLink(Role.CSMS, handle, poll)

        limits = Limits(unsent_bytes=64 << 20)
        server = serve(poll, lambda asked, _: session(asked.identity), "127.0.0.1", limits=limits)
        command = [sys.executable, "-m", "benchmarks.poll", str(server.port), *kinds]
        with subprocess.Popen(command) as peers:
            while len(server.connections) < len(kinds):
                poll.wait(min(poll.step(), 0.01))
            gc.collect()
            gc.freeze()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for flood in floods:
                    if flood.link is not None and len(steps.own) < 1000:
                        flood.link.send_text(_PILE)
                poll.wait(min(steps.measure(poll.step), 0.001))
            peers.terminate()
    gc.unfreeze()
    return steps, answered


def run(seconds: float) -> list[Table]:
    """A table: own time and clock time of a step, typically and at worst."""
    codec_for(OcppVersion.V16, Role.CSMS).prebuild()
    rows = []
    for name, kinds in (
        ("an idle station", ("idle",)),
        ("one that reads nothing, flooded", ("stalled", "idle")),
        ("one that sends without end", ("busy", "idle")),
        ("all three", ("stalled", "busy", "idle")),
    ):
        steps, answered = _measure(kinds, seconds)
        own = sorted(steps.own)
        rows.append(
            (
                name,
                str(len(own)),
                *(f"{own[int(len(own) * part)]:.3f}" for part in (0.5, 0.999)),
                f"{own[-1]:.2f}",
                f"{max(steps.clock):.2f}",
                f"{median(steps.arithmetic):.3f}, {max(steps.arithmetic):.2f}",
                f"{answered / seconds:.0f}",
            )
        )
    notes = (
        "Milliseconds a `step()` spends on the processor, with stations in another process, after "
        f"`gc.freeze()`; goal: at most {GOAL_MS:g}. By the clock it also holds the time that other processes "
        "had the core. The arithmetic between the steps is always the same: what it takes more than its "
        "median is the machine's."
    )
    header = (
        "stations",
        "steps",
        "median",
        "99.9 %",
        "most",
        "most by the clock",
        "arithmetic: median, most",
        "MeterValues/s",
    )
    return [Table("Steps of a polled main loop", header, tuple(rows), notes)]


def _station(port: int, identity: str) -> socket.socket:
    station = socket.create_connection(("127.0.0.1", port))
    station.sendall(
        f"GET /{identity} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n".encode()
    )
    return station


def _peers(port: int, kinds: list[str]) -> None:
    """The other process, until it is ended."""
    stations = {kind: _station(port, kind) for kind in kinds}
    busy = stations.get("busy")
    if busy is None:
        time.sleep(3600)
        return
    payload = json.loads(METER_VALUES.text)[3]
    burst = b"".join(masked(json.dumps([2, f"{n:036}", "MeterValues", payload])) for n in range(4))
    while True:
        busy.sendall(burst)
        busy.recv(65_536)


if __name__ == "__main__":
    _peers(int(sys.argv[1]), sys.argv[2:])
