import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers
from numpy.testing import assert_allclose

import naive_tracks as naive
from skypact.core.geodesy import SEMI_MAJOR_AXIS, Geodetic, enu_from_geodetic, enu_rotation
from skypact.tracks.association import pair_beliefs
from skypact.tracks.books import give_number_back, take_number
from skypact.tracks.clutter import clutter_cell, clutter_density, learn_clutter, look_probability
from skypact.tracks.earth import elevation_of_height, height_and_vertical, make_frame, point_seen, seen_from
from skypact.tracks.filtering import blend_banks, combine_models, pair_likelihoods, update_models
from skypact.tracks.grid import bucket_of, cell_of, enter_cell, leave_cell, neighbour_cell
from skypact.tracks.measurement import S_PERIOD, S_REACH, S_REALS, Sensors, invert_symmetric, make_rows
from skypact.tracks.motion import (
    M_ENTRY,
    M_NOISE_ACROSS,
    M_NOISE_UP,
    M_STAY,
    M_TURN_ACCELERATION,
    M_TURN_LEAST,
    M_TURN_MOST,
    M_TURN_SIGN,
    make_motion,
    mix_models,
    predict_models,
)
from skypact.tracks.state import BUCKETS, L_CELL, L_FOLLOWING, make_book, make_looks, read_only

pytestmark = pytest.mark.kernels
FEW = settings(max_examples=15, deadline=None)
SEEDS = integers(0, 2**32 - 1)
MOTION = read_only(make_motion())
MODELS = len(MOTION.models)
REFERENCE = Geodetic(0.9, 0.2, 100.0)
FRAME = read_only(make_frame(REFERENCE))


def random_bank(rng):
    mean = rng.standard_normal((MODELS, 6)) * np.array([500, 500, 200, 20, 20, 5]) + [0, 0, 5e3, 150, 80, 2]
    root = rng.standard_normal((MODELS, 6, 6)) * np.array([200, 200, 100, 20, 20, 5])[:, None]
    cov = root @ root.transpose(0, 2, 1) + np.diag([100.0, 100, 100, 10, 10, 1])
    weight = rng.dirichlet(np.ones(MODELS))
    return mean, cov, weight


def random_rows(rng, count):
    rows = make_rows(2)
    direction = rng.standard_normal((count, 6))
    direction[:, 3:] = 0.0
    if count > 3:
        direction[3] = np.concatenate([np.zeros(3), rng.standard_normal(3)])
    rows.direction[1, :count] = direction / np.linalg.norm(direction, axis=1)[:, None]
    rows.value[1, :count, 0] = rng.standard_normal(count) * 30.0
    rows.value[1, :count, 1] = rng.uniform(50.0, 300.0, count) ** 2
    rows.place[1, :3] = rng.standard_normal(3) * 400.0 + [0, 0, 5e3]
    rows.used[1] = count
    return rows


@FEW
@given(SEEDS, floats(0.01, 30.0))
def test_mixing_by_a_common_pool_equals_mixing_by_the_whole_transition_matrix(seed, elapsed):
    mean, cov, weight = random_bank(np.random.default_rng(seed))
    stay, entry = MOTION.models[:, M_STAY], MOTION.models[:, M_ENTRY]
    expected = naive.mix(mean, cov, weight, elapsed, stay, entry)
    mix_models(mean, cov, weight, elapsed, MOTION)
    assert_allclose(weight, expected[2], rtol=1e-9)
    assert_allclose(mean, expected[0], rtol=1e-9, atol=1e-6)
    assert_allclose(cov, expected[1], rtol=1e-7, atol=1e-3)


