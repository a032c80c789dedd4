"""Charging stations that do nothing but ask: the load for the central systems under test.

``python -m benchmarks.load calls PORT SERVER_PID CONNECTIONS SECONDS`` opens the connections, boots each
station and starts a transaction, makes sure that an invalid call is answered with a CALLERROR, and then keeps
one MeterValues call in flight on every connection; it prints a :class:`Result` as JSON. With ``memory`` the
connections stay idle, and it prints the growth of the server's memory for each.

It must not be what limits the rate, so it is lean: blocking set-up, then one epoll loop over plain sockets.
The frames are masked and encoded beforehand; only the message id, the time stamp and the energy are patched
into them, so that no central system can take one call for a repetition of another.
"""

import gc
import json
import os
import resource
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks.payloads import (
    BOOT_NOTIFICATION,
    CALL_ID,
    ENERGY,
    METER_VALUES,
    MOMENT,
    START_TRANSACTION,
    TRANSACTION,
)

MASK: Final = bytes.fromhex("a1b2c3d4")
DIGITS: Final = 12
ANSWERED_TAIL: Final = slice(2 + 4 + len(CALL_ID) - DIGITS, 2 + 4 + len(CALL_ID))
DIFFERENT_CALLS: Final = 8192
WARM_UP: Final = 2.0
FIRST: Final = 500
SETTLE: Final = 3.0
UPGRADE: Final = (
    "GET /ocpp/STATION{number:05d} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it: whole calls answered, and seconds of wall time and of CPU on either side."""

    calls: int
    wall: float
    server_cpu: float
    client_cpu: float


def mask(payload: bytes, phase: int = 0) -> bytes:
    """``payload`` under the masking key, which it meets at byte ``phase`` of four."""
    size = len(payload)
    key = (MASK * (size // 4 + 2))[phase : phase + size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def masked(text: str) -> bytearray:
    """``text`` as one final text frame of a client."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytearray(b"\x81" + length + MASK + mask(payload))


class Patch:
    """A member of a frame that changes from call to call: its place, and its masked values."""

    def __init__(self, text: str, member: str, values: list[str]) -> None:
        start = text.index(member)
        header = len(masked(text)) - len(text)
        self.place = slice(header + start, header + start + len(member))
        self.values = [mask(value.encode(), start % 4) for value in values]


def receive_frame(connection: socket.socket) -> bytes:
    """The payload of the server's next text frame, during the blocking set-up."""
    data = connection.recv(4096)
    assert data[0] == 0x81, data
    size, start = (data[1], 2) if data[1] < 126 else (int.from_bytes(data[2:4], "big"), 4)
    while len(data) < start + size:
        data += connection.recv(4096)
    return data[start:]


def ask(connection: socket.socket, text: str) -> Any:
    """Make a call during the set-up; the payload of its answer."""
    connection.sendall(masked(text))
    answer = json.loads(receive_frame(connection))
    assert answer[0] == 3, answer
    return answer[2]


def connect(port: int, number: int) -> socket.socket:
    """A connection that has been upgraded and whose station has booted."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(UPGRADE.format(number=number, port=port).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    assert ask(connection, BOOT_NOTIFICATION.text)["status"] == "Accepted"
    return connection


def check_refusal(connection: socket.socket) -> None:
    """An invalid call gets a CALLERROR: nobody gains by not looking."""
    connection.sendall(masked(METER_VALUES.text.replace('"connectorId":1', '"connectorId":"one"')))
    answer = json.loads(receive_frame(connection))
    assert answer[:2] == [4, CALL_ID], answer


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kb(pid: int) -> int:
    """Memory that is the process's own."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@dataclass(slots=True)
class Station:
    """One connection: the frame of its calls, how many it made, the message id it waits for."""

    frame: bytearray
    asked: int = 0
    awaited: bytes = b""


class Load:
    """One call in flight on each connection, until told to stop."""

    def __init__(self, connections: list[socket.socket]) -> None:
        moment = datetime.fromisoformat(MOMENT)
        moments = (moment + timedelta(seconds=10 * number) for number in range(DIFFERENT_CALLS))
        texts = [self._text(connection) for connection in connections]
        assert len({len(text) for text in texts}) == 1
        stamps = [f"{moment:%Y-%m-%dT%H:%M:%S}.589Z" for moment in moments]
        energies = [str(int(ENERGY) + 30 * number) for number in range(DIFFERENT_CALLS)]
        self._stamp = Patch(texts[0], MOMENT, stamps)
        self._energy = Patch(texts[0], ENERGY, energies)
        self._tail = Patch(texts[0], CALL_ID[-DIGITS:], ["0" * DIGITS])
        zeros = int.from_bytes(b"0" * DIGITS, "big")
        self._mask_of_tail = int.from_bytes(self._tail.values[0], "big") ^ zeros
        self._sent = 0
        self._epoll = select.epoll()
        self._stations = {
            connection.fileno(): Station(masked(text))
            for connection, text in zip(connections, texts, strict=True)
        }
        for fd, station in self._stations.items():
            self._epoll.register(fd, select.EPOLLIN)
            self._ask(fd, station)

    @staticmethod
    def _text(connection: socket.socket) -> str:
        transaction = ask(connection, START_TRANSACTION.text)["transactionId"]
        return METER_VALUES.text.replace(TRANSACTION, f"{transaction:{len(TRANSACTION)}d}")

    def _ask(self, fd: int, station: Station) -> None:
        frame, number = station.frame, station.asked % DIFFERENT_CALLS
        station.asked += 1
        self._sent += 1
        station.awaited = tail = b"%012d" % self._sent
        frame[self._tail.place] = (int.from_bytes(tail, "big") ^ self._mask_of_tail).to_bytes(DIGITS, "big")
        frame[self._stamp.place] = self._stamp.values[number]
        frame[self._energy.place] = self._energy.values[number]
        os.write(fd, frame)

    def run(self, seconds: float) -> int:
        """The number of calls answered meanwhile."""
        answered, stations, ask, read = 0, self._stations, self._ask, os.read
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for fd, _ in self._epoll.poll(1.0):
                data, station = read(fd, 4096), stations[fd]
                if data[2:5] != b"[3," or data[ANSWERED_TAIL] != station.awaited or len(data) != data[1] + 2:
                    raise SystemExit(f"unexpected answer: {data!r}")
                answered += 1
                ask(fd, station)
        return answered


def memory_per_connection(port: int, server: int, count: int) -> float:
    """The growth, in kB, from a server that is warm to one with ``count`` more connections that are idle."""
    warm = [connect(port, number) for number in range(FIRST)]
    time.sleep(SETTLE)
    before = memory_kb(server)
    more = [connect(port, FIRST + number) for number in range(count)]
    time.sleep(SETTLE)
    grown = memory_kb(server) - before
    del warm, more
    return grown / count


def measure(port: int, server: int, count: int, seconds: float) -> Result:
    """Connect, warm up, measure."""
    connections = [connect(port, number) for number in range(count)]
    check_refusal(connections[0])
    gc.disable()
    load = Load(connections)
    load.run(WARM_UP)
    wall, server_cpu, client_cpu = time.monotonic(), cpu_seconds(server), own_cpu()
    calls = load.run(seconds)
    return Result(
        calls=calls,
        wall=time.monotonic() - wall,
        server_cpu=cpu_seconds(server) - server_cpu,
        client_cpu=own_cpu() - client_cpu,
    )


def main(kind: str, port: int, server: int, count: int, seconds: float) -> None:
    """Report as one line of JSON."""
    if kind == "memory":
        print(json.dumps(memory_per_connection(port, server, count)))
    else:
        print(json.dumps(asdict(measure(port, server, count, seconds))))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
