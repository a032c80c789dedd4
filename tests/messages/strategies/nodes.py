"""The shape of a JSON value: what draws valid ones, and what lists the ways to break one.

The generated modules beside this one describe every schema with these nodes. They are no oracle: whether a
value is valid is for the official schema to say.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cached_property, partial
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Json = Any
Mutant = tuple[str, Json]
"""A kind of mutation, and a value mutated by it."""

TYPES: tuple[Json, ...] = (True, 0, 1.5, "text", [], {})
"""A value of every JSON type but null."""

_letters = st.characters(exclude_categories=["Cs"])
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(_letters, max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(_letters, max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


class Node:
    """A place in a message."""

    @cached_property
    def strategy(self) -> SearchStrategy[Json]:
        """Draws valid values."""
        raise NotImplementedError

    @cached_property
    def sample(self) -> Json:
        """One valid value, as small as can be."""
        raise NotImplementedError

    def mutants(self) -> Iterator[Mutant]:
        """Values at and beyond what the node admits, its own type or another."""
        yield "null", None
        for value in TYPES:
            if type(value) is not type(self.sample):
                yield "wrong type", value

    def written(self, value: Json) -> Json:
        """What is written for ``value`` after it was read."""
        return value


@dataclass(frozen=True)
class Text(Node):
    max_length: int | None = None

    @cached_property
    def strategy(self) -> SearchStrategy[Json]:
        limit = 12 if self.max_length is None else min(12, self.max_length)
        return st.text(_letters, max_size=limit)

    @cached_property
    def sample(self) -> Json:
        return "x"

    def mutants(self) -> Iterator[Mutant]:
        yield from super().mutants()
        yield "at the limit", ""
        if self.max_length is not None:
            yield "at the limit", "\N{ELECTRIC PLUG}" * self.max_length
            yield "too long", "x" * (self.max_length + 1)
            yield "too long", "\N{ELECTRIC PLUG}" * (self.max_length + 1)


@dataclass(frozen=True)
class Uri(Node):
    max_length: int | None = None

    @cached_property
    def strategy(self) -> SearchStrategy[Json]:
        paths = st.text("abcXYZ019-._~/?&=+@:%", max_size=12).map(lambda path: path.replace("%", "%2F"))
        return st.tuples(st.sampled_from(["ftp", "https", "x-y.z+1"]), paths).map("://host/".join)

    @cached_property
    def sample(self) -> Json:
        return "ftp://host/file"

    def mutants(self) -> Iterator[Mutant]:
        yield from super().mutants()
        for value in (
            "",
            "no scheme",
            "//host/x",
            "1x:y",
            "http://ho st/",
            "http://h/%2",
            "http://h/%zz",
            "a:é",
        ):
            yield "bad URI", value
        yield "at the limit", "mailto:a@b"


_OFFSET = re.compile(r"[+-]\d\d:\d\d$|Z$")


@dataclass(frozen=True)
class Timestamp(Node):
    @cached_property
    def strategy(self) -> SearchStrategy[Json]:
        moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)).map(lambda t: t.isoformat()[:19])
        fractions = st.text("0123456789", max_size=9).map(lambda digits: digits and f".{digits}")
        minutes = st.integers(0, 24 * 60 - 1).map(lambda m: f"{m // 60:02}:{m % 60:02}")
        zones = st.just("Z") | st.tuples(st.sampled_from("+-"), minutes).map("".join)
        return st.tuples(moments, fractions, zones).map("".join)

    @cached_property
    def sample(self) -> Json:
        return "2024-02-29T12:34:56.789Z"

    def mutants(self) -> Iterator[Mutant]:
        yield from super().mutants()
        for value in (
            "",
            "now",
            "1700000000",
            "2024-02-29",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-10T00:00:00Z",
            "2024-01-32T00:00:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00+0100",
            "0000-01-01T00:00:00Z",
            "2024-01-01T00:00:00Zx",
            " 2024-01-01T00:00:00Z",
            "2024-01-01t00:00:00z",
            "2016-12-31T23:59:60Z",
            "\N{ARABIC-INDIC DIGIT TWO}024-01-01T00:00:00Z",
        ):
            yield "bad date", value
        yield "at the limit", "2024-12-31T23:59:59.999999999-23:59"

    def written(self, value: Json) -> Json:
        zone = _OFFSET.search(value)
        assert zone is not None
        text = zone.group()
        offset = timedelta() if text == "Z" else timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
        fraction = value[20 : zone.start()][:3].ljust(3, "0")
        moment = datetime.fromisoformat(value[:19]).replace(
            tzinfo=timezone(-offset if text[0] == "-" else offset)
        )
        return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}.{fraction}Z"


@dataclass(frozen=True)
class Enum(Node):
    values: tuple[str, ...]

    @cached_property
    def strategy(self) -> SearchStrategy[Json]:
        return st.sampled_from(self.values)

    @cached_property
    def sample(self) -> Json:
        return self.values[0]

    def mutants(self) -> Iterator[Mutant]:
        yield from super().mutants()
        for value in ("", "Nonsense", f"{self.values[0]} ", self.values[0].swapcase()):
            yield "wrong enumeration", value
        for value in self.values:
            yield "at the limit", value


def _whole(low: int | None, high: int | None, widest: int) -> SearchStrategy[int]:
    return st.integers(-widest if low is None else low, widest if high is None else high)


@dataclass(frozen=True)
class Integer(Node):
    minimum: int | None = None
    maximum: int | None = None

    @cached_property
    def strategy(self) -> SearchStrategy[Json]:
        return _whole(self.minimum, self.maximum, 2**70)

    @cached_property
    def sample(self) -> Json:
        return self.minimum or 0

    def mutants(self) -> Iterator[Mutant]:
        yield from super().mutants()
        yield "wrong type", "0"
        yield "wrong type", 1e2
        yield "not finite", float("nan")
        yield from _beyond(self.minimum, self.maximum, 1)


@dataclass(frozen=True)
class Number(Node):
    minimum: int | None = None
    maximum: int | None = None
    tenths: bool = False

    @cached_property
    def strategy(self) -> SearchStrategy[Json]:
        whole = _whole(self.minimum, self.maximum, 2**53)
        if self.tenths:
            return whole | st.integers(-(10**9), 10**9).map(lambda tenths: tenths / 10)
        return whole | st.floats(self.minimum, self.maximum, allow_nan=False, allow_infinity=False)

    @cached_property
    def sample(self) -> Json:
        return float(self.minimum or 0)

    def mutants(self) -> Iterator[Mutant]:
        yield from super().mutants()
        yield "wrong type", "0.5"
        for value in ("nan", "inf", "-inf"):
            yield "not finite", float(value)
        yield from _beyond(self.minimum, self.maximum, 0.5)
        if self.tenths:
            for fraction in (0.25, 0.1 + 0.2, 1e-9, 100.01):
                yield "no multiple", fraction
            for tenth in (0.3, 1.1, -0.7, 4.0, 1e22, 1e300):
                yield "at the limit", tenth


def _beyond(minimum: int | None, maximum: int | None, step: float) -> Iterator[Mutant]:
    for limit, outward in ((minimum, -step), (maximum, step)):
        if limit is not None:
            yield "at the limit", limit
            yield "out of range", limit + outward


@dataclass(frozen=True)
class Boolean(Node):
    @cached_property
    def strategy(self) -> SearchStrategy[Json]:
        return st.booleans()

    @cached_property
    def sample(self) -> Json:
        return False

    def mutants(self) -> Iterator[Mutant]:
        yield from super().mutants()
        yield "wrong type", "true"


@dataclass(frozen=True)
class AnyValue(Node):
    @cached_property
    def strategy(self) -> SearchStrategy[Json]:
        return _json

    @cached_property
    def sample(self) -> Json:
        return "x"

    def mutants(self) -> Iterator[Mutant]:
        yield from super().mutants()
        yield "not finite", [float("nan")]


@dataclass(frozen=True)
class Array(Node):
    item: Node
    min_items: int | None = None
    max_items: int | None = None

    @cached_property
    def strategy(self) -> SearchStrategy[Json]:
        low = self.min_items or 0
        high = low + 2 if self.max_items is None else min(low + 2, self.max_items)
        return st.lists(self.item.strategy, min_size=low, max_size=high)

    @cached_property
    def sample(self) -> Json:
        return [self.item.sample] * (self.min_items or 0)

    def mutants(self) -> Iterator[Mutant]:
        yield from super().mutants()
        yield "at the limit" if not self.min_items else "too few", []
        if self.max_items is not None:
            yield "at the limit", [self.item.sample] * self.max_items
            yield "too many", [self.item.sample] * (self.max_items + 1)

    def around(self, value: Json) -> Json:
        """A list as short as can be that begins with ``value``."""
        return [value, *self.sample[1:]]

    def written(self, value: Json) -> Json:
        return [self.item.written(each) for each in value]


@dataclass(frozen=True)
class Object(Node):
    members: Mapping[str, Node]
    required: tuple[str, ...] = ()
    open: bool = False

    @cached_property
    def strategy(self) -> SearchStrategy[Json]:
        drawn = {name: node.strategy for name, node in self.members.items()}
        fixed = st.fixed_dictionaries(
            {name: drawn.pop(name) for name in self.required},
            optional=drawn,
        )
        if not self.open:
            return fixed
        extras = st.dictionaries(st.text(_letters, max_size=6), _json, max_size=2)
        return st.tuples(extras, fixed).map(lambda both: both[0] | both[1])

    @cached_property
    def sample(self) -> Json:
        return {name: self.members[name].sample for name in self.required}

    def mutants(self) -> Iterator[Mutant]:
        yield from super().mutants()
        yield "extra", self.sample | {"unheardOf": 1}
        yield "extra", self.sample | {"": None}
        for name in self.required:
            yield "missing", {key: value for key, value in self.sample.items() if key != name}

    def around(self, name: str, value: Json) -> Json:
        """An object as small as can be in which ``name`` is ``value``."""
        return self.sample | {name: value}

    def written(self, value: Json) -> Json:
        """The members in the schema's order, then what an open object holds besides."""
        named = {
            name: node.written(value[name])
            for name, node in self.members.items()
            if name in value and value[name] is not None
        }
        return named | {name: extra for name, extra in value.items() if name not in self.members}


def mutations(root: Object) -> Iterator[tuple[str, str, Json]]:
    """Every mutation of every member of every object in ``root``: its kind, its place, the message with it.

    A datatype is taken apart once, at the first place it is found; around the mutated value the message is
    as small as can be.
    """
    seen: set[int] = set()

    def walk(node: Node, place: str, put: Callable[[Json], Json]) -> Iterator[tuple[str, str, Json]]:
        for kind, value in node.mutants():
            yield kind, place, put(value)
        while isinstance(node, Array):
            put = partial(_inside, put, node.around)
            node, place = node.item, f"{place}[]"
            for kind, value in node.mutants():
                yield kind, place, put(value)
        if isinstance(node, Object) and id(node) not in seen:
            seen.add(id(node))
            for name, member in node.members.items():
                yield from walk(member, f"{place}.{name}", partial(_inside, put, partial(node.around, name)))

    return walk(root, "", lambda value: value)


def _inside(outer: Callable[[Json], Json], around: Callable[[Json], Json], value: Json) -> Json:
    return outer(around(value))
