"""docs/station-control.md and the table of commands say the same."""

import re
from pathlib import Path

import pytest

from ocpp_control import Verb
from ocpp_station.cli import main
from ocpp_station.commands import STATION_COMMANDS

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


def test_every_option_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["station", "--help"])
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}
    assert options == set(re.findall(r"^\| `(--[a-z]+)", TEXT, re.MULTILINE))
