"""Antennas sweeping over flights: when each target is hit, where it is then, and who can see it."""

from math import asin, atan2, pi, sqrt
from typing import NamedTuple

import numpy as np

from skypact.core.arrays import (
    Bools1,
    Bytes1,
    Floats1,
    Floats2,
    Floats3,
    Ints1,
    MutableBytes1,
    MutableFloats2,
    MutableInts2,
)
from skypact.core.geodesy import ecef_from_geodetic, enu_rotation
from skypact.core.jit import kernel

# Standard refraction bends a radar's rays as if the earth's radius were 4/3 of what it is.
# Source: Recommendation ITU-R P.834, effective radius of the earth.
EFFECTIVE_RADIUS = 4.0 / 3.0 * 6_371_000.0  # m


class Site(NamedTuple):
    """Where a radar stands and how far it sees."""

    latitude: float  # rad
    longitude: float  # rad
    height: float  # of the antenna above the ellipsoid, m
    range_min: float  # m
    range_max: float  # m
    elevation_max: float  # rad


@kernel
def can_see(site: Site, distance: float, elevation: float, height: float) -> bool:
    """Whether geometry lets a radar see a target: range, cone of silence, and radar horizon.

    The horizon is that of a smooth earth with 4/3 of its radius.

    Args:
        distance: slant range, m. elevation: above the radar's horizontal plane, rad.
        height: of the target above the ellipsoid, m.
    """
    if distance < site.range_min or distance > site.range_max or elevation > site.elevation_max:
        return False
    horizon = sqrt(2.0 * EFFECTIVE_RADIUS * max(site.height, 0.0))
    horizon += sqrt(2.0 * EFFECTIVE_RADIUS * max(height, 0.0))
    return distance <= horizon


@kernel
def place_at(position: Floats3, velocity: Floats3, target: int, second: float) -> tuple[float, float, float]:
    """Earth-centred position of a target at a time of the run: cubic between whole seconds.

    Exact to centimetres for the strongest manoeuvre, as controls change on whole seconds only.
    """
    step = min(max(int(second), 0), position.shape[1] - 2)
    u = second - step
    h00, h10 = (1.0 + 2.0 * u) * (1.0 - u) ** 2, u * (1.0 - u) ** 2
    h01, h11 = u * u * (3.0 - 2.0 * u), u * u * (u - 1.0)
    x, y, z = 0.0, 0.0, 0.0
    for axis in range(3):
        value = (
            h00 * position[target, step, axis]
            + h10 * velocity[target, step, axis]
            + h01 * position[target, step + 1, axis]
            + h11 * velocity[target, step + 1, axis]
        )
        if axis == 0:
            x = value
        elif axis == 1:
            y = value
        else:
            z = value
    return x, y, z


@kernel
def sweep(
    position: Floats3,
    velocity: Floats3,
    height: Floats2,
    born: Floats1,
    died: Floats1,
    can_detect: Bools1,
    site: Site,
    turns: Floats1,
) -> Floats2:
    """Every passage of a radar's beam over a target that geometry lets it see.

    Args:
        position: (N, T, 3) and velocity: (N, T, 3) of the targets at whole seconds, earth-centred.
        height: (N, T) above the ellipsoid, m.
        born: (N,) and died: (N,) seconds of the run between which a target exists.
        can_detect: (N,) whether this kind of radar detects the target at all.
        site: the radar.
        turns: (K + 1,) times of the run at which the beam passes north; K turns.

    Returns:
        (H, 6) target, turn, time (s of the run), slant range (m), azimuth and elevation (rad),
        by turn, then by target.
    """
    rotation = enu_rotation(site.latitude, site.longitude)
    site_x, site_y, site_z = ecef_from_geodetic(site.latitude, site.longitude, site.height)
    last = position.shape[1] - 1.0
    capacity = 1024
    hits = np.empty((capacity, 6))
    count = 0
    for turn in range(len(turns) - 1):
        begin, period = turns[turn], turns[turn + 1] - turns[turn]
        for target in range(position.shape[0]):
            if not can_detect[target]:
                continue
            time = begin + 0.5 * period
            azimuth, distance, elevation, before = 0.0, 0.0, 0.0, 0.0
            is_near = True
            for _ in range(
                4
            ):  # the beam meets a moving target: converges by its angular speed over the beam's
                moment = min(max(time, born[target]), min(died[target], last))
                x, y, z = place_at(position, velocity, target, moment)
                dx, dy, dz = x - site_x, y - site_y, z - site_z
                distance = sqrt(dx * dx + dy * dy + dz * dz)
                # No target moves by 20 km in one turn.
                if distance > site.range_max + 20_000.0:
                    is_near = False
                    break
                east = rotation[0, 0] * dx + rotation[0, 1] * dy + rotation[0, 2] * dz
                north = rotation[1, 0] * dx + rotation[1, 1] * dy + rotation[1, 2] * dz
                up = rotation[2, 0] * dx + rotation[2, 1] * dy + rotation[2, 2] * dz
                azimuth = atan2(east, north) % (2.0 * pi)
                elevation = asin(up / max(distance, 1e-3))
                before, time = time, begin + azimuth / (2.0 * pi) * period
            # A target that crosses north as the beam does would jump between the ends of the turn.
            if abs(time - before) > 1e-3 * period:
                continue
            if not is_near or time < max(born[target], 0.0) or time > min(died[target], last):
                continue
            target_height = height[target, int(time + 0.5)]
            if not can_see(site, distance, elevation, target_height):
                continue
            if count == capacity:
                larger = np.empty((2 * capacity, 6))
                larger[:capacity] = hits
                hits, capacity = larger, 2 * capacity
            hits[count, 0], hits[count, 1], hits[count, 2] = target, turn, time
            hits[count, 3], hits[count, 4], hits[count, 5] = distance, azimuth, elevation
            count += 1
    return hits[:count].copy()


