"""Processes killed, stopped and left without a disk at random moments; what must hold of the bills then."""

import json
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_core import OcppVersion
from ocpp_core.csms import Bill, Csms
from tests.adapters.chaos.lives import Register
from tests.adapters.chaos.nursery import Nursery
from tests.adapters.chaos.relay import Relay
from tests.adapters.chaos.run import LEDGER, PATIENCE, PONG, SERVERS, STATIONS

_ROOM = 8192
"""Bytes beyond which no file may grow, for a process whose disk is full."""


@dataclass
class Told:
    """What the processes have told."""

    port: int | None = None
    meters: dict[str, list[float]] = field(default_factory=dict)
    """Of each transaction the first and the latest register that is durable."""
    errors: list[str] = field(default_factory=list)

    def take(self, told: dict[str, Any]) -> None:
        match told:
            case {"port": port}:
                self.port = port
            case {"transaction": transaction, "meter": meter}:
                self.meters.setdefault(transaction, [meter, meter])[1] = meter
            case {"error": error}:
                self.errors.append(error)


@contextmanager
def listening(folder: Path) -> Iterator[Told]:
    """Hear what the processes tell."""
    told = Told()

    def listen() -> None:
        while data := ears.recv(1 << 16):
            told.take(json.loads(data))

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
        ears.bind(str(folder / "told"))
        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield told
        finally:
            ears.shutdown(socket.SHUT_RD)
            thread.join()


class Site:
    """A station and a CSMS, one process each, and the relay between them."""

    def __init__(self, seed: int, folder: Path, nursery: Nursery, told: Told) -> None:
        self.random = Random(seed)
        self.version = self.random.choice(list(OcppVersion))
        self._adapters = {"station": self.random.choice(STATIONS), "csms": self.random.choice(SERVERS)}
        self._folder = folder
        self._nursery = nursery
        self._told = told
        self.relay = Relay(0, seed, secure=False, patience=PONG)
        self._pids: dict[str, int] = {}

    def __str__(self) -> str:
        return f"{self._adapters} {self.version}"

    def start(self, life: str) -> None:
        given: dict[str, Any] = {"version": self.version, "port": self.relay.port}
        seed = self.random.randrange(10**6)
        self._told.port = None if life == "csms" else self._told.port
        self._pids[life] = self._nursery.start(
            life, folder=str(self._folder), adapter=self._adapters[life], seed=seed, **given
        )
        if life == "csms":
            end = time.monotonic() + PATIENCE
            while self._told.port is None:
                assert time.monotonic() < end, f"no CSMS: {self._told.errors}"
                time.sleep(0.005)
            self.relay.target = self._told.port

    def strike(self) -> str:
        """Something bad happens to one of the two."""
        life = self.random.choice(list(self._pids))
        deed = self.random.choice((self._kill, self._stop, self._fill))
        deed(life)
        return f"{deed.__name__[1:]} {life}"

    def _kill(self, life: str) -> None:
        self._nursery.kill(self._pids[life])
        time.sleep(self.random.choice((0.0, 0.1)))
        self.start(life)

    def _stop(self, life: str) -> None:
        os.kill(self._pids[life], signal.SIGSTOP)
        time.sleep(self.random.choice((0.05, 1.5 * PONG, 3 * PONG)))
        os.kill(self._pids[life], signal.SIGCONT)

    def _fill(self, life: str) -> None:
        """No room on its disk."""
        free = resource.RLIM_INFINITY, resource.RLIM_INFINITY
        resource.prlimit(self._pids[life], resource.RLIMIT_FSIZE, (_ROOM, free[1]))
        time.sleep(self.random.choice((0.05, 0.3)))
        resource.prlimit(self._pids[life], resource.RLIMIT_FSIZE, free)

    def end(self) -> None:
        """In good order, the station first."""
        for life in ("station", "csms"):
            os.kill(self._pids[life], signal.SIGTERM)
            status = self._nursery.wait(self._pids[life], PATIENCE)
            assert status == 0, f"the {life} ended with {status}: {self._told.errors}"


def play(seed: int, folder: Path, nursery: Nursery, strikes: int = 5) -> str:
    """Let both live through some strikes; raises AssertionError where something is not as it must be."""
    with listening(folder) as told:
        site = Site(seed, folder, nursery, told)
        with site.relay as relay:
            site.start("csms")
            site.start("station")
            struck: list[str] = []
            for _ in range(strikes):
                time.sleep(site.random.uniform(0.05, 0.6))
                struck.append(site.strike())
            relay.be_honest()
            site.end()
    try:
        assert not told.errors, "\n".join(told.errors)
        _audit(told, _bills(folder, site.version), Register(folder / "register").wh)
    except AssertionError as error:
        raise AssertionError(f"{site} {struck}: {error}") from None
    return f"{site} {struck}"


def _bills(folder: Path, version: OcppVersion) -> list[Bill]:
    store = SqliteStore(folder / "csms.sqlite")
    billed = Csms(LEDGER, "CP1", version, os.urandom, 0.0, store.load("CP1")).billed()
    store.close()
    assert all(bill.complete for bill in billed), billed
    return sorted((bill for bill in billed if bill.energy_wh), key=lambda bill: bill.start_wh or 0.0)


def _audit(told: Told, bills: list[Bill], register: float) -> None:
    """Whatever charged is billed once, nothing is billed twice, and no more than was counted."""
    spans = [(bill.start_wh or 0.0, bill.stop_wh or 0.0) for bill in bills]
    for start, latest in told.meters.values():
        if latest > start:
            (stop,) = [stop for begin, stop in spans if begin == start]
            assert stop >= latest, f"{start} to {latest} was told, and billed up to {stop}"
    limits = [1000.0, *(limit for span in spans for limit in span), register]
    assert limits == sorted(limits), f"billed twice, or never counted: {limits}"
