"""Whether something was said that must not be, or left that must go."""

import gc
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GRACE = 10.0
"""Seconds in which what was given up comes to its end."""


class Alarms(logging.Handler):
    """Whatever reaches a log as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(logging.Formatter().format(record))


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is logged as an error, nothing goes unheard, nothing stays open."""
    gc.collect()
    alarms, unheard = Alarms(), list[str]()
    before = (descriptors(), running())
    hooks = threading.excepthook
    logging.getLogger().addHandler(alarms)
    threading.excepthook = lambda args: unheard.append(repr(args.exc_value))
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield
            left = eventually_none(lambda: running() - before[1])
            fds = eventually_none(lambda: descriptors() - before[0])
            gc.collect()
    finally:
        threading.excepthook = hooks
        logging.getLogger().removeHandler(alarms)
    assert not alarms.records, "\n".join(alarms.records)
    assert not unheard, unheard
    told = [str(warning.message) for warning in warned]
    # uvicorn forgets connections that are in their TLS handshake when it ends; what uvloop says of them
    complaints = [text for text in told if not text.startswith("unclosed resource <TCPTransport")]
    assert not complaints, complaints
    assert not left, f"threads left: {left}"
    assert not fds, f"descriptors left: {sorted(fds)}"


def running() -> set[threading.Thread]:
    """Threads; trio keeps its own for a while, for the next work."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("Trio thread")}


def descriptors() -> set[tuple[str, str]]:
    """What is open, and what it is."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add((name, os.readlink(f"/proc/self/fd/{name}")))
        except OSError:
            continue  # the listing's own
    return found


def connections_of(port: int) -> set[str]:
    """What a server on this port has accepted, and not closed."""
    lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    found = [(line.split(), line) for line in lines]
    return {
        line
        for words, line in found
        if words[1].endswith(f":{port:04X}") and words[3] != "0A" and words[9] != "0"
    }


def eventually_none(left: Callable[[], set[Any]]) -> set[Any]:
    end = time.monotonic() + GRACE
    while (found := left()) and time.monotonic() < end:
        time.sleep(0.01)
    return found
