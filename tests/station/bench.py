"""A station on the bench: its core, a scripted CSMS, hardware that answers, a store, and time by hand.

    bench = Bench(version)          # a station that has booted and told its statuses
    bench.plug_in()
    bench.present("A1")
    bench.run(60)                   # seconds; every timer on the way is handled when it is due
    bench.unplug()
    assert bench.sent("TransactionEvent")[-1]["eventType"] == "Ended"

The script is data: what a token is worth (``tokens``), which actions the CSMS refuses (``refuses``) or never
answers (``ignores``), whether the contactor answers (``contactor``), whether commits succeed (``disk``).
"""

import itertools
import json
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from ocpp_core.domain.layout import Layout
from ocpp_core.domain.metering import ENERGY_REGISTER, Quantity
from ocpp_core.domain.status import StationInfo
from ocpp_core.domain.tokens import IdToken
from ocpp_core.entropy import SeededEntropy
from ocpp_core.station import (
    Backoff,
    CloseLink,
    DoPower,
    LinkFailure,
    Notice,
    NoticeKind,
    OpenLink,
    SendFrame,
    Station,
    StationAction,
    StationConfig,
    TxPoint,
)
from ocpp_core.store import Commit, MemoryStore
from ocpp_core.versions import OcppVersion

FACTS = {"TransactionEvent", "StartTransaction", "MeterValues", "StopTransaction"}
"""The actions that tell of transactions."""
POWER_PATH = frozenset({TxPoint.POWER_PATH_CLOSED})

V16, V201, V21 = OcppVersion
VERSIONS = list(OcppVersion)
V2X = [V201, V21]

EPOCH = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
"""The true time when a bench is set up."""


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def config(version: OcppVersion | None = None, **settings: Any) -> StationConfig:
    """A station of two EVSEs that speaks one version (None: all) and dials again after 10 seconds sharp."""
    defaults: dict[str, Any] = {
        "info": StationInfo("Bench", "Seed"),
        "layout": Layout((1, 1)),
        "backoff": Backoff(10.0, 0.0, 2),
        "sample_interval": 0.0,
        "heartbeat_interval": 100_000.0,
    }
    if version is not None:
        defaults["versions"] = (version,)
    return StationConfig(**(defaults | settings))


