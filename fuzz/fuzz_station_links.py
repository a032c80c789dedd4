"""Fuzz a station's way to its CSMSs: ``python fuzz/fuzz_station_links.py fuzz/corpus/station_links``.

The first byte chooses the configuration. Each byte after it is an input: about the link, time, the disk, the
hardware, or power loss, after which the station comes back with another configuration. Whatever comes, it
has a way on to a CSMS, and a transaction goes on with the one that saw its begin.
"""

import json
from collections import deque
from contextlib import suppress
from typing import Any

import atheris

with atheris.instrument_imports(include=["ocpp_core.station", "ocpp_core.clock", "ocpp_core.timers"]):
    from ocpp_core.domain.layout import Layout
    from ocpp_core.domain.metering import Quantity
    from ocpp_core.domain.network import NetworkProfile, SecurityProfile
    from ocpp_core.domain.status import StationInfo
    from ocpp_core.domain.tokens import IdToken
    from ocpp_core.entropy import SeededEntropy
    from ocpp_core.errors import LocalProtocolError
    from ocpp_core.station import (
        Backoff,
        CloseLink,
        DoPower,
        LinkFailure,
        OpenLink,
        PinPolicy,
        SendFrame,
        Station,
        StationConfig,
    )
    from ocpp_core.store import Commit, MemoryStore
    from ocpp_core.versions import OcppVersion

from _harness import run

V16, V201, V21 = OcppVersion
BACKOFF = Backoff(10.0, 5.0, 2)
LONGEST_WAIT = 45.0
FAILURES = tuple(LinkFailure)
REGISTRATION = ("Accepted", "Accepted", "Pending", "Rejected")
TIME = "2026-03-01T12:00:00.000Z"
"""Slot, CSMS, security profile, versions, of each configuration."""
NETWORKS: tuple[tuple[tuple[int, str, int, tuple[OcppVersion, ...]], ...], ...] = (
    ((0, "one", 0, ()),),
    ((0, "one", 1, ()), (1, "two", 1, ())),
    ((0, "one", 0, (V16,)), (1, "two", 0, (V16,))),
    ((0, "one", 1, ()), (1, "one", 2, ())),
    ((2, "two", 2, (V201,)), (0, "one", 3, (V21, V201)), (1, "one", 3, (V16,))),
    ((0, "one", 0, ()), (1, "two", 1, ()), (2, "three", 2, ()), (3, "four", 3, ())),
    ((1, "two", 0, (V16, V201)), (0, "one", 0, (V16, V201))),
    ((5, "one", 0, (V16,)),),
)


def make_config(number: int) -> StationConfig:
    profiles = tuple(
        NetworkProfile(slot, csms, SecurityProfile(level), versions)
        for slot, csms, level, versions in NETWORKS[number & 7]
    )
    return StationConfig(
        info=StationInfo("Fuzz", "Seed"),
        layout=Layout((1, 1)),
        network_profiles=profiles,
        network_attempts=1 + (number >> 3 & 1),
        allow_security_profile_downgrade=bool(number & 16),
        pin_policy=PinPolicy.HAND_OVER if number & 32 else PinPolicy.HOLD,
        autoconnect=not number & 64,
        outbox_limit=8 if number & 128 else 2000,
        pin_timeout=100.0 if number & 128 else 0.0,
        backoff=BACKOFF,
        security_log_limit=4,
    )


