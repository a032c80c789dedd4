"""The station's settings by their OCPP names: 2.x component and variable, or 1.6 configuration key.

Values are text, as on the wire. A new value takes effect when the station next starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ocpp_control import CommandError
from ocpp_core import ConfigurationError
from ocpp_core.station.config import StationConfig, TxPoint


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of :class:`StationConfig` and what OCPP calls it."""

    field: str
    component: str | None
    variable: str | None
    key: str | None = None

    @property
    def name(self) -> str:
        """The name for people."""
        return f"{self.component}.{self.variable}" if self.component else str(self.key)


SETTINGS = (
    Setting("heartbeat_interval", "OCPPCommCtrlr", "HeartbeatInterval", "HeartbeatInterval"),
    Setting("message_timeout", "OCPPCommCtrlr", "MessageTimeout"),
    Setting("attempts", "OCPPCommCtrlr", "MessageAttempts", "TransactionMessageAttempts"),
    Setting("attempt_interval", "OCPPCommCtrlr", "MessageAttemptInterval", "TransactionMessageRetryInterval"),
    Setting("offline_threshold", "OCPPCommCtrlr", "OfflineThreshold"),
    Setting("sample_interval", "SampledDataCtrlr", "TxUpdatedInterval", "MeterValueSampleInterval"),
    Setting("sampled_measurands", "SampledDataCtrlr", "TxUpdatedMeasurands", "MeterValuesSampledData"),
    Setting("ended_interval", "SampledDataCtrlr", "TxEndedInterval"),
    Setting("ended_measurands", "SampledDataCtrlr", "TxEndedMeasurands", "StopTxnSampledData"),
    Setting("ended_samples_limit", None, None, "StopTransactionMaxMeterValues"),
    Setting("ev_connection_timeout", "TxCtrlr", "EVConnectionTimeOut", "ConnectionTimeOut"),
    Setting("stop_tx_on_invalid_id", "TxCtrlr", "StopTxOnInvalidId", "StopTransactionOnInvalidId"),
    Setting("tx_start_points", "TxCtrlr", "TxStartPoint"),
    Setting("tx_stop_points", "TxCtrlr", "TxStopPoint"),
    Setting("local_authorize_offline", "AuthCtrlr", "LocalAuthorizeOffline", "LocalAuthorizeOffline"),
    Setting(
        "offline_tx_for_unknown_id", "AuthCtrlr", "OfflineTxForUnknownIdEnabled", "AllowOfflineTxForUnknownId"
    ),
)


def find(arguments: Mapping[str, Any]) -> Setting:
    """The setting that a command names. Raises :class:`CommandError`, listing those there are."""
    component, variable, key = (arguments.get(name) for name in ("component", "variable", "key"))
    if (key is None) == (component is None) or (component is None) != (variable is None):
        raise CommandError("name a setting by component and variable, or by key")
    for setting in SETTINGS:
        if key is not None and setting.key is not None and setting.key.casefold() == key.casefold():
            return setting
        if component is not None and (setting.component, setting.variable) == (component, variable):
            return setting
    allowed = [setting.key if key is not None else setting.name for setting in SETTINGS]
    wanted = key if key is not None else f"{component}.{variable}"
    raise CommandError(f"{wanted} is not there yet; allowed: {', '.join(name for name in allowed if name)}")


def get(config: StationConfig, setting: Setting) -> str:
    """The value of a setting, as text."""
    value = getattr(config, setting.field)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | frozenset):
        return ",".join(value if isinstance(value, tuple) else sorted(value))
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def put(config: StationConfig, setting: Setting, text: str) -> StationConfig:
    """The configuration with a new value. Raises :class:`CommandError` if the text is no such value."""
    old = getattr(config, setting.field)
    try:
        return replace(config, **{setting.field: _parse(text, old)})
    except (ValueError, ConfigurationError) as error:
        raise CommandError(f"{text[:100]!r} is no value for {setting.name}: {error}") from None


def _parse(text: str, old: object) -> Any:
    if isinstance(old, bool):
        if text.casefold() not in ("true", "false"):
            raise ValueError("true or false")
        return text.casefold() == "true"
    if isinstance(old, int | float):
        number = type(old)(text)
        if not 0 <= number < float("inf"):
            raise ValueError("a number from 0")
        return number
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return frozenset(TxPoint(name) for name in names) if isinstance(old, frozenset) else names
