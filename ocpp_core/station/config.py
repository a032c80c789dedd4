"""What a station is told once, when it is built."""

from dataclasses import dataclass, field
from enum import StrEnum

from ..domain.layout import Layout
from ..domain.metering import ENERGY_REGISTER
from ..domain.network import NetworkProfile
from ..domain.status import BootReason, StationInfo
from ..errors import ConfigurationError
from ..messages import STRICT, Tolerance
from ..versions import OcppVersion


class TxPoint(StrEnum):
    """A condition that can start or stop a transaction (values of TxStartPoint and TxStopPoint)."""

    EV_CONNECTED = "EVConnected"
    AUTHORIZED = "Authorized"
    POWER_PATH_CLOSED = "PowerPathClosed"
    ENERGY_TRANSFER = "EnergyTransfer"


class PinPolicy(StrEnum):
    """What to do when the server refuses the version in which open transactions have been told so far.

    Restating them in another version is no choice: what was acknowledged is gone, and a CSMS that saw their
    begin would bill them twice.
    """

    HOLD = "hold"
    """Offer that version again until a server takes it, for ``pin_timeout`` seconds at most."""
    HAND_OVER = "hand over"
    """Give the operator what the CSMS has not acknowledged (``FactHandedOver``), and offer all versions."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before dialling again (RetryBackOff… variables of OCPPCommCtrlr), in seconds.

    The wait starts at ``minimum``, doubles ``repeats`` times at most, and a random part of up to
    ``random_range`` comes on top each time. Raises :class:`~ocpp_core.errors.ConfigurationError` for a
    minimum of 0 or anything below 0.
    """

    minimum: float = 5.0
    random_range: float = 5.0
    repeats: int = 5

    def __post_init__(self) -> None:
        if not (self.minimum > 0 and self.random_range >= 0 and self.repeats >= 0):
            raise ConfigurationError("backoff: a minimum above 0 seconds, and nothing below 0")

    def wait(self, failures: int, fraction: float) -> float:
        """Seconds to wait after ``failures`` (at least 1) attempts; ``fraction`` in [0, 1) is drawn."""
        doublings = min(failures - 1, self.repeats)
        return float(self.minimum * 2**doublings + self.random_range * fraction)


