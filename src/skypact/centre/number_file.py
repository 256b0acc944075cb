"""Remembers when each of a centre's track numbers was used last, so that a restart gives out none that rests.

The file is written every few seconds beside the tracker, whole, and put in place at once. What was
given between the last writing and a crash is not in it; so it also names as used the numbers that would
be given next, and is written early when half of those are gone.
"""

import logging
import os
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from skypact.core.arrays import Floats1

log = logging.getLogger(__name__)

FILE = "numbers.json"  # in a centre's data folder
NUMBERS = 32_767
PERIOD = 2.0  # s between two writings
REST = 600.0  # s; what was last used before rests no longer and is not written
AHEAD = 4096  # numbers that a crash may have seen given since the last writing
_VERSION = 1


class _Content(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    version: int
    number: list[Annotated[int, Meta(ge=1, le=NUMBERS)]]
    used: list[float]  # when each was used last, UTC s since 1970


class NumberFile:
    """What is known of the numbers of the former run, and what the next one has to know of this."""

    def __init__(self, path: Path, now: float, executor: Executor | None = None) -> None:
        """Read the file.

        Args:
            path: of the file; where there is none, no number was used yet.
            now: UTC s since 1970; a use that is told of later times counts as one at this.
            executor: writes the file; without one `note` does so itself.
        """
        self._path = path
        self._executor = executor
        self._writing: Future[None] | None = None
        self._written = -np.inf
        self._ahead = np.zeros(0, np.intp)  # numbers that the last writing names as used and were not
        self.last_used = _read(path, now)  # (32768,) by number, UTC s since 1970; -inf for never

    def note(self, last_used: Floats1, now: float) -> None:
        """Keep when each number was used last, (32768,) UTC s since 1970, if it is time for that."""
        gone = np.count_nonzero(last_used[self._ahead] > self._written)
        if now < self._written + PERIOD and gone <= AHEAD // 2:
            return
        if self._writing is not None and not self._writing.done():
            return
        self._written = now
        told = np.where(last_used > now - REST, last_used, -np.inf)
        free = np.argsort(np.where(np.isneginf(told), last_used, np.inf)[1:], kind="stable")[:AHEAD] + 1
        self._ahead = free[np.isneginf(told[free])]
        told[self._ahead] = now
        if self._executor is None:
            self._write(told)
        else:
            self._writing = self._executor.submit(self._write, told)

    def close(self, last_used: Floats1, now: float) -> None:
        """Keep what is exactly so at the end of a run."""
        if self._writing is not None:
            self._writing.result()
        self._write(np.where(last_used > now - REST, last_used, -np.inf))

    def _write(self, last_used: Floats1) -> None:
        number = np.flatnonzero(last_used > -np.inf)
        number = number[number > 0]
        content = _Content(version=_VERSION, number=number.tolist(), used=last_used[number].tolist())
        written = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with written.open("wb") as file:
                file.write(msgspec.json.encode(content))
                file.flush()
                os.fsync(file.fileno())
            written.replace(self._path)
        except OSError as error:
            # The picture goes on; the next writing may find room again.
            log.error("track numbers not kept", extra={"file": str(self._path), "error": str(error)})


def _read(path: Path, now: float) -> Floats1:
    last_used = np.full(NUMBERS + 1, -np.inf)
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_Content)
        if content.version != _VERSION or len(content.number) != len(content.used):
            raise msgspec.ValidationError(f"version {content.version}, columns of other lengths")
    except FileNotFoundError:
        return last_used
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        # Which numbers rest is not known: begin far from where the former run is likely to have been.
        log.error("track numbers of the former run unknown", extra={"file": str(path), "error": str(error)})
        order = (np.arange(NUMBERS) - int(now)) % NUMBERS
        last_used[1:] = now - 1e9 + order
        return last_used
    last_used[content.number] = np.minimum(content.used, now)
    return last_used
