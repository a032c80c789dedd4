"""Transactions of 2.x: by the station's id and the seqNo, in whatever order they arrive."""

from itertools import permutations
from typing import Any

import pytest

from ocpp_core import OcppVersion
from ocpp_core.csms import (
    AskAuthorization,
    CsmsConfig,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
    TransactionUpdated,
)
from ocpp_core.domain.tokens import AuthorizationStatus, IdToken, IdTokenInfo
from ocpp_core.domain.transactions import ChargingState, StopReason, TriggerReason
from ocpp_core.messages import Tolerance
from ocpp_core.rpc import RpcConfig, SendFrame
from tests.csms.csms_kit import (
    ACCEPTED,
    ASKING,
    BOTH_2X,
    GOOD,
    OPEN_HOUSE,
    V21,
    V201,
    Driver,
    Host,
    answer,
    noticed,
    of,
    one,
    stamp,
    told,
)

pytestmark = pytest.mark.parametrize("version", BOTH_2X)
TOKEN: dict[str, Any] = {"idToken": {"idToken": "T", "type": "ISO14443"}}
PLACE: dict[str, Any] = {"evse": {"id": 2, "connectorId": 1}}


def _driver(version: OcppVersion, config: CsmsConfig = OPEN_HOUSE) -> Driver:
    driver = Driver(Host(version, config))
    driver.host.boot()
    return driver


def _say(driver: Driver, payload: dict[str, Any]) -> list[Any]:
    return list(driver.host.say("TransactionEvent", payload))


@pytest.mark.requirement(
    "E01.FR.11", "E01.FR.12", "E02.FR.02", "E02.FR.04", "E05.FR.01", "C09.FR.12", "C12.FR.03"
)
def test_the_token_is_verified_with_the_event_that_carries_it(version: OcppVersion) -> None:
    driver = _driver(version, ASKING)
    started = _say(driver, driver.event("Started", "CablePluggedIn", 0, 100, **PLACE))
    assert (answer(started)[2], of(started, AskAuthorization)) == ({}, [])
    actions = _say(driver, driver.event("Updated", "Authorized", 1, **TOKEN))
    asked = one(actions, AskAuthorization)
    assert (asked.token, asked.transaction, asked.evse) == (IdToken("T"), "tx-1", 2)
    assert of(actions, SendFrame) == []
    assert one(actions, TransactionUpdated).trigger is TriggerReason.AUTHORIZED
    group = IdTokenInfo(AuthorizationStatus.ACCEPTED, IdToken("G", "Central"), 1_800_000_000_000, (1, 2))
    assert driver.host.csms.answer_authorization(asked.question, group, driver.host.now)
    assert answer(driver.host.drain())[2] == {
        "idTokenInfo": {
            "status": "Accepted",
            "groupIdToken": {"idToken": "G", "type": "Central"},
            "cacheExpiryDateTime": "2027-01-15T08:00:00.000Z",
            "evseId": [1, 2],
        }
    }
    stopped = _say(driver, driver.event("Ended", "StopAuthorized", 2, 200, **TOKEN))
    assert answer(stopped)[2]["idTokenInfo"]["status"] == "Accepted", (
        "the same driver is not asked about again"
    )
    assert of(stopped, AskAuthorization) == []


@pytest.mark.requirement("E03.FR.02")
def test_another_token_in_a_transaction_is_asked_about(version: OcppVersion) -> None:
    driver = _driver(version, ASKING)
    asked = one(_say(driver, driver.event("Started", "Authorized", 0, **TOKEN)), AskAuthorization)
    driver.host.csms.answer_authorization(asked.question, GOOD, driver.host.now)
    driver.host.drain()
    other: dict[str, Any] = {"idToken": {"idToken": "U", "type": "Central"}}
    asked = one(_say(driver, driver.event("Updated", "StopAuthorized", 1, **other)), AskAuthorization)
    assert asked.token == IdToken("U", "Central")
    driver.host.csms.answer_authorization(asked.question, GOOD, driver.host.now)
    assert answer(driver.host.drain())[2]["idTokenInfo"]["status"] == "Accepted"
    assert driver.host.csms.billed()[0].id_token == IdToken("T")


@pytest.mark.requirement("E01.FR.12")
def test_policy_answers_for_any_token(version: OcppVersion) -> None:
    driver = _driver(version)
    _say(driver, driver.event("Started", "Authorized", 0, **TOKEN))
    other: dict[str, Any] = {"idToken": {"idToken": "U", "type": "Central"}}
    said = _say(driver, driver.event("Updated", "StopAuthorized", 1, **other))
    assert answer(said)[2]["idTokenInfo"]["status"] == "Accepted"


@pytest.mark.requirement("2.0.1-E-1.3.2", "2.1-E-1.3.2")
def test_an_event_carries_all_that_the_message_does(version: OcppVersion) -> None:
    driver = _driver(version)
    info = {"chargingState": "Charging", "remoteStartId": 5}
    payload = driver.event(
        "Started", "RemoteStart", 0, 100, info=info, offline=True, reservationId=6, **PLACE, **TOKEN
    )
    started = one(_say(driver, payload), TransactionStarted)
    assert (started.transaction, started.evse, started.connector, started.seq_no) == ("tx-1", 2, 1, 0)
    assert (started.trigger, started.charging_state) == (TriggerReason.REMOTE_START, ChargingState.CHARGING)
    assert (started.remote_start_id, started.reservation_id, started.offline) == (5, 6, True)
    assert (started.id_token, started.meter_wh) == (IdToken("T"), 100)
    updated = one(_say(driver, driver.event("Updated", "ChargingStateChanged", 1)), TransactionUpdated)
    assert (updated.evse, updated.connector, updated.offline) == (2, 1, False), "from what was told before"
    assert (updated.meter_wh, list(updated.readings), updated.charging_state) == (None, [], None)


def test_why_a_transaction_ended(version: OcppVersion) -> None:
    driver = _driver(version)
    ended = one(_say(driver, driver.event("Ended", "StopAuthorized", 0)), TransactionEnded)
    assert ended.stop_reason is StopReason.LOCAL
    driver.transaction = "tx-2"
    info = {"stoppedReason": "PowerLoss"}
    ended = one(_say(driver, driver.event("Ended", "AbnormalCondition", 0, info=info)), TransactionEnded)
    assert ended.stop_reason is StopReason.POWER_LOSS


@pytest.mark.requirement("J02.FR.19", "2.0.1-E-1.3.2", "2.1-E-1.3.2")
@pytest.mark.parametrize("reconnect", [False, True])
def test_what_comes_again_is_answered_and_not_told(version: OcppVersion, reconnect: bool) -> None:
    driver = _driver(version)
    session = [
        driver.event("Started", "Authorized", 0, 100, **PLACE, **TOKEN),
        driver.event("Updated", "MeterValuePeriodic", 30, 500),
        driver.event("Ended", "StopAuthorized", 60, 900, **TOKEN),
    ]
    for payload in session:
        first = driver.host.say("TransactionEvent", payload)
        if reconnect:
            driver.host = driver.host.reconnect()
        again = driver.host.say("TransactionEvent", payload, "another-id")
        assert len(of(first, TransactionEvent)) == 1
        assert answer(again)[2] == answer(first)[2]
        assert (told(again), noticed(again)) == ([], ["repeated"])
    (bill,) = driver.host.csms.billed()
    assert (bill.energy_wh, bill.complete) == (800, True)


@pytest.mark.requirement("2.0.1-E-1.3.2", "2.1-E-1.3.2", "J02.FR.19")
@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_order_of_arrival_does_not_matter(version: OcppVersion, order: tuple[int, ...]) -> None:
    driver = _driver(version)
    session = [
        driver.event("Started", "Authorized", 0, 100, **PLACE, **TOKEN),
        driver.event("Updated", "MeterValuePeriodic", 20, 400),
        driver.event("Updated", "MeterValuePeriodic", 40, 700),
        driver.event("Ended", "StopAuthorized", 60, 900),
    ]
    events = [event for index in order for event in of(_say(driver, session[index]), TransactionEvent)]
    assert [event.seq_no for event in events] == list(order)
    (bill,) = driver.host.csms.billed()
    assert (bill.start_wh, bill.stop_wh, bill.energy_wh) == (100, 900, 800)
    assert (bill.complete, bill.evse, bill.id_token) == (True, 2, IdToken("T"))


@pytest.mark.requirement("2.0.1-E-1.3.2", "2.1-E-1.3.2")
def test_gaps_are_noticed_and_make_a_bill_incomplete(version: OcppVersion) -> None:
    driver = _driver(version)
    _say(driver, driver.event("Started", "Authorized", 0, 100))
    driver.seq_no = 3
    actions = _say(driver, driver.event("Ended", "StopAuthorized", 60, 900))
    assert noticed(actions) == ["sequence gap"]
    (bill,) = driver.host.csms.billed()
    assert (bill.energy_wh, bill.complete) == (800, False)
    for number in (2, 1):
        driver.seq_no = number
        late = _say(driver, driver.event("Updated", "MeterValuePeriodic", 10 * number, 100 + number))
        assert of(late, TransactionUpdated)
        assert noticed(late) == []
    (bill,) = driver.host.csms.billed()
    assert (bill.energy_wh, bill.complete) == (800, True)


@pytest.mark.requirement("2.0.1-E-1.3.2", "2.1-E-1.3.2")
def test_numbers_may_begin_anywhere(version: OcppVersion) -> None:
    driver = _driver(version)
    driver.seq_no = 4711
    assert noticed(_say(driver, driver.event("Started", "Authorized", 0, 100))) == []
    assert noticed(_say(driver, driver.event("Ended", "StopAuthorized", 1, 200))) == []
    assert driver.host.csms.billed()[0].complete


