"""What all tests share: recordings, samples of what `make soak` runs in full, and no needless skip."""

import importlib.util
import os
import shutil
from collections import Counter
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


def pytest_generate_tests(metafunc: pytest.Metafunc):
    """A test marked `counts` is two: `count` is its sample in `make test`, and all of it in `make soak`."""
    if mark := metafunc.definition.get_closest_marker("counts"):
        sample, soak = mark.kwargs["sample"], mark.kwargs["soak"]
        whole = pytest.param(soak, id="soak", marks=pytest.mark.soak)
        metafunc.parametrize("count", [pytest.param(sample, id="sample"), whole])


def pytest_runtest_setup(item: pytest.Item):
    if mark := item.get_closest_marker("counts"):
        item.user_properties.append(
            ("counts", (mark.args[0], item.callspec.params["count"], mark.kwargs["soak"]))
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter):
    """Say of everything counted how much of it the tests that passed have run."""
    done, whole = Counter(), Counter()
    for report in terminalreporter.stats.get("passed", []):
        for what, count, soak in (value for name, value in report.user_properties if name == "counts"):
            done[what] += count
            whole[what] += soak
    if done:
        terminalreporter.section("sampled; make soak runs all")
        for what in sorted(done):
            terminalreporter.write_line(f"{what}: {done[what]:,} of {whole[what]:,}")


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
