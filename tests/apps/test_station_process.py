"""The control contract over pipes: the real process, against the real central system and against nobody."""

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_core.store import Commit, Put
from tests.apps.line_process import LineProcess, Message, running

NOBODY = "ws://127.0.0.1:9/ocpp"
FAST = {
    "layout": [1, 2],
    "sample_interval": 0.2,
    "backoff": {"minimum": 0.1, "random_range": 0.1},
    "message_timeout": 5,
    "offline_tx_for_unknown_id": True,
}
PINGS = {"link": {"ping_interval": 0.3, "pong_timeout": 1.5}}


class Rig:
    """A central system, and what it takes to start stations that connect to it."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        self._stack = stack
        self._directory = directory
        self._port = 0
        self.open_central()
        self.url = f"ws://127.0.0.1:{self._port}/ocpp"
        self.configure(FAST)

    def open_central(self) -> None:
        """Start the central system, or another one at the same port over the same store."""
        options = ("--port", str(self._port), "--store", str(self._directory / "central"))
        self.central = self._stack.enter_context(running("ocpp_central", *options))
        self._port = self.central.event("listening")["port"]

    def configure(self, config: dict[str, Any]) -> None:
        (self._directory / "config.json").write_text(json.dumps(config))

    def station(self, version: str = "2.0.1", *more: str, url: str | None = None) -> LineProcess:
        """A station with a store of its own."""
        files = ("--store", str(self._directory / "store"), "--config", str(self._directory / "config.json"))
        options = ("--url", url or self.url, "--id", "CP 1", "--version", version, "--control", "stdio")
        return self._stack.enter_context(running("ocpp_station", "station", *options, *files, *more))

    def bills(self) -> list[tuple[float, float, str]]:
        return [
            (bill["start_wh"], bill["stop_wh"], bill["stop_reason"])
            for bill in self.central.do("billed")["transactions"]
        ]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(stack, tmp_path)


@contextmanager
def lonely(*more: str) -> Iterator[LineProcess]:
    """A station without a central system."""
    with running(
        "ocpp_station", "station", "--url", NOBODY, "--id", "X", "--control", "stdio", *more
    ) as station:
        yield station


def charge(station: LineProcess, evse: int = 1, watts: int = 3_600_000) -> str:
    """Let a car charge, a watt-hour per millisecond; returns the transaction's id."""
    station.do("set_power", evse=evse, watts=watts)
    station.do("plug_in", evse=evse)
    station.do("present_token", token="CAFE", evse=evse)
    return str(station.event("transaction", evse=evse, charging_state="Charging")["id"])


def nothing_owed(station: LineProcess) -> dict[str, Any]:
    return station.state_when(lambda state: state["queue"]["facts"] == 0)


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_a_session_from_plug_to_bill(rig: Rig, version: str) -> None:
    station = rig.station(version)
    station.event("connection", state="connected", subprotocol=f"ocpp{version}")
    transaction = charge(station)
    station.event("transaction", id=transaction, trigger="MeterValuePeriodic")
    station.do("suspend", evse=1, by="EV")
    station.event("transaction", id=transaction, charging_state="SuspendedEV")
    station.do("resume", evse=1, by="EV")
    station.event("transaction", id=transaction, charging_state="Charging")
    station.do("present_token", token="cafe")
    ended = station.event("transaction", id=transaction, phase="ended", stop_reason="Local")
    station.do("plug_out", evse=1)
    station.event("status", evse=1, connector=1, status="Available", status_16="Available")
    state = nothing_owed(station)
    assert state["hardware"][0]["register_wh"] == ended["meter_wh"] > 0
    assert rig.bills() == [(0.0, ended["meter_wh"], "Local")]
    assert station.ask("quit")["ok"]
    assert station.ended() == 0
    rig.central.event("disconnected", station="CP 1")


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_the_central_system_starts_and_stops(rig: Rig, version: str) -> None:
    station = rig.station(version)
    rig.central.event("status", station="CP 1", evse=1)
    station.do("set_power", evse=1, watts=3_600_000)
    station.do("plug_in", evse=1)
    nothing_owed(station)
    assert rig.central.do("start", station="CP 1", token="CAFE", evse=1)["accepted"]
    station.event("transaction", charging_state="Charging")
    station.event("transaction", trigger="MeterValuePeriodic")
    nothing_owed(station)
    transaction = rig.central.do("billed")["transactions"][-1]["transaction"]
    assert not rig.central.do("stop", station="CP 1", transaction="4711")["accepted"]
    assert rig.central.do("stop", station="CP 1", transaction=transaction)["accepted"]
    ended = station.event("transaction", phase="ended")
    nothing_owed(station)
    assert rig.bills() == [(0.0, ended["meter_wh"], "Remote")]
    station.do("disconnect")
    rig.central.event("disconnected")
    assert "not connected" in rig.central.ask("stop", station="CP 1", transaction=transaction)["error"]


