"""One run of the simulation as a value: who does what at the site, and what goes wrong when.

A case is the whole of a run: the same case is the same run, byte for byte. Its text is one line that any
shell takes, so a broken promise is repeated by ``SIMULATION_CASE='…' pytest tests/simulation/test_cases.py``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

ERROR = "error"
"""The CSMS answers a call with a CALLERROR, and does not act on it."""
UNHEARD = "unheard"
"""The CSMS ignores a call."""
UNANSWERED = "unanswered"
"""The CSMS acts on a call, but its answer never leaves."""

ANY = "any"
"""Every connection negotiates a version of its own."""


@dataclass(frozen=True, slots=True)
class Case:
    """A script and its faults. A fault strikes at a number: points, commits, calls and facts count from 0.

    A *point* lies before every action of the station that can be noticed from outside (a commit, a frame, a
    command to the hardware or the network), and after the last one of every drain.
    """

    version: str
    script: str
    seed: int = 1

    power_loss: Sequence[int] = ()
    """Points at which the power fails."""
    off_ms: int = 30_000
    """For how long."""
    cut: Sequence[int] = ()
    """Points at which the link breaks."""
    silence_ms: int = 0
    """How long both ends take a broken link to be alive (half-open)."""
    arrives: bool = True
    """Whether what the station sent before the link or the power went still reaches the CSMS."""
    delay_ms: int = 200
    """The most that a frame takes to cross."""
    contactor_ms: int = 400
    """The most that a contactor takes to switch."""

    unconfirmed: Sequence[int] = ()
    """Commands to contactors that are carried out, but of which the station never hears."""

    store: Sequence[int] = ()
    """Commits of the station that fail."""
    csms_store: Sequence[int] = ()
    """Commits of the CSMS that fail."""
    misanswers: Sequence[tuple[int, str]] = ()
    """Calls of the station (number, how) that are not answered as they should."""
    shunned: Sequence[tuple[int, str]] = ()
    """Facts (in the order in which they first arrive) that are never answered as they should."""
    verdicts: Sequence[str] = ()
    """What the CSMS says to the first BootNotifications; Accepted to all after them."""
    clock: Sequence[tuple[int, int]] = ()
    """From when (ms) by how much (ms) the CSMS's clock is wrong."""
    heartbeat_s: int = 300
    """The interval that the CSMS asks for."""

    config: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the station."""

    @property
    def answered(self) -> bool:
        """Whether every call but facts is answered as it should, or fails with its link at once."""
        failing = self.misanswers or self.csms_store or self.silence_ms
        return not failing and self.delay_ms < 1_000

    @property
    def faultless(self) -> bool:
        """Whether nothing goes wrong, and no call times out."""
        return self.answered and not (self.power_loss or self.cut or self.store or self.shunned)

    def __str__(self) -> str:
        said = {
            member.name: value
            for member in fields(self)
            if (value := getattr(self, member.name)) != _default(member)
        }
        return json.dumps(said, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> "Case":
        """The case with this text."""
        said: dict[str, Any] = json.loads(text)
        for name, value in said.items():
            if isinstance(value, list):
                said[name] = tuple(tuple(item) if isinstance(item, list) else item for item in value)
        return cls(**said)


def _default(member: Any) -> Any:
    return {} if member.default_factory is not MISSING else member.default
