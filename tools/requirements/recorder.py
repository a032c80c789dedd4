"""A pytest plugin: refuses markers that name no requirement, and writes down which of the rest were proven.

The record is JSON: name in the marker -> version that the test was run for ("" for none in particular) ->
test -> whether all its runs passed. A run that was skipped, or failed as expected, is not in it.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from .lists import VERSIONS, Names, all_requirements

Record = dict[str, dict[str, dict[str, bool]]]
PROPERTY = "requirements"


def versions_of(item: pytest.Item) -> list[str]:
    """The OCPP versions among a test's parameters, as numbers or subprotocols; ``[""]`` if there are none."""
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params.values() if callspec is not None else ()
    texts = {value.removeprefix("ocpp") for value in parameters if isinstance(value, str)}
    return [version for version in VERSIONS if version in texts] or [""]


class Recorder:
    """Records the session it is registered with; ``path`` is where the record goes (None: nowhere)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._names = Names(all_requirements())
        self.record: Record = defaultdict(lambda: defaultdict(dict))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Fail a test whose marker names what does not exist, before a skip can hide it."""
        names = {name for marker in item.iter_markers("requirement") for name in marker.args}
        unknown = sorted(str(name) for name in names if not self._names.knows(name))
        if unknown:
            pytest.fail(f"no such requirement: {', '.join(unknown)} (tools/requirements)", pytrace=False)
        if names:
            # A report's properties travel from pytest-xdist's workers to where the record is written.
            item.user_properties.append((PROPERTY, [sorted(names), versions_of(item)]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write down one run of one test."""
        if report.skipped or (report.passed and report.when != "call"):
            return
        test = report.nodeid.partition("[")[0]
        for names, versions in _marked(report):
            for name in names:
                for version in versions:
                    tests = self.record[name][version]
                    tests[test] = tests.get(test, True) and report.passed

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the record, unless this is a worker that has only a part of it."""
        if self._path is not None and not hasattr(session.config, "workerinput"):
            self._path.write_text(json.dumps(self.record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _marked(report: pytest.TestReport) -> list[Any]:
    return [value for key, value in report.user_properties if key == PROPERTY]
