"""Waiting for the outcome of calls, on any loop."""

from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

from ocpp_core import LocalProtocolError

Outcome = TypeVar("Outcome")


class Event(Protocol):
    """What :class:`asyncio.Event` and :class:`anyio.Event` have in common."""

    def set(self) -> None:
        """Wake whoever waits."""
        ...

    async def wait(self) -> object:
        """Wait until it is set."""
        ...


class Concurrency(Protocol):
    """The two things that are needed of a loop."""

    def event(self) -> Event:
        """A new event."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        """Run a coroutine, which raises nothing, beside everything else."""
        ...


class Outcomes(Generic[Outcome]):
    """Who waits for which call."""

    __slots__ = ("_concurrency", "_waiting")

    def __init__(self, concurrency: Concurrency) -> None:
        self._concurrency = concurrency
        self._waiting: dict[str, _Waiting[Outcome]] = {}

    def expect(self, call_id: str) -> None:
        """A call is made: from now on its outcome is kept for :meth:`wait`."""
        self._waiting[call_id] = _Waiting(self._concurrency.event())

    def settle(self, call_id: str, outcome: Outcome) -> None:
        """A call has ended; somebody may wait for it."""
        waiting = self._waiting.get(call_id)
        if waiting is not None:
            waiting.outcome = outcome
            waiting.event.set()

    async def wait(self, call_id: str, given_up: Callable[[], None]) -> Outcome:
        """Wait for an expected call. If the waiting ends before it, ``given_up`` is called.

        Raises LocalProtocolError after :meth:`abandon`.
        """
        waiting = self._waiting[call_id]
        try:
            await waiting.event.wait()
        finally:
            del self._waiting[call_id]
            if waiting.outcome is None:
                given_up()
        if waiting.outcome is None:
            raise LocalProtocolError("nothing is carried out any more")
        return waiting.outcome

    def abandon(self) -> None:
        """No call will end any more: whoever waits gets a LocalProtocolError."""
        for waiting in self._waiting.values():
            waiting.event.set()


class _Waiting(Generic[Outcome]):
    __slots__ = ("event", "outcome")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.outcome: Outcome | None = None
