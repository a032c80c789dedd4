"""What was told to one CSMS is told to no other (pinning over network profiles)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.errors import LocalProtocolError
from ocpp_core.station import FactHandedOver, LinkFailure, NoticeKind, OpenLink, PinPolicy

from .bench import FACTS, V16, V21, V201, VERSIONS, Bench, config
from .network_bench import NetworkBench, profile

HOLD, HAND_OVER = PinPolicy
TWO = (profile(0, "one"), profile(1, "two"))
THREE = (*TWO, profile(2, "two"))


def facts(bench, csms):
    """The transaction messages that a CSMS heard, each once."""
    heard = {
        frame[1]: (frame[2], frame[3]) for frame in bench.heard[csms] if frame[0] == 2 and frame[2] in FACTS
    }
    return list(heard.values())


def shape(bench, csms):
    """The same, as begins (+), ends (-) and what lies between (.)."""
    kinds = {"StartTransaction": "+", "StopTransaction": "-", "MeterValues": "."}
    kinds |= {"Started": "+", "Ended": "-", "Updated": "."}
    return "".join(kinds[body.get("eventType", action)] for action, body in facts(bench, csms))


def interrupted(version, policy, csms="two"):
    """A transaction that CSMS one was told of, and whose rest happens when only another profile is there."""
    bench = NetworkBench(
        profile(0, "one"), profile(1, csms), version=version, pin_policy=policy, sample_interval=60.0
    )
    bench.start_charging()
    bench.run(130)
    bench.away(0)
    bench.run(30)
    assert bench.csms == csms
    bench.charge(500)
    bench.run(100)
    return bench


@pytest.mark.requirement("E04.FR.01", "E04.FR.02", "1.6-3.7")
@pytest.mark.parametrize("version", VERSIONS)
def test_held_facts_wait_for_their_csms_and_go_there_in_order(version):
    bench = interrupted(version, HOLD)
    before = shape(bench, "one")
    assert before.startswith("+")
    assert "-" not in before
    assert shape(bench, "two") == ""
    assert bench.state()["queue"]["elsewhere"] == bench.queued > 0
    assert bench.state()["queue"]["pinned"] is None  # not here
    assert [bench.evse()["transaction"] in notice for notice in bench.notices(NoticeKind.PINNED)] == [True]
    bench.unplug()
    bench.start_charging("B2", 2)  # the new CSMS has its own
    bench.run(100)
    bench.unplug(2)
    assert shape(bench, "two")[0] + shape(bench, "two")[-1] == "+-"
    held = bench.queued
    bench.power_loss()
    assert bench.csms is None or bench.csms == "two"
    bench.run(30)
    assert bench.queued == held
    bench.back(0)
    bench.go_to(0)
    assert bench.csms == "one"
    assert bench.queued == 0
    assert shape(bench, "one").startswith(before)
    assert shape(bench, "one").count("-") == 1
    assert bench.done(FactHandedOver) == []
    told = [body.get("timestamp") or body["meterValue"][0]["timestamp"] for _, body in facts(bench, "one")]
    assert told == sorted(told)
    if version is not V16:
        assert [body["seqNo"] for _, body in facts(bench, "one")] == list(range(len(told)))
    assert "wires" not in bench.station.snapshot()


@pytest.mark.parametrize("version", VERSIONS)
def test_handed_over_facts_go_to_the_operator_and_to_no_csms(version):
    bench = interrupted(version, HAND_OVER)
    transaction = bench.evse()["transaction"]
    at_one = shape(bench, "one")
    bench.unplug()
    bench.run(1)
    handed = [action.fact for action in bench.done(FactHandedOver)]
    assert {fact.transaction for fact in handed} == {transaction}
    assert handed[-1].phase == "Ended"
    assert [fact.at.mono for fact in handed] == sorted(fact.at.mono for fact in handed)
    assert bench.queued == 0
    assert shape(bench, "two") == ""
    bench.back(0)
    bench.go_to(0)
    bench.run(10)
    assert shape(bench, "one") == at_one
    assert "wires" not in bench.station.snapshot()


@pytest.mark.parametrize("policy", PinPolicy)
@pytest.mark.parametrize("version", VERSIONS)
def test_two_ways_to_one_csms_go_on_with_its_transactions(version, policy):
    bench = interrupted(version, policy, csms="one")
    assert bench.done(OpenLink)[-1] == OpenLink((version,), 1)
    bench.unplug()
    assert bench.queued == 0
    assert shape(bench, "one").count("-") == shape(bench, "one").count("+") == 1
    assert bench.notices(NoticeKind.PINNED) == []
    assert bench.done(FactHandedOver) == []


@pytest.mark.requirement("1.6-5.12", "1.6-5.17")
@pytest.mark.parametrize("number", [1, -1])
def test_the_number_of_one_csms_means_nothing_to_another(number):
    """1.6's transactionId: the second CSMS may have given the same one, or mean nothing by it."""
    bench = interrupted(V16, HOLD)
    stop = ("RemoteStopTransaction", {"transactionId": number})
    assert bench.ask(*stop)["status"] == "Rejected"
    bench.start_charging("B2", 2)  # which the script numbers 2
    assert bench.evse(1)["charging_state"] == bench.evse(2)["charging_state"] == "Charging"
    assert bench.ask("RemoteStopTransaction", {"transactionId": 2})["status"] == "Accepted"
    assert bench.evse(2)["charging_state"] != "Charging"
    reading = {"requestedMessage": "MeterValues", "connectorId": 1}
    assert bench.ask("TriggerMessage", reading)["status"] == "Accepted"
    assert "transactionId" not in bench.told("two", "MeterValues")[-1]
    bench.back(0)
    bench.go_to(0)
    assert bench.ask(*stop)["status"] == ("Accepted" if number == 1 else "Rejected")


