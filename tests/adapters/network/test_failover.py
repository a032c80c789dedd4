"""A link breaks within a transaction: the station goes on by another network profile, and comes back."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.network.namespaces import CSMS, LINKS, Network, central_system, told
from tests.apps.line_process import LineProcess

PROXY_PORT = 3128
SECRET = ("porter", "open sesame")
SAMPLES = 0.1
"""Seconds between two readings."""
LINK = {"ping_interval": 0.2, "pong_timeout": 0.3, "handshake_timeout": 0.5}


@pytest.fixture(scope="module")
def other_csms(net: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LineProcess]:
    with central_system(net, tmp_path_factory.mktemp("other"), 9001) as process:
        yield process


@dataclass(frozen=True)
class Case:
    """What fails, and what the network profiles have in common."""

    adapter: str
    version: str
    one_csms: bool
    """Whether both lead to the same."""
    fault: str
    by_proxy: bool = False

    def __str__(self) -> str:
        names = [self.adapter, self.version, "one" if self.one_csms else "two", self.fault]
        return "-".join([*names, *(["proxy"] if self.by_proxy else [])])

    def ways(self) -> list[dict[str, Any]]:
        """The network profiles: by cable, and by modem."""
        ports = {"cable": 9000, "modem": 9000 if self.one_csms else 9001}
        proxy = {"proxy": [CSMS, PROXY_PORT, *SECRET]} if self.by_proxy else {}
        return [
            {
                "url": f"ws://{CSMS}:{ports[link]}/{self}",
                "csms": str(ports[link]),
                "interface": link,
                "link": LINK,
                **proxy,
            }
            for link in LINKS
        ]


CASES = [
    Case("anyio-asyncio", "2.0.1", True, "down"),
    Case("anyio-trio", "1.6", False, "down"),
    Case("threads", "2.1", False, "unplug"),
    Case("poll", "1.6", True, "unplug"),
    Case("anyio-asyncio", "2.1", True, "unplug", by_proxy=True),
    Case("anyio-trio", "2.0.1", True, "unplug", by_proxy=True),
    Case("threads", "1.6", True, "down", by_proxy=True),
    Case("poll", "2.0.1", False, "down", by_proxy=True),
]
REPAIRS = {"down": "up", "unplug": "plug_in"}


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


@pytest.fixture
def proxy(case: Case, net: Network) -> Iterator[LineProcess | None]:
    if not case.by_proxy:
        yield None
        return
    where = ("tests.adapters.network.proxy_child", str(PROXY_PORT), ":".join(SECRET))
    with net.csms.running(*where) as process:
        process.event("listening")
        yield process


@pytest.fixture
def station(case: Case, net: Network, stations: dict[str, LineProcess]) -> Iterator[LineProcess]:
    chosen = stations[case.adapter]
    yield chosen
    chosen.do("stop")
    getattr(net, REPAIRS[case.fault])("cable")


def begin(case: Case, station: LineProcess, csms: LineProcess) -> str:
    """Connect by cable, plug in, charge; returns the transaction."""
    station.do("start", args=case.ways(), version=case.version, network_attempts=2, sample_interval=SAMPLES)
    csms.event("booted", station=str(case))
    station.state_when(lambda it: it["value"]["registration"] == "Accepted")
    station.do("plug_in")
    station.do("present_token")
    return str(csms.event("transaction", station=str(case), phase="started")["id"])


def fail_over(net: Network, case: Case, station: LineProcess) -> float:
    """The cable breaks; seconds until the link by modem is open."""
    since, broken = len(station.seen), time.monotonic()
    getattr(net, case.fault)("cable")
    lost = told(station, since, "link", up=False, slot=0)
    opened = told(station, since, "link", up=True)
    assert opened["slot"] == 1
    between = [it for it in station.seen[since:] if it.get("event") == "link"][1:-1]
    assert [it["slot"] for it in between] == [0, 0], "as many attempts as are configured"
    assert lost["at"] > broken
    return float(opened["at"] - broken)


def moving(net: Network) -> dict[str, int]:
    """Bytes that go by each link while some readings are told."""
    before = net.station.traffic()
    time.sleep(3 * SAMPLES)
    after = net.station.traffic()
    return {link: after[link] - before[link] for link in LINKS}


def tells_of_transactions(csms: LineProcess, station: str, since: int) -> bool:
    return any(
        it.get("station") == station and it["event"] in {"transaction", "meter_values"}
        for it in csms.seen[since:]
    )


@pytest.mark.requirement("B10.FR.03", "B10.FR.04", "B10.FR.06", "B10.FR.10")
def test_a_transaction_outlives_the_link_that_it_began_on(
    net: Network,
    case: Case,
    csms: LineProcess,
    other_csms: LineProcess,
    proxy: LineProcess | None,
    station: LineProcess,
) -> None:
    name, second = str(case), csms if case.one_csms else other_csms
    transaction = begin(case, station, csms)
    moved = moving(net)
    assert moved["cable"] > 200, moved
    assert moved["modem"] == 0, moved

    took = fail_over(net, case, station)
    assert took < 10.0, f"{took:.2f} s from the fault to the link by modem"
    since = len(second.seen)
    second.event("booted", station=name)
    if case.one_csms:
        moved = moving(net)
        assert moved["modem"] > 200, moved
        assert moved["cable"] == 0, moved
        assert tells_of_transactions(csms, name, since)
    else:
        second.event("status", station=name)
        held = station.state_when(lambda it: it["value"]["queue"]["elsewhere"] > 3)
        assert held["value"]["queue"]["facts"] == held["value"]["queue"]["elsewhere"]

    getattr(net, REPAIRS[case.fault])("cable")
    since, heard = len(station.seen), len(csms.seen)
    station.do("connect", args=[0])
    told(station, since, "link", up=True, slot=0)
    csms.event("booted", station=name)
    assert tells_of_transactions(csms, name, heard) or csms.event("transaction", station=name)
    station.do("present_token")
    ended = told(csms, heard, "transaction", station=name, phase="ended")
    assert ended["id"] == transaction
    (bill,) = [it for it in csms.do("billed")["transactions"] if it["station"] == name]
    assert bill["complete"]
    assert bill["energy_wh"] > 0
    assert other_csms.do("billed")["transactions"] == []
    assert not tells_of_transactions(other_csms, name, 0)
    if proxy is not None:
        sources = [proxy.event("tunnel")["source"] for _ in range(3)]
        assert sources == [net.station.address(link) for link in ("cable", "modem", "cable")]


def test_the_emulated_station_does_the_same(net: Network, csms: LineProcess, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    profiles = [{"slot": slot, "interface": link} for slot, link in enumerate(LINKS)]
    settings = {
        "network_profiles": profiles,
        "network_attempts": 2,
        "backoff": {"minimum": 0.05, "random_range": 0.0, "repeats": 1},
        "link": LINK,
        "sample_interval": SAMPLES,
    }
    config.write_text(json.dumps(settings))
    options = (
        "--url",
        f"ws://{CSMS}:9000",
        "--id",
        "emulated",
        "--control",
        "stdio",
        "--config",
        str(config),
    )
    with net.station.running("ocpp_station", "station", *options, unprivileged=True) as emulator:
        emulator.state_when(lambda it: it["registration"] == "Accepted")
        emulator.do("plug_in", evse=1)
        emulator.do("present_token", token="ABCDEF")
        transaction = csms.event("transaction", station="emulated", phase="started")["id"]
        net.down("cable")
        try:
            emulator.event("connection", state="disconnected", slot=0)
            emulator.event("connection", state="connected", slot=1)
            since = len(csms.seen)
            csms.event("booted", station="emulated")
            assert told(csms, since, "transaction", phase="updated", id=transaction)
        finally:
            net.up("cable")
        emulator.do("connect", slot=0)
        emulator.event("connection", state="connected", slot=0)
        csms.event("booted", station="emulated")
        emulator.do("plug_out", evse=1)
        csms.event("transaction", station="emulated", phase="ended", id=transaction)
        emulator.do("quit")
        assert emulator.ended() == 0
