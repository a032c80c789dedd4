"""The models as Python meets them: construction, types, what is written, what is refused."""

import copy
import json
import pickle
import re
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ocpp_core.messages import Enumeration, Payload, message_set, v16, v21, v201
from ocpp_core.versions import OcppVersion

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def meter_value(**sample: object) -> v16.MeterValue:
    return v16.MeterValue(timestamp=NOON, sampled_value=[v16.SampledValue(value="1", **sample)])  # type: ignore[arg-type]  # any member


def test_python_speaks_attribute_names_and_the_wire_wire_names() -> None:
    request = v16.MeterValuesRequest(connector_id=1, transaction_id=None, meter_value=[meter_value()])
    text = (
        '{"connectorId":1,"meterValue":[{"timestamp":"2024-05-01T12:00:00.000Z",'
        '"sampledValue":[{"value":"1"}]}]}'
    )
    assert request.to_json() == text
    assert v16.MeterValuesRequest.model_validate_json(text) == request
    assert request.transaction_id is None


def test_neither_name_is_accepted_in_the_others_place() -> None:
    with pytest.raises(ValidationError):
        v16.MeterValuesRequest(connectorId=1, meter_value=[meter_value()])  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        v16.MeterValuesRequest.model_validate_json(
            v16.MeterValuesRequest(connector_id=1, meter_value=[meter_value()])
            .to_json()
            .replace("connectorId", "connector_id")
        )


def all_models(version: OcppVersion) -> list[type[Payload]]:
    """Every message and datatype of a version."""
    package = {OcppVersion.V16: v16, OcppVersion.V201: v201, OcppVersion.V21: v21}[version]
    names = (name for name in dir(package) if name != "ACTIONS")
    found = (getattr(package, name) for name in names)
    return [each for each in found if isinstance(each, type) and issubclass(each, Payload)]


@pytest.mark.parametrize("version", list(OcppVersion))
def test_no_attribute_name_reaches_the_wire(version: OcppVersion) -> None:
    """JSON construction does not go through ``__init__``, which alone knows attribute names."""
    for model in all_models(version):
        model.model_rebuild()
        assert model.__pydantic_custom_init__ is False
        for name, field in model.model_fields.items():
            if field.alias and model.model_config["extra"] == "forbid":
                with pytest.raises(ValidationError) as caught:
                    model.model_validate_json(json.dumps({name: None}))
                assert {"type": "extra_forbidden", "loc": (name,)} in [
                    {"type": error["type"], "loc": error["loc"]} for error in caught.value.errors()
                ]


WIRE_NAMES: list[tuple[type[Payload], set[str]]] = [
    (v201.HeartbeatRequest, {"customData"}),
    (v201.NetworkConnectionProfile, {"ocppCsmsUrl", "ocppVersion", "messageTimeout"}),
    (v201.StatusNotificationRequest, {"evseId", "connectorId"}),
    (v201.OCSPRequestData, {"responderURL"}),
    (v21.V2XChargingParameters, {"evMaxV2XEnergyRequest", "targetSoC"}),
    (v21.ChargingSchedulePeriod, {"limit_L2", "dischargeLimit_L3", "v2xFreqWattCurve"}),
    (v21.Get15118EVCertificateRequest, {"prioritizedEMAIDs"}),
]


@pytest.mark.parametrize(("model", "names"), WIRE_NAMES)
def test_wire_names_survive_verbatim(model: type[Payload], names: set[str]) -> None:
    assert names <= {field.alias or name for name, field in model.model_fields.items()}


def test_enumerations_are_strings() -> None:
    assert issubclass(Enumeration, StrEnum)
    assert str(v16.ChargePointStatus.SUSPENDED_EVSE) == "SuspendedEVSE"
    assert str(v16.Measurand.ENERGY_ACTIVE_IMPORT_REGISTER) == "Energy.Active.Import.Register"
    assert str(v21.ChargingProfilePurposeEnum.TX_PROFILE) == "TxProfile"
    dumped = v16.ResetRequest(type=v16.ResetType.HARD).model_dump()
    assert dumped == {"type": v16.ResetType.HARD}
    assert type(dumped["type"]) is v16.ResetType


def test_strict_from_python_too() -> None:
    with pytest.raises(ValidationError):
        v16.ResetRequest(type="Hard")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        v16.UnlockConnectorRequest(connector_id="1")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        v16.HeartbeatResponse(current_time=NOON.replace(tzinfo=None))
    with pytest.raises(ValidationError):
        v16.ChargingSchedulePeriod(start_period=0, limit=float("nan"))


