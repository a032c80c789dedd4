"""The examples of docs/messages.md run."""

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "messages.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_runs(example: str) -> None:
    exec(compile(example, GUIDE.name, "exec"), {})


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3
