"""Two network namespaces, a station's and its CSMS's, joined by two pairs of virtual Ethernet interfaces.

The station has the interfaces ``cable`` and ``modem``; its routing table prefers the cable. Each leads to the
CSMS's machine, which is known by an address on either, and by one that both lead to.
"""

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.apps.line_process import LineProcess, Message

ROOT = Path(__file__).parents[3]
LINKS = ("cable", "modem")
V4 = {"cable": "10.231.1", "modem": "10.231.2"}
V6 = {"cable": "fd00:231:1", "modem": "fd00:231:2"}
CSMS, CSMS_V6 = "10.231.9.9", "fd00:231:9::9"
"""Where the CSMS is reached by either link."""
DEAD, DEAD_V6 = "10.231.9.7", "fd00:231:9::7"
"""Of the same networks, and nothing comes back from there."""
ELSEWHERE = "10.77.7.7"
"""No route leads there."""
_TABLES = {"cable": 101, "modem": 102}
_HOSTS = f"""
127.0.0.1 localhost
{DEAD} half-dead.example
{CSMS} half-dead.example
{DEAD_V6} half-dead-6.example
{CSMS_V6} half-dead-6.example
{DEAD_V6} no-ipv6.example
{CSMS} no-ipv6.example
"""
_SETTINGS = {
    "ipv4/conf/all/rp_filter": 0,  # what came by the modem may be answered by the cable
    "ipv4/conf/default/rp_filter": 0,
    "ipv6/conf/all/keep_addr_on_down": 1,
    # Nothing but what a station and its CSMS say to each other is to be counted.
    "ipv6/conf/default/accept_ra": 0,
    "ipv6/conf/default/router_solicitations": 0,
}
_LINK_SETTINGS = {"ipv4/neigh/{}/delay_first_probe_time": 600, "ipv6/neigh/{}/delay_first_probe_time": 600}
_NOBODY = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    # So that it can read the interpreter's files wherever they are; no capability for the network.
    *(f"--{those}=-all,+dac_read_search" for those in ("inh-caps", "ambient-caps", "bounding-set")),
)
_SERIAL = count()


def refusal() -> str | None:
    """Why there can be no namespaces here, and what to do about it; None: there can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "network namespaces want root: sudo .venv/bin/pytest tests/adapters/network"
    if not _has_ip():
        subprocess.run([ROOT / "tools" / "system_package.sh", "iproute2"], check=False, timeout=300)
    if not _has_ip():
        return "there is no ip command: tools/system_package.sh iproute2"
    name = _fresh_name()
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    _remove(name)
    return f"no network namespaces here: {tried.stderr.strip()}" if tried.returncode else None


def _has_ip() -> bool:
    try:
        return subprocess.run(["ip", "-V"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _fresh_name() -> str:
    return f"ocpp-{os.getpid()}-{next(_SERIAL)}"


def _remove(name: str) -> None:
    subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    shutil.rmtree(_files(name), ignore_errors=True)


def _files(name: str) -> Path:
    """What a machine sees instead of the files in /etc."""
    return Path("/etc/netns", name)


def _clear_away() -> None:
    """What a run left behind that was killed."""
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True)
    for name in re.findall(r"^ocpp-\d+-\d+", listed.stdout, re.MULTILINE):
        if not Path("/proc", name.split("-")[1]).exists():
            _remove(name)


@dataclass(frozen=True)
class Namespace:
    """One of the two machines."""

    end: int
    """The last number of its addresses on the links."""
    name: str = field(default_factory=_fresh_name)

    def ip(self, *commands: str, family: int | None = None) -> None:
        """Run ``ip`` commands in it, one after the other; the family where they do not tell by themselves."""
        batch = ["ip", *([f"-{family}"] if family else []), "-n", self.name, "-batch", "-"]
        done = subprocess.run(batch, input="\n".join(commands), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def set(self, settings: Mapping[str, int]) -> None:
        """Change settings of its kernel's network."""
        script = "set -e\n" + "\n".join(f"echo {v} > /proc/sys/net/{k}" for k, v in settings.items())
        subprocess.run([*self.prefix, "sh"], input=script, text=True, check=True)

    @property
    def prefix(self) -> tuple[str, ...]:
        """What makes a command one that runs in it; it finds the same modules."""
        path = os.pathsep.join(filter(None, sys.path))
        return ("ip", "netns", "exec", self.name, "env", f"PYTHONPATH={path}")

    @contextmanager
    def running(self, *arguments: str, unprivileged: bool = False) -> Iterator[LineProcess]:
        """Run ``python -m ARGUMENTS`` in it for a block."""
        process = LineProcess(arguments, (*self.prefix, *(_NOBODY if unprivileged else ())))
        try:
            yield process
        finally:
            process.kill()

    def links(self) -> dict[str, dict[str, Any]]:
        """Its interfaces, as ``ip`` tells of them."""
        told = subprocess.run(
            ["ip", "-n", self.name, "-stats", "-json", "link"], check=True, capture_output=True
        )
        return {link["ifname"]: link for link in json.loads(told.stdout)}

    def traffic(self) -> dict[str, int]:
        """Bytes that went by each link so far, both ways."""
        counted = {name: link["stats64"] for name, link in self.links().items()}
        return {link: counted[link]["rx"]["bytes"] + counted[link]["tx"]["bytes"] for link in LINKS}

    def address(self, link: str, family: int = 4) -> str:
        """Its address on a link."""
        return f"{V4[link]}.{self.end}" if family == 4 else f"{V6[link]}::{self.end}"

    def set_up_link(self, link: str) -> tuple[str, ...]:
        """The commands that give it its addresses on a link."""
        return (
            f"link set {link} addrgenmode none",
            f"addr add {self.address(link)}/24 dev {link}",
            f"addr add {self.address(link, 6)}/64 dev {link} nodad",
            f"addr add fe80::{self.end}/64 dev {link} nodad",
            f"link set {link} up",
        )


