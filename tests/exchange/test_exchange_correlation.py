from dataclasses import replace
from functools import partial

import naive_picture as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers
from numpy.testing import assert_allclose
from seen_tracks import random_report, report

from skypact.exchange.correlation import GATE, Correlation, Correlator, sighted_tracks
from skypact.exchange.extrapolation import extrapolate_report
from skypact.exchange.kernels import (
    ACCELERATION_NOISE,
    assign_pairs,
    earliest_offers,
    find_candidates,
    find_rows,
    group_members,
    move_bits,
)
from skypact.exchange.model import TrackReport

pytestmark = pytest.mark.kernels
seeds = integers(0, 2**32 - 1)


def sighted(tracks: TrackReport):
    return sighted_tracks(partial(getattr, tracks))


# ---- kernels and their twins


@given(seed=seeds, ones=integers(0, 12), others=integers(0, 12))
@settings(max_examples=60)
def test_candidates_match_the_naive_twin(seed, ones, others):
    rng = np.random.default_rng(seed)
    one, other = random_report(rng, ones, 3000.0), random_report(rng, others, 3000.0)
    pairs, values = find_candidates(
        sighted(one), sighted(other), np.ones(ones, np.bool_), np.ones(others, np.bool_), GATE
    )
    expected = {
        (i, j): found
        for i in range(ones)
        for j in range(others)
        if (found := naive.compare(one, i, other, j, GATE)) is not None and found[1] > 0.0
    }
    assert [tuple(pair) for pair in pairs] == sorted(expected)
    for pair, value in zip(pairs, values, strict=True):
        assert_allclose(value, expected[tuple(pair)], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("origin", [(0.7, np.pi), (1.565, 2.0), (-1.2, -np.pi)])
def test_pairs_are_found_across_the_antimeridian_and_near_the_poles(origin):
    one = report("ALPHA", 100.0, [-40.0, 300_000.0], origin=origin)
    other = report("BRAVO", 100.0, [40.0, -300_000.0], origin=origin)
    every = np.ones(2, np.bool_)
    pairs, _ = find_candidates(sighted(one), sighted(other), every, every, GATE)
    assert pairs.tolist() == [[0, 0]]


@given(seed=seeds, ones=integers(1, 10), others=integers(1, 10))
def test_the_assignment_is_as_good_as_the_best_but_for_its_step(seed, ones, others):
    rng = np.random.default_rng(seed)
    linked = np.ascontiguousarray(np.argwhere(rng.random((ones, others)) < 0.4))
    ratio = rng.uniform(-5.0, 20.0, len(linked))
    chosen, margin = assign_pairs(linked, ratio, ones, others, 0.02)
    picked = linked[chosen]
    assert len(set(picked[:, 0])) == len(set(picked[:, 1])) == len(picked)
    best = naive.best_sum(linked, ratio, ones, others)
    assert best - 0.02 * ones <= ratio[chosen].sum() <= best + 1e-9
    # No exchange costs less than the best of all changes; with two tracks a side there is no other change.
    for q in np.flatnonzero(chosen):
        without = np.delete(np.arange(len(linked)), q)
        gap = best - naive.best_sum(linked[without], ratio[without], ones, others)
        assert margin[q] >= gap - 0.02 * ones - 1e-9
        if max(ones, others) <= 2:
            assert abs(margin[q] - gap) <= 0.02 * ones + 1e-9


def test_a_pair_is_no_surer_than_two_others_that_would_replace_it():
    pairs = np.array([[0, 0], [0, 1], [1, 0]])
    chosen, margin = assign_pairs(pairs, np.array([10.0, 6.0, 3.5]), 2, 2, 0.02)
    assert chosen.tolist() == [True, False, False]
    assert margin[0] == pytest.approx(0.5)


@given(seed=seeds, known=integers(0, 40), width=integers(1, 4))
def test_rows_are_found_by_their_keys(seed, known, width):
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, 3, (known, width)).astype(np.uint64) << np.uint64(34)
    asked = rng.integers(0, 3, (20, width)).astype(np.uint64) << np.uint64(34)
    places: dict[tuple, int] = {}
    for row, key in enumerate(keys):
        places.setdefault(tuple(key), row)
    assert find_rows(keys, asked).tolist() == [places.get(tuple(key), -1) for key in asked]