@pytest.mark.parametrize("policy", PinPolicy)
def test_a_16_transaction_that_has_not_begun_is_nobody_elses(policy):
    """A car without a driver is nothing that 1.6 tells: whichever CSMS is there when it begins is told."""
    bench = NetworkBench(*TWO, version=V16, pin_policy=policy)
    bench.wh[1] = 10.0
    bench.plug_in()
    assert bench.state()["queue"]["pinned"] == V16
    bench.away(0)
    bench.run(30)
    assert bench.csms == "two"
    bench.present("A1")
    bench.unplug()
    assert shape(bench, "one") == ""
    assert shape(bench, "two") == "+-"
    assert bench.notices(NoticeKind.PINNED) == []


def test_but_another_version_cannot_go_on_with_it():
    """1.6 had nothing to say of its first fact, 2.x would have had."""
    bench = NetworkBench(*TWO, version=V16)
    bench.speaks[1] = V201
    bench.wh[1] = 10.0
    bench.plug_in()
    bench.away(0)
    bench.run(30)
    assert bench.csms == "two"
    bench.present("A1")
    bench.run(30)
    assert shape(bench, "two") == ""
    assert bench.state()["queue"]["elsewhere"] == bench.queued > 0
    bench.back(0)
    bench.go_to(0)
    bench.unplug()
    assert shape(bench, "one") == "+-"


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_never_told_goes_to_whoever_is_there(version):
    bench = NetworkBench(*TWO, version=version, offline_tx_for_unknown_id=True)
    bench.away(0, 1)
    bench.start_charging()
    bench.run(50)
    bench.back(1)
    bench.run(100)
    assert bench.csms == "two"
    bench.unplug()
    assert shape(bench, "one") == ""
    assert shape(bench, "two")[0] + shape(bench, "two")[-1] == "+-"


@pytest.mark.parametrize("version", VERSIONS)
def test_what_may_have_arrived_counts_as_told(version):
    """A start that was sent, and whose answer never came, goes to the same CSMS again and to no other."""
    bench = NetworkBench(*TWO, version=version, offline_tx_for_unknown_id=True)
    bench.ignores |= FACTS
    bench.plug_in()
    bench.present("A1")
    assert shape(bench, "one") == "+"
    bench.away(0)
    bench.ignores -= FACTS
    bench.run(30)
    bench.unplug()
    assert shape(bench, "two") == ""
    bench.back(0)
    bench.go_to(0)
    assert shape(bench, "one")[0] + shape(bench, "one")[-1] == "+-"
    starts = [frame for frame in bench.heard["one"] if frame[0] == 2 and frame[2] in FACTS][:2]
    assert starts[0] == starts[1]


