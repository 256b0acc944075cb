"""What `skypact evaluate` does."""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from skypact.core.errors import BadInputError
from skypact.evaluation.esassp import EsasspFigures, esassp_figures
from skypact.evaluation.matching import match
from skypact.evaluation.model import Matching, Scores, Tracks, Truth
from skypact.evaluation.read import read_tracks, read_truth
from skypact.evaluation.report import ReportRow, report_page
from skypact.evaluation.scores import score_matching

_ROWS = (
    ("completeness", "completeness", "", "targets that have a track; 1 is best"),
    ("ambiguity", "ambiguity", "", "tracks on each target that has one; 1 is best"),
    ("spuriousness", "spuriousness", "", "tracks that nobody owns; 0 is best"),
    ("spuriousness_clutter", "  of clutter", "", "never owned, or far from a living target"),
    ("spuriousness_ended", "  of ended targets", "", "their target is gone"),
    ("position_accuracy", "position accuracy", "m", "mean error of all tracks on targets"),
    ("velocity_accuracy", "velocity accuracy", "m/s", "mean error of all tracks on targets"),
    ("number_change_rate", "number changes", "1/s", "of tracked time"),
    ("longest_segment", "longest segment", "", "share of its time that one track follows a target"),
    ("breaks_per_hour", "breaks", "1/h", "without track for more than two scans, an hour of target"),
    ("swaps_per_hour", "swaps", "1/h", "tracks that moved to another target, an hour of target"),
    ("rmse", "position error, rms", "m", "best track of each target"),
    ("median_error", "position error, median", "m", "best track of each target"),
    ("anees", "ANEES", "", "1 when covariances are honest, more when too small"),
    ("targets", "targets", "", "that counted"),
    ("tracks", "tracks", "", "numbers in the file"),
)


_GOSPA_ROWS = (
    ("total", "GOSPA", "m", "per target; p 2, alpha 2, cut-off at the gate"),
    ("localisation", "  localisation", "m²", "per target"),
    ("missed", "  missed", "m²", "per target"),
    ("false", "  false", "m²", "per target"),
)
_ESASSP_ROWS = (
    ("probability_of_update", "updates that came", "", "of one expected in each scan period"),
    ("long_gap_ratio", "updates in long gaps", "", "missed in gaps of more than three scan periods"),
    ("error_95", "position error, 95 %", "m", "best track of each target"),
    ("along_rms", "  along track, rms", "m", "best track of each target"),
    ("across_rms", "  across track, rms", "m", "best track of each target"),
    ("latency", "  latency", "s", "mean lag along track, by the target's speed"),
    ("false_tracks_per_hour", "false tracks", "1/h", "nobody's for all their life, longer than 11 s"),
)
# Of tracks that nobody owns, nothing says which kind of target they took for one.
_ONLY_OF_ALL = {
    "spuriousness",
    "spuriousness_clutter",
    "spuriousness_ended",
    "swaps_per_hour",
    "tracks",
    "false_tracks_per_hour",
}


def evaluate_command(tracks_path: Path, truth_path: Path, as_json: bool, page: Path | None) -> None:
    """Score a tracks file against a truth file; the figures go to stdout, a page with drawings to `page`.

    Raises:
        BadInputError: a file can't be read, lacks a column, or the page can't be written.
    """
    notes = Console(stderr=True)
    with notes.status("reading"):
        truth, tracks = read_truth(truth_path), read_tracks(tracks_path)
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task("matching tracks and targets")
        matching = match(truth, tracks, lambda done, total: bar.update(task, completed=done, total=total))
    scores = score_matching(truth, tracks, matching)
    columns, rows = score_rows(truth, tracks, matching, scores)
    if page is not None:
        title = f"{tracks_path.name} against {truth_path.name}"
        try:
            page.write_text(
                report_page(title, columns, rows, truth, tracks, matching, scores), encoding="utf-8"
            )
        except OSError as error:
            raise BadInputError(error.strerror or "can't be written", str(page)) from None
    if as_json:
        typer.echo(msgspec.json.encode(scores))
        return
    table = Table("figure", show_edge=False)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for row in rows:
        table.add_row(row.title, *row.values, row.unit)
    Console().print(table)


def score_rows(
    truth: Truth, tracks: Tracks, matching: Matching, scores: Scores
) -> tuple[list[str], list[ReportRow]]:
    """The scores as people read them: of all targets, and of each kind where there are several."""
    columns, sets = ["all"], [scores]
    more = [esassp_figures(truth, tracks, matching)]
    present = [number for number in range(len(truth.kinds)) if (truth.kind == number).any()]
    if len(present) > 1:
        for number in present:
            columns.append(truth.kinds[number])
            sets.append(score_matching(truth, tracks, matching, truth.kind == number))
            more.append(esassp_figures(truth, tracks, matching, truth.kind == number))
    rows = [_row(sets, *row) for row in _ROWS]
    for name, title, unit, meaning in _GOSPA_ROWS:
        values = [_figure(getattr(scores.gospa, name))] + [""] * (len(sets) - 1)
        rows.append(ReportRow(title, values, unit, meaning))
    rows += [_row(more, *row) for row in _ESASSP_ROWS]
    return columns, rows


def _row(
    sets: Sequence[Scores] | Sequence[EsasspFigures], name: str, title: str, unit: str, meaning: str
) -> ReportRow:
    shown = sets[:1] if name in _ONLY_OF_ALL else sets
    values = [_figure(getattr(one, name)) for one in shown]
    return ReportRow(title, values + [""] * (len(sets) - len(shown)), unit, meaning)


def _figure(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "-"
    return f"{value:.4f}" if abs(value) < 10.0 else f"{value:,.1f}"
