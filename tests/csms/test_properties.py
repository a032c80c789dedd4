"""Whatever is repeated, lost, reordered or garbled: nothing raises, nothing is billed or told twice."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core import OcppVersion
from ocpp_core.csms import (
    AskAuthorization,
    AskDataTransfer,
    AskRegistration,
    CsmsConfig,
    RequestReceived,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
    TransferStatus,
)
from ocpp_core.csms.blocks.reports import REMEMBERED
from ocpp_core.csms.sequence import INTERVALS
from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.messages import Direction, message_set
from ocpp_core.rpc import SendFrame
from ocpp_core.store import Commit, MemoryStore
from tests.csms.csms_kit import (
    ACCEPTED,
    ASKING,
    BOTH_2X,
    GOOD,
    OPEN_HOUSE,
    V16,
    VERSIONS,
    Driver,
    Host,
    answer,
    of,
    sampled_16,
    stamp,
)
from tests.messages.strategies.payloads import instances

# A station that delivers at least once, over links that break and a store that fails.

FATES = ("delivered", "answer lost", "commit failed", "never arrived")


@dataclass
class Delivery:
    """Sends one message until it is answered, whatever becomes of the attempts; keeps what is told."""

    host: Host
    told: list[TransactionEvent]

    def send(self, action: str, payload: dict[str, Any], fates: Iterator[str]) -> list[Any]:
        for fate in fates:
            if fate == "never arrived":
                self._reconnect()
                continue
            self.host.csms.receive_frame(json.dumps([2, "id", action, payload]), self.host.now)
            if fate == "commit failed":
                actions = self.host.csms.actions()
                if actions and isinstance(actions[0], Commit):
                    self.host.csms.store_failed("full", self.host.now)
                self._reconnect()
                continue
            actions = self.host.drain()
            self.told += of(actions, TransactionEvent)
            if fate == "delivered":
                return answer(actions)
            self._reconnect()
        raise AssertionError("the fates end well")

    def _reconnect(self) -> None:
        self.host.csms.link_lost(self.host.now)
        self.host = Host(self.host.version, OPEN_HOUSE, self.host.store)


def _booted(version: OcppVersion, store: MemoryStore | None = None) -> Host:
    host = Host(version, OPEN_HOUSE, store)
    host.boot()
    return host


fates = st.lists(st.sampled_from(FATES[1:]), max_size=3).map(lambda lost: iter([*lost, FATES[0]]))


@pytest.mark.requirement("1.6-3.7", "1.6-3.7.1", "1.6-4.8", "1.6-4.10")
@given(st.data())
def test_at_least_once_becomes_exactly_once_in_16(data: st.DataObject) -> None:
    delivery = Delivery(_booted(V16), [])
    due = 0
    for session in range(data.draw(st.integers(1, 3))):
        at, wh = 100 * session, data.draw(st.integers(0, 10**6))
        start: dict[str, Any] = {"connectorId": 1, "idTag": "T", "meterStart": wh, "timestamp": stamp(at)}
        number = delivery.send("StartTransaction", start, data.draw(fates))[2]["transactionId"]
        for step in range(data.draw(st.integers(0, 3))):
            wh += data.draw(st.integers(0, 500))
            value = {"timestamp": stamp(at + 10 + step), "sampledValue": [sampled_16(wh)]}
            payload = {"connectorId": 1, "transactionId": number, "meterValue": [value]}
            delivery.send("MeterValues", payload, data.draw(fates))
        wh += data.draw(st.integers(0, 500))
        stop = {"transactionId": number, "meterStop": wh, "timestamp": stamp(at + 50)}
        delivery.send("StopTransaction", stop, data.draw(fates))
        due += wh - start["meterStart"]
    bills = delivery.host.csms.billed()
    assert sum(bill.energy_wh or 0 for bill in bills) == due
    assert all(bill.complete for bill in bills)
    assert len({(event.transaction, event.at) for event in delivery.told}) == len(delivery.told)
    assert (
        len(of(delivery.told, TransactionStarted)) == len(of(delivery.told, TransactionEnded)) == len(bills)
    )


@pytest.mark.requirement("2.0.1-E-1.3.2", "2.1-E-1.3.2", "J02.FR.19")
@pytest.mark.parametrize("version", BOTH_2X)
@given(st.data())
def test_any_order_and_repetition_becomes_exactly_once_in_2x(
    version: OcppVersion, data: st.DataObject
) -> None:
    driver = Driver(Host(version))
    count = data.draw(st.integers(1, 6))
    session = [driver.event("Started", "Authorized", 0, 1000)]
    session += [driver.event("Updated", "MeterValuePeriodic", at, 1000 + at) for at in range(1, count)]
    session += [driver.event("Ended", "StopAuthorized", count, 1000 + count)]
    order = data.draw(st.permutations(session))
    order += data.draw(st.lists(st.sampled_from(session), max_size=5))
    delivery = Delivery(_booted(version), [])
    for payload in order:
        delivery.send("TransactionEvent", payload, data.draw(fates))
    (bill,) = delivery.host.csms.billed()
    assert (bill.start_wh, bill.energy_wh, bill.complete) == (1000, count, True)
    assert sorted(event.seq_no or 0 for event in delivery.told) == list(range(count + 1))


# Whatever a station can say.


def _answers(actions: list[Any]) -> list[str]:
    frames = [json.loads(frame.text) for frame in of(actions, SendFrame)]
    return [frame[1] for frame in frames if frame[0] in (3, 4)]


def _incoming(version: OcppVersion) -> list[str]:
    return [
        name
        for name, action in message_set(version).actions.items()
        if action.direction is not Direction.CSMS_TO_STATION and action.confirmed
    ]


def _application(host: Host, actions: list[Any], data: st.DataObject) -> None:
    """Answers some questions."""
    for asked in actions:
        if not data.draw(st.booleans()):
            continue
        match asked:
            case AskRegistration():
                host.csms.answer_registration(asked.question, ACCEPTED, host.now)
            case AskAuthorization():
                host.csms.answer_authorization(asked.question, GOOD, host.now)
            case AskDataTransfer():
                host.csms.answer_data_transfer(asked.question, TransferStatus.ACCEPTED, None, host.now)


@pytest.mark.requirement("1.6-J-4.1.1", "2.0.1-J-4.1.1")
@pytest.mark.parametrize("version", VERSIONS)
@given(st.data())
def test_every_call_is_answered_once_whoever_answers(version: OcppVersion, data: st.DataObject) -> None:
    names = _incoming(version)
    accepted = data.draw(st.sampled_from(RegistrationStatus))
    config = CsmsConfig(
        registration_without_boot=accepted,
        requests=frozenset(data.draw(st.lists(st.sampled_from(names), max_size=3))),
        vendors=frozenset({""}),
        open_transactions=2,
        closed_transactions=1,
    )
    host = Host(version, config)
    for number in range(data.draw(st.integers(1, 4))):
        action = data.draw(st.sampled_from(names))
        payload = data.draw(instances(message_set(version).request(action)))
        call_id = f"call-{number}"
        actions = host.say(action, payload, call_id)
        _application(host, actions, data)
        actions += host.drain()
        actions += host.wait(20)
        assert _answers(actions) == [call_id]
        assert not [event for event in of(actions, RequestReceived) if event.call_id != call_id]
        for event in of(actions, TransactionEvent):
            list(event.readings)
    assert len(host.csms.billed()) <= 3
    assert host.csms.snapshot() == host.store.load()
    assert Host(version, config, host.store).csms.billed() == host.csms.billed()


GARBAGE = st.one_of(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=12,
    ).map(json.dumps),
)


@pytest.mark.parametrize("version", VERSIONS)
@given(st.data())
def test_garbage_raises_nothing_and_grows_nothing(version: OcppVersion, data: st.DataObject) -> None:
    host = Host(version, ASKING)
    host.boot()
    script: list[str] = []
    driver = Driver(host)
    driver.start("T", 0, 100)
    for kind, action, payload in (
        (2, "TransactionEvent", driver.event("Updated", "Trigger", 1, 5)),
        (2, "StartTransaction", {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": stamp()}),
        (2, "StopTransaction", {"transactionId": -1, "meterStop": 0, "timestamp": stamp()}),
        (2, "MeterValues", {"connectorId": 1, "transactionId": -1, "meterValue": []}),
    ):
        script.append(json.dumps([kind, "id", action, payload]))
    for _ in range(data.draw(st.integers(1, 8))):
        text = data.draw(GARBAGE | st.sampled_from(script))
        cut = data.draw(st.integers(0, len(text)))
        text = text[:cut] + data.draw(st.text(max_size=3)) + text[cut + data.draw(st.integers(0, 4)) :]
        host.raw(text)
        host.now += data.draw(st.sampled_from([0.0, 1.0, 25.0]))
        host.csms.handle_timer(host.now)
        host.drain()
    ledger = host.csms._transactions.ledger
    assert len(ledger.records) <= ASKING.open_transactions + ASKING.closed_transactions
    assert all(len(record.seen.intervals) <= INTERVALS for record in ledger.records.values())
    rows = host.store.load()
    assert len(json.loads(rows["csms/CP-1"].get("reports", "[]"))) <= REMEMBERED
    assert len(host.csms._context.questions) <= ASKING.rpc.unanswered_limit


@pytest.mark.requirement("1.6-errata-3.18")
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([-1, 5, 6]), st.integers(0, 3)), max_size=12))
def test_no_transaction_ends_twice(script: list[tuple[bool, int, int]]) -> None:
    host = _booted(V16)
    ends: Counter[str] = Counter()
    for start, number, step in script:
        if start:
            payload = {"connectorId": step, "idTag": "T", "meterStart": step, "timestamp": stamp(step)}
            actions = host.say("StartTransaction", payload)
        else:
            payload = {"transactionId": number, "meterStop": step + 5, "timestamp": stamp(step + 5)}
            actions = host.say("StopTransaction", payload)
        ends.update(event.transaction for event in of(actions, TransactionEnded))
    assert all(count == 1 for count in ends.values())
    bills = {bill.transaction: bill for bill in host.csms.billed()}
    assert {name for name, bill in bills.items() if bill.ended_at} == set(ends)
