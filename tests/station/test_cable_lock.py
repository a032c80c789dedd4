"""The lock of the cable: from the plug to the end of the authorization, or until its owner comes."""

import pytest

from ocpp_core.station import DoLock, TxPoint

from .bench import V16, VERSIONS, Bench, group

POWER_PATH = frozenset({TxPoint.POWER_PATH_CLOSED})


def locks(bench, evse=1):
    return [lock.locked for lock in bench.done(DoLock) if lock.ref.evse == evse]


@pytest.mark.requirement("E06.FR.10", "E07.FR.07", "1.6-4.10")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("stop", [TxPoint.AUTHORIZED, TxPoint.EV_CONNECTED])
def test_the_cable_is_free_when_the_authorization_ends(version, stop):
    bench = Bench(version, tx_stop_points=frozenset({stop}))
    bench.start_charging()
    assert locks(bench) == [True]
    bench.present("A1")
    assert locks(bench) == [True, False]
    bench.unplug()
    assert locks(bench) == [True, False]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_cable_is_locked_again_for_the_next_driver(version):
    bench = Bench(version)
    bench.start_charging()
    bench.present("A1")
    bench.present("B2")
    assert locks(bench) == [True, False, True]
    bench.unplug()
    assert locks(bench) == [True, False, True, False]


@pytest.mark.requirement("E05.FR.11", "C15.FR.05", "1.6-errata-3.5", "1.6-errata-3.17")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("comes", ["A1", "G2"])
def test_the_cable_of_a_refused_driver_waits_for_him(version, comes):
    bench = Bench(version)
    bench.tokens = {"A1": group("G", version), "G2": group("G", version)}
    bench.present("G2", 2)
    bench.present("G2", 2)
    bench.ignores |= {"StartTransaction", "TransactionEvent"}
    bench.plug_in()
    if version is not V16:
        bench.answer(bench.calls("TransactionEvent")[-1])
    bench.present("A1")
    bench.tokens["A1"] = group("G", version) | {"status": "Blocked"}
    bench.ignores.clear()
    bench.answer(bench.calls()[-1] if version is V16 else bench.calls("TransactionEvent")[-1])
    assert bench.evse()["transaction"] is None
    assert locks(bench) == [True]
    bench.present("X9")
    assert bench.evse()["driver"] is None
    bench.present(comes)
    assert locks(bench) == [True, False]
    bench.present("X9")
    assert bench.evse()["driver"] == "X9"
