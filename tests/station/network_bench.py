"""A bench with several CSMSs, each behind the network profiles that lead to it, each with its own records.

bench = NetworkBench(profile(0, "one"), profile(1, "two"))
bench.away(0)                       # what leads there, and the link if it went there, is gone
assert bench.csms == "two"
assert bench.told("two", "BootNotification")
"""

from collections import defaultdict
from typing import Any

from ocpp_core.domain.network import NetworkProfile, SecurityProfile
from ocpp_core.station import LinkFailure, OpenLink
from ocpp_core.versions import OcppVersion

from .bench import V201, Bench, config


def profile(slot: int, csms: str = "one", level: int = 0, **settings: Any) -> NetworkProfile:
    return NetworkProfile(slot, csms, SecurityProfile(level), **settings)


class NetworkBench(Bench):
    """See the module. ``attempts`` are those of a profile before the next one's turn."""

    def __init__(
        self,
        *profiles: NetworkProfile,
        version: OcppVersion = V201,
        attempts: int = 1,
        start: bool = True,
        **settings: Any,
    ) -> None:
        self.profiles = {profile.slot: profile for profile in profiles}
        self.reach: dict[int, bool | None] = dict.fromkeys(self.profiles, True)
        """Whether a slot can be had; None: nobody ever answers."""
        self.speaks = dict.fromkeys(self.profiles, version)
        """The only version that can be had by a slot."""
        self.heard: dict[str, list[list[Any]]] = defaultdict(list)
        """What each CSMS was told."""
        self.verdicts: dict[str, tuple[str, int]] = {}
        """What a CSMS says to a BootNotification, if not Accepted: status and interval."""
        self.numbers: dict[str, set[int]] = defaultdict(set)
        """The transactionIds that each CSMS gave."""
        self.slot = -1
        """By which the link was opened last."""
        settings = {"network_profiles": profiles, "network_attempts": attempts} | settings
        super().__init__(version, start=start, config=config(**settings))

    def reconfigure(self, *profiles: NetworkProfile, **settings: Any) -> None:
        """What the station will be provisioned with when its power is back."""
        self.profiles = {profile.slot: profile for profile in profiles}
        self.reach = {slot: self.reach.get(slot, True) for slot in self.profiles}
        self.speaks = {slot: self.speaks.get(slot, self.version) for slot in self.profiles}
        whole = {"network_profiles": profiles, "network_attempts": self.config.network_attempts} | settings
        self.config = config(**whole)

    @property
    def csms(self) -> str | None:
        """Which CSMS the station has a link to."""
        return self.profiles[self.slot].csms if self.online else None

    @property
    def dialled(self) -> list[int]:
        """The slots tried, in order."""
        return [action.slot for action in self.done(OpenLink)]

    def away(self, *slots: int) -> None:
        """These cannot be had any longer; a link by one of them breaks."""
        for slot in slots:
            self.reach[slot] = False
        if self.slot in slots and self.online:
            self.cut(back=True)

    def back(self, *slots: int) -> None:
        """These can be had again."""
        for slot in slots:
            self.reach[slot] = True

    def go_to(self, slot: int) -> None:
        """The operator wants this one."""
        self.station.connect(self.now, slot)
        self.drain()
        self.run(0.0)

    def told(self, csms: str, action: str | None = None) -> list[dict[str, Any]]:
        """The payloads of the calls that a CSMS has heard."""
        return [frame[3] for frame in self.heard[csms] if frame[0] == 2 and action in (None, frame[2])]

    def _take(self, frame: list[Any]) -> None:
        self.heard[self.profiles[self.slot].csms].append(frame)
        super()._take(frame)

    def _happen(self, verb: str, argument: Any) -> None:
        if verb != "open" or self.state()["connection"]["state"] != "dialing":
            super()._happen(verb, argument)
            return
        reach = self.reach[argument.slot]
        if reach:
            self.slot, self.version = argument.slot, self.speaks[argument.slot]
            super()._happen(verb, argument)
        elif reach is not None:
            self.station.link_failed(LinkFailure.UNREACHABLE, "no route", self.now)

    def _answer(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = super()._answer(action, body)
        if action == "BootNotification":
            status, interval = self.verdicts.get(self.profiles[self.slot].csms, ("Accepted", 0))
            answer |= {"status": status, "interval": interval}
        if action == "StartTransaction":
            self.numbers[self.profiles[self.slot].csms].add(answer["transactionId"])
        return answer