@pytest.mark.parametrize(("policy", "version"), [(policy, v) for policy in PinPolicy for v in VERSIONS])
def test_each_csms_has_a_version_of_its_own(policy, version):
    """Being held to a version by one CSMS is no reason to offer another one only that."""
    other = V16 if version is not V16 else V21
    bench = NetworkBench(*TWO, version=version, pin_policy=policy)
    bench.speaks[1] = other
    bench.start_charging()
    bench.away(0)
    bench.run(30)
    assert bench.done(OpenLink)[-1] == OpenLink((V21, V201, V16), 1)
    assert bench.csms == "two"
    bench.start_charging("B2", 2)
    bench.away(1)
    bench.back(0)
    bench.forget()
    bench.run(30)
    pinned = (version,) if policy is HOLD else (V21, V201, V16)
    assert bench.done(OpenLink)[-1] == OpenLink(pinned, 0)
    assert bench.csms == "one"


def test_a_refusal_by_one_csms_touches_no_transaction_of_another():
    bench = NetworkBench(*TWO, pin_policy=HAND_OVER)
    bench.start_charging()
    bench.speaks[1] = V16
    bench.reconfigure(*TWO, pin_policy=HAND_OVER, versions=(V201,))
    bench.away(0)
    bench.power_loss()
    bench.run(10)  # 0 cannot be had, 1 refuses 2.0.1
    assert bench.done(OpenLink)[-1].slot == 1
    assert bench.notices(NoticeKind.PINNED) == []
    bench.back(0)
    bench.run(30)
    assert shape(bench, "one").count("+") == 1
    assert bench.done(FactHandedOver) == []


def test_a_refusal_concerns_the_transactions_that_this_csms_was_told_of():
    """Two hold the station to a version each; one of them takes it no longer."""
    bench = NetworkBench(*TWO, sample_interval=60.0)
    bench.start_charging()
    bench.away(0)
    bench.run(30)
    bench.start_charging("B2", 2)
    ours, theirs = bench.evse(1)["transaction"], bench.evse(2)["transaction"]
    bench.reconfigure(*reversed(TWO), pin_policy=HAND_OVER)
    bench.away(1)
    bench.speaks[1], bench.reach[1] = V16, True
    bench.power_loss()  # the second CSMS is the first one tried, and refuses 2.0.1
    handed = [action.fact.transaction for action in bench.done(FactHandedOver)]
    assert set(handed) <= {theirs}
    bench.back(0)
    bench.run(30)
    assert bench.csms == "one"
    bench.run(100)
    assert {action.fact.transaction for action in bench.done(FactHandedOver)} == {theirs}
    assert shape(bench, "one").count("-") == 1
    assert ours in spoken_of(bench, "one")


def test_what_the_operator_was_given_waits_for_no_csms():
    bench = NetworkBench(*THREE, pin_policy=HAND_OVER)
    bench.start_charging()
    bench.away(0)
    bench.run(30)
    bench.suspend()
    assert bench.queued == 1
    assert bench.state()["queue"]["elsewhere"] == 0
    assert len(bench.notices(NoticeKind.PINNED)) == 1
    bench.go_to(2)  # another way to the same one, which is told once more that the station is there
    assert len(bench.told("two", "BootNotification")) == 2
    assert bench.evse()["transaction"] is not None
    assert len(bench.notices(NoticeKind.PINNED)) == 1


@pytest.mark.requirement("E04.FR.01")
def test_the_operator_hears_of_no_fact_before_it_is_durable():
    """Else a power loss undoes it, and what the station then makes of the transaction is another fact."""
    bench = NetworkBench(*TWO, pin_policy=HAND_OVER)
    bench.start_charging()
    bench.away(0)
    bench.run(30)
    bench.forget()
    bench.disk = False
    bench.suspend()
    bench.charge(1)
    bench.resume()
    bench.unplug()
    bench.run(1)
    assert bench.done(FactHandedOver) == []
    durable = bench.store.load()
    bench.disk = True
    bench.run(10)
    handed = [action.fact for action in bench.done(FactHandedOver)]
    assert [fact.phase for fact in handed] == ["Updated", "Updated", "Ended"]
    assert bench.queued == 0
    assert "wires" in durable
    assert "wires" not in bench.store.load()


