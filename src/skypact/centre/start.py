"""The first seconds of a centre: loads the stages and shows how the compiler gets on."""

import contextlib
import importlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

from skypact.core.jit import on_kernel_compiled

SHOW_AFTER = 2.0  # s; a start from the cache is over by then


def load_stages(*modules: str, out: TextIO | None = None) -> float:
    """Import modules, which makes their kernels ready, with a progress line when that takes long; returns s.

    The first start ever compiles; later ones load what was kept. SIGINT and SIGTERM end it with exit code 0.
    """
    out = out or sys.stderr
    began = time.monotonic()
    count = 0
    is_shown = False

    def show(kernel: str) -> None:
        nonlocal count, is_shown
        count += 1
        if time.monotonic() - began > SHOW_AFTER:
            is_shown = True
            text = f"first start: {count} kernels ready ({kernel.removeprefix('skypact.')})"
            # On a terminal one line is written over; in a log file it would be one long line.
            if out.isatty():
                out.write(f"\r{text[:100]:<100}")
            elif count % 25 == 0:
                out.write(text + "\n")
            out.flush()

    on_kernel_compiled(show)
    with _ending_on_signals():
        for module in modules:
            importlib.import_module(module)
    took = time.monotonic() - began
    if is_shown:
        end = f"{count} kernels ready after {took:.0f} s"
        out.write(f"\r{end:<100}\n" if out.isatty() else f"{end}\n")
        out.flush()
    return took


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Whoever stops a centre that does not run yet gets what a running one would give."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        sys.exit(0)

    former = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
