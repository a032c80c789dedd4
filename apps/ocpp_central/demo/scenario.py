"""What happens at the three stations: the demo's plot."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

from .peers import Message, Peer
from .transcript import Transcript

_SETTINGS = {
    "sample_interval": 1,
    "backoff": {"minimum": 0.5, "random_range": 0.5},
    "message_timeout": 5,
    "offline_tx_for_unknown_id": True,
}
_WATTS = 150_000
_POLL = 0.1


class Charger:
    """A station of the demo, the driver in front of it, and the operator behind it."""

    def __init__(
        self, name: str, version: str, central: Peer, port: int, directory: Path, transcript: Transcript
    ) -> None:
        self.name = name
        self.version = version
        self.peer = Peer(name, transcript.tell)
        self._central = central
        self._story = transcript.story
        self._config = directory / f"{name}.json"
        self._config.write_text(json.dumps({**_SETTINGS, "info": {"model": f"Demo {version}"}}))
        self._arguments = (
            *("ocpp_station", "station", "--control", "stdio"),
            *("--url", f"ws://127.0.0.1:{port}/ocpp", "--id", name, "--version", version),
            *("--store", str(directory / f"{name}.sqlite"), "--config", str(self._config)),
        )

    async def start(self) -> None:
        """Start the station's process and wait until it is registered."""
        seen = len(self.peer.events)
        await self.peer.start(*self._arguments)
        await self.peer.until("registration", lambda event: event.get("status") == "Accepted", seen)
        await self.peer.ask("set_power", evse=1, watts=_WATTS, phases=3)

    async def begin(self, token: str) -> None:
        """A driver plugs in, presents a token, and the car begins to charge."""
        self._story(f"At {self.name} a car is plugged in, its driver presents a token.")
        seen = len(self.peer.events)
        await self.peer.ask("plug_in", evse=1)
        await self.peer.ask("present_token", token=token, evse=1)
        await self.peer.until("charging", lambda event: event.get("charging_state") == "Charging", seen)

    async def begin_remotely(self, token: str) -> None:
        """A driver plugs in and taps an app; the central system starts the session."""
        self._story(f"At {self.name} a car is plugged in, the central system is asked to start.")
        seen = len(self.peer.events)
        await self.peer.ask("plug_in", evse=1)
        await self._central.ask("start", station=self.name, token=token, evse=1)
        await self.peer.until("charging", lambda event: event.get("charging_state") == "Charging", seen)

    async def stop_remotely(self) -> None:
        """The driver taps the app again and leaves."""
        self._story(f"The central system is asked to stop it, the driver of {self.name} unplugs.")
        bills = (await self._central.ask("billed"))["transactions"]
        running = next(it for it in bills if it["station"] == self.name and it["ended_at"] is None)
        await self._ended(self._central.ask("stop", station=self.name, transaction=running["transaction"]))
        await self.peer.ask("plug_out", evse=1)

    async def pause(self, by: str, seconds: float) -> None:
        """The car or the station takes a break."""
        self._story(f"At {self.name} the {by} pauses.")
        await self.peer.ask("suspend", evse=1, by=by)
        await asyncio.sleep(seconds)
        await self.peer.ask("resume", evse=1, by=by)

    async def stop_by_token(self, token: str) -> None:
        """The driver presents the token again and leaves."""
        self._story(f"At {self.name} the driver presents the token again and unplugs.")
        await self._ended(self.peer.ask("present_token", token=token, evse=1))
        await self.peer.ask("plug_out", evse=1)

    async def stop_by_unplugging(self) -> None:
        """The driver leaves without a word."""
        self._story(f"At {self.name} the driver just unplugs.")
        await self._ended(self.peer.ask("plug_out", evse=1))

    async def cut(self) -> None:
        """The network fails."""
        self._story(f"The network of {self.name} is cut. The car goes on charging.")
        seen = len(self.peer.events)
        await self.peer.ask("cut")
        await self.peer.until("link lost", lambda event: event.get("state") == "disconnected", seen)

    async def mend(self) -> None:
        """The network is back."""
        self._story(f"The network of {self.name} is back.")
        seen = len(self.peer.events)
        await self.peer.ask("mend")
        await self.peer.until("link", lambda event: event.get("state") == "connected", seen)

    async def lose_power(self, seconds: float) -> None:
        """The station's process is killed; a new one takes over its store. The car has gone meanwhile."""
        self._story(f"{self.name} loses its power: the process is killed (SIGKILL).")
        await self.peer.kill()
        await asyncio.sleep(seconds)
        self._story(f"{self.name} has power again and starts from its store.")
        await self._ended(self.start())

    async def delivered(self) -> None:
        """Wait until the station owes the central system nothing."""
        while (await self._state())["queue"]["facts"]:
            await asyncio.sleep(_POLL)

    async def register_wh(self) -> float:
        """What the meter of the only EVSE shows."""
        return float((await self._state())["hardware"][0]["register_wh"])

    async def _state(self) -> Message:
        return await self.peer.ask("state")

    async def _ended(self, happening: Awaitable[object]) -> None:
        seen = len(self.peer.events)
        await happening
        await self.peer.until("the end", lambda event: event.get("phase") == "ended", seen)


async def _power_loss(charger: Charger) -> None:
    await charger.start()
    await charger.begin("04A1B2C3")
    await asyncio.sleep(1.5)
    await charger.pause("EV", 0.7)
    await asyncio.sleep(0.8)
    await charger.stop_by_token("04A1B2C3")
    await charger.begin("04D4E5F6")
    await asyncio.sleep(2.5)
    await charger.lose_power(1.0)
    await charger.begin("04A1B2C3")
    await asyncio.sleep(1.2)
    await charger.stop_by_unplugging()
    await charger.delivered()


async def _cut_link(charger: Charger) -> None:
    await charger.start()
    await charger.begin("04112233")
    await asyncio.sleep(1.3)
    await charger.pause("EVSE", 0.6)
    await asyncio.sleep(0.7)
    await charger.stop_by_token("04112233")
    await charger.begin("04445566")
    await asyncio.sleep(1.5)
    await charger.cut()
    await asyncio.sleep(2.5)
    await charger.stop_by_unplugging()
    await charger.mend()
    await charger.delivered()


async def _remote_control(charger: Charger) -> None:
    await charger.start()
    await charger.begin("04778899")
    await asyncio.sleep(2.2)
    await charger.stop_by_unplugging()
    await charger.begin_remotely("04AABBCC")
    await asyncio.sleep(1.2)
    await charger.pause("EV", 0.8)
    await asyncio.sleep(1.4)
    await charger.stop_remotely()
    await charger.delivered()


SCENARIOS: tuple[tuple[str, str, Callable[[Charger], Coroutine[None, None, None]]], ...] = (
    ("CP-16", "1.6", _power_loss),
    ("CP-201", "2.0.1", _cut_link),
    ("CP-21", "2.1", _remote_control),
)
"""Identity, version, and what happens there."""
