"""Which requirements a run proved: the lists, what a marker means, what is recorded, what is reported."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from requirements.lists import VERSIONS, Names, Requirement, all_requirements
from requirements.report import weigh, write

CONFTEST = Path(__file__).parent.parent / "conftest.py"
TOOLS = Path(__file__).parent.parent.parent / "tools"
LISTED = all_requirements()
NAMES = Names(LISTED)


def small(
    version: str, name: str = "E02.FR.05", level: str = "SHALL", *, changed: bool = False
) -> Requirement:
    return Requirement(version, name, name[:3], "station" if level else "", level, changed)


# the lists


def test_the_lists_name_everything_once_and_say_who_must_do_what() -> None:
    assert max(Counter((each.version, each.id) for each in LISTED).values()) == 1
    assert {each.version for each in LISTED} == set(VERSIONS)
    for each in LISTED:
        if each.is_section:
            assert each.actor == ""
        else:
            assert re.fullmatch(r"([A-S]\d\d\.)?FR\.\d+|V2X\.\d\d", each.id)
            assert each.actor in ("station", "CSMS", "both", "other")
            assert each.level in ("SHALL", "SHOULD", "MAY", "statement")
            assert each.block in ("General", "V2X", *"ABCDEFGHIJKLMNOPQRS")


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("E02.FR.05", ["2.0.1", "2.1"]),
        ("2.1-E02.FR.05", ["2.1"]),
        ("FR.01", ["2.0.1", "2.1"]),
        ("1.6-A00.FR.309", ["1.6"]),
        ("1.6-4.2", ["1.6"]),
        ("1.6-J-4.1.1", ["1.6"]),
        ("1.6-errata-3.18", ["1.6"]),
        ("2.1-J-4.2.4", ["2.1"]),
        ("A02.FR.28", ["2.0.1", "2.1"]),  # the errata brought it to 2.0.1
        ("B10.FR.10", ["2.0.1", "2.1"]),
        ("RFC6455-5.5.1", []),
        ("TC_B_58_CSMS", []),
    ],
)
def test_what_may_stand_in_a_marker(name: str, versions: list[str]) -> None:
    assert NAMES.knows(name)
    assert [each.version for each in NAMES.meant_by(name)] == versions


@pytest.mark.parametrize(
    "name",
    [
        "E02.FR.5",
        "E99.FR.01",
        "2.0.1-S01.FR.01",
        "1.6-E02.FR.05",
        "1.6-4.11",
        "4.2",
        "RFC6455",
        "rfc6455-5",
        7,
    ],
)
def test_what_may_not(name: object) -> None:
    assert not NAMES.knows(name)


def test_what_the_errata_withdrew_is_not_listed() -> None:
    assert not NAMES.knows("A00.FR.003")
    assert NAMES.knows("1.6-A00.FR.003")


# what proves what


@pytest.mark.parametrize(
    ("name", "run", "changed", "proven"),
    [
        ("E02.FR.05", "2.0.1", False, ["2.0.1"]),
        ("E02.FR.05", "2.1", True, ["2.1"]),
        ("E02.FR.05", "1.6", False, []),
        ("E02.FR.05", "", False, ["2.0.1", "2.1"]),
        ("E02.FR.05", "", True, []),  # which of the two is meant?
        ("2.1-E02.FR.05", "", True, ["2.1"]),
        ("2.1-E02.FR.05", "2.0.1", False, []),
    ],
)
def test_a_run_proves_the_requirement_of_its_version(
    name: str, run: str, changed: bool, proven: list[str]
) -> None:
    listed = [small("2.0.1", changed=changed), small("2.1", changed=changed)]
    proof = weigh({name: {run: {"tests/x.py::test_y": True}}}, listed)
    assert [each.version for each in listed if each in proof.tests] == proven
    assert proof.unclear == ([name] if run == "" and not proven else [])


def test_a_name_that_a_list_no_longer_has_is_nothing() -> None:
    proof = weigh({"E99.FR.99": {"": {"tests/x.py::test_y": True}}}, LISTED)
    assert (proof.tests, proof.references, proof.unclear) == ({}, {}, [])


def test_what_failed_proves_nothing() -> None:
    listed = [small("2.1")]
    record = {"E02.FR.05": {"2.1": {"tests/a.py::test_bad": False, "tests/b.py::test_good": True}}}
    assert weigh(record, listed).tests == {listed[0]: ["b.py::test_good"]}
    assert weigh({"E02.FR.05": {"2.1": {"tests/a.py::test_bad": False}}}, listed).tests == {}


def test_the_report_shows_what_is_proven_what_is_blank_and_how_much_that_is() -> None:
    listed = [small("2.0.1"), small("2.1"), small("2.1", "E02.FR.10"), small("1.6", "4.2", "")]
    listed += [small("1.6", "A00.FR.001", "SHOULD")]
    record = {
        "E02.FR.05": {"2.1": {"tests/b.py::test_y": True, "tests/a.py::test_x": True}},
        "1.6-4.2": {"": {"tests/a.py::test_x": True}},
        "RFC1-2": {"": {"tests/a.py::test_x": True}},
    }
    text = write(record, listed)
    assert "| E02.FR.05 | station SHALL | 2.1 (blank: 2.0.1) | `a.py::test_x`<br>`b.py::test_y` |" in text
    assert "Blank: station SHALL: E02.FR.10 (2.1)." in text
    assert "| 2.1 | station | 1 / 2 | – | – | – | 1 / 2 |" in text
    assert "| 2.0.1 | **all** | 0 / 1 | – | – | – | 0 / 1 |" in text
    assert "| E Transactions | 0 / 1 | 1 / 2 |" in text
    assert "| 4.2 |  | 1.6 | `a.py::test_x` |" in text
    assert "Blank: station SHOULD: A00.FR.001." in text
    assert "| RFC1-2 | `a.py::test_x` |" in text
    backwards = {name: dict(reversed(runs.items())) for name, runs in reversed(record.items())}
    assert write(backwards, listed) == text


def test_the_report_sorts_as_people_count() -> None:
    listed = [small("1.6", name, "") for name in ("4.10", "4.9", "4.9.1")]
    record = {f"1.6-{each.id}": {"": {"tests/a.py::test_x": True}} for each in listed}
    text = write(record, [Requirement(e.version, e.id, "Chapter 4", "", "", False) for e in listed])
    assert re.findall(r"^\| (\S+) \|  \|", text, re.MULTILINE) == ["4.9", "4.9.1", "4.10"]


def test_the_blank_report_names_every_requirement() -> None:
    text = write({}, LISTED)
    assert not re.search(r"\b[1-9]\d* / ", text)
    assert {each.id for each in LISTED} <= set(re.split(r"[ ,;]+|\.\n", text))


# the recorder

SUITE = """
import enum, pytest
requirement = pytest.mark.requirement
class Version(enum.StrEnum):
    OLD = "ocpp1.6"
    NEW = "ocpp2.1"

