"""Any order of inputs about the link, against a model of adapter, profiles and waits that shares no code.

The model keeps neither counters of failures nor a place in a list, as the station does: it writes down every
attempt, and works out from that diary whose turn it is.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ocpp_core.domain.network import NetworkProfile
from ocpp_core.entropy import SeededEntropy
from ocpp_core.errors import LocalProtocolError
from ocpp_core.station import Backoff, CloseLink, LinkFailure, OpenLink, SendFrame, Station, StationConfig
from ocpp_core.store import Commit, MemoryStore

from .bench import config
from .network_bench import profile

MINIMUM, SPREAD, REPEATS = 10.0, 4.0, 2
DIAL, ANSWER = 120.0, 30.0
"""Seconds until a dial, or a call, counts as unanswered."""

configs = st.builds(
    lambda levels, attempts, downgrade: config(
        network_profiles=tuple(profile(slot, f"CSMS {slot}", level) for slot, level in levels.items()),
        network_attempts=attempts,
        allow_security_profile_downgrade=downgrade,
        backoff=Backoff(MINIMUM, SPREAD, REPEATS),
        dial_timeout=DIAL,
        message_timeout=ANSWER,
    ),
    st.dictionaries(st.integers(0, 4), st.integers(0, 3), min_size=1, max_size=4),
    st.integers(1, 3),
    st.booleans(),
)


@dataclass
class Model:
    """What the standard says of one life of a station. ``level``: the security profile used last."""

    config: StationConfig
    level: int
    diary: list[str] = field(default_factory=list)
    """Since the last good link: every attempt that failed ("x"), every slot that was chosen ("0" …)."""
    home: int = 0
    """The slot of the last good link."""

    def __post_init__(self) -> None:
        self.home = self.profiles[0].slot

    @property
    def profiles(self) -> list[NetworkProfile]:
        """Those that may be used."""
        least = 2 if self.level == 3 and self.config.allow_security_profile_downgrade else self.level
        return [
            profile for profile in self.config.network_profiles if profile.security_profile >= least
        ] or list(self.config.network_profiles)

    @property
    def turn(self) -> tuple[int, int]:
        """Slot and round of the next attempt."""
        slots, attempts = [profile.slot for profile in self.profiles], self.config.network_attempts
        rounds, start, failed = 0, self.home, 0
        for entry in self.diary:
            if entry == "x":
                failed += 1
                rounds += failed % (attempts * len(slots)) == 0
            else:
                start, failed = int(entry), 0
        return slots[(slots.index(start) + failed // attempts) % len(slots)], rounds

    def good(self) -> None:
        """A CSMS was there: the next attempt goes where it would have gone, and nothing counts any longer."""
        self.home = self.turn[0]
        self.diary.clear()


class Links(RuleBasedStateMachine):
    """A station, an adapter that does what it is asked in its own time, and the model."""

    @initialize(first=configs)
    def power_up(self, first: StationConfig) -> None:
        self.store = MemoryStore()
        self.disk, self.owed = True, False
        self.boots = 0
        self.start(first, 0)

    def start(self, settings: StationConfig, level: int) -> None:
        self.now = 1000.0
        self.boots += 1
        self.station = Station(settings, SeededEntropy(self.boots), self.now, self.store.load())
        self.model = Model(settings, level)
        self.adapter = "nothing"
        """nothing, dialling, open; what there is of a connection."""
        self.told_to_close = False
        self.slot = -1
        self.spoke = self.asked = False
        self.opened_at = 0.0
        self.wanted = self.hurry = True
        """Whether the next dial comes without waiting."""
        self.waits_from = self.now
        self.missed = 0
        """Losses since the last good link."""
        self.drain()

    # carrying out what the station asks

    def drain(self) -> None:
        while actions := self.station.actions():
            for action in actions:
                if isinstance(action, Commit):
                    if not self.disk:
                        self.station.store_failed("full", self.now)
                        self.owed = True
                        break
                    self.store.commit(action)
                    self.owed = False
                elif isinstance(action, OpenLink):
                    self.dial(action)
                elif isinstance(action, SendFrame):
                    self.asked = self.asked or action.text.startswith("[2,")
                elif isinstance(action, CloseLink):
                    assert self.adapter != "nothing", "there is nothing to close"
                    assert not self.told_to_close, "it was closed once"
                    self.told_to_close = True

    def dial(self, action: OpenLink) -> None:
        assert self.adapter == "nothing", "the old link is gone before a new one is dialled (B10.FR.06)"
        assert self.wanted
        assert (action.slot, action.round) == self.model.turn
        if not self.hurry:
            waited = self.now - self.waits_from
            least = MINIMUM * 2 ** min(self.missed - 1, REPEATS)
            assert least - 1e-6 <= waited <= least + SPREAD + 1e-6
        self.adapter, self.slot, self.told_to_close = "dialling", action.slot, False
        self.dialled_at = self.now
        self.hurry = False

    def over(self, *, served: bool) -> None:
        """The connection, or the attempt, is no more."""
        self.adapter, self.told_to_close, self.waits_from = "nothing", False, self.now
        if served:
            self.model.good()
            self.missed = 0
        if self.hurry or not self.wanted:
            return
        if not served:
            self.model.diary.append("x")
        self.missed += 1

    # the operator

    @rule(slot=st.none() | st.integers(0, 4))
    def connect(self, slot: int | None) -> None:
        allowed = slot is None or slot in [profile.slot for profile in self.model.profiles]
        if not allowed:
            with pytest.raises(LocalProtocolError):
                self.station.connect(self.now, slot)
            return
        if slot is not None:
            self.model.diary.append(str(slot))
        leave = self.adapter != "nothing" and not self.told_to_close and slot not in (None, self.slot)
        self.hurry = self.hurry or self.adapter == "nothing" or self.told_to_close or leave
        self.wanted = True
        self.station.connect(self.now, slot)
        self.drain()
        assert self.told_to_close or not leave
        assert self.adapter != "nothing"

    @rule()
    def disconnect(self) -> None:
        self.wanted = self.hurry = False
        self.station.disconnect(self.now)
        self.drain()
        assert self.adapter == "nothing" or self.told_to_close

    # the adapter

    @precondition(lambda self: self.adapter == "dialling")
    @rule(oddly=st.booleans())
    def opens(self, oddly: bool) -> None:
        closing = self.told_to_close
        self.adapter, self.spoke, self.asked, self.opened_at = "open", False, False, self.now
        self.station.link_opened("soap" if oddly else "ocpp2.0.1", self.now)
        self.never = closing or oddly
        self.drain()
        assert self.told_to_close == self.never

    @precondition(lambda self: self.adapter == "dialling")
    @rule(reason=st.sampled_from(LinkFailure))
    def fails(self, reason: LinkFailure) -> None:
        self.station.link_failed(reason, "", self.now)
        self.over(served=False)
        self.drain()

    @precondition(lambda self: self.adapter == "open")
    @rule()
    def closes(self) -> None:
        self.station.link_closed(1006, "", self.now)
        stayed = self.now - self.opened_at >= ANSWER and not self.asked
        served = not self.never and (self.spoke or stayed)
        self.over(served=served)
        self.drain()

    @precondition(lambda self: self.adapter == "open" and not self.never)
    @rule()
    def speaks(self) -> None:
        if not self.told_to_close:
            self.spoke = True
            used = {profile.slot: profile for profile in self.model.config.network_profiles}[self.slot]
            self.model.good()
            self.model.level = int(used.security_profile)
        self.station.receive_frame('[2,"x","Unheard",{}]', self.now)
        self.drain()

    # time, power, disk

    @rule(seconds=st.sampled_from([0.0, 1.0, 12.0, 29.0, 31.0, 60.0, 119.0]))
    def time_passes(self, seconds: float) -> None:
        end = self.now + seconds
        while (at := self.station.next_timer()) is not None and at <= end:
            self.now = max(at, self.now)
            self.station.handle_timer(self.now)
            self.drain()
        self.now = end

    @rule(settings=configs | st.none())
    def power_loss(self, settings: StationConfig | None) -> None:
        rows = self.store.load().get("network", {})
        durable = int(rows["0"].partition(":")[2].rstrip("}")) if rows else 0
        if not self.owed:
            assert durable == self.model.level
        self.start(settings or self.model.config, durable)

    @rule()
    def disk_full(self) -> None:
        self.disk = False

    @rule()
    def disk_has_room(self) -> None:
        self.disk = True

    # always

    @invariant()
    def the_station_knows_where_it_stands(self) -> None:
        connection: dict[str, Any] = self.station.state(self.now)["connection"]
        expected = {"nothing": "waiting" if self.wanted else "idle", "dialling": "dialing", "open": "open"}
        assert connection["state"] == ("closing" if self.told_to_close else expected[self.adapter])
        assert connection["wanted"] == self.wanted
        if self.adapter != "nothing":
            assert connection["slot"] == self.slot
            waited = self.now - self.dialled_at
            assert self.adapter == "open" or self.told_to_close or waited < DIAL, "a dial has an end"

    @invariant()
    def what_is_used_is_secure_enough(self) -> None:
        usable = [profile.slot for profile in self.model.profiles]
        assert self.adapter == "nothing" or self.slot in usable or self.told_to_close


Links.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestLinks = pytest.mark.requirement(
    *("B10.FR.03", "B10.FR.04", "B10.FR.06", "B10.FR.07", "B10.FR.08", "B10.FR.09", "A00.FR.005"),
    *("A05.FR.05", "A05.FR.06", "A02.FR.28", "A03.FR.24", "2.0.1-J-5.3", "2.1-J-5.4"),
)(Links.TestCase)
