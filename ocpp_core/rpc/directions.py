"""Who sends what."""

from ocpp_core.messages import Direction
from ocpp_core.versions import Role

SENT_BY = {
    Role.STATION: frozenset({Direction.STATION_TO_CSMS, Direction.BOTH}),
    Role.CSMS: frozenset({Direction.CSMS_TO_STATION, Direction.BOTH}),
}
"""The directions of the requests that a role sends."""
RECEIVED_BY = {Role.STATION: SENT_BY[Role.CSMS], Role.CSMS: SENT_BY[Role.STATION]}
"""The directions of the requests that a role receives."""
