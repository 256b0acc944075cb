from dataclasses import replace

import msgspec
import naive_picture as naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import booleans, floats, integers
from numpy.testing import assert_allclose, assert_array_equal
from seen_tracks import report

from skypact.benchmarks.fusion import FusionScores, fall_from_plots, share_tracks, three_centres
from skypact.exchange.correlation import Correlator
from skypact.exchange.fusion import FusedReport, Source, fuse
from skypact.exchange.kernels import fuse_states
from skypact.exchange.numbers import NumberBook
from skypact.simulation.scenario import Scenario, read_scenario

ADDRESS = 0x123456  # binds at the first look


def fused_from(own, partners, now, correlator=None, plots_shared=()) -> FusedReport:
    correlation = (correlator or Correlator()).update(own, partners, now)
    numbers = NumberBook(own.centre).update(correlation, {})
    return fuse(correlation, numbers, plots_shared)


def seen(centre, time=100.0, east=0.0, **columns):
    return report(centre, time, [east], address=ADDRESS, **columns)


def position_sigma(fused: FusedReport) -> float:
    return float(np.sqrt(fused.tracks.covariance[0, 0, 0]))


@pytest.mark.kernels
@given(
    seed=integers(0, 2**32 - 1), in_doubt=booleans(), apart=floats(0.0, 5.0), correlation=floats(0.0, 0.95)
)
def test_a_fused_state_matches_the_naive_twin(seed, in_doubt, apart, correlation):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(2, 4, 4)) * np.array([100.0, 100.0, 10.0, 10.0])[:, np.newaxis]
    one, other = factors @ factors.transpose(0, 2, 1) + np.diag([400.0, 400.0, 4.0, 4.0])
    difference = apart * rng.normal(size=4) * [100.0, 100.0, 10.0, 10.0]
    step, fused = fuse_states(
        difference[np.newaxis], one[np.newaxis], other[np.newaxis], np.array([in_doubt]), correlation
    )
    expected_step, expected = naive.fuse(difference, one, other, in_doubt, correlation)
    assert_allclose(step[0], expected_step, rtol=1e-6, atol=1e-6)
    assert_allclose(fused[0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.kernels
def test_a_covariance_that_is_none_leaves_the_first_estimate_as_it_is():
    good, bad = np.eye(4)[np.newaxis], np.zeros((1, 4, 4))
    step, fused = fuse_states(np.ones((1, 4)), good, bad, np.array([False]), 0.5)
    assert_array_equal(step, np.zeros((1, 4)))
    assert_array_equal(fused, good)


def test_disjoint_lineages_are_fused_to_less_than_either_error():
    fused = fused_from(seen("ALPHA"), {"BRAVO": seen("BRAVO", east=40.0)}, 100.0)
    assert fused.source.tolist() == [Source.FUSED]
    assert fused.centres == ("ALPHA", "BRAVO")
    assert fused.centre_bits.tolist() == [0b11]
    assert fused.age.tolist() == [0.0]
    assert 25.0 < position_sigma(fused) < 48.0
    east = (fused.tracks.longitude[0] - 0.1) * 6_371_000.0 * np.cos(0.7)
    assert east == pytest.approx(20.0, abs=1.0)
    names = [
        name
        for bit, name in enumerate(fused.tracks.sensor_names)
        if int(fused.tracks.sensors[0, 0]) >> bit & 1
    ]
    assert names == ["ALPHA/1", "BRAVO/1"]


def test_both_sides_see_the_same_state_whoever_is_first():
    alpha, bravo = seen("ALPHA", sigma=80.0), seen("BRAVO", east=40.0)
    one, other = fused_from(alpha, {"BRAVO": bravo}, 100.0), fused_from(bravo, {"ALPHA": alpha}, 100.0)
    for name in ("latitude", "longitude", "velocity", "covariance", "existence"):
        assert_array_equal(getattr(one.tracks, name), getattr(other.tracks, name))


def test_overlapping_lineages_are_intersected_and_never_surer_than_the_better_one():
    shared = {"sensor_names": ("BRAVO/1",)}
    fused = fused_from(seen("ALPHA", **shared), {"BRAVO": seen("BRAVO", **shared)}, 100.0)
    assert fused.source.tolist() == [Source.INTERSECTED]
    assert position_sigma(fused) == pytest.approx(50.0, rel=1e-6)


def test_shared_plots_stay_in_doubt_after_the_fall_until_the_memory_has_faded():
    correlator = Correlator()
    names = ("ALPHA/1", "BRAVO/1")
    sources = []
    for time in range(100, 280, 4):
        is_shared = time < 120
        own = seen("ALPHA", time, sensor_names=names, sensors=3 if is_shared else 1)
        partner = seen("BRAVO", time, sensor_names=names, sensors=3 if is_shared else 2)
        shared = ["BRAVO"] if is_shared else []
        sources.append((time, fused_from(own, {"BRAVO": partner}, time, correlator, shared).source[0]))
    assert {source for time, source in sources if time < 120} == {Source.OWN}
    assert {source for time, source in sources if 120 <= time < 176} == {Source.INTERSECTED}
    assert {source for time, source in sources if time > 240} == {Source.FUSED}


def test_a_third_partner_that_had_our_plots_is_in_doubt_and_one_that_had_not_is_not():
    own, bravo = seen("ALPHA"), seen("BRAVO")
    free = fused_from(own, {"BRAVO": bravo, "CHARLIE": seen("CHARLIE")}, 100.0)
    assert free.source.tolist() == [Source.FUSED]
    tainted = seen("CHARLIE", sensor_names=("BRAVO/1",))
    assert fused_from(own, {"BRAVO": bravo, "CHARLIE": tainted}, 100.0).source.tolist() == [
        Source.INTERSECTED
    ]


def test_where_plots_are_shared_the_own_state_stands_and_partners_only_tracks_still_show():
    own, partner = seen("ALPHA"), report("BRAVO", 100.0, [10.0, 90_000.0], address=[ADDRESS, 5])
    fused = fused_from(own, {"BRAVO": partner}, 100.0, plots_shared=["BRAVO"])
    assert fused.source.tolist() == [Source.OWN, Source.PARTNER]
    assert fused.centre_bits.tolist() == [0b11, 0b10]
    assert fused.tracks.longitude[0] == own.longitude[0]
    assert np.isnan(fused.age[0])


def test_a_partners_track_moves_on_ages_and_grows_uncertain_without_reports():
    correlator = Correlator()
    own, partner = report("ALPHA", 100.0, []), report("BRAVO", 100.0, [0.0], velocity=(200.0, 0.0))
    pictures = [
        fused_from(replace(own, time=now), {"BRAVO": partner}, now, correlator)
        for now in (100.0, 105.0, 115.0, 130.0, 131.0)
    ]
    assert [len(picture) for picture in pictures] == [1, 1, 1, 1, 0]
    alive = pictures[:4]
    assert [picture.age[0] for picture in alive] == [0.0, 5.0, 15.0, 30.0]
    assert {picture.source[0] for picture in alive} == {Source.PARTNER}
    sigmas = [position_sigma(picture) for picture in alive]
    assert sigmas == sorted(sigmas) and sigmas[-1] > 500.0
    flown = (alive[3].tracks.longitude[0] - alive[0].tracks.longitude[0]) * 6_387_000.0 * np.cos(0.7)
    assert flown == pytest.approx(6_000.0, rel=0.01)


def test_two_estimates_that_contradict_each_other_make_the_fused_one_less_sure():
    near = fused_from(seen("ALPHA"), {"BRAVO": seen("BRAVO")}, 100.0)
    far = fused_from(seen("ALPHA"), {"BRAVO": seen("BRAVO", east=600.0)}, 100.0)
    assert position_sigma(far) > 2.0 * position_sigma(near)


def test_what_is_withheld_is_taken_from_who_gives_it():
    own = seen("ALPHA", altitude=np.nan, squawk=-1)
    partner = seen("BRAVO", altitude=3_000.0, squawk=0o1234, velocity=(np.nan, np.nan), callsign=77)
    fused = fused_from(own, {"BRAVO": partner}, 100.0)
    assert fused.tracks.altitude.tolist() == [3_000.0]
    assert fused.tracks.squawk.tolist() == [0o1234]
    assert fused.tracks.callsign.tolist() == [77]
    assert_allclose(fused.tracks.velocity[0, :2], [200.0, 0.0], atol=20.0)
    assert np.isfinite(fused.tracks.covariance).all()


def test_simulated_tracks_stay_marked_when_they_are_fused():
    fused = fused_from(seen("ALPHA", is_simulated=True), {"BRAVO": seen("BRAVO", is_simulated=True)}, 100.0)
    assert fused.tracks.is_simulated.tolist() == [True]


def short(seconds: int) -> Scenario:
    return msgspec.structs.replace(read_scenario("standard"), duration_s=seconds)


@pytest.mark.parametrize(
    "mode, seconds", [(share_tracks, 180), (three_centres, 180), (fall_from_plots, 361)], ids=lambda p: str(p)
)
def test_the_fused_picture_is_as_honest_as_the_trackers_and_closer_to_the_truth(mode, seconds):
    scores: FusionScores = mode(short(seconds), 1)
    before = np.mean([one.anees for one in scores.unfused])
    assert scores.fused.anees <= 1.1 * before
    assert scores.fused.rmse < 0.8 * np.mean([one.rmse for one in scores.unfused])
    assert scores.together.completeness > scores.alone.completeness + 0.05
    assert scores.together.ambiguity < 1.05
