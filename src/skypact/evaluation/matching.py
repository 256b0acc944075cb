"""Decides at each second which track follows which target, by rules fixed before any score is taken."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from skypact.core.arrays import Floats1, Floats2
from skypact.core.geodesy import ECCENTRICITY_SQUARED, SEMI_MAJOR_AXIS
from skypact.evaluation.model import NOBODY, Matching, Pairs, Tracks, Truth

# A track keeps its target while within this share of the gate: aircraft that cross do not swap tracks
# by the noise of the moment, while a track that went with the other one is found out as they part.
KEEPING_SHARE = 0.5


Progress = Callable[[int, int], None]  # seconds done, seconds in all


def match(truth: Truth, tracks: Tracks, progress: Progress = lambda done, total: None) -> Matching:
    """Match all pictures with the truth of the same seconds; `progress` is told how far it is."""
    owner_of_track = np.full(len(tracks.names), NOBODY, dtype=np.int64)
    last_owner = np.full(len(tracks.names), NOBODY, dtype=np.int64)
    is_ended = np.zeros(len(tracks), dtype=np.bool_)
    is_clutter = np.zeros(len(tracks), dtype=np.bool_)
    owned: list[Pairs] = []
    best: list[Pairs] = []
    swaps = 0
    period = picture_period(tracks)
    seconds = _seconds(truth, tracks, period)
    for done, (truth_rows, track_rows) in enumerate(seconds):
        progress(done, len(seconds))
        near = near_pairs(truth, tracks, truth_rows, track_rows)
        best.append(
            near.take(one_to_one(near.truth, near.track, near.distance, truth.gate[truth.target[near.truth]]))
        )
        held = near.take(_hold(truth, tracks, near, owner_of_track))
        owned.append(held)
        number, owner = tracks.track[held.track], truth.target[held.truth]
        moved = (last_owner[number] != NOBODY) & (last_owner[number] != owner)
        swaps += int((moved & truth.is_counted[held.truth]).sum())
        owner_of_track[tracks.track[track_rows]] = NOBODY
        owner_of_track[number] = owner
        last_owner[number] = owner

        lonely = np.setdiff1d(track_rows, held.track)
        alive = np.zeros(len(truth.names), dtype=np.bool_)
        alive[truth.target[truth_rows]] = truth.is_covered[truth_rows]
        former = last_owner[tracks.track[lonely]]
        is_ended[lonely] = (former != NOBODY) & ~alive[former]
        is_clutter[lonely] = ~is_ended[lonely]
    return Matching(period, _join(owned), _join(best), is_ended, is_clutter, swaps)


def picture_period(tracks: Tracks) -> float:
    """Seconds between pictures: the smallest difference, 1 without any."""
    times = np.unique(tracks.time)
    return float(np.diff(times).min()) if len(times) > 1 else 1.0


def scored_rows(truth: Truth, tracks: Tracks, period: float) -> NDArray[np.bool_]:
    """(rows of truth,) whether its second is one at which pictures were taken."""
    start = tracks.time[0] if len(tracks) else truth.time[0]
    phase = (truth.time - start) / period
    return np.asarray(np.abs(phase - np.round(phase)) * period < 1e-3)


def _seconds(truth: Truth, tracks: Tracks, period: float) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows of the truth and of the tracks at each scored second."""
    rows = np.flatnonzero(scored_rows(truth, tracks, period))
    times, starts = np.unique(truth.time[rows], return_index=True)
    ends = np.append(starts[1:], len(rows))
    first = np.searchsorted(tracks.time, times - 1e-3)
    last = np.searchsorted(tracks.time, times + 1e-3)
    bounds = zip(starts, ends, first, last, strict=True)
    return [(rows[start:end], np.arange(low, high)) for start, end, low, high in bounds]


def near_pairs(
    truth: Truth, tracks: Tracks, truth_rows: NDArray[np.intp], track_rows: NDArray[np.intp]
) -> Pairs:
    """Every track within the gate of a target: horizontally, and in height where both have one."""
    if not len(truth_rows) or not len(track_rows):
        return _no_pairs()
    gates = truth.gate[truth.target[truth_rows]]
    targets = cKDTree(_on_ellipsoid(truth.latitude[truth_rows], truth.longitude[truth_rows]))
    positions = cKDTree(_on_ellipsoid(tracks.latitude[track_rows], tracks.longitude[track_rows]))
    # The chord at sea level is shorter than the distance at height by less than a hundredth.
    found = targets.sparse_distance_matrix(positions, float(gates.max()) * 1.01, output_type="ndarray")
    order = np.lexsort((found["j"], found["i"]))
    t, k = truth_rows[found["i"][order]], track_rows[found["j"][order]]
    east, north = _offset(truth, tracks, t, k)
    distance = np.hypot(east, north)
    gate = truth.gate[truth.target[t]]
    apart = np.abs(truth.height[t] - tracks.height[k])
    inside = (distance < gate) & ~(apart >= gate)  # unknown heights do not part them
    return Pairs(t[inside], k[inside], east[inside], north[inside], distance[inside])


