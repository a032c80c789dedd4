"""Going from one network profile to another: the link, the boot, what belongs to a profile or to a CSMS."""

from itertools import product

import pytest

from ocpp_core.domain.network import NetworkProfile
from ocpp_core.entropy import SeededEntropy
from ocpp_core.errors import ConfigurationError, LocalProtocolError, StoreError
from ocpp_core.station import CloseLink, LinkChanged, LinkFailure, OpenLink, Station

from .bench import V2X, V16, V201, VERSIONS, config
from .network_bench import NetworkBench, profile

THREE = [profile(slot, f"CSMS {slot}") for slot in range(3)]


# going from one to another


def dialling(bench):
    bench.reach = dict.fromkeys(bench.reach)
    bench.station.disconnect(bench.now)
    bench.drain()
    bench.station.connect(bench.now)
    bench.drain()


def idle(bench):
    bench.station.disconnect(bench.now)
    bench.drain()


def waiting(bench):
    bench.cut(back=True)


def opened(bench):
    pass


def closing(bench):
    bench.station.disconnect(bench.now)
    bench.station.actions()


def closing_for_another(bench):
    bench.station.connect(bench.now, 2)
    bench.station.actions()


CLOSE = CloseLink(1000, "another network profile")
CONNECTS = [
    # state, slot wanted, actions at once, slot dialled once the link that was is gone
    (idle, None, [0], None),
    (idle, 0, [0], None),
    (idle, 1, [1], None),
    (waiting, None, [0], None),
    (waiting, 0, [0], None),
    (waiting, 1, [1], None),
    (dialling, None, [], None),
    (dialling, 0, [], None),
    (dialling, 1, [CLOSE], 1),
    (opened, None, [], None),
    (opened, 0, [], None),
    (opened, 1, [CLOSE], 1),
    (closing, None, [], 0),
    (closing, 0, [], 0),
    (closing, 1, [], 1),
    (closing_for_another, None, [], 2),
    (closing_for_another, 0, [], 0),
    (closing_for_another, 1, [], 1),
]


@pytest.mark.requirement("B10.FR.06")
@pytest.mark.parametrize(("prepare", "slot", "at_once", "later"), CONNECTS)
@pytest.mark.parametrize("version", V2X)
def test_connect_in_every_state_of_the_link(version, prepare, slot, at_once, later):
    """The old link is gone before the new one is dialled."""
    bench = NetworkBench(*THREE, version=version)
    prepare(bench)
    bench.station.connect(bench.now, slot)
    done = bench.station.actions()
    assert [getattr(action, "slot", action) for action in done] == at_once
    bench.reach = dict.fromkeys(bench.reach, True)
    if later is None:
        bench._carry_out(done)
        bench.drain()
        return
    assert not any(isinstance(action, OpenLink) for action in done)
    over = bench.station.link_failed if prepare is dialling else bench.station.link_closed
    over(*((LinkFailure.UNREACHABLE, "") if prepare is dialling else (1000, "")), bench.now)
    assert not any(isinstance(action, OpenLink) for action in bench.station.actions())
    assert bench.station.next_timer() == bench.now
    bench.forget()
    bench.run(0)
    assert bench.dialled == [later]
    assert bench.csms == f"CSMS {later}"


def test_a_slot_that_is_not_there_is_misuse_and_changes_nothing():
    bench = NetworkBench(*THREE)
    before = bench.state()
    with pytest.raises(LocalProtocolError, match="network profile 7 cannot be used; those that can: 0, 1, 2"):
        bench.station.connect(bench.now, 7)
    assert bench.state() == before
    assert bench.station.actions() == []


def test_a_link_that_was_open_cannot_have_failed_to_open():
    """An adapter's mistake is told to the adapter: else the station would wait for answers on a lost link."""
    bench = NetworkBench(*THREE)
    bench.station.connect(bench.now, 1)
    bench.station.actions()
    with pytest.raises(LocalProtocolError, match="no link is being opened"):
        bench.station.link_failed(LinkFailure.HTTP, "", bench.now)
    bench.station.link_closed(1000, "", bench.now)
    bench.drain()
    bench.run(0)
    assert bench.csms == "CSMS 1"
    assert bench.registered == "Accepted"


