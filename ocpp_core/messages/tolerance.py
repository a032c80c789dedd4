"""What is wrong with a payload, and what may be forgiven.

Validation is strict. A payload that fails can be validated again under the peer's :class:`Tolerance`: each
fault that the profile forgives is repaired and reported, and if none is left the payload stands. This is
the slow path, taken only for payloads that failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from .base import is_rfc3339

PayloadT = TypeVar("PayloadT", bound=BaseModel)

Path = tuple[str | int, ...]
"""Where in a payload: wire names and list positions, outermost first."""

MAX_REPAIRS = 100
"""A payload with more faults than this is refused, however tolerant the profile."""

_EXCERPT = 100


class Violation(StrEnum):
    """How a field breaks its schema; each OCPP version has its own error code for each kind."""

    NOT_JSON = "not JSON"
    MISSING = "missing"
    EXTRA = "unknown member"
    TYPE = "wrong type"
    VALUE = "value not allowed"
    OCCURRENCE = "wrong number of elements"
    FORMAT = "malformed"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that breaks the schema."""

    path: Path
    kind: Violation
    text: str

    @property
    def field(self) -> str:
        """The path as text, such as ``meterValue[0].sampledValue[1].unit``; empty for the payload itself."""
        return path_text(self.path)


class RepairKind(StrEnum):
    """What was done to a payload to make it valid."""

    EXTRA_DROPPED = "unknown member ignored"
    ENUM_KEPT = "unknown enumeration value kept as text"
    ASSUMED_UTC = "time stamp without zone taken as UTC"
    TRUNCATED = "string cut to its maximum length"
    INTEGER = "whole number written with a fraction taken as integer"


@dataclass(frozen=True, slots=True)
class Repair:
    """One fault that was forgiven: where, how, and the text that was found there (at most 100 characters)."""

    path: Path
    kind: RepairKind
    text: str


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The faults forgiven to a peer; all of them by default, none with :data:`STRICT`."""

    extra_members: bool = True
    unknown_enums: bool = True
    naive_timestamps: bool = True
    long_strings: bool = True
    integral_floats: bool = True

    def __bool__(self) -> bool:
        """Whether anything at all is forgiven."""
        return self != STRICT


STRICT = Tolerance(
    extra_members=False,
    unknown_enums=False,
    naive_timestamps=False,
    long_strings=False,
    integral_floats=False,
)
"""Forgives nothing."""


def path_text(path: Path) -> str:
    """``path`` as people write it: ``chargingProfile.chargingSchedule[0].id``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


_KINDS = {
    "json_invalid": Violation.NOT_JSON,
    "missing": Violation.MISSING,
    "extra_forbidden": Violation.EXTRA,
    "too_short": Violation.OCCURRENCE,
    "too_long": Violation.OCCURRENCE,
    "timestamp": Violation.FORMAT,
    "uri": Violation.FORMAT,
    "json_value": Violation.FORMAT,
    "finite_number": Violation.FORMAT,
}


def field_errors(error: ValidationError, *, skip: int = 0) -> list[FieldError]:
    """What ``error`` says, a record per field, in the order of the schema.

    Arguments:
        error: from a model, or from an adapter of a frame that holds one.
        skip: how many leading steps of each path belong to the frame and are left out.
    """
    return [
        FieldError(details["loc"][skip:], _kind(details), details["msg"])
        for details in error.errors(include_url=False, include_context=False)
    ]


# Of these faults pydantic speaks too when the value is no string at all.
_OF_STRINGS = {"enum", "timestamp", "uri"}


def _kind(details: ErrorDetails) -> Violation:
    error_type = details["type"]
    if error_type in _OF_STRINGS and not isinstance(details["input"], str):
        return Violation.TYPE
    if error_type in _KINDS:
        return _KINDS[error_type]
    return Violation.TYPE if error_type.endswith("_type") else Violation.VALUE


