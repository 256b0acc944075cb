"""The mark `counts` of conftest.py: what `make test` samples, what `make soak` runs, and what is printed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.mark.counts("spins", sample=20, soak=5_000)
@pytest.mark.parametrize("side", ["left", "right"])
def test_spin(side, count):
    assert count in (20, 5_000)

@pytest.mark.counts("hours of spinning", sample=0.5, soak=24)
def test_spin_long(count):
    pass

@pytest.mark.counts("falls", sample=1, soak=2)
def test_fall(count):
    assert not count
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    soak\n    counts\n")
    (tmp_path / "test_spins.py").write_text(TESTS)
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)

    def run(chosen):
        command = [sys.executable, "-m", "pytest", "-q", "-m", chosen]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        return ended.stdout.splitlines()

    return run


def test_a_sample_of_each_count_is_run_and_both_numbers_of_what_passed_are_printed(run):
    said = run("not soak")
    assert {"spins: 40 of 10,000", "hours of spinning: 0.5 of 24"} <= set(said)
    assert not any(line.startswith("falls") for line in said)
    assert "1 failed, 3 passed, 4 deselected" in said[-1]


def test_soak_runs_all_of_each_count(run):
    assert {"spins: 10,000 of 10,000", "hours of spinning: 24 of 24"} <= set(run("soak"))
