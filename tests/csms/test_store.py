"""The rows, commits that fail, rows that are damaged, limits that make no sense."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core import ConfigurationError, LocalProtocolError, OcppVersion, SeededEntropy, StoreError
from ocpp_core.csms import (
    AskAuthorization,
    CloseLink,
    CommandAnswered,
    CommandFailed,
    Csms,
    CsmsConfig,
    Notice,
    NoticeKind,
    Topic,
    TransactionStarted,
    Trigger,
    tables_of,
)
from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.domain.tokens import AuthorizationStatus, IdToken, IdTokenInfo
from ocpp_core.rpc import CallFailed, SendFrame
from ocpp_core.store import Commit, MemoryStore, Put
from tests.csms.csms_kit import ASKING, OPEN_HOUSE, V16, V201, VERSIONS, Driver, Host, noticed, of, one

NAMES = st.text(st.sampled_from("a/%2F") | st.characters(), max_size=9) | st.sampled_from(
    ["CP", "CP/transactions", "CP%2Ftransactions", "CP/progress"]
)


@given(NAMES, NAMES)
def test_no_identity_can_name_the_tables_of_another(first: str, second: str) -> None:
    assert first == second or not set(tables_of(first)) & set(tables_of(second))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_commit_comes_first_and_holds_what_the_rest_says(version: OcppVersion) -> None:
    host = Host(version)
    host.boot()
    Driver(host).start("T", 0, 0)
    later = Host(version, store=host.store)
    assert later.csms.billed() == host.csms.billed()
    assert later.csms.registration is RegistrationStatus.ACCEPTED
    csms = Csms(OPEN_HOUSE, "CP-2", version, SeededEntropy(1), 0.0)
    csms.set_utc(0, 0.0)
    csms.receive_frame(json.dumps([2, "1", "Heartbeat", {}]), 0.0)
    assert not of(csms.actions(), Commit), "nothing changed"


def test_rows_are_named_by_identity() -> None:
    rows = {"csms/A": {"registration": '{"status": "Rejected"}'}, "csms/B": {"registration": "?"}}
    csms = Csms(OPEN_HOUSE, "A", V16, SeededEntropy(1), 0.0, rows)
    assert csms.registration is RegistrationStatus.REJECTED
    assert csms.snapshot() == {"csms/A": rows["csms/A"]}
    assert set(csms.snapshot()) <= set(tables_of("A"))
    assert Csms(OPEN_HOUSE, "C", V16, SeededEntropy(1), 0.0, rows).snapshot() == {}


def _without_commit(host: Host, action: str, payload: dict[str, Any]) -> list[Any]:
    """A call whose commit fails: what the machine hands out after it was told."""
    host.csms.receive_frame(json.dumps([2, "lost", action, payload]), host.now)
    assert isinstance(host.csms.actions()[0], Commit)
    host.csms.store_failed("disk full", host.now)
    return list(host.csms.actions())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_commit_that_failed_never_happened(version: OcppVersion) -> None:
    host = Host(version)
    host.boot()
    call_id = host.csms.call(Trigger(Topic.HEARTBEAT), host.now)
    host.drain()
    driver = Driver(host)
    start = driver.event("Started", "Authorized", 0, 1)
    action = "TransactionEvent"
    if version is V16:
        action = "StartTransaction"
        start = {"connectorId": 1, "idTag": "T", "meterStart": 1, "timestamp": start["timestamp"]}
    actions = _without_commit(host, action, start)
    assert of(actions, SendFrame) == [], "the station hears nothing"
    assert of(actions, TransactionStarted) == []
    assert one(actions, CloseLink).code == 1011
    assert one(actions, CommandFailed).call_id == call_id
    assert noticed(actions) == ["store failed"]
    host.csms.receive_frame(json.dumps([2, "x", "Heartbeat", {}]), host.now)
    assert host.csms.actions() == []
    later = host.reconnect()
    again = later.say(action, start)
    assert one(again, TransactionStarted)
    assert len(later.csms.billed()) == 1


def test_the_result_of_a_call_outlives_a_failed_commit() -> None:
    host = Host(V201)
    host.boot()
    call_id = host.csms.call(Trigger(Topic.HEARTBEAT), host.now)
    host.drain()
    host.csms.receive_frame(json.dumps([3, call_id, {"status": "Accepted"}]), host.now)
    actions = _without_commit(host, "TransactionEvent", Driver(host).event("Started", "Authorized", 0, 1))
    assert one(actions, CommandAnswered).call_id == call_id
    assert of(actions, CallFailed) == []


def test_what_came_while_the_commit_was_under_way_never_happened_either() -> None:
    host = Host(V201)
    host.boot()
    driver = Driver(host)
    started = driver.event("Started", "Authorized", 0, 1)
    host.csms.receive_frame(json.dumps([2, "1", "TransactionEvent", started]), host.now)
    assert of(host.csms.actions(), Commit)
    ended = driver.event("Ended", "StopAuthorized", 1, 2)
    host.csms.receive_frame(json.dumps([2, "2", "TransactionEvent", ended]), host.now)
    host.csms.store_failed("disk full", host.now)
    assert [type(action) for action in host.csms.actions()] == [Notice, CloseLink]
    assert host.reconnect().csms.billed() == ()


def test_a_commit_may_fail_after_the_link_was_lost() -> None:
    host = Host(V201)
    host.csms.receive_frame(json.dumps([2, "b", "Heartbeat", {}]), host.now)
    host.csms.link_lost(host.now)
    host.csms.actions()
    host.csms.store_failed("disk full", host.now)
    actions = host.csms.actions()
    assert of(actions, CloseLink) == []
    assert [notice.kind for notice in of(actions, Notice)] == [NoticeKind.STORE_FAILED]
    with pytest.raises(LocalProtocolError, match="lost"):
        host.csms.link_lost(host.now)
    with pytest.raises(LocalProtocolError, match="lost"):
        host.csms.receive_frame("x", host.now)


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_about_a_transaction_is_in_its_rows(version: OcppVersion) -> None:
    host = Host(version, ASKING)
    host.boot()
    driver = Driver(host)
    if version is V16:
        asked_in = host.say(
            "StartTransaction",
            {"connectorId": 1, "idTag": "T", "meterStart": 5, "timestamp": "2026-11-20T10:00:00Z"},
        )
    else:
        token = {"idToken": {"idToken": "T", "type": "ISO14443"}}
        asked_in = host.say("TransactionEvent", driver.event("Started", "Authorized", 0, 5, **token))
    question = one(asked_in, AskAuthorization).question
    info = IdTokenInfo(AuthorizationStatus.ACCEPTED, IdToken("G", "Central"), 1_800_000_000_000, (1, 2))
    host.csms.answer_authorization(question, info, host.now)
    host.drain()
    before = host.csms._transactions.ledger.records
    after = host.reconnect()
    restored = after.csms._transactions.ledger.records
    assert [str(record) for record in restored.values()] != []
    for name, record in before.items():
        again = restored[name]
        assert (again.info, again.token, again.serial) == (info, record.token, record.serial)
        assert again.seen.intervals == record.seen.intervals
        assert (again.earliest, again.latest) == (record.earliest, record.latest)
        assert again.bill() == record.bill()


@pytest.mark.parametrize("row", ["", "[]", "{}", '{"serial": 1}', "null"])
def test_damaged_transactions_are_told(row: str) -> None:
    store = MemoryStore({"csms/CP-1/transactions": {"tx": row}})
    with pytest.raises(StoreError, match="transaction 'tx'"):
        Host(V201, store=store)


@pytest.mark.parametrize("row", ["{", "[]", "[[[1]],[],[],[]]", "7"])
def test_damaged_progress_is_told(row: str) -> None:
    host = Host(V201)
    host.boot()
    Driver(host).start("T", 0, 0)
    host.store.commit(Commit((Put("csms/CP-1/progress", "tx-1", row),)))
    with pytest.raises(StoreError, match="transaction 'tx-1'"):
        Host(V201, store=host.store)


@pytest.mark.parametrize(
    "wrong", [{"question_timeout": 0}, {"open_transactions": 0}, {"closed_transactions": 0}]
)
def test_limits_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        CsmsConfig(**wrong)


def test_idle_timers() -> None:
    host = Host(V201, ASKING)
    assert host.csms.next_timer() is None
    host.boot()
    host.csms.call(Trigger(Topic.HEARTBEAT), host.now, timeout=10)
    assert host.csms.next_timer() == host.now + 10
    host.say("Authorize", {"idToken": {"idToken": "T", "type": "Central"}})
    assert host.csms.next_timer() == host.now + 10
    host.csms.handle_timer(host.now)
    assert host.csms.next_timer() == host.now + 10
