"""Meter values: converted when looked at, the register found, exact to the last decimal."""

import math
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core import OcppVersion
from ocpp_core.csms import MeterValuesReported, Reading, Readings, TransactionUpdated
from ocpp_core.csms.readings import scaled
from ocpp_core.domain.metering import ENERGY_REGISTER, Quantity, ReadingContext
from tests.csms.csms_kit import BOTH_2X, START, V16, V21, Driver, Host, one, sampled, stamp

REGISTER = ENERGY_REGISTER


def _report(version: OcppVersion, *values: list[dict[str, Any]]) -> TransactionUpdated:
    """The event of meter values one second apart."""
    host = Host(version)
    host.boot()
    meter_value = [{"timestamp": stamp(at), "sampledValue": samples} for at, samples in enumerate(values)]
    if version is V16:
        payload = {"connectorId": 1, "transactionId": 5, "meterValue": meter_value}
        return one(host.say("MeterValues", payload), TransactionUpdated)
    payload = Driver(host).event("Updated", "MeterValuePeriodic", 0, meterValue=meter_value)
    return one(host.say("TransactionEvent", payload), TransactionUpdated)


@pytest.mark.requirement("1.6-7.43", "1.6-7.27")
def test_readings_of_16() -> None:
    event = _report(
        V16,
        [
            {"value": "7"},
            {"value": "1.5", "unit": "kWh", "measurand": REGISTER, "phase": "L1", "location": "Inlet"},
            {"value": "21", "unit": "Celcius", "measurand": "Temperature", "context": "Sample.Clock"},
            {"value": "22", "unit": "Celsius", "measurand": "Temperature", "context": "Sample.Clock"},
            {"value": "50", "measurand": "SoC"},
            {"value": "CAFE", "format": "SignedData", "context": "Transaction.End"},
            {"value": "a lot"},
        ],
    )
    assert list(event.readings) == [
        Reading(
            START,
            ReadingContext.SAMPLE_PERIODIC,
            (
                Quantity(7, REGISTER, "Wh"),
                Quantity(1.5, REGISTER, "kWh", "L1", "Inlet"),
                Quantity(50, "SoC", ""),
            ),
            ("a lot",),
        ),
        Reading(
            START,
            ReadingContext.SAMPLE_CLOCK,
            (Quantity(21, "Temperature", "Celsius"), Quantity(22, "Temperature", "Celsius")),
        ),
        Reading(START, ReadingContext.TRANSACTION_END, (), ("CAFE",)),
    ]


@pytest.mark.requirement("J01.FR.18")
@pytest.mark.parametrize("version", BOTH_2X)
def test_readings_of_2x(version: OcppVersion) -> None:
    signed = {
        "signedMeterData": "CAFE",
        "encodingMethod": "OCMF",
        "signingMethod": "ECDSA",
        "publicKey": "KEY",
    }
    event = _report(
        version,
        [
            sampled(7, signedMeterValue=signed),
            sampled(1.5, unitOfMeasure={"unit": "kWh"}, phase="L1", location="Inlet"),
            {"value": 16.25, "measurand": "Current.Import", "unitOfMeasure": {"unit": "A", "multiplier": -2}},
            {"value": 50, "measurand": "SoC", "context": "Trigger"},
            {"value": 1e300, "unitOfMeasure": {"multiplier": 10}},
        ],
    )
    assert list(event.readings) == [
        Reading(
            START,
            ReadingContext.SAMPLE_PERIODIC,
            (
                Quantity(7, REGISTER, "Wh"),
                Quantity(1.5, REGISTER, "kWh", "L1", "Inlet"),
                Quantity(0.1625, "Current.Import", "A"),
            ),
            ("CAFE", "1e+300e10"),
        ),
        Reading(START, ReadingContext.TRIGGER, (Quantity(50, "SoC", ""),)),
    ]


