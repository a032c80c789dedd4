"""What every message model is built on: strict pydantic models that speak attribute names to Python and
wire names to the peer.

Three rules hold for every model and are all carried out by pydantic's compiled core, without a Python
call per field:

* Python constructs by attribute name (``connector_id=1``), JSON is read and written by wire name
  (``"connectorId"``); neither is accepted in the other's place.
* Absent is ``None`` to Python. On the wire ``null`` is no value: a member that is present must have the
  type the schema gives it (OCPP 2.1 part 4 §4.1.5).
* Numbers are finite, an integer is written without a fraction, a boolean is no number.
"""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    JsonValue,
    PlainSerializer,
    SerializationInfo,
    model_serializer,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from ..versions import OcppVersion


class Direction(StrEnum):
    """Who sends the request of an action."""

    STATION_TO_CSMS = "station to CSMS"
    CSMS_TO_STATION = "CSMS to station"
    BOTH = "both"


class Enumeration(StrEnum):
    """Base of the enumerations: closed sets of strings, strict like everything else."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """As pydantic's own, but written as the string each member is: twice as fast as by its value."""
        as_text = core_schema.simple_ser_schema("str")
        return core_schema.enum_schema(cls, list(cls), sub_type="str", strict=True, serialization=as_text)


def _stop_at_first_fault(schema: Any) -> None:
    while schema is not None:
        if schema["type"] == "list":
            schema["fail_fast"] = True
        schema = schema.get("schema") or schema.get("items_schema")


class Payload(BaseModel):
    """Base of every message and datatype: an immutable value, validated when it is built.

    ``Model(attribute=value, ...)`` and ``Model.model_validate_json(text)`` raise
    :class:`pydantic.ValidationError` if the value breaks the schema.
    """

    model_config = ConfigDict(
        allow_inf_nan=False,
        defer_build=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # an id token or a password must not reach a log by way of a traceback
        strict=True,
    )

    def __init__(self, /, **data: Any) -> None:
        self.__pydantic_validator__.validate_python(data, self_instance=self, by_alias=False, by_name=True)

    # What pydantic sets on its own __init__: JSON validation fills the instance without calling it.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # functions have no typed attributes

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let ``None`` mean absent in Python only, and a list stop at its first faulty element.

        From JSON an optional member has its plain type. A list of a million faulty elements costs one error
        record, not a million.
        """
        schema = handler(source)
        model: Any = handler.resolve_ref_schema(schema)
        for field in model["schema"]["fields"].values():
            default = field["schema"]
            _stop_at_first_fault(default)
            if default["type"] == "default" and default["schema"]["type"] == "nullable":
                nullable = default["schema"]
                default["schema"] = core_schema.json_or_python_schema(nullable["schema"], nullable)
        return schema

    def to_json(self) -> str:
        """The payload as JSON text: wire names in schema order, absent members left out.

        Timestamps are written in UTC with exactly three decimals.
        """
        return self.__pydantic_serializer__.to_json(
            self, by_alias=True, exclude_none=True, warnings=False
        ).decode()


class Datatype(Payload):
    """Base of the composite values inside messages."""


class Request(Payload):
    """Base of the requests."""

    ACTION: ClassVar[str]
    VERSION: ClassVar[OcppVersion]


class Response(Payload):
    """Base of the responses."""

    ACTION: ClassVar[str]
    VERSION: ClassVar[OcppVersion]


def _to_wire(value: datetime) -> str:
    if value.utcoffset():
        try:
            value = value.astimezone(UTC)
        except OverflowError:  # the first or last day of the calendar, in a zone that UTC cannot express
            return value.isoformat(timespec="milliseconds")
    # A third faster than isoformat, which works out the offset again.
    return "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (  # noqa: UP031 - and than a format string
        value.year,
        value.month,
        value.day,
        value.hour,
        value.minute,
        value.second,
        value.microsecond // 1000,
    )


_RFC3339 = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)


def is_rfc3339(text: str) -> bool:
    """Whether ``text`` has the form of a date-time of RFC 3339 §5.6, time zone included."""
    return re.match(_RFC3339, text) is not None


class _Rfc3339:
    """Admits what RFC 3339 calls a date-time; pydantic alone also takes epoch numbers and lacking seconds."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(pattern=_RFC3339, strict=True)
        from_json = core_schema.custom_error_schema(
            core_schema.chain_schema([text, core_schema.datetime_schema(strict=False)]),
            custom_error_type="timestamp",
            custom_error_message="Input should be an RFC 3339 date-time with a time zone",
        )
        from_python = core_schema.datetime_schema(strict=True, tz_constraint="aware")
        return core_schema.json_or_python_schema(from_json, from_python)


