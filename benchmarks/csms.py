"""A central system under load: calls a second, calls per CPU second, and memory per idle connection.

The server has one core and the load the other (``sched_setaffinity``). Calls per CPU second divide by the
server's own CPU time, so they hold on a busy machine; the share of its core that the load took shows that it
was not what limited the rate.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.load import Result
from benchmarks.peers import node
from benchmarks.report import Table, amount, ratio

SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = (100, 1_000)
IDLE_CONNECTIONS = 2_000
UNDISTURBED = 0.85


@dataclass(frozen=True, slots=True)
class Contender:
    """A central system: the name in the tables and the command that runs it and prints its port."""

    name: str
    command: tuple[str, ...]


def contenders() -> list[Contender]:
    """Ours on two levels, and its peers."""

    def python(*arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-m", *arguments)

    return [
        Contender("ours, rpc level", python("benchmarks.peers.our_csms", "rpc")),
        Contender("ours, csms level", python("benchmarks.peers.our_csms", "csms")),
        Contender("ours, csms level, durable", python("benchmarks.peers.our_csms", "durable")),
        Contender("mobilityhouse + websockets", python("benchmarks.peers.mobilityhouse_csms")),
        Contender("ocpp-rpc strict", tuple(node.command("ocpp_rpc_csms.js"))),
    ]


def pin(core: int) -> None:
    """Keep this process on one core, where the machine has several."""
    if core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})


@contextmanager
def running(contender: Contender) -> Iterator[tuple[int, int]]:
    """The server's port and process id, while it runs."""
    server = subprocess.Popen(
        contender.command,
        env=node.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: pin(SERVER_CORE),
    )
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline()), server.pid
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


def ask(kind: str, contender: Contender, connections: int, seconds: float) -> Any:
    """What the load reports, against a fresh server."""
    with running(contender) as (port, pid):
        arguments = map(str, (kind, port, pid, connections, seconds))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            preexec_fn=lambda: pin(LOAD_CORE),
        )
    return json.loads(done.stdout)


def best(results: list[Result]) -> Result:
    """The run with the most calls per CPU second."""
    return max(results, key=lambda result: result.calls / result.server_cpu)


def throughput(connections: int, seconds: float, rounds: int) -> Table:
    """Calls with so many connections; the contenders take turns."""
    runs: dict[str, list[Result]] = {}
    for _ in range(rounds):
        for contender in contenders():
            runs.setdefault(contender.name, []).append(
                Result(**ask("calls", contender, connections, seconds))
            )
    results = {name: best(of_name) for name, of_name in runs.items()}
    peer = results["mobilityhouse + websockets"]
    return Table(
        f"CSMS: MeterValues of 963 bytes from {connections:,} connections",
        (
            "central system",
            "calls per CPU s",
            "× mobilityhouse",
            "calls/s",
            "× mobilityhouse",
            "server's CPU",
            "load's CPU",
        ),
        tuple(row(name, result, peer) for name, result in results.items()),
        "Calls per second count only where the server had its core for itself: else *busy*.",
    )


def undisturbed(result: Result) -> bool:
    """Whether the server had its core for nearly all of the time."""
    return result.server_cpu >= UNDISTURBED * result.wall


def row(name: str, result: Result, peer: Result) -> tuple[str, ...]:
    """A line of the table; rates by the wall clock only where they are the server's own."""
    per_cpu, per_second = result.calls / result.server_cpu, result.calls / result.wall
    alone = undisturbed(result)
    return (
        name,
        amount(per_cpu),
        ratio(per_cpu, peer.calls / peer.server_cpu),
        amount(per_second) if alone else "busy",
        ratio(per_second, peer.calls / peer.wall) if alone and undisturbed(peer) else "–",
        f"{result.server_cpu / result.wall:.0%}",
        f"{result.client_cpu / result.wall:.0%}",
    )


def idle_memory() -> Table:
    """Memory of the server's process for each connection that has booted and is silent, uncompressed."""
    rows = []
    for contender in contenders():
        grown = ask("memory", contender, IDLE_CONNECTIONS, 0.0)
        rows.append((contender.name, f"{grown:.1f} kB"))
    return Table(
        "CSMS: memory per idle connection",
        ("central system", "private memory"),
        tuple(rows),
        f"The growth of the server's private memory from the first hundreds of connections to "
        f"{IDLE_CONNECTIONS:,} more, each of which has booted and then says nothing, without compression; "
        "the kernel's socket buffers are not in it.",
    )


def run(seconds: float, rounds: int) -> list[Table]:
    """All of it."""
    return [*(throughput(count, seconds, rounds) for count in CONNECTIONS), idle_memory()]
