import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from evaluation_helpers import flight, tracks_of, truth_of, write
from pytest import approx
from typer.testing import CliRunner

from skypact.cli import app
from skypact.core.errors import BadInputError
from skypact.evaluation.read import read_tracks, read_truth
from skypact.evaluation.scores import score

MINUTE = range(60)


def scored(tmp_path, truth, tracks, truth_extra=None, **tracks_extra):
    return score(
        truth_of(tmp_path, truth, **(truth_extra or {})), tracks_of(tmp_path, tracks, **tracks_extra)
    )


def test_perfect_tracks_get_the_best_scores(tmp_path):
    truth = flight(1, MINUTE) + flight(2, MINUTE, 50_000.0, speed=200.0)
    scores = scored(tmp_path, truth, truth)
    assert (scores.completeness, scores.ambiguity, scores.spuriousness) == (1.0, 1.0, 0.0)
    assert scores.position_accuracy == scores.rmse == scores.gospa.total == approx(0.0, abs=1e-6)
    assert (scores.number_change_rate, scores.longest_segment) == (0.0, 1.0)
    assert (scores.breaks_per_hour, scores.swaps_per_hour) == (0.0, 0.0)
    assert (scores.targets, scores.tracks) == (2, 2)


def test_no_tracks_at_all_miss_every_target(tmp_path):
    truth = truth_of(tmp_path, flight(1, MINUTE))
    none = pa.table({name: pa.array([], pa.float64()) for name in ("time", "latitude_deg", "longitude_deg")})
    none = none.append_column("track", pa.array([], pa.int64()))
    pq.write_table(none, tmp_path / "none.parquet")
    scores = score(truth, read_tracks(tmp_path / "none.parquet"))
    assert (scores.completeness, scores.ambiguity, scores.spuriousness) == (0.0, 1.0, 0.0)
    assert scores.gospa.total == approx(2000.0 / np.sqrt(2.0))
    assert np.isnan(scores.rmse)


def test_a_constant_error_is_the_error_of_every_figure(tmp_path):
    scores = scored(
        tmp_path, flight(1, MINUTE), flight(7, MINUTE, 300.0, 400.0),
        {"vx": 100.0, "vy": 0.0}, vx=103.0, vy=4.0, sigma_x=500.0, sigma_y=500.0, covariance_xy=0.0,
    )  # fmt: skip
    assert [scores.position_accuracy, scores.rmse, scores.median_error] == approx([500.0] * 3, rel=1e-6)
    assert scores.velocity_accuracy == approx(5.0)
    assert scores.gospa.localisation == approx(250_000.0, rel=1e-6)
    assert scores.anees == approx(0.5, rel=1e-6)


def test_the_covariance_of_east_and_north_counts_in_anees(tmp_path):
    scores = scored(
        tmp_path, flight(1, MINUTE), flight(7, MINUTE, 100.0, 100.0),
        sigma_x=100.0, sigma_y=100.0, covariance_xy=5_000.0,
    )  # fmt: skip
    error, covariance = np.array([100.0, 100.0]), np.array([[1e4, 5e3], [5e3, 1e4]])
    assert scores.anees == approx(error @ np.linalg.solve(covariance, error) / 2.0, rel=1e-6)


def test_a_gap_longer_than_two_scans_is_a_break(tmp_path):
    truth, scan = flight(1, range(120)), {"scan": 5.0}
    tracked = [second for second in range(10, 120) if not 40 <= second < 51]
    scores = scored(tmp_path, truth, flight(7, tracked), scan)
    hours = 110 / 3600.0  # counted from two scans after it was first covered
    assert scores.breaks_per_hour == approx(1.0 / hours)
    assert scores.completeness == approx(99 / 110)
    assert scores.longest_segment == approx(99 / 110)
    assert scores.number_change_rate == 0.0


def test_a_gap_of_two_scans_is_no_break(tmp_path):
    tracked = [second for second in range(10, 120) if not 40 <= second < 50]
    scores = scored(tmp_path, flight(1, range(120)), flight(7, tracked), {"scan": 5.0})
    assert scores.breaks_per_hour == 0.0


def test_a_late_start_is_no_break_but_a_lost_end_is(tmp_path):
    late = scored(tmp_path, flight(1, range(120)), flight(7, range(60, 120)), {"scan": 5.0})
    lost = scored(tmp_path, flight(1, range(120)), flight(7, range(60)), {"scan": 5.0})
    assert late.breaks_per_hour == 0.0
    assert lost.breaks_per_hour == approx(1.0 / (110 / 3600.0))


