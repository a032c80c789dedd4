"""Two network profiles of the real program: when one fails the other is used, with its own settings."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.apps.line_process import LineProcess
from tests.apps.secure_rig import PASSWORD, Rig, connected, url_of

KNOWN: dict[str, Any] = {"CP1": {}}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(stack, tmp_path)


def slots(station: LineProcess) -> list[int]:
    """The profiles that were tried so far, in this order."""
    return [it["slot"] for it in station.seen if it.get("state") == "connecting"]


@pytest.mark.requirement("B10.FR.03", "B10.FR.04", "B10.FR.06", "B10.FR.10")
def test_the_second_profile_takes_over_and_the_first_is_returned_to(rig: Rig) -> None:
    first, second = (rig.central(stations=KNOWN, name=name) for name in ("one", "two"))
    profiles = [{"slot": 1, "url": url_of(first, "ws")}, {"slot": 5, "url": url_of(second, "ws")}]
    station = rig.station(None, config={"network_attempts": 2, "network_profiles": profiles})
    connected(station, slot=1)
    first.kill()
    assert station.event("connection", state="disconnected")["slot"] == 1
    connected(station, slot=5)
    assert slots(station) == [1, 1, 1, 5]
    assert second.event("booted")["station"] == "CP1"
    assert station.do("state")["connection"]["slot"] == 5
    assert "those that can: 1, 5" in station.ask("connect", slot=2)["error"]
    again = rig.central(stations=KNOWN, name="one", port=url_of(first, "ws").split(":")[2].split("/")[0])
    again.event("listening")
    station.do("connect", slot=1)
    assert station.event("connection", state="disconnected")["slot"] == 5
    connected(station, slot=1)
    assert again.event("booted")["station"] == "CP1"


def test_a_cut_network_is_cut_for_all_profiles(rig: Rig) -> None:
    url = url_of(rig.central(stations=KNOWN), "ws")
    profiles = [{"slot": slot, "url": url} for slot in (1, 2)]
    station = rig.station(None, config={"network_attempts": 1, "network_profiles": profiles})
    connected(station, slot=1)
    station.do("cut")
    for slot in (1, 1, 2):  # the link that was there, and then each in turn
        assert station.event("connection", state="disconnected")["slot"] == slot
    station.do("mend")
    station.event("connection", state="connected")


@pytest.mark.requirement("A05.FR.06")
def test_profiles_have_passwords_of_their_own_and_a_less_secure_one_is_left_out(rig: Rig) -> None:
    plain = rig.central("--security-profile", 1, stations={"CP1": {"password": PASSWORD}}, name="plain")
    secured = rig.secured(password=PASSWORD[::-1], name="secured")
    secure = {"password": PASSWORD[::-1], "trust": [str(rig.root.file)]}
    profiles = [
        {"slot": 1, "url": url_of(plain, "ws"), "security": {"password": PASSWORD}},
        {"slot": 2, "url": url_of(secured), "security": secure},
    ]
    station = rig.station(None, config={"network_profiles": profiles})
    connected(station, slot=1)
    station.do("connect", slot=2)
    connected(station, slot=2)
    assert "those that can: 2" in station.ask("connect", slot=1)["error"]
