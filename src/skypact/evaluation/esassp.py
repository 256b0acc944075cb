"""Figures in the manner of surveillance standards: updates, gaps, along and across track, false tracks.

Source: EUROCONTROL-SPEC-0147, ATM surveillance system performance, for the kinds of figures; thresholds are
not taken from it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1
from skypact.evaluation.matching import scored_rows
from skypact.evaluation.model import Matching, Tracks, Truth

LONG_GAP = 3  # scan periods; a longer time without track is a long gap
FALSE_TRACK = 11.0  # s; a track of nobody that lives longer is a false track
FALSE_TRACK_PICTURES = 3
SLOWEST = 1.0  # m/s; a slower target has no direction to speak of


@dataclass(frozen=True, slots=True)
class EsasspFigures:
    """How well tracks were kept up, by expected updates of one scan period each."""

    probability_of_update: float  # expected updates that came
    long_gap_ratio: float  # expected updates that were missed in long gaps
    error_95: float  # m; horizontal error that 95 % of the best tracks stay below
    along_rms: float  # m; of the best tracks, along the target's way
    across_rms: float  # m; across it
    latency: float  # s; by which best tracks lag behind on the way, on average
    false_tracks_per_hour: float  # tracks that nobody owned in all their life, an hour of the run


def esassp_figures(
    truth: Truth, tracks: Tracks, matching: Matching, wanted: NDArray[np.bool_] | None = None
) -> EsasspFigures:
    """The figures of a matching; of the `wanted` (J,) targets only, if given.

    False tracks are counted in any case: they have no target.
    """
    chosen = np.ones(len(truth.names), dtype=np.bool_) if wanted is None else wanted
    counts = truth.is_counted & scored_rows(truth, tracks, matching.period) & chosen[truth.target]
    updates, long_gaps = _updates(truth, matching, counts)
    best = matching.best.take(counts[matching.best.truth])
    east, north = truth.east[best.truth], truth.north[best.truth]
    speed = np.hypot(east, north)
    moves = speed > SLOWEST
    along = (best.east * east + best.north * north)[moves] / speed[moves]
    across = (best.north * east - best.east * north)[moves] / speed[moves]
    return EsasspFigures(
        probability_of_update=updates,
        long_gap_ratio=long_gaps,
        error_95=float(np.percentile(best.distance, 95.0)) if len(best) else np.nan,
        along_rms=_rms(along),
        across_rms=_rms(across),
        latency=float(-(along / speed[moves]).mean()) if len(along) else np.nan,
        false_tracks_per_hour=_false_tracks(truth, tracks, matching),
    )


def _rms(values: Floats1) -> float:
    return float(np.sqrt((values**2).mean())) if len(values) else np.nan


def _updates(truth: Truth, matching: Matching, counts: NDArray[np.bool_]) -> tuple[float, float]:
    """Shares of the expected updates that came, and that were missed in long gaps."""
    rows = np.flatnonzero(counts)
    if not len(rows):
        return 0.0, 0.0
    tracked = np.zeros(len(truth), dtype=np.bool_)
    tracked[matching.owned.truth] = True
    rows = rows[np.lexsort((truth.time[rows], truth.target[rows]))]
    target, time = truth.target[rows], truth.time[rows]
    _, first, which = np.unique(target, return_index=True, return_inverse=True)
    scan = np.maximum(truth.scan[rows][first], matching.period)[which]
    interval = np.floor((time - time[first][which]) / scan + 1e-9).astype(np.int64)
    # Rows of one interval are neighbours: each target's intervals rise with time.
    begins = np.append(True, (np.diff(target) != 0) | (np.diff(interval) != 0))
    number = np.cumsum(begins) - 1
    came = np.zeros(number[-1] + 1, dtype=np.bool_)
    came[number[tracked[rows]]] = True
    start = np.flatnonzero(begins)
    follows = np.append(False, (np.diff(target[start]) == 0) & (np.diff(interval[start]) == 1))
    run = np.cumsum(np.append(True, (np.diff(came.astype(np.int8)) != 0) | ~follows[1:])) - 1
    missed = np.bincount(run, ~came)
    return float(came.mean()), float(missed[missed > LONG_GAP].sum() / len(came))


def _false_tracks(truth: Truth, tracks: Tracks, matching: Matching) -> float:
    is_owned = np.zeros(len(tracks.names), dtype=np.bool_)
    is_owned[tracks.track[matching.owned.track]] = True
    alone = np.flatnonzero(matching.is_clutter | matching.is_ended)
    number = tracks.track[alone]
    pictures = np.bincount(number, minlength=len(tracks.names))
    begin, end = np.full(len(tracks.names), np.inf), np.full(len(tracks.names), -np.inf)
    np.minimum.at(begin, number, tracks.time[alone])
    np.maximum.at(end, number, tracks.time[alone])
    is_false = ~is_owned & (end - begin > FALSE_TRACK) & (pictures >= FALSE_TRACK_PICTURES)
    hours = (truth.time[-1] - truth.time[0] + matching.period) / 3600.0
    return float(is_false.sum() / hours)
