"""A centre that is stopped before it runs."""

import os
import signal
import subprocess
import sys

import pytest

STAGE = """
import time
print("compiling", flush=True)
time.sleep(60)
"""
LOAD = "from skypact.centre.start import load_stages; load_stages('slow_stage')"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_kernels_are_compiled_ends_the_centre_well(tmp_path, number):
    (tmp_path / "slow_stage.py").write_text(STAGE)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    starting = subprocess.Popen(
        [sys.executable, "-c", LOAD],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert starting.stdout is not None
    assert starting.stdout.readline() == b"compiling\n"
    starting.send_signal(number)
    _, said = starting.communicate(timeout=60)
    assert (starting.returncode, said) == (0, b"")
