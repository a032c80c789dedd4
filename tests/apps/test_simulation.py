"""The simulated hardware: energy is exact, flows when it can, and is remembered before it is reported."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.domain.layout import Layout
from ocpp_core.domain.metering import ENERGY_REGISTER, Quantity
from ocpp_core.errors import StoreError
from ocpp_core.store import Commit, MemoryStore, Put
from ocpp_station.simulation import (
    EnergyRegister,
    Hardware,
    HardwareError,
    NoMemory,
    RegisterState,
    StoreMemory,
)
from ocpp_station.simulation.memory import SCOPE

watts = st.integers(0, 1_000_000).map(lambda milliwatts: milliwatts / 1000)
seconds = st.integers(0, 10**9).map(lambda microseconds: microseconds / 10**6)


class ScopedMemoryStore:
    """A store of several scopes, in memory."""

    def __init__(self) -> None:
        self.scopes: dict[str, MemoryStore] = {}

    def load(self, scope: str) -> dict[str, dict[str, str]]:
        return self.scopes.setdefault(scope, MemoryStore()).load()

    def commit(self, commit: Commit, scope: str) -> None:
        self.scopes.setdefault(scope, MemoryStore()).commit(commit)


def energy(hardware: Hardware, evse: int, now: float) -> float:
    return next(it.value for it in hardware.read(evse, now) if it.measurand == ENERGY_REGISTER)


@given(st.lists(st.tuples(seconds, watts), max_size=20))
def test_energy_is_the_exact_integral_of_power(steps: list[tuple[float, float]]) -> None:
    """Against rational arithmetic, and however often the register is read in between."""
    register = EnergyRegister(0.0)
    now_us, exact, power = 0, Fraction(0), Fraction(0)
    for delay, next_watts in steps:
        delay_us = round(delay * 10**6)
        for part in (3, 2):  # extra readings on the way change nothing
            register.read((now_us + delay_us // part) / 10**6)
        now_us += delay_us
        exact += power * Fraction(delay_us, 10**6)
        power = Fraction(round(next_watts * 1000), 1000)
        register.set_power(next_watts, now_us / 10**6)
    assert Fraction(register.read(now_us / 10**6).counted_pj, 10**12) == exact


def test_a_year_of_readings_does_not_drift() -> None:
    register = EnergyRegister(0.0)
    register.set_power(7360, 0.0)
    for tick in range(1, 100_001):
        register.read(tick * 0.1)
    assert register.read(10_000.0).counted_pj == 7360 * 10_000 * 10**12


def test_the_register_counts_whole_watt_hours_from_where_it_was_set() -> None:
    register = EnergyRegister(0.0)
    register.set_wh(2500.5, 0.0)
    register.set_power(3600, 0.0)
    assert [register.read(at).wh for at in (0.0, 0.999, 1.0, 2.5)] == [2500.5, 2500.5, 2501.5, 2502.5]


def test_a_clock_that_steps_back_takes_no_energy_away() -> None:
    register = EnergyRegister(10.0)
    register.set_power(3600, 10.0)
    before = register.read(20.0)
    assert register.read(15.0) == before
    assert register.read(21.0).wh == before.wh + 1


def test_power_flows_only_with_car_contactor_and_consent() -> None:
    hardware = Hardware(Layout((2,)), NoMemory(), 0.0)
    evse = hardware.evse(1)
    assert evse.power == 0
    evse.plug_in(2, None, 0.0)
    assert evse.power == 0
    evse.switch(True, 0.0)
    assert evse.power == 7360
    evse.suspend("EV", 0.0)
    evse.suspend("EVSE", 0.0)
    evse.resume("EV", 0.0)
    assert evse.power == 0
    evse.resume("EVSE", 0.0)
    assert evse.power == 7360
    evse.plug_out(0.0)
    assert evse.power == 0


def test_a_thin_cable_limits_the_car() -> None:
    evse = Hardware(Layout(), NoMemory(), 0.0).evse(1)
    evse.plug_in(1, 16, 0.0)
    evse.switch(True, 0.0)
    assert evse.power == 16 * 230
    evse.set_power(22_000, 3, 0.0)
    assert evse.power == 3 * 16 * 230
    evse.set_power(1000, 3, 0.0)
    assert evse.power == 1000


def test_what_cars_draw_is_set_for_the_evse() -> None:
    evse = Hardware(Layout(), NoMemory(), 0.0).evse(1)
    evse.set_power(100, 3, 0.0)
    evse.plug_in(1, None, 0.0)
    evse.switch(True, 0.0)
    assert evse.power == 100


def test_losing_power_opens_the_contactor_and_leaves_the_car() -> None:
    hardware = Hardware(Layout(), NoMemory(), 0.0)
    evse = hardware.evse(1)
    evse.plug_in(1, None, 0.0)
    evse.switch(True, 0.0)
    evse.locked.add(1)
    evse.suspend("EVSE", 0.0)
    evse.suspend("EV", 0.0)
    hardware.lose_power(1.0)
    assert not evse.contactor_closed
    assert not evse.locked
    assert evse.suspended_by == {"EV"}
    assert [(it.evse, it.connector) for it in hardware.plugged()] == [(1, 1)]


def test_readings_agree_with_each_other() -> None:
    hardware = Hardware(Layout(), NoMemory(), 0.0)
    evse = hardware.evse(1)
    evse.plug_in(1, None, 0.0)
    evse.switch(True, 0.0)
    evse.set_power(11_040, 3, 0.0)
    values = {(it.measurand, it.phase): (it.value, it.unit) for it in hardware.read(1, 3600.0)}
    expected: dict[tuple[str, str | None], tuple[float, str]] = {
        (ENERGY_REGISTER, None): (11_040.0, "Wh"),
        ("Power.Active.Import", None): (11_040.0, "W"),
        **{("Current.Import", phase): (16.0, "A") for phase in ("L1", "L2", "L3")},
        **{("Voltage", f"{phase}-N"): (230.0, "V") for phase in ("L1", "L2", "L3")},
    }
    assert values == expected


def test_a_forced_reading_replaces_or_joins_the_meters_own() -> None:
    hardware = Hardware(Layout(), NoMemory(), 0.0)
    forced = [Quantity(80, "SoC", "Percent"), Quantity(228, "Voltage", "V", phase="L1-N")]
    for quantity in forced:
        hardware.evse(1).force(quantity)
    readings = hardware.read(1, 0.0)
    assert all(it in readings for it in forced)
    assert len(readings) == 5


@given(st.lists(st.tuples(seconds, watts), min_size=1, max_size=10), st.integers(0, 10))
def test_a_killed_station_starts_at_what_it_last_reported_or_above(
    steps: list[tuple[float, float]], killed_after: int
) -> None:
    store = ScopedMemoryStore()
    hardware = Hardware(Layout(), StoreMemory(store), 0.0)
    hardware.evse(1).plug_in(1, None, 0.0)
    hardware.evse(1).switch(True, 0.0)
    now = reported = 0.0
    for delay, next_watts in steps[:killed_after]:
        now += delay
        hardware.evse(1).set_power(next_watts, 1, now)
        reported = energy(hardware, 1, now)
    again = Hardware(Layout(), StoreMemory(store), 0.0)
    assert energy(again, 1, 0.0) == reported


def test_registers_are_told_apart() -> None:
    store = ScopedMemoryStore()
    first = Hardware(Layout((1, 1)), StoreMemory(store), 0.0)
    for evse, wh in ((1, 10.0), (2, 20.25)):
        first.evse(evse).register.set_wh(wh, 0.0)
        first.read(evse, 0.0)
    second = Hardware(Layout((1, 1)), StoreMemory(store), 5.0)
    assert [energy(second, evse, 5.0) for evse in (1, 2)] == [10.0, 20.25]


def test_a_reading_that_shows_the_same_costs_no_write() -> None:
    saved: list[RegisterState] = []

    class Counting(NoMemory):
        def save(self, evse: int, state: RegisterState) -> None:
            saved.append(state)

    hardware = Hardware(Layout(), Counting(), 0.0)
    for now in (0.0, 1.0, 2.0):
        hardware.read(1, now)
    assert len(saved) == 1


def test_a_row_that_is_no_register_is_said_so() -> None:
    store = ScopedMemoryStore()
    store.commit(Commit((Put("registers", "1", '{"set_mwh": "?"}'),)), SCOPE)
    with pytest.raises(StoreError, match="EVSE 1"):
        Hardware(Layout(), StoreMemory(store), 0.0)


def test_what_cannot_be_is_refused_with_what_can() -> None:
    hardware = Hardware(Layout((1, 2)), NoMemory(), 0.0)
    with pytest.raises(HardwareError, match="no EVSE 3; this station has 1 to 2"):
        hardware.evse(3)
    with pytest.raises(HardwareError, match="no connector 2"):
        hardware.free_connector(1, 2)
    with pytest.raises(HardwareError, match="no car"):
        hardware.occupied(2)
    hardware.evse(2).plug_in(2, None, 0.0)
    with pytest.raises(HardwareError, match="already, at connector 2"):
        hardware.free_connector(2, 1)
    assert hardware.occupied(2).plugged == 2
    assert hardware.free_connector(1, 1).evse == 1
