"""What waits for a CSMS that may never come back: it is listed, released, held no longer than told."""

import json

import pytest

from ocpp_core.errors import ConfigurationError, LocalProtocolError
from ocpp_core.station import FactHandedOver, NoticeKind, OpenLink, PinPolicy

from .bench import V16, V201, VERSIONS, Bench, config
from .network_bench import NetworkBench, profile
from .test_network_profiles_facts import shape, spoken_of

ONE, TWO = profile(0, "one"), profile(1, "two")
DAY = 86_400.0


def moved(version=V201, **settings):
    """A transaction that CSMS one was told of; then there is only the CSMS two, for good."""
    bench = NetworkBench(ONE, TWO, version=version, **settings)
    bench.start_charging()
    bench.away(0)
    bench.run(30)
    assert bench.csms == "two"
    bench.suspend()
    return bench


def release(bench, csms="one", to=None):
    count = bench.station.release(csms, bench.now, to)
    bench.drain()
    bench.run(0.0)
    return count


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_held_is_listed_for_whom_and_since_when(version):
    bench = moved(version)
    held = bench.station.held()
    assert held == [
        {
            "transaction": bench.evse()["transaction"],
            "csms": "one",
            "version": version,
            "csms_id": 1 if version is V16 else None,
            "facts": bench.queued,
            "since_utc_ms": held[0]["since_utc_ms"],
        }
    ]
    json.dumps(held)
    bench.run(100)
    bench.power_loss()
    bench.run(30)
    assert bench.station.held()[0]["since_utc_ms"] == held[0]["since_utc_ms"]
    bench.back(0)
    bench.go_to(0)
    assert bench.station.held() == []
    bench.go_to(1)
    again = bench.station.held()
    assert not again or again[0]["since_utc_ms"] > held[0]["since_utc_ms"]


@pytest.mark.requirement("B10.FR.05")
@pytest.mark.parametrize("version", VERSIONS)
def test_released_facts_are_the_operators_and_so_are_those_to_come(version):
    bench = moved(version)
    transaction = bench.evse()["transaction"]
    assert release(bench) == 1
    assert bench.station.held() == []
    handed = bench.done(FactHandedOver)
    assert {(one.fact.transaction, one.csms, one.version) for one in handed} == {
        (transaction, "one", version)
    }
    assert transaction in bench.notices(NoticeKind.PINNED)[-1]
    bench.unplug()
    bench.run(1)
    assert bench.done(FactHandedOver)[-1].fact.phase == "Ended"
    assert bench.queued == 0
    assert "wires" not in bench.station.snapshot()
    assert transaction not in spoken_of(bench, "two")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_csms_that_took_the_transactions_over_goes_on_with_them(version):
    bench = moved(version)
    transaction = bench.evse()["transaction"]
    assert release(bench, to="two") == 1
    assert bench.station.held() == []
    assert bench.done(FactHandedOver) == []
    bench.unplug()
    assert bench.queued == 0
    assert shape(bench, "two").endswith("-")
    assert shape(bench, "one").count("+") == 1
    assert "-" not in shape(bench, "one")
    assert "+" not in shape(bench, "two")
    assert version is V16 or transaction in spoken_of(bench, "two")
    assert "wires" not in bench.station.snapshot()


@pytest.mark.parametrize("to", ["one", "three"])
def test_only_the_csms_that_is_there_can_take_over(to):
    bench = moved()
    before = bench.station.snapshot()
    with pytest.raises(
        LocalProtocolError, match=f"cannot go to '{to}' in ocpp2.0.1; there is 'two' in ocpp2.0.1"
    ):
        release(bench, to=to)
    assert bench.station.snapshot() == before
    assert len(bench.station.held()) == 1


def test_nobody_takes_over_what_was_told_in_another_version():
    bench = NetworkBench(ONE, TWO)
    bench.start_charging()
    bench.speaks[1] = V16
    bench.away(0)
    bench.run(30)
    with pytest.raises(LocalProtocolError, match=r"in ocpp2\.0\.1; there is 'two' in ocpp1\.6"):
        release(bench, to="two")
    bench.away(1)
    with pytest.raises(LocalProtocolError, match="there is none"):
        release(bench, to="two")
    assert release(bench) == 1  # the operator may have it at any time


