"""What the core may name at all: a list of modules, and no method that reads the clock or the time zone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ocpp_core

ROOT = Path(ocpp_core.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

PURE_PACKAGES = {"collections", "json"}
PURE = {
    "__future__",
    "abc",
    "array",
    "base64",
    "binascii",
    "bisect",
    "contextlib",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "http",
    "importlib",
    "itertools",
    "math",
    "operator",
    "re",
    "string",
    "struct",
    "types",
    "typing",
    "urllib.parse",
    "zlib",
}
THIRD_PARTY = {"annotated_types", "h11", "pydantic", "pydantic_core", "typing_extensions", "wsproto"}

# Pure modules have impure corners: these methods read the clock or the host's time zone.
READS_CLOCK = {"now", "today", "utcnow"}
READS_ZONE = {
    "astimezone": 0,
    "fromtimestamp": 1,
}  # name -> most positional arguments that leave the zone out
IMPURE_BUILTINS = {"breakpoint", "eval", "exec", "globals", "input", "open", "print"}


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and absolute name of every module imported anywhere, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module or ""


def allowed(module: str) -> bool:
    """Whether the core may import ``module``."""
    top = module.partition(".")[0]
    return module in PURE or top in PURE_PACKAGES | THIRD_PARTY | {"ocpp_core"}


def impure_calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every call that reads the clock, the zone or the outside world."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in IMPURE_BUILTINS:
            yield node.lineno, called.id
        elif isinstance(called, ast.Attribute):
            given = len(node.args) + len(node.keywords)
            clock = called.attr in READS_CLOCK and isinstance(called.value, ast.Name | ast.Attribute)
            zone = called.attr in READS_ZONE and given <= READS_ZONE[called.attr]
            if clock or zone:
                yield node.lineno, called.attr


def faults(text: str) -> list[str]:
    """Everything in one source text that the core may not contain."""
    tree = ast.parse(text)
    return [f"{line}: imports {module}" for line, module in imported(tree) if not allowed(module)] + [
        f"{line}: calls {name}" for line, name in impure_calls(tree)
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_of_the_core_imports_and_calls_only_what_is_pure(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "import os.path",
        "from random import random",
        "def f():\n    import socket",
        "from urllib.request import urlopen",
        "import http.client",
        "import logging",
        "import threading",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.now(datetime.UTC)",
        "moment.astimezone()",
        "datetime.fromtimestamp(5)",
        "open('x')",
    ],
)
def test_the_check_sees(text: str) -> None:
    assert len(faults(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "from datetime import UTC, datetime",
        "moment.astimezone(UTC)",
        "datetime.fromtimestamp(5, tz=UTC)",
        "import re",
    ],
)
def test_the_check_leaves_alone(text: str) -> None:
    assert faults(text) == []
