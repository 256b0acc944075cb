"""How long the first start ever and the later ones take until every kernel is ready."""

import os
import subprocess
import sys
import tempfile
import time

from skypact.benchmarks.model import Figure

CODEC = "import skypact.asterix.decode, skypact.asterix.encode"
CENTRE = "import skypact.centre.service"
PARTNERS = "import skypact.centre.service, skypact.centre.exchange"


def run() -> list[Figure]:
    """Seconds from a new process to all kernels ready: nothing compiled yet, then from the cache."""
    figures = []
    for name, statement, cold_target, cached_target in (
        ("codec", CODEC, "at most 15 s", "at most 1.5 s"),
        ("whole centre", CENTRE, "at most 60 s", "at most 5 s"),
        ("whole centre with partners", PARTNERS, "at most 60 s", "at most 5 s"),
    ):
        with tempfile.TemporaryDirectory() as cache:
            cold = _seconds(statement, cache)
            cached = min(_seconds(statement, cache) for _ in range(3))
        bare = min(_seconds("import numba", cache) for _ in range(3))
        figures += [
            Figure(name=f"{name}, first start ever", value=cold, unit="s", target=cold_target),
            Figure(
                name=f"{name}, later start",
                value=cached,
                unit="s",
                peer="importing numba alone",
                peer_value=bare,
                ratio=bare / cached,
                target=cached_target,
            ),
        ]
    return figures


def _seconds(statement: str, cache: str) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", statement], check=True, env=os.environ | {"SKYPACT_CACHE": cache}, timeout=600
    )
    return time.perf_counter() - began
