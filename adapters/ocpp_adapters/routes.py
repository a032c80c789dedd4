"""How a station gets to its CSMS: a route for each network profile, and which is taken."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ocpp_core import ConfigurationError
from ocpp_core.station import OpenLink, StationConfig
from ocpp_core.wire import ClientConfig

from .binding import Binding
from .proxy import Proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Everything it takes to connect to a CSMS.

    Arguments:
        config: the connection URL, credentials and limits of the link.
        ssl_context: for ``wss://``, or what makes one for each attempt, so that a renewed certificate is used
            by the next (it may raise ConfigurationError or OSError); None: the system's default.
        binding: the interface or address that connections leave by.
        proxy: that is asked to connect.
    """

    config: ClientConfig
    ssl_context: ssl.SSLContext | Callable[[], ssl.SSLContext] | None = None
    binding: Binding = field(default_factory=Binding)
    proxy: Proxy | None = None

    def context(self) -> ssl.SSLContext | None:
        """The context for one attempt; None: without TLS. Raises what the maker of contexts raises."""
        if not self.config.endpoint.secure:
            return None
        if self.ssl_context is None:
            return ssl.create_default_context()
        return self.ssl_context if isinstance(self.ssl_context, ssl.SSLContext) else self.ssl_context()


Routes: TypeAlias = ClientConfig | Route | Mapping[int, Route | Sequence[Route]]
"""The only way there is; or the routes by the slots of the station's network profiles. Several for one slot,
the newest first, take turns until one connects: old and new password, or certificate (A02.FR.28)."""


class RouteTable:
    """The routes of one station. Raises ConfigurationError if a network profile has none."""

    __slots__ = ("_routes",)

    def __init__(
        self, routes: Routes, config: StationConfig, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        slots = [profile.slot for profile in config.network_profiles]
        if isinstance(routes, ClientConfig | Route):
            routes = dict.fromkeys(slots, route_of(routes))
        self._routes = {
            slot: (route,) if isinstance(route, Route) else tuple(route) for slot, route in routes.items()
        }
        if missing := [slot for slot in slots if not self._routes.get(slot)]:
            raise ConfigurationError(f"no route for network profile {', '.join(map(str, missing))}")
        if ssl_context is not None:
            self._routes = {
                slot: tuple(_with(route, ssl_context) for route in several)
                for slot, several in self._routes.items()
            }

    def choose(self, action: OpenLink) -> Route:
        """The route by which a link is to be opened, with the versions to offer."""
        several = self._routes[action.slot]
        route = several[action.round % len(several)]
        return replace(route, config=replace(route.config, subprotocols=tuple(action.versions)))


def route_of(config: ClientConfig | Route, ssl_context: ssl.SSLContext | None = None) -> Route:
    """A route; ``ssl_context`` for one that has none."""
    return _with(config if isinstance(config, Route) else Route(config=config), ssl_context)


def _with(route: Route, ssl_context: ssl.SSLContext | None) -> Route:
    return (
        route
        if route.ssl_context is not None or ssl_context is None
        else replace(route, ssl_context=ssl_context)
    )
