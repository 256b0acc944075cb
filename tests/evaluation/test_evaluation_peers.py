"""The scores beside other implementations: Stone Soup's metrics, and brute force."""

from datetime import UTC, datetime
from itertools import permutations

import numpy as np
import pytest
from evaluation_helpers import START, flight, tracks_of, truth_of
from hypothesis import given, settings
from hypothesis.strategies import integers
from pytest import approx
from stonesoup.measures import Euclidean
from stonesoup.metricgenerator.manager import MultiManager
from stonesoup.metricgenerator.ospametric import GOSPAMetric
from stonesoup.metricgenerator.tracktotruthmetrics import SIAPMetrics
from stonesoup.types.association import AssociationSet, TimeRangeAssociation
from stonesoup.types.groundtruth import GroundTruthPath, GroundTruthState
from stonesoup.types.state import State
from stonesoup.types.time import TimeRange
from stonesoup.types.track import Track

from skypact.evaluation.matching import match, one_to_one
from skypact.evaluation.scores import score_matching

SECONDS = 40
GATE = 2000.0


def moment(second):
    return datetime.fromtimestamp(START + second, UTC)


def scene(seed):
    """Aircraft some gates apart, tracks with noise, holes, duplicates and false ones: rows of both."""
    rng = np.random.default_rng(seed)
    truth, tracks = [], []
    for target in range(4):
        begin, end = rng.integers(0, 8), rng.integers(30, SECONDS + 1)
        rows = flight(
            target, range(begin, end), rng.uniform(-9e3, 9e3), rng.uniform(-9e3, 9e3), rng.uniform(-90, 90)
        )
        truth += rows
        number = 10 * target
        for second, _, east, north in rows:
            if rng.random() < 0.03:
                number += 1
            if rng.random() < 0.9:
                tracks.append((second, number, east + rng.normal(0, 300), north + rng.normal(0, 300)))
            if target == 0 and second > 20:
                tracks.append((second, 100, east + rng.normal(0, 300), north + rng.normal(0, 300)))
    tracks += flight(200, range(5, 25), 30_000.0)
    return truth, tracks


def paths(rows, path_type, state_type):
    numbers = {}
    for second, number, east, north in sorted(rows):
        vector = [east, 0.0, north, 0.0]
        numbers.setdefault(number, []).append(state_type(vector, timestamp=moment(second)))
    return {number: path_type(states) for number, states in numbers.items()}


def siap_of(truth_rows, track_rows, truth, tracks, matching, slack):
    """Stone Soup's SIAP metrics of our ownership; its generator, manager and values by title.

    `slack` s are added to the end of each stretch: one picture alone has no duration in Stone Soup.
    """
    truths = paths(truth_rows, GroundTruthPath, GroundTruthState)
    followed = paths(track_rows, Track, State)
    siap = SIAPMetrics(position_measure=Euclidean((0, 2)), velocity_measure=Euclidean((1, 3)))
    manager = MultiManager([siap])
    manager.add_data({"groundtruth_paths": set(truths.values()), "tracks": set(followed.values())})
    seconds = {}
    for t, k in zip(matching.owned.truth, matching.owned.track, strict=True):
        key = int(truth.names[truth.target[t]]), int(tracks.names[tracks.track[k]])
        seconds.setdefault(key, []).append(round(truth.time[t] - START))
    made = set()
    for (target, number), times in seconds.items():
        for run in np.split(times, np.flatnonzero(np.diff(times) > 1) + 1):
            span = TimeRange(moment(int(run[0])), moment(int(run[-1]) + slack))
            made.add(TimeRangeAssociation({truths[target], followed[number]}, span))
    manager.association_set = AssociationSet(made)
    return {metric.title: metric.value for metric in siap.compute_metric(manager)}


@pytest.mark.parametrize("seed", range(4))
def test_siap_agrees_with_stone_soup(tmp_path, seed):
    truth_rows, track_rows = scene(seed)
    truth, tracks = truth_of(tmp_path, truth_rows), tracks_of(tmp_path, track_rows)
    matching = match(truth, tracks)
    ours = score_matching(truth, tracks, matching)
    theirs = siap_of(truth_rows, track_rows, truth, tracks, matching, 1e-3)
    assert ours.completeness == approx(theirs["SIAP Completeness"])
    assert ours.ambiguity == approx(theirs["SIAP Ambiguity"])
    assert ours.spuriousness == approx(theirs["SIAP Spuriousness"])
    assert ours.position_accuracy == approx(theirs["SIAP Position Accuracy"], rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_gospa_agrees_with_stone_soup(tmp_path, seed):
    truth_rows, track_rows = scene(seed)
    truth, tracks = truth_of(tmp_path, truth_rows), tracks_of(tmp_path, track_rows)
    ours = score_matching(truth, tracks, match(truth, tracks)).gospa
    truths, followed = paths(truth_rows, GroundTruthPath, GroundTruthState), paths(track_rows, Track, State)
    gospa = GOSPAMetric(p=2, c=GATE, measure=Euclidean((0, 2)))
    manager = MultiManager([gospa])
    manager.add_data({"groundtruth_paths": set(truths.values()), "tracks": set(followed.values())})
    each = [metric.value for metric in gospa.compute_metric(manager).value]
    count = len(truth_rows)
    for name in ("localisation", "missed", "false"):
        assert getattr(ours, name) == approx(sum(value[name] for value in each) / count, rel=1e-4), name
    assert ours.total == approx(np.sqrt(sum(value["distance"] ** 2 for value in each) / count), rel=1e-4)


def test_continuity_agrees_with_stone_soup_where_no_track_has_holes(tmp_path):
    truth_rows = flight(1, range(41)) + flight(2, range(41), 20_000.0)
    track_rows = flight(7, range(20)) + flight(8, range(15, 31)) + flight(9, range(30, 41))
    track_rows += flight(5, range(3, 41), 20_000.0)
    truth, tracks = truth_of(tmp_path, truth_rows), tracks_of(tmp_path, track_rows)
    matching = match(truth, tracks)
    ours = score_matching(truth, tracks, matching)
    theirs = siap_of(truth_rows, track_rows, truth, tracks, matching, 0)
    # We count pictures, Stone Soup the time between the first and the last: one less for each target.
    changes = theirs["SIAP Rate of Track Number Change"]
    assert ours.number_change_rate * (41 + 38) == approx(changes * (40 + 37)) == approx(2.0)
    longest = theirs["SIAP Longest Track Segment"]
    assert ours.longest_segment * 82 - 2 == approx(longest * 80) == approx(19 + 37)


@settings(max_examples=60, deadline=None)
@given(seed=integers(0, 2**32 - 1), left=integers(1, 5), right=integers(1, 5))
def test_the_assignment_is_the_best_of_all(seed, left, right):
    rng = np.random.default_rng(seed)
    table = rng.uniform(0.0, 4000.0, (left, right))
    i, j = np.nonzero(table < GATE)
    rows = one_to_one(i, j, table[i, j], np.full(len(i), GATE))
    assert len(np.unique(i[rows])) == len(rows) == len(np.unique(j[rows]))
    ours = (table[i[rows], j[rows]] ** 2 - GATE**2).sum()
    padded = np.full((left, right + left), GATE)
    padded[:, :right] = np.minimum(table, GATE)
    best = min(
        sum(padded[row, column] ** 2 - GATE**2 for row, column in enumerate(columns))
        for columns in permutations(range(right + left), left)
    )
    assert ours == approx(best)
