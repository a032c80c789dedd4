"""What a station asks of a dialect, in domain terms."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from ..domain.layout import ConnectorRef, Layout
from ..domain.metering import Sample
from ..domain.status import BootReason, RegistrationStatus, StationInfo
from ..domain.time import Stamp
from ..domain.tokens import IdToken, IdTokenInfo
from ..domain.transactions import TransactionFact
from ..messages import Request, Response
from ..versions import OcppVersion
from .evse import ConnectorView
from .tables import Sent, WireRow


@dataclass(frozen=True, slots=True)
class BootAnswer:
    """What a CSMS says to a BootNotification: its verdict, an interval in seconds, its UTC in epoch ms."""

    status: RegistrationStatus
    interval: int
    utc_ms: int


@dataclass(frozen=True, slots=True)
class FactAnswer:
    """What a CSMS says to a fact: its word on the token that went with it, and 1.6's transactionId."""

    info: IdTokenInfo | None = None
    csms_id: int | None = None


class Topic(StrEnum):
    """What a CSMS can ask a station to tell (TriggerMessage), as far as the station can."""

    BOOT = "BootNotification"
    HEARTBEAT = "Heartbeat"
    STATUS = "StatusNotification"
    READING = "MeterValues"


@dataclass(frozen=True, slots=True)
class Trigger:
    """TriggerMessage: tell ``topic`` about an EVSE or connector (None: all); a None topic is not known here.

    ``possible`` is false where the CSMS named a connector that there is not.
    """

    topic: Topic | None
    ref: ConnectorRef | None = None
    possible: bool = True


@dataclass(frozen=True, slots=True)
class RemoteStart:
    """Start charging for ``token``, at an EVSE (None: wherever a car or a free EVSE is)."""

    token: IdToken
    evse: int | None
    remote_start_id: int | None


@dataclass(frozen=True, slots=True)
class RemoteStop:
    """Stop a transaction: by the station's id (2.x) or by the CSMS's (1.6)."""

    transaction: str | None = None
    csms_id: int | None = None


Command: TypeAlias = Trigger | RemoteStart | RemoteStop


class Verdict(StrEnum):
    """What the station says to a command."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    NOT_IMPLEMENTED = "NotImplemented"


class StationDialect(Protocol):
    """One OCPP version as the station's blocks see it. Every method is a pure function of its arguments."""

    version: OcppVersion
    answers_while_rejected: bool
    """Whether the CSMS's calls are answered (with SecurityError) once it rejected the station (B03.FR.08)."""

    def boot(self, info: StationInfo, reason: BootReason) -> Request:
        """BootNotification."""
        ...

    def boot_answer(self, response: Response) -> BootAnswer:
        """What the CSMS said to it."""
        ...

    def heartbeat(self) -> Request:
        """Heartbeat."""
        ...

    def heartbeat_answer(self, response: Response) -> int:
        """The CSMS's UTC in epoch ms."""
        ...

    def authorize(self, token: IdToken) -> Request:
        """Authorize."""
        ...

    def authorize_answer(self, response: Response) -> IdTokenInfo:
        """What the CSMS said of the token."""
        ...

    def status_subjects(self, layout: Layout) -> tuple[ConnectorRef, ...]:
        """Whose status is told: all connectors, in 1.6 also the station (EVSE 0)."""
        ...

    def status_text(self, view: ConnectorView | None) -> str:
        """The status in this version's words (``None``: of the station itself)."""
        ...

    def status(self, layout: Layout, ref: ConnectorRef, text: str, utc_ms: int) -> Request:
        """StatusNotification."""
        ...

    def plan(self, fact: TransactionFact, wire: WireRow) -> WireRow | None:
        """The wire row once this fact is on the wire, or None if this version says nothing of it."""
        ...

    def fact(
        self,
        fact: TransactionFact,
        wire: WireRow,
        sent: Sent,
        layout: Layout,
        resolve: Callable[[Stamp], int],
    ) -> Request:
        """The call that tells a fact; ``wire`` as the plan left it, ``resolve`` gives epoch ms."""
        ...

    def fact_answer(self, response: Response) -> FactAnswer:
        """What the CSMS said to it."""
        ...

    def reading(
        self,
        layout: Layout,
        evse: int,
        sample: Sample,
        csms_id: int | None,
        resolve: Callable[[Stamp], int],
    ) -> Request | None:
        """MeterValues of an EVSE outside of the transaction's facts (TriggerMessage), if there are any.

        ``csms_id`` is 1.6's transactionId where a transaction is under way.
        """
        ...

    def security_event(self, kind: str, utc_ms: int, tech_info: str | None) -> Request:
        """SecurityEventNotification of an event, by its name in 2.x."""
        ...

    def command(self, layout: Layout, request: Request) -> Command | None:
        """A call of the CSMS as a command, or None if no block handles it yet."""
        ...

    def unhandled(self, request: Request) -> Response | None:
        """The answer to a call that nobody handles, where it is no error: a vendor's (P01.FR.05)."""
        ...

    def verdict(self, request: Request, verdict: Verdict, transaction: str | None) -> Response:
        """The answer to a call that :meth:`command` understood; a remote start names the transaction."""
        ...
