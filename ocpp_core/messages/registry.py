"""Which actions a version has, and where their models are.

The tables are static data; a version's models are imported a functional block at a time, when the first of
them is asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType

from ..versions import OcppVersion
from .base import Direction, Request, Response


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a version."""

    name: str
    block: str
    """The functional block (2.x) or feature profile (1.6)."""
    direction: Direction
    confirmed: bool = True
    """Whether a response exists. False for what 2.1 sends with SEND."""

    @property
    def request_name(self) -> str:
        """The name of the request's model; what is sent unconfirmed carries the bare action name."""
        return f"{self.name}Request" if self.confirmed else self.name


class MessageSet:
    """The messages of one OCPP version."""

    __slots__ = ("_package", "actions", "version")

    def __init__(self, version: OcppVersion, package: ModuleType) -> None:
        self.version = version
        self.actions: Mapping[str, Action] = package.ACTIONS
        self._package = package

    def request(self, action: str) -> type[Request]:
        """The request model of ``action``.

        Raises:
            KeyError: the version has no such action.
        """
        model: type[Request] = getattr(self._package, self.actions[action].request_name)
        return model

    def response(self, action: str) -> type[Response]:
        """The response model of ``action``.

        Raises:
            KeyError: the version has no such action, or the action has no response.
        """
        if not self.actions[action].confirmed:
            raise KeyError(action)
        model: type[Response] = getattr(self._package, f"{action}Response")
        return model


_PACKAGES = {OcppVersion.V16: "v16", OcppVersion.V201: "v201", OcppVersion.V21: "v21"}


@cache
def message_set(version: OcppVersion) -> MessageSet:
    """The messages of ``version``. Imports that version's tables only, its models when asked for."""
    return MessageSet(version, import_module(f".{_PACKAGES[version]}", __package__))


def lazy_models(
    package: str, modules: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """A package's ``__getattr__`` and ``__dir__`` (PEP 562): a block is imported when a name of it is used.

    Arguments:
        package: the name of the version's package.
        modules: the names each of its modules defines.
    """
    module_of = {name: module for module, names in modules.items() for name in names}

    def attribute(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        model: object = getattr(import_module(f".{module_of[name]}", package), name)
        setattr(import_module(package), name, model)  # the next access needs no detour
        return model

    def names() -> list[str]:
        return ["ACTIONS", *module_of]

    return attribute, names
