"""The official JSON schemas as a small model of types: the only place that knows JSON Schema's keywords.

The schemas are those that the PyPI package ``ocpp`` ships. A keyword that is not understood here stops the
generator instead of being lost.
"""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .actions import ActionFacts, actions_of
from .names import INLINE_16, attribute_name, class_name

VERSIONS = ("v16", "v201", "v21")


@dataclass(frozen=True)
class Text:
    """A string; ``format`` is ``"date-time"``, ``"uri"`` or nothing."""

    max_length: int | None = None
    format: str | None = None


@dataclass(frozen=True)
class Integer:
    """A whole number within inclusive bounds."""

    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True)
class Number:
    """A finite number within inclusive bounds."""

    minimum: int | None = None
    maximum: int | None = None
    tenths: bool = False


@dataclass(frozen=True)
class Boolean:
    """True or false."""


@dataclass(frozen=True)
class AnyValue:
    """Whatever JSON can say."""


@dataclass(frozen=True)
class Named:
    """A reference to an enumeration or object of the same version."""

    name: str


@dataclass(frozen=True)
class Array:
    """A list of ``item``, its length within inclusive bounds."""

    item: "Type"
    min_items: int | None = None
    max_items: int | None = None


Type = Text | Integer | Number | Boolean | AnyValue | Named | Array


@dataclass(frozen=True)
class Member:
    """One member of an object."""

    wire: str
    type: Type
    required: bool
    default: object = None

    @property
    def attribute(self) -> str:
        """The Python name."""
        return attribute_name(self.wire)


@dataclass(frozen=True)
class Enumeration:
    """A closed set of strings."""

    name: str
    values: tuple[str, ...]
    default: object = None


@dataclass(frozen=True)
class Composite:
    """An object; ``open`` if it admits members beyond the named ones."""

    name: str
    members: tuple[Member, ...]
    open: bool = False


@dataclass(frozen=True)
class Message:
    """A request or response with the action it belongs to."""

    body: Composite
    schema: str
    facts: ActionFacts
    is_request: bool


@dataclass
class Version:
    """Everything the schemas of one version define."""

    name: str
    messages: list[Message] = field(default_factory=list)
    types: dict[str, Enumeration | Composite] = field(default_factory=dict)

    def references(self, body: Composite) -> Iterator[str]:
        """The types that ``body`` names itself, in order of appearance."""
        for member in body.members:
            inner = member.type
            while isinstance(inner, Array):
                inner = inner.item
            if isinstance(inner, Named):
                yield inner.name

    def closure(self, body: Composite) -> set[str]:
        """The types that ``body`` reaches, directly or through others."""
        found: set[str] = set()
        waiting = list(self.references(body))
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                target = self.types[name]
                if isinstance(target, Composite):
                    waiting.extend(self.references(target))
        return found


def schema_folder(version: str) -> Path:
    """Where the package ``ocpp`` keeps the schemas of ``version``; found without importing it."""
    spec = importlib.util.find_spec("ocpp")
    if spec is None or spec.origin is None:
        raise SystemExit("the schemas come from the development dependency 'ocpp': pip install ocpp==2.1.0")
    return Path(spec.origin).parent / version / "schemas"


def load(version: str) -> Version:
    """Read all schemas of ``version``. Types of one name must be the same wherever they occur."""
    loaded = Version(version)
    for facts in actions_of(version):
        for is_request in (True, False) if facts.confirmed else (True,):
            name = f"{facts.name}{'Request' if is_request else 'Response'}" if facts.confirmed else facts.name
            schema = facts.name if version == "v16" and is_request else name
            document = json.loads((schema_folder(version) / f"{schema}.json").read_text("utf-8-sig"))
            body = _Reader(loaded, document).composite(document, name)
            loaded.messages.append(Message(body, schema, facts, is_request))
    _check_complete(loaded)
    return loaded


def _check_complete(version: Version) -> None:
    on_disk = {path.stem for path in schema_folder(version.name).glob("*.json")}
    unknown = on_disk - {message.schema for message in version.messages}
    if unknown:
        raise SystemExit(f"{version.name}: schemas of actions that the tool's table lacks: {sorted(unknown)}")


