"""The link: wanted, dialled, lost, and dialled again."""

import pytest

from ocpp_core.errors import ConfigurationError, LocalProtocolError
from ocpp_core.station import Backoff, CloseLink, LinkChanged, LinkFailure, NoticeKind, OpenLink, Station
from ocpp_core.versions import OcppVersion

from .bench import V16, V21, V201, VERSIONS, Bench, config

IDLE = {"state": "idle", "subprotocol": None, "wanted": False, "slot": 0, "networks_gone": []}


def test_all_versions_are_offered_in_order_of_preference():
    bench = Bench(V201, config=config())
    assert bench.done(OpenLink) == [OpenLink((V21, V201, V16))]
    assert bench.done(LinkChanged) == [LinkChanged(V201)]
    assert bench.state()["connection"] == {
        "state": "open",
        "subprotocol": "ocpp2.0.1",
        "wanted": True,
        "slot": 0,
        "networks_gone": [],
    }


def test_a_station_may_wait_to_be_told():
    bench = Bench(autoconnect=False)
    assert bench.done(OpenLink) == []
    assert bench.state()["connection"] == IDLE
    assert bench.station.next_timer() is None
    bench.mend()
    assert bench.registered == "Accepted"
    bench.station.connect(bench.now)  # no effect while open
    bench.drain()
    assert len(bench.done(OpenLink)) == 1


@pytest.mark.requirement("2.0.1-J-5.3")
def test_the_wait_doubles_so_often_and_no_more_and_starts_again_after_success():
    bench = Bench(V201, start=False)
    bench.dials = None
    bench.power_up()
    waits = []
    for _ in range(5):
        bench.station.link_failed(LinkFailure.UNREACHABLE, "no route", bench.now)
        bench.drain()
        dialled = len(bench.done(OpenLink))
        before = bench.now
        bench.skip(bench.station.next_timer() - bench.now)
        assert len(bench.done(OpenLink)) == dialled + 1
        waits.append(bench.now - before)
    assert waits == [10, 20, 40, 40, 40]
    bench.dials = True
    bench.station.link_opened("ocpp2.0.1", bench.now)
    bench.drain()
    bench.cut()
    assert bench.station.next_timer() == bench.now + 10


def test_a_random_part_comes_on_top():
    backoff = Backoff(10.0, 6.0, 3)
    assert backoff.wait(1, 0.5) == 13.0
    assert backoff.wait(9, 0.25) == 81.5


@pytest.mark.parametrize(
    "settings", [{"minimum": 0.0}, {"minimum": -1.0}, {"random_range": -1.0}, {"repeats": -1}]
)
def test_a_back_off_that_never_waits_is_none(settings):
    with pytest.raises(ConfigurationError, match="backoff"):
        Backoff(**settings)


@pytest.mark.parametrize("reason", LinkFailure)
def test_every_failure_is_told_and_dialled_again(reason):
    bench = Bench(V201, start=False)
    bench.dials = None
    bench.power_up()
    bench.station.link_failed(reason, "detail", bench.now)
    bench.drain()
    assert bench.done(LinkChanged) == [LinkChanged(None, f"{reason}: detail")]
    bench.run(10)
    assert len(bench.done(OpenLink)) == 2


def test_an_adapter_that_does_not_answer_is_told_to_give_up():
    bench = Bench(V201, start=False)
    bench.dials = None
    bench.power_up()
    bench.run(119)
    assert bench.done(CloseLink) == []
    bench._inbox.clear()
    bench.skip(1)
    assert bench.done(CloseLink) == [CloseLink(1000, "dialling took too long")]
    assert bench.state()["connection"]["state"] == "waiting"  # the adapter said that it is closed


def test_a_link_that_opens_while_it_is_given_up_stays_given_up():
    bench = Bench(V201, start=False)
    bench.dials = None
    bench.power_up()
    bench.station.disconnect(bench.now)
    bench.station.link_opened("ocpp2.0.1", bench.now)
    assert not bench.online
    bench.drain()
    assert bench.frames == []
    assert bench.state()["connection"] == IDLE


