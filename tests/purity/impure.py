"""Deeds that the guard must catch, one for each way out of a pure program."""

import os
import random
import secrets
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from random import random as random_by_name
from time import monotonic as clock_by_name


def _swallow() -> None:
    """What a program under watch might do with an error."""
    try:
        time.time()
    except Exception:
        return


def _import() -> None:
    import this  # noqa: F401 - the import is the deed


DEEDS: dict[str, Callable[[], object]] = {
    "open": lambda: open("/dev/null").close(),
    "listdir": lambda: os.listdir("/"),
    "environ": lambda: os.putenv("OCPP", "1"),
    "socket": lambda: socket.socket().close(),
    "resolve": lambda: socket.getaddrinfo("localhost", 80),
    "process": lambda: subprocess.run(["true"], check=False),
    "thread": lambda: threading.Thread(target=_swallow).start(),
    "import": _import,
    "clock": lambda: time.time(),
    "clock taken by name": lambda: clock_by_name(),
    "swallowed": _swallow,
    "sleep": lambda: time.sleep(0),
    "now": lambda: datetime.now(UTC),
    "today": lambda: date.today(),
    "random": lambda: random.random(),
    "random taken by name": lambda: random_by_name(),
    "own generator": lambda: random.Random(1).random(),
    "urandom": lambda: os.urandom(4),
    "secrets": lambda: secrets.token_bytes(4),
    "uuid": lambda: uuid.uuid4(),
    "print": lambda: print("x", flush=True),
}
