"""What is wrong with a payload, and what may be forgiven.

Validation is strict. A payload that fails can be validated again under the peer's :class:`Tolerance`: each
fault that the profile forgives is repaired and reported, and if none is left the payload stands. This is
the slow path, taken only for payloads that failed.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from .base import Payload, is_rfc3339

PayloadT = TypeVar("PayloadT", bound=Payload)

Path = tuple[str | int, ...]
"""Where in a payload: wire names and list positions, outermost first."""

MAX_REPAIRS = 100
"""A payload with more different faults than this is refused, however tolerant the profile."""

MAX_ERRORS = 1000
"""A payload with more faults than this is not taken apart field by field."""

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
    """One kind of fault that was forgiven in one place of the schema."""

    path: Path
    """Where it was found first."""
    kind: RepairKind
    text: str
    """What was found there, cut to 100 characters; JSON unless it was a string."""
    count: int = 1
    """In how many elements of the lists on the way it was found."""


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
    """What ``error`` says, a record per faulty field, in the order of the schema; never empty.

    Of the elements of a list only the first faulty one is named.

    Arguments:
        error: from a model, or from an adapter of a frame that holds one.
        skip: how many leading steps of each path belong to the frame and are left out.
    """
    if error.error_count() > MAX_ERRORS:
        # Lists stop at their first fault, so only members that no schema names can be that many.
        return [FieldError((), Violation.EXTRA, f"More than {MAX_ERRORS} unknown members")]
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
        patient = _Patient(from_json(to_json(value, inf_nan_mode="constants")), tolerance)
    except ValueError:  # lone surrogates, or nested too deep
        return None, []
    # A round that repairs nothing gives up, and the number of repairs is limited.
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
        """Undo one fault wherever it occurs in the same place of a list's elements; False if not forgiven."""
        cure = _cure(details, self._tolerance)
        if cure is None:
            return False
        kind, apply = cure
        first, count = None, 0
        for parent, path in _places(self.value, details["loc"]):
            found = parent[path[-1]]
            if apply(parent, path[-1]):
                first, count = first or Repair(path, kind, _excerpt(found)), count + 1
                if kind is RepairKind.ENUM_KEPT:
                    self.unknown_enums[path] = found
        self.repairs += [replace(first, count=count)] if first else []
        return first is not None


Cure = Callable[[Any, str | int], bool]
"""Repairs ``parent[key]`` if it has the fault; says whether it had."""


def _cure(details: ErrorDetails, tolerance: Tolerance) -> tuple[RepairKind, Cure] | None:
    """How to repair a fault of the kind of ``details`` wherever it occurs; None if it is not forgiven."""
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden" if tolerance.extra_members:
            return RepairKind.EXTRA_DROPPED, _drop
        case "enum" if tolerance.unknown_enums:
            return RepairKind.ENUM_KEPT, partial(_set_aside, re.findall("'([^']*)'", context["expected"]))
        case "timestamp" if tolerance.naive_timestamps:
            return RepairKind.ASSUMED_UTC, _add_zone
        case "string_too_long" if tolerance.long_strings:
            return RepairKind.TRUNCATED, partial(_cut, context["max_length"])
        case "int_type" if tolerance.integral_floats:
            return RepairKind.INTEGER, _make_whole
    return None


def _drop(parent: Any, key: str | int) -> bool:
    del parent[key]
    return True


def _set_aside(known: list[str], parent: Any, key: str | int) -> bool:
    # Any member will do: the text takes its place again when the rest has proved sound.
    unknown = isinstance(parent[key], str) and parent[key] not in known
    if unknown:
        parent[key] = known[0]
    return unknown


def _add_zone(parent: Any, key: str | int) -> bool:
    naive = isinstance(parent[key], str) and is_rfc3339(f"{parent[key]}Z")
    if naive:
        parent[key] += "Z"
    return naive


def _cut(limit: int, parent: Any, key: str | int) -> bool:
    long = isinstance(parent[key], str) and len(parent[key]) > limit
    if long:
        parent[key] = parent[key][:limit]
    return long


def _make_whole(parent: Any, key: str | int) -> bool:
    integral = isinstance(parent[key], float) and parent[key].is_integer()
    if integral:
        parent[key] = int(parent[key])
    return integral


def _places(value: Any, path: Path) -> list[tuple[Any, Path]]:
    """Where ``path`` leads if each list position in it stands for all: the parents, and the full paths."""
    parents: list[tuple[Any, Path]] = [(value, ())]
    for step in path[:-1]:
        parents = [
            (parent[key], (*place, key)) for parent, place in parents for key in _matching(parent, step)
        ]
    return [(parent, (*place, key)) for parent, place in parents for key in _matching(parent, path[-1])]


def _matching(parent: Any, step: str | int) -> Iterable[str | int]:
    if isinstance(step, int):
        return range(len(parent)) if isinstance(parent, list) else ()
    return (step,) if isinstance(parent, dict) and step in parent else ()


def _excerpt(found: object) -> str:
    text = found if isinstance(found, str) else to_json(found, inf_nan_mode="constants").decode()
    return text[:_EXCERPT]


def _put_text(model: Payload, path: Path, text: str) -> None:
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


def _attribute(model: Payload, wire: str | int) -> str:
    fields = type(model).model_fields.items()
    return next(name for name, field in fields if (field.alias or name) == wire)
