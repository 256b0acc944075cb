"""What all tests share: where the recordings are, and a compiler cache that stays out of the user's."""

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
