"""The token cache: the CSMS's last word on every token, within a bound."""

import pytest

from ocpp_core.domain.tokens import IdToken
from ocpp_core.station import NoticeKind

from .bench import EPOCH, POWER_PATH, V2X, V16, V201, VERSIONS, Bench, iso


def known(version, **settings):
    """A bench whose station knows A1 as good and B2 as blocked, and lost its link."""
    bench = Bench(version, tx_start_points=POWER_PATH, **settings)
    bench.tokens["B2"] = {"status": "Blocked"}
    for token in ("A1", "B2"):
        bench.present(token)
        bench.present(token) if token == "A1" else None
    bench.cut()
    return bench


@pytest.mark.requirement("C10.FR.01", "C10.FR.02", "C10.FR.04", "C12.FR.06")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_cache_holds_the_last_word_and_survives(version):
    bench = known(version)
    bench.mend()
    bench.tokens["A1"] = {"status": "Invalid"}
    bench.present("A1")
    bench.dials = False
    bench.power_loss()
    bench.present("A1")
    assert bench.evse()["driver"] is None


@pytest.mark.requirement("C12.FR.02", "C12.FR.04")
@pytest.mark.parametrize("version", V2X)
def test_a_remembered_token_charges_offline_and_the_csms_is_told_whose_it_was(version):
    bench = known(version)
    bench.plug_in()
    bench.present("A1")
    assert bench.evse()["power"] == "on"
    bench.mend()
    (started,) = bench.begun()
    assert started["idToken"] == {"idToken": "A1", "type": "ISO14443"}


@pytest.mark.requirement("C10.FR.03", "C12.FR.05")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_token_remembered_as_refused_is_asked_about_again(version):
    bench = known(version)
    bench.present("B2")
    assert bench.evse()["driver"] is None
    bench.mend()
    bench.tokens["B2"] = {}
    asked = len(bench.sent("Authorize"))
    bench.present("B2")
    assert len(bench.sent("Authorize")) == asked + 1
    assert bench.evse()["driver"] == "B2"


@pytest.mark.requirement("C10.FR.05", "1.6-4.8")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_answer_to_a_transaction_is_remembered_too(version):
    bench = known(version, offline_tx_for_unknown_id=True)
    bench.plug_in()
    bench.present("C3")
    bench.tokens["C3"] = {"status": "Blocked"}
    bench.mend()
    assert '"Blocked"' in bench.station.snapshot()["tokens"]["c3"]


@pytest.mark.requirement("1.6-4.10")
def test_the_answer_to_a_stop_is_remembered():
    bench = Bench(V16)
    bench.start_charging()
    bench.ignores.add("StopTransaction")
    bench.present("A1")
    (stop,) = bench.calls("StopTransaction")
    bench.answer(stop, {"idTagInfo": {"status": "Expired"}})
    assert '"Expired"' in bench.station.snapshot()["tokens"]["a1"]
    bench.start_charging("B2", 2)
    bench.unplug(2)  # without a token it is nobody's
    bench.answer(bench.calls("StopTransaction")[1], {"idTagInfo": {"status": "Expired"}})
    assert '"Accepted"' in bench.station.snapshot()["tokens"]["b2"]


@pytest.mark.requirement("C10.FR.07")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_cache_forgets_the_refused_first_and_then_the_oldest(version):
    bench = Bench(version, tx_start_points=POWER_PATH, auth_cache_limit=3)
    bench.tokens["B2"] = {"status": "Blocked"}
    for token in ("A1", "B2", "C3", "D4"):
        bench.present(token)
        bench.present(token) if token != "B2" else None
    assert set(bench.station.snapshot()["tokens"]) == {"a1", "c3", "d4"}
    bench.present("E5")
    assert set(bench.station.snapshot()["tokens"]) == {"c3", "d4", "e5"}


@pytest.mark.requirement("C10.FR.10", "C10.FR.13")
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_over_counts_as_expired(version):
    from datetime import timedelta

    bench = Bench(version, tx_start_points=POWER_PATH)
    until = iso(EPOCH + timedelta(seconds=100))
    bench.tokens["A1"] = {"expiryDate" if version is V16 else "cacheExpiryDateTime": until}
    bench.present("A1")
    bench.present("A1")
    bench.cut()
    bench.run(99)
    bench.present("A1")
    assert bench.evse()["driver"] == "A1"
    bench.present("A1")
    bench.run(1)
    bench.present("A1")
    assert bench.evse()["driver"] is None
    assert "Expired" in bench.notices(NoticeKind.TOKEN_REFUSED)[-1]


def test_a_token_of_another_type_is_not_the_one_remembered():
    bench = known(V201)
    bench.present(IdToken("A1", "KeyCode"))
    assert bench.evse()["driver"] is None


def test_the_same_word_again_costs_no_commit():
    bench = Bench(V201, tx_start_points=POWER_PATH)
    bench.present("A1")
    rows = bench.station.snapshot()["tokens"]
    bench.present("A1")
    bench.present("A1")
    assert bench.station.snapshot()["tokens"] == rows
