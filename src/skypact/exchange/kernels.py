"""Kernels of the one picture: tracks moved on, pairs found, assigned and fused, identifiers looked up."""

from math import asin, cos, floor, isnan, log, pi, sin, sqrt
from typing import NamedTuple

import numpy as np

from skypact.core.arrays import (
    Bools1,
    Floats1,
    Floats2,
    Floats3,
    Int16s1,
    Int32s1,
    Int32s2,
    Ints1,
    Ints2,
    MutableFloats2,
    UInt64s1,
    UInt64s2,
)
from skypact.core.geodesy import ECCENTRICITY_SQUARED, SEMI_MAJOR_AXIS
from skypact.core.jit import inner_kernel, kernel

# Density of white acceleration of a target at 100 m/s and above, per second of extrapolation, m²/s⁴: the
# longer, the more targets have begun to turn. Keeps the mean normalised error of the simulated traffic
# between 0.8 and 1.1 from 1 to 30 s.
ACCELERATION_NOISE = 10.0
_HEIGHT_ROOM = 12_000.0  # m; that unrelated aircraft share
_REACH_MOST = 30_000.0  # m; what is known worse says nothing of who it is
WITHHELD_SPEED = 150.0  # sigma of each velocity component of a track whose velocity is withheld, m/s


@inner_kernel
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
    """Tracks `elapsed` seconds on in straight flight, with process noise for what they may do instead.

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
        noise = ACCELERATION_NOISE * scale * span
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


@inner_kernel
def _bucket(keys: UInt64s2, row: int, size: int) -> int:
    """Where a key starts to look for its place in a hash table whose size is a power of two."""
    value = np.int64(0)
    for w in range(keys.shape[1]):
        for shift in (0, 32):
            part = np.int64((keys[row, w] >> np.uint64(shift)) & np.uint64(0xFFFFFFFF))
            value = ((value ^ part) * 0x45D9F3B) & 0xFFFFFFFF
            value = value ^ (value >> 16)
    return int(value & (size - 1))


@kernel
def move_bits(bits: UInt64s2, places: Ints1, words: int) -> UInt64s2:
    """(N, words) bit sets (N, W) whose bit s has become bit `places[s]`; bits beyond `places` are dropped."""
    moved = np.zeros((len(bits), words), np.uint64)
    one = np.uint64(1)
    for n in range(len(bits)):
        for w in range(bits.shape[1]):
            left = bits[n, w]
            s = 64 * w
            while left != np.uint64(0) and s < len(places):
                if left & one:
                    place = places[s]
                    moved[n, place // 64] |= one << np.uint64(place % 64)
                left = left >> one
                s += 1
    return moved


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
def earliest_offers(group: Ints1, key: UInt64s1, numbered: Floats1, name_rank: Ints1, groups: int) -> Ints1:
    """(G,) the offer of each group with the earliest time, then name, then key; -1 where there is none.

    Args:
        group: (N,) that the offer is for. key: (N,) place of the name above 32 bits, number below.
        numbered: (N,) s. name_rank: of each name's place. groups: G.
    """
    best = np.full(groups, -1, np.int64)
    for n in range(len(group)):
        held = best[group[n]]
        if held >= 0:
            if numbered[n] > numbered[held]:
                continue
            if numbered[n] == numbered[held]:
                rank = name_rank[np.int64(key[n] >> np.uint64(32))]
                held_rank = name_rank[np.int64(key[held] >> np.uint64(32))]
                if rank > held_rank or (rank == held_rank and key[n] >= key[held]):
                    continue
        best[group[n]] = n
    return best


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


class Gate(NamedTuple):
    """How far apart two tracks of one aircraft may be, and what their codes say."""

    distance: float  # largest squared Mahalanobis distance of a pair
    address_distance: float  # the same when both report one Mode S address
    bias: float  # sigma of what the two centres' radars disagree by, each axis, m
    skew: float  # sigma of the difference of the two centres' clocks, s
    density: float  # aircraft per m² that could be mistaken for each other
    speed: float  # sigma of their velocity components, m/s
    altitude: float  # sigma of the difference of two altitudes of one aircraft, m
    height: float  # the same of two heights where no altitude is known, m
    same_squawk: float  # log-likelihood ratio for equal codes
    other_squawk: float  # and for different ones
    same_callsign: float
    other_callsign: float
    same_address: float


class Sighted(NamedTuple):
    """The tracks of one centre as correlation sees them; N rows."""

    latitude: Floats1  # rad
    longitude: Floats1  # rad
    height: Floats1  # m
    velocity: Floats2  # (N, 3) m/s
    covariance: Floats3  # (N, 4, 4) m and m/s
    altitude: Floats1  # m
    squawk: Int16s1
    address: Int32s1
    callsign: Ints1
    is_simulated: Bools1


@kernel
def offset_between(
    latitude: float, longitude: float, height: float, other_latitude: float, other_longitude: float
) -> tuple[float, float]:
    """East and north (m) from a place (rad, rad, m) to another (rad), along the ellipsoid at its height."""
    middle = 0.5 * (latitude + other_latitude)
    across, meridian = radii_of_curvature(middle)
    level = 0.0 if isnan(height) else height
    around = (other_longitude - longitude + pi) % (2.0 * pi) - pi
    return around * (across + level) * cos(middle), (other_latitude - latitude) * (meridian + level)


@kernel
def radii_along(latitude: Floats1, height: Floats1) -> tuple[Floats1, Floats1]:
    """Metres per radian of longitude and of latitude at places (N,) rad, m; a height of NaN is 0."""
    east, north = np.empty(len(latitude)), np.empty(len(latitude))
    for n in range(len(latitude)):
        across, meridian = radii_of_curvature(latitude[n])
        level = 0.0 if isnan(height[n]) else height[n]
        east[n] = max((across + level) * cos(latitude[n]), 1.0)
        north[n] = meridian + level
    return east, north


@inner_kernel
def compare_tracks(one: Sighted, i: int, other: Sighted, j: int, gate: Gate) -> tuple[float, float]:
    """Squared Mahalanobis distance of two tracks, and the log-likelihood ratio that they are one aircraft.

    Position and, where both have it, velocity are compared with the sum of their covariances; biases
    and clocks that differ add to it. The ratio is against two aircraft that have nothing to do with
    each other. Returns infinity and minus infinity where the codes or the distance forbid the pair, and
    where one is simulated and the other is not.

    Source: Y. Bar-Shalom, X. R. Li, Multitarget-multisensor tracking, 1995, chapter 8.
    """
    if one.is_simulated[i] != other.is_simulated[j]:
        return np.inf, -np.inf
    has_address = one.address[i] >= 0 and other.address[j] >= 0
    if has_address and one.address[i] != other.address[j]:
        return np.inf, -np.inf
    widest = gate.address_distance if has_address else gate.distance
    apart = np.empty(4)
    joint = np.empty((4, 4))
    apart[0], apart[1] = offset_between(
        one.latitude[i], one.longitude[i], one.height[i], other.latitude[j], other.longitude[j]
    )
    size = 4
    for a in range(2):
        apart[2 + a] = other.velocity[j, a] - one.velocity[i, a]
        if isnan(apart[2 + a]):
            size = 2
    for a in range(4):
        for b in range(4):
            joint[a, b] = one.covariance[i, a, b] + other.covariance[j, a, b]
    for a in range(2):
        joint[a, a] += gate.bias * gate.bias
        if size == 4:
            for b in range(2):
                flown = one.velocity[i, a] * one.velocity[i, b] + other.velocity[j, a] * other.velocity[j, b]
                joint[a, b] += 0.5 * gate.skew * gate.skew * flown
    distance, volume = 0.0, 1.0
    # One component after the other, each freed of what the earlier ones tell (a Cholesky factorisation).
    for a in range(size):
        pivot = joint[a, a]
        if not pivot > 0.0:
            return np.inf, -np.inf
        distance += apart[a] * apart[a] / pivot
        if distance > widest:
            return np.inf, -np.inf
        volume *= 2.0 * pi * pivot
        for later in range(a + 1, size):
            gain = joint[later, a] / pivot
            apart[later] -= gain * apart[a]
            for b in range(a + 1, size):
                joint[later, b] -= gain * joint[a, b]
    room = 4.0 * pi * gate.speed * gate.speed if size == 4 else 1.0
    ratio = log(room / (gate.density * sqrt(volume))) - 0.5 * distance
    rise = other.altitude[j] - one.altitude[i]
    sigma = gate.altitude
    if isnan(rise):
        rise = other.height[j] - one.height[i]
        sigma = gate.height
    if not isnan(rise):
        off = rise * rise / (sigma * sigma)
        distance += off
        if distance > widest:
            return np.inf, -np.inf
        ratio += max(log(_HEIGHT_ROOM / (2.5 * sigma)), 0.0) - 0.5 * off
    if has_address:
        ratio += gate.same_address
    if one.squawk[i] >= 0 and other.squawk[j] >= 0:
        same = one.squawk[i] == other.squawk[j]
        ratio += gate.same_squawk if same else gate.other_squawk
    if one.callsign[i] != 0 and other.callsign[j] != 0:
        ratio += gate.same_callsign if one.callsign[i] == other.callsign[j] else gate.other_callsign
    return distance, ratio


@inner_kernel
def _reach(tracks: Sighted, n: int, gate: Gate) -> float:
    """A radius (m): two tracks can only pass the gate within the larger of theirs."""
    xx, yy = tracks.covariance[n, 0, 0], tracks.covariance[n, 1, 1]
    xy = 0.5 * (tracks.covariance[n, 0, 1] + tracks.covariance[n, 1, 0])
    largest = 0.5 * (xx + yy) + sqrt(0.25 * (xx - yy) ** 2 + xy * xy) + 0.5 * gate.bias * gate.bias
    speed_squared = tracks.velocity[n, 0] ** 2 + tracks.velocity[n, 1] ** 2
    if not isnan(speed_squared):
        largest += 0.5 * gate.skew * gate.skew * speed_squared
    widest = gate.distance if tracks.address[n] < 0 else gate.address_distance
    reach = sqrt(2.0 * widest * max(largest, 0.0))
    is_placed = not (isnan(tracks.latitude[n]) or isnan(tracks.longitude[n]))
    return min(reach, _REACH_MOST) if reach > 0.0 and is_placed else 0.0


@kernel
def _reaches(tracks: Sighted, rows: Ints1, gate: Gate) -> Floats1:
    """The reach of each of the rows."""
    reach = np.empty(len(rows))
    for k in range(len(rows)):
        reach[k] = _reach(tracks, rows[k], gate)
    return reach


@inner_kernel
def _first_from(values: Floats1, low: int, high: int, least: float) -> int:
    """The first place from `low` on, and at most `high`, whose value is not below `least`; they rise."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


