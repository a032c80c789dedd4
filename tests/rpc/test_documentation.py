"""What docs/rpc.md shows runs, and its defaults are the defaults."""

import re
from pathlib import Path

import pytest

from ocpp_core.rpc import RpcConfig

TEXT = (Path(__file__).parents[2] / "docs" / "rpc.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_examples_run(code):
    exec(code, {})


@pytest.mark.parametrize("name", ["max_frame_size", "queue_limit", "unanswered_limit", "answer_cache"])
def test_limits(name):
    (row,) = re.findall(rf"\| `{name}`[^|]*\| ([0-9,]+) \|", TEXT)
    assert int(row.replace(",", "")) == getattr(RpcConfig(), name)
