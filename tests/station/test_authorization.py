"""Tokens: who asks, who decides, who remembers, and what happens when nobody can be asked."""

import pytest

from ocpp_core.domain.tokens import IdToken
from ocpp_core.errors import LocalProtocolError
from ocpp_core.station import NoticeKind, TxPoint

from .bench import POWER_PATH, V2X, V16, V21, V201, VERSIONS, Bench, group


@pytest.mark.requirement("C01.FR.01", "C01.FR.02", "C01.FR.04", "1.6-4.1")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_token_is_asked_about_before_energy_flows(version):
    bench = Bench(version)
    bench.ignores.add("Authorize")
    bench.plug_in()
    bench.present("A1")
    assert bench.evse()["driver"] is None
    assert bench.evse()["power"] == "off"
    bench.answer(bench.calls("Authorize")[0])
    assert bench.evse()["driver"] == "A1"
    assert bench.evse()["power"] == "on"


@pytest.mark.requirement("C01.FR.01", "1.6-4.1")
@pytest.mark.parametrize("status", ["Blocked", "ConcurrentTx", "Expired", "Invalid"])
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_accepted_does_not_charge(version, status):
    bench = Bench(version)
    bench.tokens["A1"] = {"status": status}
    bench.plug_in()
    bench.present("A1")
    assert bench.evse()["driver"] is None
    assert status in bench.notices(NoticeKind.TOKEN_REFUSED)[0]
    assert "A1'" in bench.notices(NoticeKind.TOKEN_REFUSED)[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_is_no_permission(version):
    bench = Bench(version, offline_tx_for_unknown_id=True)
    bench.refuses.add("Authorize")
    bench.plug_in()
    bench.present("A1")
    assert bench.evse()["driver"] is None


@pytest.mark.requirement("C01.FR.21")
@pytest.mark.parametrize("version", V2X)
def test_a_token_for_some_evses_charges_at_those(version):
    bench = Bench(version)
    bench.tokens["A1"] = {"evseId": [2]}
    bench.present("A1", 1)
    assert bench.evse(1)["driver"] is None
    bench.present("A1", None)
    assert bench.evse(1)["driver"] is None
    assert bench.evse(2)["driver"] == "A1"


@pytest.mark.requirement("C01.FR.21")
@pytest.mark.parametrize("version", V2X)
def test_a_token_for_none_of_the_free_evses_charges_nowhere(version):
    bench = Bench(version)
    bench.tokens["A1"] = {"evseId": [7]}
    bench.present("A1", None)
    assert [bench.evse(number)["driver"] for number in (1, 2)] == [None, None]


@pytest.mark.requirement("C01.FR.21", "E05.FR.10")
@pytest.mark.parametrize("version", V2X)
def test_a_token_found_to_be_for_another_evse_stops(version):
    bench = Bench(version)
    bench.start_charging()
    bench.unplug()
    bench.cut()
    bench.plug_in()
    bench.present("A1")
    assert bench.evse()["power"] == "on"
    bench.tokens["A1"] = {"evseId": [2]}
    bench.mend()
    assert bench.evse()["power"] == "off"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_token_shown_at_the_station_goes_where_a_car_waits(version):
    bench = Bench(version)
    bench.plug_in(2)
    bench.present("A1", None)
    assert bench.evse(2)["driver"] == "A1"
    bench.present("B2", None)
    assert bench.evse(1)["driver"] == "B2"
    bench.present("C3", None)
    assert "no EVSE is free" in bench.notices(NoticeKind.TOKEN_REFUSED)[0]
    bench.present("A1", None)
    assert bench.evse(2)["driver"] is None


@pytest.mark.parametrize("version", VERSIONS)
def test_one_decision_at_a_time_per_evse(version):
    bench = Bench(version)
    bench.ignores.add("Authorize")
    bench.present("A1", 1)
    bench.present("B2", 1)
    assert "decided on already" in bench.notices(NoticeKind.TOKEN_REFUSED)[0]
    bench.present("B2", None)  # goes to the other
    bench.present("C3", None)
    assert len(bench.notices(NoticeKind.TOKEN_REFUSED)) == 2
    first = bench.calls("Authorize")
    assert len(first) == 1
    bench.answer(first[0])
    bench.answer(bench.calls("Authorize")[1])
    assert [bench.evse(number)["driver"] for number in (1, 2)] == ["A1", "B2"]


def test_an_evse_that_does_not_exist_is_misuse():
    bench = Bench()
    for number in (0, 3, -1):
        with pytest.raises(LocalProtocolError, match="EVSE"):
            bench.present("A1", number)


# stopping


@pytest.mark.requirement("C01.FR.03", "E07.FR.01", "1.6-4.1")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_token_that_started_stops_unasked(version):
    bench = Bench(version)
    bench.start_charging()
    bench.present("a1")  # case does not matter
    assert len(bench.sent("Authorize")) == 1
    assert len(bench.ended()) == 1


@pytest.mark.requirement("C01.FR.25")
@pytest.mark.parametrize("version", V2X)
def test_the_same_value_of_another_type_is_another_token(version):
    bench = Bench(version)
    bench.start_charging()
    bench.present(IdToken("A1", "KeyCode"))
    assert len(bench.sent("Authorize")) == 2
    assert bench.ended() == []


@pytest.mark.requirement("C09.FR.03", "C09.FR.05", "1.6-4.1")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("place", [1, None])
def test_an_unknown_token_of_the_group_stops_after_asking(version, place):
    bench = Bench(version)
    bench.tokens = {"A1": group("G", version), "B2": group("g", version)}
    bench.start_charging("A1", 1)
    bench.start_charging("C3", 2)
    bench.present("B2", place)
    assert len(bench.sent("Authorize")) == 3
    assert len(bench.ended()) == 1
    assert bench.evse(1)["transaction"] is None
    stopped = bench.ended()[0]
    assert (stopped["idTag"] if version is V16 else stopped["idToken"]["idToken"]) == "B2"


@pytest.mark.requirement("C01.FR.03", "C09.FR.07", "E07.FR.01")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_known_token_of_the_group_stops_unasked(version):
    bench = Bench(version)
    bench.tokens = {"A1": group("G", version), "B2": group("G", version)}
    bench.present("B2", 2)
    bench.present("B2", 2)
    bench.start_charging("A1", 1)
    asked = len(bench.sent("Authorize"))
    bench.present("B2", 1)
    assert len(bench.sent("Authorize")) == asked
    assert bench.evse(1)["transaction"] is None


@pytest.mark.requirement("C09.FR.11")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("other", [{"status": "Blocked"}, {}])
def test_a_token_that_is_refused_or_of_no_group_stops_nothing(version, other):
    bench = Bench(version)
    bench.tokens = {
        "A1": group("G", version),
        "B2": group("G", version) | {"status": "Blocked"} if other else {},
    }
    bench.start_charging("A1")
    bench.present("B2")
    bench.present("B2")
    assert bench.ended() == []
    assert len(bench.notices(NoticeKind.TOKEN_REFUSED)) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_at_a_full_station_without_groups_nobody_is_asked(version):
    bench = Bench(version)
    bench.start_charging("A1", 1)
    bench.start_charging("B2", 2)
    asked = len(bench.sent("Authorize"))
    bench.present("C3", None)
    assert len(bench.sent("Authorize")) == asked


@pytest.mark.parametrize("version", VERSIONS)
def test_at_a_full_station_a_stranger_is_asked_about_but_gets_nothing(version):
    bench = Bench(version)
    bench.tokens["A1"] = group("G", version)
    bench.start_charging("A1", 1)
    bench.start_charging("B2", 2)
    bench.ignores.add("Authorize")
    bench.present("C3", None)
    bench.present("D4", None)
    assert "decided on already" in bench.notices(NoticeKind.TOKEN_REFUSED)[-1]
    bench.answer(bench.calls("Authorize")[-1])
    assert bench.ended() == []
    assert "no EVSE that it may use" in bench.notices(NoticeKind.TOKEN_REFUSED)[-1]


@pytest.mark.requirement("C01.FR.23")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_transaction_is_not_taken_over(version):
    bench = Bench(version, tx_stop_points=frozenset({TxPoint.EV_CONNECTED}))
    bench.start_charging()
    bench.present("A1")
    assert bench.evse()["transaction"] is not None
    asked = len(bench.sent("Authorize"))
    bench.present("B2")
    assert len(bench.sent("Authorize")) == asked
    assert "another driver" in bench.notices(NoticeKind.TOKEN_REFUSED)[-1]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_driver_may_change_his_mind_before_anything_began(version):
    bench = Bench(version, tx_start_points=POWER_PATH)
    bench.present("A1")
    assert bench.evse()["driver"] == "A1"
    bench.present("A1")
    assert bench.evse()["driver"] is None
    assert bench.begun() == []


@pytest.mark.requirement("C01.FR.26", "E03.FR.05", "F02.FR.07", "1.6-errata-3.77")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("points", [POWER_PATH, frozenset({TxPoint.AUTHORIZED})])
def test_a_driver_without_a_car_is_not_waited_for(version, points):
    bench = Bench(version, tx_start_points=points, ev_connection_timeout=30.0)
    bench.present("A1")
    bench.run(29.9)
    assert bench.evse()["driver"] == "A1"
    bench.run(0.1)
    assert bench.evse()["driver"] is None
    assert bench.evse()["transaction"] is None
    if points is not POWER_PATH and version is not V16:
        (ended,) = bench.ended()
        assert ended["triggerReason"] == "EVConnectTimeout"
        assert ended["transactionInfo"]["stoppedReason"] == "Timeout"


# tokens of a length


@pytest.mark.parametrize(("version", "length"), [(V16, 20), (V201, 36), (V21, 255)])
def test_a_token_is_told_whole_or_not_at_all(version, length):
    """A part of a token may be somebody else's token."""
    bench = Bench(version, offline_tx_for_unknown_id=True)
    bench.present("x" * length, 1)
    assert bench.evse(1)["driver"] == "x" * length
    if length < 255:
        bench.present("y" * (length + 1), 2)
        assert bench.evse(2)["driver"] is None
        assert len(bench.sent("Authorize")) == 1
        bench.cut()
        bench.present("y" * (length + 1), 2)
        assert bench.evse(2)["driver"] is None  # no version of this station could tell it


def test_a_long_token_accepted_offline_is_never_cut_for_a_shorter_version():
    from .bench import config

    for version, long in ((V16, "L" * 30), (V201, "L" * 40)):
        bench = Bench(version, config=config(offline_tx_for_unknown_id=True), start=False)
        bench.dials = False
        bench.power_up()
        bench.plug_in()
        bench.present(long)
        bench.mend()
        bench.unplug()
        if version is V16:
            assert bench.sent("StartTransaction")[0]["idTag"] == ""
        else:
            assert all("idToken" not in event for event in bench.sent("TransactionEvent"))
        assert any("longer" in notice for notice in bench.notices(NoticeKind.TOKEN_REFUSED))


@pytest.mark.parametrize("kind", ["Central", "eMAID", "MacAddress", "NewKind", ""])
def test_token_types_go_along_as_far_as_the_version_knows_them(kind):
    for version in V2X:
        bench = Bench(version)
        bench.present(IdToken("A1", kind))
        told = bench.sent("Authorize")[0]["idToken"]["type"]
        unknown = kind == "" or (kind == "NewKind" and version is V201)
        assert told == ("Central" if unknown else kind)


# without the CSMS


def known(version, **settings):
    """A bench whose station knows A1 as good and B2 as blocked, and lost its link."""
    bench = Bench(version, tx_start_points=POWER_PATH, **settings)
    bench.tokens["B2"] = {"status": "Blocked"}
    for token in ("A1", "B2"):
        bench.present(token)
        bench.present(token) if token == "A1" else None
    bench.cut()
    return bench


OFFLINE = [
    # (LocalAuthorizeOffline, OfflineTxForUnknownId): known good, known bad, unknown
    (True, False, True, False, False),
    (True, True, True, False, True),
    (False, False, False, False, False),
    (False, True, False, False, True),
]


@pytest.mark.requirement("C15.FR.08", "1.6-3.5")
@pytest.mark.parametrize(("local", "unknown", "good", "bad", "stranger"), OFFLINE)
@pytest.mark.parametrize("version", VERSIONS)
def test_decisions_while_offline(version, local, unknown, good, bad, stranger):
    bench = known(version, local_authorize_offline=local, offline_tx_for_unknown_id=unknown)
    for token, accepted in (("A1", good), ("B2", bad), ("C3", stranger)):
        bench.present(token)
        assert (bench.evse()["driver"] == token) is accepted
        if accepted:
            bench.present(token)


@pytest.mark.requirement("C15.FR.01")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_stranger_let_in_is_not_remembered(version):
    bench = known(version, offline_tx_for_unknown_id=True)
    bench.present("C3")
    assert set(bench.station.snapshot()["tokens"]) == {"a1", "b2"}


@pytest.mark.requirement("B02.FR.03", "1.6-4.2.1")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_station_not_yet_accepted_decides_like_one_without_link(version):
    bench = Bench(version, start=False, offline_tx_for_unknown_id=True)
    bench.registration = "Pending"
    bench.power_up()
    bench.present("A1")
    assert bench.evse()["driver"] == "A1"
    assert bench.sent("Authorize") == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", ["cut", "silence"])
def test_a_csms_that_goes_away_while_asked_leaves_the_decision_here(version, way):
    bench = known(version)
    bench.mend()
    bench.ignores.add("Authorize")
    bench.present("A1", 1)
    bench.present("D4", 2)
    (asked,) = bench.calls("Authorize")[-1:]
    bench.cut() if way == "cut" else bench.run(31)
    assert bench.evse(1)["driver"] == "A1"
    assert bench.evse(2)["driver"] is None
    if way == "silence":
        bench.answer(asked)  # too late to matter
        assert bench.evse(1)["driver"] == "A1"


@pytest.mark.parametrize("version", VERSIONS)
def test_an_answer_to_a_question_decided_meanwhile_is_only_remembered(version):
    """The link is closing: what is shown now is decided here, and the answer that still comes is kept."""
    bench = known(version)
    bench.mend()
    bench.ignores.add("Authorize")
    bench.present("A1", 1)
    (asked,) = bench.calls("Authorize")[-1:]
    bench.station.disconnect(bench.now)
    bench.station.present_token(IdToken("B2"), 2, bench.now)
    assert bench.evse(1)["driver"] == "A1"
    bench.tokens["A1"] = {"status": "Expired"}
    import json

    bench.station.receive_frame(json.dumps([3, asked[1], bench._answer("Authorize", asked[3])]), bench.now)
    assert bench.evse(1)["driver"] == "A1"
    bench.station.receive_frame(json.dumps([4, "nobody", "GenericError", "", {}]), bench.now)
    assert '"Expired"' in bench.station.snapshot()["tokens"]["a1"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_to_a_question_decided_meanwhile_changes_nothing(version):
    import json

    bench = known(version)
    bench.mend()
    bench.ignores.add("Authorize")
    bench.present("A1", 1)
    (asked,) = bench.calls("Authorize")[-1:]
    bench.station.disconnect(bench.now)
    bench.station.present_token(IdToken("B2"), 2, bench.now)
    bench.station.receive_frame(json.dumps([4, asked[1], "GenericError", "", {}]), bench.now)
    assert bench.evse(1)["driver"] == "A1"