@FEW
@given(SEEDS, floats(0.0, 20.0))
def test_prediction_equals_the_matrix_exponential_of_the_motion(seed, elapsed):
    rng = np.random.default_rng(seed)
    mean, cov, weight = random_bank(rng)
    up = rng.standard_normal(3)
    up /= np.linalg.norm(up)
    speed = np.sqrt(weight @ (mean[:, 3:] ** 2 + cov[:, [3, 4, 5], [3, 4, 5]]).sum(axis=1))
    scale = np.clip(speed / 100.0, 0.15, 1.0)
    expected = []
    for m, model in enumerate(MOTION.models):
        rate = np.clip(model[M_TURN_ACCELERATION] / speed, model[M_TURN_LEAST], model[M_TURN_MOST])
        rate *= model[M_TURN_SIGN]
        noise = model[M_NOISE_ACROSS] * scale, model[M_NOISE_UP] * scale
        expected.append(naive.predict(mean[m], cov[m], rate, elapsed, up, *noise, SEMI_MAJOR_AXIS))
    predict_models(mean, cov, weight, elapsed, up, MOTION)
    for m in range(MODELS):
        assert_allclose(mean[m], expected[m][0], rtol=1e-7, atol=1e-4)
        assert_allclose(cov[m], expected[m][1], rtol=1e-7, atol=1e-2)


@FEW
@given(SEEDS, integers(1, 5), floats(-5.0, 0.0))
def test_scalar_updates_equal_the_matrix_form(seed, count, late):
    rng = np.random.default_rng(seed)
    mean, cov, weight = random_bank(rng)
    rows = random_rows(rng, count)
    density = np.array([naive.likelihood(mean[m], cov[m], rows, 1, late)[0] for m in range(MODELS)])
    expected = [naive.update(mean[m], cov[m], rows, 1, late) for m in range(MODELS)]
    prior = weight.copy()
    total = update_models(mean, cov, weight, rows, 1, late)
    assert_allclose(total, prior @ density, rtol=1e-6)
    assert_allclose(weight, np.maximum(prior * density / (prior @ density), 1e-4), rtol=1e-6)
    for m in range(MODELS):
        assert_allclose(mean[m], expected[m][0], rtol=1e-6, atol=1e-3)
        assert_allclose(cov[m], expected[m][1], rtol=1e-6, atol=1e-1)


@FEW
@given(SEEDS, integers(1, 5), floats(-5.0, 0.0))
def test_likelihoods_equal_the_matrix_form(seed, count, late):
    rng = np.random.default_rng(seed)
    mean, cov, _ = random_bank(rng)
    rows = random_rows(rng, count)
    expected = [naive.likelihood(mean[m], cov[m], rows, 1, late) for m in range(MODELS)]
    likelihood = np.zeros(MODELS)
    nearest = pair_likelihoods(mean, cov, rows, 1, late, likelihood)
    assert_allclose(likelihood, [density for density, _ in expected], rtol=1e-6)
    assert_allclose(nearest, min(distance for _, distance in expected), rtol=1e-6)


@FEW
@given(SEEDS)
def test_covariances_stay_symmetric_and_positive_through_many_steps(seed):
    rng = np.random.default_rng(seed)
    mean, cov, weight = random_bank(rng)
    up = np.array([0.0, 0.0, 1.0])
    for _ in range(30):
        elapsed = rng.uniform(0.0, 12.0)
        mix_models(mean, cov, weight, elapsed, MOTION)
        predict_models(mean, cov, weight, elapsed, up, MOTION)
        rows = random_rows(rng, int(rng.integers(1, 6)))
        rows.place[1, :3] = weight @ mean[:, :3] + rng.standard_normal(3) * 100.0
        update_models(mean, cov, weight, rows, 1, 0.0)
        weight /= weight.sum()
    assert_allclose(cov, cov.transpose(0, 2, 1), rtol=1e-12)
    assert (np.linalg.eigvalsh(cov) > 0.0).all()


def test_a_blend_of_two_hypotheses_keeps_their_mean_and_covariance():
    rng = np.random.default_rng(5)
    one, other = random_bank(rng), random_bank(rng)
    expected_mean, expected_cov = np.zeros((2, 6)), np.zeros((2, 6, 6))
    for h, bank in enumerate((one, other)):
        combine_models(*bank, expected_mean[h], expected_cov[h])
    share = np.array([0.3, 0.7])
    whole = share @ expected_mean
    away = expected_mean - whole
    whole_cov = np.einsum("h,hij->ij", share, expected_cov + away[:, :, None] * away[:, None, :])
    blend_banks(*one, 0.3, *other, 0.7)
    mean, cov = np.zeros(6), np.zeros((6, 6))
    combine_models(*one, mean, cov)
    assert_allclose(mean, whole, rtol=1e-9)
    assert_allclose(cov, whole_cov, rtol=1e-9, atol=1e-6)


