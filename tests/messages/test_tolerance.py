"""What is forgiven to a peer, how it is reported, and what is said of what is not forgiven."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ocpp_core.messages import (
    STRICT,
    FieldError,
    Payload,
    Repair,
    RepairKind,
    Request,
    Tolerance,
    Violation,
    field_errors,
    v16,
    v21,
    v201,
    validate_tolerantly,
)
from ocpp_core.messages.tolerance import MAX_ERRORS, MAX_REPAIRS, path_text
from tests.messages.strategies.nodes import mutations
from tests.messages.strategies.payloads import shapes

BOOT = {"currentTime": "2024-01-01T00:00:00Z", "interval": 300, "status": "Accepted"}
METER_VALUE = {"timestamp": "2024-01-01T00:00:00Z", "sampledValue": [{"value": "1"}, {"value": "2"}]}
METER_VALUES = {"connectorId": 1, "meterValue": [METER_VALUE]}


def errors(model: type[Payload], value: object) -> list[FieldError]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate_json(json.dumps(value))
    return field_errors(caught.value)


ONE_FAULT: list[tuple[str, dict[str, Any], RepairKind, str, dict[str, Any]]] = [
    ("extra_members", {"hello": [1]}, RepairKind.EXTRA_DROPPED, "[1]", {}),
    ("unknown_enums", {"status": "Perhaps"}, RepairKind.ENUM_KEPT, "Perhaps", {"status": "Perhaps"}),
    (
        "naive_timestamps",
        {"currentTime": "2024-02-03T04:05:06.7"},
        RepairKind.ASSUMED_UTC,
        "2024-02-03T04:05:06.7",
        {"currentTime": "2024-02-03T04:05:06.700Z"},
    ),
    (
        "long_strings",
        {"statusInfo": {"reasonCode": "é" * 21}},
        RepairKind.TRUNCATED,
        "é" * 21,
        {"statusInfo": {"reasonCode": "é" * 20}},
    ),
    ("integral_floats", {"interval": 60.0}, RepairKind.INTEGER, "60.0", {"interval": 60}),
]


@pytest.mark.parametrize(("forgiven", "change", "kind", "text", "written"), ONE_FAULT)
def test_each_fault_is_repaired_under_its_own_clause_only(
    forgiven: str, change: dict[str, Any], kind: RepairKind, text: str, written: dict[str, Any]
) -> None:
    model, repairs = validate_tolerantly(
        v201.BootNotificationResponse, BOOT | change, replace(STRICT, **{forgiven: True})
    )
    assert model is not None
    assert [(repair.kind, repair.text, repair.count) for repair in repairs] == [(kind, text, 1)]
    assert repairs[0].path[0] == next(iter(change))
    expected = BOOT | {"currentTime": "2024-01-01T00:00:00.000Z"} | written
    assert json.loads(model.to_json()) == expected
    all_but_this = replace(Tolerance(), **{forgiven: False})
    assert validate_tolerantly(v201.BootNotificationResponse, BOOT | change, all_but_this) == (None, [])


def test_every_clause_is_in_the_table() -> None:
    assert {row[0] for row in ONE_FAULT} == {field.name for field in fields(Tolerance)}
    assert {row[2] for row in ONE_FAULT} == set(RepairKind)


def test_a_sound_payload_needs_no_repair() -> None:
    assert validate_tolerantly(v201.BootNotificationResponse, BOOT, Tolerance()) == (
        v201.BootNotificationResponse.model_validate_json(json.dumps(BOOT)),
        [],
    )


@pytest.mark.parametrize(
    "change",
    [
        {"interval": None},
        {"interval": 1.5},
        {"interval": "300"},
        {"status": None},
        {"status": 7},
        {"status": "Perhaps", "interval": True},
        {"currentTime": "yesterday"},
        {"currentTime": "2023-02-29T00:00:00"},
        {"currentTime": 1700000000},
        {"statusInfo": {}},
        {"customData": {"vendorId": "v", "x": float("inf")}},
    ],
)
def test_what_no_clause_covers_is_refused(change: dict[str, object]) -> None:
    assert validate_tolerantly(v201.BootNotificationResponse, BOOT | change, Tolerance()) == (None, [])


def test_strict_is_false_and_forgives_nothing() -> None:
    assert not STRICT
    assert Tolerance()
    assert not any(getattr(STRICT, field.name) for field in fields(Tolerance))


def test_the_same_fault_in_many_elements_is_one_repair() -> None:
    samples = [{"value": "1", "unit": "MWh", "vendor": n} for n in range(500)]
    value = {
        "connectorId": 1,
        "meterValue": [
            {"timestamp": "2024-01-01T00:00:00", "sampledValue": samples},
            {"timestamp": "2024-01-01T00:00:00Z", "sampledValue": [{"value": "2", "unit": "Wh"}]},
            {"timestamp": "2024-01-01T00:15:00", "sampledValue": [{"value": "3", "unit": "GWh"}]},
        ],
    }
    before = json.dumps(value)
    model, repairs = validate_tolerantly(v16.MeterValuesRequest, value, Tolerance())
    assert json.dumps(value) == before
    assert model is not None
    first = ("meterValue", 0, "sampledValue", 0)
    assert sorted(repairs, key=lambda repair: repair.kind) == sorted(
        [
            Repair(("meterValue", 0, "timestamp"), RepairKind.ASSUMED_UTC, "2024-01-01T00:00:00", 2),
            Repair((*first, "unit"), RepairKind.ENUM_KEPT, "MWh", 501),
            Repair((*first, "vendor"), RepairKind.EXTRA_DROPPED, "0", 500),
        ],
        key=lambda repair: repair.kind,
    )
    units = [[sample.unit for sample in value.sampled_value] for value in model.meter_value]
    assert units == [["MWh"] * 500, [v16.UnitOfMeasure.WH], ["GWh"]]


def event(event_id: float, timestamp: str, code: str) -> dict[str, object]:
    return {
        "eventId": event_id,
        "timestamp": timestamp,
        "techCode": code,
        "trigger": "Alerting",
        "actualValue": "1",
        "eventNotificationType": "HardWiredNotification",
        "component": {"name": "c"},
        "variable": {"name": "v"},
    }


def test_elements_without_the_fault_are_left_alone() -> None:
    faulty = event(1.0, "2024-01-01T00:00:00", "x" * 51)
    sound = event(2, "2024-01-01T00:00:00Z", "x")
    for first, count in ((faulty, 2), (sound, 1)):
        value = {"generatedAt": "2024-01-01T00:00:00Z", "seqNo": 0, "eventData": [first, sound, faulty]}
        model, repairs = validate_tolerantly(v201.NotifyEventRequest, value, Tolerance())
        assert model is not None
        assert [(repair.path[1], repair.count) for repair in repairs] == [(0 if count == 2 else 2, count)] * 3
        assert model.event_data[1].event_id == 2


def test_an_unknown_value_in_a_list_of_enumerations_is_kept() -> None:
    value = {"requestId": 1, "componentCriteria": ["Active", "Shiny"]}
    model, repairs = validate_tolerantly(v201.GetReportRequest, value, Tolerance())
    assert model is not None
    assert model.component_criteria == [v201.ComponentCriterionEnum.ACTIVE, "Shiny"]
    assert [repair.path for repair in repairs] == [("componentCriteria", 1)]
    assert json.loads(model.to_json()) == value


@pytest.mark.parametrize("other", [5, "text", {"timestamp": "2024-01-01T00:00:00Z", "sampledValue": 5}, None])
def test_elements_of_another_kind_among_the_faulty_stop_the_repair(other: object) -> None:
    wrong = [{"value": "1", "x": 1, "unit": "MWh"}, 5, {"value": "1", "unit": 5}]
    for samples in (wrong, wrong[:1]):
        faulty = {"timestamp": "2024-01-01T00:00:00", "sampledValue": samples}
        value = {"connectorId": 1, "meterValue": [faulty, other]}
        assert validate_tolerantly(v16.MeterValuesRequest, value, Tolerance()) == (None, [])


def test_an_unforgivable_element_among_forgivable_ones_stops_the_repair() -> None:
    for wrong in (1.5, "1", None):
        events = [event(n, "2024-01-01T00:00:00Z", "x") for n in (1.0, 2.0)]
        events.insert(1, events[0] | {"eventId": wrong})
        value = {"generatedAt": "2024-01-01T00:00:00Z", "seqNo": 0, "eventData": events}
        assert validate_tolerantly(v201.NotifyEventRequest, value, Tolerance()) == (None, [])


def test_the_number_of_different_repairs_is_limited() -> None:
    def with_extras(count: int) -> dict[str, object]:
        return BOOT | {f"extra{n}": n for n in range(count)}

    model, repairs = validate_tolerantly(v201.BootNotificationResponse, with_extras(MAX_REPAIRS), Tolerance())
    assert model is not None
    assert len(repairs) == MAX_REPAIRS
    assert validate_tolerantly(v201.BootNotificationResponse, with_extras(MAX_REPAIRS + 1), Tolerance()) == (
        None,
        [],
    )


def test_a_long_text_is_cut_in_the_report() -> None:
    _, repairs = validate_tolerantly(
        v201.BootNotificationResponse, BOOT | {"statusInfo": {"reasonCode": "x" * 5000}}, Tolerance()
    )
    assert repairs == [Repair(("statusInfo", "reasonCode"), RepairKind.TRUNCATED, "x" * 100)]


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [None, [], 5, {"vendorId": "\ud800"}, {"vendorId": object()}]
    + [{"vendorId": "v", "data": nested(depth)} for depth in (199, 200, 230, 100_000)],
    ids=lambda value: str(type(value)),
)
def test_hostile_values_do_not_raise(value: object) -> None:
    model, _ = validate_tolerantly(v201.DataTransferRequest, value, Tolerance())
    assert model is None or model.vendor_id == "v"


SHAPES = [v16.StopTransactionRequest, v201.TransactionEventRequest, v21.SetChargingProfileRequest]


@pytest.mark.parametrize("model", SHAPES)
def test_a_tolerated_payload_is_sound_but_for_the_texts_kept(model: type[Request]) -> None:
    """Over every mutation of three large messages: repaired or refused, never both or neither."""
    forgiven = 0
    for _, place, value in mutations(shapes(model.VERSION)[model.__name__]):
        text = json.dumps(value)
        tolerated, repairs = validate_tolerantly(model, value, Tolerance())
        try:
            strictly = model.model_validate_json(text)
        except ValidationError:
            assert (tolerated is None) == (not repairs), (place, text)
            forgiven += tolerated is not None
        else:
            assert (tolerated, repairs) == (strictly, [])
            continue
        if tolerated is not None:
            again, left = validate_tolerantly(model, json.loads(tolerated.to_json()), Tolerance())
            kept = [repair.path for repair in repairs if repair.kind is RepairKind.ENUM_KEPT]
            assert [repair.path for repair in left] == kept
            assert again is not None
            assert again.to_json() == tolerated.to_json()
    assert forgiven > 30


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*BOOT, "statusInfo", "reasonCode", "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(json_values)
def test_any_json_has_a_defined_result(value: object) -> None:
    model, repairs = validate_tolerantly(v201.BootNotificationResponse, value, Tolerance())
    assert model is not None or not repairs


@pytest.mark.parametrize(
    ("change", "path", "kind"),
    [
        ({"connectorId": "1"}, "connectorId", Violation.TYPE),
        ({"connectorId": None}, "connectorId", Violation.TYPE),
        ({"connectorId": True}, "connectorId", Violation.TYPE),
        ({"nope": 1}, "nope", Violation.EXTRA),
        ({"meterValue": []}, "meterValue", Violation.OCCURRENCE),
        ({"meterValue": {}}, "meterValue", Violation.TYPE),
        ({"meterValue": [{}]}, "meterValue[0].timestamp", Violation.MISSING),
        ({"meterValue": [METER_VALUE, 5]}, "meterValue[1]", Violation.TYPE),
    ],
)
def test_a_field_error_names_the_place_in_wire_names(
    change: dict[str, object], path: str, kind: Violation
) -> None:
    first = errors(v16.MeterValuesRequest, METER_VALUES | change)[0]
    assert (first.field, first.kind) == (path, kind)


@pytest.mark.parametrize(
    ("member", "value", "kind"),
    [
        ("timestamp", "2024-01-01", Violation.FORMAT),
        ("timestamp", 5, Violation.TYPE),
        ("status", "Nonsense", Violation.VALUE),
        ("status", 5, Violation.TYPE),
        ("info", "x" * 51, Violation.VALUE),
        ("connectorId", 1.5, Violation.TYPE),
    ],
)
def test_the_kind_of_violation(member: str, value: object, kind: Violation) -> None:
    sound = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    assert [(e.path, e.kind) for e in errors(v16.StatusNotificationRequest, sound | {member: value})] == [
        ((member,), kind)
    ]


def test_the_kinds_of_the_remaining_violations() -> None:
    limit = {"startPeriod": 0, "limit": 0.25}
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [limit]}
    profile = {"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxProfile"}
    profile |= {"chargingProfileKind": "Absolute", "chargingSchedule": schedule}
    fault = errors(v16.SetChargingProfileRequest, {"connectorId": 1, "csChargingProfiles": profile})
    assert [(e.field, e.kind) for e in fault] == [
        ("csChargingProfiles.chargingSchedule.chargingSchedulePeriod[0].limit", Violation.VALUE)
    ]
    assert errors(v16.GetDiagnosticsRequest, {"location": "nowhere"})[0].kind is Violation.FORMAT
    open_value = {"customData": {"vendorId": "v", "x": [float("nan")]}}
    assert [(e.field, e.kind) for e in errors(v201.HeartbeatRequest, open_value)] == [
        ("customData.x", Violation.FORMAT)
    ]
    for text in ("{", "", '{"a":\ud800}', "[" * 100_000, '{"vendorId": "\\ud800"}'):
        with pytest.raises(ValidationError) as caught:
            v16.DataTransferRequest.model_validate_json(text.encode("utf-8", "surrogatepass"))
        assert [e.kind for e in field_errors(caught.value)] == [Violation.NOT_JSON]


def test_an_empty_meter_value_is_one_too_few_elements() -> None:
    empty = METER_VALUES | {"meterValue": [{"timestamp": "2024-01-01T00:00:00Z", "sampledValue": []}]}
    fault = errors(v16.MeterValuesRequest, empty)
    assert [(e.field, e.kind) for e in fault] == [("meterValue", Violation.OCCURRENCE)]


def test_the_frame_around_a_payload_is_left_out_of_the_path() -> None:
    frame = TypeAdapter(tuple[int, str, v16.HeartbeatRequest])
    with pytest.raises(ValidationError) as caught:
        frame.validate_json('[2, "id", {"x": 1}]')
    assert [e.path for e in field_errors(caught.value, skip=1)] == [("x",)]


def test_path_text() -> None:
    assert path_text(()) == ""
    assert path_text(("a", 0, 1, "b")) == "a[0][1].b"
    assert path_text((3, "a")) == "[3].a"


def test_a_list_stops_at_its_first_fault() -> None:
    many = METER_VALUES | {"meterValue": [1] * 200_000}
    assert [e.field for e in errors(v16.MeterValuesRequest, many)] == ["meterValue[0]"]


def test_more_unknown_members_than_can_be_named() -> None:
    fault = errors(v16.HeartbeatRequest, {f"x{n}": 1 for n in range(MAX_ERRORS + 1)})
    assert [(e.path, e.kind) for e in fault] == [((), Violation.EXTRA)]
    assert len(errors(v16.HeartbeatRequest, {f"x{n}": 1 for n in range(MAX_ERRORS)})) == MAX_ERRORS
