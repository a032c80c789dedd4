"""docs/station.md names every input and action there is, and its example runs."""

import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from ocpp_core.station import CallSucceeded, RequestReceived, Station, StationAction

from .bench import V201, Bench

TEXT = (Path(__file__).parents[2] / "docs" / "station.md").read_text(encoding="utf-8")


def test_the_examples_run() -> None:
    alone, software = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(alone, {})
    bench = Bench(V201, requests=frozenset({"DataTransfer"}))
    names: dict[str, Any] = {"station": bench.station}
    bench.ignores.add("DataTransfer")
    exec(software, names)
    bench.drain()
    bench.answer(bench.calls("DataTransfer")[-1], {"status": "Accepted"})
    bench.ask("DataTransfer", {"vendorId": "com.example"})
    (asked,) = bench.done(RequestReceived)
    names["observe"](asked)
    bench.drain()
    assert bench.answers[-1] == [3, asked.call_id, {"status": "Accepted"}]
    (succeeded,) = bench.done(CallSucceeded)
    assert succeeded.call_id == names["call_id"]


@pytest.mark.parametrize("name", [name for name in vars(Station) if not name.startswith("_")])
def test_every_input_is_there(name: str) -> None:
    parameters = list(inspect.signature(getattr(Station, name)).parameters)[1:]
    written = re.findall(rf"`{name}(?:\((.*?)\))?`", TEXT.split("## Inputs")[1])
    assert written
    assert {it for it in written if it} <= {", ".join(parameters)}


@pytest.mark.parametrize("action", get_args(StationAction))
def test_every_action_is_there(action: type) -> None:
    assert re.search(rf"`{action.__name__}[`(]", TEXT.split("## Actions")[1])
