"""Transactions of 1.6: numbered by the CSMS, known again by content, found without an id."""

from typing import Any

import pytest

from ocpp_core import StoreError
from ocpp_core.csms import (
    AskAuthorization,
    CsmsConfig,
    MeterValuesReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from ocpp_core.domain.layout import Layout
from ocpp_core.domain.tokens import ANY_TYPE, AuthorizationStatus, IdToken, IdTokenInfo
from ocpp_core.domain.transactions import StopReason, TriggerReason
from ocpp_core.rpc import SendFrame
from ocpp_core.store import MemoryStore
from tests.csms.csms_kit import (
    ACCEPTED,
    ASKING,
    GOOD,
    OPEN_HOUSE,
    V16,
    Driver,
    Host,
    answer,
    noticed,
    of,
    one,
    sampled_16,
    stamp,
    told,
)

BLOCKED = IdTokenInfo(AuthorizationStatus.BLOCKED)


def _host(config: CsmsConfig = OPEN_HOUSE, store: MemoryStore | None = None) -> Host:
    host = Host(V16, config, store)
    host.boot()
    return host


def _start(connector: int = 1, token: str = "T", wh: int = 100, at: float = 0) -> dict[str, Any]:
    return {"connectorId": connector, "idTag": token, "meterStart": wh, "timestamp": stamp(at)}


def _stop(transaction: int, wh: int = 900, at: float = 60, **more: Any) -> dict[str, Any]:
    return {"transactionId": transaction, "meterStop": wh, "timestamp": stamp(at), **more}


def _meter(transaction: int | None, wh: float = 500, at: float = 30, connector: int = 1) -> dict[str, Any]:
    value = {"timestamp": stamp(at), "sampledValue": [sampled_16(wh)]}
    payload: dict[str, Any] = {"connectorId": connector, "meterValue": [value]}
    return payload if transaction is None else {**payload, "transactionId": transaction}


def _begin(host: Host, **what: Any) -> int:
    number: int = answer(host.say("StartTransaction", _start(**what)))[2]["transactionId"]
    return number


@pytest.mark.requirement("1.6-4.8", "1.6-6.46")
def test_ids_are_positive_and_differ() -> None:
    host = _host()
    numbers = [_begin(host, at=at) for at in range(5)]
    assert len(set(numbers)) == 5
    assert all(0 < number < 2**31 for number in numbers)
    later = host.reconnect()
    assert _begin(later, at=9) == numbers[-1] + 1


@pytest.mark.requirement("1.6-6.46")
def test_ids_start_over_at_the_end_and_step_over_those_in_use() -> None:
    store = MemoryStore({"csms/CP-1": {"next transaction": str(2**31 - 1)}})
    host = _host(store=store)
    assert [_begin(host, at=at) for at in range(3)] == [2**31 - 1, 1, 2]
    rows = store.load()
    rows["csms/CP-1"]["next transaction"] = "1"
    assert _begin(_host(store=MemoryStore(rows)), at=9) == 3


def test_a_damaged_counter_is_told() -> None:
    with pytest.raises(StoreError, match="counter of 'CP-1'"):
        Host(V16, store=MemoryStore({"csms/CP-1": {"next transaction": "one"}}))


@pytest.mark.requirement("1.6-4.8")
@pytest.mark.parametrize("reconnect", [False, True])
def test_a_start_that_comes_again_is_the_same_transaction(reconnect: bool) -> None:
    host = _host()
    first = host.say("StartTransaction", _start(), "id-1")
    assert of(first, TransactionStarted)
    if reconnect:
        host = host.reconnect()
    again = host.say("StartTransaction", _start(), "id-2")
    assert answer(again)[2] == answer(first)[2]
    assert told(again) == []
    assert noticed(again) == ["repeated"]
    assert len(host.csms.billed()) == 1


@pytest.mark.requirement("1.6-4.8")
@pytest.mark.parametrize("other", [{"connector": 2}, {"token": "U"}, {"wh": 101}, {"at": 1}])
def test_a_start_that_differs_is_another_transaction(other: dict[str, Any]) -> None:
    host = _host()
    first = _begin(host)
    actions = host.say("StartTransaction", _start(**other))
    assert answer(actions)[2]["transactionId"] != first
    assert of(actions, TransactionStarted)


@pytest.mark.requirement("1.6-4.8")
def test_a_start_known_from_an_ended_transaction_is_no_new_one() -> None:
    host = _host()
    number = _begin(host)
    host.say("StopTransaction", _stop(number))
    assert _begin(host) == number
    (bill,) = host.csms.billed()
    assert (bill.energy_wh, bill.complete) == (800, True)


@pytest.mark.requirement("1.6-4.8")
@pytest.mark.parametrize(("info", "word"), [(GOOD, "Accepted"), (BLOCKED, "Blocked")])
def test_the_token_of_a_start_is_verified(info: IdTokenInfo, word: str) -> None:
    host = _host(ASKING)
    actions = host.say("StartTransaction", _start())
    started, asked = one(actions, TransactionStarted), one(actions, AskAuthorization)
    assert of(actions, SendFrame) == []
    assert (asked.transaction, asked.token, asked.evse) == (started.transaction, IdToken("T", ANY_TYPE), 1)
    assert host.csms.answer_authorization(asked.question, info, host.now)
    actions = host.drain()
    assert answer(actions)[2] == {
        "transactionId": int(started.transaction),
        "idTagInfo": {"status": word},
    }
    assert told(actions) == []
    again = host.reconnect(config=ASKING).say("StartTransaction", _start())
    assert answer(again)[2]["idTagInfo"] == {"status": word}, "said from the record, not asked again"
    assert of(again, AskAuthorization) == []


@pytest.mark.requirement("1.6-4.8")
def test_a_start_that_comes_again_before_its_answer_is_asked_again_and_told_once() -> None:
    host = _host(ASKING)
    first = one(host.say("StartTransaction", _start()), TransactionStarted)
    later = host.reconnect(config=ASKING)
    actions = later.say("StartTransaction", _start())
    assert one(told(actions), AskAuthorization).transaction == first.transaction
    assert of(actions, TransactionStarted) == []


@pytest.mark.requirement("1.6-4.8")
def test_want_of_an_answer_is_not_kept() -> None:
    host = _host(ASKING)
    host.say("StartTransaction", _start())
    actions = host.wait(20)
    assert answer(actions)[2]["idTagInfo"] == {"status": "Invalid"}
    assert noticed(actions) == ["question unanswered"]
    assert of(host.say("StartTransaction", _start()), AskAuthorization)


@pytest.mark.requirement("1.6-4.8")
def test_an_answer_for_a_forgotten_transaction_is_still_sent() -> None:
    host = _host(CsmsConfig(registration=ACCEPTED, open_transactions=1))
    asked = one(host.say("StartTransaction", _start()), AskAuthorization)
    actions = host.say("StartTransaction", _start(at=1))
    assert "forgotten" in noticed(actions)
    host.csms.answer_authorization(asked.question, GOOD, host.now)
    assert answer(host.drain())[2]["transactionId"] == int(asked.transaction or 0)
    assert len(host.csms.billed()) == 1


@pytest.mark.requirement("1.6-4.10")
@pytest.mark.parametrize("reconnect", [False, True])
def test_a_stop_that_comes_again_ends_nothing_again(reconnect: bool) -> None:
    host = _host()
    number = _begin(host)
    assert of(host.say("StopTransaction", _stop(number), "a"), TransactionEnded)
    if reconnect:
        host = host.reconnect()
    again = host.say("StopTransaction", _stop(number), "b")
    assert answer(again)[2] == {}
    assert (told(again), noticed(again)) == ([], ["repeated"])
    other = host.say("StopTransaction", _stop(number, wh=5000, at=61), "c")
    assert answer(other)[2] == {}
    assert (told(other), noticed(other)) == ([], ["contradiction"])
    (bill,) = host.csms.billed()
    assert bill.energy_wh == 800


@pytest.mark.requirement("1.6-4.10")
def test_a_stop_says_what_is_known_of_its_token() -> None:
    host = _host()
    number = _begin(host)
    assert answer(host.say("StopTransaction", _stop(number, idTag="t")))[2] == {
        "idTagInfo": {"status": "Accepted"}
    }
    number = _begin(host, at=100)
    stopped = host.say("StopTransaction", _stop(number, at=160, idTag="SOMEONE"))
    assert answer(stopped)[2] == {}
    assert one(stopped, TransactionEnded).id_token == IdToken("SOMEONE", ANY_TYPE)
    assert host.csms.billed()[-1].id_token == IdToken("T", ANY_TYPE), "the driver is who started"


@pytest.mark.requirement("1.6-4.7", "1.6-3.7.1")
@pytest.mark.parametrize("reconnect", [False, True])
def test_meter_values_that_come_again_are_told_once(reconnect: bool) -> None:
    host = _host()
    number = _begin(host)
    assert of(host.say("MeterValues", _meter(number), "a"), TransactionUpdated)
    if reconnect:
        host = host.reconnect()
    again = host.say("MeterValues", _meter(number), "b")
    assert (answer(again)[2], told(again), noticed(again)) == ({}, [], ["repeated"])
    assert of(host.say("MeterValues", _meter(number, at=31), "c"), TransactionUpdated)
    assert of(host.say("MeterValues", _meter(number, wh=501, at=31), "d"), TransactionUpdated)


@pytest.mark.requirement("1.6-4.7")
def test_meter_values_outside_of_transactions_are_told_once() -> None:
    host = _host()
    assert one(host.say("MeterValues", _meter(None), "a"), MeterValuesReported).evse == 1
    host = host.reconnect()
    assert told(host.say("MeterValues", _meter(None), "b")) == []
    assert one(host.say("MeterValues", _meter(None, connector=0), "c"), MeterValuesReported).evse == 0


@pytest.mark.requirement("1.6-4.7")
def test_readings_after_the_end_are_told_and_change_no_bill() -> None:
    host = _host()
    number = _begin(host)
    host.say("StopTransaction", _stop(number))
    (bill,) = host.csms.billed()
    assert of(host.say("MeterValues", _meter(number, wh=7000, at=90)), TransactionUpdated)
    assert host.csms.billed() == (bill,)


@pytest.mark.requirement("1.6-4.7")
@pytest.mark.parametrize(
    ("context", "trigger"),
    [
        ("Sample.Clock", TriggerReason.METER_VALUE_CLOCK),
        ("Sample.Periodic", TriggerReason.METER_VALUE_PERIODIC),
        ("Trigger", TriggerReason.TRIGGER),
        (None, TriggerReason.METER_VALUE_PERIODIC),
    ],
)
def test_the_context_of_readings_is_the_trigger(context: str | None, trigger: TriggerReason) -> None:
    host = _host()
    payload = _meter(_begin(host))
    if context is not None:
        payload["meterValue"][0]["sampledValue"][0]["context"] = context
    assert one(host.say("MeterValues", payload), TransactionUpdated).trigger is trigger


@pytest.mark.requirement("1.6-4.10")
@pytest.mark.parametrize(
    ("reason", "stop_reason", "trigger"),
    [
        (None, StopReason.LOCAL, TriggerReason.STOP_AUTHORIZED),
        ("DeAuthorized", StopReason.DE_AUTHORIZED, TriggerReason.DEAUTHORIZED),
        ("EmergencyStop", StopReason.EMERGENCY_STOP, TriggerReason.ABNORMAL_CONDITION),
        ("EVDisconnected", StopReason.EV_DISCONNECTED, TriggerReason.EV_COMMUNICATION_LOST),
        ("HardReset", StopReason.IMMEDIATE_RESET, TriggerReason.RESET_COMMAND),
        ("Local", StopReason.LOCAL, TriggerReason.STOP_AUTHORIZED),
        ("Other", StopReason.OTHER, TriggerReason.ABNORMAL_CONDITION),
        ("PowerLoss", StopReason.POWER_LOSS, TriggerReason.ABNORMAL_CONDITION),
        ("Reboot", StopReason.REBOOT, TriggerReason.RESET_COMMAND),
        ("Remote", StopReason.REMOTE, TriggerReason.REMOTE_STOP),
        ("SoftReset", StopReason.IMMEDIATE_RESET, TriggerReason.RESET_COMMAND),
        ("UnlockCommand", StopReason.OTHER, TriggerReason.UNLOCK_COMMAND),
    ],
)
def test_why_a_transaction_stopped(
    reason: str | None, stop_reason: StopReason, trigger: TriggerReason
) -> None:
    host = _host()
    more: dict[str, Any] = {} if reason is None else {"reason": reason}
    ended = one(host.say("StopTransaction", _stop(_begin(host), **more)), TransactionEnded)
    assert (ended.stop_reason, ended.trigger) == (stop_reason, trigger)


# A start that was lost, or whose answer was (errata 3.18).


@pytest.mark.requirement("1.6-4.8", "1.6-errata-3.18")
def test_the_answer_to_the_start_was_lost_for_good() -> None:
    host = _host()
    number = _begin(host)
    updated = host.say("MeterValues", _meter(-1))
    assert answer(updated)[2] == {}
    assert one(updated, TransactionUpdated).transaction == str(number)
    assert noticed(updated) == ["start unknown"]
    assert noticed(host.say("MeterValues", _meter(-1))) == ["start unknown", "repeated"]
    ended = host.say("StopTransaction", _stop(-1, idTag="T"))
    assert answer(ended)[2] == {"idTagInfo": {"status": "Accepted"}}
    assert one(ended, TransactionEnded).transaction == str(number)
    again = host.say("StopTransaction", _stop(-1, idTag="T"))
    assert told(again) == []
    assert told(host.say("MeterValues", _meter(-1))) == []
    (bill,) = host.csms.billed()
    assert (bill.energy_wh, bill.complete) == (800, True)


@pytest.mark.requirement("1.6-errata-3.18")
def test_the_start_was_lost_for_good() -> None:
    host = _host()
    updated = one(host.say("MeterValues", _meter(-1, wh=300)), TransactionUpdated)
    assert one(host.say("MeterValues", _meter(-1, wh=400, at=40)), TransactionUpdated).transaction == (
        updated.transaction
    )
    stop = _stop(-1, idTag="T", reason="EVDisconnected")
    ended = host.say("StopTransaction", stop)
    event = one(ended, TransactionEnded)
    assert (event.transaction, event.evse, event.connector) == (updated.transaction, 1, 1)
    assert told(host.say("StopTransaction", stop)) == []
    (bill,) = host.csms.billed()
    assert (bill.start_wh, bill.stop_wh, bill.energy_wh) == (300, 900, 600)
    assert (bill.started_at, bill.complete, bill.id_token) == (None, False, IdToken("T", ANY_TYPE))


@pytest.mark.requirement("1.6-errata-3.18")
def test_only_the_end_arrived() -> None:
    host = _host()
    data = [{"timestamp": stamp(0), "sampledValue": [sampled_16(250, context="Transaction.Begin")]}]
    stop = _stop(-1, transactionData=data)
    event = one(host.say("StopTransaction", stop), TransactionEnded)
    assert event.evse is None
    assert told(host.say("StopTransaction", stop)) == []
    (bill,) = host.csms.billed()
    assert (bill.start_wh, bill.energy_wh, bill.complete) == (250, 650, False)
    other = one(host.say("StopTransaction", _stop(-1, wh=901)), TransactionEnded)
    assert other.transaction != event.transaction


@pytest.mark.requirement("1.6-errata-3.18")
def test_an_end_without_id_never_takes_a_transaction_that_knows_its_id() -> None:
    host = _host()
    number = _begin(host)
    host.say("MeterValues", _meter(number))
    ended = one(host.say("StopTransaction", _stop(-1, idTag="T")), TransactionEnded)
    assert ended.transaction != str(number)
    updated = one(host.say("MeterValues", _meter(-1, at=70)), TransactionUpdated)
    assert updated.transaction not in (str(number), ended.transaction)


@pytest.mark.requirement("1.6-errata-3.18")
@pytest.mark.parametrize("other", [{"wh": 99}, {"at": -1}, {"connector": 2}])
def test_a_reading_without_id_is_told_apart_by_place_register_and_time(other: dict[str, Any]) -> None:
    host = _host()
    number = _begin(host)
    updated = one(host.say("MeterValues", _meter(-1, **other)), TransactionUpdated)
    assert updated.transaction != str(number)


@pytest.mark.requirement("1.6-errata-3.18")
def test_an_end_without_id_that_tells_of_earlier_readings_is_anothers() -> None:
    host = _host()
    number = _begin(host, wh=10, at=50)
    data = [{"timestamp": stamp(0), "sampledValue": [sampled_16(20, context="Transaction.Begin")]}]
    earlier = one(host.say("StopTransaction", _stop(-1, at=70, transactionData=data)), TransactionEnded)
    assert earlier.transaction.startswith("lost-")
    assert one(host.say("StopTransaction", _stop(number, at=80)), TransactionEnded).transaction == str(number)


@pytest.mark.requirement("1.6-errata-3.18")
def test_an_end_without_id_that_began_later_is_anothers() -> None:
    """The only transaction that is open, at a connector that the end does not name, began before it."""
    host = _host()
    number = _begin(host, at=5)
    begun = [sampled_16(110, context="Sample.Clock"), sampled_16(110, context="Transaction.Begin")]
    data = [{"timestamp": stamp(20), "sampledValue": begun}]
    later = one(host.say("StopTransaction", _stop(-1, at=70, transactionData=data)), TransactionEnded)
    assert later.transaction.startswith("lost-")
    assert one(host.say("StopTransaction", _stop(number, at=80)), TransactionEnded).transaction == str(number)


@pytest.mark.requirement("1.6-errata-3.18")
def test_an_end_that_tells_its_begin_belongs_to_a_transaction_whose_start_was_lost() -> None:
    host = _host()
    updated = one(host.say("MeterValues", _meter(-1, wh=300)), TransactionUpdated)
    data = [{"timestamp": stamp(20), "sampledValue": [sampled_16(250, context="Transaction.Begin")]}]
    ended = one(host.say("StopTransaction", _stop(-1, at=70, transactionData=data)), TransactionEnded)
    assert ended.transaction == updated.transaction


@pytest.mark.requirement("1.6-errata-3.18")
def test_an_end_without_id_is_told_apart_by_its_reading_at_the_start() -> None:
    host = _host()
    first, _ = _begin(host, token="A", at=5), _begin(host, token="B", connector=2)
    data = [{"timestamp": stamp(5), "sampledValue": [sampled_16(100, context="Transaction.Begin")]}]
    ended = one(host.say("StopTransaction", _stop(-1, transactionData=data)), TransactionEnded)
    assert ended.transaction == str(first)


@pytest.mark.requirement("1.6-errata-3.18")
def test_an_end_without_id_is_told_apart_by_token_register_and_time() -> None:
    host = _host()
    first, second = _begin(host, token="A"), _begin(host, token="B", connector=2)
    other = one(host.say("StopTransaction", _stop(-1, idTag="c", wh=930)), TransactionEnded)
    assert other.transaction.startswith("lost-"), "neither was started with this token"
    assert one(host.say("StopTransaction", _stop(-1, idTag="b")), TransactionEnded).transaction == str(second)
    other = one(host.say("StopTransaction", _stop(-1, idTag="c", wh=940)), TransactionEnded)
    assert other.transaction.startswith("lost-"), "nor was the only one that is left"
    assert one(host.say("StopTransaction", _stop(-1, wh=950)), TransactionEnded).transaction == str(first)
    _begin(host, wh=5000, at=10)
    _begin(host, wh=10, at=1000)
    neither = one(host.say("StopTransaction", _stop(-1, at=70, wh=960)), TransactionEnded)
    assert neither.transaction.startswith("lost-"), "one would have run backwards, one ended before it began"


@pytest.mark.requirement("1.6-errata-3.18")
def test_an_end_in_doubt_takes_no_transaction() -> None:
    host = _host()
    running = {str(_begin(host, connector=connector)) for connector in (1, 2)}
    ended = one(host.say("StopTransaction", _stop(-1)), TransactionEnded)
    assert ended.transaction not in running


@pytest.mark.requirement("1.6-4.7", "1.6-4.10")
def test_transactions_this_csms_never_numbered() -> None:
    host = _host()
    updated = host.say("MeterValues", _meter(77))
    assert (answer(updated)[2], noticed(updated)) == ({}, ["start unknown"])
    assert one(updated, TransactionUpdated).transaction == "77"
    ended = host.say("StopTransaction", _stop(77))
    assert one(ended, TransactionEnded).evse == 1
    assert one(host.say("StopTransaction", _stop(0)), TransactionEnded).transaction == "0"
    bills = host.csms.billed()
    assert [(bill.transaction, bill.energy_wh, bill.complete) for bill in bills] == [
        ("77", 400, False),
        ("0", 0, False),
    ]


# Connectors, limits, hostile values.


@pytest.mark.requirement("1.6-3.8")
@pytest.mark.parametrize(
    ("layout", "connector", "place"),
    [
        (None, 1, (1, 1)),
        (None, 3, (3, 1)),
        (None, 0, (0, 0)),
        (Layout((1, 2)), 2, (2, 1)),
        (Layout((1, 2)), 3, (2, 2)),
        (Layout((1, 2)), 9, (9, 1)),
    ],
)
def test_connector_numbers(layout: Layout | None, connector: int, place: tuple[int, int]) -> None:
    host = _host(CsmsConfig(registration=ACCEPTED, authorization=GOOD, layout=layout))
    started = one(host.say("StartTransaction", _start(connector=connector)), TransactionStarted)
    assert (started.evse, started.connector) == place


def test_open_transactions_are_limited() -> None:
    host = _host(CsmsConfig(registration=ACCEPTED, authorization=GOOD, open_transactions=3))
    for number in range(10):
        actions = host.say("MeterValues", _meter(number + 1))
        assert ("forgotten" in noticed(actions)) is (number >= 3)
    assert [bill.transaction for bill in host.csms.billed()] == ["8", "9", "10"]
    assert set(host.store.load()["csms/CP-1/transactions"]) == {"8", "9", "10"}
    assert set(host.store.load()["csms/CP-1/progress"]) == {"8", "9", "10"}


def test_ended_transactions_are_limited() -> None:
    host = _host(CsmsConfig(registration=ACCEPTED, authorization=GOOD, closed_transactions=2))
    _begin(host, at=-1)
    for number in range(5):
        host.say("StopTransaction", _stop(number + 1, at=number))
    assert [bill.transaction for bill in host.csms.billed()][1:] == ["4", "5"]
    assert len(host.reconnect().csms.billed()) == 3


@pytest.mark.requirement("1.6-4.8", "1.6-4.10")
def test_numbers_beyond_all_measure_are_no_register() -> None:
    host = _host()
    huge = 10**400
    number = _begin(host, wh=huge)
    assert _begin(host, wh=huge) == number
    ended = one(host.say("StopTransaction", _stop(number, wh=-huge)), TransactionEnded)
    assert (ended.meter_wh, list(ended.readings)) == (None, [])
    assert one(host.say("StopTransaction", _stop(huge)), TransactionEnded).transaction == str(huge)
    (bill, _) = host.csms.billed()
    assert (bill.energy_wh, bill.complete) == (None, True)


def test_the_driver_hears_the_number() -> None:
    host = _host()
    driver = Driver(host)
    driver.start("T", 0, 0)
    assert driver.transaction == host.csms.billed()[0].transaction
