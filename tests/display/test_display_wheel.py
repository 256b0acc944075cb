"""Behaviour U25: the wheel, installed where there is no Node, serves page, worker and fonts."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

# Runs in the new environment: each file of the page is asked for over HTTP.
ASK = """
import re, shutil, sys, urllib.request
import skypact
from skypact.core.geodesy import Geodetic
from skypact.benchmarks.scene import served
from skypact.display.hub import DisplayHub
from skypact.display.model import CentreInfo
from skypact.display.server import STATIC

assert shutil.which("node") is None and shutil.which("npm") is None
assert skypact.__file__.startswith(sys.prefix), skypact.__file__
with served(DisplayHub(), CentreInfo("Alpha", Geodetic(0.0, 0.0, 0.0))) as url:
    names = ["", "LICENSES.txt"] + [f"assets/{path.name}" for path in sorted((STATIC / "assets").iterdir())]
    for name in names:
        with urllib.request.urlopen(f"{url}/{name}") as answer:
            print(answer.status, answer.headers.get_content_type(), name or "index.html")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory, page_folder):
    """Python of an empty environment that holds nothing but the wheel, which was built from the sdist."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(PROJECT),
    ]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        assert any(name.endswith("/src/skypact/static/index.html") for name in packed.getnames())
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, timeout=300)
    return python


def test_the_wheel_serves_the_page_where_there_is_no_node(installed, tmp_path):
    # The dependencies come from this environment; skypact itself only from the wheel, because the
    # path file of an editable install has no effect on PYTHONPATH.
    environment = {
        "PATH": "/nonexistent",
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(tmp_path)),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [str(installed), "-c", ASK],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    served = [line.split(" ", 2) for line in done.stdout.splitlines()]
    assert all(status == "200" for status, _, _ in served)
    kinds = {
        ".html": "text/html",
        ".js": "text/javascript",
        ".css": "text/css",
        ".json": "application/json",
        ".woff2": "font/woff2",
        ".woff": "font/woff",
        ".txt": "text/plain",
    }
    for _, kind, name in served:
        assert kind == kinds[Path(name).suffix], name
    names = [name for _, _, name in served]
    for wanted in ("maplibre-gl-worker", "b612-mono", "countries-50m", "milsymbol"):
        assert any(wanted in name for name in names), wanted
