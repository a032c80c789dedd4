"""What people do at the site, as scripts in virtual time. Every script leaves no car behind.

A script may need a world of its own: settings of the station, verdicts on its boots, a clock that is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ocpp_core.csms import Topic
from ocpp_core.versions import OcppVersion

from .case import ANY
from .central import REFUSED_TOKEN
from .world import World

END_MS = 600_000
"""When the last car has left."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A script, and the members of a :class:`~tests.simulation.case.Case` that it needs."""

    script: Callable[[World], None]
    needs: Mapping[str, Any] = field(default_factory=dict)
    versions: Sequence[str] = tuple(OcppVersion)
    """In which it is played."""

    @property
    def energy_first(self) -> bool:
        """Whether the flow of energy makes the transaction: then some flows before there is one to keep."""
        points = self.needs.get("config", {}).get("tx_start_points")
        return bool(points == ["EnergyTransfer"])


def plug_then_token(world: World) -> None:
    """The usual: cable, token, charging, the same token, cable."""
    site = world.site
    world.at(3_000, lambda: site.plug(1))
    world.at(6_000, lambda: site.token("A1", 1))
    world.at(200_000, lambda: site.token("A1", 1))
    world.at(240_000, lambda: site.unplug(1))


def token_then_plug(world: World) -> None:
    """Token first, stopped by unplugging."""
    site = world.site
    world.at(3_000, lambda: site.token("A1"))
    world.at(9_000, lambda: site.plug(1))
    world.at(190_000, lambda: site.unplug(1))


def pauses(world: World) -> None:
    """The car pauses and goes on, then the station does."""
    site = world.site
    world.at(3_000, lambda: site.plug(2))
    world.at(5_000, lambda: site.token("B2", 2))
    world.at(40_000, lambda: site.pause(2, "EV"))
    world.at(80_000, lambda: site.go_on(2, "EV"))
    world.at(100_000, lambda: site.pause(2, "EVSE"))
    world.at(130_000, lambda: site.go_on(2, "EVSE"))
    world.at(180_000, lambda: site.token("B2", 2))
    world.at(200_000, lambda: site.unplug(2))


def two_at_once(world: World) -> None:
    """Both EVSEs busy, one after another."""
    site = world.site
    world.at(3_000, lambda: site.plug(1))
    world.at(4_000, lambda: site.plug(2))
    world.at(6_000, lambda: site.token("A1", 1))
    world.at(7_000, lambda: site.token("B2", 2))
    world.at(130_000, lambda: site.token("B2", 2))
    world.at(140_000, lambda: site.unplug(1))
    world.at(150_000, lambda: site.unplug(2))


def offline_start(world: World) -> None:
    """Charging begins while the network is away, and is told later."""
    site, network = world.site, world.network
    world.at(2_000, network.away)
    world.at(4_000, lambda: site.plug(1))
    world.at(6_000, lambda: site.token("A1", 1))
    world.at(150_000, network.back)
    world.at(230_000, lambda: site.token("A1", 1))
    world.at(240_000, lambda: site.unplug(1))


def offline_end(world: World) -> None:
    """The network goes in the middle and is back after the car has left."""
    site, network = world.site, world.network
    world.at(3_000, lambda: site.plug(1))
    world.at(6_000, lambda: site.token("A1", 1))
    world.at(60_000, network.away)
    world.at(150_000, lambda: site.token("A1", 1))
    world.at(160_000, lambda: site.unplug(1))
    world.at(200_000, network.back)


def never_online(world: World) -> None:
    """A whole session before the station ever learned what time it is, and the next one after."""
    site, network = world.site, world.network
    world.at(1, network.away)
    world.at(4_000, lambda: site.plug(1))
    world.at(6_000, lambda: site.token("A1", 1))
    world.at(90_000, lambda: site.token("A1", 1))
    world.at(100_000, lambda: site.unplug(1))
    world.at(110_000, lambda: site.plug(2))
    world.at(115_000, lambda: site.token("B2", 2))
    world.at(150_000, network.back)
    world.at(230_000, lambda: site.unplug(2))


def time_learned_late(world: World) -> None:
    """The same, and the CSMS tells the time over and over, each time another."""
    never_online(world)
    for at in range(153_000, 175_000, 4_000):
        world.at(at, lambda: world.central.trigger(Topic.HEARTBEAT))
    world.at(180_000, lambda: world.central.trigger(Topic.METER_VALUES))


def refused_later(world: World) -> None:
    """A token that the station lets in offline and the CSMS refuses when it hears of it."""
    site, network = world.site, world.network
    world.at(1_000, network.away)
    world.at(3_000, lambda: site.plug(1))
    world.at(6_000, lambda: site.token(REFUSED_TOKEN, 1))
    world.at(80_000, network.back)
    world.at(240_000, lambda: site.unplug(1))


