"""Transactions: their states, why they change, and the facts of which a CSMS must learn every one."""

from dataclasses import dataclass
from enum import StrEnum

from .metering import Sample
from .time import Stamp
from .tokens import IdToken


class ChargingState(StrEnum):
    """Where a transaction stands (2.x ChargingStateEnumType)."""

    IDLE = "Idle"
    EV_CONNECTED = "EVConnected"
    CHARGING = "Charging"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"


class TriggerReason(StrEnum):
    """Why a fact about a transaction was recorded (2.x TriggerReasonEnumType)."""

    ABNORMAL_CONDITION = "AbnormalCondition"
    AUTHORIZED = "Authorized"
    CABLE_PLUGGED_IN = "CablePluggedIn"
    CHARGING_RATE_CHANGED = "ChargingRateChanged"
    CHARGING_STATE_CHANGED = "ChargingStateChanged"
    DEAUTHORIZED = "Deauthorized"
    ENERGY_LIMIT_REACHED = "EnergyLimitReached"
    EV_COMMUNICATION_LOST = "EVCommunicationLost"
    EV_CONNECT_TIMEOUT = "EVConnectTimeout"
    EV_DEPARTED = "EVDeparted"
    EV_DETECTED = "EVDetected"
    METER_VALUE_CLOCK = "MeterValueClock"
    METER_VALUE_PERIODIC = "MeterValuePeriodic"
    REMOTE_START = "RemoteStart"
    REMOTE_STOP = "RemoteStop"
    RESET_COMMAND = "ResetCommand"
    SIGNED_DATA_RECEIVED = "SignedDataReceived"
    STOP_AUTHORIZED = "StopAuthorized"
    TIME_LIMIT_REACHED = "TimeLimitReached"
    TRIGGER = "Trigger"
    UNLOCK_COMMAND = "UnlockCommand"


class StopReason(StrEnum):
    """Why a transaction ended (2.x ReasonEnumType)."""

    DE_AUTHORIZED = "DeAuthorized"
    EMERGENCY_STOP = "EmergencyStop"
    ENERGY_LIMIT_REACHED = "EnergyLimitReached"
    EV_DISCONNECTED = "EVDisconnected"
    GROUND_FAULT = "GroundFault"
    IMMEDIATE_RESET = "ImmediateReset"
    LOCAL = "Local"
    LOCAL_OUT_OF_CREDIT = "LocalOutOfCredit"
    MASTER_PASS = "MasterPass"
    OTHER = "Other"
    OVERCURRENT_FAULT = "OvercurrentFault"
    POWER_LOSS = "PowerLoss"
    POWER_QUALITY = "PowerQuality"
    REBOOT = "Reboot"
    REMOTE = "Remote"
    SOC_LIMIT_REACHED = "SOCLimitReached"
    STOPPED_BY_EV = "StoppedByEV"
    TIME_LIMIT_REACHED = "TimeLimitReached"
    TIMEOUT = "Timeout"


class Phase(StrEnum):
    """Which part of a transaction a fact tells of (2.x TransactionEventEnumType)."""

    STARTED = "Started"
    UPDATED = "Updated"
    ENDED = "Ended"


@dataclass(frozen=True, slots=True)
class TransactionFact:
    """One thing that happened in a transaction. Never changed once recorded; the CSMS must learn it.

    ``energised`` is true on exactly one fact of a transaction that ever had a car and an accepted token
    together: the first at which both were there. 1.6's transaction begins with that fact, whatever the
    station's TxStartPoint says, and ``driver`` (the token of the transaction, if known) goes with it.
    ``id_token`` is set only on the facts at which a token began or ended the authorization (E03.FR.01,
    E07.FR.02), ``tells_evse`` only on the first fact with the cable connected (E01.FR.16).
    """

    transaction: str
    phase: Phase
    trigger: TriggerReason
    at: Stamp
    evse: int
    connector: int
    meter_wh: float
    charging_state: ChargingState | None = None
    energised: bool = False
    tells_evse: bool = False
    driver: IdToken | None = None
    id_token: IdToken | None = None
    remote_start_id: int | None = None
    reservation_id: int | None = None
    stop_reason: StopReason | None = None
    samples: tuple[Sample, ...] = ()

    @property
    def told_token(self) -> IdToken | None:
        """The token that some version tells with this fact, and on which a CSMS then gives its word."""
        return self.id_token or (self.driver if self.energised else None)

    @property
    def carries_nothing_else(self) -> bool:
        """Whether this Updated tells nothing that must be told once: only such a fact may be thinned out."""
        return (
            self.phase is Phase.UPDATED
            and not self.energised
            and not self.tells_evse
            and self.id_token is None
            and self.remote_start_id is None
            and self.reservation_id is None
        )

    @property
    def is_sample(self) -> bool:
        """Whether the fact is a periodic or clock-aligned reading and no more (E04.FR.07)."""
        return self.carries_nothing_else and self.trigger in (
            TriggerReason.METER_VALUE_PERIODIC,
            TriggerReason.METER_VALUE_CLOCK,
        )

    @property
    def is_state_change(self) -> bool:
        """Whether the fact is a change of the charging state and no more."""
        return self.carries_nothing_else and self.trigger is TriggerReason.CHARGING_STATE_CHANGED