class World:
    """A station, its adapter, its disk, and every CSMS."""

    def __init__(self, flags: int) -> None:
        self.store = MemoryStore()
        self.disk = True
        self.boots = 0
        self.begun: set[tuple[str, Any]] = set()
        """Which CSMS saw, or numbered, the begin of which transaction."""
        self.power_up(flags)

    def power_up(self, flags: int) -> None:
        self.boots += 1
        self.now = 1000.0
        self.config = make_config(flags)
        self.wanted = self.config.autoconnect
        self.dial: OpenLink | None = None
        self.csms: str | None = None
        """Whom there is a link to."""
        self.version = V201
        self.told_to_close = False
        self.calls: deque[list[Any]] = deque()
        self.station = Station(self.config, SeededEntropy(self.boots), self.now, self.store.load())
        self.drain()

    def drain(self) -> None:
        while actions := self.station.actions():
            for action in actions:
                if isinstance(action, Commit):
                    if not self.disk:
                        self.station.store_failed("full", self.now)
                        break
                    self.store.commit(action)
                elif isinstance(action, OpenLink):
                    assert self.dial is None, "one at a time"
                    assert self.csms is None
                    assert action.versions
                    self.dial, self.told_to_close = action, False
                elif isinstance(action, CloseLink):
                    assert self.dial or self.csms is not None
                    self.told_to_close = True
                elif isinstance(action, SendFrame):
                    assert self.csms is not None
                    self.hear(self.csms, json.loads(action.text))
                elif isinstance(action, DoPower):
                    self.station.power_switched(action.evse, action.on, self.now)
        if self.wanted and self.dial is None and self.csms is None:
            at = self.station.next_timer()
            assert at is not None, "nobody will ever dial again"

    def hear(self, csms: str, frame: list[Any]) -> None:
        if frame[0] != 2:
            return
        self.calls.append(frame)
        action, body = frame[2:]
        if action == "TransactionEvent":
            transaction = (csms, body["transactionInfo"]["transactionId"])
            if body["eventType"] == "Started":
                self.begun.add(transaction)
            assert transaction in self.begun
        elif body.get("transactionId", -1) != -1:  # StopTransaction, MeterValues
            assert (csms, body["transactionId"]) in self.begun

    def answer(self, more: int) -> None:
        """The CSMS answers the oldest call, or refuses it."""
        if not self.calls or self.csms is None:
            return
        _, call_id, action, _ = self.calls.popleft()
        if more == 15:
            self.station.receive_frame(json.dumps([4, call_id, "InternalError", "", {}]), self.now)
            return
        self.station.receive_frame(json.dumps([3, call_id, self.payload(action, more)]), self.now)

    def payload(self, action: str, more: int) -> dict[str, Any]:
        if action == "BootNotification":
            return {"status": REGISTRATION[more & 3], "currentTime": TIME, "interval": 60 * (more >> 2)}
        if action == "Heartbeat":
            return {"currentTime": TIME}
        info = {"status": "Invalid" if more == 14 else "Accepted"}
        if action == "StartTransaction":
            number = len(self.begun) + 1
            self.begun.add((str(self.csms), number))
            return {"transactionId": number, "idTagInfo": info}
        if action == "Authorize":
            return {"idTagInfo" if self.version is V16 else "idTokenInfo": info}
        return {}

    # what happens

    def happen(self, event: int, more: int) -> None:
        with suppress(LocalProtocolError):
            if event < 8:
                self.network(event, more)
            else:
                self.site(event, more)
        self.drain()

    def network(self, event: int, more: int) -> None:
        station, dial = self.station, self.dial
        match event:
            case 0 if dial is not None:
                version = dial.versions[more % len(dial.versions)]
                self.opened(dial, "soap" if more == 15 else version.value)
            case 1 if dial is not None:
                self.dial = None
                station.link_failed(FAILURES[more % len(FAILURES)], "fuzz", self.now)
            case 2 if self.csms is not None or (dial is not None and self.told_to_close):
                self.csms = self.dial = None
                self.calls.clear()
                station.link_closed(1006, "", self.now)
            case 3:
                self.answer(more)
            case 4:
                self.wanted = station.connect(self.now, None if more & 8 else more & 7) is None
            case 5:
                self.wanted = False
                station.disconnect(self.now)
            case 6:
                station.receive_frame(["", "[]", '[2,"x","Heartbeat",{}]'][more % 3], self.now)
            case 7 if more & 8:
                self.hint(more & 7)
            case 7 if dial is None and self.csms is None:  # what nobody has asked for
                if more & 1:
                    station.link_opened("ocpp1.6", self.now)
                else:
                    station.link_closed(1000, "", self.now)

    def hint(self, more: int) -> None:
        """What the host says of its networks, right or wrong; the operator waits for a CSMS no longer."""
        slot = None if more & 3 == 3 else more & 3
        if more == 7:
            self.station.release("one", self.now)
        elif more & 4:
            self.station.network_back(self.now, slot)
        else:
            self.station.network_lost(self.now, slot)

    def opened(self, dial: OpenLink, subprotocol: str) -> None:
        """Whoever was told to close meanwhile sees a link that opens all the same."""
        self.dial = None
        self.csms = next(p.csms for p in self.config.network_profiles if p.slot == dial.slot)
        self.station.link_opened(subprotocol, self.now)
        self.version = OcppVersion(subprotocol) if subprotocol != "soap" else self.version

    def site(self, event: int, more: int) -> None:
        station, evse = self.station, 1 + (more & 1)
        match event:
            case 8:
                self.pass_time(float(1 << more) / 4)
            case 9:
                self.now = max(self.now, station.next_timer() or self.now)
                station.handle_timer(self.now)
            case 10:
                self.power_up(more * 17)
            case 11:
                self.disk = not more & 1
            case 12 if more & 2:
                station.plug_out(evse, 1, self.now)
            case 12:
                station.plug_in(evse, 1, self.now)
            case 13:
                station.present_token(IdToken(f"T{more >> 1 & 1}"), evse, self.now)
            case 14:
                station.meter(evse, (Quantity(1000.0 + self.now),), self.now)
            case 15 if more & 1:
                station.security_event("TamperDetectionActivated", self.now, "x" * more)
            case 15:
                station.set_utc(1_772_366_400_000 + int(self.now * 1000), self.now)

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        for _ in range(200):
            at = self.station.next_timer()
            if at is None or at > end:
                break
            self.now = max(at, self.now)
            self.station.handle_timer(self.now)
            self.drain()
        self.now = end

    def go_on(self) -> None:
        """From here on the network is down: the station tries every way there is, in turns."""
        self.disk = True
        self.pass_time(2 * self.config.store_retry_interval)
        self.happen(2, 0)
        self.wanted = True
        self.station.connect(self.now)
        self.drain()
        tried = set()
        for _ in range(2 * self.config.network_attempts * len(self.config.network_profiles)):
            if self.dial is None:
                waited = self.now
                self.until_dialled()
                assert self.now - waited <= LONGEST_WAIT
            assert self.dial is not None
            tried.add(self.dial.slot)
            self.happen(1, 0)
        most = max(profile.security_profile for profile in self.config.network_profiles)
        assert {p.slot for p in self.config.network_profiles if p.security_profile == most} <= tried

    def until_dialled(self) -> None:
        for _ in range(1000):
            if self.dial is not None:
                return
            at = self.station.next_timer()
            assert at is not None
            self.now = max(self.now, at)
            self.station.handle_timer(self.now)
            self.drain()


def one_input(data: bytes) -> None:
    if not data:
        return
    world = World(data[0])
    for byte in data[1:60]:
        world.happen(byte & 15, byte >> 4)
    world.go_on()


if __name__ == "__main__":
    run(one_input)