def remote(world: World) -> None:
    """Started and stopped from afar; then started with no car there, and one that comes."""
    site, central = world.site, world.central
    world.at(3_000, lambda: site.plug(1))
    world.at(6_000, lambda: central.start("A1", 1))
    world.at(90_000, central.stop)
    world.at(100_000, lambda: site.unplug(1))
    world.at(110_000, lambda: central.start("B2", None))
    world.at(120_000, lambda: site.plug(1))
    world.at(200_000, central.stop)
    world.at(210_000, lambda: site.unplug(1))


def another_csms(world: World) -> None:
    """The CSMS goes in the middle of a session; another one takes the station meanwhile, and has its own."""
    site, network = world.site, world.network
    world.at(3_000, lambda: site.plug(1))
    world.at(6_000, lambda: site.token("A1", 1))
    world.at(60_000, lambda: network.away(0))
    world.at(90_000, lambda: site.plug(2))
    world.at(95_000, lambda: site.token("B2", 2))
    world.at(118_000, network.cut)
    world.at(150_000, lambda: site.token("A1", 1))
    world.at(155_000, lambda: site.unplug(1))
    world.at(180_000, network.back)
    world.at(185_000, lambda: site.connect(0))
    world.at(230_000, lambda: site.token("B2", 2))
    world.at(235_000, lambda: site.unplug(2))
    world.at(250_000, lambda: site.connect(1))


def given_up(world: World) -> None:
    """The same, but nobody waits for the CSMS that went: neither the operator nor, later, the station."""
    another_csms(world)
    world.at(130_000, lambda: world.site.release("one"))


def another_way(world: World) -> None:
    """The cable to the CSMS goes in the middle of a session, which goes on by the modem: the host says so.

    Then it is wrong about the modem, tells that the cable is back, and takes the modem's end back late.
    """
    site, network = world.site, world.network
    world.at(3_000, lambda: site.plug(1))
    world.at(6_000, lambda: site.token("A1", 1))
    world.at(60_000, lambda: network.away(0))
    world.at(60_020, lambda: site.network_lost(0))
    world.at(110_000, lambda: site.network_lost(1))
    world.at(130_000, network.back)
    world.at(131_000, lambda: site.network_back(0))
    world.at(135_000, lambda: site.connect(0))
    world.at(145_000, lambda: site.network_back(1))
    world.at(150_000, lambda: site.token("A1", 1))
    world.at(155_000, lambda: site.unplug(1))


_ENERGY_ONLY = {"tx_start_points": ["EnergyTransfer"], "tx_stop_points": ["EnergyTransfer"]}
_POWER_PATH = {"tx_start_points": ["PowerPathClosed"], "tx_stop_points": ["PowerPathClosed"]}
_TWO = {"network_profiles": ["one", "two"], "network_attempts": 1}
_SERIES = {"ended_interval": 20, "sample_interval": 45}

SCENARIOS: dict[str, Scenario] = {
    "plug_then_token": Scenario(plug_then_token),
    "token_then_plug": Scenario(token_then_plug),
    "pauses": Scenario(pauses),
    "two_at_once": Scenario(two_at_once),
    "offline_start": Scenario(offline_start),
    "offline_end": Scenario(offline_end),
    "never_online": Scenario(never_online),
    "refused_later": Scenario(refused_later),
    "refused_but_goes_on": Scenario(refused_later, {"config": {"stop_tx_on_invalid_id": False}}),
    "remote": Scenario(remote),
    "not_accepted_at_first": Scenario(token_then_plug, {"verdicts": ("Pending", "Rejected", "Pending")}),
    "ended_series": Scenario(two_at_once, {"config": _SERIES}),
    "power_path": Scenario(plug_then_token, {"config": _POWER_PATH}),
    "energy_transfer": Scenario(pauses, {"config": _ENERGY_ONLY}),
    "clock_jumps": Scenario(
        plug_then_token,
        {"clock": ((0, 5_000), (50_000, 3_600_000), (120_000, -3_600_000)), "heartbeat_s": 40},
    ),
    "time_learned_late": Scenario(
        time_learned_late, {"clock": ((0, 0), (152_000, 40_000), (164_000, -40_000))}
    ),
    "slow_link": Scenario(token_then_plug, {"delay_ms": 6_000, "config": {"message_timeout": 8.0}}),
    "version_changes": Scenario(offline_end, versions=(ANY,)),
    "handed_over": Scenario(offline_end, {"seed": 2, "config": {"pin_policy": "hand over"}}, (ANY,)),
    "another_csms": Scenario(another_csms, {"config": _TWO}, (OcppVersion.V16, OcppVersion.V201)),
    "another_csms_given_up": Scenario(given_up, {"config": {**_TWO, "pin_timeout": 40}}, (ANY,)),
    "another_way": Scenario(
        another_way,
        {"config": {"network_profiles": ["one", "one"], "network_attempts": 1}},
        (OcppVersion.V16,),
    ),
}
