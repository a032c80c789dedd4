"""The configuration file: our form is read strictly, others are named."""

import json
from pathlib import Path

import pytest

from ocpp_core import ConfigurationError, OcppVersion
from ocpp_core.station import TxPoint
from ocpp_station.config import load_config
from ocpp_station.networks import parse_versions


def write(path: Path, value: object) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_without_a_file_everything_is_as_the_standard_has_it() -> None:
    configuration = load_config(None, None)
    assert configuration.station.layout.connectors == (1,)
    assert configuration.station.versions == (OcppVersion.V21, OcppVersion.V201, OcppVersion.V16)
    assert configuration.link.ping_interval == 60.0


def test_a_file_sets_what_it_names(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.json",
        {
            "layout": [1, 2],
            "versions": ["1.6", "2.1"],
            "info": {"model": "X1"},
            "tx_start_points": ["PowerPathClosed"],
            "sample_interval": 5,
            "backoff": {"minimum": 0.5},
            "link": {"ping_interval": None},
        },
    )
    configuration = load_config(path, None)
    station = configuration.station
    assert station.layout.connectors == (1, 2)
    assert station.versions == (OcppVersion.V16, OcppVersion.V21)
    assert (station.info.model, station.info.vendor) == ("X1", "OCPP stack")
    assert station.tx_start_points == frozenset({TxPoint.POWER_PATH_CLOSED})
    assert (station.sample_interval, station.backoff.minimum) == (5, 0.5)
    assert configuration.link.ping_interval is None


def test_the_command_line_wins(tmp_path: Path) -> None:
    path = write(tmp_path / "c.json", {"versions": ["1.6"]})
    assert load_config(path, (OcppVersion.V21,)).station.versions == (OcppVersion.V21,)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "Expecting property name"),
        ("[]", "one JSON object"),
        ("[" * 100_000, "recursion"),
        ({"colour": "red"}, "colour is no setting; allowed: info, layout"),
        ({"info": {"colour": "red"}}, "info.colour is no setting; allowed: model"),
        ({"info": []}, "info: an object is expected"),
        ({"backoff": {"colour": 1}}, "backoff.colour"),
        ({"link": {"colour": 1}}, "link.colour"),
        ({"link": {"pong_timeout": "x"}}, "pong_timeout: Input should be a valid number"),
        ({"sample_interval": "5"}, "sample_interval: Input should be a valid number"),
        ({"attempts": 0}, "attempts: at least 1"),
        ({"layout": [0]}, "at least one connector"),
        ({"versions": ["1.5"]}, "versions must be of 1.6, 2.0.1, 2.1"),
        ({"versions": [["1.6"]]}, "versions must be of"),
        ({"Internal": {}, "Core": {}}, "libocpp's 1.6 form"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, value: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load_config(write(tmp_path / "c.json", value), None)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="directory form"):
        load_config(tmp_path, None)
    with pytest.raises(ConfigurationError, match="No such file"):
        load_config(tmp_path / "nowhere", None)


def test_versions_are_listed_in_order() -> None:
    assert parse_versions(["2.0.1", "1.6"]) == (OcppVersion.V201, OcppVersion.V16)
    assert parse_versions("2.1") == (OcppVersion.V21,)