def validate_tolerantly(
    model_type: type[PayloadT], value: object, tolerance: Tolerance
) -> tuple[PayloadT | None, list[Repair]]:
    """Validate parsed JSON, forgiving what ``tolerance`` forgives.

    Never raises, whatever ``value`` holds, and leaves it unchanged. Unknown enumeration values stand in the
    model as plain strings, and are written back as they came.

    Returns:
        the model and the repairs made, in order; or ``(None, [])`` if a fault is left that is not forgiven.
    """
    try:
        text = to_json(value, inf_nan_mode="constants")
    except (ValueError, RecursionError):  # lone surrogates, or nested too deep
        return None, []
    return _repaired(model_type, text, tolerance)


def _repaired(
    model_type: type[PayloadT], text: bytes, tolerance: Tolerance
) -> tuple[PayloadT | None, list[Repair]]:
    patient = _Patient(from_json(text), tolerance)
    # Every round repairs something or gives up, and the number of repairs is limited.
    while True:
        try:
            model = model_type.model_validate_json(to_json(patient.value, inf_nan_mode="constants"))
        except ValidationError as error:
            if error.error_count() + len(patient.repairs) > MAX_REPAIRS:
                return None, []
            if not all(patient.repair(details) for details in error.errors(include_url=False)):
                return None, []
        else:
            for path, unknown in patient.unknown_enums.items():
                _put_text(model, path, unknown)
            return model, patient.repairs


class _Patient:
    """A parsed payload under repair."""

    def __init__(self, value: Any, tolerance: Tolerance) -> None:
        self.value = value
        self.repairs: list[Repair] = []
        self.unknown_enums: dict[Path, str] = {}
        self._tolerance = tolerance

    def repair(self, details: ErrorDetails) -> bool:
        """Undo one fault; False if it is not forgiven."""
        path, found = details["loc"], details["input"]
        context: Mapping[str, Any] = details.get("ctx", {})
        match details["type"], found:
            case "extra_forbidden", _ if self._tolerance.extra_members:
                del self._parent(path)[path[-1]]
                kind = RepairKind.EXTRA_DROPPED
            case "enum", str() if self._tolerance.unknown_enums:
                self.unknown_enums[path] = found
                # Any member will do: the text takes its place when the rest has proved sound.
                self._parent(path)[path[-1]] = context["expected"].split("'")[1]
                kind = RepairKind.ENUM_KEPT
            case "timestamp", str() if self._tolerance.naive_timestamps and is_rfc3339(f"{found}Z"):
                self._parent(path)[path[-1]] = f"{found}Z"
                kind = RepairKind.ASSUMED_UTC
            case "string_too_long", str() if self._tolerance.long_strings:
                self._parent(path)[path[-1]] = found[: context["max_length"]]
                kind = RepairKind.TRUNCATED
            case "int_type", float() if self._tolerance.integral_floats and found.is_integer():
                self._parent(path)[path[-1]] = int(found)
                kind = RepairKind.INTEGER
            case _:
                return False
        self.repairs.append(Repair(path, kind, _excerpt(found)))
        return True

    def _parent(self, path: Path) -> Any:
        parent = self.value
        for step in path[:-1]:
            parent = parent[step]
        return parent


def _excerpt(found: object) -> str:
    text = found if isinstance(found, str) else to_json(found, inf_nan_mode="constants").decode()
    return text[:_EXCERPT]


def _put_text(model: BaseModel, path: Path, text: str) -> None:
    """Put ``text`` where ``path`` leads, past the model's validation."""
    target: Any = model
    for step in path[:-1]:
        target = _child(target, step)
    if isinstance(target, list):
        target[int(path[-1])] = text
    else:
        target.__dict__[_attribute(target, path[-1])] = text


def _child(target: Any, step: str | int) -> Any:
    return target[int(step)] if isinstance(target, list) else getattr(target, _attribute(target, step))


def _attribute(model: BaseModel, wire: str | int) -> str:
    fields = type(model).model_fields.items()
    return next(name for name, field in fields if (field.alias or name) == wire)
