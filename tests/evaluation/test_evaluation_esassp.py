import numpy as np
from evaluation_helpers import flight, tracks_of, truth_of
from pytest import approx

from skypact.evaluation.esassp import esassp_figures
from skypact.evaluation.matching import match


def figures(tmp_path, truth_rows, track_rows, **truth_extra):
    truth, tracks = truth_of(tmp_path, truth_rows, **truth_extra), tracks_of(tmp_path, track_rows)
    return esassp_figures(truth, tracks, match(truth, tracks))


def test_updates_are_expected_once_a_scan(tmp_path):
    # Counted from 10 to 109: twenty scans of 5 s, of which 10-14, 15-19 and 40-64 have no track.
    tracked = [second for second in range(20, 110) if not 40 <= second < 65]
    found = figures(tmp_path, flight(1, range(110)), flight(7, tracked), scan=5.0)
    assert found.probability_of_update == approx(13 / 20)
    assert found.long_gap_ratio == approx(5 / 20)


def test_a_track_that_lags_has_latency_and_no_error_across(tmp_path):
    truth = flight(1, range(60), speed=200.0)
    late = flight(7, range(60), -300.0, 40.0, speed=200.0)
    found = figures(tmp_path, truth, late, vx=200.0, vy=0.0)
    assert found.latency == approx(1.5, rel=1e-4)
    assert found.along_rms == approx(300.0, rel=1e-4)
    assert found.across_rms == approx(40.0, rel=1e-4)
    assert found.error_95 == approx(np.hypot(300.0, 40.0), rel=1e-4)


def test_only_a_track_that_was_never_anybodys_and_lasts_is_false(tmp_path):
    truth = flight(1, range(3600))
    short = flight(8, range(5), 30_000.0)
    lasting = flight(9, range(40), 60_000.0)
    strayed = flight(7, range(100)) + flight(7, range(100, 200), -30_000.0)
    found = figures(tmp_path, truth, short + lasting + strayed)
    assert found.false_tracks_per_hour == approx(1.0)


def test_a_target_that_hovers_has_no_direction(tmp_path):
    found = figures(tmp_path, flight(1, range(20)), flight(7, range(20), 10.0), vx=0.0, vy=0.0)
    assert np.isnan(found.latency)
    assert found.error_95 == approx(10.0, rel=1e-4)
