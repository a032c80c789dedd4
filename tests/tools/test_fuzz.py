"""The fuzz runner finds every target with its corpora, and tells a broken one from a sound one."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parent.parent.parent / "tools" / "fuzz.py"
SOUND = "print('stat::number_of_executed_units: 12')"
BROKEN = "import sys; sys.exit(77)"


@pytest.fixture
def fuzz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool, over a folder with three targets."""
    spec = importlib.util.spec_from_file_location("fuzz_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FUZZ", tmp_path)
    for name, text in {"bytes": SOUND, "frames": SOUND, "keys": BROKEN}.items():
        tmp_path.joinpath(f"fuzz_{name}.py").write_text(text)
    for corpus in ("bytes", "frames_1.6", "frames_2.1", "keys"):
        tmp_path.joinpath("corpus", corpus).mkdir(parents=True)
    return module


def test_a_target_runs_once_per_corpus(fuzz: ModuleType) -> None:
    assert {name: command[2:] for name, command in fuzz.targets().items()} == {
        "bytes": [],
        "frames_1.6": ["1.6"],
        "frames_2.1": ["2.1"],
        "keys": [],
    }


def test_a_target_without_a_corpus_is_not_passed_over(fuzz: ModuleType) -> None:
    (fuzz.FUZZ / "fuzz_forgotten.py").write_text(SOUND)
    with pytest.raises(SystemExit, match="forgotten"):
        fuzz.targets()


def test_a_broken_target_fails_the_run(fuzz: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    targets = fuzz.targets()
    assert fuzz.run("bytes", targets["bytes"], 1, 0)
    assert not fuzz.run("keys", targets["keys"], 1, 0)
    assert capsys.readouterr().out.splitlines()[:2] == ["bytes: fine, 12 inputs", "keys: BROKEN, no inputs"]
