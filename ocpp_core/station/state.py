"""The station laid open: everything there is to know, as JSON-able values."""

from typing import Any

from .blocks.availability import Availability
from .blocks.connectivity import Connectivity
from .blocks.delivery import Delivery
from .blocks.provisioning import Provisioning
from .blocks.security import Security
from .context import Context
from .evse import Evse


def state_of(
    context: Context,
    connectivity: Connectivity,
    provisioning: Provisioning,
    delivery: Delivery,
    security: Security,
    availability: Availability,
    now: float,
) -> dict[str, Any]:
    """The state of a whole station; tokens are shown, so it is no log line."""
    clock = context.clock
    pinned = delivery.pinned(connectivity.profile.csms)
    return {
        "connection": {
            "state": connectivity.link.value,
            "subprotocol": connectivity.version.value if connectivity.version else None,
            "wanted": connectivity.wanted,
            "slot": connectivity.profile.slot,
            "networks_gone": connectivity.networks_gone,
        },
        "registration": provisioning.status.value if provisioning.status else None,
        "heartbeat_interval": provisioning.heartbeat_interval,
        "clock": {"utc_ms": clock.utc_ms(now), "boot": clock.boot},
        "store": "ok" if context.out.healthy else "failed",
        "queue": {
            "facts": len(delivery),
            "elsewhere": delivery.elsewhere,
            "security_events": len(security),
            "pinned": pinned.value if pinned else None,
        },
        "timers": {
            f"{deadline}/{number}" if number else str(deadline): at - now
            for (deadline, number), at in context.timers.items()
        },
        "evses": [_evse(evse) for evse in context.evses.values()],
        "connectors": [
            {
                "evse": ref.evse,
                "connector": ref.connector,
                "status": seen.status.value,
                "status_16": seen.status_16,
            }
            for ref in context.config.layout.refs
            if (seen := availability.view(ref)) is not None
        ],
    }


def _evse(evse: Evse) -> dict[str, Any]:
    return {
        "evse": evse.id,
        "plugged": evse.plugged,
        "driver": evse.driver.value if evse.driver else None,
        "power": evse.power.value,
        "charging_state": evse.charging_state.value,
        "meter_wh": evse.meter_wh,
        "suspended_by": sorted(evse.suspended_by),
        "transaction": evse.transaction,
        "energised": evse.row.energised if evse.row else False,
        "ending": evse.ending.reason.value if evse.ending else None,
    }
