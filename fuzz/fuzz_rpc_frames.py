"""Fuzz a session of one version: ``python fuzz/fuzz_rpc_frames.py 2.0.1 fuzz/corpus/rpc_frames_2.0.1``.

The first byte chooses role and tolerance. Each line after it is a frame of the peer, except one of a single
control character: 1 lets the call in flight time out, 2 breaks the link, 3 answers the oldest call owed.
Calls of ours have the ids ``c0``, ``c1``, …: the peer can know them.
"""

import json
import sys

import atheris

with atheris.instrument_imports(include=["ocpp_core"]):
    from ocpp_core.entropy import SeededEntropy
    from ocpp_core.messages import STRICT, Request, Tolerance, message_set
    from ocpp_core.rpc import (
        Call,
        CallFailed,
        CallReceived,
        CallResult,
        CallSucceeded,
        Codec,
        ErrorCode,
        Malformed,
        ResponseRefused,
        RpcConfig,
        RpcNotice,
        RpcSession,
        Send,
        SendFrame,
        SendReceived,
        UnmatchedResult,
    )
    from ocpp_core.versions import OcppVersion, Role

from _harness import run

VERSION = OcppVersion(f"ocpp{sys.argv.pop(1)}")
CODES = {code.spelling(VERSION) for code in ErrorCode}
LENGTHS = {2: 4, 3: 3, 4: 5, 5: 5, 6: 4}
LIMIT = 4096


class Peer:
    """What the peer and the owner of a session see, and the rules it must keep."""

    def __init__(self, role: Role, tolerance: Tolerance) -> None:
        config = RpcConfig(tolerance=tolerance, max_frame_size=LIMIT, queue_limit=1)
        self.session = RpcSession(VERSION, role, SeededEntropy(0), config)
        self.request: Request = message_set(VERSION).request("DataTransfer")(vendor_id="v")
        self.now = 0.0
        self.made = 0
        self.pending: set[str] = set()
        self.keep_calling()

    def keep_calling(self) -> None:
        while len(self.pending) < 2:
            call_id = self.session.call(self.request, self.now, call_id=f"c{self.made}")
            self.made += 1
            self.pending.add(call_id)
        self.drain()

    def take(self, line: str) -> None:
        if line == "\x01":
            self.now = self.session.next_timer() or self.now
            self.session.handle_timer(self.now)
        elif line == "\x02":
            self.session.link_lost(self.now)
        elif line == "\x03" and self.session.unanswered:
            owed = self.session.unanswered[0]
            self.session.respond_error(owed, ErrorCode.NOT_SUPPORTED, line, None, self.now)
        else:
            before = set(self.pending)
            self.session.receive_frame(line, self.now)
            assert len(self.drain()) <= 2
            assert len(before - self.pending) <= 1
        self.drain()
        self.keep_calling()

    def drain(self) -> list[str]:
        sent = []
        for action in self.session.actions():
            match action:
                case SendFrame(text):
                    check_sent(json.loads(text))
                    sent.append(text)
                case CallSucceeded() | CallFailed():
                    assert action.request is self.request
                    self.pending.remove(action.call_id)
                case CallReceived(call_id, name, request):
                    assert call_id in self.session.unanswered
                    assert name == request.ACTION
                    assert len(call_id) <= 36
                case RpcNotice(_, detail):
                    assert len(detail) <= 255
                case SendReceived() | ResponseRefused():
                    assert VERSION is OcppVersion.V21
        assert len(self.session.unanswered) <= 4
        assert len(self.session.answers) <= 4
        return sent


def check_sent(frame: list[object]) -> None:
    assert len(frame) == LENGTHS[frame[0]]
    if frame[0] in (4, 5):
        assert frame[2] in CODES
        assert len(frame[3]) <= 255
        assert frame[4] == {}


def check_paths(text: str, tolerance: Tolerance) -> None:
    """Short path, long path and Python's own parser agree on what the text is."""
    codec = Codec(VERSION)
    action_of = {"c0": "DataTransfer", "c1": "DataTransfer"}.get
    short, long = codec.decode(text, action_of, tolerance), codec.decode(f"{text} ", action_of, tolerance)
    if isinstance(short, Malformed):
        assert isinstance(long, Malformed)
        assert (short.message_type, short.call_id, short.code) == (long.message_type, long.call_id, long.code)
        assert len(short.description) <= 255
        return
    assert repr(short) == repr(long)
    if not isinstance(short, UnmatchedResult):
        value = json.loads(text, parse_constant=refuse)
        assert value[1] == short.call_id
        kind = {Call: 2, CallResult: 3, Send: 6}.get(type(short))
        assert kind is None or (value[0], len(value)) == (kind, LENGTHS[kind])


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def one_input(data: bytes) -> None:
    if not data:
        return
    role = Role.CSMS if data[0] & 1 else Role.STATION
    tolerance = Tolerance() if data[0] & 2 else STRICT
    peer = Peer(role, tolerance)
    for line in data[1:].split(b"\n")[:20]:
        text = line.decode("utf-8", "surrogateescape")
        peer.take(text)
        if len(text) <= LIMIT:
            check_paths(text, tolerance)
    peer.take("\x02")


if __name__ == "__main__":
    run(one_input)