def test_a_new_number_is_a_number_change(tmp_path):
    scores = scored(tmp_path, flight(1, MINUTE), flight(7, range(30)) + flight(8, range(30, 60)))
    assert scores.number_change_rate == approx(1.0 / 60.0)
    assert scores.longest_segment == approx(0.5)
    assert scores.swaps_per_hour == 0.0


def test_tracks_that_overlap_need_the_fewest_numbers(tmp_path):
    tracks = flight(7, range(30)) + flight(8, range(10, 45)) + flight(9, range(40, 60))
    scores = scored(tmp_path, flight(1, MINUTE), tracks)
    assert scores.number_change_rate == approx(2.0 / 60.0)
    assert scores.ambiguity == approx((30 + 35 + 20) / 60.0)


def test_a_second_track_on_a_target_is_ambiguity_not_spuriousness(tmp_path):
    scores = scored(tmp_path, flight(1, MINUTE), flight(7, MINUTE) + flight(8, range(30), 500.0))
    assert scores.ambiguity == approx(1.5)
    assert scores.spuriousness == 0.0
    assert scores.gospa.false == approx(2000.0**2 / 2.0 * 30 / 60)


def test_tracks_that_follow_the_other_aircraft_after_a_crossing_have_swapped(tmp_path):
    east = flight(1, MINUTE, -9_000.0, speed=300.0)
    west = flight(2, MINUTE, 9_000.0, speed=-300.0)
    right = scored(tmp_path, east + west, east + west)
    assert right.swaps_per_hour == 0.0
    assert right.number_change_rate == 0.0
    bounced = [(second, 1, -9_000.0 + 300.0 * min(second, 60 - second), 0.0) for second in MINUTE]
    back = [(second, 2, 9_000.0 - 300.0 * min(second, 60 - second), 0.0) for second in MINUTE]
    swapped = scored(tmp_path, east + west, bounced + back)
    assert swapped.swaps_per_hour == approx(2.0 / (120 / 3600.0))
    assert swapped.number_change_rate > 0.0
    assert swapped.completeness > 0.9


def test_noise_near_another_aircraft_is_no_swap(tmp_path):
    rng = np.random.default_rng(1)
    truth = flight(1, MINUTE) + flight(2, MINUTE, 400.0)
    noisy = [(second, number, east + rng.normal(0, 250), north) for second, number, east, north in truth]
    assert scored(tmp_path, truth, noisy).swaps_per_hour == 0.0


def test_a_track_far_from_all_is_clutter_and_one_whose_target_is_gone_is_ended(tmp_path):
    truth = flight(1, MINUTE) + flight(2, range(30), 50_000.0)
    tracks = flight(7, MINUTE) + flight(8, range(40), 50_000.0) + flight(9, range(6), -50_000.0)
    scores = scored(tmp_path, truth, tracks)
    shown = 60 + 40 + 6
    assert scores.spuriousness_ended == approx(10 / shown)
    assert scores.spuriousness_clutter == approx(6 / shown)
    assert scores.spuriousness == approx(16 / shown)
    assert scores.gospa.false == approx(16 * 2e6 / 90)


def test_a_track_that_leaves_its_living_target_is_clutter(tmp_path):
    strays = flight(7, range(30)) + [(second, 7, 100.0 * second, 0.0) for second in range(30, 60)]
    scores = scored(tmp_path, flight(1, MINUTE), strays)
    assert scores.spuriousness_clutter == approx(30 / 60)
    assert scores.spuriousness_ended == 0.0


def test_a_truth_counts_from_two_scans_after_it_was_first_covered(tmp_path):
    seconds = np.arange(60)
    covered = {"covered": np.where((seconds >= 10) & (seconds < 50), 2, 0), "scan": 4.0}
    scores = scored(tmp_path, flight(1, MINUTE), flight(7, range(30, 60)), covered)
    assert scores.completeness == approx(20 / 32)  # counted from 18 to 49
    assert scores.spuriousness == 0.0  # the uncovered target still owns its track
    assert scores.gospa.false == 0.0


def test_a_track_of_a_target_that_left_cover_has_ended_once_it_strays(tmp_path):
    seconds = np.arange(60)
    covered = {"covered": (seconds < 30).astype(int)}
    turned = flight(1, range(30)) + [(second, 1, 0.0, 200.0 * (second - 30)) for second in range(30, 60)]
    scores = scored(tmp_path, turned, flight(7, MINUTE), covered)
    assert scores.spuriousness_ended == approx(20 / 50)
    assert scores.spuriousness_clutter == 0.0


