"""Several network profiles: whose turn it is, how long to wait, and how secure it has to be."""

from itertools import chain, combinations, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.domain.network import SecurityProfile
from ocpp_core.entropy import SeededEntropy
from ocpp_core.errors import LocalProtocolError
from ocpp_core.station import (
    Backoff,
    LinkFailure,
    NoticeKind,
    OpenLink,
    Station,
)

from .bench import V2X, V16, V21, V201, VERSIONS, config
from .network_bench import NetworkBench, profile

THREE = [profile(slot, f"CSMS {slot}") for slot in range(3)]


def fail(bench, times):
    """Let the next attempts fail; the slots tried."""
    before = len(bench.dialled)
    while len(bench.dialled) < before + times:
        bench.run(max(0.0, bench.station.next_timer() - bench.now))
    return bench.dialled[before : before + times]


# whose turn it is


@pytest.mark.requirement("B10.FR.04", "A05.FR.05")
@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("version", V2X)
def test_a_station_begins_with_the_first_profile_after_every_boot(version, order):
    bench = NetworkBench(*(THREE[slot] for slot in order), version=version)
    assert bench.dialled == [order[0]]
    bench.away(order[0])
    bench.run(100)
    assert bench.csms == f"CSMS {order[1]}"
    bench.back(order[0])
    bench.forget()
    bench.power_loss()
    assert bench.dialled == [order[0]]


@pytest.mark.requirement("B10.FR.03", "B10.FR.08", "B10.FR.09")
@pytest.mark.parametrize(("profiles", "attempts"), list(product((1, 2, 3), (1, 2, 3))))
@pytest.mark.parametrize("version", V2X)
def test_each_profile_has_its_attempts_and_then_all_begin_again_without_end(version, profiles, attempts):
    bench = NetworkBench(*THREE[:profiles], version=version, attempts=attempts, start=False)
    bench.away(*range(profiles))
    bench.power_up()
    rounds = 4
    fail(bench, rounds * profiles * attempts - 1)
    expected = [slot for slot in range(profiles) for _ in range(attempts)] * rounds
    assert bench.dialled == expected
    bench.run(100_000)
    assert len(bench.dialled) > len(expected)
    bench.back(*range(profiles))
    bench.run(1000)
    assert bench.online


@pytest.mark.requirement("B10.FR.03", "B10.FR.07", "B10.FR.08", "B10.FR.09", "2.0.1-J-5.3", "2.1-J-5.4")
@pytest.mark.parametrize(("slot", "attempts"), list(product(range(3), (1, 3))))
@pytest.mark.parametrize("version", V2X)
def test_a_lost_link_is_sought_where_it_was_then_elsewhere_then_there_again(version, slot, attempts):
    bench = NetworkBench(*THREE, version=version, attempts=attempts)
    bench.go_to(slot)
    assert bench.csms == f"CSMS {slot}"
    bench.forget()
    bench.away(*range(3))
    others = [(slot + turn) % 3 for turn in range(3)]
    assert fail(bench, 6 * attempts) == [slot for slot in others for _ in range(attempts)] * 2


@pytest.mark.requirement("B10.FR.03")
@pytest.mark.parametrize("failed", range(7))
def test_a_profile_that_is_chosen_begins_its_attempts_anew(failed):
    bench = NetworkBench(*THREE, attempts=3, start=False)
    bench.away(0, 1, 2)
    bench.power_up()
    fail(bench, failed)
    bench.go_to(2)
    rounds = [action.round for action in bench.done(OpenLink)]
    assert fail(bench, 9) == [2, 2, 0, 0, 0, 1, 1, 1, 2]
    assert [action.round for action in bench.done(OpenLink)] == [*rounds, *[rounds[-1]] * 8, rounds[-1] + 1]