def test_what_is_not_held_is_not_released():
    bench = moved()
    with pytest.raises(
        LocalProtocolError, match="nothing is held for CSMS 'three'; CSMSs with something: 'one'"
    ):
        release(bench, "three")
    ours = Bench(V201)
    ours.start_charging()
    with pytest.raises(LocalProtocolError, match="nothing is held for CSMS ''; CSMSs with something: none"):
        ours.station.release("", ours.now)
    assert ours.station.held() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_csms_that_left_the_version_behind_gets_the_station_back(version):
    """It would be offered the old version alone for ever."""
    bench = Bench(version, config=config())
    bench.start_charging()
    bench.cut(back=True)
    bench.version = V16 if version is not V16 else V201
    bench.run(100)
    assert not bench.online
    assert [held["csms"] for held in bench.station.held()] == [""]
    bench.station.release("", bench.now)
    bench.drain()
    bench.run(100)
    assert bench.online
    assert len(bench.done(OpenLink)[-1].versions) == 3


# no longer than configured


@pytest.mark.parametrize("version", VERSIONS)
def test_holding_ends_after_the_time_for_it(version):
    bench = moved(version, pin_timeout=DAY)
    bench.run(DAY - 60)
    assert bench.done(FactHandedOver) == []
    bench.run(120)
    assert bench.done(FactHandedOver)
    assert "too long" in bench.notices(NoticeKind.PINNED)[-1]
    assert bench.station.held() == []


def test_reboots_do_not_begin_the_time_anew():
    bench = moved(pin_timeout=DAY)
    bench.run(DAY / 2)
    bench.power_loss()
    bench.run(DAY / 2)
    assert bench.done(FactHandedOver)
    assert bench.station.held() == []


def test_the_time_of_each_is_its_own():
    bench = NetworkBench(ONE, TWO, profile(2, "three"), pin_timeout=DAY)
    bench.start_charging()
    bench.away(0)
    bench.run(DAY / 2)
    bench.start_charging("B2", 2)
    first, second = bench.evse(1)["transaction"], bench.evse(2)["transaction"]
    bench.away(1)
    bench.run(60)
    bench.suspend(1)
    bench.suspend(2)
    bench.run(DAY / 2)
    assert [held["transaction"] for held in bench.station.held()] == [second]
    assert {one.fact.transaction for one in bench.done(FactHandedOver)} == {first}
    bench.run(DAY / 2 + 60)
    assert bench.station.held() == []


def test_a_csms_that_comes_back_in_time_is_told():
    bench = moved(pin_timeout=DAY)
    bench.back(0)
    bench.run(DAY - 200)
    bench.go_to(0)
    assert bench.queued == 0
    bench.run(DAY)
    assert bench.done(FactHandedOver) == []


def test_a_time_that_was_not_known_counts_from_when_it_is():
    bench = Bench(V201, config=config(pin_timeout=DAY))
    bench.start_charging()
    bench.cut(back=True)
    bench.version = V16
    bench.power_loss()  # and nobody tells the time before a link is open
    bench.run(100)
    assert [held["since_utc_ms"] for held in bench.station.held()] == [None]
    bench.station.set_utc(1_800_000_000_000, bench.now)
    bench.run(100)
    assert bench.station.held()[0]["since_utc_ms"] >= 1_800_000_000_000
    bench.station.set_utc(1_700_000_000_000, bench.now)  # it was wrong
    bench.run(100)
    assert bench.station.held()[0]["since_utc_ms"] < 1_800_000_000_000
    bench.station.set_utc(None, bench.now)
    bench.run(DAY)
    bench.station.set_utc(1_700_000_000_000, bench.now)
    assert bench.done(FactHandedOver) == []
    bench.run(2 * DAY + 200)
    assert bench.done(FactHandedOver)


def test_a_timer_that_comes_when_the_time_is_not_known_hands_nothing_over():
    bench = moved(pin_timeout=DAY)
    bench.station.set_utc(None, bench.now)
    bench.away(1)
    bench.run(2 * DAY)
    assert bench.done(FactHandedOver) == []
    bench.station.set_utc(1_800_000_000_000, bench.now)
    bench.run(2 * DAY)
    assert bench.done(FactHandedOver)


def test_the_time_is_not_negative():
    with pytest.raises(ConfigurationError, match="pin_timeout"):
        config(pin_timeout=-1.0)


def test_the_policy_to_hand_over_holds_nothing():
    bench = moved(pin_policy=PinPolicy.HAND_OVER)
    assert bench.station.held() == []
    with pytest.raises(LocalProtocolError, match="nothing is held"):
        release(bench)
