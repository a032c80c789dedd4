"""The calls of ours: one in flight, the others waiting in a bounded queue."""

from bisect import insort
from dataclasses import dataclass
from operator import attrgetter

from ocpp_core.messages import Request

from .actions import NoticeKind
from .ranks import CallRank

_REMEMBERED = 4
"""Ended calls whose ids are kept, to tell a late or duplicate answer from an unknown one."""


@dataclass(slots=True)
class OutgoingCall:
    """A call of ours, from ``call()`` to its end."""

    call_id: str
    request: Request
    text: str
    """The frame."""
    timeout: float
    """Seconds from its sending."""
    rank: CallRank
    deadline: float = 0.0
    """When it times out; without meaning until it is sent."""
    cancelled: bool = False
    """Given up by the caller while in flight: failed already, yet it holds the slot."""


class OutgoingCalls:
    """Slot and queue. Waiting calls are ordered by rank, then by arrival."""

    __slots__ = ("_ended", "_limit", "_waiting", "in_flight")

    def __init__(self, limit: int) -> None:
        self.in_flight: OutgoingCall | None = None
        self._waiting: list[OutgoingCall] = []
        self._limit = limit
        self._ended: dict[str, NoticeKind] = {}

    @property
    def idle(self) -> bool:
        """Nothing in flight, nothing waiting."""
        return self.in_flight is None and not self._waiting

    @property
    def full(self) -> bool:
        """Whether there is no room for a further call."""
        return self.in_flight is not None and len(self._waiting) >= self._limit

    def find(self, call_id: str) -> OutgoingCall | None:
        """The call with this id that is in flight or waiting."""
        if self.in_flight is not None and self.in_flight.call_id == call_id:
            return self.in_flight
        return next((call for call in self._waiting if call.call_id == call_id), None)

    def awaited_action(self, call_id: str) -> str | None:
        """The action of the call in flight, if it has this id."""
        call = self.in_flight
        return call.request.ACTION if call is not None and call.call_id == call_id else None

    def add(self, call: OutgoingCall) -> None:
        """Let a call wait for the slot, behind those of its own rank; the caller checked :attr:`full`."""
        insort(self._waiting, call, key=attrgetter("rank"))

    def launch(self, now: float) -> OutgoingCall | None:
        """Give the slot, if it is free, to the next call: the caller sends it."""
        if self.in_flight is not None or not self._waiting:
            return None
        call = self.in_flight = self._waiting.pop(0)
        call.deadline = now + call.timeout
        return call

    def end(self, late_answer: NoticeKind) -> None:
        """Free the slot. ``late_answer``: what a further answer to this call would be."""
        if self.in_flight is not None:
            self._ended.pop(self.in_flight.call_id, None)
            self._ended[self.in_flight.call_id] = late_answer
            if len(self._ended) > _REMEMBERED:
                del self._ended[next(iter(self._ended))]
            self.in_flight = None

    def withdraw(self, call: OutgoingCall) -> None:
        """Cancel a call; one in flight keeps the slot."""
        if call is self.in_flight:
            call.cancelled = True
        else:
            self._waiting.remove(call)

    def clear(self) -> list[OutgoingCall]:
        """End everything; the calls that had not failed yet, in their order."""
        calls = self._waiting
        if self.in_flight is not None and not self.in_flight.cancelled:
            calls = [self.in_flight, *calls]
        self.end(NoticeKind.LATE_RESPONSE)
        self._waiting = []
        return calls

    def kind_of_unmatched(self, call_id: str) -> NoticeKind:
        """What an answer is that no call in flight awaits."""
        return self._ended.get(call_id, NoticeKind.UNKNOWN_ID)