def test_drones_have_a_gate_of_fifty_metres(tmp_path):
    truth = flight(1, MINUTE) + flight(2, MINUTE, 1_000.0)
    tracks = flight(7, MINUTE, 40.0) + flight(8, MINUTE, 1_060.0)
    scores = scored(tmp_path, truth, tracks, {"kind": "drone"})
    assert scores.completeness == approx(0.5)
    assert scores.gospa.missed == approx(50.0**2 / 2.0 / 2.0)
    assert scores.gospa.false == approx(50.0**2 / 2.0 / 2.0)


def test_height_parts_tracks_only_where_both_have_one(tmp_path):
    truth, track = flight(1, MINUTE), flight(7, MINUTE)
    far = scored(tmp_path, truth, track, {"height": 9_000.0}, height=3_000.0)
    unknown = scored(tmp_path, truth, track, {"height": 9_000.0}, height=np.nan)
    assert (far.completeness, unknown.completeness) == (0.0, 1.0)


def test_pictures_every_five_seconds_are_scored_at_their_own_times(tmp_path):
    scores = scored(tmp_path, flight(1, MINUTE), flight(7, range(0, 60, 5)))
    assert scores.completeness == 1.0
    assert scores.longest_segment == 1.0


def test_scores_do_not_depend_on_the_order_of_rows(tmp_path):
    truth = flight(1, MINUTE) + flight(2, MINUTE, 1_500.0, speed=10.0)
    tracks = flight(7, MINUTE, 200.0) + flight(8, range(20, 60), 1_700.0, speed=10.0)
    rng = np.random.default_rng(2)
    shuffled = [[rows[n] for n in rng.permutation(len(rows))] for rows in (truth, tracks)]
    mixed = scored(tmp_path, *shuffled)
    assert mixed == scored(tmp_path, truth, tracks)


def test_targets_across_the_date_line_are_near_each_other(tmp_path):
    columns = {"time": [0.0], "latitude_deg": [10.0], "height": [0.0]}
    pq.write_table(pa.table(columns | {"target": [1], "longitude_deg": [179.9999]}), tmp_path / "truth")
    pq.write_table(pa.table(columns | {"track": [1], "longitude_deg": [-179.9999]}), tmp_path / "tracks")
    truth = read_truth(tmp_path / "truth")
    assert not truth.is_counted.any()  # its assumed scan of 10 s is not over
    truth.is_counted[:] = True
    assert score(truth, read_tracks(tmp_path / "tracks")).rmse == approx(21.93, abs=0.05)


@pytest.mark.parametrize("lacking", ["time", "track", "latitude_deg", "longitude_deg"])
def test_a_missing_column_is_named(tmp_path, lacking):
    path = write(tmp_path / "tracks.parquet", flight(7, range(3)))
    pq.write_table(pq.read_table(path).drop_columns(lacking), path)
    with pytest.raises(BadInputError, match=f"lacks the column {lacking}"):
        read_tracks(path)


def test_a_row_without_position_is_refused(tmp_path):
    path = write(tmp_path / "tracks.parquet", [(0, 7, 0.0, 0.0), (1, 7, np.nan, 0.0)])
    with pytest.raises(BadInputError, match="1 rows without time or position, first row 1"):
        read_tracks(path)


def test_the_command_prints_one_document_with_the_agreed_keys(tmp_path):
    truth = write(tmp_path / "truth.parquet", flight(1, MINUTE), covered=1, scan=0.0, kind="jet")
    tracks, page = write(tmp_path / "tracks.parquet", flight(7, MINUTE, 100.0)), tmp_path / "page.html"
    arguments = ["evaluate", str(tracks), "--truth", str(truth), "--html", str(page)]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0
    scores = json.loads(result.stdout)
    assert list(scores) == [
        "completeness", "ambiguity", "spuriousness", "spuriousness_clutter", "spuriousness_ended",
        "position_accuracy", "velocity_accuracy", "number_change_rate", "longest_segment", "breaks_per_hour",
        "swaps_per_hour", "rmse", "median_error", "gospa", "anees", "targets", "tracks",
    ]  # fmt: skip
    assert list(scores["gospa"]) == ["total", "localisation", "missed", "false"]
    assert scores["velocity_accuracy"] == 0.0
    assert scores["anees"] is None
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 3
    assert "http-equiv" not in text
    assert "<script" not in text
    table = CliRunner().invoke(app, arguments)
    assert table.exit_code == 0
    assert "completeness" in table.stdout