def test_a_clock_that_drifts_drifts_from_whatever_it_was_set_to(rig: Rig) -> None:
    station = rig.station()
    station.event("notice", kind="registration")
    station.do("set_clock", drift_ppm=500_000)
    began, first = time.monotonic(), station.do("state")["clock"]["utc_ms"]
    time.sleep(4)
    last = station.do("state")["clock"]["utc_ms"]
    assert 1.2 < (last - first) / 1000 / (time.monotonic() - began) < 1.6


def test_an_answer_precedes_its_consequences(rig: Rig) -> None:
    station = rig.station()
    station.event("notice", kind="registration")
    for verb, members, consequence in (
        ("plug_in", {"evse": 1}, {"event": "transaction", "phase": "started"}),
        ("present_token", {"token": "A", "evse": 1}, {"charging_state": "Charging"}),
        ("suspend", {"evse": 1, "by": "EVSE"}, {"charging_state": "SuspendedEVSE"}),
        ("resume", {"evse": 1, "by": "EVSE"}, {"charging_state": "Charging"}),
        ("plug_out", {"evse": 1}, {"event": "transaction", "phase": "ended"}),
        ("disconnect", {}, {"state": "disconnected"}),
        ("connect", {}, {"state": "connected"}),
        ("cut", {}, {"state": "disconnected"}),
        ("mend", {}, {"state": "connected"}),
        ("power_cycle", {}, {"state": "connecting"}),
    ):

        def follows(message: Message, consequence: Message = consequence) -> bool:
            return consequence.items() <= message.items()

        before = len(station.seen)
        station.do(verb, **members)
        assert not any(map(follows, station.seen[before:])), verb
        station.until(follows)


def test_every_command_is_answered_once_and_in_order() -> None:
    commands = [b'{"do": "state", "id": %d}\n' % n for n in range(200)]
    with lonely("--quiet") as station:
        station.write(b"".join(commands))
        assert [station.next()["re"] for _ in commands] == list(range(200))


GARBAGE: list[tuple[bytes, str]] = [
    (b"nonsense", "not JSON"),
    (b"[1]", "JSON object"),
    (b'{"do": "fly", "id": 1}', 'no verb "fly"'),
    (b'{"do": "plug_in", "id": 1}', "evse is missing"),
    (b'{"do": "plug_in", "evse": 2, "id": 1}', "no EVSE 2; this station has 1 to 1"),
    (b'{"do": "plug_in", "evse": 1, "speed": 3, "id": 1}', "no member speed"),
    (b'{"do": "reserve", "id": 1}', "no verb"),
    (b'{"do": "fault", "id": 1}', "not there yet"),
    (b"x" * 1_500_000, "longer than"),
    (b"\xff\xfe\x00", "not JSON"),
]


def test_garbage_is_answered_and_the_station_goes_on() -> None:
    with lonely("--quiet") as station:
        for line, said in GARBAGE:
            station.write(line + b"\n")
            answer = station.next()
            assert answer["ok"] is False
            assert said in answer["error"]
            assert answer.get("re") == (1 if b'"id": 1' in line else None)
        assert station.do("state")["ok"]


def test_quiet_means_answers_only(rig: Rig) -> None:
    station = rig.station("1.6", "--quiet")
    station.state_when(lambda state: state["registration"] == "Accepted")
    station.do("plug_in", evse=1)
    station.do("power_cycle")
    station.do("quit")
    assert station.ended() == 0
    assert not [message for message in station.seen if "event" in message]