@requirement("E02.FR.05", "RFC6455-5.2")
@pytest.mark.parametrize("version", Version)
def test_of_versions(version): assert version is Version.NEW

@requirement("E02.FR.06")
@pytest.mark.parametrize("number", [1, 2])
def test_of_none(number): pass

@requirement("E02.FR.07")
@pytest.mark.parametrize("number", [1, 2])
def test_half(number): assert number == 1

@requirement("E02.FR.08")
def test_skipped(): pytest.skip("not here")

@requirement("E02.FR.09")
@pytest.mark.xfail(reason="known", strict=True)
def test_known(): assert False

@pytest.fixture
def broken(): yield; raise RuntimeError

@requirement("E02.FR.10")
def test_torn_down(broken): pass

@requirement("E02.FR.1")
@pytest.mark.skip(reason="whatever")
def test_typo(): pass
"""


@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["alone", "with a worker"])
def test_what_a_run_writes_down(tmp_path: Path, workers: list[str]) -> None:
    tmp_path.joinpath("conftest.py").write_text(CONFTEST.read_text())
    tmp_path.joinpath("test_suite.py").write_text(SUITE)
    tmp_path.joinpath("pytest.ini").write_text(f"[pytest]\npythonpath={TOOLS}\nmarkers = requirement(*ids)\n")
    record = tmp_path / "record.json"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers, tmp_path],
        env={**os.environ, "OCPP_REQUIREMENTS": str(record), "OCPP_NO_SKIPS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no such requirement: E02.FR.1 " in done.stdout
    assert done.returncode == 1
    name = "test_suite.py::test_"
    by_version = {"1.6": {f"{name}of_versions": False}, "2.1": {f"{name}of_versions": True}}
    assert json.loads(record.read_text()) == {
        "E02.FR.05": by_version,
        "E02.FR.06": {"": {f"{name}of_none": True}},
        "E02.FR.07": {"": {f"{name}half": False}},
        "E02.FR.10": {"": {f"{name}torn_down": False}},
        "RFC6455-5.2": by_version,
    }
    report = tmp_path / "report.md"
    subprocess.run(
        [sys.executable, "-m", "requirements", record, report],
        env={**os.environ, "PYTHONPATH": str(TOOLS)},
        check=True,
    )
    assert f"| E02.FR.06 | station SHALL | 2.0.1, 2.1 | `{name}of_none` |" in report.read_text()