def _on_ellipsoid(latitude: Floats1, longitude: Floats1) -> Floats2:
    sin_latitude = np.sin(latitude)
    normal = SEMI_MAJOR_AXIS / np.sqrt(1.0 - ECCENTRICITY_SQUARED * sin_latitude**2)
    across = normal * np.cos(latitude)
    return np.stack(
        [
            across * np.cos(longitude),
            across * np.sin(longitude),
            normal * (1.0 - ECCENTRICITY_SQUARED) * sin_latitude,
        ],
        axis=1,
    )


def _offset(
    truth: Truth, tracks: Tracks, t: NDArray[np.intp], k: NDArray[np.intp]
) -> tuple[Floats1, Floats1]:
    """East and north from target to track along the ellipsoid at the target's height, m."""
    height = np.nan_to_num(truth.height[t])
    middle = 0.5 * (truth.latitude[t] + tracks.latitude[k])
    root = 1.0 - ECCENTRICITY_SQUARED * np.sin(middle) ** 2
    normal = SEMI_MAJOR_AXIS / np.sqrt(root)
    meridian = normal * (1.0 - ECCENTRICITY_SQUARED) / root
    around = (tracks.longitude[k] - truth.longitude[t] + np.pi) % (2.0 * np.pi) - np.pi
    east = around * (normal + height) * np.cos(middle)
    north = (tracks.latitude[k] - truth.latitude[t]) * (meridian + height)
    return east, north


def one_to_one(
    first: NDArray[np.int64], second: NDArray[np.int64], distance: Floats1, gate: Floats1
) -> NDArray[np.intp]:
    """Which pairs belong to the assignment of least squares, where who stays alone costs the gate's square.

    Pairs fall into clusters that share nobody; each is solved alone, most are a single pair.

    Args:
        first: (P,) and second: (P,) who is paired. distance: (P,) below gate. gate: (P,) m.

    Returns:
        Rows of the chosen pairs, rising.
    """
    if not len(first):
        return np.zeros(0, dtype=np.intp)
    firsts, i = np.unique(first, return_inverse=True)
    seconds, j = np.unique(second, return_inverse=True)
    is_alone = (np.bincount(i)[i] == 1) & (np.bincount(j)[j] == 1)
    chosen = [np.flatnonzero(is_alone)]
    rest = np.flatnonzero(~is_alone)
    if len(rest):
        size = len(firsts) + len(seconds)
        graph = coo_matrix((np.ones(len(rest)), (i[rest], len(firsts) + j[rest])), shape=(size, size))
        _, cluster = connected_components(graph, directed=False)
        rest = rest[np.argsort(cluster[i[rest]], kind="stable")]
        for rows in np.split(rest, np.flatnonzero(np.diff(cluster[i[rest]])) + 1):
            chosen.append(_solve(i, j, distance, gate, rows))
    return np.sort(np.concatenate(chosen))


def _solve(
    i: NDArray[np.intp], j: NDArray[np.intp], distance: Floats1, gate: Floats1, rows: NDArray[np.intp]
) -> NDArray[np.intp]:
    left, a = np.unique(i[rows], return_inverse=True)
    right, b = np.unique(j[rows], return_inverse=True)
    gain = np.zeros((len(left), len(right)))
    gain[a, b] = gate[rows] ** 2 - distance[rows] ** 2
    which = np.full(gain.shape, -1, dtype=np.int64)
    which[a, b] = rows
    solution = which[linear_sum_assignment(gain, maximize=True)]
    return solution[solution >= 0]


def _hold(truth: Truth, tracks: Tracks, near: Pairs, owner_of_track: NDArray[np.int64]) -> NDArray[np.intp]:
    """Rows of the pairs of tracks and the targets that own them now, at most one a track."""
    gate = truth.gate[truth.target[near.truth]]
    number, target = tracks.track[near.track], truth.target[near.truth]
    keeps = (owner_of_track[number] == target) & (near.distance <= KEEPING_SHARE * gate)
    kept = np.flatnonzero(keeps)
    # Tracks that are free go first to targets that have none, then to the nearest in the gate.
    is_free = ~np.isin(number, number[kept])
    open_pairs = np.flatnonzero(is_free & ~np.isin(target, target[kept]))
    fresh = open_pairs[
        one_to_one(
            near.truth[open_pairs], near.track[open_pairs], near.distance[open_pairs], gate[open_pairs]
        )
    ]
    left = np.flatnonzero(is_free & ~np.isin(number, number[fresh]))
    left = left[np.lexsort((near.distance[left], number[left]))]
    _, nearest = np.unique(number[left], return_index=True)
    return np.sort(np.concatenate([kept, fresh, left[nearest]]))


def _join(parts: list[Pairs]) -> Pairs:
    if not parts:
        return _no_pairs()
    return Pairs(
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.track for part in parts]),
        np.concatenate([part.east for part in parts]),
        np.concatenate([part.north for part in parts]),
        np.concatenate([part.distance for part in parts]),
    )


def _no_pairs() -> Pairs:
    nothing = np.zeros(0)
    return Pairs(nothing.astype(np.int64), nothing.astype(np.int64), nothing, nothing, nothing)