def find_candidates(
    one: Sighted, other: Sighted, one_open: Bools1, other_open: Bools1, gate: Gate
) -> tuple[Ints2, Floats2]:
    """All pairs of tracks of two centres that are likely one aircraft, by row of the first, then second.

    Tracks lie in strips of latitude, sorted by longitude within each; of two tracks the one with
    the larger reach finds the other. What sorts is no kernel: it would take longer to compile than
    all of the exchange, and gain nothing.

    Args:
        one, other: the tracks of two centres. one_open, other_open: which of them may be paired.
        gate: the bounds.

    Returns:
        (Q, 2) rows of both, and (Q, 2) squared distance and log-likelihood ratio of each.
    """
    ones, others = np.flatnonzero(one_open), np.flatnonzero(other_open)
    if len(ones) == 0 or len(others) == 0:
        return np.zeros((0, 2), np.int64), np.zeros((0, 2))
    reach_one, reach_other = _reaches(one, ones, gate), _reaches(other, others, gate)
    height = max(2.0 * float(np.median(np.concatenate((reach_one, reach_other)))), 50.0) / 6_300_000.0
    in_one, in_other = (
        _in_strips(one, ones, reach_one, height),
        _in_strips(other, others, reach_other, height),
    )
    there, back = _find_near(*in_one, *in_other, height, False), _find_near(*in_other, *in_one, height, True)
    pairs = np.concatenate((there, back[:, ::-1]))
    pairs = pairs[np.argsort(pairs[:, 0] * len(other_open) + pairs[:, 1], kind="stable")]
    values = compare_pairs(one, other, pairs, gate)
    is_likely = values[:, 1] > 0.0
    return pairs[is_likely], values[is_likely]


