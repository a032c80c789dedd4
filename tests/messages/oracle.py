"""The official JSON schemas as the judge of what is valid.

Numbers are read as decimals, so that ``multipleOf: 0.1`` admits 0.3, and formats are checked, which
jsonschema leaves out unless told.
"""

import decimal
import importlib.util
import json
import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import FormatChecker
from jsonschema.validators import validator_for
from rfc3339_validator import validate_rfc3339

from ocpp_core.versions import OcppVersion

_FOLDERS = {OcppVersion.V16: "v16", OcppVersion.V201: "v201", OcppVersion.V21: "v21"}


def _date_time(value: object) -> bool:
    return not isinstance(value, str) or validate_rfc3339(value)


def _uri(value: object) -> bool:
    if not isinstance(value, str):
        return True
    without_escapes = re.sub(r"%[0-9A-Fa-f]{2}", "", value)
    legal = not set(without_escapes) - set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?#[]@!$&'()*+,;="
    )
    return legal and bool(urlsplit(value).scheme)


_formats = FormatChecker(formats=())
_formats.checks("date-time")(_date_time)
_formats.checks("uri")(_uri)


def schema_folder(version: OcppVersion) -> Path:
    """Where the development dependency ``ocpp`` keeps the schemas."""
    spec = importlib.util.find_spec("ocpp")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / _FOLDERS[version] / "schemas"


def schema_names(version: OcppVersion) -> list[str]:
    """Every schema of ``version``, by file name."""
    return sorted(path.stem for path in schema_folder(version).glob("*.json"))


def schema_name(version: OcppVersion, model: str) -> str:
    """The schema's file name for a model: 1.6 names a request's schema by its action alone."""
    return model.removesuffix("Request") if version is OcppVersion.V16 else model


@cache
def _validator(version: OcppVersion, model: str) -> Any:
    text = (schema_folder(version) / f"{schema_name(version, model)}.json").read_text("utf-8-sig")
    schema = json.loads(text, parse_float=Decimal)
    return validator_for(schema)(schema, format_checker=_formats)


def parsed(text: str) -> Any:
    """``text`` with exact numbers; raises ``ValueError`` for NaN and infinity, which JSON has not."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(text, parse_float=Decimal, parse_constant=refuse)


def accepts(version: OcppVersion, model: str, text: str) -> bool:
    """Whether ``text`` is JSON that the official schema of ``model`` admits."""
    try:
        instance = parsed(text)
    except ValueError:
        return False
    with decimal.localcontext(prec=400):
        return bool(_validator(version, model).is_valid(instance))
