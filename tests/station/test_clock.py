"""Wall time as something learned: anchors, estimates, and a clock that is put back."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core import LocalProtocolError
from ocpp_core.clock import Anchor, Boot, Clock, Moment
from ocpp_core.domain.status import StationInfo
from ocpp_core.domain.time import Stamp, from_utc_ms, to_utc_ms
from ocpp_core.station import Station, StationConfig

NOON = 1_772_366_400_000


def test_an_unknown_time_is_not_invented():
    clock = Clock(1, 50.0)
    assert not clock.known
    assert clock.utc_ms(60.0) is None
    assert clock.stamp(60.0) == Stamp(1, 60.0, None)
    assert clock.resolve(clock.stamp(60.0)) is None


@pytest.mark.requirement("B01.FR.06")
def test_what_was_learned_dates_the_boot_backwards_and_forwards():
    clock = Clock(1, 50.0)
    early = clock.stamp(60.0)
    assert clock.set_utc(NOON, 100.0)
    assert clock.known
    assert clock.current == Boot(50.0, Anchor(100.0, NOON))
    assert clock.resolve(early) == Moment(NOON - 40_000)
    assert clock.stamp(101.5) == Stamp(1, 101.5, NOON + 1_500)


@pytest.mark.requirement("G02.FR.06")
def test_a_correction_moves_only_what_comes_after_it():
    clock = Clock(1, 0.0)
    unknown = clock.stamp(1.0)
    clock.set_utc(NOON, 10.0)
    known = clock.stamp(20.0)
    assert not clock.set_utc(NOON - 3_600_000, 10.0)  # an hour back
    assert clock.resolve(unknown) == Moment(NOON - 9_000)
    assert clock.resolve(known) == Moment(NOON + 10_000)
    assert clock.utc_ms(20.0) == NOON - 3_590_000


def test_time_can_be_forgotten_but_not_the_anchor():
    clock = Clock(1, 0.0)
    clock.set_utc(NOON, 10.0)
    assert not clock.set_utc(None, 11.0)
    assert clock.utc_ms(11.0) is None
    assert clock.resolve(clock.stamp(11.0)) == Moment(NOON + 1_000)


def test_an_earlier_boot_with_an_anchor_is_exact():
    clock = Clock(3, 0.0, {1: Boot(5.0, Anchor(10.0, NOON))})
    assert clock.resolve(Stamp(1, 8.0)) == Moment(NOON - 2_000)


def test_a_boot_that_never_learned_the_time_ends_where_the_next_began():
    clock = Clock(3, 100.0, {1: Boot(0.0, None, 50.0), 2: Boot(7.0, None, 17.0)})
    first, second = Stamp(1, 40.0), Stamp(2, 9.0)
    assert clock.resolve(first) is None
    clock.set_utc(NOON, 160.0)
    began = NOON - 60_000
    assert clock.resolve(second) == Moment(began - 8_000, estimated=True)
    # boot 2 lasted 10 seconds as far as is known; boot 1 ended before that
    assert clock.resolve(first) == Moment(began - 10_000 - 10_000, estimated=True)


def test_a_boot_last_heard_of_before_the_stamp_ends_with_the_stamp():
    clock = Clock(2, 100.0, {1: Boot(0.0)})
    clock.set_utc(NOON, 100.0)
    assert clock.resolve(Stamp(1, 33.0)) == Moment(NOON, estimated=True)


def test_a_boot_nobody_knows_has_no_time():
    clock = Clock(2, 0.0)
    clock.set_utc(NOON, 0.0)
    assert clock.resolve(Stamp(1, 1.0)) is None
    assert clock.resolve(Stamp(9, 1.0)) is None


@given(st.lists(st.floats(0, 1e6), min_size=2), st.floats(0, 1e6))
def test_resolved_times_keep_the_order_of_a_boot(monos, anchored):
    clock = Clock(2, 2e6, {1: Boot(0.0, Anchor(anchored, NOON))})
    moments = [clock.resolve(Stamp(1, mono)) for mono in sorted(monos)]
    assert [moment.utc_ms for moment in moments] == sorted(moment.utc_ms for moment in moments)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_datetime_survives_as_milliseconds(moment):
    assert timedelta(0) <= moment - from_utc_ms(to_utc_ms(moment)) < timedelta(milliseconds=1)


@given(st.integers())
def test_milliseconds_of_any_size_have_a_datetime(utc_ms):
    moment = from_utc_ms(utc_ms)
    assert moment.tzinfo is UTC
    assert datetime.min.year <= moment.year <= datetime.max.year


def test_a_time_without_zone_is_no_moment():
    with pytest.raises(ValueError, match="zone"):
        to_utc_ms(datetime(2026, 1, 1))


def test_a_station_takes_no_fraction_for_a_time():
    station = Station(StationConfig(StationInfo("Model", "Vendor")), os.urandom, 0.0)
    station.set_utc(NOON, 0.0)
    before = station.state(0.0), station.snapshot()
    with pytest.raises(LocalProtocolError, match=r"whole milliseconds since 1970, not 1\.5"):
        station.set_utc(1.5, 0.0)
    assert (station.state(0.0), station.snapshot()) == before
