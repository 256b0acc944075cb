"""Builds the web page into the package when wheel, sdist or editable install are made.

The page in `src/skypact/static` carries a hash of the sources in `web/` that it was built from: as long
as that fits nothing is done, so an sdist, which holds both, needs no Node.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NO_PAGE_WANTED = "SKYPACT_NO_UI"
_HASH_FILE = ".srchash"
_NOT_SOURCES = {"node_modules", ".vite"}


class PageBuildHook(BuildHookInterface):
    """Makes sure that the page is built before the package is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page if it is missing or of other sources."""
        if os.environ.get(NO_PAGE_WANTED) != "1":
            ensure_page(Path(self.root))


def ensure_page(root: Path) -> None:
    """Build `root/web` into the package in `root/src`, unless the page there is of the same sources.

    Raises:
        RuntimeError: there is no npm, or the build failed.
    """
    web, static = root / "web", root / "src" / "skypact" / "static"
    wanted = source_hash(web)
    if is_built(static, wanted):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            "the web page must be built and npm is not on the PATH: install Node 20 or newer, "
            f"or set {NO_PAGE_WANTED}=1 to install without the page"
        )
    for step in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        done = subprocess.run([npm, "--prefix", str(web), *step], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"npm {' '.join(step)} failed in {web}:\n{done.stdout}{done.stderr}")
    (static / _HASH_FILE).write_text(wanted)


def is_built(static: Path, wanted: str) -> bool:
    """Whether the page in `static` was built from sources with the hash `wanted`."""
    built = static / _HASH_FILE
    return (static / "index.html").exists() and built.exists() and built.read_text() == wanted


def source_hash(web: Path) -> str:
    """Of the names and contents of all sources of the page."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(web):
        folders[:] = sorted(set(folders) - _NOT_SOURCES)
        for name in sorted(files):
            path = Path(folder) / name
            content = path.read_bytes()
            digest.update(f"{path.relative_to(web).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()
