"""The `decode` command: what ASTERIX recordings hold, told to people, as JSON, Parquet or JSON lines."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console, Group
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from skypact.asterix.decode import EditionChoice, source_name
from skypact.asterix.lines import iterate_records
from skypact.asterix.model import ErrorCount
from skypact.asterix.tables import editions
from skypact.centre.reading import files_of, reading_bar
from skypact.centre.recordings import DecodedRecording, inferred_sensor_table, read_asterix, recorded_plots
from skypact.core.errors import BadInputError
from skypact.plots.parquet import write_plots
from skypact.plots.times import TimeResolver, source_of

_LINES_A_STEP = 1_000  # records printed between two moves of the progress bar


class FileSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What one recording holds; times are UTC s since 1970, categories have three digits."""

    path: str
    framing: str
    blocks: int
    records: dict[str, int]  # by category
    sources: dict[str, int]  # by SAC/SIC, "?" for records that name none
    skipped: dict[str, int]  # blocks of categories and editions without a table
    errors: dict[str, int]  # by kind
    time_first: float | None
    time_last: float | None


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """What the command was asked for."""

    paths: list[Path]
    choice: EditionChoice = field(default_factory=dict)
    first_day: float | None = None  # UTC s since 1970; None: not told
    as_json: bool = False
    as_lines: bool = False
    wants_summary: bool = False
    out: Path | None = None
    plots: Path | None = None


def parse_editions(texts: list[str]) -> EditionChoice:
    """Editions by source from texts such as `0/5=021:0.26`.

    Raises:
        BadInputError: a text of another form, or an edition without a table.
    """
    choice: dict[tuple[int, int], dict[int, str]] = {}
    for text in texts:
        source, _, category_edition = text.partition("=")
        sac, _, sic = source.partition("/")
        category, _, edition = category_edition.partition(":")
        if not (sac.isdecimal() and sic.isdecimal() and category.isdecimal() and edition):
            raise BadInputError(f"{text!r} is not SAC/SIC=CAT:EDITION", "--edition", "as in 0/5=021:0.26")
        if max(int(sac), int(sic)) > 255:
            raise BadInputError(f"SAC and SIC of {text!r} are 0 to 255", "--edition")
        known = editions(int(category))
        if edition not in known:
            advice = f"known: {', '.join(known)}" if known else "the category has no table"
            raise BadInputError(f"no table for CAT{int(category):03d} edition {edition}", "--edition", advice)
        choice.setdefault((int(sac), int(sic)), {})[int(category)] = edition
    return choice


def decode_command(request: DecodeRequest, console: Console, notes: Console) -> int:
    """Decode the recordings and tell what was asked for; the exit code.

    Args:
        request: what to do. console: standard output. notes: standard error.

    Raises:
        BadInputError: wishes that exclude each other, or nothing to make plots of.
    """
    if request.as_json and request.as_lines:
        raise BadInputError("both take standard output", "--json and --lines", "choose one")
    recordings: list[DecodedRecording] = []
    code = 0
    folder_of: dict[Path, Path] = {}  # of the files that were found in one
    files: list[Path] = []
    for path in request.paths:
        try:
            found = files_of(path)
        except BadInputError as error:
            _tell_refusal(notes, str(error))
            code = 2
            continue
        files += found
        if path.is_dir():
            folder_of |= dict.fromkeys(found, path)
    no_recordings: dict[Path, list[Path]] = {}  # by folder
    with reading_bar(files, notes) as bar:
        for file in bar:
            try:
                recordings.append(read_asterix(file, request.choice, request.first_day or 0.0))
            except BadInputError as error:
                code = 2
                if file in folder_of:
                    no_recordings.setdefault(folder_of[file], []).append(file)
                else:
                    _tell_refusal(notes, str(error))
    for folder, others in no_recordings.items():
        names = ", ".join(str(file.relative_to(folder)) for file in others)
        _tell_refusal(notes, f"{folder}: {_count(len(others), 'file')} without a framing of ASTERIX: {names}")
    if request.first_day is None and any(not recorded.is_dated for recorded in recordings):
        notes.print("times count from 1970-01-01, as a file tells no date (give --date)", soft_wrap=True)
    summaries = [summarise(recorded) for recorded in recordings]
    if request.out is not None:
        from skypact.centre.columns import write_categories

        for written in write_categories(recordings, request.out):
            notes.print(f"wrote {written}", soft_wrap=True)
    if request.plots is not None and recordings:
        _write_plots(recordings, request.plots, notes)
    if request.as_json:
        print(msgspec.json.encode({"files": summaries}).decode())
    elif not request.as_lines or request.wants_summary:
        target = notes if request.as_lines else console
        for recorded, summary in zip(recordings, summaries, strict=True):
            target.print(describe(recorded, summary))
    if request.as_lines:
        _print_lines(recordings, notes)
    has_errors = any(summary.errors for summary in summaries)
    return code or int(has_errors)


