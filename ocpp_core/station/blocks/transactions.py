"""When a transaction starts, goes on and ends, and when power may flow (2.x E01-E10; 1.6 §4.8, §4.10).

Cable, driver and power path are conditions; TxStartPoint and TxStopPoint say which of them make a
transaction. A transaction that ends waits for the contactor to open, so that its last reading is its last.
"""

from dataclasses import dataclass

from ...domain.layout import ConnectorRef
from ...domain.tokens import IdToken, IdTokenInfo
from ...domain.transactions import ChargingState, StopReason, TriggerReason
from ...errors import LocalProtocolError
from ..actions import DoLock, DoPower, NoticeKind
from ..config import TxPoint
from ..context import Context, Deadline
from ..evse import Ending, Evse, Power
from .recording import Recording

_ENDED_BY_TOKEN = frozenset({TxPoint.AUTHORIZED, TxPoint.POWER_PATH_CLOSED, TxPoint.ENERGY_TRANSFER})
_RECOVERY_WAIT = 5.0
"""Seconds that a transaction cut short by power loss waits for the meter before it ends on its last fact."""


@dataclass(frozen=True, slots=True)
class RemoteOrder:
    """A start that the CSMS asked for; 2.x numbers it."""

    remote_start_id: int | None


class Transactions:
    """The transaction life of every EVSE."""

    __slots__ = ("_context", "_recording")

    def __init__(self, context: Context, recording: Recording, now: float) -> None:
        self._context = context
        self._recording = recording
        for transaction, row in recording.unfinished():
            evse = context.evses.get(row.evse) or Evse(row.evse)
            evse.transaction, evse.row, evse.meter_wh = transaction, row, row.meter_wh
            evse.ending = Ending(TriggerReason.ABNORMAL_CONDITION, StopReason.POWER_LOSS)
            if row.evse in context.evses:
                context.timers.set((Deadline.RECOVERY, evse.id), now + _RECOVERY_WAIT)
            else:
                recording.end(evse, evse.ending, now)

    # the car

    def plug_in(self, evse: Evse, connector: int, now: float) -> None:
        """A cable connects a car. Raises :class:`LocalProtocolError` if the EVSE has one already."""
        if evse.plugged is not None:
            raise LocalProtocolError(f"EVSE {evse.id} has a car at connector {evse.plugged} already")
        if not self._context.config.layout.has(ConnectorRef(evse.id, connector)):
            raise LocalProtocolError(f"EVSE {evse.id} has no connector {connector}")
        self.recover(evse, now)
        evse.plugged = connector
        self._context.timers.cancel((Deadline.EV_CONNECT, evse.id))
        self._lock(evse, True)
        self._advance(evse, TriggerReason.CABLE_PLUGGED_IN, now)

    def plug_out(self, evse: Evse, now: float) -> None:
        """The car is gone. Raises :class:`LocalProtocolError` if there was none."""
        if evse.plugged is None:
            raise LocalProtocolError(f"EVSE {evse.id} has no car")
        connector, evse.plugged = evse.plugged, None
        if evse.locked:
            evse.locked = False
            self._context.out.do(DoLock(ConnectorRef(evse.id, connector), False))
        evse.suspended_by.clear()
        if evse.transaction is not None:
            default = Ending(TriggerReason.EV_COMMUNICATION_LOST, StopReason.EV_DISCONNECTED)
            self._end(evse, evse.ending or default, now)
        self._deauthorize(evse)
        evse.finished = False
        evse.held_for = evse.held_group = None
        self._drive_power(evse, now)

    def suspend(self, evse: Evse, by: str, now: float) -> None:
        """The EV or the EVSE pauses; it is remembered also before power flows.

        Raises :class:`LocalProtocolError` without a car, or for another cause.
        """
        if evse.plugged is None:
            raise LocalProtocolError(f"EVSE {evse.id} has no car that could pause")
        if by not in ("EV", "EVSE"):
            raise LocalProtocolError(f"either the EV or the EVSE pauses, not {by!r}")
        evse.suspended_by.add(by)
        self._state_changed(evse, now)

    def resume(self, evse: Evse, by: str, now: float) -> None:
        """The EV or the EVSE goes on; raises :class:`LocalProtocolError` if it had not paused."""
        if by not in evse.suspended_by:
            raise LocalProtocolError(f"the {by} at EVSE {evse.id} has not paused")
        evse.suspended_by.discard(by)
        self._state_changed(evse, now)

    # the driver

    def authorize(
        self,
        evse: Evse,
        token: IdToken,
        group: IdToken | None,
        now: float,
        remote: RemoteOrder | None = None,
    ) -> None:
        """A token may charge here; ``remote`` if the CSMS asked for it."""
        evse.driver, evse.group, evse.denied = token, group, False
        self._lock(evse, True)
        evse.untold_token = token
        evse.untold_remote_start_id = remote.remote_start_id if remote else None
        trigger = TriggerReason.REMOTE_START if remote else TriggerReason.AUTHORIZED
        if evse.plugged is None:
            timeout = self._context.config.ev_connection_timeout
            self._context.timers.set((Deadline.EV_CONNECT, evse.id), now + timeout)
        self._advance(evse, trigger, now)

    def stop(
        self, evse: Evse, trigger: TriggerReason, reason: StopReason, now: float, token: IdToken | None = None
    ) -> None:
        """The authorization of the transaction here ends; whether it ends too is TxStopPoint's to say."""
        self._deauthorize(evse)
        if self._context.config.tx_stop_points & _ENDED_BY_TOKEN or evse.plugged is None:
            self._end_when_off(evse, Ending(trigger, reason, token), now)
        else:
            self._recording.update(evse, trigger, now, token)
            self._lock(evse, False)  # E07.FR.07: with the authorization, not with the transaction
            self._drive_power(evse, now)

    def release(self, evse: Evse, now: float) -> None:
        """The driver no longer wants to charge here, before any transaction began."""
        self._deauthorize(evse)
        self._lock(evse, False)
        self._drive_power(evse, now)

    def free_cable(self, evse: Evse) -> None:
        """The driver whom the CSMS refused during charging comes for the cable (E05.FR.11)."""
        evse.held_for = evse.held_group = None
        self._lock(evse, False)

    @property
    def room(self) -> bool:
        """Whether a driver accepted now could charge: what that makes durable can be kept."""
        return self._recording.room

    def judged(self, transaction: str, token: IdToken, info: IdTokenInfo, now: float) -> None:
        """The CSMS spoke on the token of a transaction that may be over by now (E05)."""
        evse = next((evse for evse in self._context.evses.values() if evse.transaction == transaction), None)
        if evse is None or evse.ending is not None or not token.matches(evse.driver):
            return
        if info.allows(evse.id):
            if info.group != evse.group:
                evse.group = info.group
                self._recording.judged(evse)
        elif self._context.config.stop_tx_on_invalid_id:
            self._context.notice(NoticeKind.TOKEN_REFUSED, f"EVSE {evse.id}: {info.status}, transaction ends")
            self.stop(evse, TriggerReason.DEAUTHORIZED, StopReason.DE_AUTHORIZED, now)
        else:
            self._context.notice(NoticeKind.TOKEN_REFUSED, f"EVSE {evse.id}: {info.status}, energy stops")
            evse.denied = True
            self._drive_power(evse, now)
            self._state_changed(evse, now)

    # the contactor

    def power_switched(self, evse: Evse, on: bool, now: float) -> None:
        """The contactor closed or opened, asked for or not."""
        self._context.timers.cancel((Deadline.POWER, evse.id))
        was, evse.power = evse.power, Power.ON if on else Power.OFF
        if on or was is Power.OPENING:  # one that tripped or would not close is not closed again by itself
            self._drive_power(evse, now)
        if evse.ending is not None and evse.power is Power.OFF:
            self._end(evse, evse.ending, now)
        elif evse.ending is None:
            self._state_changed(evse, now)

    # deadlines

    def handle(self, deadline: Deadline, evse: Evse, now: float) -> None:
        """A deadline of this block passed."""
        if deadline is Deadline.POWER:
            self._hardware_silent(evse, now)
        elif deadline is Deadline.EV_CONNECT:
            self._cable_never_came(evse, now)
        elif deadline is Deadline.RECOVERY:
            self.recover(evse, now)
        elif evse.transaction is not None and evse.ending is None:
            self._recording.take_periodic(evse, deadline, now)

    def recover(self, evse: Evse, now: float) -> None:
        """End what a power loss cut short, if that is still open: the meter spoke, or will not."""
        if evse.ending is not None and evse.ending.reason is StopReason.POWER_LOSS:
            self._end(evse, evse.ending, now)

    def _hardware_silent(self, evse: Evse, now: float) -> None:
        if self._context.out.withholds(DoPower(evse.id, True)):
            self._await_contactor(evse, now)  # it was not even told
            return
        self._context.notice(NoticeKind.HARDWARE_SILENT, f"EVSE {evse.id}: contactor still {evse.power}")
        if evse.power is Power.CLOSING:
            self._context.out.do(DoPower(evse.id, False))
        evse.power = Power.OFF
        if evse.ending is not None:
            self._end(evse, evse.ending, now)

    def _cable_never_came(self, evse: Evse, now: float) -> None:
        if evse.transaction is None:
            self.release(evse, now)
        else:
            self.stop(evse, TriggerReason.EV_CONNECT_TIMEOUT, StopReason.TIMEOUT, now)

    # what all of these come to

    def _advance(self, evse: Evse, trigger: TriggerReason, now: float) -> None:
        """A condition came true: start the transaction or tell of it, and let power follow."""
        if evse.transaction is not None:
            self._recording.update(evse, trigger, now)
        elif (self._starts(evse) or evse.power_path) and not self._recording.room:
            self._refuse(evse)
        elif self._starts(evse):
            self._recording.start(evse, trigger, now)
        self._drive_power(evse, now)

    def _starts(self, evse: Evse) -> bool:
        met = {
            TxPoint.EV_CONNECTED: evse.plugged is not None,
            TxPoint.AUTHORIZED: evse.driver is not None,
            TxPoint.POWER_PATH_CLOSED: evse.power_path,
            TxPoint.ENERGY_TRANSFER: evse.power_path and evse.power is Power.ON,
        }
        return any(met[point] for point in self._context.config.tx_start_points)

    def _refuse(self, evse: Evse) -> None:
        self._deauthorize(evse)
        self._lock(evse, False)
        self._context.notice(
            NoticeKind.TRANSACTION_REFUSED, f"EVSE {evse.id}: the transaction could not be kept safely"
        )

    def _state_changed(self, evse: Evse, now: float) -> None:
        """The charging state may have changed: tell, or start or end with the flow of energy."""
        if evse.transaction is None:
            if evse.power is Power.ON and evse.power_path:
                self._advance(evse, TriggerReason.CHARGING_STATE_CHANGED, now)
            return
        if evse.charging_state is evse.told_state or evse.ending is not None:
            return
        stopped = evse.told_state is ChargingState.CHARGING
        if stopped and TxPoint.ENERGY_TRANSFER in self._context.config.tx_stop_points:
            by_ev = evse.charging_state is ChargingState.SUSPENDED_EV
            reason = StopReason.STOPPED_BY_EV if by_ev else StopReason.OTHER
            reason = StopReason.DE_AUTHORIZED if evse.denied else reason
            self._deauthorize(evse)
            self._end_when_off(evse, Ending(TriggerReason.CHARGING_STATE_CHANGED, reason), now)
        else:
            self._recording.update(evse, TriggerReason.CHARGING_STATE_CHANGED, now)

    def _drive_power(self, evse: Evse, now: float) -> None:
        """Ask for the contactor to stand as cable, driver and CSMS want it."""
        wanted = evse.power_path and not evse.denied and evse.ending is None
        if wanted and evse.power is Power.OFF:
            evse.power = Power.CLOSING
        elif not wanted and evse.power in (Power.ON, Power.CLOSING):
            evse.power = Power.OPENING
        else:
            return
        # Power on presumes that the transaction is durable; power off presumes nothing.
        self._context.out.do(DoPower(evse.id, wanted), durable=wanted)
        self._await_contactor(evse, now)

    def _await_contactor(self, evse: Evse, now: float) -> None:
        self._context.timers.set((Deadline.POWER, evse.id), now + self._context.config.power_deadline)

    def _end_when_off(self, evse: Evse, ending: Ending, now: float) -> None:
        evse.ending = ending
        self._drive_power(evse, now)
        if evse.power is Power.OFF:
            self._end(evse, ending, now)

    def _end(self, evse: Evse, ending: Ending, now: float) -> None:
        assert evse.row is not None
        driver, group = evse.row.driver, evse.row.group
        self._recording.end(evse, ending, now)
        self._deauthorize(evse)
        evse.finished = evse.plugged is not None
        if ending.reason is not StopReason.DE_AUTHORIZED:
            self._lock(evse, False)
        elif evse.locked:
            evse.held_for, evse.held_group = driver, group

    def _lock(self, evse: Evse, locked: bool) -> None:
        if evse.plugged is not None and evse.locked is not locked:
            evse.locked = locked
            self._context.out.do(DoLock(ConnectorRef(evse.id, evse.plugged), locked))

    def _deauthorize(self, evse: Evse) -> None:
        evse.driver = evse.group = None
        evse.untold_token = evse.untold_remote_start_id = None
        evse.denied = False
        self._context.timers.cancel((Deadline.EV_CONNECT, evse.id))