@pytest.mark.requirement("1.6-7.31")
@pytest.mark.parametrize(
    ("samples_16", "samples", "wh"),
    [
        ([{"value": "5"}], [{"value": 5}], 5),
        ([{"value": "5", "location": "Outlet"}], [{"value": 5, "location": "Outlet"}], 5),
        ([{"value": "1.2345", "unit": "kWh"}], [{"value": 1.2345, "unitOfMeasure": {"unit": "kWh"}}], 1234.5),
        ([{"value": "5", "phase": "L1"}], [{"value": 5, "phase": "L1"}], None),
        ([{"value": "5", "measurand": "SoC"}], [{"value": 5, "measurand": "SoC"}], None),
        (
            [{"value": "9", "location": "Inlet"}, {"value": "5"}],
            [{"value": 9, "location": "Inlet"}, {"value": 5}],
            5,
        ),
        (
            [{"value": "9", "location": "Inlet"}, {"value": "8", "location": "EV"}],
            [{"value": 9, "location": "Inlet"}, {"value": 8, "location": "EV"}],
            9,
        ),
        (
            [{"value": "AB", "format": "SignedData"}],
            [{"value": 5, "unitOfMeasure": {"multiplier": 999}}],
            None,
        ),
        ([{"value": "1E999"}], [{"value": 1, "unitOfMeasure": {"unit": "kWh", "multiplier": 306}}], None),
    ],
)
def test_the_register_that_bills_are_made_of(
    samples_16: list[dict[str, Any]], samples: list[dict[str, Any]], wh: float | None
) -> None:
    for version, values in ((V16, samples_16), *((version, samples) for version in BOTH_2X)):
        assert _report(version, values).meter_wh == wh, version


@pytest.mark.parametrize("version", BOTH_2X)
def test_the_latest_register_of_a_message(version: OcppVersion) -> None:
    assert _report(version, [{"value": 3}], [{"value": 7}], [{"value": 1, "measurand": "SoC"}]).meter_wh == 7


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
@pytest.mark.requirement("1.6-7.43")
def test_units_are_scaled_as_decimals(value: Decimal) -> None:
    for exponent in (-3, 0, 3):
        exact = Fraction(value) * Fraction(10) ** exponent
        assert scaled(str(value), exponent) == float(exact)


@given(st.from_regex(r"\A[+-]?[0-9]{1,400}(\.[0-9]{0,9})?([eE][+-]?[0-9]{1,4})?\Z"), st.integers())
def test_scaling_never_raises(digits: str, exponent: int) -> None:
    value = scaled(digits, exponent)
    assert value is None or math.isfinite(value)


@given(st.text(max_size=12))
@pytest.mark.requirement("1.6-7.43")
def test_any_text_may_be_a_value_in_16(text: str) -> None:
    event = _report(V16, [{"value": text}])
    (reading,) = event.readings
    assert (event.meter_wh is None) is (reading.texts == (text,))
    assert (event.meter_wh is None) is (reading.quantities == ())


@pytest.mark.parametrize("text", ["nan", "inf", "1_000", " 5", "\u0665", "0x10", "", "+", "1e", "1e99999"])
def test_what_python_takes_for_a_number_and_the_standard_does_not(text: str) -> None:
    assert _report(V16, [{"value": text}]).meter_wh is None


# The lazy sequence.


def _reading(seconds: float) -> Reading:
    return Reading(START + timedelta(seconds=seconds), ReadingContext.OTHER, ())


def test_nothing_is_converted_before_someone_looks() -> None:
    looks: list[int] = []

    def convert(wire: Any) -> tuple[Reading, ...]:
        looks.append(1)
        return tuple(_reading(seconds) for seconds in wire)

    readings = Readings([1, 2, 3], convert)
    assert looks == []
    assert len(readings) == 3
    assert readings[0] == _reading(1)
    assert readings[1:] == (_reading(2), _reading(3))
    assert list(readings) == [_reading(1), _reading(2), _reading(3)]
    assert repr(readings).startswith("Readings([Reading(")
    assert looks == [1], "once"


def test_readings_are_equal_by_content() -> None:
    same = Readings((_reading(1),))
    assert same == Readings([1], lambda wire: tuple(_reading(seconds) for seconds in wire))
    assert hash(same) == hash(Readings((_reading(1),)))
    assert same != Readings()
    assert same != (_reading(1),)
    assert MeterValuesReported(1, same) == MeterValuesReported(1, Readings((_reading(1),)))


@pytest.mark.requirement("1.6-4.10", "1.6-3.16.6")
def test_the_data_of_a_stop() -> None:
    host = Host(V16)
    host.boot()

    def stop(number: int, *contexts: str) -> list[str]:
        data = [
            {"timestamp": stamp(), "sampledValue": [{"value": "1", "context": text}]} for text in contexts
        ]
        payload = {"transactionId": number, "meterStop": 9, "timestamp": stamp(60), "transactionData": data}
        (ended,) = (action for action in host.say("StopTransaction", payload) if hasattr(action, "readings"))
        return [reading.context for reading in ended.readings]

    assert stop(1) == ["Transaction.End"]
    assert stop(2, "Transaction.Begin") == ["Transaction.Begin", "Transaction.End"]
    assert stop(3, "Transaction.Begin", "Transaction.End") == ["Transaction.Begin", "Transaction.End"]


def test_21_knows_the_same() -> None:
    assert _report(V21, [sampled(5)]).readings == _report(V16, [{"value": "5"}]).readings
