"""Two payloads for every official schema: with what is required only, and with everything."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from ocpp_core import OcppVersion

Json = Any
MOMENT = "2025-03-14T09:26:53.589Z"
FOLDERS = {OcppVersion.V16: "v16", OcppVersion.V201: "v201", OcppVersion.V21: "v21"}


@cache
def schema(version: OcppVersion, action: str, kind: str) -> Json:
    """The official schema of an action's ``"Request"`` or ``"Response"``."""
    folder = files("ocpp") / FOLDERS[version] / "schemas"
    name = action if version is OcppVersion.V16 and kind == "Request" else f"{action}{kind}"
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8-sig"))


def least(version: OcppVersion, action: str, kind: str) -> Json:
    """A payload with the required members only."""
    root = schema(version, action, kind)
    return _instance(root, root, full=False)


def most(version: OcppVersion, action: str, kind: str) -> Json:
    """A payload with every member that the schema names."""
    root = schema(version, action, kind)
    return _instance(root, root, full=True)


def _instance(part: Json, root: Json, *, full: bool) -> Json:
    if "$ref" in part:
        return _instance(root["definitions"][part["$ref"].rpartition("/")[2]], root, full=full)
    if "enum" in part:
        return part["enum"][0]
    match part.get("type"):
        case "object":
            members = part.get("properties", {})
            chosen = members if full else part.get("required", ())
            return {name: _instance(members[name], root, full=full) for name in chosen}
        case "array":
            item = _instance(part["items"], root, full=full)
            return [item] * max(1, part.get("minItems", 1))
        case "string":
            return MOMENT if part.get("format") == "date-time" else _text(part)
        case "integer":
            return int(_bounded(1, part))
        case "number":
            return float(_bounded(1.5, part))
        case "boolean":
            return True
        case _:
            return "anything"


def _bounded(value: float, part: Json) -> float:
    return float(min(max(value, part.get("minimum", value)), part.get("maximum", value)))


def _text(part: Json) -> str:
    return "https://example.org/"[: part.get("maxLength", 20)]
