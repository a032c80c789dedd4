"""What the station's own software answers and asks: calls of the CSMS that it takes, calls of its own."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.errors import ConfigurationError, LocalProtocolError
from ocpp_core.messages import v16, v21, v201
from ocpp_core.rpc import ErrorCode, FailureReason
from ocpp_core.station import CallFailed, CallSucceeded, CloseLink, NoticeKind, RequestReceived

from .bench import V16, V201, VERSIONS, Bench, config

MESSAGES = dict(zip(VERSIONS, (v16, v201, v21), strict=True))
TRANSFER = {"vendorId": "com.example", "data": "x"}


def with_software(version, *requests, **settings):
    return Bench(version, requests=frozenset(requests), **settings)


def accepted(version):
    status = getattr(MESSAGES[version], "DataTransferStatus" + ("" if version is V16 else "Enum"))
    return MESSAGES[version].DataTransferResponse(status=status.ACCEPTED)


def transfer(version, data="y"):
    return MESSAGES[version].DataTransferRequest(vendor_id="com.example", data=data)


def ask(bench, request=None, now=None):
    call_id = bench.station.call(request or transfer(bench.version), bench.now)
    bench.drain()
    return call_id


def outcomes(bench):
    return [action for action in bench.log if isinstance(action, CallSucceeded | CallFailed)]


# what the CSMS asks


@pytest.mark.requirement("P01.FR.05", "1.6-4.3")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_vendors_message_is_unknown_without_software_that_knows_it(version):
    bench = Bench(version)
    assert bench.ask("DataTransfer", TRANSFER) == {"status": "UnknownVendorId"}
    assert bench.ask("ClearCache", {}) == "NotSupported"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_software_answers_what_it_takes(version):
    bench = with_software(version, "DataTransfer")
    assert bench.ask("DataTransfer", TRANSFER) is None
    (asked,) = bench.done(RequestReceived)
    assert asked.request.vendor_id == "com.example"
    bench.run(10)
    assert bench.station.respond(asked.call_id, accepted(version), bench.now)
    bench.drain()
    assert bench.answers == [[3, asked.call_id, {"status": "Accepted"}]]
    assert not bench.station.respond(asked.call_id, accepted(version), bench.now)
    bench.run(60)
    assert len(bench.answers) == 1
    assert bench.notices(NoticeKind.SOFTWARE_SILENT) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_it_may_refuse(version):
    bench = with_software(version, "DataTransfer")
    bench.ask("DataTransfer", TRANSFER)
    (asked,) = bench.done(RequestReceived)
    assert bench.station.respond_error(asked.call_id, ErrorCode.GENERIC_ERROR, "not today", bench.now)
    bench.drain()
    assert bench.answers == [[4, asked.call_id, "GenericError", "not today", {}]]
    assert not bench.station.respond_error("nobody's", ErrorCode.GENERIC_ERROR, "", bench.now)


def test_it_may_stand_in_for_the_station():
    bench = with_software(V201, "RequestStartTransaction")
    start = {"idToken": {"idToken": "R1", "type": "Central"}, "remoteStartId": 1, "evseId": 1}
    assert bench.ask("RequestStartTransaction", start) is None
    (asked,) = bench.done(RequestReceived)
    assert asked.request.id_token.id_token == "R1"
    assert bench.state()["evses"][0]["driver"] is None


def test_an_answer_to_another_question_is_the_callers_mistake_and_changes_nothing():
    bench = with_software(V201, "DataTransfer")
    bench.ask("DataTransfer", TRANSFER)
    (asked,) = bench.done(RequestReceived)
    with pytest.raises(LocalProtocolError, match="does not answer DataTransfer"):
        bench.station.respond(asked.call_id, accepted(V16), bench.now)
    assert bench.station.respond(asked.call_id, accepted(V201), bench.now)


def test_software_that_says_nothing_is_answered_for():
    bench = with_software(V201, "DataTransfer", question_timeout=5.0)
    bench.ask("DataTransfer", TRANSFER)
    bench.run(2)
    bench.ask("DataTransfer", TRANSFER)
    first, second = bench.done(RequestReceived)
    bench.run(2.9)
    assert bench.answers == []
    bench.run(0.1)
    assert [frame[:3] for frame in bench.answers] == [[4, first.call_id, "InternalError"]]
    assert bench.notices(NoticeKind.SOFTWARE_SILENT) == [f"no answer to {first.call_id}"]
    assert bench.station.respond(second.call_id, accepted(V201), bench.now)
    bench.drain()
    bench.run(10)
    assert len(bench.answers) == 2


def test_an_answer_after_the_link_is_gone_is_too_late():
    bench = with_software(V201, "DataTransfer")
    bench.ask("DataTransfer", TRANSFER)
    (asked,) = bench.done(RequestReceived)
    bench.station.disconnect(bench.now)
    assert not bench.station.respond(asked.call_id, accepted(V201), bench.now)
    bench.drain()
    assert not bench.station.respond(asked.call_id, accepted(V201), bench.now)
    bench.mend()
    assert not bench.station.respond(asked.call_id, accepted(V201), bench.now)
    bench.run(30)
    assert bench.answers == []


def test_a_time_out_on_a_link_that_closes_is_nobodys():
    bench = with_software(V201, "DataTransfer", question_timeout=5.0)
    bench.ask("DataTransfer", TRANSFER)
    bench.station.disconnect(bench.now)
    bench.station.handle_timer(bench.now + 10)
    assert bench.done(CloseLink) == []
    bench.drain()
    assert bench.answers == []


@pytest.mark.requirement("B03.FR.08")
def test_a_rejected_station_does_not_ask_its_software():
    bench = Bench(V201, requests=frozenset({"DataTransfer"}), start=False)
    bench.registration = "Rejected"
    bench.power_up()
    assert bench.ask("DataTransfer", TRANSFER) == "SecurityError"
    assert bench.done(RequestReceived) == []


# what it asks the CSMS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_call_of_the_software_is_answered_to_it(version):
    bench = Bench(version)
    bench.ignores.add("DataTransfer")
    request = transfer(version)
    call_id = ask(bench, request)
    (frame,) = bench.calls("DataTransfer")
    assert frame[1] == call_id
    bench.answer(frame, {"status": "Accepted"})
    assert outcomes(bench) == [CallSucceeded(call_id, "DataTransfer", request, accepted(version))]


def test_its_calls_wait_their_turn_in_order_and_no_fact_waits_behind_all_of_them():
    bench = Bench(V201)
    bench.start_charging()
    bench.forget()
    bench.ignores.add("DataTransfer")
    calls = [ask(bench, transfer(V201, str(number))) for number in range(3)]
    bench.suspend()
    for _ in range(3):
        bench.answer(bench.calls("DataTransfer")[-1], {"status": "Rejected"})
    assert [outcome.call_id for outcome in outcomes(bench)] == calls
    told = [frame[2] for frame in bench.calls()]
    assert told == ["DataTransfer", "TransactionEvent", "DataTransfer", "DataTransfer"]


def test_a_call_may_fail_and_says_how():
    bench = Bench(V201)
    bench.refuses.add("DataTransfer")
    refused = ask(bench)
    bench.refuses.clear()
    bench.ignores.add("DataTransfer")
    late = bench.station.call(transfer(V201), bench.now, timeout=3.0)
    bench.drain()
    bench.run(3)
    sent, queued = ask(bench), ask(bench)
    bench.cut()
    assert [(failed.call_id, failed.reason) for failed in bench.done(CallFailed)] == [
        (refused, FailureReason.CALL_ERROR),
        (late, FailureReason.TIMEOUT),
        (sent, FailureReason.DISCONNECTED),
        (queued, FailureReason.DISCONNECTED),
    ]
    assert bench.notices(NoticeKind.PEER) == []  # whoever called knows
    bench.mend()
    assert len(bench.calls("DataTransfer")) == 3


def misuses():
    yield v16.DataTransferRequest(vendor_id="x"), {}, "is of OCPP 1.6, and this link speaks OCPP 2.0.1"
    yield v201.HeartbeatRequest(), {}, "for the station itself"
    yield v201.GetVariablesRequest.model_construct(get_variable_data=[]), {}, "goes from CSMS"
    yield v201.DataTransferRequest.model_construct(vendor_id=7), {}, "not valid"
    yield transfer(V201), {"timeout": 0.0}, "positive"


@pytest.mark.parametrize(("request_", "settings", "words"), list(misuses()))
def test_what_cannot_be_called(request_, settings, words):
    bench = Bench(V201)
    frames = len(bench.frames)
    with pytest.raises(LocalProtocolError, match=words):
        bench.station.call(request_, bench.now, **settings)
    bench.drain()
    assert len(bench.frames) == frames


def test_nothing_is_called_before_a_csms_has_accepted_the_station():
    bench = Bench(V201, start=False)
    bench.registration = "Pending"
    bench.power_up()
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="accepted"):
            bench.station.call(transfer(V201), bench.now)
        bench.station.disconnect(bench.now)
        bench.drain()


def test_so_many_calls_may_wait():
    bench = Bench(V201, calls_limit=2)
    bench.ignores.add("DataTransfer")
    for _ in range(3):
        ask(bench)
    with pytest.raises(LocalProtocolError, match="2 calls wait already"):
        ask(bench)


@pytest.mark.parametrize("settings", [{"calls_limit": 0}, {"question_timeout": 0.0}])
def test_settings_that_make_no_sense(settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        config(**settings)


@given(
    moves=st.lists(st.sampled_from(["call", "asked", "answer", "cut", "mend", "run", "fail"]), max_size=30)
)
def test_every_call_has_one_outcome_and_every_question_one_answer_at_most(moves):
    bench = with_software(V201, "DataTransfer", calls_limit=4, question_timeout=8.0)
    made: list[str] = []
    for move in moves:
        if move == "call":
            try:
                made.append(ask(bench))
            except LocalProtocolError:
                continue
        elif move == "asked" and bench.online:
            bench.ask("DataTransfer", TRANSFER)
        elif move == "answer":
            for asked in bench.done(RequestReceived):
                bench.station.respond(asked.call_id, accepted(V201), bench.now)
            bench.drain()
        elif move == "cut" and bench.online:
            bench.cut()
        elif move == "mend":
            bench.mend()
        elif move == "run":
            bench.run(5)
        elif move == "fail":
            bench.ignores ^= {"DataTransfer"}
    bench.ignores.clear()
    bench.mend()
    bench.run(200)
    assert sorted(outcome.call_id for outcome in outcomes(bench)) == sorted(made)
    answered = [json.dumps(frame[1]) for frame in bench.answers]
    assert len(answered) == len(set(answered))
