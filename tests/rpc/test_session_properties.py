"""Any interleaving of calls, answers, time-outs, lost links and garbage, against an independent account."""

from collections import deque
from json import dumps

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, precondition, rule

from ocpp_core.errors import LocalProtocolError
from ocpp_core.messages import Tolerance
from ocpp_core.rpc import CallRank, ErrorCode
from tests.rpc.rpc_ledger import Ledger
from tests.rpc.rpc_samples import (
    CSMS,
    PACKAGES,
    STATION,
    V16,
    V21,
    VERSIONS,
    data_transfer_response,
    session,
    stream21,
)

TIMEOUT = 10.0
RANKS = st.none() | st.sampled_from(CallRank)


class TwoSessions(RuleBasedStateMachine):
    """A station and a CSMS over a link that delays, duplicates, corrupts and breaks."""

    @initialize(version=st.sampled_from(VERSIONS), queue_limit=st.integers(0, 3))
    def connect(self, version, queue_limit):
        self.now = 0.0
        self.version = version
        self.made = 0
        options = {"message_timeout": TIMEOUT, "queue_limit": queue_limit, "unanswered_limit": 2}
        self.sides = [
            Ledger(session(version, role, seed=role, **options), queue_limit) for role in (STATION, CSMS)
        ]
        self.links = (deque(), deque())  # frames on the way to the station, to the CSMS

    def collect(self):
        for side, link in zip(self.sides, reversed(self.links), strict=True):
            link.extend(side.drain(self.now))

    @rule(side=st.integers(0, 1), rank=RANKS)
    def call(self, side, rank):
        one = self.sides[side]
        self.made += 1
        request = PACKAGES[self.version].DataTransferRequest(vendor_id=f"call {self.made}")
        try:
            call_id = one.session.call(request, self.now, rank=rank)
        except LocalProtocolError:
            assert len(one.pending) + (one.in_flight not in {None, *one.pending}) > one.queue_limit
        else:
            one.called(call_id, request)
        self.collect()

    @precondition(lambda self: self.version is V21)
    @rule()
    def send(self):
        self.sides[0].session.send(stream21(), self.now)
        self.collect()

    @rule(side=st.integers(0, 1), pick=st.integers(0, 9))
    def cancel(self, side, pick):
        one = self.sides[side]
        if one.pending:
            one.session.cancel(sorted(one.pending)[pick % len(one.pending)], self.now)
        self.collect()

    @rule(side=st.integers(0, 1), twice=st.booleans())
    def deliver(self, side, twice):
        link, one = self.links[side], self.sides[side]
        if link:
            text = link.popleft()
            for _ in range(1 + twice):
                one.receive(text, self.now)
                self.collect()

    @rule(side=st.integers(0, 1), cut=st.integers(1, 30))
    def corrupt(self, side, cut):
        link = self.links[side]
        if link:
            text = link.popleft()
            self.sides[side].receive(text[: -min(cut, len(text) - 45)], self.now)
        self.collect()

    @rule(side=st.integers(0, 1), fail=st.booleans(), pick=st.integers(0, 9))
    def answer(self, side, fail, pick):
        one = self.sides[side]
        unanswered = one.session.unanswered
        if not unanswered:
            return
        call_id = unanswered[pick % len(unanswered)]
        if fail:
            one.session.respond_error(call_id, ErrorCode.INTERNAL_ERROR, "no", None, self.now)
        else:
            echo = data_transfer_response(self.version, one.owed[call_id].request.vendor_id)
            one.session.respond(call_id, echo, self.now)
        self.collect()

    @rule(seconds=st.floats(0, 2 * TIMEOUT))
    def wait(self, seconds):
        self.now += seconds
        for side in self.sides:
            side.handle_timer(self.now)
        self.collect()

    @rule()
    def break_link(self):
        for side, link in zip(self.sides, self.links, strict=True):
            link.clear()
            side.lose_link(self.now)
        self.collect()
        assert not any(side.pending for side in self.sides)

    def teardown(self):
        if not hasattr(self, "sides"):
            return
        for side in self.sides:
            while (deadline := side.session.next_timer()) is not None:
                self.now = deadline
                side.handle_timer(deadline)
                side.drain(deadline)
            assert side.session.idle
            assert not side.pending
            assert len(side.ended) == len(set(side.ended))


