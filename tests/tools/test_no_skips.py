"""On the build machine a skip is a failure: the rule of ``tests/conftest.py``, tried on a small suite."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent.parent / "conftest.py"
TOOLS = Path(__file__).parent.parent.parent / "tools"
SUITE = """
import pytest

def test_passes(): pass

def test_skips(): pytest.skip("no tool here")

@pytest.mark.skipif(True, reason="never here")
def test_marked(): pass

@pytest.mark.xfail(reason="known", strict=True)
def test_known(): assert False
"""
MODULE = "import pytest\npytest.skip('whole module', allow_module_level=True)\n"


def summary(folder: Path, no_skips: str, *, module: bool) -> str:
    """The last line that pytest prints for the small suite, with or without a module that skips whole."""
    folder.joinpath("conftest.py").write_text(CONFTEST.read_text())
    folder.joinpath("test_suite.py").write_text(SUITE)
    if module:
        folder.joinpath("test_module.py").write_text(MODULE)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-o",
            f"pythonpath={TOOLS}",
            "--rootdir",
            folder,
            folder,
        ],
        env={**os.environ, "OCPP_NO_SKIPS": no_skips},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("no_skips", "module", "expected"),
    [
        ("0", False, "1 passed, 2 skipped, 1 xfailed"),
        ("0", True, "1 passed, 3 skipped, 1 xfailed"),
        ("1", False, "1 failed, 1 passed, 1 xfailed, 1 error"),
        ("1", True, "1 error"),
    ],
)
def test_a_skip_is_a_failure_only_where_asked(
    tmp_path: Path, no_skips: str, module: bool, expected: str
) -> None:
    assert expected in summary(tmp_path, no_skips, module=module)
