"""The station's configuration from a file, in our own form: the fields of ``StationConfig`` as JSON."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ocpp_core import ConfigurationError, OcppVersion
from ocpp_core.domain.status import StationInfo
from ocpp_core.station.config import Backoff, StationConfig

DEFAULT_INFO = {"model": "Emulator", "vendor": "OCPP stack"}
_SECTIONS_OF_LIBOCPP = frozenset({"Internal", "Core"})
_CONFIG: TypeAdapter[StationConfig] = TypeAdapter(StationConfig)


def load_config(path: Path | None, versions: tuple[OcppVersion, ...] | None) -> StationConfig:
    """The configuration in ``path``; ``versions``, if given, win over the file's.

    Durations are in seconds. ``layout`` is written as the number of connectors of each EVSE, ``versions`` as
    ``"1.6"``, ``"2.0.1"``, ``"2.1"``. Raises :class:`ConfigurationError`, naming what is wrong.
    """
    values = {} if path is None else _read(path)
    _check_names(values, StationConfig, f"{path}: ")
    for section, kind in (("info", StationInfo), ("backoff", Backoff)):
        _check_names(values.get(section, {}), kind, f"{path}: {section}.")
    values["info"] = {**DEFAULT_INFO, **values.get("info", {})}
    if "layout" in values:
        values["layout"] = {"connectors": values["layout"]}
    if "versions" in values:
        values["versions"] = parse_versions(values["versions"])
    if versions is not None:
        values["versions"] = versions
    try:
        return _CONFIG.validate_json(json.dumps(values), strict=True)
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