@pytest.mark.requirement("2.0.1-E-1.3.2", "2.1-E-1.3.2")
def test_a_station_that_counts_wrongly_loses_no_bill(version: OcppVersion) -> None:
    driver = _driver(version)
    _say(driver, driver.event("Updated", "MeterValuePeriodic", 0, 50))
    driver.seq_no = 0
    started = _say(driver, driver.event("Started", "Authorized", 0, 100))
    assert of(started, TransactionStarted)
    driver.seq_no = 0
    ended = _say(driver, driver.event("Ended", "StopAuthorized", 60, 900))
    assert of(ended, TransactionEnded)
    assert noticed(started) == noticed(ended) == ["contradiction"]
    driver.seq_no = 7
    second = _say(driver, driver.event("Ended", "StopAuthorized", 70, 9000))
    assert of(second, TransactionEnded) == []
    assert "contradiction" in noticed(second)
    assert driver.host.csms.billed()[0].energy_wh == 800


@pytest.mark.requirement("2.0.1-E-1.3.2", "2.1-E-1.3.2")
def test_an_end_without_a_start(version: OcppVersion) -> None:
    driver = _driver(version)
    driver.seq_no = 5
    ended = _say(driver, driver.event("Ended", "EVDeparted", 60, 900))
    event = one(ended, TransactionEnded)
    assert (event.evse, event.meter_wh) == (None, 900)
    assert noticed(ended) == ["start unknown"]
    (bill,) = driver.host.csms.billed()
    assert (bill.started_at, bill.start_wh, bill.complete) == (None, 900, False)


@pytest.mark.requirement("E01.FR.11")
def test_the_start_says_who_the_driver_is(version: OcppVersion) -> None:
    driver = _driver(version, ASKING)
    later = driver.event("Started", "Authorized", 0, 100, **TOKEN)
    stopper: dict[str, Any] = {"idToken": {"idToken": "STOPPER", "type": "Central"}}
    asked = one(_say(driver, driver.event("Ended", "StopAuthorized", 9, 200, **stopper)), AskAuthorization)
    driver.host.csms.answer_authorization(asked.question, GOOD, driver.host.now)
    driver.host.drain()
    assert driver.host.csms.billed()[0].id_token == IdToken("STOPPER", "Central")
    assert one(_say(driver, later), AskAuthorization).token == IdToken("T"), "nothing is known of this one"
    assert driver.host.csms.billed()[0].id_token == IdToken("T")


def test_where_start_and_end_bring_no_register_the_readings_do(version: OcppVersion) -> None:
    driver = _driver(version)
    _say(driver, driver.event("Started", "Authorized", 0))
    _say(driver, driver.event("Updated", "MeterValuePeriodic", 10, 1000.1))
    _say(driver, driver.event("Updated", "MeterValuePeriodic", 20, 1000.4))
    (running,) = driver.host.csms.billed()
    assert (running.energy_wh, running.complete) == (0.3, False), "exact as decimals"
    _say(driver, driver.event("Ended", "StopAuthorized", 30))
    (bill,) = driver.host.csms.billed()
    assert (bill.start_wh, bill.stop_wh, bill.energy_wh, bill.complete) == (1000.1, 1000.4, 0.3, True)


def test_a_register_that_went_backwards_bills_nothing(version: OcppVersion) -> None:
    driver = _driver(version)
    _say(driver, driver.event("Started", "Authorized", 0, 1000))
    _say(driver, driver.event("Ended", "StopAuthorized", 30, 10))
    (bill,) = driver.host.csms.billed()
    assert (bill.start_wh, bill.stop_wh, bill.energy_wh) == (1000, 10, None)


def test_the_end_brings_the_whole_series(version: OcppVersion) -> None:
    driver = _driver(version)
    values = [
        {"timestamp": stamp(at), "sampledValue": [{"value": wh, "context": context}]}
        for at, wh, context in (
            (60, 900, "Transaction.End"),
            (0, 100, "Transaction.Begin"),
            (30, 500, "Sample.Periodic"),
        )
    ]
    ended = one(
        _say(driver, driver.event("Ended", "StopAuthorized", 60, meterValue=values)), TransactionEnded
    )
    assert ended.meter_wh == 900
    assert [reading.context for reading in ended.readings] == [
        "Transaction.End",
        "Transaction.Begin",
        "Sample.Periodic",
    ]
    (bill,) = driver.host.csms.billed()
    assert (bill.start_wh, bill.energy_wh) == (100, 800)


def test_words_of_a_later_edition_stand_as_they_came(version: OcppVersion) -> None:
    tolerant = RpcConfig(tolerance=Tolerance())
    driver = _driver(version, CsmsConfig(registration=ACCEPTED, authorization=GOOD, rpc=tolerant))
    payload = driver.event("Updated", "MoonPhase", 0, info={"chargingState": "Dreaming"})
    updated = one(_say(driver, payload), TransactionUpdated)
    assert (updated.trigger, updated.charging_state) == ("MoonPhase", "Dreaming")
    if version is V21:
        updated = one(_say(driver, driver.event("Updated", "SoCLimitReached", 1)), TransactionUpdated)
        assert updated.trigger == "SoCLimitReached"
    else:
        assert version is V201
