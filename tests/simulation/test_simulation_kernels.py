import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers
from numpy.testing import assert_allclose

import naive_simulation as naive
from skypact.simulation.kernels import Site, add_cover, can_see, pack_blocks, place_at, sweep, unresolved_with

pytestmark = pytest.mark.kernels

SITE = Site(0.8, -0.6, 30.0, 1_000.0, 200_000.0, np.radians(45.0))


def straight_flights(rng, count, seconds):
    """Targets at constant earth-centred velocity within about 100 km of the site."""
    origin = naive.earth_centred(SITE.latitude, SITE.longitude, 9_000.0)
    east = np.array([-np.sin(SITE.longitude), np.cos(SITE.longitude), 0.0])
    up = origin / np.linalg.norm(origin)
    north = np.cross(up, east)
    offset = rng.uniform(-70_000.0, 70_000.0, (count, 2))
    speed = rng.uniform(-250.0, 250.0, (count, 2))
    start = origin + offset[:, :1] * east + offset[:, 1:] * north
    velocity = speed[:, :1] * east + speed[:, 1:] * north
    position = start[:, None, :] + velocity[:, None, :] * np.arange(seconds)[None, :, None]
    velocities = np.repeat(velocity[:, None, :], seconds, axis=1)
    return np.ascontiguousarray(position), velocities, np.full((count, seconds), 9_000.0)


@settings(max_examples=5, deadline=None)
@given(seed=integers(0, 2**32 - 1))
def test_a_sweep_finds_every_passage_of_the_beam(seed):
    rng = np.random.default_rng(seed)
    position, velocity, height = straight_flights(rng, 3, 14)
    turns = np.array([-1.5, 4.5, 10.4])
    born, died = np.zeros(3), np.full(3, 12.0)
    hits = sweep(position, velocity, height, born, died, np.ones(3, dtype=np.bool_), SITE, turns)
    site = (SITE.latitude, SITE.longitude, SITE.height)
    for target in range(3):

        def place(time, target=target):
            return position[target, 0] + velocity[target, 0] * time

        expected = []
        for start, end in itertools.pairwise(turns):
            for time in naive.passages(place, site, start, end):
                distance, _, elevation = naive.seen_from(site, place(time))
                if time >= 0.0 and distance[0] >= 1_000.0 and elevation[0] <= SITE.elevation_max:
                    expected.append(time)
        found = hits[hits[:, 0] == target]
        assert_allclose(found[:, 2], expected, atol=2e-3)
        places = np.array([place(time) for time in found[:, 2]]).reshape(-1, 3)
        assert_allclose(found[:, 3:], np.array(naive.seen_from(site, places)).T, rtol=1e-6, atol=2e-6)


def test_a_target_is_not_hit_before_its_birth_nor_after_its_death():
    position, velocity, height = straight_flights(np.random.default_rng(1), 1, 60)
    turns = np.arange(-2.0, 60.0, 4.0)
    hits = sweep(
        position, velocity, height, np.array([10.0]), np.array([30.0]), np.ones(1, np.bool_), SITE, turns
    )
    assert len(hits) == 5
    assert hits[:, 2].min() >= 10.0
    assert hits[:, 2].max() <= 30.0


def test_the_radar_horizon_is_that_of_four_thirds_of_the_earth():
    site = Site(0.0, 0.0, 0.0, 0.0, 1e6, 1.0)
    # The rule of thumb: 4.12 km for each root of a metre of height.
    horizon = 4.12e3 * np.sqrt(10_000.0)
    assert can_see(site, 0.999 * horizon, 0.0, 10_000.0)
    assert not can_see(site, 1.002 * horizon, 0.0, 10_000.0)


def test_range_and_the_cone_of_silence_limit_what_is_seen():
    assert can_see(SITE, 10_000.0, 0.2, 9_000.0)
    assert not can_see(SITE, 900.0, 0.2, 900.0)
    assert not can_see(SITE, 200_001.0, 0.0, 9_000.0)
    assert not can_see(SITE, 10_000.0, np.radians(46.0), 9_000.0)


def test_a_place_between_two_seconds_lies_on_a_seven_g_turn():
    speed, rate = 300.0, 7.0 * 9.81 / 300.0
    seconds = np.arange(3.0)
    angle = rate * seconds
    radius = speed / rate
    circle = np.stack([radius * np.sin(angle), radius * np.cos(angle), 0.0 * angle], axis=1)[None]
    along = np.stack([speed * np.cos(angle), -speed * np.sin(angle), 0.0 * angle], axis=1)[None]
    for time in (0.0, 0.3, 0.5, 1.0, 1.7, 2.0):
        expected = (radius * np.sin(rate * time), radius * np.cos(rate * time), 0.0)
        assert_allclose(place_at(circle, along, 0, time), expected, atol=0.05)


@settings(max_examples=10, deadline=None)
@given(seed=integers(0, 2**32 - 1))
def test_detections_melt_as_in_the_naive_twin(seed):
    rng = np.random.default_rng(seed)
    count = 30
    turn, azimuth = rng.integers(0, 3, count).astype(float), rng.uniform(0.0, 0.3, count)
    order = np.lexsort((azimuth, turn))
    arguments = (turn[order], azimuth[order], rng.uniform(0.0, 1_000.0, count), 0.02, 150.0)
    assert unresolved_with(*arguments).tolist() == naive.melted_into(*arguments)


def test_cover_counts_radars_and_keeps_the_shortest_period():
    position, _, height = straight_flights(np.random.default_rng(2), 2, 4)
    covered, scan = np.zeros((2, 4), dtype=np.int64), np.full((2, 4), np.inf)
    everyone, first = np.ones(2, dtype=np.bool_), np.array([True, False])
    born, died = np.array([0.0, 1.0]), np.array([3.0, 2.0])
    add_cover(position, height, born, died, everyone, SITE, 8.0, covered, scan)
    add_cover(position, height, born, died, first, SITE, 5.0, covered, scan)
    assert covered.tolist() == [[2, 2, 2, 2], [0, 1, 1, 0]]
    assert scan.tolist() == [[5.0, 5.0, 5.0, 5.0], [np.inf, 8.0, 8.0, np.inf]]


def test_records_of_one_group_share_blocks_of_bounded_length():
    records = [b"ab", b"cde", b"f", b"gh"]
    single = b"".join(bytes([48, 0, len(record) + 3]) + record for record in records)
    length = np.array([len(record) + 3 for record in records])
    offset = np.concatenate([[0], np.cumsum(length)[:-1]])
    packed, blocks = np.zeros(len(single), dtype=np.uint8), np.zeros((4, 3), dtype=np.int64)
    octets = np.frombuffer(single, dtype=np.uint8)
    count = pack_blocks(octets, offset, length, np.array([7, 7, 7, 8]), 8, packed, blocks)
    assert [packed[at : at + long].tobytes() for at, long, _ in blocks[:count]] == [
        b"\x30\x00\x08abcde",
        b"\x30\x00\x04f",
        b"\x30\x00\x05gh",
    ]
    assert blocks[:count, 2].tolist() == [0, 2, 3]