def test_payloads_are_values() -> None:
    request = v16.UnlockConnectorRequest(connector_id=1)
    with pytest.raises(ValidationError):
        request.connector_id = 2
    assert request.model_copy(update={"connector_id": 2}) == v16.UnlockConnectorRequest(connector_id=2)
    assert hash(request) == hash(v16.UnlockConnectorRequest(connector_id=1))
    assert pickle.loads(pickle.dumps(request)) == copy.deepcopy(request) == request


@pytest.mark.requirement("2.1-J-4.1.5")
def test_null_is_refused_where_absent_is_meant() -> None:
    with pytest.raises(ValidationError):
        v201.HeartbeatRequest.model_validate_json('{"customData": null}')
    assert v201.HeartbeatRequest.model_validate_json("{}").custom_data is None
    assert v201.HeartbeatRequest(custom_data=None).to_json() == "{}"


def test_an_absent_member_can_be_dumped_without_a_warning() -> None:
    request = v16.MeterValuesRequest(connector_id=1, meter_value=[meter_value()])
    assert request.model_dump()["transaction_id"] is None
    assert json.loads(request.model_dump_json(by_alias=True))["transactionId"] is None


def test_unnamed_members_are_kept_in_custom_data() -> None:
    text = '{"customData":{"vendorId":"v","a":null,"B":{"c":[1,2.5,null,true,"x"]},"vendor_id":"w"}}'
    request = v201.HeartbeatRequest.model_validate_json(text)
    assert request.custom_data is not None
    assert request.custom_data.vendor_id == "v"
    assert request.custom_data.model_extra == {
        "a": None,
        "B": {"c": [1, 2.5, None, True, "x"]},
        "vendor_id": "w",
    }
    assert request.to_json() == text
    extras: dict[str, Any] = {"a": None, "vendorId": "no second vendor"}
    built = v201.CustomData(vendor_id="v", **extras)
    assert built.to_json() == '{"vendorId":"v","a":null}'
    assert built.model_dump() == {"vendor_id": "v"} | extras


@pytest.mark.requirement("RFC8259-6")
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1E400", "-1E400"])
def test_numbers_are_finite(number: str) -> None:
    for data in (number, f'[{{"a":{number}}}]', f'{{"a":[{number}]}}'):
        with pytest.raises(ValidationError):
            v201.DataTransferRequest.model_validate_json(f'{{"vendorId":"v","data":{data}}}')
        with pytest.raises(ValidationError):
            v201.CustomData.model_validate_json(f'{{"vendorId":"v","x":{data}}}')
    with pytest.raises(ValidationError):
        v201.CostUpdatedRequest.model_validate_json(f'{{"transactionId":"t","totalCost":{number}}}')


@pytest.mark.parametrize("text", ["1.0", "1e0", "-0.0"])
def test_an_integer_is_written_without_a_fraction(text: str) -> None:
    """A decision (docs/schema-quirks.md): JSON Schema draft 4 agrees, draft 6 would admit it."""
    with pytest.raises(ValidationError):
        v16.UnlockConnectorRequest.model_validate_json(f'{{"connectorId":{text}}}')
    with pytest.raises(ValidationError):
        v21.UnlockConnectorRequest.model_validate_json(f'{{"connectorId":{text},"evseId":1}}')


def test_integers_have_no_bound_and_numbers_are_doubles() -> None:
    unlock = v16.UnlockConnectorRequest.model_validate_json(f'{{"connectorId":{2**80}}}')
    assert unlock.connector_id == 2**80
    cost = v201.CostUpdatedRequest.model_validate_json('{"transactionId": "t", "totalCost": 1.10}')
    assert cost.to_json() == '{"totalCost":1.1,"transactionId":"t"}'


def test_data_of_a_data_transfer_is_any_json_and_null_reads_as_absent() -> None:
    for text in ("1", '"x"', "[null]", '{"a":null}', "true", "1.5"):
        whole = f'{{"data":{text},"vendorId":"v"}}'
        assert v201.DataTransferRequest.model_validate_json(whole).to_json() == whole
    absent = v201.DataTransferRequest.model_validate_json('{"data":null,"vendorId":"v"}')
    assert absent.data is None
    assert absent.to_json() == '{"vendorId":"v"}'