def test_a_fact_handed_over_may_be_thinned_out_before_it_goes():
    """The operator has it; that its row still waits for the next input must not matter."""
    settings = config(pin_policy=HAND_OVER, sample_interval=60.0, outbox_limit=5, dial_timeout=10_000.0)
    bench = Bench(V201, config=settings)
    bench.start_charging()
    bench.dials = None
    bench.cut(back=None)
    bench.run(300)
    assert bench.queued == 5
    bench.station.link_failed(LinkFailure.REFUSED_SUBPROTOCOL, "", bench.now)
    bench.drain()
    assert len(bench.done(FactHandedOver)) == 5
    bench.station.suspend(1, "EV", bench.now)  # one fact more than there is room for
    bench.drain()
    assert len(bench.done(FactHandedOver)) == 6
    bench.station.resume(1, "EV", bench.now)
    bench.drain()
    assert bench.queued == 1


# in any order


MOVES = {
    "plug 1": lambda bench: bench.plug_in(1),
    "plug 2": lambda bench: bench.plug_in(2),
    "token 1": lambda bench: bench.present("A1", 1),
    "token 2": lambda bench: bench.present("B2", 2),
    "unplug 1": lambda bench: bench.unplug(1),
    "unplug 2": lambda bench: bench.unplug(2),
    "pause": lambda bench: bench.suspend(1),
    "one goes": lambda bench: bench.away(0),
    "two goes": lambda bench: bench.away(1, 2),
    "one is back": lambda bench: bench.back(0),
    "two is back": lambda bench: bench.back(1, 2),
    "to one": lambda bench: bench.go_to(0),
    "to two": lambda bench: bench.go_to(1),
    "to two by the other way": lambda bench: bench.go_to(2),
    "cut": lambda bench: bench.cut(back=True),
    "answers stop": lambda bench: bench.ignores.update(FACTS),
    "answers come": lambda bench: bench.ignores.clear(),
    "power loss": lambda bench: bench.power_loss(),
    "a little while": lambda bench: bench.run(15),
    "a while": lambda bench: bench.run(70),
    "the disk is full": lambda bench: setattr(bench, "disk", False),
    "the disk has room": lambda bench: setattr(bench, "disk", True),
}


def spoken_of(bench, csms):
    """The transactions whose rest a CSMS was told, by name or number (which no two give)."""
    told = [body for action, body in facts(bench, csms) if action != "StartTransaction"]
    return {body.get("transactionInfo", body)["transactionId"] for body in told} - {-1}


@pytest.mark.parametrize("policy", PinPolicy)
@pytest.mark.parametrize("version", VERSIONS)
@given(moves=st.lists(st.sampled_from(sorted(MOVES)), max_size=25))
def test_no_csms_hears_of_what_began_elsewhere(version, policy, moves):
    """However links, power, disk and drivers come and go: in the end every CSMS has whole transactions."""
    bench = NetworkBench(
        *THREE, version=version, pin_policy=policy, offline_tx_for_unknown_id=True, sample_interval=60.0
    )
    bench.wh = {1: 10.0, 2: 20.0}
    bench.start_charging()
    for move in moves:
        try:
            MOVES[move](bench)
        except LocalProtocolError:
            bench.drain()
    bench.disk = True
    bench.ignores.clear()
    bench.back(0, 1, 2)
    bench.run(200)
    for number, evse in enumerate(bench.state()["evses"], 1):
        if evse["plugged"]:
            bench.unplug(number)
    bench.run(100)
    for slot in (0, 1, 0):
        bench.go_to(slot)
        bench.run(400)
    assert bench.queued == 0
    assert "wires" not in bench.station.snapshot()
    handed = [action.fact for action in bench.done(FactHandedOver)]
    assert policy is HAND_OVER or not handed
    assert not spoken_of(bench, "one") & spoken_of(bench, "two")
    for csms in ("one", "two"):
        assert spoken_of(bench, csms) <= bench.numbers[csms] or version is not V16
        told = shape(bench, csms)
        assert policy is HAND_OVER or told.count("+") == told.count("-")
        assert told.count("-") <= told.count("+")


def test_the_shape_of_the_test_is_that_of_the_messages():
    """The oracle above reads frames: it must see begins and ends in every version."""
    for version in VERSIONS:
        bench = NetworkBench(*TWO, version=version)
        bench.start_charging()
        bench.unplug()
        assert shape(bench, "one")[0] + shape(bench, "one")[-1] == "+-"
        assert bench.heard["two"] == []
