"""The ways to the CSMS: ``network_profiles`` of the configuration, and what the command line adds."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ocpp_adapters.binding import Binding
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.routes import Route
from ocpp_adapters.tls_policy import SecurityProfile
from ocpp_control.json_files import check_names, validated
from ocpp_core import ConfigurationError, OcppVersion
from ocpp_core.domain.network import NetworkProfile
from ocpp_core.wire import ClientConfig, Credentials, connection_url, parse_url

from .asking import Asking, asking_about_csms
from .contexts import Contexts, has_certificate
from .security import Security, security_of

_TURNS = 2
"""Certificates of a directory that take turns until one connects: the newest, the one before (A02.FR.28)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """How the WebSocket is kept alive, in seconds; ``ping_interval`` None: without pings."""

    handshake_timeout: float = 20.0
    close_timeout: float = 10.0
    ping_interval: float | None = 60.0
    pong_timeout: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """One of ``network_profiles``; what it leaves out is the station's.

    Arguments:
        slot: the configuration slot.
        url, identity, security: in place of what the command line says.
        csms: the name of the CSMS; profiles of the same name lead to the same. None: host, port and path of
            the URL, or, of a station with one profile only, the one there is.
        security_profile: in place of the security settings'.
        versions, message_timeout: as the station has them.
        interface, source: a network interface, or an address of this machine, that connections leave by.
        proxy: ``http://[USER:PASSWORD@]HOST:PORT``.
    """

    slot: int
    url: str | None = None
    identity: str | None = None
    csms: str | None = None
    security_profile: SecurityProfile | None = None
    versions: tuple[OcppVersion, ...] = ()
    message_timeout: float | None = None
    interface: str | None = None
    source: str | None = None
    proxy: str | None = None
    security: Security | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """A way to a CSMS: what the station knows of it, and how its adapter gets there."""

    profile: NetworkProfile
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the command line says of all the ways."""

    identity: str
    url: str | None = None
    security: Security = field(default_factory=Security)


_NETWORK: TypeAdapter[NetworkSettings] = TypeAdapter(NetworkSettings)


def parse_versions(numbers: object, where: str = "") -> tuple[OcppVersion, ...]:
    """OCPP versions from their numbers, in order of preference. Raises :class:`ConfigurationError`."""
    by_number = {version.number: version for version in OcppVersion}
    wanted = numbers if isinstance(numbers, list) else [numbers]
    try:
        return tuple(by_number[str(number)] for number in wanted)
    except KeyError:
        raise ConfigurationError(
            f"{where}versions must be of {', '.join(by_number)}, not {numbers!r}"
        ) from None


def networks_of(values: object, base: Path, where: str) -> tuple[NetworkSettings, ...]:
    """``network_profiles`` as a configuration file has them. Raises :class:`ConfigurationError`."""
    if not isinstance(values, list) or not values:
        raise ConfigurationError(f"{where}network_profiles: a list with at least one is expected")
    return tuple(
        _network_of(value, base, f"{where}network_profiles.{number}.") for number, value in enumerate(values)
    )


def _network_of(values: Any, base: Path, where: str) -> NetworkSettings:
    check_names(values, NetworkSettings, where)
    values = dict(values)
    if "versions" in values:
        values["versions"] = parse_versions(values["versions"], where)
    security = values.pop("security", None)
    settings = validated(_NETWORK, values, where)
    if security is None:
        return settings
    return replace(settings, security=security_of(security, base, f"{where}security."))


def plan(settings: Sequence[NetworkSettings], link: LinkSettings, defaults: Defaults) -> tuple[Network, ...]:
    """The ways that a station has; without any settings the one of the command line.

    Raises :class:`ConfigurationError`: a URL is missing, or security profile and URL do not go together, …
    """
    settings = settings or (NetworkSettings(slot=0),)
    return tuple(_plan(it, link, defaults, alone=len(settings) == 1) for it in settings)


def _plan(settings: NetworkSettings, link: LinkSettings, defaults: Defaults, *, alone: bool) -> Network:
    try:
        return _network(settings, link, defaults, alone)
    except ConfigurationError as error:
        raise ConfigurationError(
            str(error) if alone else f"network profile {settings.slot}: {error}"
        ) from None


def _network(settings: NetworkSettings, link: LinkSettings, defaults: Defaults, alone: bool) -> Network:
    url = settings.url or defaults.url
    if url is None:
        raise ConfigurationError("there is no URL: give --url, or a url to every network profile")
    security = settings.security or defaults.security
    endpoint = parse_url(url)
    level = _level(settings, security, secure=endpoint.secure)
    csms = "" if alone else f"{endpoint.host}:{endpoint.port}{endpoint.target}"
    profile = NetworkProfile(
        slot=settings.slot,
        csms=csms if settings.csms is None else settings.csms,
        security_profile=level,
        versions=settings.versions,
        message_timeout=settings.message_timeout,
    )
    identity = settings.identity or defaults.identity
    password = security.octets() if level.password else None
    route = Route(
        config=ClientConfig(
            url=connection_url(url, identity),
            credentials=None if password is None else Credentials(identity.encode(), password),
            handshake_timeout=link.handshake_timeout,
            close_timeout=link.close_timeout,
            ping_interval=link.ping_interval,
            pong_timeout=link.pong_timeout,
        ),
        binding=_binding(settings),
        proxy=None if settings.proxy is None else Proxy.parse(settings.proxy),
    )
    return Network(profile, _secured(route, security, level) if endpoint.secure else (route,))


def _level(settings: NetworkSettings, security: Security, *, secure: bool) -> SecurityProfile:
    """The security profile that is wanted, or else the highest that there is what it takes for."""
    wanted = settings.security_profile if settings.security_profile is not None else security.security_profile
    if wanted is None:
        if secure and has_certificate(security):
            return SecurityProfile.TLS_CERTIFICATE
        if not security.has_password:
            return SecurityProfile.NONE
        return SecurityProfile.TLS_BASIC if secure else SecurityProfile.BASIC
    lacks = []
    if wanted is not SecurityProfile.NONE and wanted.secure is not secure:
        lacks.append(f"a URL that begins with {'wss' if wanted.secure else 'ws'}://")
    if wanted.password and not security.has_password:
        lacks.append("a password or an authorization_key")
    if wanted is SecurityProfile.TLS_CERTIFICATE and security.chain is None and security.directory is None:
        lacks.append("chain and key, or a directory")
    if lacks:
        raise ConfigurationError(f"security_profile {wanted} needs {', and '.join(lacks)}")
    return wanted


def _binding(settings: NetworkSettings) -> Binding:
    binding = Binding.parse(settings.interface or "")
    return binding if settings.source is None else replace(binding, source=settings.source)


def _secured(route: Route, security: Security, level: SecurityProfile) -> tuple[Route, ...]:
    """The route with TLS; several if certificates of a directory take turns."""
    own = level is SecurityProfile.TLS_CERTIFICATE
    turns = _TURNS if own and security.directory is not None else 1
    asking = asking_about_csms(route) if security.ocsp else Asking()
    return tuple(
        replace(
            route,
            ssl_context=Contexts(security, own=own, turn=turn, check=asking.check),
            revoked=asking.revoked,
        )
        for turn in range(turns)
    )
