"""Security events: every one is logged, and the CSMS learns the critical ones, whatever comes in between."""

import pytest

from ocpp_core.domain.security import SecurityEvent
from ocpp_core.errors import LocalProtocolError
from ocpp_core.station import NoticeKind

from .bench import EPOCH, FACTS, V16, V21, V201, iso
from .event_bench import LOGIN, NOTIFICATION, TAMPER, EventBench, each_version

# the list of the standard


@pytest.mark.requirement("A04.FR.01", "1.6-A04.FR.01")
def test_the_list_of_the_standard():
    assert {event.value for event in SecurityEvent if not event.critical} == {
        "FailedToAuthenticateAtCsms",
        "CsmsFailedToAuthenticate",
        "ReconfigurationOfSecurityParameters",
        "InvalidMessages",
        "AttemptedReplayAttacks",
    }
    assert len(SecurityEvent) == 21
    for version in (V201, V21):
        assert all(event.spelling(version) == event.value for event in SecurityEvent)
    renamed = {event.spelling(V16) for event in SecurityEvent} - {event.value for event in SecurityEvent}
    assert renamed == {
        "FailedToAuthenticationAtCentralSystem",
        "CentralSystemFailedToAuthentication",
        "InvalidCentralSystemCertificate",
        "InvalidChargePointCertificate",
    }


# logging and telling


@pytest.mark.requirement("A04.FR.01", "A04.FR.04", "1.6-A04.FR.01", "1.6-A04.FR.04")
@pytest.mark.parametrize("event", SecurityEvent)
@each_version
def test_every_event_is_logged_and_a_critical_one_is_told(version, event):
    bench = EventBench(version)
    at = bench.csms_time
    bench.note(event, "what there is to know")
    bench.run(5)
    assert bench.station.security_log() == [
        {
            "type": event.value,
            "utc_ms": round(at.timestamp() * 1000),
            "tech_info": "what there is to know",
            "untold": False,
        }
    ]
    told = {
        "type": event.spelling(version),
        "timestamp": iso(at),
        "techInfo": "what there is to know",
    }
    assert bench.sent(NOTIFICATION) == ([told] if event.critical else [])


@pytest.mark.requirement("A04.FR.01")
def test_without_events_nothing_is_said_and_nothing_kept():
    bench = EventBench()
    assert bench.told() == bench.station.security_log() == []
    assert "security" not in bench.store.load()


@each_version
def test_a_vendor_may_have_events_of_its_own(version):
    bench = EventBench(version, told_security_events=frozenset({"DoorOpened", "FailedToAuthenticateAtCsms"}))
    bench.note("DoorOpened")
    bench.note("WindowOpened", "")
    bench.note("FailedToAuthenticateAtCsms")
    assert bench.logged == ["DoorOpened", "WindowOpened", "FailedToAuthenticateAtCsms"]
    assert bench.told() == ["DoorOpened", SecurityEvent.FAILED_TO_AUTHENTICATE_AT_CSMS.spelling(version)]
    assert "techInfo" not in bench.sent(NOTIFICATION)[0]


def test_a_boot_is_an_event_where_it_is_so_configured():
    bench = EventBench(V201, startup_event=True)
    assert bench.sent(NOTIFICATION) == [
        {"type": "StartupOfTheDevice", "timestamp": iso(EPOCH), "techInfo": "PowerUp"}
    ]
    bench.power_loss()
    assert bench.logged == bench.told() == ["StartupOfTheDevice"] * 2


@pytest.mark.parametrize(
    ("kind", "tech_info"),
    [("", None), ("x" * 51, None), ("x\ud800", None), ("x", "y" * 256), ("x", "\udfff")],
)
def test_what_no_notification_can_carry_is_misuse(kind, tech_info):
    bench = EventBench()
    before = bench.state()
    with pytest.raises(LocalProtocolError, match="security event"):
        bench.station.security_event(kind, bench.now, tech_info)
    assert bench.state() == before
    assert bench.station.actions() == bench.station.security_log() == []


def test_what_a_notification_can_just_carry_is_told_whole():
    bench = EventBench(V16, told_security_events=frozenset({"ß" * 50}))
    bench.note("ß" * 50, "😀" * 255)
    assert bench.sent(NOTIFICATION)[0]["type"] == "ß" * 50
    assert bench.sent(NOTIFICATION)[0]["techInfo"] == "😀" * 255


# guaranteed delivery


@pytest.mark.requirement("A04.FR.02", "1.6-A04.FR.02")
@each_version
def test_events_wait_for_the_link_in_their_order(version):
    bench = EventBench(version)
    bench.cut()
    for text in ("one", "two", "three"):
        bench.note(TAMPER, text)
        bench.run(7)
    assert (bench.untold, bench.told()) == (3, [])
    bench.mend()
    assert bench.untold == 0
    assert [(said["techInfo"], said["timestamp"]) for said in bench.sent(NOTIFICATION)] == [
        ("one", "2026-03-01T12:00:00.000Z"),
        ("two", "2026-03-01T12:00:07.000Z"),
        ("three", "2026-03-01T12:00:14.000Z"),
    ]


@pytest.mark.requirement("A04.FR.02", "1.6-A04.FR.02")
@each_version
def test_a_csms_that_does_not_answer_is_told_the_same_until_it_does(version):
    """Without limit, the waits grow as those of facts do."""
    bench = EventBench(version)
    bench.ignores.add(NOTIFICATION)
    at, times = bench.now, []
    bench.note(TAMPER, "lid")
    for _ in range(1000):
        if len(bench.calls(NOTIFICATION)) > len(times):
            times.append(bench.now - at)
        bench.run(1)
    assert times == [0, 90, 240, 450, 660, 870]  # 30 s for the answer, then 60, 120, 180, 180, ...
    bench.ignores.clear()
    bench.run(1000)
    assert bench.untold == 0
    calls = bench.calls(NOTIFICATION)
    assert len(calls) == 7
    assert all(call == calls[0] for call in calls)
    bench.note(TAMPER, "lid again")
    bench.ignores.add(NOTIFICATION)
    bench.note(TAMPER, "and again")
    before = bench.now
    bench.run(90)
    assert [call[3]["techInfo"] for call in bench.calls(NOTIFICATION)[7:]] == ["lid again"] + [
        "and again"
    ] * 2
    assert bench.now - before == 90, "the waits begin anew with every event"


@pytest.mark.requirement("A04.FR.02")
@each_version
def test_a_lost_link_is_waited_for_no_longer_than_it_lasts(version):
    bench = EventBench(version)
    bench.ignores.add(NOTIFICATION)
    bench.note(TAMPER)
    bench.run(130)  # twice no answer came, and the next retry waits
    bench.cut()
    bench.mend()
    bench.run(89)
    assert len(bench.calls(NOTIFICATION)) == 3
    bench.ignores.clear()
    bench.run(1)  # the waits have begun anew
    calls = bench.calls(NOTIFICATION)
    assert calls == [calls[0]] * 4
    assert bench.untold == 0


@pytest.mark.requirement("A04.FR.02")
@each_version
def test_a_link_lost_under_way_repeats_the_message(version):
    bench = EventBench(version)
    bench.ignores.add(NOTIFICATION)
    bench.note(TAMPER)
    bench.ignores.clear()
    bench.cut()
    bench.mend()
    first, again = bench.calls(NOTIFICATION)
    assert first == again


@pytest.mark.requirement("A04.FR.02")
@each_version
def test_a_retry_of_events_holds_up_no_facts_nor_the_other_way_round(version):
    bench = EventBench(version, attempts=2)
    bench.ignores.add(NOTIFICATION)
    bench.note(TAMPER)
    bench.run(31)
    bench.start_charging()
    assert bench.begun()
    assert bench.queued == 0
    bench.ignores.clear()
    bench.run(100)
    assert bench.untold == 0
    bench.ignores |= FACTS
    bench.present("A1")
    bench.run(31)
    assert bench.queued > 0
    bench.note(TAMPER)
    assert bench.untold == 0


@pytest.mark.requirement("A04.FR.01", "E04.FR.01")
@each_version
def test_facts_and_events_take_turns(version):
    """A flood of the one does not starve the other."""
    bench = EventBench(version)
    bench.start_charging()
    bench.cut()
    bench.present("A1")
    bench.unplug()
    for _ in range(5):
        bench.start_charging()
        bench.present("A1")
        bench.unplug()
    for number in range(8):
        bench.note(LOGIN, str(number))
    bench.forget()
    bench.mend()
    kept = [call[2] for call in bench.calls() if call[2] in FACTS | {NOTIFICATION}]
    assert [action == NOTIFICATION for action in kept[:16]] == [True, False] * 8
    assert kept.count(NOTIFICATION) == 8 < len(kept) / 2
    assert bench.queued == bench.untold == 0


@pytest.mark.requirement("A04.FR.02", "B02.FR.02")
@each_version
def test_nothing_is_told_before_the_csms_took_the_station(version):
    bench = EventBench(version, start=False)
    bench.registration, bench.interval = "Pending", 60
    bench.power_up()
    bench.note(TAMPER)
    bench.run(50)
    assert bench.told() == []
    bench.registration = "Accepted"
    bench.run(20)
    assert bench.told() == ["TamperDetectionActivated"]
    assert bench.sent(NOTIFICATION)[0]["timestamp"] == iso(EPOCH)


# answers that are none


@pytest.mark.requirement("A04.FR.01")
@pytest.mark.parametrize("code", ["InternalError", "GenericError", "FormatViolation", "Whatever"])
@each_version
def test_a_callerror_is_an_answer(version, code):
    bench = EventBench(version)
    bench.errors[NOTIFICATION] = code
    bench.note(TAMPER)
    bench.run(1000)
    assert len(bench.told()) == 1
    assert bench.untold == 0
    assert bench.notices(NoticeKind.SECURITY) == [f"the CSMS refused a security event: {code} as scripted"]


@each_version
def test_an_answer_that_breaks_the_rules_is_one_too(version):
    bench = EventBench(version)
    bench.ignores.add(NOTIFICATION)
    bench.note(TAMPER)
    bench.answer(bench.calls(NOTIFICATION)[0], {"surprise": 1})
    bench.run(1000)
    assert len(bench.told()) == 1
    assert bench.untold == 0


@pytest.mark.requirement("A04.FR.02", "1.6-A04.FR.02")
@pytest.mark.parametrize("code", ["NotImplemented", "NotSupported"])
@each_version
def test_a_csms_that_knows_no_security_events_is_asked_once_a_link(version, code):
    """A 1.6 CSMS without the whitepaper: its next release, or another CSMS, may know them."""
    bench = EventBench(version)
    bench.errors[NOTIFICATION] = code
    bench.note(TAMPER, "one")
    bench.note(TAMPER, "two")
    bench.run(1000)
    assert len(bench.told()) == 1
    assert bench.untold == 2
    assert len(bench.notices(NoticeKind.SECURITY)) == 1
    bench.cut()
    bench.mend()
    assert len(bench.told()) == 2
    assert len(bench.notices(NoticeKind.SECURITY)) == 2
    bench.errors.clear()
    bench.run(1000)
    assert bench.untold == 2
    bench.cut()
    bench.mend()
    assert [said["techInfo"] for said in bench.sent(NOTIFICATION)] == ["one", "one", "one", "two"]
    assert bench.calls(NOTIFICATION)[0] == bench.calls(NOTIFICATION)[1] == bench.calls(NOTIFICATION)[2]
    assert bench.untold == 0
