"""Settings in JSON files: read strictly, and what is wrong with them named by its member."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ocpp_core import ConfigurationError

Value = TypeVar("Value")


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises :class:`ConfigurationError`."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: one JSON object is expected")
    return values


def check_names(values: object, kind: type, where: str) -> None:
    """Raises :class:`ConfigurationError` unless this is an object whose members are fields of ``kind``."""
    if not isinstance(values, dict):
        raise ConfigurationError(f"{where.removesuffix('.')}: an object is expected")
    known = [field.name for field in fields(kind)]
    for name in values:
        if name not in known:
            raise ConfigurationError(f"{where}{name} is no setting; allowed: {', '.join(known)}")


def validated(kind: TypeAdapter[Value], values: Mapping[str, Any], where: str) -> Value:
    """The values as what they are to be. Raises :class:`ConfigurationError`, which names the member."""
    try:
        return kind.validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        member = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{where}{member}{': ' if member else ''}{words}") from None