def _in_strips(
    tracks: Sighted, rows: Ints1, reach: Floats1, height: float
) -> tuple[Ints1, Floats1, Floats1, Floats1, Floats1]:
    """Rows by strip of latitude `height` rad high, then longitude; their reach, place and strip."""
    latitude, longitude = tracks.latitude[rows], tracks.longitude[rows]
    strip = np.floor(latitude / height)
    order = np.lexsort((longitude, strip))
    return rows[order], reach[order], latitude[order], longitude[order], strip[order]


@kernel
def _find_near(
    rows: Ints1,
    reach: Floats1,
    latitude: Floats1,
    longitude: Floats1,
    strip: Floats1,
    other_rows: Ints1,
    other_reach: Floats1,
    other_latitude: Floats1,
    other_longitude: Floats1,
    other_strip: Floats1,
    height: float,
    is_second: bool,
) -> Ints2:
    """(Q, 2) rows of each track and of those of the other side within its reach and of no larger one.

    Args:
        rows, reach, latitude, longitude, strip: (N,) as from `_in_strips`, and the same of the other side.
        height: of the strips, rad. is_second: the other side is asked first, and finds those of equal reach.
    """
    pairs = np.empty((64 + 2 * len(rows), 2), np.int64)
    count = 0
    for n in range(len(rows)):
        if reach[n] <= 0.0:
            continue
        half = 1.01 * reach[n] / 6_335_000.0  # the smallest radius of curvature, so the widest angle
        furthest = abs(latitude[n]) + half
        sine = sin(half) / max(cos(latitude[n]), 1e-12)
        across = pi if furthest >= 0.5 * pi or sine >= 1.0 else 1.01 * asin(sine)
        for s in range(floor((latitude[n] - half) / height), floor((latitude[n] + half) / height) + 1):
            low = _first_from(other_strip, 0, len(other_strip), float(s))
            high = _first_from(other_strip, low, len(other_strip), float(s + 1))
            for turn in range(-1, 2):  # the strip goes on at 180 degrees
                start = longitude[n] + 2.0 * pi * turn - across
                if start > pi or start + 2.0 * across < -pi:
                    continue
                for m in range(_first_from(other_longitude, low, high, start), high):
                    if other_longitude[m] > start + 2.0 * across:
                        break
                    if abs(other_latitude[m] - latitude[n]) > half or other_reach[m] > reach[n]:
                        continue
                    if is_second and other_reach[m] == reach[n]:
                        continue
                    if count == len(pairs):
                        more = np.empty((2 * count, 2), np.int64)
                        for k in range(count):  # a slice would take as long to compile as five kernels
                            more[k, 0], more[k, 1] = pairs[k, 0], pairs[k, 1]
                        pairs = more
                    pairs[count, 0], pairs[count, 1] = rows[n], other_rows[m]
                    count += 1
    return pairs[:count].copy()


