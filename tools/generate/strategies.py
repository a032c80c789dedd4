"""Writes the shapes of a version's messages, from which the tests draw and break instances."""

from dataclasses import replace

from .models import HEADER, NUMBERS
from .schemas import (
    AnyValue,
    Array,
    Boolean,
    Composite,
    Enumeration,
    Integer,
    Member,
    Named,
    Number,
    Text,
    Type,
    Version,
)

# What 1.6's MeterValues and StopTransaction do not both admit (docs/schema-quirks.md) is drawn for neither.
_NOT_EVERYWHERE = {("UnitOfMeasure", "Hertz")}
_AT_LEAST_ONE = {("MeterValue", "sampledValue")}


def write_strategies(version: Version) -> str:
    """A module of nodes: one for every type of the version, then ``MESSAGES`` by name."""
    order: dict[str, None] = {}

    def place(name: str) -> None:
        known = version.types[name]
        if isinstance(known, Composite):
            for used in version.references(known):
                place(used)
        order.setdefault(name)

    for name in sorted(version.types):
        place(name)
    types = "".join(f"_{name} = {_definition(version.types[name])}\n" for name in order)
    messages = "".join(
        f'"{message.body.name}": {_object(message.body)},'
        for message in sorted(version.messages, key=lambda each: each.body.name)
    )
    nodes = [
        "AnyValue",
        "Array",
        "Boolean",
        "Enum",
        "Integer",
        "Number",
        "Object",
        "Text",
        "Timestamp",
        "Uri",
    ]
    used = ", ".join(node for node in nodes if f"{node}(" in types + messages)
    return (
        f'{HEADER}"""The shapes of all messages of OCPP {NUMBERS[version.name]}."""\n\n'
        f"from .nodes import {used}\n\n{types}\nMESSAGES = {{\n{messages}}}\n"
    )


def _definition(known: Enumeration | Composite) -> str:
    if isinstance(known, Composite):
        return _object(known)
    return f"Enum({tuple(value for value in known.values if (known.name, value) not in _NOT_EVERYWHERE)})"


def _object(body: Composite) -> str:
    members = ", ".join(f'"{member.wire}": {_node(_drawn(body, member))}' for member in body.members)
    required = tuple(member.wire for member in body.members if member.required)
    arguments = [f"{{{members}}}"]
    arguments += [f"required={required}"] if required else []
    arguments += ["open=True"] if body.open else []
    return f"Object({', '.join(arguments)})"


def _drawn(body: Composite, member: Member) -> Type:
    if (body.name, member.wire) in _AT_LEAST_ONE and isinstance(member.type, Array):
        return replace(member.type, min_items=1)
    return member.type


def _node(kind: Type) -> str:
    match kind:
        case Text(max_length, None):
            return _call("Text", max_length)
        case Text(None, "date-time"):
            return "Timestamp()"
        case Text(max_length, "uri"):
            return _call("Uri", max_length)
        case Integer(minimum, maximum):
            return _call("Integer", minimum, maximum)
        case Number(minimum, maximum, tenths):
            return _call("Number", minimum, maximum, *([True] if tenths else []))
        case Boolean():
            return "Boolean()"
        case AnyValue():
            return "AnyValue()"
        case Named(name):
            return f"_{name}"
        case Array(item, min_items, max_items):
            return f"Array({_node(item)}, {_call('', min_items, max_items)[1:-1]})"
    raise SystemExit(f"no node for {kind}")


def _call(name: str, *arguments: int | None) -> str:
    shown = list(arguments)
    while shown and shown[-1] is None:
        shown.pop()
    return f"{name}({', '.join(map(repr, shown))})"
