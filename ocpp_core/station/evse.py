"""One EVSE as the station sees it: cable, authorization, power path, meter, and the transaction on it."""

from dataclasses import dataclass, field
from enum import StrEnum

from ..domain.layout import ConnectorRef
from ..domain.metering import ENERGY_REGISTER, Quantity
from ..domain.status import ConnectorStatus
from ..domain.tokens import IdToken
from ..domain.transactions import ChargingState, StopReason, TriggerReason
from .tables import TransactionRow


class Power(StrEnum):
    """Where the contactor of an EVSE stands; the two middle states await the hardware's word."""

    OFF = "off"
    CLOSING = "closing"
    ON = "on"
    OPENING = "opening"


@dataclass(frozen=True, slots=True)
class Ending:
    """A transaction that ends once the contactor is open, so that its last reading is its last."""

    trigger: TriggerReason
    reason: StopReason
    token: IdToken | None = None


@dataclass(slots=True)
class Evse:
    """The live state of one EVSE. Only ``row`` (with its ``transaction`` id) survives power loss."""

    id: int
    plugged: int | None = None
    driver: IdToken | None = None
    group: IdToken | None = None
    locked: bool = False
    held_for: IdToken | None = None
    held_group: IdToken | None = None
    """Whose cable stays locked after the CSMS refused the token, until it is shown again (E05.FR.11)."""
    denied: bool = False
    """The CSMS refused the driver's token, but the transaction goes on without energy (E05.FR.02)."""
    suspended_by: set[str] = field(default_factory=set)
    power: Power = Power.OFF
    finished: bool = False
    """A transaction ended on this plug-in: what 1.6 calls Finishing."""
    transaction: str | None = None
    row: TransactionRow | None = None
    ending: Ending | None = None
    untold_token: IdToken | None = None
    untold_remote_start_id: int | None = None
    """What the next fact has to carry, once (E03.FR.01, F02.FR.01)."""
    told_state: ChargingState | None = None
    """The charging state of the last fact."""
    readings: tuple[Quantity, ...] = ()
    meter_wh: float = 0.0
    """The energy register; 0 until the meter first spoke."""

    @property
    def power_path(self) -> bool:
        """Whether a car and an accepted driver are there together."""
        return self.plugged is not None and self.driver is not None

    @property
    def waits_for_driver(self) -> bool:
        """Whether a token presented here could start charging; a billed transaction is never taken over."""
        billed = self.row is not None and self.row.energised
        return self.driver is None and self.held_for is None and self.ending is None and not billed

    @property
    def charging_state(self) -> ChargingState:
        """The 2.x charging state that a transaction on this EVSE has now."""
        if self.plugged is None:
            return ChargingState.IDLE
        if self.denied:
            return ChargingState.SUSPENDED_EVSE
        if self.driver is None or self.power is not Power.ON:
            return ChargingState.EV_CONNECTED
        if "EVSE" in self.suspended_by:
            return ChargingState.SUSPENDED_EVSE
        return ChargingState.SUSPENDED_EV if self.suspended_by else ChargingState.CHARGING

    def take_reading(self, quantities: tuple[Quantity, ...]) -> None:
        """Remember the meter's latest values."""
        self.readings = quantities
        for quantity in quantities:
            if quantity.measurand == ENERGY_REGISTER and quantity.phase is None:
                self.meter_wh = quantity.value * 1000 if quantity.unit == "kWh" else quantity.value

    def select(self, measurands: tuple[str, ...]) -> tuple[Quantity, ...]:
        """The latest values of these measurands, in the order of the configuration."""
        return tuple(
            quantity
            for measurand in measurands
            for quantity in self.readings
            if quantity.measurand == measurand
        )


@dataclass(frozen=True, slots=True)
class ConnectorView:
    """What a connector's status is computed from."""

    ref: ConnectorRef
    plugged: bool
    authorized: bool
    """A token was accepted for its EVSE and waits for the cable, or charges."""
    charging_state: ChargingState | None
    """None without a transaction that 1.6 would know (both car and token were there).

    SuspendedEVSE if its contactor is open although car and driver are there.
    """
    finished: bool
    """A transaction ended on this plug-in, or is about to, or goes on without a driver."""

    @property
    def status(self) -> ConnectorStatus:
        """The 2.x status: only a plugged cable occupies a connector."""
        return ConnectorStatus.OCCUPIED if self.plugged else ConnectorStatus.AVAILABLE

    @property
    def status_16(self) -> str:
        """The nine states of 1.6 as a function of the domain state (1.6 §4.9)."""
        if self.charging_state in (
            ChargingState.CHARGING,
            ChargingState.SUSPENDED_EV,
            ChargingState.SUSPENDED_EVSE,
        ):
            return str(self.charging_state.value)
        if self.finished and not self.authorized:
            return "Finishing"
        return "Preparing" if self.plugged or self.authorized else "Available"


def view(evse: Evse, ref: ConnectorRef) -> ConnectorView:
    """The view of one connector: the others of its EVSE are free while it is in use (E01.FR.14)."""
    plugged = evse.plugged == ref.connector
    mine = plugged or (evse.plugged is None and ref.connector == 1)
    energised = evse.row is not None and evse.row.energised
    state = evse.charging_state
    if evse.power_path and evse.power is Power.OFF:
        state = ChargingState.SUSPENDED_EVSE
    return ConnectorView(
        ref=ref,
        plugged=plugged,
        authorized=mine and evse.driver is not None,
        charging_state=state if mine and energised else None,
        finished=plugged
        and (evse.finished or evse.ending is not None or (energised and evse.driver is None)),
    )