@pytest.mark.requirement("2.0.1-J-3.1.2", "1.6-J-3.1.2")
def test_a_subprotocol_that_was_not_offered_closes_the_link():
    bench = Bench(V201, start=False)
    bench.dials = None
    bench.power_up()
    bench.station.link_opened("ocpp1.6", bench.now)
    bench.drain()
    assert bench.done(CloseLink) == [CloseLink(1000, "subprotocol was not offered")]
    assert "ocpp1.6" in bench.notices(NoticeKind.PEER)[0]
    assert bench.frames == []


def test_disconnect_stays_away_until_connect():
    bench = Bench()
    bench.station.disconnect(bench.now)
    bench.station.disconnect(bench.now)
    bench.drain()
    assert bench.done(CloseLink) == [CloseLink(1000, "disconnect")]
    bench.run(1000)
    assert len(bench.done(OpenLink)) == 1
    bench.mend()
    assert bench.online


def test_disconnect_while_waiting_stops_the_waiting():
    bench = Bench()
    bench.cut()
    bench.station.disconnect(bench.now)
    assert bench.state()["connection"]["state"] == "idle"
    assert bench.station.next_timer() is None
    bench.station.disconnect(bench.now)


def test_connect_does_not_wait_for_the_back_off():
    bench = Bench()
    bench.cut(back=True)
    bench.station.connect(bench.now)
    bench.drain()
    assert bench.online


def test_connect_while_closing_comes_back():
    bench = Bench()
    bench.station.disconnect(bench.now)
    bench.station.connect(bench.now)
    bench.drain()
    assert bench.state()["connection"]["state"] == "waiting"
    assert bench.station.next_timer() == bench.now
    bench.run(0.1)
    assert bench.online


def test_disconnect_again_while_closing_stays_away():
    bench = Bench()
    bench.station.disconnect(bench.now)
    bench.station.connect(bench.now)
    bench.station.disconnect(bench.now)
    bench.drain()
    assert bench.state()["connection"]["state"] == "idle"


def test_a_haste_that_was_called_off_is_no_haste_later():
    bench = Bench()
    bench.station.disconnect(bench.now)
    bench.station.connect(bench.now)
    bench.station.disconnect(bench.now)
    bench.drain()
    bench.mend()
    bench.cut(back=True)
    assert bench.station.next_timer() == bench.now + 10


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_said_on_a_link_that_closes(version):
    """After CloseLink neither calls nor answers go out, and commands have no effect."""
    bench = Bench(version)
    bench.station.disconnect(bench.now)
    trigger = '[2,"x","TriggerMessage",{"requestedMessage":"Heartbeat"}]'
    for text in (trigger, "nonsense", '[2,"y","Unheard",{}]'):
        bench.station.receive_frame(text, bench.now)
    bench.station.plug_in(1, 1, bench.now)
    bench.forget()
    bench.drain()
    assert bench.frames == []
    bench.mend()
    assert bench.sent("Heartbeat") == []
    assert bench.statuses()[-1] == ("Preparing" if version is V16 else "Occupied")


def test_a_boot_that_falls_due_while_the_link_closes_waits_for_the_next():
    bench = Bench(V201, start=False)
    bench.registration, bench.interval = "Pending", 60
    bench.power_up()
    bench.station.disconnect(bench.now)
    bench.station.handle_timer(bench.now + 60)
    bench.drain()
    assert len(bench.sent("BootNotification")) == 1
    bench.mend()
    assert len(bench.sent("BootNotification")) == 2


def test_a_frame_without_a_link_is_noticed():
    bench = Bench(autoconnect=False)
    bench.receive("[3]")
    assert bench.notices(NoticeKind.PEER) == ["a frame came without a link"]


