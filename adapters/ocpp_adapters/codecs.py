"""Machines' arguments and actions as JSON: by their type hints there and back, by their looks one way."""

import inspect
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Protocol, Union, cast, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

from ocpp_core import OcppVersion
from ocpp_core.messages import Payload, Request, Response, message_set


class Codec(Protocol):
    """One type's values as JSON values."""

    def encode(self, value: Any) -> Any:
        """A JSON value."""
        ...

    def decode(self, value: Any) -> Any:
        """The value again. Raises ValueError if the JSON is not one's own."""
        ...


class _Plain:
    """What is its own JSON value; texts are not looked at, they may be no valid Unicode."""

    def encode(self, value: Any) -> Any:
        return value

    decode = encode


class _Hinted:
    """What pydantic knows how to read: dataclasses, enumerations, containers of them."""

    def __init__(self, hint: Any) -> None:
        self._adapter: TypeAdapter[Any] = TypeAdapter(hint)

    def encode(self, value: Any) -> Any:
        return self._adapter.dump_python(value, mode="json", warnings=False)

    def decode(self, value: Any) -> Any:
        return self._adapter.validate_json(json.dumps(value))


class _Message:
    """Requests and responses of any version."""

    def encode(self, value: Payload) -> Any:
        assert isinstance(value, Request | Response)
        return {"version": value.VERSION, "action": value.ACTION, "payload": json.loads(value.to_json())}

    def __init__(self, response: bool) -> None:
        self._response = response

    def decode(self, value: Any) -> Payload:
        messages = message_set(OcppVersion(value["version"]))
        model: type[Payload] = (messages.response if self._response else messages.request)(value["action"])
        return model.model_validate_json(json.dumps(value["payload"]))


class _Tagged:
    """One of several classes, told apart by name: their members may look alike."""

    def __init__(self, hints: Sequence[type]) -> None:
        self._classes = {hint.__name__: hint for hint in hints}
        self._codecs = {hint.__name__: codec_for(hint) for hint in hints}

    def encode(self, value: Any) -> Any:
        name = next(name for name, hint in self._classes.items() if isinstance(value, hint))
        return {"class": name, "value": self._codecs[name].encode(value)}

    def decode(self, value: Any) -> Any:
        return self._codecs[value["class"]].decode(value["value"])


def codec_for(hint: Any) -> Codec:
    """The codec of a type hint."""
    if hint is str or hint is NoneType:
        return _Plain()
    if isinstance(hint, type) and issubclass(hint, Request | Response):
        return _Message(issubclass(hint, Response))
    if get_origin(hint) in (Union, UnionType):
        members = get_args(hint)
        if sum(is_dataclass(member) or _is_message(member) for member in members) > 1:
            return _Tagged(members)
    return _Hinted(hint)


def _is_message(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Payload)


class Arguments:
    """The arguments of a class or of a method, ``self`` excepted, by name; those in ``skip`` are left out."""

    def __init__(self, function: Callable[..., Any], skip: Collection[str] = ()) -> None:
        initializer = cast(Any, function).__init__ if isinstance(function, type) else function
        signature = inspect.signature(initializer)
        _, *parameters = signature.parameters.values()
        hints = get_type_hints(initializer)
        self._signature = signature.replace(parameters=parameters)
        self._codecs = {
            item.name: codec_for(hints[item.name]) for item in parameters if item.name not in skip
        }

    def bind(self, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
        """The arguments as they would be passed. Raises TypeError if they do not fit."""
        return self._signature.bind(*args, **kwargs)

    def encode(self, given: inspect.BoundArguments) -> dict[str, Any]:
        """A JSON object."""
        return {
            name: self._codecs[name].encode(value)
            for name, value in given.arguments.items()
            if name in self._codecs
        }

    def decode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments again, by name. Raises ValueError if they are not this function's."""
        if unknown := values.keys() - self._codecs.keys():
            raise ValueError(f"unknown arguments: {', '.join(sorted(unknown))}")
        return {name: self._codecs[name].decode(value) for name, value in values.items()}


QUERIES: Final = frozenset({"state"})
"""Methods that take the time and change nothing."""


@cache
def inputs_of(machine: type) -> Mapping[str, Arguments]:
    """The methods of a machine that are inputs: the public ones that take the time."""
    return {
        name: Arguments(method)
        for name, method in inspect.getmembers(machine, inspect.isfunction)
        if not name.startswith("_") and name not in QUERIES and "now" in inspect.signature(method).parameters
    }


@cache
def construction_of(machine: type) -> Arguments:
    """What a machine is made of, its entropy excepted."""
    return Arguments(machine, {"entropy"})


def describe(value: Any) -> Any:
    """An action as a JSON value, to be read and compared: nothing is left out, nothing depends on a run."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value
    if isinstance(value, Payload):
        return {type(value).__name__: json.loads(value.to_json())}
    if is_dataclass(value):
        return {
            type(value).__name__: {item.name: describe(getattr(value, item.name)) for item in fields(value)}
        }
    return _describe_other(value)


def _describe_other(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [describe(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((describe(item) for item in value), key=json.dumps)
    return repr(value)
