"""The security log as it is kept: through unknown time, full tables, failing stores and power loss."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.domain.security import SecurityEvent
from ocpp_core.errors import ConfigurationError
from ocpp_core.station import NoticeKind, StationAction
from ocpp_core.store import MemoryStore

from .bench import EPOCH, V16, V21, V201, config, iso
from .event_bench import LOGIN, NOTIFICATION, STARTUP, TAMPER, EventBench, each_version

# time


@pytest.mark.requirement("B01.FR.06", "A04.FR.04")
@each_version
def test_an_event_before_the_time_is_known_is_dated_later(version):
    bench = EventBench(version, start=False)
    bench.dials = False
    bench.power_up()
    bench.note(TAMPER)
    (entry,) = bench.station.security_log()
    assert (entry["utc_ms"], entry["untold"]) == (None, True)
    bench.run(100)
    bench.mend()
    assert bench.sent(NOTIFICATION) == [{"type": "TamperDetectionActivated", "timestamp": iso(EPOCH)}]
    assert bench.notices(NoticeKind.TIME_ESTIMATED) == []


@pytest.mark.requirement("A04.FR.02", "A04.FR.04")
@each_version
def test_an_event_of_a_boot_that_never_knew_the_time_carries_an_estimate(version):
    bench = EventBench(version, start=False)
    bench.dials = False
    bench.power_up()
    bench.note(LOGIN, "first")
    bench.note(SecurityEvent.INVALID_MESSAGES)
    bench.run(20)
    bench.note(LOGIN, "second")
    bench.power_loss(off=0)
    bench.run(40)
    bench.mend()
    told = [(said["techInfo"], said["timestamp"]) for said in bench.sent(NOTIFICATION)]
    assert told == [("first", iso(EPOCH)), ("second", "2026-03-01T12:00:20.000Z")]
    assert len(bench.notices(NoticeKind.TIME_ESTIMATED)) == 2
    estimates = [entry["utc_ms"] for entry in bench.station.security_log()]
    bench.power_loss()
    assert [entry["utc_ms"] for entry in bench.station.security_log()] == estimates
    assert None not in estimates


def test_an_event_that_nothing_dates_waits_and_holds_up_no_fact():
    """Of a boot that the store says nothing of: no time is invented."""
    bench = EventBench(V201)
    bench.cut()
    bench.note(TAMPER)
    rows = bench.store.load()
    (key,) = rows["security"]
    row = json.loads(rows["security"][key])
    row["at"] = {"boot": 7, "mono": 1.0}
    bench.store = MemoryStore({**rows, "security": {key: json.dumps(row)}})
    bench.power_up(500.0)
    bench.mend()
    assert (bench.told(), bench.untold) == ([], 1)
    bench.start_charging()
    assert bench.queued == 0


# another version, another CSMS


@pytest.mark.requirement("A04.FR.02")
def test_under_another_version_the_event_has_that_versions_name_and_an_id_of_its_own():
    bench = EventBench(V16, config=config())
    bench.ignores.add(NOTIFICATION)
    bench.note(SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE)
    bench.cut()
    bench.version = V21
    bench.mend()
    bench.cut()
    bench.ignores.clear()
    bench.mend()
    old, new, again = bench.calls(NOTIFICATION)
    assert old[3]["type"] == "InvalidChargePointCertificate"
    assert new[3]["type"] == "InvalidChargingStationCertificate"
    assert old[3]["timestamp"] == new[3]["timestamp"]
    assert old[1] != new[1]
    assert new == again
    assert bench.untold == 0


# a log that is full


@pytest.mark.requirement("A04.FR.04", "1.6-A04.FR.04")
def test_a_full_log_rolls_over_what_was_told():
    bench = EventBench(V201, security_log_limit=3)
    for number in range(5):
        bench.note(SecurityEvent.INVALID_MESSAGES if number % 2 else TAMPER, str(number))
    assert [entry["tech_info"] for entry in bench.station.security_log()] == ["2", "3", "4"]
    assert len(bench.store.load()["security"]) == 3
    assert bench.notices(NoticeKind.SECURITY) == []


@pytest.mark.requirement("A04.FR.02")
def test_what_is_untold_outlives_what_need_not_be_told_and_a_flood_of_one_kind():
    bench = EventBench(V201, security_log_limit=4)
    bench.cut()
    bench.note(TAMPER)
    bench.note(SecurityEvent.INVALID_MESSAGES)
    for number in range(10):
        bench.note(LOGIN, str(number))
    bench.note(STARTUP)
    assert bench.logged == [TAMPER, LOGIN, LOGIN, STARTUP]
    assert (
        bench.notices(NoticeKind.SECURITY)
        == ["MaintenanceLoginFailed is given up untold: the security log is full"] * 8
    )
    bench.mend()
    assert bench.told() == bench.logged
    assert [said.get("techInfo") for said in bench.sent(NOTIFICATION)] == [None, "8", "9", None]


def test_what_is_there_twice_goes_before_what_is_older():
    bench = EventBench(V201, security_log_limit=3)
    bench.cut()
    for kind in (TAMPER, LOGIN, LOGIN, STARTUP):
        bench.note(kind)
    assert bench.logged == [TAMPER, LOGIN, STARTUP]


def test_where_no_kind_is_there_twice_the_oldest_goes():
    bench = EventBench(V201, security_log_limit=2)
    bench.cut()
    for kind in (TAMPER, LOGIN, STARTUP):
        bench.note(kind)
    assert bench.logged == [LOGIN, STARTUP]
    assert bench.station.snapshot() == bench.store.load()


@pytest.mark.parametrize("outcome", ["answered", "refused", "timed out"])
def test_an_event_given_up_while_it_is_told_is_not_missed(outcome):
    bench = EventBench(V201, security_log_limit=1)
    bench.ignores.add(NOTIFICATION)
    bench.note(TAMPER)
    bench.note(LOGIN)
    (call,) = bench.calls(NOTIFICATION)
    bench.ignores.clear()
    if outcome == "answered":
        bench.answer(call)
    elif outcome == "refused":
        bench.receive(f'[4,"{call[1]}","InternalError","",{{}}]')
    bench.run(1000)
    assert bench.told() == ["TamperDetectionActivated", "MaintenanceLoginFailed"]
    assert bench.logged == ["MaintenanceLoginFailed"]
    assert bench.untold == 0


def test_a_limit_that_became_smaller_holds_from_the_next_event():
    bench = EventBench(V201)
    for _ in range(5):
        bench.note(TAMPER)
    bench.config = config(V201, security_log_limit=2)
    bench.power_loss()
    assert len(bench.logged) == 5
    bench.note(LOGIN)
    assert bench.logged == [TAMPER, LOGIN]


def test_a_log_holds_one_event_at_least():
    with pytest.raises(ConfigurationError, match="security_log_limit"):
        config(security_log_limit=0)


# the store


@pytest.mark.requirement("A04.FR.02", "A04.FR.04")
def test_an_event_is_told_once_it_is_on_record():
    bench = EventBench(V201)
    bench.disk = False
    bench.note(TAMPER)
    bench.run(12)
    assert (bench.told(), bench.untold) == ([], 1)
    for _ in range(3):
        bench.ask("TriggerMessage", {"requestedMessage": "Heartbeat"})
    assert len(bench.sent("Heartbeat")) == 3, "what presumes no row goes on"
    bench.disk = True
    bench.run(20)
    assert bench.told() == ["TamperDetectionActivated"]
    assert bench.station.snapshot() == bench.store.load()


# power loss


class LightsOutError(Exception):
    """The power is gone."""


class SteppedBench(EventBench):
    """The lights go out after so many actions. No event leaves that is not on record as it is told."""

    def __init__(self, *arguments: Any, steps: int | None = None, **settings: Any) -> None:
        self.steps = steps
        self.done_so_far = 0
        super().__init__(*arguments, **settings)

    def _carry_out(self, actions: list[StationAction]) -> None:
        for action in actions:
            if self.done_so_far == self.steps:
                raise LightsOutError
            self.done_so_far += 1
            super()._carry_out([action])

    def _take(self, frame: list[Any]) -> None:
        if frame[0] == 2 and frame[2] == NOTIFICATION:
            kept = [row for row in self.rows() if row.get("tech_info") == frame[3]["techInfo"]]
            assert [row["message_id"] for row in kept] == [frame[1]], "durable before it leaves"
        super()._take(frame)

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(row) for _, row in sorted(self.store.load().get("security", {}).items())]


def eventful(bench: EventBench) -> None:
    bench.note(TAMPER, "1")
    bench.start_charging()
    bench.note(SecurityEvent.INVALID_MESSAGES, "not told")
    bench.cut()
    bench.note(LOGIN, "2")
    bench.note(TAMPER, "3")
    bench.present("A1")
    bench.ignores.add(NOTIFICATION)
    bench.mend()
    bench.run(40)
    bench.note(TAMPER, "4")
    bench.ignores.clear()
    bench.run(100)
    bench.unplug()


@pytest.mark.requirement("A04.FR.02", "A04.FR.04", "1.6-A04.FR.02", "1.6-A04.FR.04")
@each_version
def test_power_loss_between_any_two_actions_loses_no_event(version):
    whole = SteppedBench(version)
    eventful(whole)
    assert [row["tech_info"] for row in whole.rows()] == ["1", "not told", "2", "3", "4"]
    for steps in range(len(whole.log) + 1):
        bench = SteppedBench(version, start=False)
        bench.steps = steps
        with suppress(LightsOutError):
            bench.power_up()
            eventful(bench)
        kept = [row["tech_info"] for row in bench.rows()]
        bench.steps = None
        bench.ignores.clear()
        bench.dials = True
        bench.power_loss()
        bench.run(300)
        assert bench.untold == 0
        assert [row["tech_info"] for row in bench.rows()] == kept
        calls = {call[1]: call for call in bench.calls(NOTIFICATION)}
        told = [call[3]["techInfo"] for call in calls.values()]
        assert told == [text for text in kept if text != "not told"]
        assert all(call in calls.values() for call in bench.calls(NOTIFICATION)), "every retry says the same"


MOVES = {
    "critical": lambda bench, text: bench.note(TAMPER, text),
    "renamed in 1.6": lambda bench, text: bench.note(
        SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE, text
    ),
    "not critical": lambda bench, text: bench.note(SecurityEvent.INVALID_MESSAGES, text),
    "cut": lambda bench, text: bench.cut() if bench.online else None,
    "mend": lambda bench, text: bench.mend(),
    "lights out": lambda bench, text: bench.power_loss(),
    "run": lambda bench, text: bench.run(25),
    "silence": lambda bench, text: bench.ignores.add(NOTIFICATION),
    "answers again": lambda bench, text: bench.ignores.clear(),
    "unknown": lambda bench, text: bench.errors.update({NOTIFICATION: "NotImplemented"}),
    "known again": lambda bench, text: bench.errors.clear(),
    "1.6": lambda bench, text: setattr(bench, "version", V16),
    "2.1": lambda bench, text: setattr(bench, "version", V21),
}


@pytest.mark.requirement("A04.FR.01", "A04.FR.02", "A04.FR.04")
@given(moves=st.lists(st.sampled_from(sorted(MOVES)), max_size=30))
def test_whatever_happens_every_event_is_told_in_its_order(moves):
    bench = EventBench(V21, config=config())
    for number, move in enumerate(moves):
        MOVES[move](bench, str(number))
    bench.ignores.clear()
    bench.errors.clear()
    if bench.online:
        bench.cut()
    bench.mend()
    bench.run(300)
    kinds = ("critical", "renamed in 1.6", "not critical")
    events = [(str(number), move) for number, move in enumerate(moves) if move in kinds]
    assert [entry["tech_info"] for entry in bench.station.security_log()] == [text for text, _ in events]
    assert bench.untold == 0
    told = dict.fromkeys(said["techInfo"] for said in bench.sent(NOTIFICATION))
    assert list(told) == [text for text, move in events if move != "not critical"]
    payloads: dict[str, Any] = {}
    for _, call_id, _, payload in bench.calls(NOTIFICATION):
        assert payloads.setdefault(call_id, payload) == payload