class Network:
    """The station's machine, the CSMS's, and what lies between them."""

    def __init__(self) -> None:
        self.station = Namespace(1)
        self.csms = Namespace(2)
        self._calm = False

    def set_up(self) -> None:
        """Make it."""
        files = _files(self.station.name)
        files.mkdir(parents=True)
        (files / "hosts").write_text(_HOSTS)
        if Path("/etc/host.conf").exists():  # only what is there can be put aside
            (files / "host.conf").write_text("multi on\n")
        for machine in (self.station, self.csms):
            subprocess.run(["ip", "netns", "add", machine.name], check=True)
            machine.set(_SETTINGS)
        for link in LINKS:
            self.station.ip(f"link add name {link} type veth peer name {link} netns {self.csms.name}")
        for machine in (self.station, self.csms):
            machine.set({k.format(link): v for k, v in _LINK_SETTINGS.items() for link in LINKS})
        self.csms.ip(
            "link set lo up",
            f"addr add {CSMS}/32 dev lo",
            f"addr add {CSMS_V6}/128 dev lo nodad",
            f"route add blackhole {DEAD}/32",
            f"route add blackhole {DEAD_V6}/128",
            *(command for link in LINKS for command in self.csms.set_up_link(link)),
        )
        self.station.ip(
            "link set lo up", *(command for link in LINKS for command in self.station.set_up_link(link))
        )
        for link in LINKS:
            self._add_routes(link)
            for family in (4, 6):
                source = self.station.address(link, family)
                self.station.ip(f"rule add from {source} lookup {_TABLES[link]}", family=family)

    def tear_down(self) -> None:
        """Leave nothing behind."""
        for machine in (self.station, self.csms):
            _remove(machine.name)

    def _add_routes(self, link: str) -> None:
        """To the CSMS, by any link and by this one; they go with their interface."""
        metric = 10 * _TABLES[link]
        for family, net in ((4, "10.231.9.0/24"), (6, "fd00:231:9::/64")):
            via = f"via {self.csms.address(link, family)} dev {link}"
            self.station.ip(
                f"route replace {net} {via} metric {metric}",
                f"route replace {net} {via} table {_TABLES[link]}",
                family=family,
            )

    def down(self, link: str) -> None:
        """Switch the station's interface off."""
        self.station.ip(f"link set {link} down")

    def up(self, link: str) -> None:
        """Switch the station's interface on again."""
        self.station.ip(f"link set {link} up")
        self._add_routes(link)
        self._await_carrier(link)

    def unplug(self, link: str) -> None:
        """Take the carrier away: the far end is switched off."""
        self.csms.ip(f"link set {link} down")

    def plug_in(self, link: str) -> None:
        """Give the carrier back."""
        self.csms.ip(f"link set {link} up")
        self._await_carrier(link)

    def _await_carrier(self, link: str) -> None:
        # The system notices a change a second after the last one.
        deadline = time.monotonic() + 5.0
        while self.station.links()[link]["operstate"] != "UP":
            assert time.monotonic() < deadline, f"{link} does not come up"
            time.sleep(0.02)
        # Whoever asked for a neighbour while there was none is told so for three seconds more.
        self.station.ip(f"neigh flush dev {link}")
        self._calm = False

    @contextmanager
    def metering(self) -> Iterator[Mapping[str, int]]:
        """Measure by which links bytes go, once the block is over; quiet before and behind it."""
        moved: dict[str, int] = {}
        before = self._traffic_at_rest()
        yield moved
        after = self._traffic_at_rest()
        moved.update({link: after[link] - before[link] for link in LINKS})

    def _traffic_at_rest(self) -> dict[str, int]:
        # A new interface announces its multicast groups for a second or so.
        rest = 0.05 if self._calm else 1.2
        traffic, began = self.station.traffic(), time.monotonic()
        since = began
        while time.monotonic() < since + rest:
            assert since < began + 10.0, "the links do not come to rest"
            time.sleep(0.02)
            now = self.station.traffic()
            if now != traffic:
                traffic, since = now, time.monotonic()
        self._calm = True
        return traffic


@contextmanager
def network() -> Iterator[Network]:
    """Two machines and two links between them for a block."""
    _clear_away()
    made = Network()
    try:
        made.set_up()
        yield made
    finally:
        made.tear_down()


@contextmanager
def central_system(net: Network, folder: Path, port: int) -> Iterator[LineProcess]:
    """A central system that listens on a port of every address, for a block."""
    where = ("--host", "", "--port", str(port), "--store", str(folder / f"csms-{port}"))
    with net.csms.running("ocpp_central", *where) as process:
        process.event("listening")
        yield process


def told(process: LineProcess, since: int, event: str, **members: object) -> Message:
    """An event with these members, the first after so many messages; waits for it if it did not come yet."""
    for message in process.seen[since:]:
        if message.get("event") == event and members.items() <= message.items():
            return message
    try:
        return process.event(event, **members)
    except queue.Empty:
        pytest.fail(f"no {event} {members} in {process.seen[since:]}")