@dataclass(frozen=True, slots=True)
class StationConfig:
    """Everything a :class:`~ocpp_core.station.Station` needs to know; times in seconds.

    Raises :class:`~ocpp_core.errors.ConfigurationError` where a value makes no sense.
    """

    info: StationInfo
    layout: Layout = field(default_factory=Layout)
    versions: tuple[OcppVersion, ...] = (OcppVersion.V21, OcppVersion.V201, OcppVersion.V16)
    """Offered in this order."""
    network_profiles: tuple[NetworkProfile, ...] = (NetworkProfile(),)
    """The ways to the CSMS, in the order of NetworkConfigurationPriority."""
    network_attempts: int = 3
    """NetworkProfileConnectionAttempts: that fail before the next profile's turn."""
    allow_security_profile_downgrade: bool = False
    """AllowSecurityProfileDowngrade: whether profile 2 may be used after profile 3 (A00.FR.005)."""
    autoconnect: bool = True
    boot_reason: BootReason = BootReason.POWER_UP

    tx_start_points: frozenset[TxPoint] = frozenset({TxPoint.EV_CONNECTED, TxPoint.AUTHORIZED})
    tx_stop_points: frozenset[TxPoint] = frozenset({TxPoint.EV_CONNECTED, TxPoint.AUTHORIZED})
    stop_tx_on_invalid_id: bool = True
    """StopTxOnInvalidId / StopTransactionOnInvalidId."""
    authorize_remote_start: bool = False
    """AuthorizeRemoteStart / AuthorizeRemoteTxRequests: ask before a remote start, as for a local token."""
    ev_connection_timeout: float = 60.0
    """EVConnectionTimeOut / ConnectionTimeOut: from authorization to the cable."""

    sample_interval: float = 60.0
    """TxUpdatedInterval / MeterValueSampleInterval; 0 turns periodic readings off."""
    sampled_measurands: tuple[str, ...] = (ENERGY_REGISTER, "Power.Active.Import")
    """TxUpdatedMeasurands / MeterValuesSampledData."""
    ended_interval: float = 0.0
    """TxEndedInterval: readings kept for the end of the transaction; 0: only its begin and end."""
    ended_measurands: tuple[str, ...] = (ENERGY_REGISTER,)
    """TxEndedMeasurands / StopTxnSampledData, also those of the begin."""
    ended_samples_limit: int = 500
    """Readings kept between begin and end; beyond it every second one is thinned out (E06.FR.13).

    StopTransactionMaxMeterValues of 1.6 counts begin and end too.
    """

    heartbeat_interval: float = 300.0
    """Until a CSMS says otherwise."""
    boot_retry_interval: float = 30.0
    """Where the CSMS gives no interval (B02.FR.07)."""
    message_timeout: float = 30.0
    tolerance: Tolerance = STRICT
    """Which faults in the CSMS's messages are repaired, each with a notice; what it does not know of a
    status counts as not accepted."""
    attempts: int = 3
    """MessageAttempts[TransactionEvent] / TransactionMessageAttempts."""
    attempt_interval: float = 60.0
    """MessageAttemptInterval[TransactionEvent] / TransactionMessageRetryInterval."""
    backoff: Backoff = field(default_factory=Backoff)
    dial_timeout: float = 120.0
    """An adapter that has not answered OpenLink by then is taken to have failed."""
    offline_threshold: float = 3600.0
    """OfflineThreshold: after a longer absence every connector's status is told anew (B04.FR.01)."""
    power_deadline: float = 10.0
    """A contactor that has not confirmed by then is taken to have switched off, never on."""

    local_authorize_offline: bool = True
    """LocalAuthorizeOffline: what the CSMS said of a token before counts while it cannot be asked."""
    offline_tx_for_unknown_id: bool = False
    """OfflineTxForUnknownIdEnabled / AllowOfflineTxForUnknownId."""
    auth_cache_limit: int = 500
    pin_policy: PinPolicy = PinPolicy.HOLD
    pin_timeout: float = 0.0
    """Seconds after which what HOLD keeps for a CSMS is handed over all the same; 0: never. Reboots count."""
    outbox_limit: int = 2000
    """Facts kept for a CSMS that is away; beyond it samples are thinned, then transactions refused."""
    store_retry_interval: float = 5.0

    requests: frozenset[str] = frozenset()
    """Actions of the CSMS that the station's own software answers (``RequestReceived``), also in place of the
    station; any other that it does not know is refused."""
    question_timeout: float = 20.0
    """Seconds that the software may take to answer; at most two thirds of the CSMS's time-out."""
    calls_limit: int = 16
    """Calls of the software that may wait for their turn."""

    startup_event: bool = False
    """Whether every boot is a security event (StartupOfTheDevice)."""
    told_security_events: frozenset[str] = frozenset()
    """Types of security events that the CSMS is told besides the critical ones, a vendor's own too."""
    security_log_limit: int = 500
    """Security events kept; beyond it the oldest go, those first that the CSMS need not be told."""

    def __post_init__(self) -> None:
        if not self.versions or len(set(self.versions)) != len(self.versions):
            raise ConfigurationError("versions: at least one, each once")
        if not self.tx_start_points or not self.tx_stop_points:
            raise ConfigurationError("tx_start_points and tx_stop_points: at least one each")
        slots = [profile.slot for profile in self.network_profiles]
        if not slots or len(set(slots)) != len(slots):
            raise ConfigurationError("network_profiles: at least one, each slot once")
        for name in (
            "network_attempts",
            "attempts",
            "outbox_limit",
            "security_log_limit",
            "auth_cache_limit",
            "ended_samples_limit",
            "calls_limit",
        ):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name}: at least 1")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name}: more than 0 seconds")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"{name}: at least 0 seconds")


_POSITIVE = (
    "ev_connection_timeout",
    "heartbeat_interval",
    "boot_retry_interval",
    "message_timeout",
    "dial_timeout",
    "power_deadline",
    "store_retry_interval",
    "question_timeout",
)
_NOT_NEGATIVE = ("sample_interval", "ended_interval", "attempt_interval", "offline_threshold", "pin_timeout")
