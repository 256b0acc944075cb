"""Turns the matching of tracks and targets into scores: SIAP, GOSPA, continuity, errors, consistency.

Sources: P. Votruba and others, SIAP metrics implementation, 2001; A. S. Rahmathullah, A. F.
Garcia-Fernandez and L. Svensson, Generalized optimal sub-pattern assignment metric, 2017.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1
from skypact.evaluation.matching import match, scored_rows
from skypact.evaluation.model import Gospa, Matching, Pairs, Scores, Tracks, Truth

HOUR = 3600.0
BREAK_SCANS = 2.0  # a target without track for more scan periods than this is a break


def score(truth: Truth, tracks: Tracks) -> Scores:
    """All scores of the tracks against the truth."""
    return score_matching(truth, tracks, match(truth, tracks))


def score_matching(
    truth: Truth, tracks: Tracks, matching: Matching, wanted: NDArray[np.bool_] | None = None
) -> Scores:
    """All scores of a matching.

    Args:
        truth: and tracks: what was matched. matching: how.
        wanted: (J,) targets that count; all without it. Tracks that nobody owns count in any case.
    """
    chosen = np.ones(len(truth.names), dtype=np.bool_) if wanted is None else wanted
    counts = truth.is_counted & scored_rows(truth, tracks, matching.period) & chosen[truth.target]
    owned = matching.owned.take(counts[matching.owned.truth])
    best = matching.best.take(counts[matching.best.truth])
    objects = int(counts.sum())
    tracked = np.zeros(len(truth), dtype=np.bool_)
    tracked[owned.truth] = True
    ended, clutter = int(matching.is_ended.sum()), int(matching.is_clutter.sum())
    shown = len(owned) + ended + clutter
    hours = objects * matching.period / HOUR
    return Scores(
        completeness=_ratio(tracked.sum(), objects, 0.0),
        ambiguity=_ratio(len(owned), tracked.sum(), 1.0),
        spuriousness=_ratio(ended + clutter, shown, 0.0),
        spuriousness_clutter=_ratio(clutter, shown, 0.0),
        spuriousness_ended=_ratio(ended, shown, 0.0),
        position_accuracy=_mean(owned.distance, 0.0),
        velocity_accuracy=_mean(_velocity_errors(truth, tracks, owned), 0.0),
        number_change_rate=_number_change_rate(truth, tracks, owned, matching.period),
        longest_segment=_longest_segment(truth, tracks, owned, counts, matching.period),
        breaks_per_hour=_ratio(_count_breaks(truth, counts, tracked, matching.period), hours, 0.0),
        swaps_per_hour=_ratio(matching.swaps, hours, 0.0),
        rmse=float(np.sqrt(_mean(best.distance**2, np.nan))),
        median_error=float(np.median(best.distance)) if len(best) else np.nan,
        gospa=_gospa(truth, tracks, matching, counts, best, objects),
        anees=_anees(tracks, best),
        targets=len(np.unique(truth.target[counts])),
        tracks=len(tracks.names),
    )


def _ratio(numerator: float, denominator: float, empty: float) -> float:
    return float(numerator / denominator) if denominator else empty


def _mean(values: Floats1, empty: float) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else empty


def _velocity_errors(truth: Truth, tracks: Tracks, pairs: Pairs) -> Floats1:
    return np.hypot(
        tracks.east[pairs.track] - truth.east[pairs.truth],
        tracks.north[pairs.track] - truth.north[pairs.truth],
    )


def _gospa(
    truth: Truth, tracks: Tracks, matching: Matching, counts: NDArray[np.bool_], best: Pairs, objects: int
) -> Gospa:
    """GOSPA of each second, squared and summed over the seconds, per counted truth.

    A track beside a target that does not count is left out. A false track has no target whose
    gate could price it: it costs half the square of the widest gate of all targets.
    """
    if not objects:
        return Gospa(total=0.0, localisation=0.0, missed=0.0, false=0.0)
    is_missed = counts.copy()
    is_missed[best.truth] = False
    missed = float((truth.gate[truth.target[is_missed]] ** 2).sum() / 2.0)
    is_neutral = np.zeros(len(tracks), dtype=np.bool_)
    is_neutral[matching.owned.track[~counts[matching.owned.truth]]] = True
    is_neutral[matching.best.track[~counts[matching.best.truth]]] = True
    is_false = matching.is_ended | matching.is_clutter
    is_false[matching.owned.track] = True
    is_false[is_neutral] = False
    is_false[best.track] = False
    false = float(is_false.sum() * truth.gate.max() ** 2 / 2.0)
    localisation = float((best.distance**2).sum())
    return Gospa(
        total=float(np.sqrt((localisation + missed + false) / objects)),
        localisation=localisation / objects,
        missed=missed / objects,
        false=false / objects,
    )


def _anees(tracks: Tracks, pairs: Pairs) -> float:
    """Average normalised estimation error squared over the dimensions: 1 when covariances are honest.

    Source: X. R. Li, Z. Zhao and V. P. Jilkov, Practical measures and test for credibility of an
    estimator, 2001.
    """
    east, north = tracks.variance_east[pairs.track], tracks.variance_north[pairs.track]
    cross = tracks.covariance[pairs.track]
    determinant = east * north - cross**2
    is_proper = (determinant > 0.0) & (east > 0.0)
    weighted = north * pairs.east**2 - 2.0 * cross * pairs.east * pairs.north + east * pairs.north**2
    return _mean(weighted[is_proper] / determinant[is_proper] / 2.0, np.nan)


def _runs(keys: tuple[NDArray[Any], ...], time: Floats1, period: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """First row and length of each stretch of rows with equal keys and no second missing.

    Args:
        keys: arrays (R,), sorted together with time as the last. time: (R,) s. period: s between rows.
    """
    if not len(time):
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    changes = np.diff(time) > 1.5 * period
    for key in keys:
        changes |= np.diff(key) != 0
    first = np.append(0, np.flatnonzero(changes) + 1)
    return first, np.diff(np.append(first, len(time)))


def _count_breaks(truth: Truth, counts: NDArray[np.bool_], tracked: NDArray[np.bool_], period: float) -> int:
    """How often a target that had been tracked was without track for more than two of its scans."""
    rows = np.flatnonzero(counts)
    rows = rows[np.lexsort((truth.time[rows], truth.target[rows]))]
    first, length = _runs((truth.target[rows], tracked[rows]), truth.time[rows], period)
    begin = rows[first]
    first_tracked = np.full(len(truth.names), np.inf)
    np.minimum.at(first_tracked, truth.target[rows[tracked[rows]]], truth.time[rows[tracked[rows]]])
    is_break = ~tracked[begin] & (length * period > BREAK_SCANS * truth.scan[begin])
    return int((is_break & (first_tracked[truth.target[begin]] < truth.time[begin])).sum())


def _segments(
    truth: Truth, tracks: Tracks, owned: Pairs, period: float
) -> tuple[NDArray[Any], NDArray[Any], Floats1, Floats1]:
    """Target, track, first and last second of each unbroken stretch of one track on one target."""
    target, number, time = truth.target[owned.truth], tracks.track[owned.track], truth.time[owned.truth]
    order = np.lexsort((time, number, target))
    first, length = _runs((target[order], number[order]), time[order], period)
    begin, end = order[first], order[first + length - 1] if len(first) else order[first]
    return target[begin], number[begin], time[begin], time[end]


def _longest_segment(
    truth: Truth, tracks: Tracks, owned: Pairs, counts: NDArray[np.bool_], period: float
) -> float:
    """Longest time that any one track spent on each target, summed, over the counted time of all targets.

    As in Stone Soup, times of one track on one target add up across gaps, which `breaks` tells.
    """
    target, number, begin, end = _segments(truth, tracks, owned, period)
    pair, which = np.unique(target * len(tracks.names) + number, return_inverse=True)
    spent = np.bincount(which, end - begin + period)
    longest = np.zeros(len(truth.names))
    np.maximum.at(longest, pair // max(len(tracks.names), 1), spent)
    return _ratio(longest.sum(), counts.sum() * period, 0.0)


def _number_change_rate(truth: Truth, tracks: Tracks, owned: Pairs, period: float) -> float:
    """Changes of the fewest track numbers that cover each target's tracked time, over that time, 1/s."""
    target, number, begin, end = _segments(truth, tracks, owned, period)
    seconds = len(np.unique(owned.truth)) * period
    order = np.lexsort((begin, target))
    target, number, begin, end = target[order], number[order], begin[order], end[order]
    if not len(target):
        return 0.0
    changes = 0
    bounds = np.append(np.flatnonzero(np.append(True, np.diff(target) != 0)), len(target))
    for low, high in pairwise(bounds):
        if (number[low:high] != number[low]).any():
            changes += _fewest_numbers(number[low:high], begin[low:high], end[low:high], period) - 1
    return _ratio(changes, seconds, 0.0)


def _fewest_numbers(number: NDArray[Any], begin: Floats1, end: Floats1, period: float) -> int:
    """Track numbers in turn that cover all stretches: at each end, on with the one that lasts longest.

    Args:
        number: (S,) of each stretch. begin: (S,) rising, s. end: (S,) s. period: s between pictures.
    """
    needed, current = 0, -1
    moment = begin[0]
    while True:
        covers = (begin <= moment) & (end >= moment)
        if not covers.any():
            later = begin[begin > moment]
            if not len(later):
                return needed
            moment = later.min()
            continue
        furthest = end[covers].max()
        candidates = number[covers & (end == furthest)]
        if current not in candidates:
            needed, current = needed + 1, int(candidates[0])
        moment = furthest + period