@kernel
def separations(
    latitude: Floats1,
    longitude: Floats1,
    height: Floats1,
    velocity: Floats2,
    other_latitude: Floats1,
    other_longitude: Floats1,
    other_velocity: Floats2,
) -> Floats2:
    """(K, 4) the other states minus the first ones: east, north, and their velocities, m and m/s.

    Args:
        latitude, longitude, other_latitude, other_longitude: (K,) rad. height: (K,) m, NaN for unknown.
        velocity, other_velocity: (K, 3) m/s.
    """
    apart = np.empty((len(latitude), 4))
    for k in range(len(latitude)):
        apart[k, 0], apart[k, 1] = offset_between(
            latitude[k], longitude[k], height[k], other_latitude[k], other_longitude[k]
        )
        for a in range(2):
            apart[k, 2 + a] = other_velocity[k, a] - velocity[k, a]
    return apart


@kernel
def compare_pairs(one: Sighted, other: Sighted, pairs: Ints2, gate: Gate) -> Floats2:
    """(Q, 2) squared distance and log-likelihood ratio of given pairs (Q, 2) of rows, as `compare_tracks`."""
    values = np.empty((len(pairs), 2))
    for q in range(len(pairs)):
        values[q, 0], values[q, 1] = compare_tracks(one, pairs[q, 0], other, pairs[q, 1], gate)
    return values


