"""What a hostile peer may send: defined results, bounded memory, no exception."""

import tracemalloc
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.messages import Tolerance
from ocpp_core.rpc import Call, Codec, ErrorCode, Malformed
from tests.rpc.rpc_samples import CSMS, V16, V201, VERSIONS, frames, session

CALL = '[2,"{id}","DataTransfer",{{"vendorId":"v","data":{data}}}]'
MEGABYTE = 2**20


@contextmanager
def memory_below(limit: int):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("call_id", ["i", "\\u0069"], ids=["short path", "long path"])
class TestNumbersAndNesting:
    @pytest.mark.parametrize("data", ["1", "-0", "1e308", "9" * 30, "-" + "9" * 4300, "[" * 190 + "]" * 190])
    def test_accepted(self, call_id, data):
        assert isinstance(Codec(V201).decode(CALL.format(id=call_id, data=data)), Call)

    @pytest.mark.parametrize(
        "data",
        [
            "NaN",
            "Infinity",
            "-Infinity",
            "1E400",
            "-1E400",
            "[1E400]",
            "9" * 4301,
            "9" * 100_000,
            "01",
            "1.",
            ".5",
            "0x10",
            "[" * 201 + "]" * 201,
            "[" * 100_000,
            '{"a":' * 100_000,
            '"\\ud800"',
            '"\ud800"',
            '"\x00"',
            '"\\x41"',
        ],
        ids=lambda data: data[:12].encode("unicode_escape").decode(),
    )
    def test_refused(self, call_id, data):
        frame = Codec(V201).decode(CALL.format(id=call_id, data=data))
        assert isinstance(frame, Malformed)
        assert (frame.call_id, frame.code) == ("i", ErrorCode.FORMAT_VIOLATION)
        assert len(frame.description) <= 255


@pytest.mark.parametrize("data", ["NaN", "1E400", "-1E400", '"1"', "true", "1.0", "null"])
def test_numbers_of_a_typed_field(data):
    frame = Codec(V16).decode(f'[2,"i","MeterValues",{{"connectorId":{data},"meterValue":[]}}]')
    assert isinstance(frame, Malformed)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":', "[2,", '[2,"a",'])
@pytest.mark.parametrize("version", VERSIONS)
def test_endless_nesting_is_refused(version, opening):
    csms = session(version)
    csms.receive_frame(opening * 100_000, 0.0)
    assert len(csms.actions()) <= 2


@pytest.mark.parametrize(
    "payload",
    [
        "[" + "0," * 1_000_000 + "0]",
        '{"connectorId":1,"meterValue":[' + "0," * 1_000_000 + "0]}",
        '{"connectorId":1,"meterValue":[' + "{}," * 300_000 + "{}]}",
        "{" + ",".join(f'"x{n}":0' for n in range(100_000)) + "}",
    ],
    ids=["array", "wrong elements", "empty elements", "unknown members"],
)
@pytest.mark.parametrize("tolerance", [None, Tolerance()])
def test_a_million_elements_get_one_small_answer(payload, tolerance):
    options = {} if tolerance is None else {"tolerance": tolerance}
    csms = session(V16, CSMS, max_frame_size=10 * MEGABYTE, **options)
    text = f'[2,"i","MeterValues",{payload}]'
    with memory_below(64 * MEGABYTE):
        csms.receive_frame(text, 0.0)
        actions = csms.actions()
    (frame,) = frames(actions)
    assert frame[:2] == [4, "i"]
    assert len(actions) == 2


@pytest.mark.parametrize("start", ["", '[2,"i","Heartbeat",', '[2,"', "[4,", '[3,"i",'])
def test_100_megabytes_cost_nothing(start):
    text = start + "x" * 100_000_000
    csms = session(V201)
    csms.call(data_request(), 0.0, call_id="i")
    csms.actions()
    with memory_below(MEGABYTE // 16):
        csms.receive_frame(text, 0.0)
        actions = csms.actions()
    assert 1 <= len(actions) <= 3


def data_request():
    from ocpp_core.messages import v201

    return v201.DataTransferRequest(vendor_id="v")


def test_a_flood_leaves_nothing_behind():
    csms = session(V201)
    flood = ["garbage", '[3,"{n}",{{}}]', '[4,"{n}"]', '[2,"{n}","Heartbeat",{{}}]', '[2,"{n}","X{n}",{{}}]']

    def run(rounds: int) -> None:
        for n in range(rounds):
            for text in flood:
                csms.receive_frame(text.format(n=n % 100), float(n))
            csms.actions()

    run(500)  # fills pydantic's own bounded cache of short strings
    tracemalloc.start()
    run(2_000)
    growth = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert growth < 20_000
    assert len(csms.unanswered) == 4


@given(
    text=st.text(alphabet=st.characters(codec=None, exclude_categories=()))
    | st.text(alphabet='[]{},:"\\234567 aeHrtb\ud800'),
    version=st.sampled_from(VERSIONS),
    tolerant=st.booleans(),
)
def test_no_text_raises(text, version, tolerant):
    csms = session(version, CSMS, **({"tolerance": Tolerance()} if tolerant else {}))
    for frame in (text, f"[2,{text}", f'[2,"i",{text}', f'[2,"i","Heartbeat",{text}]', f'[3,"i",{text}]'):
        csms.receive_frame(frame, 0.0)
    for answer in frames(csms.actions()):
        assert answer[0] in (3, 4)


def test_an_idle_session_is_small():
    from ocpp_core.rpc import RpcConfig, RpcSession

    config = RpcConfig()
    sessions = [RpcSession(V201, CSMS, bytes, config)]
    sessions[0].receive_frame('[2,"i","Heartbeat",{}]', 0.0)
    tracemalloc.start()
    sessions += [RpcSession(V201, CSMS, bytes, config) for _ in range(1000)]
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used / 1000 < 1500
