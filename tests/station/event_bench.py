"""A bench for security events: the station notices them, the CSMS may not know what they are."""

from typing import Any

import pytest

from ocpp_core.domain.security import SecurityEvent
from ocpp_core.station import LinkFailure, OpenLink

from .bench import V201, VERSIONS, Bench

NOTIFICATION = "SecurityEventNotification"
TAMPER = SecurityEvent.TAMPER_DETECTION_ACTIVATED
LOGIN = SecurityEvent.MAINTENANCE_LOGIN_FAILED
STARTUP = SecurityEvent.STARTUP_OF_THE_DEVICE

each_version = pytest.mark.parametrize("version", VERSIONS)


class EventBench(Bench):
    """A bench whose station notices security events."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self.errors: dict[str, str] = {}
        """Actions that the CSMS answers with a CALLERROR of this code."""
        self.held: set[str] = set()
        """Actions that the CSMS answers only when told to."""
        super().__init__(*arguments, **settings)

    def note(self, kind: str, tech_info: str | None = None) -> None:
        self.station.security_event(kind, self.now, tech_info)
        self.drain()

    def fail(self, failure: LinkFailure, detail: str = "") -> None:
        """The attempt under way fails so, and the next begins."""
        self.station.link_failed(failure, detail, self.now)
        self.drain()
        dialled = len(self.done(OpenLink))
        while len(self.done(OpenLink)) == dialled:
            self.skip(self.station.next_timer() - self.now)

    def open(self) -> None:
        """The attempt under way succeeds."""
        self.station.link_opened(self.version, self.now)
        self.drain()

    def lose(self) -> None:
        """The link is lost, and dialled again."""
        self.cut()
        self.dials = None
        self.station.connect(self.now)
        self.drain()

    @property
    def untold(self) -> int:
        waiting: int = self.state()["queue"]["security_events"]
        return waiting

    @property
    def logged(self) -> list[str]:
        return [entry["type"] for entry in self.station.security_log()]

    def told(self) -> list[str]:
        return [payload["type"] for payload in self.sent(NOTIFICATION)]

    def _take(self, frame: list[Any]) -> None:
        code = self.errors.get(frame[2]) if frame[0] == 2 else None
        if code is None:
            super()._take(frame)
        else:
            self.frames.append(frame)
            self._inbox.append(("frame", [4, frame[1], code, "as scripted", {}]))


def undialled(**settings: Any) -> EventBench:
    """A station whose first attempt to connect is under way."""
    bench = EventBench(V201, start=False, **settings)
    bench.dials = None
    bench.power_up()
    return bench
