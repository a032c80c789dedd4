"""How a station gets to its CSMS: a route for each network profile, and which is taken."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ocpp_core import ConfigurationError, OcppError
from ocpp_core.station import NetworkProfile, OpenLink, StationConfig
from ocpp_core.wire import ClientConfig

from .binding import Binding, dial_error
from .proxy import Proxy
from .tls_peer import Revoked


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Everything it takes to connect to a CSMS.

    Arguments:
        config: the connection URL, credentials and limits of the link.
        ssl_context: for ``wss://``, or what makes one for each attempt, so that a renewed certificate is used
            by the next (it may raise OcppError, OSError or ValueError); None: the system's default.
        binding: the interface or address that connections leave by.
        proxy: that is asked to connect.
        revoked: asks, while a station's link is open, whether the CSMS's certificate is revoked; then the
            link is cut. If nobody can say, it stays: a station must not depend on who answers for its CSMS.
            (``open_rpc`` asks nobody.)
        attempt_delay: seconds after which a further address of the host is tried while the earlier ones have
            not answered (RFC 8305: "Connection Attempt Delay").

    Raises:
        ConfigurationError: the delay is not above zero, or the URL's host can be no name.
    """

    config: ClientConfig
    ssl_context: ssl.SSLContext | Callable[[], ssl.SSLContext] | None = None
    binding: Binding = field(default_factory=Binding)
    proxy: Proxy | None = None
    revoked: Revoked | None = None
    attempt_delay: float = 0.25

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.attempt_delay > 0:
            raise ConfigurationError("attempt_delay: more than 0 seconds")
        host = self.config.endpoint.server_name
        try:
            host.encode("idna")
        except UnicodeError:
            raise ConfigurationError(f"no name of a host: {host}") from None

    def context(self) -> ssl.SSLContext | None:
        """The context for one attempt; None: without TLS.

        Raises :class:`~ocpp_adapters.binding.DialError` where the maker of contexts raises what it may.
        """
        if not self.config.endpoint.secure:
            return None
        if isinstance(self.ssl_context, ssl.SSLContext):
            return self.ssl_context
        try:
            return (self.ssl_context or ssl.create_default_context)()
        except (OcppError, OSError, ValueError) as error:
            raise dial_error(None, f"TLS cannot be set up: {error}") from error


Routes: TypeAlias = ClientConfig | Route | Mapping[int, Route | Sequence[Route]]
"""The only way there is; or the routes by the slots of the station's network profiles. Several for one slot,
the newest first, take turns until one connects: old and new password, or certificate (A02.FR.28)."""


class RouteTable:
    """The routes of one station.

    Raises ConfigurationError if a network profile has none, or not what its security profile wants
    (A00.FR.004): TLS (``wss://``) from 2 on, a password with 1 and 2.
    """

    __slots__ = ("_routes",)

    def __init__(
        self, routes: Routes, config: StationConfig, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        profiles = config.network_profiles
        if isinstance(routes, ClientConfig | Route):
            routes = {profile.slot: route_of(routes) for profile in profiles}
        self._routes: dict[int, tuple[Route, ...]] = {}
        for profile in profiles:
            found = routes.get(profile.slot, ())
            several = (found,) if isinstance(found, Route) else tuple(found)
            if not several:
                there = ", ".join(map(str, routes)) or "none"
                raise ConfigurationError(f"no route for network profile {profile.slot}; routes: {there}")
            for route in several:
                _check(route.config, profile)
            self._routes[profile.slot] = tuple(_with(route, ssl_context) for route in several)

    def slots(self, network: int | str) -> list[int]:
        """The network profiles meant by a slot, or all of whose routes leave by an interface or address."""
        return slots_by(self._routes, network)

    def choose(self, action: OpenLink) -> Route:
        """The route by which a link is to be opened, with the versions to offer."""
        several = self._routes[action.slot]
        route = several[action.round % len(several)]
        return replace(route, config=replace(route.config, subprotocols=tuple(action.versions)))


def slots_by(routes: Mapping[int, Sequence[Route]], network: int | str) -> list[int]:
    """The slots meant by one of them, or those all of whose routes are bound to an interface or address."""
    if isinstance(network, int):
        return [network]
    return [
        slot
        for slot, several in routes.items()
        if all(network in (route.binding.interface, route.binding.source) for route in several)
    ]


def route_of(config: ClientConfig | Route, ssl_context: ssl.SSLContext | None = None) -> Route:
    """A route; ``ssl_context`` for one that has none."""
    return _with(config if isinstance(config, Route) else Route(config=config), ssl_context)


def _with(route: Route, ssl_context: ssl.SSLContext | None) -> Route:
    if ssl_context is None or route.ssl_context is not None:
        return route
    return replace(route, ssl_context=ssl_context)


def _check(config: ClientConfig, profile: NetworkProfile) -> None:
    level = profile.security_profile
    where = f"network profile {profile.slot} has security profile {level}"
    if level.secure and not config.endpoint.secure:
        raise ConfigurationError(f"{where}, which needs TLS: the URL must begin with wss://")
    if level.password and config.credentials is None:
        raise ConfigurationError(f"{where}, which needs a password")
