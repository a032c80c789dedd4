"""A CSMS machine with a store under it, and a station that says the same things in every version."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from ocpp_core import OcppVersion, SeededEntropy
from ocpp_core.csms import Csms, CsmsAction, CsmsConfig, Notice, Registration
from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.domain.tokens import AuthorizationStatus, IdTokenInfo
from ocpp_core.rpc import RpcNotice, SendFrame
from ocpp_core.store import Commit, MemoryStore

V16, V201, V21 = OcppVersion.V16, OcppVersion.V201, OcppVersion.V21
VERSIONS = (V16, V201, V21)
BOTH_2X = (V201, V21)
START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
ACCEPTED = Registration(RegistrationStatus.ACCEPTED, 300)
GOOD = IdTokenInfo(AuthorizationStatus.ACCEPTED)
OPEN_HOUSE = CsmsConfig(registration=ACCEPTED, authorization=GOOD)
ASKING = CsmsConfig(registration=ACCEPTED)

Kind = TypeVar("Kind")


def stamp(seconds: float = 0) -> str:
    """A moment of the scenario as it stands on the wire."""
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")[:23] + "Z"


class Host:
    """What an adapter is to a machine: it makes commits durable and keeps what came out."""

    def __init__(
        self,
        version: OcppVersion = V201,
        config: CsmsConfig = OPEN_HOUSE,
        store: MemoryStore | None = None,
        *,
        utc_ms: int | None = START_MS,
        certificate_serial: str | None = None,
        seed: int = 7,
    ) -> None:
        self.seed = seed
        self.version = version
        self.store = MemoryStore() if store is None else store
        self.now = 100.0
        self.csms = Csms(
            config,
            "CP-1",
            version,
            SeededEntropy(seed),
            self.now,
            self.store.load(),
            certificate_serial=certificate_serial,
        )
        self.csms.set_utc(utc_ms, self.now)
        self._ids = 0

    def drain(self) -> list[CsmsAction]:
        """Every action but the Commit, which must come first if at all and is made durable."""
        actions = self.csms.actions()
        if actions and isinstance(actions[0], Commit):
            self.store.commit(actions[0])
            actions = actions[1:]
        assert not any(isinstance(action, Commit) for action in actions)
        return actions

    def raw(self, text: str) -> list[CsmsAction]:
        """Feed a frame."""
        self.csms.receive_frame(text, self.now)
        return self.drain()

    def say(self, action: str, payload: dict[str, Any], call_id: str | None = None) -> list[CsmsAction]:
        """Feed a call of the station."""
        if call_id is None:
            self._ids += 1
            call_id = f"s{self._ids}"
        return self.raw(json.dumps([2, call_id, action, payload]))

    def reply(self, call_id: str, payload: dict[str, Any]) -> list[CsmsAction]:
        """Feed the station's answer to a call."""
        return self.raw(json.dumps([3, call_id, payload]))

    def wait(self, seconds: float) -> list[CsmsAction]:
        """Let time pass, and the timers that are due in it."""
        end = self.now + seconds
        actions = []
        while (due := self.csms.next_timer()) is not None and due <= end:
            self.now = due
            self.csms.handle_timer(self.now)
            actions += self.drain()
        self.now = end
        return actions

    def boot(self) -> list[CsmsAction]:
        """Boot the station."""
        return self.say("BootNotification", boot(self.version))

    def reconnect(self, version: OcppVersion | None = None, config: CsmsConfig = OPEN_HOUSE) -> "Host":
        """The next connection of the same station, over what is durable."""
        self.csms.link_lost(self.now)
        self.drain()
        return Host(version or self.version, config, self.store, seed=self.seed + 1)


def boot(version: OcppVersion, serial: str = "SN1") -> dict[str, Any]:
    """A BootNotification."""
    if version is V16:
        return {
            "chargePointVendor": "Vendor",
            "chargePointModel": "Model",
            "chargePointSerialNumber": serial,
            "iccid": "I",
        }
    station = {"model": "Model", "vendorName": "Vendor", "serialNumber": serial, "modem": {"iccid": "I"}}
    return {"reason": "Unknown", "chargingStation": station}


def of(actions: Iterable[object], kind: type[Kind]) -> list[Kind]:
    """The actions of one kind."""
    return [action for action in actions if isinstance(action, kind)]


def one(actions: Iterable[object], kind: type[Kind]) -> Kind:
    """The only action of its kind."""
    (action,) = of(actions, kind)
    return action


def answer(actions: Iterable[object]) -> list[Any]:
    """The only frame, parsed."""
    frame: list[Any] = json.loads(one(actions, SendFrame).text)
    return frame


def told(actions: Iterable[object]) -> list[object]:
    """The actions without frames and notices: what the application learns."""
    return [action for action in actions if not isinstance(action, SendFrame | Notice | RpcNotice)]


