"""What an operator can ask of a station, in the same words whatever its OCPP version.

EVSEs and connectors count from 1. Where a version cannot say something, ``Csms.call()`` raises
:class:`~ocpp_core.errors.LocalProtocolError` and says what.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from ..domain.tokens import IdToken


class Topic(StrEnum):
    """What a station can be asked to tell now; the value is the action."""

    BOOT = "BootNotification"
    HEARTBEAT = "Heartbeat"
    STATUS = "StatusNotification"
    METER_VALUES = "MeterValues"


@dataclass(frozen=True, slots=True)
class RequestStart:
    """Start a transaction for ``token`` (F01, F02; 1.6 §5.11), at an EVSE or wherever the station chooses.

    ``remote_start_id`` comes back in the transaction's events (2.x); None: one is drawn, and is in the
    answer's ``command``.
    """

    token: IdToken
    evse: int | None = None
    remote_start_id: int | None = None


@dataclass(frozen=True, slots=True)
class RequestStop:
    """Stop a transaction (F03; 1.6 §5.12)."""

    transaction: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """Tell ``topic`` now (F06; 1.6 §5.17): of one connector, or of all that there are.

    2.x cannot ask for the status of all connectors (F06.FR.13).
    """

    topic: Topic
    evse: int | None = None
    connector: int = 1


@dataclass(frozen=True, slots=True)
class UnlockConnector:
    """Release the cable of a connector (F05; 1.6 §5.18)."""

    evse: int
    connector: int = 1


@dataclass(frozen=True, slots=True)
class ChangeAvailability:
    """Make a connector (``connector`` None: an EVSE; ``evse`` None: the station) operative or not (G03, G04).

    1.6 has no EVSEs: there an EVSE is its only connector.
    """

    operative: bool
    evse: int | None = None
    connector: int | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """Restart the station, or one EVSE (2.x): when it is idle, or at once (B11, B12).

    1.6 §5.14: Soft (transactions are stopped, then the software restarts), or Hard.
    """

    immediate: bool = False
    evse: int | None = None


Command: TypeAlias = RequestStart | RequestStop | Trigger | UnlockConnector | ChangeAvailability | Reset


@dataclass(frozen=True, slots=True)
class CommandAnswered:
    """The station answered a command.

    Arguments:
        call_id: what ``Csms.call()`` returned.
        command: the command, ``remote_start_id`` filled in.
        accepted: the station will do it, or did.
        status: the station's word.
        reason: its reason, if it gave one (2.x).
        transaction: the transaction that a :class:`RequestStart` found under way (2.x).
    """

    call_id: str
    command: Command
    accepted: bool
    status: str
    reason: str | None = None
    transaction: str | None = None


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """A command got no answer. ``reason`` is a :class:`~ocpp_core.rpc.FailureReason`; for its CALL_ERROR,
    ``code`` is the station's error code.
    """

    call_id: str
    command: Command
    reason: str
    code: str
    description: str
