"""The evaluation as a page of its own: figures and tables in one HTML file without outside links."""

import html
import io
from dataclasses import dataclass

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from skypact.core.arrays import Floats1
from skypact.core.geodesy import SEMI_MAJOR_AXIS
from skypact.core.units import KILOMETRE
from skypact.evaluation.matching import scored_rows
from skypact.evaluation.model import Matching, Scores, Tracks, Truth

TRUTH_COLOUR, TRACK_COLOUR, CLUTTER_COLOUR, ENDED_COLOUR = "#9aa3ad", "#0b6bcb", "#c62828", "#ef8e00"
_POINTS = 200_000  # most points on the map; of more, every so many
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .8rem; text-align: left; border-bottom: 1px solid #d5dae0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; } figure svg { max-width: 100%; height: auto; }
figcaption { color: #55606b; }
"""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One figure of the table, as text."""

    title: str
    values: list[str]
    unit: str
    meaning: str


def report_page(
    title: str,
    columns: list[str],
    rows: list[ReportRow],
    truth: Truth,
    tracks: Tracks,
    matching: Matching,
    scores: Scores,
) -> str:
    """The page.

    Args:
        title: of the page. columns: what the values of each row are of. rows: of the table.
        truth: and tracks: what was scored. matching: how. scores: of all targets.
    """
    figures = (
        (_map(truth, tracks, matching), "Truth in grey, tracks in blue, tracks of nobody in red (clutter) "
         "and orange (their target ended)."),
        (_errors(truth, matching), "Error of the best track of each counted target, at each second."),
        (_counts(truth, tracks, matching), "Counted targets, those with a track, and tracks of nobody."),
    )  # fmt: skip
    drawings = "".join(
        f"<figure>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>" for svg, caption in figures
    )
    head = "".join(f'<th class="number">{html.escape(column)}</th>' for column in columns)
    body = "".join(
        f"<tr><td>{html.escape(row.title)}</td>"
        + "".join(f'<td class="number">{html.escape(value)}</td>' for value in row.values)
        + f"<td>{html.escape(row.unit)}</td><td>{html.escape(row.meaning)}</td></tr>"
        for row in rows
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>"
        f"<p>{scores.targets} targets counted, {scores.tracks} track numbers.</p>"
        f"<table><thead><tr><th>figure</th>{head}<th>unit</th><th>what it says</th></tr></thead>"
        f"<tbody>{body}</tbody></table>{drawings}</body></html>\n"
    )


def _map(truth: Truth, tracks: Tracks, matching: Matching) -> str:
    figure, axes = plt.subplots(figsize=(9, 9))
    middle = (float(truth.latitude.mean()), _mean_longitude(truth.longitude))
    scored = scored_rows(truth, tracks, matching.period)
    _dots(axes, truth.latitude[scored], truth.longitude[scored], middle, TRUTH_COLOUR, 1.5)
    groups = (
        (~(matching.is_ended | matching.is_clutter), TRACK_COLOUR, 0.4),
        (matching.is_ended, ENDED_COLOUR, 1.5),
        (matching.is_clutter, CLUTTER_COLOUR, 1.5),
    )
    for rows, colour, size in groups:
        _dots(axes, tracks.latitude[rows], tracks.longitude[rows], middle, colour, size)
    axes.set(xlabel="east, km", ylabel="north, km", aspect="equal")
    return _svg(figure)


def _dots(
    axes: Axes, latitude: Floats1, longitude: Floats1, middle: tuple[float, float], colour: str, size: float
) -> None:
    step = max(1, -(-len(latitude) // _POINTS))
    north = (latitude[::step] - middle[0]) * SEMI_MAJOR_AXIS / KILOMETRE
    around = (longitude[::step] - middle[1] + np.pi) % (2.0 * np.pi) - np.pi
    east = around * np.cos(latitude[::step]) * SEMI_MAJOR_AXIS / KILOMETRE
    axes.scatter(east, north, s=size, c=colour, linewidths=0, rasterized=True)


def _mean_longitude(longitude: Floats1) -> float:
    return float(np.arctan2(np.sin(longitude).mean(), np.cos(longitude).mean()))


def _errors(truth: Truth, matching: Matching) -> str:
    best = matching.best.take(truth.is_counted[matching.best.truth])
    figure, axes = plt.subplots(figsize=(9, 3.2))
    if len(best):
        seconds, which = np.unique(truth.time[best.truth], return_inverse=True)
        order = np.argsort(which, kind="stable")
        parts = np.split(best.distance[order], np.cumsum(np.bincount(which))[:-1])
        run = seconds - truth.time[0]
        axes.plot(run, [np.sqrt((part**2).mean()) for part in parts], color=TRACK_COLOUR, label="rms")
        axes.plot(run, [np.median(part) for part in parts], color=ENDED_COLOUR, label="median")
        axes.legend()
    axes.set(xlabel="s of the run", ylabel="position error, m", ylim=(0, None))
    return _svg(figure)


def _counts(truth: Truth, tracks: Tracks, matching: Matching) -> str:
    counts = truth.is_counted & scored_rows(truth, tracks, matching.period)
    tracked = np.zeros(len(truth), dtype=np.bool_)
    tracked[matching.owned.truth] = True
    figure, axes = plt.subplots(figsize=(9, 3.2))
    for rows, times, colour, label in (
        (counts, truth.time, TRUTH_COLOUR, "targets"),
        (counts & tracked, truth.time, TRACK_COLOUR, "with a track"),
        (matching.is_clutter, tracks.time, CLUTTER_COLOUR, "clutter"),
        (matching.is_ended, tracks.time, ENDED_COLOUR, "ended"),
    ):
        axes.plot(*_per_second(times[rows] - truth.time[0], matching.period), color=colour, label=label)
    axes.set(xlabel="s of the run", ylabel="number", ylim=(0, None))
    axes.legend()
    return _svg(figure)


def _per_second(times: Floats1, period: float) -> tuple[Floats1, NDArray[np.intp]]:
    if not len(times):
        return np.zeros(0), np.zeros(0, dtype=np.intp)
    counts = np.bincount(np.round((times - times.min()) / period).astype(np.int64))
    return times.min() + np.arange(len(counts)) * period, counts


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "skypact"}):
        figure.savefig(text, format="svg", dpi=150, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    return text.getvalue()[text.getvalue().index("<svg") :]
