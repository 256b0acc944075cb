"""What `skypact evaluate` does."""

from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from skypact.evaluation.matching import match
from skypact.evaluation.model import Scores
from skypact.evaluation.read import read_tracks, read_truth
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


def evaluate_command(tracks_path: Path, truth_path: Path, as_json: bool, html: Path | None) -> None:
    """Score a tracks file against a truth file; the figures go to stdout, a page to `html`.

    Raises:
        BadInputError: a file can't be read, lacks a column, or the page can't be written.
    """
    truth, tracks = read_truth(truth_path), read_tracks(tracks_path)
    matching = match(truth, tracks)
    scores = score_matching(truth, tracks, matching)
    if as_json:
        typer.echo(msgspec.json.encode(scores))
        return
    Console().print(scores_table(scores))


def scores_table(scores: Scores) -> Table:
    """The scores as people read them."""
    table = Table("figure", "value", "unit", "what it says", show_edge=False)
    for name, title, unit, meaning in _ROWS:
        table.add_row(title, _figure(getattr(scores, name)), unit, meaning)
    table.add_row("GOSPA", _figure(scores.gospa.total), "m", "per target; p 2, alpha 2, cut-off at the gate")
    for name in ("localisation", "missed", "false"):
        table.add_row(f"  {name}", _figure(getattr(scores.gospa, name)), "m²", "per target")
    return table


def _figure(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if value != value:
        return "-"
    return f"{value:.4f}" if abs(value) < 10.0 else f"{value:,.1f}"