def beliefs_of(odds):
    tracks, plots = np.nonzero(odds)
    belief = np.zeros(len(tracks))
    pair_beliefs(
        tracks.astype(np.int32),
        plots.astype(np.int32),
        odds[tracks, plots],
        len(tracks),
        np.zeros(len(odds)),
        np.zeros(odds.shape[1]),
        np.zeros(len(tracks)),
        belief,
    )
    whole = np.zeros_like(odds)
    whole[tracks, plots] = belief
    return whole


@FEW
@given(SEEDS, integers(1, 5))
def test_beliefs_are_exact_where_no_circle_competes(seed, length):
    rng = np.random.default_rng(seed)
    odds = np.zeros((length, length + 1))
    for t in range(length):  # a chain: each track shares one plot with the next
        odds[t, t], odds[t, t + 1] = 10.0 ** rng.uniform(-3, 4, 2)
    assert_allclose(beliefs_of(odds), naive.pair_beliefs(odds), rtol=0.01, atol=1e-3)


def test_beliefs_are_near_the_sum_over_all_assignments():
    rng = np.random.default_rng(1)
    worst = []
    for _ in range(2_000):
        odds = 10.0 ** rng.uniform(-2, 3, rng.integers(1, 5, 2))
        worst.append(np.abs(beliefs_of(odds) - naive.pair_beliefs(odds)).max())
    # Propagation is too sure where strong pairs compete in a circle: rare, but then by up to a third.
    assert np.mean(worst) < 0.015
    assert np.quantile(worst, 0.99) < 0.2
    assert np.max(worst) < 0.35


@FEW
@given(SEEDS, integers(1, 4), integers(1, 4))
def test_beliefs_of_a_plot_or_a_track_sum_to_at_most_one(seed, tracks, plots):
    belief = beliefs_of(10.0 ** np.random.default_rng(seed).uniform(-2, 3, (tracks, plots)))
    assert (belief.sum(axis=0) < 1.0 + 1e-3).all()
    assert (belief.sum(axis=1) < 1.0 + 1e-9).all()


@FEW
@given(SEEDS, floats(1e3, 4e5), floats(0.0, 6.28), floats(0.0, 15e3))
def test_a_plot_is_placed_at_its_slant_range_azimuth_and_height(seed, slant, azimuth, height):
    rng = np.random.default_rng(seed)
    latitude, longitude = REFERENCE.latitude + rng.uniform(-0.1, 0.1), REFERENCE.longitude
    site = enu_from_geodetic(np.array([latitude]), np.array([longitude]), np.array([50.0]), tuple(REFERENCE))[
        0
    ]
    axes = enu_rotation(latitude, longitude) @ enu_rotation(*REFERENCE[:2]).T
    axes = np.ascontiguousarray(axes)
    elevation = elevation_of_height(site, axes, slant, azimuth, height, FRAME)
    x, y, z = point_seen(site, axes, slant, azimuth, elevation)
    seen = seen_from(site, axes, x, y, z)
    assert_allclose(seen[0], slant, rtol=1e-9)
    assert_allclose(np.exp(1j * seen[1]), np.exp(1j * azimuth), atol=1e-8)
    if abs(elevation) < 1.4:
        assert abs(height_and_vertical(x, y, z, FRAME)[0] - height) < 0.05


@FEW
@given(floats(-1.5, 1.5), floats(-3.1, 3.1), floats(-500.0, 30e3))
def test_heights_are_right_to_a_centimetre_all_over_the_earth(latitude, longitude, height):
    point = enu_from_geodetic(
        np.array([latitude]), np.array([longitude]), np.array([height]), tuple(REFERENCE)
    )[0]
    reached, *up = height_and_vertical(*point, FRAME)
    assert abs(reached - height) < 0.01
    vertical = enu_rotation(latitude, longitude)[2] @ enu_rotation(*REFERENCE[:2]).T
    assert_allclose(up, vertical, atol=1e-4)