def noticed(actions: Iterable[object]) -> list[str]:
    """The kinds of the machine's own notices."""
    return [action.kind.value for action in of(actions, Notice)]


def sampled(wh: float, **more: Any) -> dict[str, Any]:
    """A 2.x sampled value of the energy register."""
    return {"value": wh, "measurand": "Energy.Active.Import.Register", **more}


def sampled_16(wh: float, **more: Any) -> dict[str, Any]:
    """A 1.6 sampled value of the energy register."""
    return {"value": str(wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh", **more}


@dataclass
class Driver:
    """A station on a host that says one session in whatever version the host speaks.

    ``hear`` gets every batch of actions.
    """

    host: Host
    hear: Callable[[list[CsmsAction]], None] = lambda actions: None
    transaction: str = "tx-1"
    seq_no: int = 0
    heard: list[CsmsAction] = field(default_factory=list)

    def _say(self, action: str, payload: dict[str, Any]) -> list[CsmsAction]:
        actions = self.host.say(action, payload)
        self.heard += actions
        self.hear(actions)
        return actions

    @property
    def _old(self) -> bool:
        return self.host.version is V16

    def boot(self) -> None:
        self._say("BootNotification", boot(self.host.version))

    def heartbeat(self) -> None:
        self._say("Heartbeat", {})

    def authorize(self, token: str) -> None:
        old = {"idTag": token}
        self._say("Authorize", old if self._old else {"idToken": {"idToken": token, "type": "ISO14443"}})

    def status(self, status_16: str, status: str, at: float) -> None:
        if self._old:
            self._say(
                "StatusNotification",
                {"connectorId": 1, "errorCode": "NoError", "status": status_16, "timestamp": stamp(at)},
            )
        else:
            self._say(
                "StatusNotification",
                {"evseId": 1, "connectorId": 1, "connectorStatus": status, "timestamp": stamp(at)},
            )

    def event(
        self, kind: str, trigger: str, at: float, wh: float | None = None, **more: Any
    ) -> dict[str, Any]:
        """A TransactionEvent (2.x) under the next seqNo."""
        info = {"transactionId": self.transaction, **more.pop("info", {})}
        payload = {
            "eventType": kind,
            "timestamp": stamp(at),
            "triggerReason": trigger,
            "seqNo": self.seq_no,
            "transactionInfo": info,
            **more,
        }
        self.seq_no += 1
        if wh is not None:
            context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(
                kind, "Sample.Periodic"
            )
            value = {"timestamp": stamp(at), "sampledValue": [sampled(wh, context=context)]}
            payload["meterValue"] = [value]
        return payload

    def start(self, token: str, at: float, wh: int) -> None:
        if self._old:
            payload = {"connectorId": 1, "idTag": token, "meterStart": wh, "timestamp": stamp(at)}
            actions = self._say("StartTransaction", payload)
            frames = of(actions, SendFrame)
            if frames:
                self.transaction = str(json.loads(frames[0].text)[2]["transactionId"])
        else:
            place = {"evse": {"id": 1, "connectorId": 1}, "idToken": {"idToken": token, "type": "ISO14443"}}
            self._say("TransactionEvent", self.event("Started", "Authorized", at, wh, **place))

    def meter(self, at: float, wh: float) -> None:
        if self._old:
            value = {"timestamp": stamp(at), "sampledValue": [sampled_16(wh)]}
            number = int(self.transaction)
            payload = {"connectorId": 1, "transactionId": number, "meterValue": [value]}
            self._say("MeterValues", payload)
        else:
            self._say("TransactionEvent", self.event("Updated", "MeterValuePeriodic", at, wh))

    def stop(self, token: str, at: float, wh: int) -> None:
        if self._old:
            data = {"timestamp": stamp(at), "sampledValue": [sampled_16(wh, context="Transaction.End")]}
            self._say(
                "StopTransaction",
                {
                    "transactionId": int(self.transaction),
                    "idTag": token,
                    "meterStop": wh,
                    "timestamp": stamp(at),
                    "transactionData": [data],
                },
            )
        else:
            place = {"idToken": {"idToken": token, "type": "ISO14443"}}
            self._say("TransactionEvent", self.event("Ended", "StopAuthorized", at, wh, **place))

    def loose_reading(self, at: float, wh: float) -> None:
        """A reading outside of transactions."""
        if self._old:
            value = {"timestamp": stamp(at), "sampledValue": [sampled_16(wh)]}
            self._say("MeterValues", {"connectorId": 1, "meterValue": [value]})
        else:
            value = {"timestamp": stamp(at), "sampledValue": [sampled(wh)]}
            self._say("MeterValues", {"evseId": 1, "meterValue": [value]})

    def security_event(self, at: float) -> None:
        self._say("SecurityEventNotification", {"type": "TamperDetectionActivated", "timestamp": stamp(at)})
