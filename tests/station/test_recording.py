"""Readings: what goes with which fact, periodic ones without drift, and the series for the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.domain.metering import Quantity

from .bench import ENERGY, V2X, V16, VERSIONS, Bench


def series(bench):
    """(context, value) of the first quantity of each reading that came with the end."""
    (ended,) = bench.ended()
    values = ended.get("transactionData" if bench.version is V16 else "meterValue", [])
    return [
        (value["sampledValue"][0]["context"], float(value["sampledValue"][0]["value"])) for value in values
    ]


def periodic(bench):
    """The time and values of the periodic readings told."""
    if bench.version is V16:
        values = [said["meterValue"] for said in bench.sent("MeterValues")]
    else:
        values = [
            event["meterValue"]
            for event in bench.sent("TransactionEvent")
            if event["triggerReason"] == "MeterValuePeriodic"
        ]
    return [(value["timestamp"][11:19], value["sampledValue"]) for (value,) in values]


@pytest.mark.requirement("E01.FR.09", "E02.FR.09", "E03.FR.07", "E06.FR.11", "E07.FR.08", "1.6-errata-3.14")
@pytest.mark.parametrize("version", VERSIONS)
def test_begin_and_end_have_readings(version):
    bench = Bench(version)
    bench.start_charging()
    bench.charge(250)
    bench.unplug()
    assert series(bench) == [("Transaction.Begin", 1000), ("Transaction.End", 1250)]
    if version is V16:
        assert bench.begun()[0]["meterStart"] == 1000
        assert bench.ended()[0]["meterStop"] == 1250
    else:
        (begin,) = bench.begun()[0]["meterValue"]
        assert begin["sampledValue"][0]["context"] == "Transaction.Begin"


@pytest.mark.requirement("E02.FR.10", "E03.FR.08", "E04.FR.06", "J02.FR.11", "1.6-4.7", "1.6-errata-3.15")
@pytest.mark.parametrize("version", VERSIONS)
def test_periodic_readings_do_not_drift(version):
    bench = Bench(version, sample_interval=60.0)
    bench.start_charging()
    bench.run(150)
    bench.skip(40)  # the adapter slept over one
    bench.run(50)
    assert [at for at, _ in periodic(bench)] == ["12:01:00", "12:02:00", "12:03:10", "12:04:00"]
    bench.skip(200)  # and over three: one is taken, none made up
    bench.run(40)
    assert [at for at, _ in periodic(bench)][4:] == ["12:07:20", "12:08:00"]


@pytest.mark.requirement("E02.FR.10", "J02.FR.02")
@pytest.mark.parametrize("version", VERSIONS)
def test_periodic_readings_have_the_measurands_configured(version):
    bench = Bench(version, sample_interval=60.0, sampled_measurands=("Power.Active.Import",))
    bench.start_charging()
    bench.run(60)
    ((_, (sample,)),) = periodic(bench)
    assert sample["measurand"] == "Power.Active.Import"
    assert sample["context"] == "Sample.Periodic"
    assert float(sample["value"]) == 7000


@pytest.mark.parametrize("version", VERSIONS)
def test_no_interval_no_readings(version):
    bench = Bench(version)
    bench.start_charging()
    bench.run(1000)
    assert periodic(bench) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_meter_that_never_spoke_tells_nothing(version):
    bench = Bench(version, sample_interval=60.0, ended_interval=20.0)
    bench.plug_in()
    bench.present("A1")
    bench.run(100)
    bench.unplug()
    assert periodic(bench) == []
    assert series(bench) == []
    if version is V16:
        assert bench.begun()[0]["meterStart"] == bench.ended()[0]["meterStop"] == 0
    else:
        assert "meterValue" not in bench.begun()[0]


@pytest.mark.requirement("J02.FR.11")
@pytest.mark.parametrize("version", V2X)
def test_readings_are_taken_before_the_car_is_there(version):
    bench = Bench(version, sample_interval=20.0)
    bench.wh[1] = 5.0
    bench._meter(1)
    bench.present("A1")
    bench.run(50)
    assert len(periodic(bench)) == 2


@pytest.mark.requirement("1.6-4.7", "1.6-errata-3.16")
def test_in_16_readings_belong_to_the_transaction_and_none_comes_before_it():
    bench = Bench(V16, sample_interval=30.0, ended_interval=30.0)
    bench.wh[1] = 10.0
    bench.plug_in()
    bench.run(70)
    assert bench.sent("MeterValues") == []
    bench.present("A1")
    bench.run(30)
    assert [said["transactionId"] for said in bench.sent("MeterValues")] == [1]
    bench.unplug()
    times = [value["timestamp"] for value in bench.ended()[0]["transactionData"]]
    assert times[0] == bench.begun()[0]["timestamp"] == "2026-03-01T12:01:10.000Z"
    assert [at[11:19] for at in times] == ["12:01:10", "12:01:30", "12:01:40"]


@pytest.mark.requirement("E06.FR.11", "E12.FR.07")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_end_brings_a_series_with_an_interval_and_measurands_of_its_own(version):
    bench = Bench(version, ended_interval=20.0, ended_measurands=(ENERGY,))
    bench.start_charging()
    for _ in range(3):
        bench.charge(1)
        bench.run(20)
    bench.charge(1)
    bench.unplug()
    assert series(bench) == [
        ("Transaction.Begin", 1000),
        ("Sample.Periodic", 1001),
        ("Sample.Periodic", 1002),
        ("Sample.Periodic", 1003),
        ("Transaction.End", 1004),
    ]
    assert "samples" not in bench.station.snapshot()


@pytest.mark.requirement("E06.FR.12", "E06.FR.13", "E07.FR.10", "E12.FR.09", "F03.FR.06", "1.6-errata-3.91")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_long_series_loses_every_second_reading_but_neither_first_nor_last(version):
    bench = Bench(version, ended_interval=10.0, ended_samples_limit=4)
    bench.start_charging()
    for _ in range(6):
        bench.charge(1)
        bench.run(10)
    bench.unplug()
    values = [value for _, value in series(bench)]
    assert values == [1000, 1002, 1004, 1005, 1006, 1006]


@given(limit=st.integers(1, 5), count=st.integers(0, 30))
def test_a_series_stays_within_its_bound(limit, count):
    bench = Bench(V16, ended_interval=10.0, ended_samples_limit=limit)
    bench.start_charging()
    bench.run(10 * count)
    assert len(bench.station.snapshot().get("samples", {})) <= limit
    bench.unplug()
    assert len(series(bench)) <= limit + 2


@pytest.mark.parametrize("version", VERSIONS)
def test_series_of_two_evses_do_not_mix_and_survive_a_power_loss(version):
    bench = Bench(version, ended_interval=10.0)
    bench.start_charging("A1", 1)
    bench.wh[2] = 9000.0
    bench.start_charging("B2", 2)
    bench.run(20)
    bench.unplug(2)
    assert [value for _, value in series(bench)] == [9000] * 4
    bench.power_loss()
    bench.charge(5)
    values = bench.ended()[1].get("transactionData") or bench.ended()[1].get("meterValue")
    assert [float(value["sampledValue"][0]["value"]) for value in values] == [1000, 1000, 1000, 1005]


@pytest.mark.requirement("J02.FR.16")
@pytest.mark.parametrize("version", [V16])
def test_a_register_that_counts_back_is_not_billed_back(version):
    bench = Bench(version)
    bench.start_charging()
    bench.charge(100)
    bench.suspend()
    bench.wh[1] = 3.0
    bench.unplug()
    assert bench.ended()[0]["meterStop"] == 1100


@pytest.mark.parametrize(("value", "unit", "wh"), [(1500.0, "Wh", 1500), (1.5, "kWh", 1500)])
def test_registers_count_in_either_unit(value, unit, wh):
    bench = Bench(V16)
    bench.station.meter(1, (Quantity(7.0, phase="L1"), Quantity(value, ENERGY, unit)), bench.now)
    bench.plug_in()
    bench.present("A1")
    assert bench.begun()[0]["meterStart"] == wh
    assert bench.evse()["meter_wh"] == wh


@pytest.mark.requirement("J02.FR.03", "J02.FR.05", "J02.FR.06")
@pytest.mark.parametrize("version", VERSIONS)
def test_quantities_in_the_words_of_the_version(version):
    quantities = (
        Quantity(1234.5),
        Quantity(16.0, "Current.Import", "A", "L1", "Outlet"),
        Quantity(50.0, "Frequency", ""),
        Quantity(80.0, "SoC", "Percent", None, "EV"),
        Quantity(20.5, "Temperature", "Celsius", None, "Body"),  # 1.6 only
        Quantity(1.0, "Power.Active.Setpoint", "W"),  # 2.1 only
        Quantity(2.0, "Made.Up", "W"),
        Quantity(3.0, "Voltage", "volts"),  # a unit that 1.6 has no word for
    )
    measurands = tuple(quantity.measurand for quantity in quantities)
    bench = Bench(version, sample_interval=60.0, sampled_measurands=measurands)
    bench.station.meter(1, quantities, bench.now)
    bench.plug_in()
    bench.present("A1")
    bench.run(60)
    ((_, samples),) = periodic(bench)
    told = [sample["measurand"] for sample in samples]
    assert told[:4] == list(measurands[:4])
    assert "Made.Up" not in told
    assert ("Temperature" in told) is (version is V16)
    assert ("Power.Active.Setpoint" in told) is (version.number == "2.1")
    assert ("Voltage" in told) is (version is not V16)
    assert samples[1]["phase"] == "L1"
    assert samples[1]["location"] == "Outlet"
    if version is V16:
        assert samples[0]["value"] == "1234.5"
        assert samples[4]["unit"] == "Celsius"
        assert "unit" not in samples[2]
    else:
        assert samples[0]["value"] == 1234.5
        assert samples[1]["unitOfMeasure"] == {"unit": "A"}
        assert "unitOfMeasure" not in samples[2]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_finite_reading_is_told_exactly(value):
    for version in VERSIONS:
        bench = Bench(version, sample_interval=60.0, sampled_measurands=("Voltage",))
        bench.station.meter(1, (Quantity(value, "Voltage", "V"),), bench.now)
        bench.plug_in()
        bench.present("A1")
        bench.run(60)
        ((_, (sample,)),) = periodic(bench)
        assert float(sample["value"]) == value


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reading_that_the_version_has_no_words_for_is_not_told(version):
    bench = Bench(version, sample_interval=60.0, sampled_measurands=("Made.Up",))
    bench.station.meter(1, (Quantity(1.0, "Made.Up"),), bench.now)
    bench.plug_in()
    bench.present("A1")
    bench.run(200)
    bench.unplug()
    assert periodic(bench) == []
    assert bench.state()["queue"]["facts"] == 0
    if version is not V16:
        assert [event["seqNo"] for event in bench.sent("TransactionEvent")] == [0, 1, 2, 3]
