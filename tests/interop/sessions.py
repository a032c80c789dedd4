"""A charging session as a foreign station tells it, and what a foreign central system answers to one.

The same in every version: the station boots, is asked to start, charges 1500 Wh and stops.
"""

from typing import Any

from ocpp_core import OcppVersion
from tests.interop.conversation import Script, Step

Json = dict[str, Any]
V16, V201, V21 = OcppVersion
TOKEN = "04E1A7B2C3D480"
START_WH, END_WH = 1000, 2500
_TRANSACTION = "c3a1f0de-5b7e-4c02-9d83-64f1b2a7e590"
REMOTE_START = {
    V16: "RemoteStartTransaction",
    V201: "RequestStartTransaction",
    V21: "RequestStartTransaction",
}


def _at(seconds: int) -> str:
    return f"2025-03-14T09:{seconds // 60:02}:{seconds % 60:02}.000Z"


def _station_16() -> Script:
    def reading(seconds: int, wh: int) -> Json:
        sampled = {"value": str(wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        return {"timestamp": _at(seconds), "sampledValue": [sampled]}

    def status(seconds: int, status: str) -> Json:
        return {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": _at(seconds)}

    start = {"connectorId": 1, "idTag": TOKEN, "meterStart": START_WH, "timestamp": _at(10)}
    stop = {"idTag": TOKEN, "meterStop": END_WH, "timestamp": _at(200), "transactionId": "$transactionId"}
    values = [reading(100, 1700)]
    return Script(
        answers={REMOTE_START[V16]: {"status": "Accepted"}},
        calls=[
            Step("BootNotification", {"chargePointVendor": "Vendor", "chargePointModel": "Model"}),
            Step("StatusNotification", status(1, "Available")),
            Step("Authorize", {"idTag": TOKEN}, when=REMOTE_START[V16]),
            Step("StartTransaction", start),
            Step("StatusNotification", status(11, "Charging")),
            Step("MeterValues", {"connectorId": 1, "transactionId": "$transactionId", "meterValue": values}),
            Step("StopTransaction", stop),
            Step("StatusNotification", status(201, "Available")),
            Step("Heartbeat", {}),
        ],
    )


def _station_2x(version: OcppVersion) -> Script:
    token = {"idToken": TOKEN, "type": "ISO14443"}

    def event(kind: str, seq_no: int, seconds: int, trigger: str, wh: float, **more: Any) -> Step:
        sampled = {"value": wh, "measurand": "Energy.Active.Import.Register"}
        info = {"transactionId": _TRANSACTION, **more.pop("info", {})}
        return Step(
            "TransactionEvent",
            {
                "eventType": kind,
                "timestamp": _at(seconds),
                "triggerReason": trigger,
                "seqNo": seq_no,
                "transactionInfo": info,
                "meterValue": [{"timestamp": _at(seconds), "sampledValue": [sampled]}],
                **more,
            },
        )

    def status(seconds: int, status: str) -> Json:
        return {"timestamp": _at(seconds), "connectorStatus": status, "evseId": 1, "connectorId": 1}

    evse = {"id": 1, "connectorId": 1}
    station = {"model": "Model", "vendorName": "Vendor"}
    stopped = {"stoppedReason": "Local"}
    return Script(
        answers={REMOTE_START[version]: {"status": "Accepted"}},
        calls=[
            Step("BootNotification", {"reason": "PowerUp", "chargingStation": station}),
            Step("StatusNotification", status(1, "Available")),
            Step("Authorize", {"idToken": token}, when=REMOTE_START[version]),
            event("Started", 0, 10, "RemoteStart", START_WH, evse=evse, idToken=token),
            Step("StatusNotification", status(11, "Occupied")),
            event("Updated", 1, 100, "MeterValuePeriodic", 1700),
            event("Ended", 2, 200, "StopAuthorized", END_WH, info=stopped),
            Step("StatusNotification", status(201, "Available")),
            Step("Heartbeat", {}),
        ],
    )


def station(version: OcppVersion) -> Script:
    """What a foreign station says."""
    return _station_16() if version is V16 else _station_2x(version)


def csms(version: OcppVersion) -> Script:
    """What a foreign central system answers; it asks for a start once it has heard a status."""
    now = {"currentTime": _at(0)}
    answers: dict[str, Json | None] = {
        "BootNotification": {**now, "interval": 300, "status": "Accepted"},
        "Heartbeat": now,
        "StatusNotification": {},
    }
    if version is V16:
        accepted: Json = {"idTagInfo": {"status": "Accepted"}}
        answers |= {
            "Authorize": accepted,
            "StartTransaction": {"transactionId": 4711, **accepted},
            "MeterValues": {},
            "StopTransaction": accepted,
        }
        ask = Step(REMOTE_START[version], {"connectorId": 1, "idTag": TOKEN}, when="StatusNotification")
    else:
        answers |= {
            "Authorize": {"idTokenInfo": {"status": "Accepted"}},
            "TransactionEvent": {"idTokenInfo": {"status": "Accepted"}},
        }
        token = {"idToken": TOKEN, "type": "ISO14443"}
        request = {"evseId": 1, "idToken": token, "remoteStartId": 1}
        ask = Step(REMOTE_START[version], request, when="StatusNotification")
    return Script(answers, [ask])
