"""Commands as a table: which verbs there are, and which members each takes.

A line is checked against the table and nothing else, so that what is refused, what the refusal says and
what the documentation lists cannot differ.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from .kinds import TEXT, Kind, whole

MAX_LINE = 1_000_000
"""Bytes of a command."""

_ID = (TEXT, whole(-(2**53), 2**53))
Id = str | int


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a command; ``here`` is False while nothing stands behind it."""

    name: str
    kind: Kind
    required: bool = False
    here: bool = True


@dataclass(frozen=True, slots=True)
class Verb:
    """What can be asked for; ``here`` is False while nothing stands behind it."""

    name: str
    members: tuple[Member, ...] = ()
    here: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """A command that fits the table."""

    verb: str
    arguments: Mapping[str, Any]
    id: Id | None = None


class CommandError(Exception):
    """A command was refused; the text says what is wrong and what is allowed.

    ``id`` is the command's id, None where none could be read.
    """

    def __init__(self, text: str, id_: Id | None = None) -> None:
        super().__init__(text)
        self.id = id_


def parse(line: bytes | None, verbs: Sequence[Verb]) -> Call:
    """Read one command; None stands for a line that was too long to read.

    Raises :class:`CommandError` for whatever does not fit the table.
    """
    if line is None:
        raise CommandError(f"the line is longer than {MAX_LINE} bytes")
    fields = _read(line)
    id_ = _read_id(fields)
    arguments = {name: fields[name] for name in fields if name not in ("do", "id")}
    try:
        verb = _find(fields, verbs)
        check(verb, arguments)
    except CommandError as error:
        raise CommandError(str(error), id_) from None
    return Call(verb.name, arguments, id_)


def _read(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"not JSON ({error}); a command is one JSON object on one line") from None
    if not isinstance(fields, dict):
        raise CommandError('a command is a JSON object, as {"do": "state"}')
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _read_id(fields: Mapping[str, Any]) -> Id | None:
    if "id" not in fields:
        return None
    id_ = fields["id"]
    if not any(kind.accepts(id_) for kind in _ID):
        raise CommandError("id must be text or a whole number")
    return id_  # type: ignore[no-any-return]  # one of the two kinds, as just checked


def _find(fields: Mapping[str, Any], verbs: Sequence[Verb]) -> Verb:
    name = fields.get("do")
    for verb in verbs:
        if verb.name == name:
            if not verb.here:
                raise CommandError(f"{name} is not there yet; allowed: {_here(verbs)}")
            return verb
    wrong = "do is missing" if name is None else f"there is no verb {json.dumps(name)[:100]}"
    raise CommandError(f"{wrong}; allowed: {_here(verbs)}")


def _here(verbs: Sequence[Verb]) -> str:
    return ", ".join(verb.name for verb in verbs if verb.here)


def check(verb: Verb, arguments: Mapping[str, Any]) -> None:
    """Raises :class:`CommandError` unless these are members of the verb, and all that it must have."""
    members = {member.name: member for member in verb.members}
    for name, value in arguments.items():
        if name not in members:
            raise CommandError(f"{verb.name} has no member {name[:100]}; {_allowed(verb)}")
        if not members[name].here:
            raise CommandError(f"{name} is not there yet; {_allowed(verb)}")
        if not members[name].kind.accepts(value):
            raise CommandError(f"{name} must be {members[name].kind.says}; {_allowed(verb)}")
    for member in verb.members:
        if member.required and member.name not in arguments:
            raise CommandError(f"{member.name} is missing; {_allowed(verb)}")


def _allowed(verb: Verb) -> str:
    listed = ", ".join(
        f"{member.name}{'' if member.required else '?'} ({member.kind.says})"
        for member in verb.members
        if member.here
    )
    return f"{verb.name} takes {listed or 'no members'}"
