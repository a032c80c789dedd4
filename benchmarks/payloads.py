"""The four messages that everything is measured with.

Their sizes are those of what stations in the field send: a 963-byte MeterValues of OCPP 1.6 (energy and
power, and the currents and voltages of three phases), a 343-byte BootNotification of 1.6, and of 2.0.1 a
TransactionEvent of about 1.2 kB and a NotifyReport of about 100 kB.
"""

import json
from dataclasses import dataclass
from typing import Any

from ocpp_core import OcppVersion

Json = dict[str, Any]
CALL_ID = "7f9c24e8-3b1d-4c55-9a6f-2d8e5b7a1c90"
MOMENT = "2025-03-14T09:26:53.589Z"
TRANSACTION = "1804821390"
ENERGY = "1482960"


@dataclass(frozen=True, slots=True)
class Sample:
    """One request as a JSON value; ``text`` is the frame of its CALL, without spaces."""

    version: OcppVersion
    action: str
    payload: Json

    @property
    def text(self) -> str:
        """The CALL as a station sends it."""
        return json.dumps([2, CALL_ID, self.action, self.payload], separators=(",", ":"))

    @property
    def label(self) -> str:
        """``MeterValues 963 B``."""
        size = len(self.text)
        return f"{self.action} {size} B" if size < 10_000 else f"{self.action} {size // 1000} kB"


def _sampled_16(measurand: str, unit: str, value: str, **more: str) -> Json:
    return {"value": value, "context": "Sample.Periodic", "measurand": measurand, **more, "unit": unit}


def _sampled_201(measurand: str, unit: str, value: float, **more: str) -> Json:
    return {
        "value": value,
        "context": "Sample.Periodic",
        "measurand": measurand,
        **more,
        "unitOfMeasure": {"unit": unit},
    }


METER_VALUES = Sample(
    OcppVersion.V16,
    "MeterValues",
    {
        "connectorId": 1,
        "transactionId": int(TRANSACTION),
        "meterValue": [
            {
                "timestamp": MOMENT,
                "sampledValue": [
                    _sampled_16("Energy.Active.Import.Register", "Wh", ENERGY, location="Outlet"),
                    _sampled_16("Power.Active.Import", "W", "11040"),
                    _sampled_16("Current.Import", "A", "16.0", phase="L1"),
                    _sampled_16("Current.Import", "A", "16.1", phase="L2"),
                    _sampled_16("Current.Import", "A", "15.9", phase="L3"),
                    _sampled_16("Voltage", "V", "231", phase="L1-N"),
                    _sampled_16("Voltage", "V", "230.8", phase="L2-N"),
                    _sampled_16("Voltage", "V", "231.5", phase="L3-N"),
                ],
            }
        ],
    },
)

START_TRANSACTION = Sample(
    OcppVersion.V16,
    "StartTransaction",
    {"connectorId": 1, "idTag": "04E1A7B2C3D480", "meterStart": int(ENERGY), "timestamp": MOMENT},
)

BOOT_NOTIFICATION = Sample(
    OcppVersion.V16,
    "BootNotification",
    {
        "chargePointVendor": "Example Chargers",
        "chargePointModel": "Duo 22 Outdoor",
        "chargePointSerialNumber": "EC-2024-000481516",
        "firmwareVersion": "4.8.15-162342",
        "iccid": "8931080019074258417",
        "imsi": "204080812345678",
        "meterType": "Three-Phase MID 63A",
        "meterSerialNumber": "MID-9907-2213",
    },
)

TRANSACTION_EVENT = Sample(
    OcppVersion.V201,
    "TransactionEvent",
    {
        "eventType": "Updated",
        "meterValue": [
            {
                "timestamp": MOMENT,
                "sampledValue": [
                    _sampled_201("Energy.Active.Import.Register", "Wh", 1482960.5, location="Outlet"),
                    _sampled_201("Power.Active.Import", "W", 11040.0),
                    _sampled_201("Current.Import", "A", 15.98, phase="L1"),
                    _sampled_201("Current.Import", "A", 16.02, phase="L2"),
                    _sampled_201("Current.Import", "A", 15.95, phase="L3"),
                    _sampled_201("Voltage", "V", 231.2, phase="L1-N"),
                    _sampled_201("Voltage", "V", 230.8, phase="L2-N"),
                ],
            }
        ],
        "timestamp": MOMENT,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 27,
        "transactionInfo": {
            "transactionId": "c3a1f0de-5b7e-4c02-9d83-64f1b2a7e590",
            "chargingState": "Charging",
            "timeSpentCharging": 1620,
        },
        "evse": {"id": 1, "connectorId": 1},
    },
)


def _report(number: int) -> Json:
    return {
        "component": {"name": "Connector", "evse": {"id": 1 + number % 8, "connectorId": 1}},
        "variable": {"name": f"Temperature{number}", "instance": "Plug"},
        "variableAttribute": [
            {"type": "Actual", "value": "41.5", "mutability": "ReadOnly", "persistent": False}
        ],
        "variableCharacteristics": {
            "unit": "Celsius",
            "dataType": "decimal",
            "minLimit": -40.0,
            "maxLimit": 125.0,
            "supportsMonitoring": True,
        },
    }


NOTIFY_REPORT = Sample(
    OcppVersion.V201,
    "NotifyReport",
    {
        "requestId": 815,
        "generatedAt": MOMENT,
        "tbc": False,
        "seqNo": 0,
        "reportData": [_report(number) for number in range(300)],
    },
)

SAMPLES = (METER_VALUES, BOOT_NOTIFICATION, TRANSACTION_EVENT, NOTIFY_REPORT)
