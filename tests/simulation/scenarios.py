"""What people do at the site, as scripts in virtual time. Every script leaves no car behind."""

from collections.abc import Callable

from .world import REFUSED_TOKEN, World

Script = Callable[[World], None]
END = 600_000
"""When the last car has left (ms)."""
REST = 3_600_000
"""By when everything must have drained: the bound of the liveness promise."""


def _at(world: World, ms: int, act: Callable[[], None]) -> None:
    world.after(ms, act)


def plug_then_token(world: World) -> None:
    """The usual: cable, token, charging, the same token, cable."""
    _at(world, 3_000, lambda: world.plug(1))
    _at(world, 6_000, lambda: world.token("A1", 1))
    _at(world, 200_000, lambda: world.token("A1", 1))
    _at(world, 240_000, lambda: world.unplug(1))


def token_then_plug(world: World) -> None:
    """Token first, stopped by unplugging."""
    _at(world, 3_000, lambda: world.token("A1"))
    _at(world, 9_000, lambda: world.plug(1))
    _at(world, 190_000, lambda: world.unplug(1))


def pauses(world: World) -> None:
    """The car pauses and goes on, then the station does."""
    _at(world, 3_000, lambda: world.plug(2))
    _at(world, 5_000, lambda: world.token("B2", 2))
    _at(world, 40_000, lambda: world.pause(2, "EV"))
    _at(world, 80_000, lambda: world.go_on(2, "EV"))
    _at(world, 100_000, lambda: world.pause(2, "EVSE"))
    _at(world, 130_000, lambda: world.go_on(2, "EVSE"))
    _at(world, 180_000, lambda: world.token("B2", 2))
    _at(world, 200_000, lambda: world.unplug(2))


def two_at_once(world: World) -> None:
    """Both EVSEs busy, one after another."""
    _at(world, 3_000, lambda: world.plug(1))
    _at(world, 4_000, lambda: world.plug(2))
    _at(world, 6_000, lambda: world.token("A1", 1))
    _at(world, 7_000, lambda: world.token("B2", 2))
    _at(world, 130_000, lambda: world.token("B2", 2))
    _at(world, 140_000, lambda: world.unplug(1))
    _at(world, 150_000, lambda: world.unplug(2))


def offline_start(world: World) -> None:
    """Charging begins while the network is away, and is told later."""
    _at(world, 2_000, lambda: world.network(False))
    _at(world, 4_000, lambda: world.plug(1))
    _at(world, 6_000, lambda: world.token("A1", 1))
    _at(world, 150_000, lambda: world.network(True))
    _at(world, 230_000, lambda: world.token("A1", 1))
    _at(world, 240_000, lambda: world.unplug(1))


def offline_end(world: World) -> None:
    """The network goes in the middle and is back after the car has left."""
    _at(world, 3_000, lambda: world.plug(1))
    _at(world, 6_000, lambda: world.token("A1", 1))
    _at(world, 60_000, lambda: world.network(False))
    _at(world, 150_000, lambda: world.token("A1", 1))
    _at(world, 160_000, lambda: world.unplug(1))
    _at(world, 200_000, lambda: world.network(True))


def refused_later(world: World) -> None:
    """A token that the station lets in offline and the CSMS refuses when it hears of it."""
    _at(world, 1_000, lambda: world.network(False))
    _at(world, 3_000, lambda: world.plug(1))
    _at(world, 6_000, lambda: world.token(REFUSED_TOKEN, 1))
    _at(world, 80_000, lambda: world.network(True))
    _at(world, 240_000, lambda: world.unplug(1))


SCRIPTS: dict[str, Script] = {
    script.__name__: script
    for script in (
        plug_then_token,
        token_then_plug,
        pauses,
        two_at_once,
        offline_start,
        offline_end,
        refused_later,
    )
}


def play(world: World, script: Script) -> World:
    """Run a script to its end, bring everything back, and let it come to rest."""
    script(world)
    world.run(END)
    world.fair = True
    world.network(True)
    world.boot()
    for number in world.outlets:
        world.unplug(number)
    world.run(END + REST)
    return world
