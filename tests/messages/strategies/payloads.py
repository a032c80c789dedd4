"""Strategies by model, for the tests of every level: wire instances and the payloads built from them."""

import json
from importlib import import_module
from typing import TypeVar

from hypothesis.strategies import SearchStrategy

from ocpp_core.messages import Request, Response
from ocpp_core.versions import OcppVersion

from .nodes import Json, Object

PayloadT = TypeVar("PayloadT", Request, Response)

MODULES = {OcppVersion.V16: "v16", OcppVersion.V201: "v201", OcppVersion.V21: "v21"}


def shapes(version: OcppVersion) -> dict[str, Object]:
    """The shapes of all messages of ``version`` by the name of their model."""
    found: dict[str, Object] = import_module(f"tests.messages.strategies.{MODULES[version]}").MESSAGES
    return found


def instances(model: type[Request] | type[Response]) -> SearchStrategy[Json]:
    """Valid instances of ``model`` as parsed JSON."""
    return shapes(model.VERSION)[model.__name__].strategy


def payloads(model: type[PayloadT]) -> SearchStrategy[PayloadT]:
    """Payloads of ``model``."""
    return instances(model).map(lambda instance: model.model_validate_json(json.dumps(instance)))
