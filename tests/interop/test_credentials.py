"""HTTP Basic credentials, given and checked by foreign processes (security profile 1)."""

import pytest

from ocpp_adapters.anyio_rpc import HandshakeFailedError
from ocpp_core import OcppVersion
from ocpp_core.wire import FailureReason
from tests.interop.conversation import PEERS, Ours, Script, Step, play
from tests.interop.links import with_their_csms, with_their_station

pytestmark = [pytest.mark.interop, pytest.mark.requirement("A00.FR.203", "A00.FR.204")]

VERSION = OcppVersion.V201
PASSWORD = "pass:wörd-0123456789"
HEARTBEAT = Step("Heartbeat", {})
ANSWER = {"Heartbeat": {"currentTime": "2025-03-14T09:26:53.000Z"}}


@pytest.mark.parametrize("name", PEERS)
def test_their_station_is_let_in_with_its_password(name: str) -> None:
    async def converse() -> None:
        ours = Ours(Script(ANSWER), expected=1)
        report = await with_their_station(
            name, VERSION, ours, Script(calls=[HEARTBEAT], password=PASSWORD), PASSWORD
        )
        assert {"result": "Heartbeat", "payload": ANSWER["Heartbeat"]} in report

    play(converse())


@pytest.mark.parametrize("given", [None, "something else"])
@pytest.mark.parametrize("name", PEERS)
def test_their_station_is_told_that_it_is_not_welcome(name: str, given: str | None) -> None:
    async def converse() -> None:
        ours = Ours(Script(), expected=0)
        report = await with_their_station(name, VERSION, ours, Script(password=given), PASSWORD)
        assert {"unwelcome": 401} in report
        assert ours.report == []

    play(converse())


@pytest.mark.parametrize("name", PEERS)
def test_our_station_gives_its_password(name: str) -> None:
    async def converse() -> None:
        ours = Ours(Script(calls=[HEARTBEAT]), expected=0)
        report = await with_their_csms(name, VERSION, ours, Script(ANSWER, password=PASSWORD), PASSWORD)
        assert {"result": "Heartbeat", "payload": ANSWER["Heartbeat"]} in ours.report
        assert report[-1] == {"closed": 1000}

    play(converse())


@pytest.mark.parametrize("given", [None, "something else"])
@pytest.mark.parametrize("name", PEERS)
def test_our_station_hears_that_its_password_is_wrong(name: str, given: str | None) -> None:
    async def converse() -> None:
        ours = Ours(Script(), expected=0)
        with pytest.raises(HandshakeFailedError) as failed:
            await with_their_csms(name, VERSION, ours, Script(password=PASSWORD), given)
        assert failed.value.failure.reason is FailureReason.UNAUTHORIZED
        assert failed.value.failure.status == 401

    play(converse())
