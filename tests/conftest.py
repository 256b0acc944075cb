"""What all tests share: where the recordings are, and the rule that nothing is skipped without need."""

import importlib.util
import os
import shutil
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


@pytest.fixture(scope="session")
def page_folder() -> Path:
    """The built web page; built now if its sources changed since."""
    described = importlib.util.spec_from_file_location("hatch_build", PROJECT / "hatch_build.py")
    assert described is not None and described.loader is not None
    hatch_build = importlib.util.module_from_spec(described)
    described.loader.exec_module(hatch_build)
    static = PROJECT / "src" / "skypact" / "static"
    if not hatch_build.is_built(static, hatch_build.source_hash(PROJECT / "web")):
        if shutil.which("npm") is None:
            pytest.skip("this machine has no npm to build the page with")
        hatch_build.ensure_page(PROJECT)
    return static


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
