"""Whether a CSMS's certificate is revoked, by asking on the way that the station takes itself."""

from dataclasses import dataclass

from ocpp_adapters.anyio_web import AnyioFetch
from ocpp_adapters.routes import Route
from ocpp_adapters.tls_peer import Revoked
from ocpp_adapters.tls_policy import Check
from ocpp_adapters.tls_revocation import refuse_revoked
from ocpp_adapters.web import Web
from ocpp_control import needing


@dataclass(frozen=True, slots=True)
class Asking:
    """``revoked`` asks while a link is open, ``check`` remembers at the next handshake; None: neither."""

    check: Check | None = None
    revoked: Revoked | None = None


def asking_about_csms(route: Route) -> Asking:
    """For one route. Raises ConfigurationError: the extra ``security`` is not installed."""
    with needing("security"):
        from ocpp_security.online import OnlineStatus
    statuses = OnlineStatus(AnyioFetch(Web(binding=route.binding, proxy=route.proxy)))
    return Asking(refuse_revoked(statuses), statuses.revoked)
