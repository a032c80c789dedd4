"""docs/station-control.md and the programs say the same."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from ocpp_adapters.tls_policy import SecurityProfile
from ocpp_central.access import load_stations
from ocpp_central.cli import main as central
from ocpp_control import Verb
from ocpp_station.cli import main
from ocpp_station.commands import STATION_COMMANDS
from ocpp_station.config import load_config
from ocpp_station.networks import Defaults, NetworkSettings, plan
from ocpp_station.security import Security, load_security

TEXT = (Path(__file__).parents[2] / "docs" / "station-control.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.partition("## Commands")[2].partition("### Details")[0].splitlines()
    if line.startswith("| `")
]
DOCUMENTED = {verb: row for row in ROWS for verb in re.findall(r"`(\w+)`", row[0])}


@pytest.mark.parametrize("verb", STATION_COMMANDS, ids=lambda verb: verb.name)
def test_every_verb_is_documented_as_it_is(verb: Verb) -> None:
    _, members, effect = DOCUMENTED[verb.name]
    assert ("not there yet" in effect) is not verb.here
    if verb.here:
        listed = {name.strip() for name in members.split(",")} - {"–"}
        assert listed == {it.name + ("" if it.required else "?") for it in verb.members if it.here}
        for member in verb.members:
            assert member.here or f"`{member.name}`" in TEXT


def test_nothing_else_is_documented() -> None:
    assert set(DOCUMENTED) <= {verb.name for verb in STATION_COMMANDS}


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    return re.split(r"^##+ ", TEXT.partition(f" {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def named_in_table(title: str) -> list[str]:
    """What the first column of a section's table names."""
    rows = re.findall(r"^\| (`[^|]+) \|", section(title), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([\w-]+)[^`]*`", row)]


def options(program: object, capsys: pytest.CaptureFixture[str], *arguments: str) -> set[str]:
    """The options that a program lists."""
    with pytest.raises(SystemExit):
        program([*arguments, "--help"])  # type: ignore[operator]
    return set(re.findall(r"--[a-z-]+", capsys.readouterr().out.partition("options:")[2])) - {"--help"}


def test_every_option_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    assert options(main, capsys, "station") == set(named_in_table("Launch"))
    found = options(central, capsys)
    assert found == set(named_in_table("A central system to try it against"))


@pytest.mark.parametrize(("title", "kind"), [("Security", Security), ("Network profiles", NetworkSettings)])
def test_every_member_of_the_settings_is_documented(title: str, kind: type) -> None:
    assert sorted(named_in_table(title)) == sorted(field.name for field in fields(kind))


def example(title: str, folder: Path) -> Path:
    """A section's example as a file, and files of the names that it mentions."""
    (text,) = re.findall(r"```json\n(.*?)```", section(title), re.DOTALL)
    for name in re.findall(r'"([\w-]+\.(?:pem|key))"', text):
        (folder / name).touch()
    path = folder / "example.json"
    path.write_text(text)
    return path


def test_the_examples_are_understood(tmp_path: Path) -> None:
    security = load_security(example("Security", tmp_path))
    assert security.security_profile is SecurityProfile.TLS_CERTIFICATE
    config = load_config(example("Network profiles", tmp_path), None)
    networks = plan(config.networks, config.link, Defaults("CP1", "ws://csms.example/ocpp"))
    assert {network.profile.csms for network in networks} == {"ours"}
    assert config.station.network_attempts == 2
    path = example("A central system to try it against", tmp_path)
    for port in SecurityProfile:
        profiles = {identity: station.profile for identity, station in load_stations(path, port).items()}
        assert profiles == {"CP1": SecurityProfile.TLS_BASIC, "CP2": SecurityProfile.TLS_CERTIFICATE}
