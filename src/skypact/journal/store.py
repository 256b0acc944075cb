"""Where the lines of a log are kept: files by day that only grow, or memory on a simulated machine."""

import fcntl
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from skypact.core.errors import BadInputError, SkypactError

log = logging.getLogger(__name__)

SUFFIX = ".jsonl"
ASIDE_FILE = "twin.json"
_NEWLINE = b"\n"


class JournalWriteError(SkypactError):
    """A record could not be kept, and nothing of it was: the disk is full or failed."""


class LineStore(Protocol):
    """Lines in order; the line at place n is the record with sequence n, from 1."""

    @property
    def count(self) -> int:
        """How many lines are kept."""
        ...

    def append(self, lines: Sequence[bytes], now: float) -> None:
        """Keep lines durably, all or none; `now` in UTC s since 1970 chooses the day.

        Raises:
            JournalWriteError: they could not be kept.
        """
        ...

    def read(self, after: int, limit: int) -> list[bytes]:
        """At most `limit` lines from the one after place `after` on."""
        ...

    def set_aside(self, line: bytes) -> None:
        """Keep one line beside the others, as proof of what must not be; the first one stays.

        Raises:
            JournalWriteError: it could not be kept.
        """
        ...

    def close(self) -> None:
        """Let go of what the store holds open."""
        ...


def day_of(time: float) -> str:
    """The UTC day of a time in s since 1970, as YYYY-MM-DD."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def day_files(folder: Path) -> list[Path]:
    """The files of one log, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def read_file(path: Path) -> bytes:
    """The octets of a file that somebody gave us; BadInputError where it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(error.strerror or "can't be read", str(path)) from None


def split_lines(octets: bytes) -> tuple[list[bytes], int]:
    """The whole lines in the octets of a file, and how many octets of an unfinished one follow."""
    lines = octets.split(_NEWLINE)
    return lines[:-1], len(lines[-1])


@dataclass
class MemoryLines:
    """A store on a simulated machine: what was appended survives, as on a disk that was synced."""

    lines: list[bytes] = field(default_factory=list)
    aside: bytes = b""
    is_full: bool = False

    @property
    def count(self) -> int:
        """How many lines are kept."""
        return len(self.lines)

    def append(self, lines: Sequence[bytes], now: float) -> None:
        """Keep lines; JournalWriteError while the store is full."""
        if self.is_full:
            raise JournalWriteError("simulated store: No space left on device")
        self.lines.extend(lines)

    def read(self, after: int, limit: int) -> list[bytes]:
        """At most `limit` lines from the one after place `after` on."""
        return self.lines[after : after + limit]

    def set_aside(self, line: bytes) -> None:
        """Keep one line beside the others; the first one stays."""
        self.aside = self.aside or line

    def close(self) -> None:
        """Nothing is held open."""


@dataclass
class _DayFile:
    path: Path
    first: int  # place of its first line
    count: int
    ends: NDArray[np.int64] | None = None  # (count,) offset after each line; None until asked for


class DayFiles:
    """The lines of one log in a folder, a file a UTC day; one thread of one process writes, any may read.

    A line is on the disk before `append` returns. A crash in the middle of a write leaves an
    unfinished line, which nobody was told of: the next start cuts it off and says so. The day is
    that of the last file when the clock stands before it, so that the files keep the lines' order.
    """

    def __init__(self, folder: Path) -> None:
        """Open for writing.

        Raises:
            BadInputError: another process writes this log, or the folder can't be used.
        """
        self.folder = folder
        self.mended = 0  # octets of an unfinished line that were cut off at the start
        self._file = -1
        self._is_damaged = False
        try:
            make_folder(folder)
            _sync_folder(folder)  # a crash may have come after a file was made and before this
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BadInputError(error.strerror or "can't be used", str(folder)) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise BadInputError("another process writes this journal", str(folder)) from None
        self._days: list[_DayFile] = []
        first = 1
        for path in day_files(folder):
            count = path.read_bytes().count(_NEWLINE)
            self._days.append(_DayFile(path, first, count))
            first += count
        self._size = 0
        if self._days:
            self._open_last()

    @property
    def count(self) -> int:
        """How many lines are kept."""
        return self._days[-1].first + self._days[-1].count - 1 if self._days else 0

    def append(self, lines: Sequence[bytes], now: float) -> None:
        """Keep lines on the disk, all or none: written and synced when this returns.

        Raises:
            JournalWriteError: the disk is full or failed; nothing was kept.
        """
        if self._is_damaged:
            raise JournalWriteError(f"{self.folder}: closed after a write that could not be undone (restart)")
        octets = b"".join(line + _NEWLINE for line in lines)
        try:
            day = day_of(now)
            if not self._days or day > self._days[-1].path.stem:
                self._begin_day(day)
            _write_all(self._file, octets)
            os.fsync(self._file)
        except OSError as error:
            self._undo()
            raise JournalWriteError(f"{self.folder}: {error.strerror}") from None
        last = self._days[-1]
        if last.ends is not None:
            added = self._size + np.cumsum([len(line) + 1 for line in lines], dtype=np.int64)
            last.ends = np.concatenate((last.ends, added))
        last.count += len(lines)
        self._size += len(octets)

    def read(self, after: int, limit: int) -> list[bytes]:
        """At most `limit` lines from the one after place `after` on."""
        found: list[bytes] = []
        for day in self._days:
            skipped = after + len(found) + 1 - day.first
            wanted = min(limit - len(found), day.count - skipped)
            if skipped >= 0 and wanted > 0:
                found += _read_lines(day, skipped, wanted)
        return found

    def set_aside(self, line: bytes) -> None:
        """Keep one line in a file of its own; the first one stays."""
        if not (self.folder / ASIDE_FILE).exists():
            write_file(self.folder / ASIDE_FILE, line + _NEWLINE)

    def close(self) -> None:
        """Let go of the folder."""
        for file in (self._file, self._lock):
            if file >= 0:
                os.close(file)
        self._file = self._lock = -1

    def _open_last(self) -> None:
        last = self._days[-1].path
        octets = last.read_bytes()
        whole = octets.rfind(_NEWLINE) + 1
        self._size = whole
        try:
            self._file = os.open(last, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            if whole < len(octets):
                os.ftruncate(self._file, whole)
                self.mended = len(octets) - whole
                log.warning("unfinished line cut off", extra={"file": last.name, "octets": self.mended})
            # Also without a tail: a crash may have come after a write and before its sync.
            os.fsync(self._file)
        except OSError as error:
            self.close()
            raise BadInputError(error.strerror or "can't be written", str(last)) from None

    def _begin_day(self, day: str) -> None:
        path = self.folder / f"{day}{SUFFIX}"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _sync_folder(self.folder)
        except OSError:
            os.close(file)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file = file
        self._size = 0
        self._days.append(_DayFile(path, self.count + 1, 0))

    def _undo(self) -> None:
        """Cut off what a failed write left; when that fails too, nothing is written after it."""
        if self._file < 0:
            return
        try:
            os.ftruncate(self._file, self._size)
            os.fsync(self._file)
        except OSError:
            self._is_damaged = True


def write_file(path: Path, octets: bytes) -> None:
    """Write a file whole or not at all: after a crash it is the old one or the new one.

    Raises:
        JournalWriteError: it could not be written; the old one stays.
    """
    fresh = path.with_name(f".{path.name}")
    try:
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(file, octets)
            os.fsync(file)
        finally:
            os.close(file)
        fresh.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise JournalWriteError(f"{path}: {error.strerror}") from None


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, to be found after a crash."""
    if not folder.exists():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """A new name is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(file: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(file, rest) :]


def _read_lines(day: _DayFile, skipped: int, wanted: int) -> list[bytes]:
    if day.ends is None:
        octets = np.frombuffer(day.path.read_bytes(), np.uint8)
        day.ends = np.flatnonzero(octets == _NEWLINE[0])[: day.count].astype(np.int64) + 1
    begin = int(day.ends[skipped - 1]) if skipped else 0
    end = int(day.ends[skipped + wanted - 1])
    with day.path.open("rb") as file:
        file.seek(begin)
        return file.read(end - begin).split(_NEWLINE)[:-1]
