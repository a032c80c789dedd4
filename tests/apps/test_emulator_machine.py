"""Whatever is done to an emulated station, in whatever order: every watt-hour belongs to one session."""

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ocpp_control import CommandError
from ocpp_core.station import TxPoint
from tests.apps.emulator_rig import CONFIG, Rig

evses = st.sampled_from([1, 2])
sides = st.sampled_from(["EV", "EVSE"])
moments = st.sampled_from([0.0, 0.3, 2.5, 10.0, 61.7]) | st.floats(0, 100)
tokens = st.sampled_from(["A", "B"])


class EmulatedStation(RuleBasedStateMachine):
    """Cars, drivers, power losses and time, against what the station tells of its transactions."""

    rig: Rig

    @initialize(points=st.frozensets(st.sampled_from(TxPoint), min_size=1))
    def begin(self, points: frozenset[TxPoint]) -> None:
        """Whatever starts a transaction: no energy flows outside of one."""
        self.rig = Rig(config=replace(CONFIG, tx_start_points=points))
        self.rig.do("set_power", evse=1, watts=123_456.789)

    def attempt(self, verb: str, **members: Any) -> None:
        """What is refused changes nothing, and everything else is accounted for."""
        before = self.rig.do("state").answer["hardware"]
        try:
            self.rig.do(verb, **members)
        except CommandError:
            assert self.rig.do("state").answer["hardware"] == before

    @rule(evse=evses, connector=st.sampled_from([1, 2]))
    def plug_in(self, evse: int, connector: int) -> None:
        self.attempt("plug_in", evse=evse, connector=connector)

    @rule(evse=evses, token=tokens, seconds=moments)
    def charge(self, evse: int, token: str, seconds: float) -> None:
        self.attempt("plug_in", evse=evse)
        self.attempt("present_token", token=token, evse=evse)
        self.rig.wait(seconds)

    @rule(evse=evses)
    def plug_out(self, evse: int) -> None:
        self.attempt("plug_out", evse=evse)

    @rule(token=tokens, evse=st.sampled_from([None, 1, 2]))
    def present_token(self, token: str, evse: int | None) -> None:
        self.attempt("present_token", token=token, **({} if evse is None else {"evse": evse}))

    @rule(evse=evses, by=sides)
    def suspend(self, evse: int, by: str) -> None:
        self.attempt("suspend", evse=evse, by=by)

    @rule(evse=evses, by=sides)
    def resume(self, evse: int, by: str) -> None:
        self.attempt("resume", evse=evse, by=by)

    @rule(
        evse=evses,
        watts=st.sampled_from([0.0, 7360.0, 22_000.5]) | st.floats(0, 1e6),
        phases=st.sampled_from([1, 3]),
    )
    def set_power(self, evse: int, watts: float, phases: int) -> None:
        self.attempt("set_power", evse=evse, watts=watts, phases=phases)

    @rule(seconds=moments)
    def wait(self, seconds: float) -> None:
        self.rig.wait(seconds)

    @rule(seconds=moments)
    def lose_power(self, seconds: float) -> None:
        self.rig.emulator.power_down()
        self.rig.now += seconds
        self.rig.power_up(None)

    @rule()
    def restart_the_process(self) -> None:
        """The cars are gone; what the meters remember is all that is left of the hardware."""
        self.rig = self.rig.killed()

    @invariant()
    def every_watt_hour_belongs_to_one_session(self) -> None:
        for evse, hardware in self.rig.emulator.hardware.evses.items():
            sessions = [it for it in self.rig.sessions().values() if it.evse == evse]
            register = hardware.register.read(self.rig.now).wh
            open_ones = [it for it in sessions if not it.ended]
            assert len(open_ones) <= 1
            delivered = sum(it.last_wh - it.first_wh for it in sessions if it.ended)
            running = sum(register - it.first_wh for it in open_ones)
            assert delivered + running == register

    @invariant()
    def energy_flows_only_while_the_station_says_so(self) -> None:
        for evse in self.rig.do("state").answer["evses"]:
            flowing = self.rig.emulator.hardware.evse(evse["evse"]).power > 0
            assert not flowing or evse["charging_state"] == "Charging"

    @invariant()
    def readings_never_go_backwards(self) -> None:
        for evse in (1, 2):
            told = [it["meter_wh"] for it in self.rig.events if it.get("evse") == evse and "meter_wh" in it]
            assert told == sorted(told)


TestEmulatedStation = EmulatedStation.TestCase
TestEmulatedStation.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