def test_the_grid_finds_exactly_the_slots_that_brute_force_finds():
    rng = np.random.default_rng(3)
    places = rng.uniform(-5e5, 5e5, (300, 2))
    links, heads = np.zeros((300, 3), np.int64), np.full(BUCKETS, -1, np.int64)
    cells = [cell_of(x, y, 8e3) for x, y in places]
    for slot, cell in enumerate(cells):
        enter_cell(slot, cell, links, heads)
    gone = set(rng.permutation(300)[:100].tolist())
    for slot in gone:
        leave_cell(slot, links, heads)
    for x, y in rng.uniform(-5e5, 5e5, (50, 2)):
        found = set()
        for column in (-1, 0, 1):
            for row in (-1, 0, 1):
                cell = neighbour_cell(cell_of(x, y, 8e3), column, row)
                slot = heads[bucket_of(cell)]
                while slot >= 0:
                    if links[slot, L_CELL] == cell:
                        found.add(int(slot))
                    slot = links[slot, L_FOLLOWING]
        near = np.flatnonzero(
            (np.abs(np.floor(places / 8e3) - np.floor(np.array([x, y]) / 8e3)) <= 1).all(axis=1)
        )
        assert found == set(near.tolist()) - gone


def test_the_inverse_of_a_symmetric_matrix_and_the_refusal_of_a_singular_one():
    root = np.random.default_rng(2).standard_normal((3, 3))
    inverse = np.zeros((3, 3))
    assert invert_symmetric(root @ root.T, inverse)
    assert_allclose(inverse, np.linalg.inv(root @ root.T), rtol=1e-9)
    assert not invert_symmetric(np.ones((3, 3)), inverse)


def test_clutter_density_has_the_dimensions_of_the_measurement():
    """Integrated over all that a sensor sees, the density is the number of false plots in a look."""
    real = np.ones((1, S_REALS))
    real[0, S_PERIOD], real[0, S_REACH] = 8.0, 250e3
    sensors = read_only(Sensors(np.zeros((1, 3)), np.eye(3)[None].copy(), real))
    looks = make_looks(np.array([0.0]), 15.0)
    rng = np.random.default_rng(7)
    per_look = 40
    for look in range(60):
        for _ in range(per_look):
            distance, azimuth = 250e3 * np.sqrt(rng.random()), rng.uniform(-np.pi, np.pi)
            cell = clutter_cell(distance * np.sin(azimuth), distance * np.cos(azimuth), 250e3)
            height = np.nan if rng.random() < 0.5 else rng.uniform(0.0, 12e3)
            learn_clutter(looks, sensors, 0, cell, height, 8.0 * look)
    area = np.pi * 250e3**2 / 128
    without, with_height = 0.0, 0.0
    for cell in range(128):
        without += area * clutter_density(looks, sensors, 0, cell, np.nan, False, 472.0, 1.0)[0]
        for band in range(32):
            density, _ = clutter_density(looks, sensors, 0, cell, 250.0 + 500.0 * band, False, 472.0, 1.0)
            with_height += area * 500.0 * density
    assert_allclose([without, with_height], per_look / 2, rtol=0.15)


def test_nothing_is_expected_of_a_sensor_beyond_its_reach_or_horizon():
    assert look_probability(100e3, 0.05, 250e3, 0.9, 0, False, False) == 0.9
    assert look_probability(260e3, 0.05, 250e3, 0.9, 0, False, False) == 0.0
    assert look_probability(100e3, -0.02, 250e3, 0.9, 0, False, False) == 0.0
    assert look_probability(100e3, 0.05, 250e3, 0.9, 0, True, True) == 0.0
    assert look_probability(100e3, 0.05, 250e3, 0.9, 3, False, False) < 0.25


def test_the_number_free_for_longest_is_taken_next_and_none_before_its_rest():
    book = make_book(3, 1)
    assert [take_number(book, 1000.0, 600.0) for _ in range(4)] == [1, 2, 3, -1]
    give_number_back(book, 2, 1000.0)
    give_number_back(book, 1, 1001.0)
    assert take_number(book, 1599.0, 600.0) == -1
    assert take_number(book, 1600.0, 600.0) == 2
    assert take_number(book, 1600.5, 600.0) == -1
    assert take_number(book, 1601.0, 600.0) == 1
