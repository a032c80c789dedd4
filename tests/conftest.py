"""Shared set-up of the suite: Hypothesis profiles, requirement ids, and on the build machine no skipping."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from requirements.recorder import Recorder

settings.register_profile(
    "default", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

MEASURED = frozenset({"wire", "rpc", "messages", "csms", "station", "purity", "tools"})
"""The folders whose tests have to cover the core; to measure the others, too, would only take time."""
NO_SKIPS = os.environ.get("OCPP_NO_SKIPS", "0") == "1"


def pytest_configure(config: pytest.Config) -> None:
    """Check the requirement ids in markers; OCPP_REQUIREMENTS names the file that says which were proven."""
    path = os.environ.get("OCPP_REQUIREMENTS")
    config.pluginmanager.register(Recorder(Path(path) if path else None), "requirements")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Stop what pytest-cov began on a worker before it knew that it is one.

    It begins to measure once more as a worker, and what was there first would go on unread, in the tests that
    are not to be measured too: the suite took twice as long.
    """
    plugin = session.config.pluginmanager.getplugin("_cov")
    if plugin is not None and hasattr(session.config, "workerinput"):
        plugin.cov_controller.cov.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure coverage where it is the tests' business (the marker is pytest-cov's)."""
    for item in items:
        if not MEASURED.intersection(item.path.parts):
            item.add_marker(pytest.mark.no_cover)


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure that names its reason (an expected failure is no skip)."""
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"OCPP_NO_SKIPS=1, and yet: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test may skip for want of a system package, but not where everything must run."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for modules that skip as a whole."""
    report = yield
    _refuse_skip(report)
    return report
