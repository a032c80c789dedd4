"""Statuses converge: what the CSMS last acknowledged becomes the truth, whatever happens on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.domain.layout import ConnectorRef, Layout
from ocpp_core.station import NoticeKind, StatusChanged

from .bench import V16, V201, VERSIONS, Bench


def occupied(version):
    return "Preparing" if version is V16 else "Occupied"


@pytest.mark.requirement("E02.FR.05", "G01.FR.01", "G01.FR.03", "G01.FR.04", "1.6-errata-3.19")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_cable_occupies_a_connector(version):
    bench = Bench(version)
    bench.plug_in()
    bench.unplug()
    assert bench.statuses() == ["Available", occupied(version), "Available"]
    assert bench.statuses(2) == ["Available"]
    shown = [
        (change.status, change.status_16) for change in bench.done(StatusChanged) if change.ref.evse == 1
    ]
    assert shown == [("Available", "Available"), ("Occupied", "Preparing"), ("Available", "Available")]


@pytest.mark.requirement("1.6-4.9", "1.6-errata-3.64")
def test_the_nine_states_of_16_along_a_session():
    bench = Bench(V16)
    bench.start_charging()
    for by in ("EV", "EVSE"):
        bench.suspend(by=by)
    bench.resume(by="EV")
    bench.resume(by="EVSE")
    bench.present("A1")
    bench.present("A1")  # again on the same cable
    bench.unplug()
    assert bench.statuses() == [
        *("Available", "Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Charging"),
        *("Finishing", "Charging", "Available"),
    ]


@pytest.mark.requirement("1.6-4.9")
def test_a_contactor_that_trips_suspends_in_16():
    bench = Bench(V16)
    bench.start_charging()
    bench.switch(on=False)
    assert bench.statuses()[-2:] == ["Charging", "SuspendedEVSE"]


@pytest.mark.requirement("1.6-4.9")
def test_a_token_before_the_cable_is_preparing_in_16():
    bench = Bench(V16)
    bench.present("A1")
    assert bench.statuses()[-1] == "Preparing"
    bench.run(60)
    assert bench.statuses()[-1] == "Available"


@pytest.mark.requirement("E01.FR.14", "G01.FR.08")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_other_connectors_of_an_evse_say_nothing(version):
    bench = Bench(version, layout=Layout((2,)))
    bench.plug_in(1, 2)
    bench.present("A1")
    told = bench.sent("StatusNotification")[3 if version is V16 else 2 :]
    assert {said["connectorId"] for said in told} == {2}
    first, second = bench.state()["connectors"]
    assert (first["status"], second["status"]) == ("Available", "Occupied")


@pytest.mark.requirement("B04.FR.02", "1.6-4.9")
@pytest.mark.parametrize("version", VERSIONS)
def test_after_a_short_absence_only_what_changed(version):
    bench = Bench(version, offline_threshold=100.0)
    bench.cut()
    bench.plug_in(2)
    bench.run(100)
    bench.forget()
    bench.mend()
    assert bench.statuses(1) == []
    assert bench.statuses(2) == [occupied(version)]


@pytest.mark.requirement("B04.FR.01")
@pytest.mark.parametrize("version", VERSIONS)
def test_after_a_long_absence_everything(version):
    bench = Bench(version, offline_threshold=100.0)
    bench.cut()
    bench.run(100.5)
    bench.forget()
    bench.mend()
    assert bench.statuses(1) == bench.statuses(2) == ["Available"]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_changed_and_changed_back_is_not_told(version):
    bench = Bench(version)
    bench.cut()
    bench.plug_in()
    bench.unplug()
    bench.forget()
    bench.mend()
    assert bench.statuses() == []


@pytest.mark.requirement("B04.FR.02")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_status_that_may_have_arrived_is_not_taken_for_unsaid(version):
    """The CSMS got Occupied but its answer is lost; back to Available, it must be told."""
    bench = Bench(version, tx_start_points=frozenset({"PowerPathClosed"}))
    bench.ignores.add("StatusNotification")
    bench.plug_in()
    bench.cut()
    bench.unplug()
    bench.ignores.clear()
    bench.mend()
    assert bench.statuses() == ["Available", occupied(version), "Available"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("how", ["refuses", "ignores"])
def test_a_status_that_fails_is_told_again_as_it_is_then(version, how):
    bench = Bench(version)
    getattr(bench, how).add("StatusNotification")
    bench.plug_in()
    bench.unplug()
    getattr(bench, how).clear()
    bench.run(41)
    assert bench.statuses() == ["Available", occupied(version), "Available"]
    assert len(bench.notices(NoticeKind.PEER)) == (how == "refuses")


@pytest.mark.requirement("1.6-4.9")
def test_statuses_go_in_the_order_they_came_about():
    bench = Bench(V16)
    bench.cut()
    bench.plug_in(2)
    bench.run(5)
    bench.plug_in(1)
    bench.forget()
    bench.mend()
    assert [said["connectorId"] for said in bench.sent("StatusNotification")] == [2, 1]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_status_waits_for_the_facts_that_explain_it(version):
    bench = Bench(version)
    if version is V16:
        bench.plug_in()
    bench.ignores |= {"TransactionEvent", "StartTransaction"}
    bench.present("A1") if version is V16 else bench.plug_in()
    before, after = ("Preparing", "Charging") if version is V16 else ("Available", "Occupied")
    assert bench.statuses()[-1] == before
    bench.run(31)  # the fact failed, and waits for its retry: the status need not
    assert bench.statuses()[-1] == after


@pytest.mark.parametrize("version", VERSIONS)
def test_a_failing_store_holds_no_status_back(version):
    bench = Bench(version)
    bench.start_charging()
    bench.disk = False
    bench.suspend()
    bench.unplug()
    assert bench.statuses()[-1] == "Available"
    assert not bench.disk


def test_a_reconnect_drops_what_held_a_status():
    bench = Bench(V201)
    bench.ignores.add("TransactionEvent")
    bench.plug_in()
    bench.cut()
    assert bench.statuses() == ["Available"]
    bench.mend()
    bench.run(1)
    assert bench.statuses() == ["Available", "Occupied"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_status_has_the_time_at_which_it_came_about(version):
    bench = Bench(version)
    bench.cut()
    bench.run(50)
    bench.plug_in()
    bench.run(50)
    bench.forget()
    bench.mend()
    assert [said["timestamp"] for said in bench.sent("StatusNotification")] == ["2026-03-01T12:00:50.000Z"]


moves = st.lists(
    st.sampled_from(["in", "out", "token", "cut", "mend", "run", "refuse", "ignore", "answer"]), max_size=25
)


@pytest.mark.requirement("B04.FR.02", "G01.FR.01")
@pytest.mark.parametrize("version", VERSIONS)
@given(moves=moves)
def test_the_csms_comes_to_believe_the_truth(version, moves):
    """Whatever was lost, refused or late: left alone on a fair link, the last word is the truth."""
    bench = Bench(version, offline_tx_for_unknown_id=True)
    plugged = False
    for move in moves:
        if move == "in" and not plugged:
            bench.plug_in()
            plugged = True
        elif move == "out" and plugged:
            bench.unplug()
            plugged = False
        elif move == "token":
            bench.present("A1")
        elif move == "cut" and bench.online:
            bench.cut()
        elif move == "mend":
            bench.mend()
        elif move == "run":
            bench.run(20)
        elif move in ("refuse", "ignore"):
            (bench.refuses if move == "refuse" else bench.ignores).add("StatusNotification")
        elif move == "answer":
            bench.refuses.clear()
            bench.ignores.clear()
    bench.refuses.clear()
    bench.ignores.clear()
    bench.mend()
    bench.run(120)
    believed = {}
    for said in bench.sent("StatusNotification"):
        status = said.get("status") or said.get("connectorStatus")
        believed[said["connectorId"] if version is V16 else said["evseId"]] = status
    key = "status_16" if version is V16 else "status"
    for number, connector in enumerate(bench.state()["connectors"], start=1):
        assert believed[number] == connector[key]


def test_the_station_itself_has_no_view():
    bench = Bench(V16)
    assert bench.station._availability.view(ConnectorRef(0, 0)) is None
    assert bench.statuses(0) == ["Available"]