def test_the_state_is_there_at_once_and_costs_less_than_a_second() -> None:
    """Measured in processor time, which does not depend on what else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with lonely() as station:
        state = station.do("state")
        assert state["connection"]["state"] in ("dialing", "waiting")
        assert [it["evse"] for it in state["evses"]] == [1]
        station.do("quit")
        assert station.ended() == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


@pytest.mark.parametrize("how", ["end of input", "SIGTERM", "SIGINT"])
def test_there_are_other_ways_to_say_quit(rig: Rig, how: str) -> None:
    station = rig.station()
    station.event("notice", kind="registration")
    if how == "end of input":
        station.close_input()
    else:
        station.process.send_signal(getattr(signal, how))
    assert station.process.wait(10) == 0
    assert rig.central.event("disconnected")["code"] == 1000


def test_a_station_that_nobody_listens_to_stops() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ocpp_station", "station", "--url", NOBODY, "--id", "X", "--control", "stdio"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as station:
        assert station.stdout is not None
        assert station.stdin is not None
        station.stdout.readline()
        station.stdout.close()
        station.stdin.write(b'{"do": "state"}\n')
        station.stdin.flush()
        assert station.wait(10) == 0


def test_quit_does_not_wait_for_a_dead_network(rig: Rig) -> None:
    station = rig.station()
    station.event("notice", kind="registration")
    station.do("cut", half_open=True)
    began = time.monotonic()
    station.do("quit")
    assert station.ended() == 0
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("version", ["1.6", "2.1"])
def test_a_cut_link_loses_nothing(rig: Rig, version: str) -> None:
    station = rig.station(version)
    transaction = charge(station)
    nothing_owed(station)
    station.do("cut")
    station.event("connection", state="disconnected")
    assert rig.central.event("disconnected")["code"] == 1006
    station.event("connection", state="disconnected", reason="unreachable: the network is cut")
    station.event("transaction", id=transaction, trigger="MeterValuePeriodic")
    station.do("plug_out", evse=1)
    ended = station.event("transaction", id=transaction, phase="ended")
    station.do("mend")
    station.event("connection", state="connected")
    nothing_owed(station)
    assert rig.bills() == [(0.0, ended["meter_wh"], "EVDisconnected")]


def test_a_half_open_link_is_found_out_by_pings_alone(rig: Rig) -> None:
    rig.configure(FAST | PINGS)
    station = rig.station()
    transaction = charge(station)
    station.do("cut", half_open=True)
    station.event("connection", state="disconnected")
    assert rig.central.do("stations")["stations"][0]["connected"]  # nobody told it
    station.do("mend")
    station.event("connection", state="connected")
    station.do("present_token", token="CAFE", evse=1)
    ended = station.event("transaction", id=transaction, phase="ended")
    nothing_owed(station)
    assert rig.bills() == [(0.0, ended["meter_wh"], "Local")]


def test_disconnect_holds_until_connect(rig: Rig) -> None:
    station = rig.station()
    station.event("connection", state="connected")
    station.do("disconnect")
    station.event("connection", state="disconnected")
    assert rig.central.event("disconnected")["code"] == 1000
    time.sleep(0.5)  # longer than any back-off here
    assert station.do("state")["connection"]["state"] == "idle"
    station.do("connect")
    station.event("connection", state="connected")


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_a_killed_station_ends_and_bills_its_session_once(rig: Rig, version: str) -> None:
    station = rig.station(version)
    transaction = charge(station)
    station.event("transaction", id=transaction, trigger="MeterValuePeriodic")
    station.state_when(lambda state: state["evses"][0]["meter_wh"] > 0)  # that reading may be an early one
    station.kill()
    again = rig.station(version)
    ended = again.event("transaction", id=transaction, phase="ended", stop_reason="PowerLoss")
    state = nothing_owed(again)
    assert state["hardware"][0]["plugged"] is None
    assert state["hardware"][0]["register_wh"] == ended["meter_wh"] > 0
    assert rig.bills() == [(0.0, ended["meter_wh"], "PowerLoss")]


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_a_killed_central_system_bills_once(rig: Rig, version: str) -> None:
    station = rig.station(version)
    transaction = charge(station)
    station.event("transaction", id=transaction, trigger="MeterValuePeriodic")
    rig.central.kill()
    station.event("connection", state="disconnected")
    station.event("transaction", id=transaction, trigger="MeterValuePeriodic")
    rig.open_central()
    station.event("connection", state="connected")
    station.do("present_token", token="CAFE", evse=1)
    ended = station.event("transaction", id=transaction, phase="ended")
    nothing_owed(station)
    assert rig.bills() == [(0.0, ended["meter_wh"], "Local")]


HOSTILE: list[dict[str, Any]] = [
    {"do": "present_token", "token": "A" * 10_000, "evse": 1},
    {"do": "present_token", "token": "A", "type": "B" * 10_000, "evse": 1},
    {"do": "present_token", "token": "\ud800 \x00", "type": "Moon", "evse": 1},
    {
        "do": "set_measurand",
        "evse": 1,
        "measurand": "Moonlight",
        "value": 3,
        "phase": "L9",
        "location": "Moon",
    },
    {"do": "set_measurand", "evse": 1, "measurand": "SoC", "value": -1e12, "unit": "%" * 20},
    {"do": "set_meter", "evse": 1, "wh": 1e12},
    {"do": "set_power", "evse": 1, "watts": 1e8, "phases": 3},
    {"do": "set_clock", "utc": "0001-01-01T00:00:00Z", "drift_ppm": -500_000},
    {"do": "set_clock", "utc": "9999-12-31T23:59:59Z", "drift_ppm": 500_000},
]


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_no_command_however_odd_ends_the_station(rig: Rig, version: str) -> None:
    measurands = ["Energy.Active.Import.Register", "SoC", "Moonlight"]
    rig.configure(FAST | {"sampled_measurands": measurands})
    station = rig.station(version)
    charge(station)
    for command in HOSTILE:
        station.ask(**command)
        station.event("transaction", trigger="MeterValuePeriodic")
    station.do("plug_out", evse=1)
    nothing_owed(station)
    assert len(rig.bills()) == 1


def test_a_power_cycle_says_no_goodbye_and_leaves_the_cars(rig: Rig) -> None:
    station = rig.station()
    transaction = charge(station, watts=36_000)
    station.do("plug_in", evse=2, connector=2)
    station.do("power_cycle", off_seconds=0.5)
    off = station.do("state")
    assert (off["power"], off["hardware"][1]["plugged"]) == (False, 2)
    assert rig.central.do("stations")["stations"][0]["connected"]
    assert station.ask("present_token", token="A")["error"] == "the station has no power"
    ended = station.event("transaction", id=transaction, phase="ended")
    assert ended["stop_reason"] == "PowerLoss"
    station.event("connection", state="connected")
    state = nothing_owed(station)
    assert [it["plugged"] for it in state["evses"]] == [1, 2]
    assert state["clock"]["boot"] == 2
    station.do("plug_out", evse=1)
    nothing_owed(station)
    bills = rig.bills()
    assert bills[0] == (0.0, ended["meter_wh"], "PowerLoss")
    assert state["hardware"][0]["register_wh"] == ended["meter_wh"]


def test_what_was_recorded_replays(rig: Rig, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    station = rig.station("2.1", "--record", str(record))
    transaction = charge(station)
    station.event("transaction", id=transaction, trigger="MeterValuePeriodic")
    station.do("power_cycle")
    station.event("connection", state="connected")
    station.do("quit")
    assert station.ended() == 0
    replay = [sys.executable, "-m", "ocpp_station", "replay", str(record)]
    done = subprocess.run(replay, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("2 lives")
    record.write_text(record.read_text().replace("CAFE", "BEEF", 1))
    done = subprocess.run(replay, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "diverged" in done.stdout


def test_a_store_that_is_damaged_is_said_so(rig: Rig, tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "store")) as store:
        store.commit(Commit((Put("boots", "1", "?"),)))
    station = rig.station()
    assert station.ended() == 1
    assert station.complaints.startswith(b"ocpp: table boots, row 1")
    assert b"Traceback" not in station.complaints


def test_the_store_is_one_stations(rig: Rig) -> None:
    first = rig.station()
    first.do("state")
    second = rig.station()
    assert second.ended() == 1
    assert b"in use by another process" in second.complaints


def test_commands_come_from_a_file_as_well(tmp_path: Path) -> None:
    commands = tmp_path / "commands"
    commands.write_bytes(b'{"do": "plug_in", "evse": 1}\n{"do": "state", "id": 2}\n')
    with commands.open() as script:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "ocpp_station", "station", "--url", NOBODY),
                *("--id", "X", "--control", "stdio", "--quiet"),
            ],
            stdin=script,
            capture_output=True,
            timeout=30,
            check=True,
        )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[0] == {"ok": True}
    assert answers[1]["evses"][0]["plugged"] == 1


def test_without_control_a_transcript_is_written_until_interrupted(rig: Rig) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ocpp_station", "station", "--url", rig.url, "--id", "X", "--version", "1.6"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as station:
        rig.central.event("status", station="X", evse=1)
        station.send_signal(signal.SIGINT)
        out, transcript = station.communicate(timeout=30)
    assert station.returncode == 0
    assert out == ""
    for said in ("link connected ocpp1.6", "-> [2,", "<- [3,", "EVSE 1 connector 1 is Available"):
        assert said in transcript


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--url", NOBODY], 2, "--id"),
        (["--url", "http://x/", "--id", "X"], 1, "http"),
        (["--url", NOBODY, "--id", ""], 1, "not an identity"),
        (["--url", NOBODY, "--id", "X", "--version", "1.5"], 1, "versions must be of 1.6, 2.0.1, 2.1"),
        (["--id", "X"], 2, "--url is needed"),
        (["--url", NOBODY, "--id", "X", "--security", "/nowhere"], 1, "No such file"),
        (["--url", NOBODY, "--id", "X", "--config", "/nowhere"], 1, "No such file"),
        (["--url", NOBODY, "--id", "X", "--store", "/nowhere/at/all"], 1, "cannot open"),
        (["--url", NOBODY, "--id", "X", "--record", "/nowhere/at/all"], 1, "No such file"),
    ],
)
def test_a_wrong_command_line_is_refused(options: list[str], status: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ocpp_station", "station", *options],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
