"""What the station's own software answers and asks beyond the blocks: vendors' messages, certificates …"""

from collections import deque
from collections.abc import Iterator

from ...entropy import message_id
from ...errors import LocalProtocolError
from ...messages import Request
from ...rpc import CallFailed, CallReceived, CallSucceeded, FailureReason
from ...rpc.sendable import check_payload, check_request
from ...versions import OcppVersion, Role
from ..actions import RequestReceived
from ..context import Context, Deadline, Intent, Work

_ANSWER = (Deadline.ANSWER, 0)

TOLD_BY_THE_STATION = frozenset(
    {
        *("BootNotification", "Heartbeat", "StatusNotification", "SecurityEventNotification"),
        *("StartTransaction", "StopTransaction", "TransactionEvent"),
    }
)
"""What the station alone knows to tell, in its order."""


class Software:
    """Calls of the CSMS that wait for the software's answer, and the software's own that wait for their turn.

    Both belong to the link: a CSMS that asks again does so over the next one, and whoever called decides
    whether it still makes sense then.
    """

    __slots__ = ("_calls", "_context", "_questions")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._questions: dict[str, float] = {}
        """Calls of the CSMS and by when they have to be answered, oldest first; the session bounds them."""
        self._calls: deque[Intent] = deque()

    # What the CSMS asks.

    def answers(self, action: str) -> bool:
        """Whether the software answers this action."""
        return action in self._context.config.requests

    def ask(self, call: CallReceived, now: float) -> None:
        """Give the software a call of the CSMS."""
        self._questions[call.call_id] = now + self._context.config.question_timeout
        self._context.out.do(RequestReceived(call.call_id, call.request))
        self._arm()

    def asked(self, call_id: str) -> bool:
        """Whether this call still waits for its answer."""
        return call_id in self._questions

    def answered(self, call_id: str) -> None:
        """It no longer does."""
        del self._questions[call_id]
        self._arm()

    def overdue(self, now: float) -> list[str]:
        """Calls that should have been answered by now."""
        return [call_id for call_id, by in self._questions.items() if by <= now]

    # What it asks the CSMS.

    def call(self, request: Request, version: OcppVersion, timeout: float | None) -> str:
        """Have a call made when its turn comes; returns its id. Raises :class:`LocalProtocolError`."""
        check_request(request, version, Role.STATION, confirmed=True)
        check_payload(request)
        if request.ACTION in TOLD_BY_THE_STATION:
            raise LocalProtocolError(f"{request.ACTION} is for the station itself to send")
        if timeout is not None and not timeout > 0:
            raise LocalProtocolError("the time-out must be positive")
        if len(self._calls) >= self._context.config.calls_limit:
            raise LocalProtocolError(f"{len(self._calls)} calls wait already")
        call_id = message_id(self._context.entropy)
        self._calls.append(Intent(Work.SOFTWARE, request, call_id=call_id, timeout=timeout))
        return call_id

    def next_call(self) -> Intent | None:
        """The call whose turn it is."""
        return self._calls.popleft() if self._calls else None

    def ended(self, outcome: CallSucceeded | CallFailed) -> None:
        """A call of the software has ended."""
        self._context.out.do(outcome)

    def link_lost(self) -> None:
        """Nobody waits for answers any more; what was not sent will not be."""
        self._questions.clear()
        self._arm()
        for failed in self._unsent():
            self.ended(failed)

    def _unsent(self) -> Iterator[CallFailed]:
        while (intent := self.next_call()) is not None:
            assert intent.call_id is not None
            reason, why = FailureReason.DISCONNECTED, "the link was lost"
            yield CallFailed(intent.call_id, intent.request.ACTION, intent.request, reason, "", why, {})

    def _arm(self) -> None:
        first = next(iter(self._questions.values()), None)
        if first is None:
            self._context.timers.cancel(_ANSWER)
        else:
            self._context.timers.set(_ANSWER, first)
