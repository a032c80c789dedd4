"""One session in three versions leads to the same domain events, rows and bill."""

from dataclasses import fields, replace

import pytest

from ocpp_core import OcppVersion
from ocpp_core.csms import (
    Bill,
    HeartbeatReceived,
    MeterValuesReported,
    SecurityEventReported,
    StationBooted,
    StatusReported,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
    TransactionUpdated,
)
from ocpp_core.domain.layout import ConnectorRef
from ocpp_core.domain.status import ConnectorStatus
from ocpp_core.domain.tokens import ANY_TYPE, IdToken
from ocpp_core.domain.transactions import StopReason, TriggerReason
from tests.csms.csms_kit import START, V16, VERSIONS, Driver, Host, told

ONLY_2X = {"transaction", "seq_no"}
"""The station's transaction id and its count of messages: 1.6 has neither, nor a token's type."""


def _session(version: OcppVersion) -> tuple[list[object], Bill]:
    host = Host(version)
    driver = Driver(host)
    driver.boot()
    driver.status("Available", "Available", 1)
    driver.heartbeat()
    driver.authorize("DEADBEEF")
    driver.loose_reading(2, 1000)
    driver.security_event(3)
    driver.status("Preparing", "Occupied", 4)
    driver.start("DEADBEEF", 5, 1000)
    driver.meter(65, 1500.5)
    driver.meter(125, 2000)
    driver.stop("DEADBEEF", 130, 2100)
    driver.status("Finishing", "Occupied", 131)
    (bill,) = host.csms.billed()
    return told(driver.heard), bill


def _same(event: object) -> object:
    """An event without what only 2.x carries, and with a status as the domain has it."""
    if isinstance(event, TransactionEvent):
        assert set(ONLY_2X) <= {item.name for item in fields(event)}
        token = event.id_token and replace(event.id_token, type=ANY_TYPE)
        return replace(event, transaction="", seq_no=None, id_token=token)
    return replace(event, wire_status="") if isinstance(event, StatusReported) else event


@pytest.mark.requirement("E01.FR.12", "E02.FR.02", "J01.FR.18", "J02.FR.19", "1.6-4.8", "1.6-4.10")
def test_the_same_session_gives_the_same_events() -> None:
    sessions = {version: _session(version) for version in VERSIONS}
    expected = [_same(event) for event in sessions[V16][0]]
    assert [type(event) for event in expected] == [
        StationBooted,
        StatusReported,
        HeartbeatReceived,
        MeterValuesReported,
        SecurityEventReported,
        StatusReported,
        TransactionStarted,
        TransactionUpdated,
        TransactionUpdated,
        TransactionEnded,
        StatusReported,
    ]
    for version in VERSIONS:
        assert [_same(event) for event in sessions[version][0]] == expected, version


@pytest.mark.parametrize("version", VERSIONS)
def test_the_events_say_what_happened(version: OcppVersion) -> None:
    events, bill = _session(version)
    started, updated, _, ended = (event for event in events if isinstance(event, TransactionEvent))
    assert isinstance(started, TransactionStarted)
    assert (started.evse, started.connector, started.meter_wh) == (1, 1, 1000)
    token = IdToken("DEADBEEF", ANY_TYPE if version is V16 else "ISO14443")
    assert (started.trigger, started.id_token) == (TriggerReason.AUTHORIZED, token)
    assert isinstance(updated, TransactionUpdated)
    assert (updated.evse, updated.connector, updated.meter_wh) == (1, 1, 1500.5)
    assert updated.trigger is TriggerReason.METER_VALUE_PERIODIC
    assert [quantity.value for reading in updated.readings for quantity in reading.quantities] == [1500.5]
    assert isinstance(ended, TransactionEnded)
    assert (ended.stop_reason, ended.trigger) == (StopReason.LOCAL, TriggerReason.STOP_AUTHORIZED)
    assert (ended.evse, ended.connector, ended.meter_wh) == (1, 1, 2100)
    assert {event.transaction for event in (started, updated, ended)} == {bill.transaction}
    assert (bill.start_wh, bill.stop_wh, bill.energy_wh, bill.complete) == (1000, 2100, 1100, True)
    assert (bill.id_token, bill.started_at) == (token, started.at)
    status = next(event for event in events if isinstance(event, StatusReported))
    assert (status.ref, status.status, status.error) == (ConnectorRef(1, 1), ConnectorStatus.AVAILABLE, None)
    assert started.at.tzinfo is START.tzinfo


@pytest.mark.parametrize("version", VERSIONS)
def test_the_rows_survive_the_connection(version: OcppVersion) -> None:
    host = Host(version)
    driver = Driver(host)
    driver.boot()
    driver.start("T", 0, 0)
    driver.meter(1, 10)
    later = host.reconnect()
    driver.host = later
    driver.meter(2, 20)
    driver.stop("T", 3, 30)
    events = [event for event in told(driver.heard) if isinstance(event, TransactionEvent)]
    kinds = [TransactionStarted, TransactionUpdated, TransactionUpdated, TransactionEnded]
    assert [type(event) for event in events] == kinds
    assert len({event.transaction for event in events}) == 1
    assert [(event.evse, event.connector) for event in events] == [(1, 1)] * 4
    assert later.csms.snapshot() == later.store.load()
    (bill,) = later.csms.billed()
    assert (bill.energy_wh, bill.complete) == (30, True)
