"""What `skypact journal show`, `verify` and `export` do."""

import heapq
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import typer
from rich.console import Console

from skypact.journal.export import export_journal
from skypact.journal.folder import journal_folder, read_keys
from skypact.journal.model import Record
from skypact.journal.seal import BadRecordError, decode_record
from skypact.journal.store import day_files, read_file, split_lines
from skypact.journal.verify import Finding, FolderProof, verify_folder

_LONGEST_VALUE = 80  # characters of a value that people are shown; --json has all


def show(path: Path, as_json: bool, last: int | None = None) -> int:
    """Print the records of all logs by the times that they tell; the exit code.

    Args:
        path: an export, a centre's journal folder, or its data folder. as_json: print one JSON
            document. last: print so many records only, the newest.

    Returns: 1 when a line could not be read, which is said on stderr (`verify` says more).

    Raises:
        BadInputError: there is no journal, or it can't be read.
    """
    folder = journal_folder(path)
    unread: list[str] = []
    logs = [_timed_records(folder / centre, unread) for centre in sorted(read_keys(folder))]
    merged = heapq.merge(*logs, key=lambda timed: timed[0])
    chosen = merged if last is None else deque(merged, last)
    if as_json:
        typer.echo(msgspec.json.encode({"records": [record for _, record in chosen]}))
    else:
        for time, record in chosen:
            typer.echo(describe(time, record))
    for line in unread:
        typer.echo(f"skypact: {line} (skypact journal verify says more)", err=True)
    return 1 if unread else 0


def verify(path: Path, as_json: bool) -> int:
    """Prove all logs in a folder and say what was found; 1 when anything is wrong.

    Raises:
        BadInputError: there is no journal, or it can't be read.
    """
    folder = journal_folder(path)
    with Console(stderr=True).status("proving"):
        proof = verify_folder(folder)
    _report(folder, proof, as_json)
    return 1 if proof.all_findings else 0


def export(path: Path, destination: Path, as_json: bool) -> int:
    """Copy all logs into a new folder that proves itself, and prove it; 1 when anything is wrong.

    Raises:
        BadInputError: there is no journal, or the destination is there already.
        JournalWriteError: the destination can't be written.
    """
    folder = journal_folder(path)
    with Console(stderr=True).status("exporting"):
        export_journal(folder, destination)
        proof = verify_folder(destination)
    _report(destination, proof, as_json)
    return 1 if proof.all_findings else 0


def describe(time: float, record: Record) -> str:
    """One line on a record for people; what could steer a terminal is made visible.

    Args:
        time: to print, UTC s since 1970; of a withheld record that of the one before.
    """
    words = [_moment(time), f"{_visible(record.centre)}/{record.sequence}", _visible(record.kind)]
    content = record.content
    if content is not None:
        if content.exercise:
            words.append("EXERCISE")
        said = content.event if content.event is not None else content.act
        words += [f"{_visible(key)}={_plain(value)}" for key, value in (said or {}).items() if key != "kind"]
        if content.person is not None:
            words.append(f"signed by {_plain(content.person.name)}")
    return "  ".join(words)


def _timed_records(folder: Path, unread: list[str]) -> Iterator[tuple[float, Record]]:
    """A log's records in order, each with the latest time told so far; what can't be read, into `unread`."""
    time = 0.0
    for path in day_files(folder):
        lines, unfinished = split_lines(read_file(path))
        for number, line in enumerate(lines, start=1):
            try:
                record = decode_record(line)
            except BadRecordError as error:
                unread.append(f"{path.name} of {folder.name}, line {number}: {error}")
                continue
            if record.content is not None:
                time = max(time, record.content.received)
            yield time, record
        if unfinished:
            unread.append(f"{path.name} of {folder.name}, line {len(lines) + 1}: unfinished")


def _report(folder: Path, proof: FolderProof, as_json: bool) -> None:
    findings = proof.all_findings
    if as_json:
        logs = [
            {
                "centre": log.centre,
                "first_key": log.first_key,
                "key": log.head.key,
                "records": log.records,
                "withheld": log.withheld,
                "sequence": log.head.sequence,
                "hash": log.head.hash,
            }
            for log in proof.logs
        ]
        document = {"folder": str(folder), "is_good": not findings, "logs": logs, "findings": findings}
        typer.echo(msgspec.json.encode(document))
        return
    for finding in findings:
        typer.echo(_finding_line(finding))
    for log in proof.logs:
        withheld = f", {log.withheld:,} of them withheld" if log.withheld else ""
        typer.echo(f"{log.centre}: {log.records:,} records{withheld}")
        typer.echo(f"  ends with record {log.head.sequence}, hash {log.head.hash}")
        typer.echo(f"  begins with key {log.first_key} (compare it with what {log.centre} tells you)")
    typer.echo(f"{folder}: {f'{len(findings):,} findings' if findings else 'proved'}")


def _finding_line(finding: Finding) -> str:
    place = f"{finding.file}, line {finding.line}" if finding.line else finding.file
    record = f"record {finding.centre}/{finding.sequence} " if finding.sequence else ""
    return f"{_visible(place)}: {record}{_visible(finding.what)}"


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    shown = text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
    return f'"{_visible(shown)}"' if not shown or " " in shown else _visible(shown)


def _visible(text: str) -> str:
    """The text with what can't be printed as its code: a partner's words must not steer a terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )
