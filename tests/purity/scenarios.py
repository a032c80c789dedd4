"""One conversation for each machine of the core: everything it said, in order, to fixed inputs.

Each is a function of a transcript to append to. It draws randomness from a seeded source and lets time pass
by saying so; so the same must come out in every run, in every process, whatever the hash seed.
"""

from collections.abc import Callable

from ocpp_core import SeededEntropy
from ocpp_core.domain.layout import Layout
from ocpp_core.entropy import fraction, message_id
from ocpp_core.timers import Timers

Transcript = list[object]


def shared_parts(said: Transcript) -> None:
    """Entropy, timers, the layout of EVSEs."""
    entropy = SeededEntropy(7)
    said += [message_id(entropy), fraction(entropy)]
    timers: Timers[str] = Timers()
    timers.set("boot", 5.0)
    timers.set("heartbeat", 3.0)
    said += [timers.next(), timers.due(4.0), Layout().from_16(1)]


SCENARIOS: dict[str, Callable[[Transcript], None]] = {
    "shared parts": shared_parts,
}
