"""What `skypact track` does."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from skypact.centre.inputs import RecordedPlots, plots_file, read_recorded_plots, sensors_for
from skypact.centre.offline import TrackingSummary, track_to_files
from skypact.centre.reading import reading_bar
from skypact.core.errors import BadInputError


def track_command(
    paths: Sequence[Path],
    sensors: Path | None,
    out: Path,
    period: float,
    plots_out: Path | None,
    first_day: float | None,
    as_json: bool,
) -> int:
    """Track recordings and say what came of it; the exit code.

    Raises:
        BadInputError: a file can't be read or written, or holds no plot of the table's sensors.
    """
    notes = Console(stderr=True, highlight=False)
    table = sensors_for(paths, sensors)
    with reading_bar([plots_file(path) for path in paths], notes) as files:
        recorded = read_recorded_plots(files, table, first_day or 0.0)
    if len(recorded.plots) == 0:
        reasons = ", ".join(
            f"{count} records of {source}: {reason}"
            for (source, reason), count in recorded.filtered.most_common(3)
        )
        raise BadInputError("no plots of the sensors in the table", str(paths[0]), reasons)
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task("tracking", total=len(recorded.plots))
        try:
            summary = track_to_files(
                recorded.plots,
                table,
                out,
                plots_out,
                period,
                lambda done, total: bar.update(task, completed=done, total=total),
            )
        except OSError as error:
            raise BadInputError(error.strerror or "can't be written", str(error.filename or out)) from None
    if recorded.undated and first_day is None:
        notes.print("the recording tells no date: taken as 1970-01-01 (choose with --date)")
    _report(summary, recorded, out, as_json)
    return 1 if recorded.errors else 0


def _report(summary: TrackingSummary, recorded: RecordedPlots, out: Path, as_json: bool) -> None:
    if as_json:
        document = msgspec.to_builtins(summary) | {
            "errors": recorded.errors,
            "filtered": {
                f"{source}: {reason}": count for (source, reason), count in recorded.filtered.items()
            },
            "out": str(out),
        }
        typer.echo(msgspec.json.encode(document))
        return
    typer.echo(f"{summary.plots} plots, {summary.pictures} pictures, {summary.tracks} tracks: {out}")
    for outcome, count in summary.outcomes.items():
        if count:
            typer.echo(f"  {outcome:<12}{count:>10}")
    for (source, reason), count in recorded.filtered.most_common():
        typer.echo(f"  {count} records of {source} are no plots: {reason}")
    if recorded.errors:
        typer.echo(f"  {recorded.errors} decoding errors (see skypact decode)")