def _tell_refusal(notes: Console, words: str) -> None:
    notes.print(f"skypact: {words}", style="red", markup=False, soft_wrap=True)


def _print_lines(recordings: list[DecodedRecording], notes: Console) -> None:
    total = sum(len(columns) for recorded in recordings for columns in recorded.decoded.records)
    try:
        with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
            task = progress.add_task("records", total=total)
            for recorded in recordings:
                for number, line in enumerate(record_lines(recorded)):
                    print(line)
                    if number % _LINES_A_STEP == 0:
                        progress.advance(task, _LINES_A_STEP)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough; what Python flushes at its end must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_plots(recordings: list[DecodedRecording], path: Path, notes: Console) -> None:
    sensors = inferred_sensor_table(recordings)
    plots, filtered = recorded_plots(recordings, sensors)
    try:
        write_plots(path, plots, sensors)
    except OSError as error:
        raise BadInputError(error.strerror or "can't be written", str(path)) from None
    notes.print(f"wrote {path}: {len(plots):,} plots of {_count(len(sensors), 'sensor')}", soft_wrap=True)
    for reason, count in _by_reason(filtered).items():
        notes.print(f"  no plot: {count:,} {reason}", soft_wrap=True)


def _by_reason(filtered: Counter[tuple[str, str]]) -> dict[str, int]:
    reasons: Counter[str] = Counter()
    for (_, reason), count in filtered.items():
        reasons[reason] += count
    return dict(reasons.most_common())


def summarise(recorded: DecodedRecording) -> FileSummary:
    """Counts and times of a recording."""
    decoded = recorded.decoded
    records: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    for columns in decoded.records:
        records[f"{columns.category:03d}"] += len(columns)
        numbers, counts = np.unique(source_of(columns), return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            sources[source_name(number)] += count
    errors: Counter[str] = Counter()
    for kind, _, error in _errors(recorded):
        errors[kind] += error.count
    first, last = time_span(recorded)
    return FileSummary(
        path=str(recorded.path),
        framing=recorded.recording.framing,
        blocks=decoded.blocks,
        records=dict(sorted(records.items())),
        sources=dict(sources.most_common()),
        skipped={f"{category:03d}": count for category, count in sorted(decoded.skipped.items())},
        errors=dict(errors.most_common()),
        time_first=first,
        time_last=last,
    )


def time_span(recorded: DecodedRecording) -> tuple[float | None, float | None]:
    """Earliest and latest time that the records tell, UTC s since 1970; None when none tells one."""
    times = TimeResolver().resolve(recorded.decoded.records, recorded.datagrams.received)
    known = [time[~np.isnan(time)] for time in times]
    told = np.concatenate([*known, np.empty(0)])
    return (float(told.min()), float(told.max())) if len(told) else (None, None)


def _errors(recorded: DecodedRecording) -> Iterator[tuple[str, str, ErrorCount]]:
    """Kind, source and count of all that was wrong, in the framing and in the records."""
    for kind, error in recorded.recording.errors.items():
        yield kind, "", error
    for (source, kind), error in recorded.decoded.errors.items():
        yield kind, source, error


def describe(recorded: DecodedRecording, summary: FileSummary) -> Group:
    """What a recording holds, for people."""
    recording = recorded.recording
    head = Text.assemble(
        (str(recorded.path), "bold"),
        f"\n  {_framing_words(recorded)}, {recording.octets:,} octets, {_count(summary.blocks, 'block')}",
    )
    if not summary.blocks:
        head.append("\n  no ASTERIX in it", style="yellow")
    if recording.other:
        head.append(f"; {_count(recording.other, 'packet')} without ASTERIX left out")
    if summary.time_first is not None and summary.time_last is not None:
        span = summary.time_last - summary.time_first
        dated = recorded.is_dated or summary.time_first >= 86_400.0 * 2
        head.append(f"\n  {_moment(summary.time_first, dated)} to {_moment(summary.time_last, dated)} UTC")
        head.append(f" ({span:,.1f} s)")
    parts: list[Table | Text] = [head]
    if recorded.decoded.records:
        parts.append(_records_table(recorded))
    for category, blocks in summary.skipped.items():
        parts.append(Text(f"  CAT{category}: no table, {_count(blocks, 'block')} skipped", style="yellow"))
    if summary.errors:
        parts.append(_errors_table(recorded))
    return Group(*parts, Text())


def _framing_words(recorded: DecodedRecording) -> str:
    words = {
        "raw": "raw blocks",
        "final": "EUROCONTROL final format",
        "gps": "GPS recorder",
        "oradis": "ORADIS",
        "trailing": f"{recorded.recording.trailing} trailing octets a datagram",
    }
    return ", ".join(words.get(part, part) for part in recorded.recording.framing.split("+"))


def _records_table(recorded: DecodedRecording) -> Table:
    table = Table(box=None, padding=(0, 2))
    for name in ("category", "edition assumed", "source"):
        table.add_column(name)
    table.add_column("records", justify="right")
    for columns in sorted(recorded.decoded.records, key=lambda columns: columns.category):
        numbers, counts = np.unique(source_of(columns), return_counts=True)
        for place, row in enumerate(np.argsort(-counts, kind="stable").tolist()):
            table.add_row(
                f"CAT{columns.category:03d}" if place == 0 else "",
                columns.edition if place == 0 else "",
                source_name(int(numbers[row])),
                f"{counts[row]:,}",
            )
    return table


def _errors_table(recorded: DecodedRecording) -> Table:
    table = Table(box=None, padding=(0, 2), style="red")
    table.add_column("error", overflow="fold")
    table.add_column("source")
    table.add_column("count", justify="right")
    table.add_column("first at octet", justify="right")
    table.add_column("its octets", overflow="fold")
    for kind, source, error in _errors(recorded):
        octets = bytes.fromhex(error.first_bytes).hex(" ", -2)
        table.add_row(kind, source, f"{error.count:,}", f"{error.first_offset:,}", octets)
    return table


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _moment(time: float, is_dated: bool) -> str:
    moment = datetime.fromtimestamp(time, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S" if is_dated else "%H:%M:%S")


def record_lines(recorded: DecodedRecording) -> Iterator[str]:
    """Every record as a JSON line: where it stands, when and whose it is, and all its items."""
    times = TimeResolver().resolve(recorded.decoded.records, recorded.datagrams.received)
    place = {id(columns): number for number, columns in enumerate(recorded.decoded.records)}
    sources = [source_of(columns) for columns in recorded.decoded.records]
    encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
    for columns, row, items in iterate_records(recorded.decoded, recorded.datagrams):
        number = place[id(columns)]
        time = float(times[number][row])
        line = {
            "offset": int(columns.offset[row]),
            "category": f"{columns.category:03d}",
            "edition": columns.edition,
            "source": source_name(int(sources[number][row])),
            "time": None if np.isnan(time) else time,
            "received": float(recorded.datagrams.received[columns.datagram[row]]),
            "items": items,
        }
        yield encode(line).decode()
