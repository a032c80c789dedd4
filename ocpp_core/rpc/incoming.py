"""The peer's calls that we owe an answer, and the record from which repeated calls are answered."""

from dataclasses import dataclass
from enum import Enum, auto

from .answers import AnswerCache


class Reception(Enum):
    """What a CALL of the peer is to us."""

    NEW = auto()
    """To be handled."""
    OVERLAPPING = auto()
    """To be handled, although earlier ones over this link are unanswered."""
    BEING_HANDLED = auto()
    """The exact repetition of a call that is being handled: one answer serves both."""
    ID_IN_USE = auto()
    """Another call with the id of one that is being handled."""
    TOO_MANY = auto()
    """Beyond the limit of unanswered calls."""


@dataclass(slots=True)
class IncomingCall:
    """A CALL of the peer that awaits its answer."""

    action: str
    text: str
    """The frame."""
    linked: bool = True
    """Whether the link it came over still stands; if not, its answer is recorded only."""


class IncomingCalls:
    """Unanswered calls by message id, and the answers on record.

    Arguments:
        limit: calls that may be unanswered at a time.
        answers: the record.
        recorded: the actions whose answers go on record.
    """

    __slots__ = ("_limit", "_recorded", "answers", "unanswered")

    def __init__(self, limit: int, answers: AnswerCache, recorded: frozenset[str]) -> None:
        self._limit = limit
        self._recorded = recorded
        self.answers = answers
        self.unanswered: dict[str, IncomingCall] = {}

    def receive(self, call_id: str, action: str, text: str) -> Reception:
        """Take in a valid CALL whose answer is not on record.

        It is unanswered from now on if it is NEW or OVERLAPPING.
        """
        handled = self.unanswered.get(call_id)
        if handled is not None:
            if handled.text != text:
                return Reception.ID_IN_USE
            handled.linked = True
            return Reception.BEING_HANDLED
        if len(self.unanswered) >= self._limit and not self._forget_orphan():
            return Reception.TOO_MANY
        earlier = self.unanswered.values()
        overlapping = len(earlier) > 0 and any(call.linked for call in earlier)
        self.unanswered[call_id] = IncomingCall(action, text)
        return Reception.OVERLAPPING if overlapping else Reception.NEW

    def answer(self, call_id: str, result: str | None) -> bool:
        """A call is answered with the frame ``result``, or with an error (None).

        Returns:
            whether there is a link to send the answer over.
        """
        call = self.unanswered.pop(call_id)
        if call.action in self._recorded:
            self.answers.record(call_id, call.text, result)
        return call.linked

    def unlink(self) -> None:
        """The link is gone; what is unanswered may still be answered for the record."""
        for call in self.unanswered.values():
            call.linked = False

    def _forget_orphan(self) -> bool:
        """Drop the oldest call of a lost link, if there is one."""
        orphan = next((call_id for call_id, call in self.unanswered.items() if not call.linked), None)
        if orphan is None:
            return False
        del self.unanswered[orphan]
        return True
