"""What every block of a station shares, and the plain values they hand each other."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from ..clock import Clock
from ..domain.tokens import IdToken, IdTokenInfo
from ..entropy import Entropy
from ..errors import LocalProtocolError
from ..messages import Request
from ..timers import Timers
from .actions import Notice, NoticeKind
from .config import StationConfig
from .evse import Evse
from .output import Output


class Deadline(StrEnum):
    """What a station waits for; with an EVSE id (0: the station) the name of a timer."""

    DIAL = "dial"
    REDIAL = "redial"
    BOOT = "boot"
    HEARTBEAT = "heartbeat"
    STATUS_RETRY = "status retry"
    FACT_RETRY = "fact retry"
    SECURITY_RETRY = "security retry"
    STORE_RETRY = "store retry"
    ANSWER = "answer"
    PIN = "pin"
    EV_CONNECT = "EV connect"
    POWER = "power"
    SAMPLE = "sample"
    ENDED_SAMPLE = "ended sample"
    RECOVERY = "recovery"


TimerName: TypeAlias = tuple[Deadline, int]


class Work(StrEnum):
    """What a call of the station is for: which block gets the answer."""

    BOOT = "boot"
    HEARTBEAT = "heartbeat"
    AUTHORIZE = "authorize"
    STATUS = "status"
    FACT = "fact"
    SECURITY_EVENT = "security event"
    READING = "reading"
    SOFTWARE = "software"


@dataclass(frozen=True, slots=True)
class Intent:
    """A call that a block wants made; ``key`` tells the block what it was about.

    ``durable``: the frame may only leave once the rows changed so far are durable. ``call_id`` is set where a
    retry has to repeat the id of its first send, or somebody waits for it. ``timeout``: None: the link's.
    """

    work: Work
    request: Request
    key: str = ""
    call_id: str | None = None
    durable: bool = False
    timeout: float | None = None


class Failure(StrEnum):
    """How a call of the station failed."""

    REFUSED = "refused"
    """CALLERROR, or a result that is none."""
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class Accepted:
    """Domain event: the CSMS accepted the station's BootNotification."""


@dataclass(frozen=True, slots=True)
class TokenJudged:
    """Domain event: the CSMS's word on the token of a transaction, given with its answer to a fact."""

    transaction: str
    token: IdToken
    info: IdTokenInfo


DomainEvent: TypeAlias = Accepted | TokenJudged


@dataclass(slots=True)
class Context:
    """The station's shared parts. Blocks act through it and reach into no other block's state."""

    config: StationConfig
    clock: Clock
    entropy: Entropy
    out: Output
    evses: dict[int, Evse]
    timers: Timers[TimerName] = field(default_factory=Timers)
    events: deque[DomainEvent] = field(default_factory=deque)

    def evse(self, number: int) -> Evse:
        """The EVSE with this id; raises :class:`LocalProtocolError` if there is none."""
        try:
            return self.evses[number]
        except KeyError:
            raise LocalProtocolError(f"there is no EVSE {number}; EVSEs are 1 to {len(self.evses)}") from None

    def notice(self, kind: NoticeKind, detail: str) -> None:
        """Tell the operator."""
        self.out.do(Notice(kind, detail))