Timestamp = Annotated[datetime, _Rfc3339, PlainSerializer(_to_wire, return_type=str, when_used="json")]
"""A point in time. Time zone aware; more than three decimals of a second are cut off when written."""


def _tenth(value: float) -> float:
    # The double nearest to a decimal with one place is exactly what rounding to one place gives.
    if round(value, 1) != value:
        raise PydanticKnownError("multiple_of", {"multiple_of": 0.1})
    return value


Tenths = Annotated[float, AfterValidator(_tenth)]
"""A number with at most one decimal (the schema's ``multipleOf: 0.1``, free of binary fractions)."""


def _each_sampled(values: list[Any]) -> list[Any]:
    for value in values:
        if not value.sampled_value:
            raise PydanticKnownError("too_short", {"field_type": "List", "min_length": 1, "actual_length": 0})
    return values


EachSampled = AfterValidator(_each_sampled)
"""Each meter value has a sampled value: 1.6's MeterValues asks for that, its StopTransaction does not."""


class _Rfc3986:
    """Admits a URI: a scheme, then only characters that RFC 3986 allows, all others percent-encoded."""

    PATTERN = r"^[A-Za-z][A-Za-z0-9+.-]*:([!$&-;=?-Z_a-z~\[\]#]|%[0-9A-Fa-f]{2})*$"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            core_schema.str_schema(pattern=cls.PATTERN, strict=True),
            custom_error_type="uri",
            custom_error_message="Input should be a URI (RFC 3986)",
        )


Uri = Annotated[str, _Rfc3986]
"""An absolute URI as text."""


class _JsonTree:
    """Any JSON value; pydantic's own type for it lets NaN and 1E400 in."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        value = core_schema.definition_reference_schema("ocpp-json")
        choices: list[CoreSchema | tuple[CoreSchema, str]] = [
            core_schema.none_schema(),
            core_schema.bool_schema(strict=True),
            core_schema.int_schema(strict=True),
            core_schema.float_schema(strict=True, allow_inf_nan=False),
            core_schema.str_schema(strict=True),
            core_schema.list_schema(value, strict=True, fail_fast=True),
            core_schema.dict_schema(core_schema.str_schema(strict=True), value, strict=True),
        ]
        union = core_schema.union_schema(
            choices,
            custom_error_type="json_value",
            custom_error_message="Input should be a JSON value with finite numbers",
            ref="ocpp-json",
        )
        return core_schema.definitions_schema(value, [union])


Json = Annotated[JsonValue, GetPydanticSchema(lambda _, handler: handler.generate_schema(_JsonTree))]
"""Any JSON value, numbers finite."""


class OpenDatatype(Datatype):
    """A datatype that keeps the members its schema does not name, as they came, in ``model_extra``."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, Json] = Field(init=False)

    @model_serializer(mode="plain")
    def _with_nulls(self, info: SerializationInfo) -> dict[str, object]:
        """Leave out absent members but keep a ``null`` that came with the unnamed ones."""
        named = {
            (field.alias if info.by_alias and field.alias else name): getattr(self, name)
            for name, field in type(self).model_fields.items()
            if getattr(self, name) is not None
        }
        return named | (self.__pydantic_extra__ or {}) | named
