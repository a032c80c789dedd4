"""Small immutable values, made by the hundred thousand a second.

A frozen dataclass sets every attribute through ``object.__setattr__``, which makes it three times as slow to
build as a plain one, and every frame, action and event of a busy CSMS is one. These are frozen for the type
checker, who sees every line, and plain at run time.
"""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

Value = TypeVar("Value")


@dataclass_transform(frozen_default=True)
def value(cls: type[Value]) -> type[Value]:
    """A slotted dataclass to be treated as immutable; equal and hashable by its fields."""
    return dataclass(slots=True, unsafe_hash=True)(cls)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def keyword_value(cls: type[Value]) -> type[Value]:
    """Like :func:`value`, its fields given by name only."""
    return dataclass(slots=True, unsafe_hash=True, kw_only=True)(cls)
