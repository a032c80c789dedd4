"""Our CSMS machine, and foreign stations that charge: the same events and the same bill in every version."""

import asyncio

import pytest

from ocpp_adapters.asyncio_server import AsyncioConcurrency, serve
from ocpp_adapters.central import Central, StationLink
from ocpp_adapters.stores import MemoryStores
from ocpp_core import OcppVersion
from ocpp_core.csms import (
    CommandAnswered,
    Csms,
    CsmsAction,
    CsmsConfig,
    HeartbeatReceived,
    Notice,
    Registration,
    RequestStart,
    StationBooted,
    StatusReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.domain.tokens import AuthorizationStatus, IdToken, IdTokenInfo
from ocpp_core.entropy import SeededEntropy
from ocpp_core.rpc import RpcNotice
from tests.interop import sessions
from tests.interop.conversation import PEERS, Peer, Report, play

pytestmark = pytest.mark.interop

CONFIG = CsmsConfig(
    registration=Registration(RegistrationStatus.ACCEPTED, 300),
    authorization=IdTokenInfo(AuthorizationStatus.ACCEPTED),
)


class Application:
    """Asks for a start when the connector is available, and closes the link at the heartbeat."""

    def __init__(self) -> None:
        self.told: list[CsmsAction] = []
        self.answered: list[object] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def observe(self, link: StationLink, action: CsmsAction) -> None:
        """What the machine tells."""
        self.told.append(action)
        if isinstance(action, StatusReported) and not self._tasks:
            self._tasks.add(asyncio.get_running_loop().create_task(self._start(link)))
        elif isinstance(action, HeartbeatReceived):
            link.close(1000, "that is all")

    async def _start(self, link: StationLink) -> None:
        self.answered.append(await link.call(RequestStart(IdToken(sessions.TOKEN), 1)))


async def charge(name: str, version: OcppVersion) -> tuple[Application, Csms, Report]:
    """One session; what the application heard, the machine that a restart would make, their report."""
    application = Application()
    stores = MemoryStores()
    central = Central(CONFIG, application.observe, stores, AsyncioConcurrency())
    async with await serve(lambda *_: central.session(), "127.0.0.1") as server:
        peer = Peer(name, "station", version, f"ws://127.0.0.1:{server.port}/ocpp/STATION-1")
        try:
            await peer.start(sessions.station(version))
            report = await peer.finish()
        finally:
            await peer.end()
    rows: list[object] = []
    stores.load("STATION-1", rows.append)
    assert isinstance(rows[0], dict)
    return application, Csms(CONFIG, "STATION-1", version, SeededEntropy(1), 0.0, rows[0]), report


@pytest.mark.requirement("E01.FR.12", "E02.FR.02", "F01.FR.01", "1.6-4.8", "1.6-5.11")
@pytest.mark.parametrize("version", OcppVersion, ids=str)
@pytest.mark.parametrize("name", PEERS)
def test_a_foreign_station_charges(name: str, version: OcppVersion) -> None:
    async def converse() -> None:
        application, csms, report = await charge(name, version)
        told = [event for event in application.told if not isinstance(event, Notice | RpcNotice)]
        assert [type(event) for event in told if type(event) is not CommandAnswered] == [
            StationBooted,
            StatusReported,
            TransactionStarted,
            StatusReported,
            TransactionUpdated,
            TransactionEnded,
            StatusReported,
            HeartbeatReceived,
        ]
        assert [
            answer.accepted for answer in application.answered if isinstance(answer, CommandAnswered)
        ] == [True]
        (bill,) = csms.billed()
        assert (bill.evse, bill.connector) == (1, 1)
        assert IdToken(sessions.TOKEN).matches(bill.id_token), "1.6 does not tell a token's type"
        assert (bill.start_wh, bill.stop_wh, bill.energy_wh, bill.complete) == (1000, 2500, 1500, True)
        assert [said for said in report if {"error", "refused", "crashed"} & said.keys()] == []
        assert report[-1] == {"closed": 1000}

    play(converse())
