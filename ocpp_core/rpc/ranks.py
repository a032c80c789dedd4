"""The classes of calls, in the order in which waiting calls are sent."""

from enum import IntEnum


class CallRank(IntEnum):
    """The class of a call; the lowest number goes first."""

    BOOT = 0
    """BootNotification: nothing may precede it."""
    TRIGGERED = 1
    """What the peer asked for and waits for."""
    INTERACTIVE = 2
    """Someone waits for the result: Authorize, data transfer, every command of a CSMS."""
    STATUS = 3
    """The state of the station: soon, but nobody waits."""
    ORDERED = 4
    """Transaction-related facts, whose order must be kept."""
    BULK = 5
    """Reports."""


_ACTIONS = {
    CallRank.BOOT: ("BootNotification",),
    CallRank.STATUS: (
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "PublishFirmwareStatusNotification",
        "ReservationStatusUpdate",
        "SignedFirmwareStatusNotification",
        "StatusNotification",
    ),
    CallRank.ORDERED: (
        "MeterValues",
        "SecurityEventNotification",
        "StartTransaction",
        "StopTransaction",
        "TransactionEvent",
    ),
    CallRank.BULK: (
        "NotifyCustomerInformation",
        "NotifyDisplayMessages",
        "NotifyEvent",
        "NotifyMonitoringReport",
        "NotifyReport",
        "ReportChargingProfiles",
        "ReportDERControl",
    ),
}
_RANK_OF = {action: rank for rank, actions in _ACTIONS.items() for action in actions}

ORDERED_ACTIONS = frozenset(_ACTIONS[CallRank.ORDERED])
"""The actions that a station delivers at least once and in order, and so may repeat with the same id."""


def default_rank(action: str) -> CallRank:
    """The class of an action when the caller names none."""
    return _RANK_OF.get(action, CallRank.INTERACTIVE)