@pytest.mark.requirement("B10.FR.03")
@given(
    outcomes=st.lists(st.sampled_from(["fails", "opens in silence", "serves"]), min_size=1, max_size=25),
    profiles=st.integers(1, 4),
    attempts=st.integers(1, 3),
)
def test_whose_turn_it_is_for_any_outcomes(outcomes, profiles, attempts):
    """Against the plainest of models: so many failures in a row are so many steps along a list."""
    ways = [profile(slot, f"CSMS {slot}") for slot in range(profiles)]
    bench = NetworkBench(*ways, attempts=attempts, start=False)
    bench.dials = None
    bench.ignores.add("BootNotification")
    bench.power_up()
    began_with, failed = 0, 0
    for outcome in outcomes:
        expected = (began_with + failed // attempts) % profiles
        action = bench.done(OpenLink)[-1]
        assert action == OpenLink((V21, V201, V16), expected, failed // (attempts * profiles))
        if outcome == "fails":
            bench.station.link_failed(LinkFailure.UNREACHABLE, "", bench.now)
            failed += 1
        else:
            bench.slot = action.slot
            failed += outcome == "opens in silence"
            bench.station.link_opened("ocpp2.0.1", bench.now)
            bench.drain()
            if outcome == "serves":
                bench.receive("[3]")  # any word will do
                began_with, failed = expected, 0
            bench.station.link_closed(1006, "", bench.now)
        bench.drain()
        bench.run(bench.station.next_timer() - bench.now)


# how long to wait


@pytest.mark.requirement("2.0.1-J-5.3", "2.1-J-5.4")
@given(
    minimum=st.floats(0.5, 60),
    spread=st.floats(0, 60),
    repeats=st.integers(0, 5),
    attempts=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
def test_waits_double_over_all_profiles_and_a_new_random_part_comes_on_top(
    minimum, spread, repeats, attempts, seed
):
    settings = config(
        backoff=Backoff(minimum, spread, repeats), network_profiles=tuple(THREE), network_attempts=attempts
    )
    station = Station(settings, SeededEntropy(seed), 0.0)
    now, parts = 0.0, []
    for attempt in range(2 * repeats + 3):
        station.link_failed(LinkFailure.UNREACHABLE, "", now)
        wait = station.next_timer() - now
        least = minimum * 2 ** min(attempt, repeats)
        assert least - 1e-6 <= wait <= least + spread + 1e-6
        parts.append(wait - least)
        now += wait
        station.handle_timer(now)
    assert spread < 1e-3 or len(set(parts)) > 1
    station.link_opened("ocpp2.0.1", now)
    station.receive_frame("[3]", now)
    station.link_closed(1006, "", now)
    assert minimum - 1e-6 <= station.next_timer() - now <= minimum + spread + 1e-6


@pytest.mark.requirement("2.0.1-J-5.3", "2.1-J-5.4", "B10.FR.09")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_link_over_which_nothing_was_said_is_a_failed_attempt(version):
    """A load balancer opens every WebSocket, whether or not there is a CSMS behind it."""
    bench = NetworkBench(*THREE[:2], version=version, attempts=2, start=False)
    bench.ignores.add("BootNotification")
    bench.power_up()
    waits = []
    for _ in range(2):
        bench.cut(back=True)
        waits.append(bench.station.next_timer() - bench.now)
        bench.run(waits[-1])
    assert waits == [10, 20]
    assert bench.dialled == [0, 0, 1]
    bench.ignores.clear()
    bench.cut(back=True)
    bench.run(40)
    assert bench.csms == "CSMS 1"
    bench.cut(back=True)
    assert bench.station.next_timer() == bench.now + 10


@pytest.mark.parametrize(("silence", "waits"), [(29.9, [20, 40, 40]), (30.0, [10, 10, 10])])
def test_a_silent_link_that_lasted_is_none(silence, waits):
    """A registered station may have nothing to say for long: a link that lives without words is good."""
    bench = NetworkBench(*THREE[:2], attempts=2)
    bench.cut(back=True)
    bench.run(10)
    seen = []
    for _ in waits:
        bench.run(silence)
        bench.cut(back=True)
        seen.append(round(bench.station.next_timer() - bench.now, 6))
        bench.run(seen[-1])
        bench.ignores.add("BootNotification")
    assert seen == waits


@pytest.mark.requirement("A02.FR.28", "A03.FR.24")
@pytest.mark.parametrize("version", V2X)
def test_old_and_new_credentials_take_turns_after_all_profiles_and_the_new_ones_go_first(version):
    """Who holds the credentials is told the round: even for the new ones, odd for the old."""
    bench = NetworkBench(*THREE[:2], version=version, attempts=2, start=False)
    bench.away(0, 1)
    bench.power_up()
    fail(bench, 11)
    assert [action.round for action in bench.done(OpenLink)] == [0] * 4 + [1] * 4 + [2] * 4
    bench.forget()
    bench.back(0, 1)
    bench.run(100)
    assert [action.round for action in bench.done(OpenLink)] == [3]
    bench.forget()
    bench.cut(back=True)  # and it may have been given new ones over this link
    bench.run(10)
    assert [action.round for action in bench.done(OpenLink)] == [0]


# security


LEVELS = list(SecurityProfile)
SETS = list(chain.from_iterable(combinations(LEVELS, size) for size in range(1, 5)))


def usable(levels, last, downgrade):
    """The security profiles that may be used after ``last``, in the words of the standard."""
    good = [level for level in levels if level >= last or (downgrade and (last, level) == (3, 2))]
    return good or list(levels)  # all of them lower: that is the work of somebody on the spot


@pytest.mark.requirement("A00.FR.005", "A05.FR.06", "1.6-A00.FR.005")
@pytest.mark.parametrize(("downgrade", "last"), list(product([False, True], LEVELS)))
@pytest.mark.parametrize("levels", SETS, ids=lambda levels: "".join(map(str, map(int, levels))))
def test_security_is_not_lowered_neither_at_once_nor_after_a_reboot(levels, last, downgrade):
    """Every set of security profiles, whichever was used last, before that set was configured or after."""
    allowed = usable(levels, last, downgrade)
    ways = [profile(int(level), "one", level) for level in levels]

    def check(bench):
        for level in LEVELS:
            if level in allowed:
                bench.station.connect(bench.now, int(level))
            else:
                with pytest.raises(LocalProtocolError, match=f"profile {int(level)} cannot be used"):
                    bench.station.connect(bench.now, int(level))
        bench.station.disconnect(bench.now)
        bench.drain()
        bench.away(*bench.reach)
        bench.station.connect(bench.now)
        assert set(fail(bench, 2 * len(levels))) == set(map(int, allowed))

    # One station connects by a profile of that level, and is then provisioned with this set.
    bench = NetworkBench(profile(int(last), "one", last))
    assert bench.online
    bench.reconfigure(*ways, allow_security_profile_downgrade=downgrade)
    bench.power_loss()
    assert bench.dialled[-1] == int(allowed[0])
    left_out = bench.notices(NoticeKind.SECURITY)
    assert bool(left_out) == (len(allowed) < len(levels))
    check(bench)
    # Another one has this set, and connects by that level.
    if last in levels:
        bench = NetworkBench(*ways, allow_security_profile_downgrade=downgrade, autoconnect=False)
        bench.go_to(int(last))
        assert bench.slot == int(last)
        check(bench)


@pytest.mark.requirement("A05.FR.06")
def test_what_is_left_out_does_not_change_whose_turn_it_is():
    ways = [profile(0, "one", 2), profile(1, "one", 0), profile(2, "one", 2)]
    bench = NetworkBench(*ways, autoconnect=False)
    bench.go_to(2)
    bench.cut(back=True)
    bench.run(10)
    assert bench.dialled[-2:] == [2, 2]


@pytest.mark.requirement("A00.FR.005", "A05.FR.06")
def test_what_was_lowered_once_is_not_raised_by_what_is_configured():
    """From 3 to 2, as allowed: 3 may still be used, and after it 2 again; 1 never."""
    ways = [profile(level, "one", level) for level in (3, 2, 1)]
    bench = NetworkBench(*ways, allow_security_profile_downgrade=True)
    for slot in (3, 2, 3, 2):
        bench.go_to(slot)
        assert bench.slot == slot
        with pytest.raises(LocalProtocolError, match="those that can: 3, 2"):
            bench.station.connect(bench.now, 1)
        bench.power_loss()


@pytest.mark.requirement("A05.FR.06")
def test_a_more_secure_profile_counts_only_once_the_csms_has_answered():
    """Else a profile that leads nowhere would lock the station out of the one that works."""
    bench = NetworkBench(profile(2, "one", 2), profile(0, "one", 0), attempts=2, start=False)
    bench.ignores.add("BootNotification")
    bench.power_up()
    for _ in range(2):
        assert bench.slot == 2
        bench.cut(back=True)
        bench.run(20)
    bench.ignores.clear()
    bench.cut(back=True)
    bench.run(100)
    assert bench.slot == 0
    assert bench.registered == "Accepted"
    bench.go_to(2)
    assert bench.registered == "Accepted"
    with pytest.raises(LocalProtocolError):
        bench.station.connect(bench.now, 0)


@pytest.mark.requirement("1.6-A05.FR.08")
def test_a_station_that_cannot_connect_with_a_higher_security_profile_falls_back():
    bench = NetworkBench(profile(0, "one", 1), version=V16)
    bench.reconfigure(profile(1, "one", 2), profile(0, "one", 1))
    bench.reach[1] = False
    bench.power_loss()
    bench.run(10)
    assert bench.dialled[-2:] == [1, 0]
    assert bench.online


def test_a_link_that_is_being_left_raises_nothing_for_the_one_that_is_wanted():
    bench = NetworkBench(profile(0, "one", 0), profile(3, "two", 3), start=False)
    bench.ignores.add("BootNotification")
    bench.power_up()
    bench.station.connect(bench.now, 3)
    bench.station.receive_frame("[3]", bench.now)  # still by profile 0
    bench.reach[3] = False
    bench.drain()
    bench.station.connect(bench.now, 0)  # nothing has connected by profile 3
    bench.drain()
    assert bench.slot == 0


@pytest.mark.requirement("A05.FR.06")
def test_the_level_is_durable_once_the_store_took_it_and_not_before():
    ways = [profile(0, "one", 0), profile(2, "one", 2)]
    bench = NetworkBench(*ways, start=False, store_retry_interval=5.0)
    bench.ignores.add("BootNotification")
    bench.power_up()
    bench.station.connect(bench.now, 2)
    bench.drain()
    bench.run(0)
    bench.ignores.clear()
    bench.disk = False
    bench.answer(bench.calls("BootNotification")[-1])
    assert bench.slot == 2
    kept = bench.store.load()
    assert "network" not in kept
    again = Station(bench.config, SeededEntropy(2), 0.0, kept)  # power loss while the disk was full
    again.connect(0.0, 0)
    bench.disk = True
    bench.run(5)
    kept = bench.store.load()
    assert kept == bench.station.snapshot()
    again = Station(bench.config, SeededEntropy(2), 0.0, kept)
    with pytest.raises(LocalProtocolError):
        again.connect(0.0, 0)