@pytest.mark.parametrize(
    ("prepare", "verb", "arguments"),
    [
        ("open", "link_opened", ("ocpp2.0.1",)),
        ("open", "link_failed", (LinkFailure.HTTP, "")),
        ("waiting", "link_opened", ("ocpp2.0.1",)),
        ("waiting", "link_failed", (LinkFailure.HTTP, "")),
        ("waiting", "link_closed", (1000, "")),
        ("dialing", "link_closed", (1000, "")),
        ("idle", "link_opened", ("ocpp2.0.1",)),
        ("idle", "link_failed", (LinkFailure.HTTP, "")),
        ("idle", "link_closed", (1000, "")),
    ],
)
def test_answers_to_what_was_not_asked_are_misuse(prepare, verb, arguments):
    bench = Bench(autoconnect=prepare != "idle", start=False)
    bench.dials = True if prepare in ("open", "waiting") else None
    bench.power_up()
    if prepare == "waiting":
        bench.cut()
    before = bench.state()
    assert before["connection"]["state"] == prepare
    with pytest.raises(LocalProtocolError, match="link"):
        getattr(bench.station, verb)(*arguments, bench.now)
    assert bench.state() == before
    assert bench.station.actions() == []


def test_a_lost_link_fails_no_call_for_good():
    """What was in flight is sent again on the next link, and the late answer to it is nobody's."""
    bench = Bench(V201, start=False)
    bench.ignores.add("BootNotification")
    bench.power_up()
    (boot,) = bench.calls("BootNotification")
    bench.cut()
    bench.ignores.clear()
    bench.mend()
    assert len(bench.calls("BootNotification")) == 2
    bench.answer(boot)
    assert bench.registered == "Accepted"
    assert any(boot[1] in notice for notice in bench.notices(NoticeKind.PEER))


def test_the_version_may_change_from_link_to_link():
    bench = Bench(V201, config=config())
    bench.cut()
    bench.version = V16
    bench.forget()
    bench.mend()
    assert bench.done(LinkChanged) == [LinkChanged(OcppVersion.V16)]
    assert [frame[2] for frame in bench.calls()] == ["BootNotification"] + ["StatusNotification"] * 3


@pytest.mark.requirement("2.1-J-4.2.3")
def test_an_answer_that_the_csms_refuses_is_noticed():
    bench = Bench(V21)
    bench.receive('[5,"x","FormatViolation","no such status",{}]')
    assert bench.notices(NoticeKind.PEER) == [
        "the CSMS refused our answer to x: FormatViolation no such status"
    ]


def test_a_message_that_is_not_for_stations_is_noticed():
    bench = Bench(V21)
    bench.receive('[6,"x","NotifyPeriodicEventStream",{}]')
    assert "send-dropped" in bench.notices(NoticeKind.PEER)[0]


@pytest.mark.requirement("B10.FR.03", "2.0.1-J-5.3", "2.1-J-5.4")
@pytest.mark.parametrize(
    ("seconds", "heard", "served"),
    [(0, False, False), (29, False, False), (90, False, False), (0, True, True)],
)
def test_a_csms_that_is_not_behind_its_websocket_is_a_failed_attempt(
    seconds: float, heard: bool, served: bool
) -> None:
    settings = config(backoff=Backoff(10.0, 0.0, 5), message_timeout=30.0)
    station = Station(settings, lambda count: bytes(count), now=0.0)
    now, waits = 0.0, []
    for _ in range(3):
        station.link_opened("ocpp2.0.1", now)
        if heard:
            station.receive_frame("a word", now)
        while seconds and (timer := station.next_timer()) is not None and timer <= now + seconds:
            station.handle_timer(timer)
        now += seconds
        station.link_closed(1011, "", now)
        at = station.next_timer()
        assert at is not None
        waits.append(at - now)
        now = at
        station.handle_timer(now)
    assert waits == ([10, 10, 10] if served else [10, 20, 40])
