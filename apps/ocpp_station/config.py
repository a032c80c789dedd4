"""The station's configuration from a file, in our own form: the fields of ``StationConfig`` as JSON,
and how its link is kept alive."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ocpp_core import ConfigurationError, OcppVersion
from ocpp_core.domain.status import StationInfo
from ocpp_core.station.config import Backoff, StationConfig

DEFAULT_INFO = {"model": "Emulator", "vendor": "OCPP stack"}
_SECTIONS_OF_LIBOCPP = frozenset({"Internal", "Core"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """How the WebSocket is kept alive, in seconds; ``ping_interval`` None: without pings."""

    handshake_timeout: float = 20.0
    close_timeout: float = 10.0
    ping_interval: float | None = 60.0
    pong_timeout: float = 20.0


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a configuration file says."""

    station: StationConfig
    link: LinkSettings


_STATION: TypeAdapter[StationConfig] = TypeAdapter(StationConfig)
_LINK: TypeAdapter[LinkSettings] = TypeAdapter(LinkSettings)


def load_config(path: Path | None, versions: tuple[OcppVersion, ...] | None) -> Configuration:
    """The configuration in ``path``; ``versions``, if given, win over the file's.

    Durations are in seconds. ``layout`` is written as the number of connectors of each EVSE, ``versions`` as
    ``"1.6"``, ``"2.0.1"``, ``"2.1"``; ``link`` holds :class:`LinkSettings`. Raises
    :class:`ConfigurationError`, naming what is wrong.
    """
    values = {} if path is None else _read(path)
    link = values.pop("link", {})
    _check_names(values, StationConfig, f"{path}: ")
    for section, fields_of, given in (
        ("info", StationInfo, values.get("info", {})),
        ("backoff", Backoff, values.get("backoff", {})),
        ("link", LinkSettings, link),
    ):
        _check_names(given, fields_of, f"{path}: {section}.")
    values["info"] = {**DEFAULT_INFO, **values.get("info", {})}
    if "layout" in values:
        values["layout"] = {"connectors": values["layout"]}
    if "versions" in values:
        values["versions"] = parse_versions(values["versions"])
    if versions is not None:
        values["versions"] = versions
    try:
        return Configuration(
            _STATION.validate_json(json.dumps(values), strict=True),
            _LINK.validate_json(json.dumps(link), strict=True),
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise ConfigurationError(f"{path}: {where}{first['msg']}") from None


def parse_versions(numbers: object) -> tuple[OcppVersion, ...]:
    """OCPP versions from their numbers, in order of preference. Raises :class:`ConfigurationError`."""
    by_number = {version.number: version for version in OcppVersion}
    wanted = numbers if isinstance(numbers, list) else [numbers]
    try:
        return tuple(by_number[str(number)] for number in wanted)
    except KeyError:
        raise ConfigurationError(f"versions must be of {', '.join(by_number)}, not {numbers!r}") from None


def _read(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise ConfigurationError(f"{path}: libocpp's directory form of a 2.x device model is not there yet")
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: a configuration is one JSON object")
    if _SECTIONS_OF_LIBOCPP & set(values):
        raise ConfigurationError(f"{path}: libocpp's 1.6 form (sections Internal, Core …) is not there yet")
    return values


def _check_names(values: object, kind: type, where: str) -> None:
    if not isinstance(values, dict):
        raise ConfigurationError(f"{where}an object is expected")
    known = [field.name for field in fields(kind)]
    for name in values:
        if name not in known:
            raise ConfigurationError(f"{where}{name} is no setting; allowed: {', '.join(known)}")