class Adversary(RuleBasedStateMachine):
    """One session against a peer that knows its message ids and stops at nothing."""

    ids = Bundle("ids")

    @initialize(
        version=st.sampled_from(VERSIONS), role=st.sampled_from([STATION, CSMS]), tolerant=st.booleans()
    )
    def connect(self, version, role, tolerant):
        self.now = 0.0
        self.version = version
        options = {"tolerance": Tolerance()} if tolerant else {}
        self.one = Ledger(
            session(version, role, message_timeout=TIMEOUT, queue_limit=2, max_frame_size=5000, **options), 2
        )

    @initialize(target=ids)
    def some_ids(self):
        return multiple("a", "", "-1", 'quo"te', "x" * 36, "x" * 37, 5, None)

    @rule(target=ids, timeout=st.floats(0.1, 2 * TIMEOUT), rank=RANKS)
    def call(self, timeout, rank):
        request = PACKAGES[self.version].DataTransferRequest(vendor_id="v")
        try:
            call_id = self.one.session.call(request, self.now, timeout=timeout, rank=rank)
        except LocalProtocolError:
            return multiple()
        self.one.called(call_id, request)
        self.one.drain(self.now)
        return call_id

    @rule(
        kind=st.sampled_from([2, 3, 4, 5, 6, 7, 2.0, "2", None]),
        call_id=ids,
        rest=st.lists(
            st.sampled_from(
                [
                    "DataTransfer",
                    "Heartbeat",
                    {},
                    {"vendorId": "v"},
                    {"status": "Accepted"},
                    None,
                    [],
                    1e300,
                    "x",
                ]
            ),
            max_size=4,
        ),
        cut=st.sampled_from([0, 0, 0, 1, 5]),
        padding=st.sampled_from([0, 0, 0, 6000]),
        spaced=st.booleans(),
    )
    def attack(self, kind, call_id, rest, cut, padding, spaced):
        text = dumps([kind, call_id, *rest], separators=(" , ", ":") if spaced else (",", ":"))
        text = text[: len(text) - cut] + " " * padding
        before = set(self.one.pending)
        in_flight = self.one.in_flight
        self.one.receive(text, self.now)
        self.one.drain(self.now)
        assert before - set(self.one.pending) <= {in_flight}, "only the call in flight can end"

    @rule(text=st.text())
    def garbage(self, text):
        self.one.receive(text, self.now)
        self.one.drain(self.now)

    @rule(fail=st.booleans(), pick=st.integers(0, 9))
    def answer(self, fail, pick):
        unanswered = self.one.session.unanswered
        if not unanswered:
            return
        call_id = unanswered[pick % len(unanswered)]
        response = getattr(PACKAGES[self.version], f"{self.one.owed[call_id].action}Response")
        if fail or response.__name__ != "DataTransferResponse":
            self.one.session.respond_error(call_id, ErrorCode.NOT_SUPPORTED, "no", None, self.now)
        else:
            self.one.session.respond(call_id, data_transfer_response(self.version), self.now)
        self.one.drain(self.now)

    @rule(seconds=st.floats(0, 2 * TIMEOUT))
    def wait(self, seconds):
        self.now += seconds
        self.one.handle_timer(self.now)
        self.one.drain(self.now)

    @rule()
    def break_link(self):
        self.one.lose_link(self.now)
        self.one.drain(self.now)
        assert not self.one.pending

    def teardown(self):
        if hasattr(self, "one"):
            self.break_link()
            assert self.one.session.idle
            assert len(self.one.ended) == len(set(self.one.ended))


TestTwoSessions = pytest.mark.requirement("1.6-J-4.1.1", "2.0.1-J-4.1.1", "2.1-J-4.1.1")(TwoSessions.TestCase)
TestAdversary = pytest.mark.requirement("1.6-J-4.1.1", "2.0.1-J-4.1.1", "2.1-J-4.1.1")(Adversary.TestCase)
TestTwoSessions.settings = TestAdversary.settings = settings(settings.default, stateful_step_count=40)


def test_the_account_notices_a_second_call_in_flight():
    """The ledger itself: a session that broke the rule would be caught."""
    one = Ledger(session(V16, STATION), 5)
    request = PACKAGES[V16].DataTransferRequest(vendor_id="v")
    for call_id in ("a", "b"):
        one.called(call_id, request)
        one.session.call(request, 0.0, call_id=call_id)
    one.drain(0.0)
    one.session.receive_frame('[4,"a","GenericError","",{}]', 1.0)  # behind the ledger's back
    with pytest.raises(AssertionError, match="two calls in flight"):
        one.drain(1.0)
