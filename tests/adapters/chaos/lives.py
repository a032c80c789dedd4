"""The processes that are killed: a station with its hardware and people, and a CSMS, each on its disk.

What they do they tell by datagrams to the socket of the test, which hears also what was said before a kill.
"""

import json
import logging
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, NoReturn

from ocpp_adapters.calls import Concurrency
from ocpp_adapters.central import Central
from ocpp_adapters.routes import Route
from ocpp_adapters.sessions import Session
from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_adapters.stores import GroupCommitter
from ocpp_core import OcppVersion
from ocpp_core.station import Notice, StationAction, TransactionChanged
from ocpp_core.wire import ClientConfig, ServerConfig, Text
from tests.adapters.chaos.disks import disk_of
from tests.adapters.chaos.people import LOSSES, Cable, Customers, Operator, at_rest
from tests.adapters.chaos.run import LEDGER, PATIENCE, TIMES, station_config
from tests.adapters.conformance.central_systems import CENTRAL_SYSTEMS
from tests.adapters.network.station_child import ADAPTERS, Site


class Register(Cable):
    """A meter that counts on, whatever becomes of the process that reads it."""

    def __init__(self, path: Path) -> None:
        new = not path.exists()
        if new:
            path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._cell = mmap.mmap(file.fileno(), 8)
        if new:
            self.wh = 1000.0
        counted = self.wh
        super().__init__()
        self.wh = counted

    @property
    def wh(self) -> float:
        """The register in Wh."""
        return float(struct.unpack("d", self._cell[:])[0])

    @wh.setter
    def wh(self, wh: float) -> None:
        self._cell[:] = struct.pack("d", wh)


class Teller(logging.Handler):
    """Tells the test, errors too."""

    def __init__(self, folder: Path) -> None:
        super().__init__(logging.ERROR)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.connect(str(folder / "told"))

    def tell(self, **what: Any) -> None:
        self._socket.send(json.dumps(what).encode())

    def emit(self, record: logging.LogRecord) -> None:
        self.tell(error=logging.Formatter().format(record))

    def observe(self, action: StationAction | Text) -> None:
        match action:
            case TransactionChanged(transaction, meter_wh=meter):
                self.tell(transaction=transaction, meter=meter)
            case Notice(kind, detail) if kind in LOSSES:
                self.tell(error=f"{kind} {detail}")


def station(teller: Teller, over: threading.Event, folder: Path, **given: Any) -> None:
    """People come and go until it is asked to end; then it says all that it has to say."""
    version = OcppVersion(given["version"])
    store = SqliteStore(folder / "station.sqlite")
    site = Site(Register(folder / "register"), store)
    url = f"ws://127.0.0.1:{given['port']}/CP1"
    route = Route(config=ClientConfig(url=url, subprotocols=(version,), **TIMES))
    with ADAPTERS[given["adapter"]](station_config(version), route, teller.observe, site) as give:
        customers = Customers(Random(given["seed"]), give, site)
        while not over.is_set():
            customers.come_and_go(1, PATIENCE)
        while not at_rest(give):
            time.sleep(0.01)
    store.close()


def csms(teller: Teller, over: threading.Event, folder: Path, **given: Any) -> None:
    """Serves until it is asked to end."""
    store = SqliteStore(folder / "csms.sqlite")
    centrals: list[Central] = []

    def session(concurrency: Concurrency) -> Session:
        if not centrals:
            stores = GroupCommitter(store, disk_of(concurrency, closing))
            centrals.append(Central(LEDGER, Operator().observe, stores, concurrency))
        return centrals[0].session()

    with ExitStack() as closing:
        serving = CENTRAL_SYSTEMS[given["adapter"]](session, None, config=ServerConfig(**TIMES))
        with serving as port:
            teller.tell(port=port)
            over.wait()
    store.close()


LIVES = {"station": station, "csms": csms}


def live(life: str, arguments: dict[str, Any]) -> NoReturn:
    """What a process that was just forked does until its end."""
    status = 1
    folder = Path(arguments.pop("folder"))
    teller, over = Teller(folder), threading.Event()
    try:
        os.close(sys.stdin.fileno())
        os.dup2(2, sys.stdout.fileno())
        logging.getLogger().addHandler(teller)
        signal.signal(signal.SIGTERM, lambda *_: over.set())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        LIVES[life](teller, over, folder, **arguments)
        status = 0
    except BaseException:
        teller.tell(error=traceback.format_exc())
    finally:
        os._exit(status)
