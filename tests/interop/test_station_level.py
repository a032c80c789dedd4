"""Our station machine with simulated hardware, and foreign central systems that ask it to charge."""

from collections.abc import Callable
from datetime import datetime

import anyio
import pytest

from ocpp_adapters.anyio_station import StationRunner, connect_station
from ocpp_core import OcppVersion, SeededEntropy
from ocpp_core.domain.layout import ConnectorRef
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.status import StationInfo
from ocpp_core.domain.tokens import IdToken
from ocpp_core.domain.transactions import ChargingState, Phase
from ocpp_core.station import LinkChanged, Station, StationAction, StationConfig, TransactionChanged
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig, Text
from tests.interop import sessions
from tests.interop.conversation import PEERS, Json, Peer, Report, play

pytestmark = pytest.mark.interop


class Charger:
    """Hardware with a contactor that does as it is told, and what its station says."""

    def __init__(self) -> None:
        self.runner: StationRunner | None = None
        self.wh = float(sessions.START_WH)
        self.told: list[StationAction | Text] = []
        self._more = anyio.Event()

    def meters(self) -> list[tuple[int, tuple[Quantity, ...]]]:
        """The register as it stands."""
        return [(1, (Quantity(self.wh),))]

    def switch_power(self, evse: int, on: bool) -> None:
        """Done at once, and said in a turn of its own."""
        assert self.runner is not None
        with self.runner.turn() as now:
            self.runner.station.power_switched(evse, on, now)

    def lock(self, ref: ConnectorRef, locked: bool) -> None:
        """There is no lock."""

    def observe(self, action: StationAction | Text) -> None:
        """Remember what the station says, and wake who waits for it."""
        self.told.append(action)
        self._more.set()

    async def until(self, happened: Callable[[StationAction | Text], bool]) -> None:
        """Wait until the station has said something of the kind."""
        while not any(map(happened, self.told)):
            self._more = anyio.Event()
            await self._more.wait()


def changed(phase: Phase, state: ChargingState | None = None) -> Callable[[StationAction | Text], bool]:
    """Whether a transaction came to this."""
    return lambda action: (
        isinstance(action, TransactionChanged)
        and action.phase is phase
        and state in (None, action.charging_state)
    )


def asked(action: StationAction | Text) -> bool:
    """Whether the central system has asked for a start."""
    return isinstance(action, Text) and "StartTransaction" in action.text and action.text.startswith("[2")


async def charge(runner: StationRunner, charger: Charger) -> None:
    """Plug in when asked to start, charge 1500 Wh, stop with the token, unplug, and go when all is told."""
    station = runner.station
    await charger.until(asked)
    with runner.turn() as now:
        station.plug_in(1, 1, now)
    await charger.until(changed(Phase.UPDATED, ChargingState.CHARGING))
    samples = len(charger.told)
    charger.wh = 1700.0
    await anyio.sleep(0.5)
    assert len(charger.told) > samples
    charger.wh = float(sessions.END_WH)
    with runner.turn() as now:
        station.present_token(IdToken(sessions.TOKEN), 1, now)
    await charger.until(changed(Phase.ENDED))
    with runner.turn() as now:
        station.plug_out(1, 1, now)
    while station.state(anyio.current_time())["queue"]["facts"]:
        await anyio.sleep(0.05)
    with runner.turn() as now:
        station.disconnect(now)
    await charger.until(lambda action: isinstance(action, LinkChanged) and action.version is None)


async def session(name: str, version: OcppVersion) -> Report:
    """One session; what the central system reports."""
    peer = Peer(name, "csms", version)
    try:
        await peer.start(sessions.csms(version))
        config = ClientConfig(url=f"ws://127.0.0.1:{await peer.port()}/STATION-1")
        setup = StationConfig(
            StationInfo("Model", "Vendor"), versions=(version,), sample_interval=0.2, ended_interval=0.2
        )
        station = Station(setup, SeededEntropy(1), anyio.current_time())
        charger = Charger()
        store = MemoryStore()
        async with connect_station(station, config, store, charger, observe=charger.observe) as runner:
            charger.runner = runner
            await charge(runner, charger)
            return await peer.finish()
    finally:
        await peer.end()


def energies(payloads: list[Json]) -> list[float]:
    """The registers in meterValue or transactionData members, in order."""
    return [
        float(sampled["value"])
        for payload in payloads
        for reading in payload.get("meterValue", ())
        for sampled in reading["sampledValue"]
    ]


def check_16(received: list[tuple[str, Json]]) -> None:
    """A transaction in the words of 1.6."""
    of = {
        action: payload for action, payload in received if action in {"StartTransaction", "StopTransaction"}
    }
    start, stop = of["StartTransaction"], of["StopTransaction"]
    assert (start["connectorId"], start["idTag"], start["meterStart"]) == (1, sessions.TOKEN, 1000)
    assert (stop["transactionId"], stop["meterStop"], stop["idTag"]) == (4711, 2500, sessions.TOKEN)
    assert datetime.fromisoformat(start["timestamp"]) <= datetime.fromisoformat(stop["timestamp"])
    values = [payload for action, payload in received if action == "MeterValues"]
    assert {payload["transactionId"] for payload in values} == {4711}
    assert 1700.0 in energies(values)


def check_2x(received: list[tuple[str, Json]]) -> None:
    """A transaction in the words of 2.0.1 and 2.1."""
    events = [payload for action, payload in received if action == "TransactionEvent"]
    assert [event["seqNo"] for event in events] == list(range(len(events)))
    kinds = [event["eventType"] for event in events]
    assert kinds == ["Started", *["Updated"] * (len(events) - 2), "Ended"]
    assert len({event["transactionInfo"]["transactionId"] for event in events}) == 1
    assert events[-1]["transactionInfo"]["stoppedReason"] == "Local"
    assert {event["idToken"]["idToken"] for event in events if "idToken" in event} == {sessions.TOKEN}
    assert 1 in {event["transactionInfo"].get("remoteStartId") for event in events}
    live, final = energies(events[:-1]), energies(events[-1:])
    assert live == sorted(live)
    assert final == sorted(final)
    assert 1700.0 in live
    assert (live[0], final[0], final[-1]) == (1000.0, 1000.0, 2500.0)


@pytest.mark.requirement(
    "B01.FR.01", "E01.FR.16", "E02.FR.02", "F02.FR.01", "1.6-4.8", "1.6-4.10", "1.6-5.11"
)
@pytest.mark.parametrize("version", OcppVersion, ids=str)
@pytest.mark.parametrize("name", PEERS)
def test_it_charges_under_a_foreign_central_system(name: str, version: OcppVersion) -> None:
    async def converse() -> None:
        report = await session(name, version)
        assert [said for said in report if {"error", "refused", "crashed"} & said.keys()] == []
        assert {"result": sessions.REMOTE_START[version], "payload": {"status": "Accepted"}} in report
        received = [(said["received"], said["payload"]) for said in report if "received" in said]
        assert received[0][0] == "BootNotification"
        (check_16 if version is OcppVersion.V16 else check_2x)(received)
        assert report[-1] == {"closed": 1000}

    play(converse())
