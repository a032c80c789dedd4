"""The contactor and power loss: when a transaction waits for hardware, and what it does without."""

from itertools import chain, combinations

import pytest

from ocpp_core.domain.layout import Layout
from ocpp_core.errors import ConfigurationError
from ocpp_core.station import DoPower, NoticeKind, TransactionChanged, TxPoint

from .bench import V16, VERSIONS, Bench, config

CONNECTED, AUTHORIZED, CLOSED, ENERGY = TxPoint
POINTS = [
    frozenset(points)
    for points in chain.from_iterable(combinations(TxPoint, count) for count in range(1, len(TxPoint) + 1))
]


def name(points):
    return "+".join(sorted(points))


@pytest.mark.requirement("E06.FR.11")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_transaction_waits_for_its_last_reading(version):
    bench = Bench(version)
    bench.start_charging()
    bench.contactor = False
    bench.charge(100)
    bench.present("A1")
    assert bench.ended() == []
    bench.charge(1)
    bench.switch(on=False)
    (ended,) = bench.ended()
    told = ended["meterStop"] if version is V16 else ended["meterValue"][-1]["sampledValue"][0]["value"]
    assert told == 1101


@pytest.mark.parametrize("version", VERSIONS)
def test_a_contactor_that_says_nothing_is_taken_to_be_open(version):
    bench = Bench(version, power_deadline=5.0)
    bench.start_charging()
    bench.contactor = False
    bench.present("A1")
    bench.run(4.9)
    assert bench.ended() == []
    bench.run(0.1)
    assert len(bench.ended()) == 1
    assert len(bench.notices(NoticeKind.HARDWARE_SILENT)) == 1
    bench.switch(on=False)  # after all
    assert len(bench.ended()) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_contactor_that_does_not_close_is_told_to_stay_open(version):
    bench = Bench(version, power_deadline=5.0)
    bench.contactor = False
    bench.plug_in()
    bench.present("A1")
    bench.run(5)
    assert bench.done(DoPower) == [DoPower(1, True), DoPower(1, False)]
    assert bench.evse()["power"] == "off"
    bench.run(100)
    assert len(bench.done(DoPower)) == 2
    bench.switch(on=True)  # it closed late: the driver is still there
    assert bench.evse()["charging_state"] == "Charging"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_contactor_that_closes_for_nobody_is_opened(version):
    bench = Bench(version)
    bench.contactor = False
    bench.switch(on=True)
    assert bench.done(DoPower) == [DoPower(1, False)]
    assert bench.evse()["power"] == "opening"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_next_driver_waits_until_the_contactor_is_open(version):
    bench = Bench(version)
    bench.start_charging()
    bench.contactor = False
    bench.unplug()
    bench.plug_in()
    bench.present("B2")
    assert bench.done(DoPower)[-1] == DoPower(1, False)
    bench.switch(on=False)
    assert bench.done(DoPower)[-1] == DoPower(1, True)
    bench.switch(on=True)
    assert bench.evse()["charging_state"] == "Charging"
    assert bench.evse()["driver"] == "B2"


@pytest.mark.parametrize("version", VERSIONS)
def test_unplugging_while_the_contactor_opens_ends_with_the_reason_of_the_stop(version):
    bench = Bench(version)
    bench.start_charging()
    bench.contactor = False
    bench.present("A1")
    bench.unplug()
    (ended,) = bench.ended()
    assert (ended["reason"] if version is V16 else ended["transactionInfo"]["stoppedReason"]) == "Local"


@pytest.mark.parametrize("version", VERSIONS)
def test_nobody_is_let_in_while_a_transaction_ends(version):
    bench = Bench(version)
    bench.start_charging()
    bench.contactor = False
    bench.present("A1")
    bench.present("B2")
    assert "another driver" in bench.notices(NoticeKind.TOKEN_REFUSED)[-1]
    bench.suspend()
    assert len(bench.done(TransactionChanged)) == 3


@pytest.mark.parametrize("version", VERSIONS)
def test_pauses_before_power_are_remembered(version):
    bench = Bench(version)
    bench.plug_in()
    bench.suspend()
    bench.present("A1")
    assert bench.evse()["charging_state"] == "SuspendedEV"


@pytest.mark.parametrize("version", VERSIONS)
def test_an_energy_stop_without_energy_is_none(version):
    """A pause before anything was charged does not end a transaction that waits for energy to stop."""
    bench = Bench(version, tx_stop_points=frozenset({ENERGY}))
    bench.plug_in()
    bench.suspend()
    bench.present("A1")
    bench.resume()
    assert bench.evse()["transaction"]
    bench.suspend(by="EVSE")
    assert bench.evse()["transaction"] is None
    (ended,) = bench.ended()
    assert (ended["reason"] if version is V16 else ended["transactionInfo"]["stoppedReason"]) == "Other"


# power loss


@pytest.mark.requirement("E06.FR.16", "1.6-4.10")
@pytest.mark.parametrize("speaks", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_power_loss_cut_short_ends_with_what_the_meter_says_or_said(version, speaks):
    bench = Bench(version)
    bench.start_charging()
    bench.charge(500)
    bench.suspend()
    bench.charge(20)
    bench.power_loss()
    assert bench.evse()["ending"] == "PowerLoss"
    bench.present("B2", 1)
    assert bench.evse()["driver"] is None
    bench.charge(0) if speaks else bench.run(5)
    assert bench.evse()["transaction"] is None
    (ended,) = bench.ended()
    if version is V16:
        assert (ended["reason"], ended["meterStop"]) == ("PowerLoss", 1520 if speaks else 1500)
    else:
        info = ended["transactionInfo"]
        assert (ended["triggerReason"], info["stoppedReason"]) == ("AbnormalCondition", "PowerLoss")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("first", ["plug_in", "switch"])
def test_hardware_that_speaks_first_ends_it_too(version, first):
    bench = Bench(version)
    bench.start_charging()
    bench.power_loss()
    bench.wh.clear()
    bench.plug_in() if first == "plug_in" else bench.switch(on=False)
    assert len(bench.ended()) == 1
    bench.run(10)
    assert len(bench.ended()) == 1
    assert len(bench.begun()) == (2 if first == "plug_in" and version is not V16 else 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_evse_that_is_gone_after_a_restart_ends_its_transaction(version):
    bench = Bench(version)
    bench.start_charging(evse=2)
    bench.config = config(version, layout=Layout((1,)))
    if version is V16:
        bench.config = config(version, layout=Layout((1, 1)))
    bench.power_loss()
    bench.run(6)
    assert len(bench.ended()) == 1
    assert bench.state()["queue"]["facts"] == 0


# no room


@pytest.mark.parametrize("points", [frozenset({point}) for point in TxPoint], ids=name)
@pytest.mark.parametrize("version", VERSIONS)
def test_no_energy_flows_where_no_transaction_can_be_kept(version, points):
    bench = Bench(version, tx_start_points=points)
    bench.disk = False
    bench.present("A1", 2)  # makes a commit fail, if only that of the token
    bench.forget()
    bench.plug_in()
    bench.present("A1", 1)
    assert bench.evse(1)["transaction"] is None
    assert bench.evse(1)["power"] == "off"
    assert bench.done(DoPower) == []
    assert any("EVSE 1" in notice for notice in bench.notices(NoticeKind.TRANSACTION_REFUSED))


@pytest.mark.parametrize("name", ["tx_start_points", "tx_stop_points"])
def test_transactions_start_and_stop_somewhere(name):
    with pytest.raises(ConfigurationError, match=name):
        config(**{name: frozenset()})
