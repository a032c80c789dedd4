"""An independent account of what a session may do, kept from its inputs and actions alone."""

import re
from json import dumps, loads

from ocpp_core.messages import Request
from ocpp_core.rpc import (
    CallFailed,
    CallReceived,
    CallSucceeded,
    FailureReason,
    NoticeKind,
    ResponseRefused,
    RpcNotice,
    RpcSession,
    SendFrame,
    SendReceived,
)

LENGTHS = {2: 4, 3: 3, 4: 5, 5: 5, 6: 4}
ANSWER = re.compile(r'\s*\[\s*[34]\s*,\s*("[^"]*")')


class Ledger:
    """Wraps a session: feeds it, hands on its frames, and checks its actions against the rules of OCPP-J."""

    def __init__(self, session: RpcSession, queue_limit: int) -> None:
        self.session = session
        self.queue_limit = queue_limit
        self.pending: dict[str, Request] = {}
        self.ended: list[str] = []
        self.owed: dict[str, CallReceived] = {}
        self.in_flight: str | None = None
        self.deadlines: dict[str, float] = {}
        self.notices: set[NoticeKind] = set()

    def called(self, call_id: str, request: Request) -> None:
        assert call_id not in self.pending
        self.pending[call_id] = request

    def receive(self, text: str, now: float) -> None:
        self.session.receive_frame(text, now)
        answer = ANSWER.match(text)
        if answer and answer[1] == dumps(self.in_flight):
            self.in_flight = None

    def handle_timer(self, now: float) -> None:
        self.session.handle_timer(now)
        if self.in_flight is not None and now >= self.deadlines[self.in_flight]:
            self.in_flight = None

    def lose_link(self, now: float) -> None:
        self.session.link_lost(now)
        self.in_flight = None

    def drain(self, now: float) -> list[str]:
        """The texts to send."""
        texts = []
        for action in self.session.actions():
            match action:
                case SendFrame(text):
                    self._sent(text)
                    texts.append(text)
                case CallSucceeded(call_id, name, request, response):
                    assert name == request.ACTION == response.ACTION
                    assert response.data in (None, request.vendor_id), "the answer to another call"
                    self._ended(call_id, request)
                case CallFailed(call_id, name, request, reason):
                    assert name == request.ACTION
                    assert reason is not FailureReason.TIMEOUT or now >= self.deadlines[call_id]
                    self._ended(call_id, request)
                case CallReceived():
                    assert action.action == action.request.ACTION
                    self.owed[action.call_id] = action
                case RpcNotice():
                    assert len(action.detail) <= 255
                    self.notices.add(action.kind)
                case other:
                    assert isinstance(other, SendReceived | ResponseRefused)
        self._check()
        return texts

    def _check(self) -> None:
        assert len(self.pending) <= self.queue_limit + 1
        assert set(self.session.unanswered) <= set(self.owed)
        assert (self.session.next_timer() is None) is (self.in_flight is None)
        if self.session.idle:
            assert not self.pending

    def _sent(self, text: str) -> None:
        frame = loads(text)
        assert len(frame) == LENGTHS[frame[0]]
        if frame[0] == 2:
            assert self.in_flight is None, "two calls in flight"
            assert frame[1] in self.pending
            self.in_flight = frame[1]
            self.deadlines[frame[1]] = self.session.next_timer()
        if frame[0] in (4, 5):
            assert len(frame[3]) <= 255

    def _ended(self, call_id: str, request: Request) -> None:
        assert self.pending.pop(call_id) is request
        self.ended.append(call_id)