@kernel
def add_cover(
    position: Floats3,
    height: Floats2,
    born: Floats1,
    died: Floats1,
    can_detect: Bools1,
    site: Site,
    period: float,
    covered: MutableInts2,
    scan: MutableFloats2,
) -> None:
    """Count one radar into who can see each target at each whole second.

    Args:
        position: (N, T, 3) earth-centred, m. height: (N, T) above the ellipsoid, m.
        born: (N,) and died: (N,) seconds of the run. can_detect: (N,) by this kind of radar.
        site: the radar. period: its rotation period, s.
        covered: (N, T) rises by one where the radar sees the target.
        scan: (N, T) shortest period among the radars that see it; infinite where none does.
    """
    rotation = enu_rotation(site.latitude, site.longitude)
    site_x, site_y, site_z = ecef_from_geodetic(site.latitude, site.longitude, site.height)
    farthest = site.range_max * site.range_max
    for target in range(position.shape[0]):
        if not can_detect[target]:
            continue
        for second in range(int(born[target]), int(died[target]) + 1):
            dx = position[target, second, 0] - site_x
            dy = position[target, second, 1] - site_y
            dz = position[target, second, 2] - site_z
            squared = dx * dx + dy * dy + dz * dz
            if squared > farthest:
                continue
            distance = sqrt(squared)
            up = rotation[2, 0] * dx + rotation[2, 1] * dy + rotation[2, 2] * dz
            elevation = asin(up / max(distance, 1e-3))
            if can_see(site, distance, elevation, height[target, second]):
                covered[target, second] += 1
                scan[target, second] = min(scan[target, second], period)


@kernel
def unresolved_with(
    turn: Floats1, azimuth: Floats1, distance: Floats1, cell_azimuth: float, cell_range: float
) -> Floats1:
    """For each detection the earlier one in whose resolution cell it lies, else -1.

    Args:
        turn: (H,) rising. azimuth: (H,) rad, rising within a turn. distance: (H,) m.
        cell_azimuth: rad. cell_range: m. A cell of size 0 resolves everything.

    Returns:
        (H,) row of the first detection that it melts into; chains melt into their first.
    """
    owner = np.full(len(turn), -1.0)
    for late in range(len(turn)):
        early = late - 1
        while early >= 0 and turn[early] == turn[late] and azimuth[late] - azimuth[early] < cell_azimuth:
            if abs(distance[late] - distance[early]) < cell_range:
                owner[late] = owner[early] if owner[early] >= 0.0 else float(early)
                break
            early -= 1
    return owner


@kernel
def pack_blocks(
    single: Bytes1,
    offset: Ints1,
    length: Ints1,
    group: Ints1,
    longest: int,
    packed: MutableBytes1,
    blocks: MutableInts2,
) -> int:
    """Put the records of neighbouring blocks of one group into common ASTERIX data blocks.

    A block is its category, its length in two octets, and its records.

    Args:
        single: octets of blocks of one category. offset: (R,) first octet of each. length: (R,) octets.
        group: (R,) only neighbours of one group go together. longest: octets of a common block.
        packed: takes the common blocks; as long as `single` is enough.
        blocks: (R, 3) takes first octet, octets and first row of each common block.

    Returns:
        How many common blocks there are.
    """
    count, end = 0, 0
    for row in range(len(offset)):
        body = length[row] - 3
        joins = count > 0 and group[row] == group[row - 1] and blocks[count - 1, 1] + body <= longest
        if not joins:
            blocks[count, 0], blocks[count, 1], blocks[count, 2] = end, 3, row
            packed[end] = single[offset[row]]
            end += 3
            count += 1
        for octet in range(body):
            packed[end + octet] = single[offset[row] + 3 + octet]
        end += body
        blocks[count - 1, 1] += body
    for block in range(count):
        packed[blocks[block, 0] + 1] = blocks[block, 1] // 256
        packed[blocks[block, 0] + 2] = blocks[block, 1] % 256
    return count
