"""The control contract: one JSON object per line in, one per line out."""

from .commands import STATION_COMMANDS
from .grammar import Call, CommandError, Member, Verb, parse
from .kinds import Kind
from .lines import LineReader, LineWriter

__all__ = [
    "STATION_COMMANDS",
    "Call",
    "CommandError",
    "Kind",
    "LineReader",
    "LineWriter",
    "Member",
    "Verb",
    "parse",
]
