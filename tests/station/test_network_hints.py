"""The host says that a network is gone, or back: nobody waits for a pong or for the end of a back-off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.errors import LocalProtocolError
from ocpp_core.station import CloseLink

from .bench import VERSIONS
from .network_bench import NetworkBench, profile

TWO = (profile(0), profile(1))
THREE = (*TWO, profile(2))


def lost(bench, slot=None, *, cut=True):
    """The host's word; ``cut``: the network does go."""
    if slot is not None and cut:
        bench.reach[slot] = False
    bench.station.network_lost(bench.now, slot)
    bench.drain()
    bench.run(0.0)


def back(bench, slot=None):
    if slot is not None:
        bench.back(slot)
    bench.station.network_back(bench.now, slot)
    bench.drain()
    bench.run(0.0)


def gone(bench):
    return bench.state()["connection"]["networks_gone"]


@pytest.mark.requirement("B10.FR.06", "B10.FR.10")
@pytest.mark.parametrize("slot", [None, 0])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_station_leaves_at_once_by_the_next_profile(version, slot):
    bench = NetworkBench(*TWO, version=version)
    bench.start_charging()
    left = bench.now
    lost(bench, slot)
    assert bench.now == left
    assert bench.done(CloseLink) == [CloseLink(1000, "the network is gone", abort=True)]
    assert bench.dialled == [0, 1]
    assert bench.online
    assert len(bench.sent("BootNotification")) == 2
    assert bench.evse()["charging_state"] == "Charging"
    assert gone(bench) == [0]


def test_the_network_of_a_profile_that_is_not_in_use_is_noted():
    bench = NetworkBench(*THREE)
    lost(bench, 1)
    assert bench.dialled == [0]
    assert bench.online
    lost(bench, 0)
    assert bench.dialled == [0, 2]


@pytest.mark.requirement("B10.FR.09")
def test_the_last_network_is_dialled_as_ever():
    bench = NetworkBench(*TWO)
    lost(bench, 1)
    lost(bench, 0)
    assert not bench.online
    assert bench.state()["connection"]["state"] == "waiting"
    bench.run(9)
    assert bench.dialled == [0]
    bench.run(1)
    assert bench.dialled == [0, 0]


def test_the_only_network_is_dialled_as_ever_and_at_once_when_it_is_back():
    bench = NetworkBench(TWO[0])
    lost(bench)
    bench.away(0)
    bench.run(200)
    assert set(bench.dialled) == {0}
    assert bench.state()["connection"]["state"] == "waiting"
    tried = len(bench.dialled)
    back(bench, 0)
    assert bench.online
    assert len(bench.dialled) == tried + 1


@pytest.mark.parametrize("slot", [None, 0])
def test_a_wait_ends_when_a_network_is_back(slot):
    bench = NetworkBench(*TWO, start=False)
    bench.away(0, 1)
    bench.power_up()
    bench.run(100)
    bench.back(0, 1)
    tried = len(bench.dialled)
    back(bench, slot)
    assert bench.online
    assert len(bench.dialled) == tried + 1
    assert slot is None or bench.slot == slot
    bench.cut(back=True)
    bench.run(10)  # the back-off has begun anew
    assert bench.online


def test_a_wait_ends_when_the_network_that_it_is_for_is_gone():
    bench = NetworkBench(*TWO, attempts=3)
    bench.away(0)
    assert bench.state()["connection"]["state"] == "waiting"
    lost(bench, 0)
    assert bench.online
    assert bench.dialled == [0, 1]


def test_a_dial_is_given_up_when_its_network_is_gone():
    bench = NetworkBench(*TWO, start=False)
    bench.reach[0] = None
    bench.power_up()
    assert bench.state()["connection"]["state"] == "dialing"
    lost(bench, 0, cut=False)
    assert bench.online
    assert bench.dialled == [0, 1]


def test_a_close_that_waits_for_an_answer_is_cut_short():
    bench = NetworkBench(*TWO)
    bench.station.disconnect(bench.now)
    bench.station.network_lost(bench.now)
    bench.drain()
    bench.run(0.0)
    assert [close.abort for close in bench.done(CloseLink)] == [False, True]
    assert bench.state()["connection"]["state"] == "idle"
    assert bench.dialled == [0]
    bench.station.connect(bench.now)
    bench.drain()
    assert bench.dialled == [0, 1]


def test_a_network_that_is_back_disturbs_no_link_and_no_dial():
    bench = NetworkBench(*TWO)
    lost(bench, 0)
    back(bench, 0)
    assert bench.dialled == [0, 1]
    assert bench.slot == 1
    assert gone(bench) == []
    bench.go_to(0)
    assert bench.slot == 0


def test_whoever_wants_a_profile_by_name_gets_it():
    bench = NetworkBench(*TWO)
    lost(bench, 0)
    bench.back(0)
    bench.go_to(0)
    assert bench.slot == 0
    assert gone(bench) == []


@pytest.mark.requirement("B10.FR.08", "B10.FR.09")
def test_a_word_that_is_never_taken_back_counts_for_one_round():
    bench = NetworkBench(*TWO)
    lost(bench, 0, cut=False)
    bench.away(1)
    bench.run(100)
    assert bench.csms == "one"
    assert bench.slot == 0
    assert bench.dialled[:3] == [0, 1, 1]


def test_a_profile_that_is_not_secure_enough_does_not_come_back_with_its_network():
    bench = NetworkBench(profile(0, level=2), profile(1, level=1))
    lost(bench, 0)
    lost(bench, 1)
    bench.away(0)
    back(bench, 1)
    assert set(bench.dialled) == {0}


@pytest.mark.parametrize("hint", ["network_lost", "network_back"])
def test_an_unknown_profile_is_the_callers_mistake(hint):
    bench = NetworkBench(*TWO)
    before = bench.state()
    with pytest.raises(LocalProtocolError, match="no network profile 7; there are 0, 1"):
        getattr(bench.station, hint)(bench.now, 7)
    assert bench.state() == before


@given(
    moves=st.lists(
        st.tuples(st.sampled_from(["lost", "back", "away", "run", "go"]), st.integers(0, 2)), max_size=25
    )
)
def test_no_word_of_the_host_strands_a_station(moves):
    """True or not, in whatever order: with one way left it is taken within two rounds of back-offs."""
    bench = NetworkBench(*THREE)
    for move, slot in moves:
        if move == "lost":
            lost(bench, slot, cut=False)
        elif move == "back":
            bench.station.network_back(bench.now, slot)
            bench.drain()
        elif move == "away":
            bench.away(slot)
        elif move == "go":
            bench.go_to(slot)
        bench.run(slot * 7)
    bench.away(0, 1)
    bench.back(2)
    bench.run(600)
    assert bench.online
    assert bench.slot == 2


@given(hints=st.lists(st.tuples(st.booleans(), st.none() | st.integers(0, 1)), max_size=20))
def test_hints_make_no_storm_of_dials(hints):
    """Each dial at once needs a word of its own; whatever fails otherwise waits."""
    bench = NetworkBench(*TWO)
    bench.reach = dict.fromkeys(bench.reach, False)
    for is_back, slot in hints:
        (bench.station.network_back if is_back else bench.station.network_lost)(bench.now, slot)
        bench.drain()
        bench.run(0.0)
    assert len(bench.dialled) <= 1 + len(hints)