_ANNOTATIONS = {
    "$schema",
    "$id",
    "id",
    "title",
    "description",
    "comment",
    "javaType",
    "definitions",
    "default",
}
_KEYWORDS = {
    "string": {"maxLength", "format", "enum", "additionalProperties"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum", "multipleOf"},
    "boolean": set(),
    "array": {"items", "minItems", "maxItems", "additionalItems"},
    "object": {"properties", "required", "additionalProperties"},
    None: set(),
}


class _Reader:
    """Reads one schema document, adding the types it defines to the version."""

    def __init__(self, version: Version, document: dict[str, Any]) -> None:
        self.version = version
        self.definitions = document.get("definitions", {})

    def composite(self, node: dict[str, Any], name: str) -> Composite:
        required = node.get("required", ())
        members = tuple(
            Member(wire, self.type(child, f"{name}.{wire}"), wire in required, self.default(child))
            for wire, child in node.get("properties", {}).items()
        )
        unknown = set(required) - {member.wire for member in members}
        if unknown:
            raise SystemExit(f"{name}: required, but not a property: {unknown}")
        return Composite(name, members, node.get("additionalProperties") is not False)

    def default(self, node: dict[str, Any]) -> object:
        target = self.definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        return target.get("default")

    def type(self, node: dict[str, Any], place: str) -> Type:
        if "$ref" in node:
            return self.named(class_name(node["$ref"].rpartition("/")[2]), self.definition(node["$ref"]))
        kind = node.get("type")
        unknown = node.keys() - _ANNOTATIONS - _KEYWORDS[kind] - {"type"}
        if unknown:
            raise SystemExit(f"{place}: keywords the tool does not know: {sorted(unknown)}")
        if "enum" in node or kind == "object":
            return self.named(INLINE_16[place], node)
        return self.simple(node, kind, place)

    def simple(self, node: dict[str, Any], kind: str | None, place: str) -> Type:
        match kind:
            case "string":
                return Text(node.get("maxLength"), node.get("format"))
            case "integer":
                return Integer(_bound(node, "minimum"), _bound(node, "maximum"))
            case "number":
                if node.get("multipleOf", 0.1) != 0.1:
                    raise SystemExit(f"{place}: multipleOf {node['multipleOf']}")
                return Number(_bound(node, "minimum"), _bound(node, "maximum"), "multipleOf" in node)
            case "boolean":
                return Boolean()
            case "array":
                return Array(self.type(node["items"], place), node.get("minItems"), node.get("maxItems"))
            case None:
                return AnyValue()
        raise SystemExit(f"{place}: type {kind}")

    def definition(self, reference: str) -> dict[str, Any]:
        node: dict[str, Any] = self.definitions[reference.rpartition("/")[2]]
        return node

    def named(self, name: str, node: dict[str, Any]) -> Named:
        built: Enumeration | Composite
        if "enum" in node:
            built = Enumeration(name, tuple(node["enum"]), node.get("default"))
        else:
            built = self.composite(node, name)
        known = self.version.types.setdefault(name, built)
        if known != built:
            self.version.types[name] = _reconciled(known, built)
        return Named(name)


def _bound(node: dict[str, Any], keyword: str) -> int | None:
    value = node.get(keyword)
    if value is not None and value != int(value):
        raise SystemExit(f"{keyword} {value} is no whole number")
    return None if value is None else int(value)


# Where 1.6's schemas disagree with each other (docs/schema-quirks.md), the looser one is taken.
_LOOSER = {"UnitOfMeasure", "MeterValue"}


def _reconciled(one: Enumeration | Composite, other: Enumeration | Composite) -> Enumeration | Composite:
    """One type from two of the same name that are known to differ; any other difference is an error."""
    if one.name in _LOOSER and isinstance(one, Enumeration) and isinstance(other, Enumeration):
        return max(one, other, key=lambda each: len(each.values))
    if one.name in _LOOSER and isinstance(one, Composite) and isinstance(other, Composite):
        return replace(one, members=tuple(map(_looser, one.members, other.members)))
    raise SystemExit(f"two types of one name: {one} and {other}")


def _looser(one: Member, other: Member) -> Member:
    if isinstance(one.type, Array) and isinstance(other.type, Array):
        return replace(one, type=replace(one.type, min_items=None))
    return one
