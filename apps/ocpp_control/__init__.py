"""How the programs are driven: commands as JSON lines on standard input, answers and events on the output.

A table says which commands there are (:class:`Verb`, :class:`Member`); :func:`parse` holds a line against it.
"""

from .failures import complain, needing
from .grammar import MAX_LINE, Call, CommandError, Id, Member, Verb, check, parse
from .kinds import Kind
from .lines import LineReader, LineWriter

__all__ = [
    "MAX_LINE",
    "Call",
    "CommandError",
    "Id",
    "Kind",
    "LineReader",
    "LineWriter",
    "Member",
    "Verb",
    "check",
    "complain",
    "needing",
    "parse",
]
