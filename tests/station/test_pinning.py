"""A transaction is bound to the version it was told in; what to do with one that no server takes."""

import json

import pytest

from ocpp_core.station import (
    FactHandedOver,
    LinkFailure,
    NoticeKind,
    OpenLink,
    PinPolicy,
)

from .bench import FACTS, V16, V21, V201, VERSIONS, Bench, config


@pytest.mark.parametrize("version", VERSIONS)
def test_open_transactions_hold_the_station_to_their_version(version):
    bench = Bench(version, config=config())
    bench.start_charging()
    assert bench.state()["queue"]["pinned"] == version
    bench.cut(back=True)
    bench.run(20)
    assert bench.done(OpenLink)[-1] == OpenLink((version,))
    bench.power_loss()
    assert bench.done(OpenLink)[-1] == OpenLink((version,))
    bench.run(10)
    assert bench.state()["queue"]["pinned"] is None
    bench.cut(back=True)
    bench.run(20)
    assert bench.done(OpenLink)[-1] == OpenLink((V21, V201, V16))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_never_on_the_wire_goes_out_under_any_version(version):
    bench = Bench(version, config=config(offline_tx_for_unknown_id=True), start=False)
    bench.dials = False
    bench.power_up()
    bench.start_charging()
    bench.charge(100)
    assert bench.state()["queue"]["pinned"] is None
    bench.mend()
    bench.unplug()
    assert len(bench.begun()) == len(bench.ended()) == 1


def pinned_then_refused(version, policy):
    """A transaction told in ``version``; then the server speaks another one only."""
    bench = Bench(version, config=config(pin_policy=policy, sample_interval=60.0))
    bench.start_charging()
    bench.cut(back=True)
    bench.run(5)
    bench.version = V16 if version is not V16 else V201
    bench.forget()
    return bench


@pytest.mark.parametrize("version", VERSIONS)
def test_hold_offers_the_version_again_and_says_so(version):
    bench = pinned_then_refused(version, PinPolicy.HOLD)
    bench.run(100)
    assert set(bench.done(OpenLink)) == {OpenLink((version,))}
    assert str(version) in bench.notices(NoticeKind.PINNED)[0]
    assert bench.done(FactHandedOver) == []
    bench.version = version
    bench.run(100)
    bench.unplug()
    assert bench.queued == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_hand_over_gives_the_operator_what_no_csms_will_hear(version):
    bench = pinned_then_refused(version, PinPolicy.HAND_OVER)
    bench.run(100)
    assert bench.done(OpenLink)[-1] == OpenLink((V21, V201, V16))
    assert bench.online
    first = bench.done(FactHandedOver)
    assert {(handed.version, handed.csms_id) for handed in first} == {
        (version, 1 if version is V16 else None)
    }
    bench.start_charging("B2", 2)  # news for the new CSMS
    bench.run(60)
    assert bench.ask(*remote_stop(bench, 1))["status"] == ("Accepted" if bench.version is V16 else "Rejected")
    bench.unplug(1)
    bench.run(1)
    handed = bench.done(FactHandedOver)
    assert handed[-1].fact.phase == "Ended"
    transactions = {one.fact.transaction for one in handed}
    assert len(transactions) == 1
    told = json.dumps(bench.frames)
    assert not any(transaction in told for transaction in transactions)
    bench.station.set_utc(None, bench.now)  # any input: what was handed over is forgotten
    bench.drain()
    bench.unplug(2) if bench.evse(2)["plugged"] else None
    bench.run(1)
    assert bench.queued == 0
    assert bench.station.snapshot().get("wires") is None


def remote_stop(bench, number):
    if bench.version is V16:
        return "RemoteStopTransaction", {"transactionId": number}
    return "RequestStopTransaction", {"transactionId": str(number)}


def test_what_was_handed_over_is_handed_over_again_after_a_crash():
    bench = pinned_then_refused(V201, PinPolicy.HAND_OVER)
    bench.dials = False
    bench.suspend()
    bench.station.connect(bench.now)
    bench.station.actions()
    bench.station.link_failed(LinkFailure.REFUSED_SUBPROTOCOL, "", bench.now)
    for action in bench.station.actions():
        if type(action).__name__ == "Commit":
            bench.store.commit(action)
    bench.power_up()
    handed = bench.done(FactHandedOver)
    assert handed
    assert not handed[0].attempted
    bench.run(6)
    assert bench.done(FactHandedOver)[-1].fact.phase == "Ended"
    bench.run(60)
    assert bench.queued == 0


def test_a_refused_subprotocol_without_open_transactions_is_just_that():
    bench = Bench(V201)
    bench.cut(back=True)
    bench.version = V16
    bench.run(30)
    assert bench.notices(NoticeKind.PINNED) == []
    assert not bench.online


@pytest.mark.parametrize("version", VERSIONS)
def test_an_attempted_fact_is_handed_over_as_such(version):
    bench = Bench(version, config=config(pin_policy=PinPolicy.HAND_OVER))
    bench.start_charging()
    bench.ignores |= FACTS
    bench.unplug()
    bench.cut(back=True)
    bench.version = V16 if version is not V16 else V201
    bench.run(100)
    (handed,) = bench.done(FactHandedOver)
    assert handed.attempted
    assert handed.fact.phase == "Ended"
    assert bench.queued == 0