class Bench:
    """See the module. ``start=False`` leaves the station unpowered until :meth:`power_up`."""

    def __init__(self, version: OcppVersion = V201, *, start: bool = True, **settings: Any) -> None:
        self.version = version
        self.config = settings.pop("config", None) or config(version, **settings)
        self.store = MemoryStore()
        self.now = 1000.0
        self.world = 0.0
        """Seconds since EPOCH; goes on while the station is without power."""
        self.clock_error = 0.0
        """How far the CSMS's clock is off, in seconds."""
        self.log: list[StationAction] = []
        """Every action carried out."""
        self.frames: list[list[Any]] = []
        """Every frame that the station sent."""
        self.answers: list[list[Any]] = []
        """The station's answers to calls of the CSMS."""
        # the script
        self.registration = "Accepted"
        self.interval = 0
        self.tokens: dict[str, dict[str, Any]] = {}
        self.transaction_ids = itertools.count(1)
        self.refuses: set[str] = set()
        self.ignores: set[str] = set()
        self.dials: bool | None = True
        """Whether links can be opened; None: the adapter does not even say so."""
        self.contactor = True
        self.disk = True
        self.wh: dict[int, float] = {}
        self._boot = 0
        self._inbox: deque[tuple[str, Any]] = deque()
        self._ids = itertools.count(1)
        if start:
            self.power_up()

    # power, link, time

    def power_up(self, now: float = 1000.0) -> None:
        """A new life of the station, from what the store kept."""
        self._boot += 1
        self.now = now
        self._inbox.clear()
        entropy = SeededEntropy(f"bench {self._boot}")
        self.station = Station(self.config, entropy, now, self.store.load())
        self.drain()

    def power_loss(self, off: float = 30.0) -> None:
        """Lights out, and on again ``off`` seconds later; the monotonic clock starts anew."""
        self.world += off
        self.power_up(500.0)

    def cut(self, *, back: bool = False) -> None:
        """The link goes; it comes back by itself only if ``back``."""
        self.dials = back
        self._inbox.clear()
        self.station.link_closed(1006, "cut", self.now)
        self.drain()

    def mend(self) -> None:
        """The link may be opened again, which the station does when its back-off is over."""
        self.dials = True
        self.station.connect(self.now)
        self.drain()

    def run(self, seconds: float) -> None:
        """Let time pass, and handle every timer exactly when it is due."""
        end = self.now + seconds
        for _ in range(100_000):
            at = self.station.next_timer()
            if at is None or at > end:
                break
            self._pass(max(at, self.now) - self.now)
            self.station.handle_timer(self.now)
            self.drain()
        else:
            raise AssertionError("the station's timers never come to rest")
        self._pass(end - self.now)

    def skip(self, seconds: float) -> None:
        """Let time pass while nobody looks at the timers, and then look once."""
        self._pass(seconds)
        self.station.handle_timer(self.now)
        self.drain()

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        self.world += seconds

    @property
    def csms_time(self) -> datetime:
        return EPOCH + timedelta(seconds=self.world + self.clock_error)

    # hardware and drivers

    def plug_in(self, evse: int = 1, connector: int = 1) -> None:
        self._meter(evse)
        self.station.plug_in(evse, connector, self.now)
        self.drain()

    def unplug(self, evse: int = 1, connector: int = 1) -> None:
        self._meter(evse)
        self.station.plug_out(evse, connector, self.now)
        self.drain()

    def present(self, token: str | IdToken, evse: int | None = 1) -> None:
        token = IdToken(token) if isinstance(token, str) else token
        self.station.present_token(token, evse, self.now)
        self.drain()

    def suspend(self, evse: int = 1, by: Any = "EV") -> None:
        self._meter(evse)
        self.station.suspend(evse, by, self.now)
        self.drain()

    def resume(self, evse: int = 1, by: Any = "EV") -> None:
        self._meter(evse)
        self.station.resume(evse, by, self.now)
        self.drain()

    def switch(self, on: bool, evse: int = 1) -> None:
        """The contactor says where it stands."""
        self._meter(evse)
        self.station.power_switched(evse, on, self.now)
        self.drain()

    def charge(self, wh: float, evse: int = 1) -> None:
        """So much energy flows through the meter, which says so."""
        self.wh[evse] = self.wh.get(evse, 0.0) + wh
        self._meter(evse)
        self.drain()

    def _meter(self, evse: int) -> None:
        if evse in self.wh:
            quantities = (Quantity(self.wh[evse]), Quantity(7000.0, "Power.Active.Import", "W"))
            self.station.meter(evse, quantities, self.now)

    def start_charging(self, token: str = "A1", evse: int = 1) -> None:
        """Plug, token, power."""
        self.wh.setdefault(evse, 1000.0)
        self.plug_in(evse)
        self.present(token, evse)
        assert self.evse(evse)["charging_state"] == "Charging"

    # the CSMS

    def ask(self, action: str, payload: dict[str, Any]) -> Any:
        """A call of the CSMS: the payload of the answer, the code of the error, or None without an answer."""
        call_id = f"csms-{next(self._ids)}"
        before = len(self.answers)
        self.receive(json.dumps([2, call_id, action, payload]))
        for frame in self.answers[before:]:
            if frame[1] == call_id:
                return frame[2]
        return None

    def receive(self, text: str) -> None:
        self.station.receive_frame(text, self.now)
        self.drain()

    def answer(self, frame: list[Any], payload: dict[str, Any] | None = None) -> None:
        """Answer a frame of the station by hand, by default as the script has it."""
        _, call_id, action, body = frame
        self.receive(json.dumps([3, call_id, self._answer(action, body) if payload is None else payload]))

    def sent(self, action: str) -> list[dict[str, Any]]:
        """The payloads of the calls of this action."""
        return [frame[3] for frame in self.calls(action)]

    def calls(self, action: str | None = None) -> list[list[Any]]:
        """The CALL frames of this action, or all."""
        return [frame for frame in self.frames if frame[0] == 2 and action in (None, frame[2])]

    def facts(self) -> list[tuple[str, dict[str, Any]]]:
        """The transaction messages sent, as (message id, payload)."""
        return [(frame[1], frame[3]) for frame in self.calls() if frame[2] in FACTS]

    def begun(self) -> list[dict[str, Any]]:
        """What began transactions, in the version's words."""
        if self.version is V16:
            return self.sent("StartTransaction")
        return [event for event in self.sent("TransactionEvent") if event["eventType"] == "Started"]

    def ended(self) -> list[dict[str, Any]]:
        """What ended transactions, in the version's words."""
        if self.version is V16:
            return self.sent("StopTransaction")
        return [event for event in self.sent("TransactionEvent") if event["eventType"] == "Ended"]

    def statuses(self, evse: int = 1) -> list[str]:
        """The statuses told of an EVSE's first connector."""
        if self.version is V16:
            return [said["status"] for said in self.sent("StatusNotification") if said["connectorId"] == evse]
        told = self.sent("StatusNotification")
        return [said["connectorStatus"] for said in told if said["evseId"] == evse]

    def notices(self, kind: NoticeKind) -> list[str]:
        return [action.detail for action in self.log if isinstance(action, Notice) and action.kind is kind]

    def done(self, kind: type) -> list[Any]:
        """The actions of this kind carried out."""
        return [action for action in self.log if isinstance(action, kind)]

    def forget(self) -> None:
        """Clear the records, not the station."""
        self.log.clear()
        self.frames.clear()
        self.answers.clear()

    # what is

    def state(self) -> dict[str, Any]:
        return self.station.state(self.now)

    def evse(self, number: int = 1) -> dict[str, Any]:
        return self.state()["evses"][number - 1]

    @property
    def registered(self) -> str | None:
        return self.state()["registration"]

    @property
    def queued(self) -> int:
        """How many facts wait for the CSMS."""
        facts: int = self.state()["queue"]["facts"]
        return facts

    @property
    def online(self) -> bool:
        return self.state()["connection"]["state"] == "open"

    # carrying out

    def drain(self) -> None:
        """Carry out what the station asks, and let the world answer, until both are at rest."""
        for _ in range(10_000):
            actions = self.station.actions()
            if actions:
                self._carry_out(actions)
            elif self._inbox:
                verb, argument = self._inbox.popleft()
                self._happen(verb, argument)
            else:
                return
        raise AssertionError("station and CSMS never come to rest")

    def _carry_out(self, actions: list[StationAction]) -> None:
        for action in actions:
            if isinstance(action, Commit):
                if not self.disk:
                    self.station.store_failed("disk full", self.now)
                    return
                self.store.commit(action)
            self.log.append(action)
            if isinstance(action, SendFrame):
                self._take(json.loads(action.text))
            elif isinstance(action, OpenLink) and self.dials is not None:
                self._inbox.append(("open", action))
            elif isinstance(action, CloseLink):
                self._inbox.append(("close", action))
            elif isinstance(action, DoPower) and self.contactor:
                self._inbox.append(("power", action))

    def _take(self, frame: list[Any]) -> None:
        self.frames.append(frame)
        if frame[0] != 2:
            self.answers.append(frame)
        elif frame[2] in self.refuses:
            self._inbox.append(("frame", [4, frame[1], "InternalError", "as scripted", {}]))
        elif frame[2] not in self.ignores:
            self._inbox.append(("frame", [3, frame[1], self._answer(frame[2], frame[3])]))

    def _happen(self, verb: str, argument: Any) -> None:
        if verb == "frame":
            self.station.receive_frame(json.dumps(argument), self.now)
        elif verb == "power":
            self._meter(argument.evse)
            self.station.power_switched(argument.evse, argument.on, self.now)
        elif verb == "close":
            if self.state()["connection"]["state"] != "closing":
                return  # it has closed already
            self.station.link_closed(argument.code, argument.reason, self.now)
        elif not self.dials:
            self.station.link_failed(LinkFailure.UNREACHABLE, "no route", self.now)
        elif self.version in argument.versions:
            self.station.link_opened(self.version, self.now)
        else:
            self.station.link_failed(LinkFailure.REFUSED_SUBPROTOCOL, "", self.now)

    def _answer(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        if action == "BootNotification":
            time = iso(self.csms_time)
            return {"status": self.registration, "currentTime": time, "interval": self.interval}
        if action == "Heartbeat":
            return {"currentTime": iso(self.csms_time)}
        if action == "Authorize":
            token = body["idTag"] if self.version is V16 else body["idToken"]["idToken"]
            return self._verdict(token)
        if action == "StartTransaction":
            return {"transactionId": next(self.transaction_ids)} | self._verdict(body["idTag"])
        if action == "TransactionEvent" and "idToken" in body:
            return self._verdict(body["idToken"]["idToken"])
        return {}

    def _verdict(self, token: str) -> dict[str, Any]:
        info = {"status": "Accepted"} | self.tokens.get(token, {})
        return {"idTagInfo" if self.version is V16 else "idTokenInfo": info}


def group(name: str, version: OcppVersion) -> dict[str, Any]:
    """The script's entry for a token of a group."""
    if version is V16:
        return {"parentIdTag": name}
    return {"groupIdToken": {"idToken": name, "type": "Central"}}


ENERGY = ENERGY_REGISTER
