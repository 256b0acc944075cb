"""The page's own unit tests and its type check, run with the others."""

import shutil
import subprocess

import pytest

from skypact.benchmarks.browser import WEB


def test_the_units_of_the_page_hold(page_folder):
    if shutil.which("npm") is None:
        pytest.skip("this machine has no npm")
    done = subprocess.run(
        ["npm", "--prefix", str(WEB), "run", "--silent", "test"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
