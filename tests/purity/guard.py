"""Catches every way out of a pure program, in a process made for it.

Three nets, because each has holes. An audit hook sees files, sockets, processes and imports, but neither
the clock nor randomness. Raising stand-ins replace what ``time``, ``random``, ``secrets``, ``uuid`` and
``os`` offer, but not what a module took from them before. A profiler sees every call of a C function, also
one imported by name or bound to an immutable type (``datetime.now``), but not one made from C.

The audit hook cannot be removed, hence the subprocess (see ``test_purity.py``).
"""

import os
import random
import secrets
import sys
import time
import uuid
from collections.abc import Callable
from types import FrameType, ModuleType

# What pydantic and h11 do in their own machinery (h11 turns one exception into another by its class).
HARMLESS_EVENTS = {"object.__getattr__", "object.__setattr__", "sys._getframe"}
IMPURE_MODULES = {"_io", "_random", "_socket", "_thread", "nt", "posix", "random", "select", "time"}
IMPURE_FUNCTIONS = {"date.today", "datetime.now", "datetime.today", "datetime.utcnow", "print"}
REPLACED: tuple[ModuleType, ...] = (time, random, secrets, uuid)


class ImpureError(BaseException):
    """Not an Exception: the program under watch must not be able to swallow it."""


class Guard:
    """Runs a function under watch; ``findings`` lists what it did that it may not."""

    def __init__(self) -> None:
        self.findings: list[str] = []
        self._watching = False
        sys.addaudithook(self._audit)

    def run(self, program: Callable[[], object]) -> None:
        """Run ``program`` to its end or to its first impure deed."""
        saved = self._stand_in()
        sys.setprofile(self._profile)
        self._watching = True
        try:
            program()
        except ImpureError:
            pass
        finally:
            self._watching = False
            sys.setprofile(None)
            for module, name, original in saved:
                setattr(module, name, original)

    def _stand_in(self) -> list[tuple[ModuleType, str, object]]:
        names = [(module, name) for module in REPLACED for name in dir(module) if name[0] != "_"]
        names += [(os, "urandom"), (os, "getrandom")]
        saved = []
        for module, name in names:
            original = getattr(module, name, None)
            if callable(original) and not isinstance(original, type):
                saved.append((module, name, original))
                setattr(module, name, self._raiser(f"{module.__name__}.{name}"))
        return saved

    def _raiser(self, name: str) -> Callable[..., None]:
        def refuse(*_arguments: object, **_options: object) -> None:
            self._found(f"call of {name}")

        return refuse

    def _found(self, what: str) -> None:
        self._watching = False
        self.findings.append(what)
        raise ImpureError(what)

    def _audit(self, event: str, _arguments: tuple[object, ...]) -> None:
        if self._watching and event not in HARMLESS_EVENTS:
            self._found(f"audit event {event}")

    def _profile(self, _frame: FrameType, event: str, function: object) -> None:
        if not self._watching or event != "c_call":
            return
        owner = getattr(function, "__self__", None)
        module = getattr(function, "__module__", None) or type(owner).__module__
        name = getattr(function, "__qualname__", "")
        if module in IMPURE_MODULES or name in IMPURE_FUNCTIONS:
            self._found(f"call of {module}.{name}")
