"""What all tests share: where the recordings are, and the rule that nothing is skipped without need."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("SKYPACT_TEST_DATA") or PROJECT.parent / "shared" / "data")
    if not (folder / "README.md").exists():
        pytest.skip(f"no recorded data at {folder} (set SKYPACT_TEST_DATA)")
    return folder


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """With SKYPACT_REQUIRE_ALL a skip is a failure, unless this machine can't have what the test needs."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("SKYPACT_REQUIRE_ALL") and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if "this machine has no" not in reason and "no recorded data" not in reason:
            report.outcome = "failed"
            report.longrepr = f"skipped although SKYPACT_REQUIRE_ALL is set: {reason}"
