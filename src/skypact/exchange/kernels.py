"""Kernels of the one picture: tracks moved on, pairs found, assigned and fused, identifiers looked up."""

from math import cos, isnan, pi, sin, sqrt

import numpy as np

from skypact.core.arrays import (
    Floats1,
    Floats2,
    Floats3,
    Int32s2,
    Ints1,
    Ints2,
    UInt64s2,
)
from skypact.core.geodesy import ECCENTRICITY_SQUARED, SEMI_MAJOR_AXIS
from skypact.core.jit import kernel

ACCELERATION_NOISE = 4.0  # density of white acceleration of a target at 100 m/s and above, m²/s³
WITHHELD_SPEED = 150.0  # sigma of each velocity component of a track whose velocity is withheld, m/s


@kernel
def radii_of_curvature(latitude: float) -> tuple[float, float]:
    """Radii of the ellipsoid at a latitude (rad) across and along the meridian, m: of east and of north."""
    root = 1.0 - ECCENTRICITY_SQUARED * sin(latitude) ** 2
    across = SEMI_MAJOR_AXIS / sqrt(root)
    return across, across * (1.0 - ECCENTRICITY_SQUARED) / root


@kernel
def extrapolate_states(
    latitude: Floats1,
    longitude: Floats1,
    height: Floats1,
    velocity: Floats2,
    covariance: Floats3,
    elapsed: float,
) -> tuple[Floats1, Floats1, Floats3]:
    """Tracks `elapsed` seconds on in straight flight, with white acceleration as process noise.

    Args:
        latitude, longitude: (N,) rad. height: (N,) m, NaN for unknown.
        velocity: (N, 3) east, north, up, m/s; NaN for unknown.
        covariance: (N, 4, 4) of east, north, east and north velocity, m and m/s.
        elapsed: s; the covariance grows whether it is positive or negative.

    Returns:
        Latitude and longitude (N,) rad, and covariances (N, 4, 4).
    """
    count = len(latitude)
    new_latitude, new_longitude = np.empty(count), np.empty(count)
    new_covariance = np.empty((count, 4, 4))
    span = abs(elapsed)
    for n in range(count):
        east, north = velocity[n, 0], velocity[n, 1]
        is_known = not (isnan(east) or isnan(north))
        if not is_known:
            east, north = 0.0, 0.0
        level = 0.0 if isnan(height[n]) else height[n]
        _, meridian = radii_of_curvature(latitude[n])
        new_latitude[n] = latitude[n] + north * elapsed / (meridian + level)
        middle = 0.5 * (latitude[n] + new_latitude[n])
        across, _ = radii_of_curvature(middle)
        turn = east * elapsed / max((across + level) * cos(middle), 1.0)
        new_longitude[n] = (longitude[n] + turn + pi) % (2.0 * pi) - pi
        scale = min(max(sqrt(east * east + north * north) / 100.0, 0.15), 1.0)
        noise = ACCELERATION_NOISE * scale
        for i in range(2):
            for j in range(2):
                place = covariance[n, i, j]
                cross, back = covariance[n, i, 2 + j], covariance[n, 2 + i, j]
                speed = covariance[n, 2 + i, 2 + j]
                if not is_known or isnan(speed) or isnan(cross):
                    cross, back = 0.0, 0.0
                    speed = WITHHELD_SPEED * WITHHELD_SPEED if i == j else 0.0
                new_covariance[n, i, j] = place + elapsed * (cross + back) + elapsed * elapsed * speed
                new_covariance[n, i, 2 + j] = cross + elapsed * speed
                new_covariance[n, 2 + i, j] = back + elapsed * speed
                new_covariance[n, 2 + i, 2 + j] = speed
            new_covariance[n, i, i] += noise * span * span * span / 3.0
            new_covariance[n, i, 2 + i] += noise * elapsed * span / 2.0
            new_covariance[n, 2 + i, i] += noise * elapsed * span / 2.0
            new_covariance[n, 2 + i, 2 + i] += noise * span
    return new_latitude, new_longitude, new_covariance


@kernel
def _bucket(keys: UInt64s2, row: int, size: int) -> int:
    """Where a key starts to look for its place in a hash table whose size is a power of two."""
    value = np.int64(0)
    for w in range(keys.shape[1]):
        high = np.int64(keys[row, w] >> np.uint64(36))
        low = np.int64(keys[row, w] & np.uint64(0xFFFFFFF))
        value = ((value * 1_000_003) ^ (high * 8_191) ^ low) & 0xFFFFFFFF
    return int((value ^ (value >> 15)) & (size - 1))


@kernel
def find_rows(known: UInt64s2, asked: UInt64s2) -> Ints1:
    """(N,) the row of `known` that equals each row of `asked`, -1 for none; the first of equal ones.

    Args:
        known: (K, W) keys of W words, such as identifiers of tracks or of pairs of them.
        asked: (N, W) keys.
    """
    size = 16
    while size < 2 * len(known):
        size *= 2
    table = np.full(size, -1, np.int64)
    width = known.shape[1]
    for k in range(len(known)):
        place = _bucket(known, k, size)
        while table[place] >= 0:
            is_same = True
            for w in range(width):
                is_same = is_same and known[table[place], w] == known[k, w]
            if is_same:
                break
            place = (place + 1) & (size - 1)
        if table[place] < 0:
            table[place] = k
    rows = np.full(len(asked), -1, np.int64)
    for n in range(len(asked)):
        place = _bucket(asked, n, size)
        while table[place] >= 0:
            is_same = True
            for w in range(width):
                is_same = is_same and known[table[place], w] == asked[n, w]
            if is_same:
                rows[n] = table[place]
                break
            place = (place + 1) & (size - 1)
    return rows


@kernel
def group_members(counts: Ints1, edges: Ints2) -> Int32s2:
    """Joins tracks of several centres that belong together, each group with at most one of a centre.

    Args:
        counts: (C,) tracks of each centre.
        edges: (E, 4) centre and row of one track, centre and row of the other, the surest first; an
            edge that would bring two tracks of one centre together is left out.

    Returns:
        (G, C) the row of each centre's track in the group, -1 for none. The tracks of the first
        centre come first, in order; then what only others have, by their first member.
    """
    centres = len(counts)
    first = np.zeros(centres + 1, np.int64)
    for c in range(centres):
        first[c + 1] = first[c] + counts[c]
    total = first[centres]
    group = np.arange(total)  # the group of each track; a group is named after one of its tracks
    members = np.full((total, centres), -1, np.int32)
    for c in range(centres):
        for row in range(counts[c]):
            members[first[c] + row, c] = row
    for e in range(len(edges)):
        one = group[first[edges[e, 0]] + edges[e, 1]]
        two = group[first[edges[e, 2]] + edges[e, 3]]
        clash = one == two
        for c in range(centres):
            clash = clash or (members[one, c] >= 0 and members[two, c] >= 0)
        if clash:
            continue
        for c in range(centres):
            row = members[two, c]
            if row >= 0:
                members[one, c] = row
                members[two, c] = -1
                group[first[c] + row] = one
    table = np.empty((total, centres), np.int32)
    used = 0
    for c in range(centres):
        for row in range(counts[c]):
            g = group[first[c] + row]
            leads = True
            for other in range(c):
                leads = leads and members[g, other] < 0
            if leads:
                for other in range(centres):
                    table[used, other] = members[g, other]
                used += 1
    return table[:used].copy()
