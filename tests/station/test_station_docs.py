"""docs/station.md names every input and action there is, and its example runs."""

import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

from ocpp_core.station import Station, StationAction

TEXT = (Path(__file__).parents[2] / "docs" / "station.md").read_text(encoding="utf-8")


def test_the_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(code, {})


@pytest.mark.parametrize("name", [name for name in vars(Station) if not name.startswith("_")])
def test_every_input_is_there(name: str) -> None:
    parameters = list(inspect.signature(getattr(Station, name)).parameters)[1:]
    written = re.findall(rf"`{name}(?:\((.*?)\))?`", TEXT.split("## Inputs")[1])
    assert written
    assert {it for it in written if it} <= {", ".join(parameters)}


@pytest.mark.parametrize("action", get_args(StationAction))
def test_every_action_is_there(action: type) -> None:
    assert re.search(rf"`{action.__name__}[`(]", TEXT.split("## Actions")[1])
