"""The station's configuration from a file, in our own form: the fields of ``StationConfig`` as JSON, how its
link is kept alive, and the ways to its CSMS."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ocpp_control.json_files import check_names, read_object, validated
from ocpp_core import ConfigurationError, OcppVersion
from ocpp_core.domain.status import StationInfo
from ocpp_core.station.config import Backoff, StationConfig

from .networks import LinkSettings, NetworkSettings, networks_of, parse_versions

DEFAULT_INFO = {"model": "Emulator", "vendor": "OCPP stack"}
_SECTIONS_OF_LIBOCPP = frozenset({"Internal", "Core"})


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a configuration file says; without ``networks`` there is one way to the CSMS.

    The network profiles in ``station`` are to be replaced by those planned from ``networks``.
    """

    station: StationConfig
    link: LinkSettings
    networks: tuple[NetworkSettings, ...]


_STATION: TypeAdapter[StationConfig] = TypeAdapter(StationConfig)
_LINK: TypeAdapter[LinkSettings] = TypeAdapter(LinkSettings)


def load_config(path: Path | None, versions: tuple[OcppVersion, ...] | None) -> Configuration:
    """The configuration in ``path``; ``versions``, if given, win over the file's.

    Durations are in seconds. ``layout`` is written as the number of connectors of each EVSE, ``versions`` as
    ``"1.6"``, ``"2.0.1"``, ``"2.1"``; ``link`` holds :class:`LinkSettings`, ``network_profiles`` a list of
    :class:`NetworkSettings`. Raises :class:`ConfigurationError`, naming what is wrong.
    """
    values = {} if path is None else _read(path)
    link = values.pop("link", {})
    networks: tuple[NetworkSettings, ...] = ()
    check_names(values, StationConfig, f"{path}: ")
    if "network_profiles" in values:
        assert path is not None, "somebody has written it"
        networks = networks_of(values.pop("network_profiles"), path.parent, f"{path}: ")
    for section, fields_of, given in (
        ("info", StationInfo, values.get("info", {})),
        ("backoff", Backoff, values.get("backoff", {})),
        ("link", LinkSettings, link),
    ):
        check_names(given, fields_of, f"{path}: {section}.")
    values["info"] = {**DEFAULT_INFO, **values.get("info", {})}
    if "layout" in values:
        values["layout"] = {"connectors": values["layout"]}
    if "versions" in values:
        values["versions"] = parse_versions(values["versions"], f"{path}: ")
    if versions is not None:
        values["versions"] = versions
        networks = tuple(replace(network, versions=()) for network in networks)
    where = f"{path}: "
    return Configuration(validated(_STATION, values, where), validated(_LINK, link, where), networks)


def _read(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise ConfigurationError(f"{path}: libocpp's directory form of a 2.x device model is not there yet")
    values = read_object(path)
    if _SECTIONS_OF_LIBOCPP & set(values):
        raise ConfigurationError(f"{path}: libocpp's 1.6 form (sections Internal, Core …) is not there yet")
    return values