def test_deep_json_costs_no_more_than_its_size() -> None:
    deep = "[" * 190 + "NaN" + "]" * 190
    with pytest.raises(ValidationError) as caught:
        v201.DataTransferRequest.model_validate_json(f'{{"vendorId":"v","data":{deep}}}')
    assert caught.value.error_count() == 1


@pytest.mark.requirement("RFC8259-4")
def test_of_members_with_one_name_the_last_counts() -> None:
    twice = '{"connectorId":"x","connectorId":2}'
    assert v16.UnlockConnectorRequest.model_validate_json(twice).connector_id == 2


offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.requirement("RFC3339-5.6")
@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.timezones() | offsets))
def test_a_timestamp_is_written_in_utc_with_three_decimals(moment: datetime) -> None:
    text = v16.HeartbeatResponse(current_time=moment).to_json()
    assert re.fullmatch(r'\{"currentTime":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}', text)
    in_utc = moment.astimezone(UTC)
    read = v16.HeartbeatResponse.model_validate_json(text)
    assert read.current_time == in_utc.replace(microsecond=in_utc.microsecond // 1000 * 1000)
    assert read.to_json() == text


@pytest.mark.parametrize(
    ("read", "written"),
    [
        ("2024-05-01T14:00:00.9999+02:00", "2024-05-01T12:00:00.999Z"),
        ("2024-05-01T12:00:00Z", "2024-05-01T12:00:00.000Z"),
        ("2024-05-01T00:30:00-00:00", "2024-05-01T00:30:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00.5+01:00", "0001-01-01T00:00:00.500+01:00"),
        ("9999-12-31T23:59:59.5-01:00", "9999-12-31T23:59:59.500-01:00"),
    ],
)
def test_timestamps_read_and_written(read: str, written: str) -> None:
    """The ends of the calendar, which UTC cannot express, keep their zone."""
    response = v16.HeartbeatResponse.model_validate_json(json.dumps({"currentTime": read}))
    assert json.loads(response.to_json()) == {"currentTime": written}


@pytest.mark.requirement("1.6-J-errata-2.1")
def test_celsius_in_both_spellings() -> None:
    for spelling in ("Celcius", "Celsius"):
        sample = v16.SampledValue.model_validate_json(f'{{"value":"1","unit":"{spelling}"}}')
        assert sample.unit == spelling


def test_where_meter_values_and_stop_transaction_differ() -> None:
    """One meter value for both messages; only MeterValues asks for a sampled value in each."""
    empty = v16.MeterValue(timestamp=NOON, sampled_value=[])
    stop = v16.StopTransactionRequest(
        meter_stop=1, timestamp=NOON, transaction_id=1, transaction_data=[empty, meter_value()]
    )
    assert v16.StopTransactionRequest.model_validate_json(stop.to_json()) == stop
    with pytest.raises(ValidationError):
        v16.MeterValuesRequest(connector_id=1, meter_value=[meter_value(), empty])
    in_hertz = meter_value(unit=v16.UnitOfMeasure.HERTZ)
    assert v16.MeterValuesRequest(connector_id=1, meter_value=[in_hertz]).meter_value == [in_hertz]


def test_an_exi_response_may_be_as_long_as_the_packaged_schema_says() -> None:
    status = v201.Iso15118EVCertificateStatusEnum.ACCEPTED
    assert v201.Get15118EVCertificateResponse(status=status, exi_response="x" * 7500)
    with pytest.raises(ValidationError):
        v201.Get15118EVCertificateResponse(status=status, exi_response="x" * 7501)


@pytest.mark.parametrize("version", list(OcppVersion))
def test_every_message_says_its_action_block_and_direction(version: OcppVersion) -> None:
    messages = message_set(version)
    for action in messages.actions.values():
        models: list[type[Payload]] = [messages.request(action.name)]
        models += [messages.response(action.name)] if action.confirmed else []
        for model in models:
            assert getattr(model, "ACTION", None) == action.name
            assert model.__doc__ is not None
            assert action.block in model.__doc__
            assert (
                "Station to CSMS" in model.__doc__
                or "CSMS to station" in model.__doc__
                or ("Either side" in model.__doc__)
            )


def test_an_error_names_the_field_and_not_what_was_in_it() -> None:
    with pytest.raises(ValidationError) as caught:
        v16.AuthorizeRequest(id_tag="SECRET" * 4)
    assert "id_tag" in str(caught.value)
    assert "SECRET" not in str(caught.value)
