"""A CSMS with a tolerance profile: its faults are repaired, and what it does not know counts as a no."""

from typing import Any

import pytest

from ocpp_core.messages import Tolerance
from ocpp_core.station import NoticeKind
from ocpp_core.versions import OcppVersion
from tests.station.bench import V2X, V16, VERSIONS, Bench, iso

LONG = "Unheard.Of." * 9
each_version = pytest.mark.parametrize("version", VERSIONS)


def tolerant(version: OcppVersion, **settings: Any) -> Bench:
    return Bench(version, tolerance=Tolerance(), **settings)


def boot_answer(bench: Bench, **members: Any) -> dict[str, Any]:
    return {"currentTime": iso(bench.csms_time), "interval": 300, "status": "Accepted"} | members


@each_version
def test_without_a_profile_a_faulty_answer_is_none(version: OcppVersion) -> None:
    bench = Bench(version, start=False)
    bench.ignores.add("BootNotification")
    bench.power_up()
    bench.answer(bench.calls("BootNotification")[-1], boot_answer(bench, surplus=1))
    assert bench.registered is None


@each_version
def test_a_time_without_zone_and_a_surplus_member_are_repaired(version: OcppVersion) -> None:
    bench = tolerant(version, start=False)
    bench.ignores.add("BootNotification")
    bench.power_up()
    zoneless = iso(bench.csms_time).removesuffix("Z")
    bench.answer(bench.calls("BootNotification")[-1], boot_answer(bench, currentTime=zoneless, surplus=1))
    assert bench.registered == "Accepted"
    assert len([text for text in bench.notices(NoticeKind.PEER) if text.startswith("repaired")]) == 2


@each_version
def test_an_unheard_of_registration_is_not_accepted(version: OcppVersion) -> None:
    bench = tolerant(version, start=False)
    bench.ignores.add("BootNotification")
    bench.power_up()
    bench.answer(bench.calls("BootNotification")[-1], boot_answer(bench, status=LONG))
    assert bench.registered == "Pending"


@each_version
def test_an_unheard_of_word_on_a_token_is_a_no(version: OcppVersion) -> None:
    bench = tolerant(version)
    bench.ignores.add("Authorize")
    bench.plug_in()
    bench.present("A1")
    info = "idTagInfo" if version is V16 else "idTokenInfo"
    bench.answer(bench.calls("Authorize")[-1], {info: {"status": LONG}})
    assert bench.evse()["driver"] is None
    assert bench.notices(NoticeKind.TOKEN_REFUSED)


@pytest.mark.parametrize("version", V2X)
def test_a_token_type_of_any_length(version: OcppVersion) -> None:
    bench = tolerant(version)
    token = {"idToken": "A1", "type": LONG}
    answer = bench.ask("RequestStartTransaction", {"idToken": token, "remoteStartId": 1, "evseId": 1})
    assert answer["status"] == "Accepted"