def test_an_adapter_that_does_not_answer_costs_a_profile_an_attempt():
    bench = NetworkBench(*THREE[:2], start=False)
    bench.reach[0] = None
    bench.power_up()
    bench.run(120)
    assert bench.done(CloseLink) == [CloseLink(1000, "dialling took too long")]
    assert bench.done(LinkChanged) == [LinkChanged(None, "1000 dialling took too long", 0)]
    bench.run(10)
    assert bench.csms == "CSMS 1"
    assert bench.done(LinkChanged)[-1] == LinkChanged(V201, slot=1)


@pytest.mark.requirement("B10.FR.10")
@pytest.mark.parametrize("csms", ["one", "two"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_station_boots_anew_by_another_profile_even_if_it_leads_to_the_same_csms(version, csms):
    bench = NetworkBench(profile(0, "one"), profile(1, csms), version=version)
    assert len(bench.sent("BootNotification")) == 1
    for slot, boots in ((1, 2), (1, 2), (0, 3), (1, 4)):
        bench.go_to(slot)
        assert len(bench.sent("BootNotification")) == boots
        assert bench.registered == "Accepted"


@pytest.mark.requirement("2.0.1-J-5.3", "2.1-J-5.4", "1.6-J-5.4")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_reconnect_by_the_same_profile_needs_no_boot(version):
    bench = NetworkBench(*THREE, version=version, attempts=2)
    bench.cut(back=True)
    bench.reach[0] = False
    bench.run(10)
    bench.back(0)
    bench.run(20)
    assert bench.csms == "CSMS 0"
    assert len(bench.sent("BootNotification")) == 1


# what belongs to a profile, or to a CSMS


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_and_time_out_are_those_of_the_profile(version):
    others = tuple(other for other in VERSIONS if other is not version)
    ways = (profile(0), profile(1, versions=(version,), message_timeout=7.0), profile(2, versions=others))
    bench = NetworkBench(*ways, start=False, message_timeout=50.0)
    bench.speaks[1] = version
    bench.ignores.add("BootNotification")
    bench.power_up()
    assert bench.station.next_timer() == bench.now + 50
    bench.go_to(1)
    assert bench.done(OpenLink)[-1] == OpenLink((version,), 1)
    assert bench.station.next_timer() == bench.now + 7
    bench.go_to(2)
    assert bench.done(OpenLink)[-1] == OpenLink(others, 2)


@pytest.mark.requirement("B02.FR.04", "B03.FR.02")
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_wait_that_one_csms_asked_for_is_kept_with_it_alone(version, status):
    bench = NetworkBench(*THREE[:2], version=version, start=False)
    bench.verdicts["CSMS 0"] = (status, 600)
    bench.power_up()
    assert bench.registered == status
    bench.run(100)
    bench.go_to(1)
    assert bench.registered == "Accepted"
    bench.run(100)
    bench.go_to(0)
    bench.run(399)
    assert len(bench.told("CSMS 0")) == 1
    assert bench.registered is None
    bench.run(2)
    assert len(bench.told("CSMS 0", "BootNotification")) == 2
    bench.go_to(1)
    bench.run(700)
    assert len(bench.told("CSMS 1", "BootNotification")) == 2
    bench.go_to(0)
    assert len(bench.told("CSMS 0", "BootNotification")) == 3


@pytest.mark.requirement("B02.FR.04")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_csms_by_another_way_is_still_made_to_wait(version):
    bench = NetworkBench(profile(0), profile(1), version=version, start=False)
    bench.verdicts["one"] = ("Pending", 600)
    bench.power_up()
    bench.run(100)
    bench.go_to(1)
    bench.run(499)
    assert len(bench.sent("BootNotification")) == 1
    bench.run(1)
    assert len(bench.sent("BootNotification")) == 2


@pytest.mark.requirement("B02.FR.04")
@pytest.mark.parametrize(("csms", "reason"), [("one", "Triggered"), ("two", "PowerUp")])
def test_a_boot_that_one_csms_asked_for_is_no_triggered_one_to_another(csms, reason):
    bench = NetworkBench(profile(0, "one"), profile(1, csms), start=False)
    bench.verdicts["one"] = ("Pending", 600)
    bench.power_up()
    bench.ignores.add("Heartbeat")  # keeps the triggered boot waiting
    bench.ask("TriggerMessage", {"requestedMessage": "Heartbeat"})
    bench.ask("TriggerMessage", {"requestedMessage": "BootNotification"})
    bench.away(0)
    bench.run(100)
    assert bench.told(csms, "BootNotification")[-1]["reason"] == reason


@pytest.mark.requirement("B10.FR.10", "B04.FR.01")
@pytest.mark.parametrize(("csms", "version"), list(product(["one", "two"], VERSIONS)))
def test_every_status_is_told_anew_by_another_profile(csms, version):
    bench = NetworkBench(profile(0, "one"), profile(1, csms), version=version)
    bench.plug_in()
    before = len(bench.sent("StatusNotification"))
    bench.go_to(1)
    told = bench.told(csms, "StatusNotification")[before if csms == "one" else 0 :]
    places = 3 if version is V16 else 2
    assert len(told) == places
    bench.go_to(0)
    assert len(bench.sent("StatusNotification")) == before + 2 * places


@pytest.mark.requirement("B04.FR.01", "B04.FR.02")
@pytest.mark.parametrize(("offline", "told"), [(300.0, 0), (300.1, 2)])
@pytest.mark.parametrize("version", V2X)
def test_being_offline_is_to_be_without_any_csms(version, offline, told):
    """OfflineThreshold counts from the last link, by whichever profile it was."""
    bench = NetworkBench(*THREE[:2], version=version, offline_threshold=300.0)
    bench.away(0)
    bench.run(290)  # not there, but by the other profile
    assert bench.csms == "CSMS 1"
    bench.forget()
    bench.station.disconnect(bench.now)
    bench.drain()
    bench.run(offline)
    bench.go_to(1)
    assert len(bench.sent("StatusNotification")) == told
    assert bench.sent("BootNotification") == []


@pytest.mark.requirement("B04.FR.01")
def test_an_attempt_that_fails_does_not_end_being_offline():
    bench = NetworkBench(*THREE[:1], offline_threshold=300.0)
    bench.away(0)
    bench.run(305)
    bench.back(0)
    bench.forget()
    bench.run(60)
    assert len(bench.sent("StatusNotification")) == 2
    assert bench.sent("BootNotification") == []


# configuration and storage


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"slot": -1}, "slot: 0 or more"),
        ({"versions": (V16, V16)}, "slot 0: versions: each once"),
        ({"message_timeout": 0.0}, "slot 0: message_timeout: more than 0"),
        ({"message_timeout": float("nan")}, "slot 0: message_timeout: more than 0"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(settings, text):
    with pytest.raises(ConfigurationError, match=text):
        NetworkProfile(**settings)


@pytest.mark.parametrize(
    "settings",
    [{"network_profiles": ()}, {"network_profiles": (profile(1), profile(1))}, {"network_attempts": 0}],
)
def test_profiles_that_make_no_sense_together_are_refused(settings):
    with pytest.raises(ConfigurationError, match="network"):
        config(**settings)


def test_rows_of_an_earlier_release_are_read():
    """No network table, and wire rows that name no CSMS: what was told was told to the only one there was."""
    bench = NetworkBench(profile(0, ""), sample_interval=60.0)
    bench.start_charging()
    rows = bench.store.load()
    assert all('"csms"' not in row for row in rows["wires"].values())
    rows["wires"] = {key: row.replace(',"csms":""', "") for key, row in rows["wires"].items()}
    assert "network" not in rows
    bench.power_loss()
    bench.run(100)
    assert bench.queued == 0
    assert len(bench.begun()) == len(bench.ended()) == 1


@pytest.mark.parametrize("row", ['{"security_profile":4}', "{}", "[]", "3"])
def test_a_network_row_that_is_none_is_refused(row):
    with pytest.raises(StoreError, match="table network, row 0"):
        Station(config(), SeededEntropy(1), 0.0, {"network": {"0": row}})
