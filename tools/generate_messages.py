"""Writes the message models of ocpp_core and the strategies that test them, from the official JSON schemas.

Usage:
    python tools/generate_messages.py           write everything
    python tools/generate_messages.py --check   write nothing; exit 1 if anything would differ
"""

import argparse
import subprocess
import sys
from pathlib import Path

from generate.models import write_version
from generate.schemas import VERSIONS, load
from generate.strategies import write_strategies

import ocpp_core

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "ocpp_core" / "messages"
STRATEGIES = ROOT / "tests" / "messages" / "strategies"


def on_disk(path: Path) -> Path:
    """Where a generated file is: in the installed package where no source tree is (the wheel under test)."""
    source = ROOT / "ocpp_core"
    if source.exists() or not path.is_relative_to(source):
        return path
    return Path(ocpp_core.__file__).parent / path.relative_to(source)


def generated() -> dict[Path, str]:
    """Every generated file with its text."""
    files: dict[Path, str] = {}
    for name in VERSIONS:
        version = load(name)
        files |= {MODELS / name / file: text for file, text in write_version(version).items()}
        files[STRATEGIES / f"{name}.py"] = write_strategies(version)
    return {path: formatted(path, text) for path, text in files.items()}


def is_there(path: Path, text: str) -> bool:
    """Whether the file has this very text."""
    return path.exists() and path.read_text("utf-8") == text


def formatted(path: Path, text: str) -> str:
    """``text`` as the project's linter sorts its imports and its formatter leaves it."""
    for arguments in (["check", "--select", "I", "--fix", "--quiet"], ["format"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", str(path), "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            raise SystemExit(f"{path}: {done.stderr}")
        text = done.stdout
    return text


def main() -> int:
    """Write or compare, and say what differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    files = generated()
    present = {MODELS / name / file.name for name in VERSIONS for file in on_disk(MODELS / name).glob("*.py")}
    stale = present - files.keys()
    changed = {path for path, text in files.items() if not is_there(on_disk(path), text)}
    for path in sorted(stale | changed):
        print(path.relative_to(ROOT), "has no source" if path in stale else "differs")
    if check:
        return 1 if stale or changed else 0
    for path in stale:
        path.unlink()
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