@given(seed=seeds, sensors=integers(1, 130))
def test_bits_move_to_their_places(seed, sensors):
    rng = np.random.default_rng(seed)
    places = rng.permutation(sensors + 5)[:sensors]
    sets = [set(np.flatnonzero(rng.random(sensors) < 0.3).tolist()) for _ in range(4)]
    words = -(-sensors // 64)
    bits = np.array(
        [[sum(1 << (s % 64) for s in one if s // 64 == w) for w in range(words)] for one in sets], np.uint64
    )
    moved = move_bits(bits, places, -(-(sensors + 5) // 64))
    for one, row in zip(sets, moved, strict=True):
        found = {64 * w + b for w, word in enumerate(row.tolist()) for b in range(64) if word >> b & 1}
        assert found == {int(places[s]) for s in one}


@given(seed=seeds, centres=integers(1, 4))
def test_groups_hold_every_track_once_and_one_of_a_centre_at_most(seed, centres):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 6, centres)
    edges = []
    for _ in range(rng.integers(0, 12) if centres > 1 else 0):
        c, d = rng.choice(centres, 2, replace=False)
        edges.append((c, rng.integers(counts[c]), d, rng.integers(counts[d])))
    members = group_members(counts, np.array(edges, np.int64).reshape(-1, 4))
    for c in range(centres):
        assert sorted(row for row in members[:, c] if row >= 0) == list(range(counts[c]))
    assert members[: counts[0], 0].tolist() == list(range(counts[0]))
    # The first edge always holds.
    if edges:
        c, i, d, j = edges[0]
        assert any(row[c] == i and row[d] == j for row in members)


@given(seed=seeds)
def test_the_earliest_offer_wins_then_the_name_that_comes_first(seed):
    rng = np.random.default_rng(seed)
    group, name = rng.integers(0, 4, 15), rng.integers(0, 3, 15)
    number, numbered = rng.integers(1, 4, 15), rng.integers(0, 3, 15).astype(float)
    rank = rng.permutation(3)
    key = (name.astype(np.uint64) << np.uint64(32)) | number.astype(np.uint64)
    best = earliest_offers(group, key, numbered, rank, 5)
    for g in range(5):
        rows = [n for n in range(15) if group[n] == g]
        expected = min(((numbered[n], rank[name[n]], key[n]) for n in rows), default=None)
        found = best[g]
        assert (expected is None) == (found < 0)
        assert expected is None or expected == (numbered[found], rank[name[found]], key[found])


@given(seed=seeds, elapsed=integers(-5, 30))
def test_extrapolation_matches_the_naive_twin_and_flies_straight(seed, elapsed):
    rng = np.random.default_rng(seed)
    before = random_report(rng, 4, 10_000.0)
    before.velocity[np.isnan(before.velocity)] = 70.0
    before.height[:] = 0.0
    after = extrapolate_report(before, before.time + elapsed)
    speed = np.hypot(before.velocity[:, 0], before.velocity[:, 1])
    for n in range(4):
        expected = naive.extrapolate(before.covariance[n], speed[n], elapsed, ACCELERATION_NOISE)
        assert_allclose(after.covariance[n], expected, rtol=1e-9, atol=1e-6)
    north = (after.latitude - before.latitude) * 6_367_000.0
    assert_allclose(north, before.velocity[:, 1] * elapsed, rtol=0.01, atol=1.0)


def test_a_track_whose_velocity_is_withheld_stays_and_grows_uncertain():
    before = report("BRAVO", 100.0, [0.0], velocity=(np.nan, np.nan))
    after = extrapolate_report(before, 110.0)
    assert after.latitude == before.latitude and after.longitude == before.longitude
    assert np.sqrt(after.covariance[0, 0, 0]) > 1_000.0


# ---- rules


def watch(correlator: Correlator, own, partner, times, partner_name="BRAVO") -> Correlation:
    """Correlations of reports made anew for each time; the last one."""
    last = None
    for time in times:
        last = correlator.update(own(time), {partner_name: partner(time)}, time)
    assert last is not None
    return last


def flying(centre: str, place: float = 0.0, **options):
    """Makes the report of one aircraft that flies east at 200 m/s."""
    return lambda time: report(centre, time, [place + 200.0 * time], **options)


def test_two_tracks_of_one_aircraft_are_bound_after_three_looks():
    correlator = Correlator()
    own, partner = flying("ALPHA"), flying("BRAVO", 60.0)
    assert watch(correlator, own, partner, [1.0, 2.0]).rows_of("BRAVO").tolist() == [-1]
    third = watch(correlator, own, partner, [3.0])
    assert third.rows_of("BRAVO").tolist() == [0]
    assert third.members.tolist() == [[0, 0]]


def test_without_new_plots_there_is_no_look():
    stale = replace(report("ALPHA", 1.0, [0.0], velocity=(0.0, 0.0)), updated=np.array([1.0]))
    partner = replace(stale, centre="BRAVO", uid=stale.uid + np.uint64(1))
    correlator = Correlator()
    last = watch(
        correlator,
        lambda time: replace(stale, time=time),
        lambda time: replace(partner, time=time),
        range(2, 20),
    )
    assert last.rows_of("BRAVO").tolist() == [-1]
    assert last.likely.tolist() == [[-1, 0]]


def test_tracks_far_apart_or_at_other_altitudes_are_never_bound():
    for other in (
        flying("BRAVO", 2_000.0),
        flying("BRAVO", velocity=(150.0, 130.0)),
        flying("BRAVO", altitude=6_000.0),
    ):
        last = watch(Correlator(), flying("ALPHA", altitude=5_000.0), other, range(1, 10))
        assert last.rows_of("BRAVO").tolist() == [-1]


def test_one_mode_s_address_binds_at_once_and_over_a_greater_distance():
    own, partner = flying("ALPHA", address=0xABCDEF), flying("BRAVO", 1_200.0, address=0xABCDEF)
    assert watch(Correlator(), own, partner, [1.0]).rows_of("BRAVO").tolist() == [0]


def test_different_mode_s_addresses_forbid_a_pair():
    last = watch(Correlator(), flying("ALPHA", address=1), flying("BRAVO", address=2), range(1, 10))
    assert last.rows_of("BRAVO").tolist() == [-1]


def test_close_pairs_wait_while_they_could_be_swapped_and_are_bound_rightly_once_they_part():
    correlator = Correlator()

    def pair(centre, gap, order):
        return lambda time: report(
            centre, time, [200.0 * time] * 2, [order * gap(time), -order * gap(time)], ids=[1, 2]
        )

    near = pair("ALPHA", lambda time: 15.0, 1.0), pair("BRAVO", lambda time: 15.0, -1.0)
    waiting = watch(correlator, *near, range(1, 12))
    assert waiting.rows_of("BRAVO").tolist() == [-1, -1]
    assert (waiting.likely[:, 1] >= 0).sum() == 2
    apart = pair("ALPHA", lambda time: 1_000.0, 1.0), pair("BRAVO", lambda time: 1_000.0, -1.0)
    assert watch(correlator, *apart, range(12, 18)).rows_of("BRAVO").tolist() == [1, 0]


def test_a_bound_pair_outlives_single_mismatches_and_ends_with_sustained_ones():
    correlator = Correlator()
    own = flying("ALPHA")
    watch(correlator, own, flying("BRAVO"), range(1, 6))
    for time in range(6, 30):  # every third look is far off
        last = watch(correlator, own, flying("BRAVO", 3_000.0 if time % 3 == 0 else 0.0), [time])
        assert last.rows_of("BRAVO").tolist() == [0]
    gone = watch(correlator, own, flying("BRAVO", 3_000.0), range(30, 36))
    assert gone.rows_of("BRAVO").tolist() == [-1]
    assert len(gone.members) == 2


def test_an_address_that_turns_out_to_differ_ends_a_pair():
    correlator = Correlator()
    watch(correlator, flying("ALPHA"), flying("BRAVO"), range(1, 6))
    last = watch(correlator, flying("ALPHA", address=1), flying("BRAVO", address=2), range(6, 12))
    assert last.rows_of("BRAVO").tolist() == [-1]


def test_what_a_person_bound_stays_bound_against_all_evidence():
    correlator = Correlator()
    own, partner = flying("ALPHA", address=1), flying("BRAVO", 9_000.0, address=2)
    correlator.bind(own(0.0).uid[0], partner(0.0).uid[0])
    assert watch(correlator, own, partner, range(1, 20)).rows_of("BRAVO").tolist() == [0]
    correlator.leave_to_rules(own(0.0).uid[0], partner(0.0).uid[0])
    assert watch(correlator, own, partner, range(20, 30)).rows_of("BRAVO").tolist() == [-1]


def test_what_a_person_bound_takes_the_place_of_what_the_rules_bound():
    correlator = Correlator()
    own = flying("ALPHA")

    def partner(time):
        return report("BRAVO", time, [200.0 * time, 200.0 * time + 4_000.0])

    assert watch(correlator, own, partner, range(1, 6)).rows_of("BRAVO").tolist() == [0]
    correlator.bind(partner(0.0).uid[1], own(0.0).uid[0])
    assert watch(correlator, own, partner, range(6, 9)).rows_of("BRAVO").tolist() == [1]


def test_what_a_person_forbade_is_never_bound_and_let_go_at_once():
    correlator = Correlator()
    own, partner = flying("ALPHA", address=7), flying("BRAVO", address=7)
    assert watch(correlator, own, partner, [1.0]).rows_of("BRAVO").tolist() == [0]
    correlator.forbid(own(0.0).uid[0], partner(0.0).uid[0])
    for time in range(2, 12):
        assert watch(correlator, own, partner, [time]).rows_of("BRAVO").tolist() == [-1]


def test_an_inject_on_a_live_aircraft_is_never_bound_to_it_not_even_by_hand():
    correlator = Correlator()
    own, partner = flying("ALPHA", address=7), flying("BRAVO", address=7, is_simulated=True)
    assert watch(correlator, own, partner, range(1, 6)).members.tolist() == [[0, -1], [-1, 0]]
    correlator.bind(own(0.0).uid[0], partner(0.0).uid[0])
    assert watch(correlator, own, partner, range(6, 9)).members.tolist() == [[0, -1], [-1, 0]]


def test_two_injects_are_bound_like_live_tracks_beside_the_live_pair_on_the_same_path():
    def both(centre: str):
        return lambda time: report(centre, time, [200.0 * time] * 2, is_simulated=[False, True])

    last = watch(Correlator(), both("ALPHA"), both("BRAVO"), range(1, 6))
    assert last.members.tolist() == [[0, 0], [1, 1]]


def test_a_pair_one_of_which_says_it_is_simulated_from_now_on_ends_at_once():
    correlator = Correlator()
    own, partner = flying("ALPHA", address=7), flying("BRAVO", address=7)
    assert watch(correlator, own, partner, [1.0]).rows_of("BRAVO").tolist() == [0]
    feigned = flying("BRAVO", address=7, is_simulated=True)
    assert watch(correlator, own, feigned, [2.0]).rows_of("BRAVO").tolist() == [-1]


def test_a_pair_comes_back_at_the_first_look_after_a_cut():
    correlator = Correlator()
    own, partner = flying("ALPHA"), flying("BRAVO")
    watch(correlator, own, partner, range(1, 6))
    for time in range(6, 120):
        correlator.update(own(time), {}, time)
    assert watch(correlator, own, partner, [120]).rows_of("BRAVO").tolist() == [0]


def test_a_pair_that_no_longer_fits_after_a_cut_is_let_go_at_once():
    correlator = Correlator()
    watch(correlator, flying("ALPHA"), flying("BRAVO"), range(1, 6))
    for time in range(6, 60):
        correlator.update(flying("ALPHA")(time), {}, time)
    last = watch(correlator, flying("ALPHA"), flying("BRAVO", 5_000.0), [60])
    assert last.rows_of("BRAVO").tolist() == [-1]


def test_tracks_of_a_silent_partner_leave_the_picture_after_thirty_seconds():
    own, partner = flying("ALPHA"), flying("BRAVO", 50_000.0)(100.0)
    correlator = Correlator()
    assert len(correlator.update(own(130.0), {"BRAVO": partner}, 130.0).members) == 2
    assert len(correlator.update(own(130.1), {"BRAVO": partner}, 130.1).members) == 1


@pytest.mark.parametrize("skew", [2.0, -2.0])
def test_a_clock_that_differs_by_two_seconds_is_found_out_and_the_tracks_are_bound(skew):
    correlator = Correlator()
    places = [20_000.0 * n for n in range(12)]
    heading = np.linspace(0.0, 2.0 * np.pi, 12, endpoint=False)
    speed = 230.0 * np.stack([np.cos(heading), np.sin(heading), 0.0 * heading], axis=1)

    def seen(centre, true, stated):
        made = report(
            centre, stated, list(places + speed[:, 0] * true), list(speed[:, 1] * true), updated=stated
        )
        return replace(made, velocity=speed)

    for time in range(1, 31):
        last = correlator.update(seen("ALPHA", time, time), {"BRAVO": seen("BRAVO", time, time + skew)}, time)
    assert last.rows_of("BRAVO").tolist() == list(range(12))
    assert last.skews[1] == pytest.approx(skew, abs=0.1)
    # What is fused is at the right place then.
    error = (last.reports[1].longitude - last.reports[0].longitude) * np.cos(0.7) * 6_371_000.0
    assert np.abs(error).max() < 60.0


def test_the_clock_of_injects_moves_no_live_track():
    correlator = Correlator()
    places = [20_000.0 * n for n in range(12)]

    def seen(centre, true, stated):
        east = [place + 230.0 * true for place in places]
        return report(centre, stated, east, velocity=(230.0, 0.0), updated=stated, is_simulated=True)

    for time in range(1, 31):
        last = correlator.update(seen("ALPHA", time, time), {"BRAVO": seen("BRAVO", time, time + 0.5)}, time)
    assert last.rows_of("BRAVO").tolist() == list(range(12))
    assert np.isnan(last.skews[1])


def test_three_centres_form_one_group_and_partners_join_without_us():
    correlator = Correlator()
    for time in range(1, 10):
        seen = correlator.update(
            report("ALPHA", time, [200.0 * time]),
            {
                "CHARLIE": report("CHARLIE", time, [200.0 * time + 10.0, 200.0 * time + 80_000.0]),
                "BRAVO": report("BRAVO", time, [200.0 * time + 80_010.0, 200.0 * time - 10.0]),
            },
            time,
        )
    assert seen.centres == ("ALPHA", "BRAVO", "CHARLIE")
    assert sorted(seen.members.tolist()) == [[-1, 0, 1], [0, 1, 0]]


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_crossing_traffic_is_never_merged_falsely(seed):
    rng = np.random.default_rng(seed)
    count = 12
    start, speed = rng.uniform(-6_000, 6_000, (count, 2)), rng.uniform(-250, 250, (count, 2))
    correlator = Correlator()
    order = rng.permutation(count)
    right = 0
    for time in range(40):
        place = start + speed * time
        reports = []
        for centre, rows in (("ALPHA", np.arange(count)), ("BRAVO", order)):
            error = rng.normal(size=(count, 4)) * [50.0, 50.0, 5.0, 5.0]
            made = report(
                centre,
                time,
                list((place + error[:, :2])[rows, 0]),
                list((place + error[:, :2])[rows, 1]),
                ids=[int(row) + 1 for row in rows],
            )
            velocity = np.zeros((count, 3))
            velocity[:, :2] = (speed + error[:, 2:])[rows]
            reports.append(replace(made, velocity=velocity))
        rows = correlator.update(reports[0], {"BRAVO": reports[1]}, time).rows_of("BRAVO")
        bound = np.flatnonzero(rows >= 0)
        assert (order[rows[bound]] == bound).all()
        right = len(bound)
    assert right >= count - 1