@kernel
def assign_pairs(pairs: Ints2, ratio: Floats1, ones: int, others: int, step: float) -> tuple[Bools1, Floats1]:
    """Chooses pairs, each track in at most one, for the largest sum of ratios; who finds none stays alone.

    Tracks of the first centre bid for those of the second (the auction algorithm), so the sum is
    within `step` for each track of the best. Pairs of no positive ratio are never chosen.

    Args:
        pairs: (Q, 2) rows of both centres, sorted by the first. ratio: (Q,) of each pair.
        ones, others: tracks of the first and of the second centre.
        step: what a bid raises the price by at least.

    Returns:
        (Q,) whether a pair is chosen, and (Q,) by how much the sum would fall, at least, if the best
        exchange took its place: another partner for one of the two, and for who is left over what that
        one leaves, or what is free.

    Source: D. P. Bertsekas, The auction algorithm, 1988.
    """
    count = len(pairs)
    first = np.zeros(ones + 1, np.int64)
    for q in range(count):
        first[pairs[q, 0] + 1] += 1
    first = np.cumsum(first)
    price = np.zeros(others)
    holder = np.full(others, -1, np.int64)  # the pair by which a track of the second centre is taken
    waiting = np.empty(ones, np.int64)
    size = 0
    for i in range(ones - 1, -1, -1):
        if first[i + 1] > first[i]:
            waiting[size] = i
            size += 1
    while size > 0:
        size -= 1
        i = waiting[size]
        best, best_gain, second_gain = -1, 0.0, 0.0
        for q in range(first[i], first[i + 1]):
            gain = ratio[q] - price[pairs[q, 1]]
            if gain > best_gain:
                best, second_gain, best_gain = q, best_gain, gain
            elif gain > second_gain:
                second_gain = gain
        if best < 0:
            continue
        j = pairs[best, 1]
        if holder[j] >= 0:
            waiting[size] = pairs[holder[j], 0]
            size += 1
        holder[j] = best
        price[j] += best_gain - second_gain + step
    chosen = np.zeros(count, np.bool_)
    partner = np.full(ones, -1, np.int64)
    for j in range(others):
        if holder[j] >= 0:
            chosen[holder[j]] = True
            partner[pairs[holder[j], 0]] = holder[j]
    margin = np.zeros(count)
    for q in range(count):
        if chosen[q]:
            margin[q] = ratio[q]
    # Of each pair that was not chosen: what choosing it instead would cost the pairs it breaks.
    for q in range(count):
        if chosen[q]:
            continue
        i, j = pairs[q, 0], pairs[q, 1]
        mine, theirs = partner[i], holder[j]
        gained = ratio[q]
        lost = 0.0
        if mine >= 0:
            lost += ratio[mine]
        if theirs >= 0:
            lost += ratio[theirs]
        if theirs >= 0:
            # Who is left over may take what the other leaves, or what is free.
            left, other_gain = pairs[theirs, 0], 0.0
            for r in range(first[left], first[left + 1]):
                k = pairs[r, 1]
                if holder[k] < 0 or (mine >= 0 and k == pairs[mine, 1]):
                    other_gain = max(other_gain, ratio[r])
            gained += other_gain
        if mine >= 0:
            margin[mine] = min(margin[mine], lost - gained)
        if theirs >= 0:
            margin[theirs] = min(margin[theirs], lost - gained)
    return chosen, margin


@inner_kernel
def _factor(matrix: Floats2, lower: MutableFloats2) -> bool:
    """Writes L of L L' = matrix (4, 4), a lower triangle; false where that is not positive definite."""
    for a in range(4):
        for b in range(a + 1):
            value = matrix[a, b]
            for k in range(b):
                value -= lower[a, k] * lower[b, k]
            if a == b:
                if not value > 0.0:
                    return False
                lower[a, a] = sqrt(value)
            else:
                lower[a, b] = value / lower[b, b]
                lower[b, a] = 0.0
    return True


@inner_kernel
def _invert(lower: Floats2, inverse: MutableFloats2, half: MutableFloats2) -> float:
    """The inverse of L L', written to `inverse` (4, 4); returns the determinant of the inverse.

    `half` (4, 4) is room to work in, of which only the lower triangle is used.
    """
    determinant = 1.0
    for a in range(4):
        half[a, a] = 1.0 / lower[a, a]
        determinant *= half[a, a] * half[a, a]
        for b in range(a):
            value = 0.0
            for k in range(b, a):
                value -= lower[a, k] * half[k, b]
            half[a, b] = value / lower[a, a]
    for a in range(4):
        for b in range(4):
            value = 0.0
            for k in range(max(a, b), 4):
                value += half[k, a] * half[k, b]
            inverse[a, b] = value
    return determinant


@kernel
def fuse_states(
    apart: Floats2, covariance: Floats3, other_covariance: Floats3, is_in_doubt: Bools1, correlation: float
) -> tuple[Floats2, Floats3]:
    """Two estimates of each of K targets made into one.

    Where what both know in common is empty but for the target's own manoeuvres, each counts by its
    information, and the covariance allows for errors that are correlated. Where it is in doubt,
    covariance intersection with weights by determinants: never too sure, whatever is in common. Where the
    two differ by more than their covariances admit, the fused one grows by the ratio (Birge's).

    Args:
        apart: (K, 4) the second estimate minus the first: east, north, and their velocities, m and m/s.
        covariance, other_covariance: (K, 4, 4) of both.
        is_in_doubt: (K,) whether they may have data in common.
        correlation: of the errors of two trackers that have no data in common, 0 to 1.

    Returns:
        (K, 4) what to add to the first estimate, and (K, 4, 4) covariances; the first estimate as it is
        where a covariance is not positive definite.

    Sources: S. J. Julier, J. K. Uhlmann, A non-divergent estimation algorithm in the presence of
    unknown correlations, 1997; D. Fränken, A. Hüpper, Improved fast covariance intersection for
    distributed data fusion, 2005; Y. Bar-Shalom, On the track-to-track correlation problem, 1981;
    R. T. Birge, The calculation of errors by the method of least squares, 1932.
    """
    count = len(apart)
    step = np.zeros((count, 4))
    fused = np.empty((count, 4, 4))
    lower, other_lower, room = np.empty((4, 4)), np.empty((4, 4)), np.empty((4, 4))
    information, other_information = np.empty((4, 4)), np.empty((4, 4))
    total, half = np.empty((4, 4)), np.empty((4, 4))
    keep, gain = np.empty((4, 4)), np.empty((4, 4))
    apart_sum, white = np.empty((4, 4)), np.empty(4)
    left, right = np.empty((4, 4)), np.empty((4, 4))
    for n in range(count):
        for a in range(4):
            for b in range(4):
                fused[n, a, b] = covariance[n, a, b]
        if not (_factor(covariance[n], lower) and _factor(other_covariance[n], other_lower)):
            continue
        determinant = _invert(lower, information, half)
        other_determinant = _invert(other_lower, other_information, half)
        weight, other_weight = 1.0, 1.0
        if is_in_doubt[n]:
            for a in range(4):
                for b in range(4):
                    total[a, b] = information[a, b] + other_information[a, b]
            if not _factor(total, room):
                continue
            both = 1.0
            for a in range(4):
                both *= room[a, a] * room[a, a]
            weight = min(max((both - other_determinant + determinant) / (2.0 * both), 0.0), 1.0)
            other_weight = 1.0 - weight
        for a in range(4):
            for b in range(4):
                total[a, b] = weight * information[a, b] + other_weight * other_information[a, b]
        if not _factor(total, room):
            continue
        _invert(room, total, half)
        for a in range(4):
            for b in range(4):
                value = 0.0
                for k in range(4):
                    value += total[a, k] * other_weight * other_information[k, b]
                gain[a, b] = value
                keep[a, b] = (1.0 if a == b else 0.0) - value
        for a in range(4):
            for b in range(4):
                step[n, a] += gain[a, b] * apart[n, b]
        # Two estimates that differ by more than they admit: neither is as good as it says.
        distance = 0.0
        for a in range(4):
            for b in range(4):
                apart_sum[a, b] = covariance[n, a, b] + other_covariance[n, a, b]
        _factor(apart_sum, room)
        for a in range(4):
            value = apart[n, a]
            for k in range(a):
                value -= room[a, k] * white[k]
            white[a] = value / room[a, a]
            distance += white[a] * white[a]
        scale = max(1.0, 0.25 * distance)
        if is_in_doubt[n]:
            for a in range(4):
                for b in range(4):
                    fused[n, a, b] = scale * total[a, b]
            continue
        # The covariance of keep * first + gain * second, with the errors' correlation.
        for a in range(4):
            for b in range(4):
                value, other_value = 0.0, 0.0
                for k in range(b, 4):
                    value += keep[a, k] * lower[k, b]
                    other_value += gain[a, k] * other_lower[k, b]
                left[a, b], right[a, b] = value, other_value
        for a in range(4):
            for b in range(4):
                value = 0.0
                for k in range(4):
                    value += left[a, k] * left[b, k] + right[a, k] * right[b, k]
                    value += correlation * (left[a, k] * right[b, k] + right[a, k] * left[b, k])
                fused[n, a, b] = scale * value
    return step, fused
