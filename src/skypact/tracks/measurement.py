"""Plots as rows of linear measurements in metres around the place where the plot lies.

A plot's range, azimuth, elevation, height, position and range rate each become one row: a direction
in the space of position and velocity, a value and a variance. Rows are taken at the plot's own
place, not at a track's prediction, so that one set serves every track, and a poor prediction does not
bend them. A plot without height or without range has no place of its own: its rows are laid for one
track at a time, with that track's height or range.
"""

from math import cos, isnan, sin, sqrt
from typing import NamedTuple

import numpy as np

from skypact.core.arrays import (
    Bools1,
    Floats1,
    Floats2,
    Floats3,
    Int16s1,
    Int32s1,
    Ints1,
    MutableFloats1,
    MutableFloats2,
    MutableFloats3,
    MutableInts1,
    UInt16s1,
)
from skypact.core.geodesy import ecef_from_geodetic
from skypact.core.jit import kernel
from skypact.tracks.earth import Frame, elevation_of_height, height_and_vertical, point_seen

ROWS_MOST = 5  # rows of one plot: range, azimuth, elevation, height, range rate
NO_PLACE, COMPLETE, NEEDS_HEIGHT, NEEDS_RANGE = 0, 1, 2, 3  # what a plot's measurements determine


class Sensors(NamedTuple):
    """The sensor table as kernels read it; one row per sensor."""

    site: Floats2  # (S, 3) in the centre's frame, m
    axes: Floats3  # (S, 3, 3) rows east, north, up at the sensor, in the centre's axes
    has_site: Bools1  # (S,)
    asks: Bools1  # (S,) finds only targets that answer or report by themselves
    period: Floats1  # (S,) s from one look at a target to the next
    reach: Floats1  # (S,) greatest slant range, m
    detection: Floats1  # (S,) probability of detection in one look
    sigma_range: Floats1  # (S,) m
    sigma_azimuth: Floats1  # (S,) rad
    sigma_elevation: Floats1  # (S,) rad
    sigma_position: Floats1  # (S,) m
    speed_sigma: Floats1  # (S,) of a new target's velocity, each horizontal axis, m/s
    height_guess: Floats1  # (S,) of a new target without height, m
    height_sigma: Floats1  # (S,) of that guess, m


class Plots(NamedTuple):
    """A plot batch as kernels read it; columns as in `plots.model.PlotBatch`."""

    sensor: Int32s1
    time: Floats1
    range: Floats1
    azimuth: Floats1
    elevation: Floats1
    range_rate: Floats1
    altitude: Floats1
    height: Floats1
    latitude: Floats1
    longitude: Floats1
    sigma_range: Floats1
    sigma_azimuth: Floats1
    sigma_elevation: Floats1
    sigma_range_rate: Floats1
    sigma_altitude: Floats1
    sigma_position: Floats1
    squawk: Int16s1
    address: Int32s1
    callsign: Ints1
    flags: UInt16s1


class Rows(NamedTuple):
    """Linear measurements of K plots, or of K pairs of a track and a plot."""

    count: MutableInts1  # (K,) rows in use
    direction: MutableFloats3  # (K, 5, 6) in position and velocity; unit length
    value: MutableFloats2  # (K, 5) measured minus what `place` at rest would give, m or m/s
    variance: MutableFloats2  # (K, 5) m² or m²/s²
    place: MutableFloats2  # (K, 3) in the centre's frame, m
    height: MutableFloats1  # (K,) of the place if a row measures it, else NaN, m
    slant: MutableFloats1  # (K,) from the sensor to the place, m; 0 for ready positions


def make_rows(count: int) -> Rows:
    """Room for the rows of `count` plots."""
    return Rows(
        np.zeros(count, np.int64),
        np.zeros((count, ROWS_MOST, 6)),
        np.zeros((count, ROWS_MOST)),
        np.zeros((count, ROWS_MOST)),
        np.zeros((count, 3)),
        np.zeros(count),
        np.zeros(count),
    )


@kernel
def plot_form(plots: Plots, p: int, sensors: Sensors) -> int:
    """What plot `p` determines: COMPLETE, NEEDS_HEIGHT, NEEDS_RANGE or, when it is of no use, NO_PLACE."""
    has_height = not (isnan(plots.altitude[p]) and isnan(plots.height[p]))
    if not (isnan(plots.latitude[p]) or isnan(plots.longitude[p])):
        if abs(plots.latitude[p]) > 1.5708 or abs(plots.longitude[p]) > 6.2832:
            return NO_PLACE
        return COMPLETE if has_height else NEEDS_HEIGHT
    s = plots.sensor[p]
    if not sensors.has_site[s] or isnan(plots.azimuth[p]):
        return NO_PLACE
    if isnan(plots.range[p]):
        return NEEDS_RANGE
    if not 0.0 < plots.range[p] <= 2.0 * sensors.reach[s]:
        return NO_PLACE
    return COMPLETE if has_height or not isnan(plots.elevation[p]) else NEEDS_HEIGHT


@kernel
def _sigma_or(sigma: float, otherwise: float) -> float:
    """A plot's own sigma, or its sensor's where the plot's is no proper one."""
    return sigma if sigma > 0.0 else otherwise


@kernel
def _lay_direction(axes: Floats2, east: float, north: float, up: float, row: MutableFloats1) -> None:
    """A direction given in a sensor's axes, as the position part of a row in the centre's."""
    for i in range(3):
        row[i] = axes[0, i] * east + axes[1, i] * north + axes[2, i] * up
        row[3 + i] = 0.0


@kernel
def _place_position(
    latitude: float, longitude: float, height: float, frame: Frame, place: MutableFloats1
) -> None:
    """A geodetic position (rad, m) in the centre's frame."""
    x, y, z = ecef_from_geodetic(latitude, longitude, height)
    x, y, z = x - frame.origin[0], y - frame.origin[1], z - frame.origin[2]
    for i in range(3):
        place[i] = frame.rotation[i, 0] * x + frame.rotation[i, 1] * y + frame.rotation[i, 2] * z


@kernel
def level_axes(x: float, y: float, z: float, frame: Frame) -> tuple[float, float, float, float, float, float]:
    """East and north at a point of the centre's frame (m), as two unit vectors in its axes."""
    _, ux, uy, uz = height_and_vertical(x, y, z, frame)
    # East is the earth's axis crossed with the vertical; at a pole any level direction will do.
    px, py, pz = frame.rotation[0, 2], frame.rotation[1, 2], frame.rotation[2, 2]
    ex, ey, ez = py * uz - pz * uy, pz * ux - px * uz, px * uy - py * ux
    length = sqrt(ex * ex + ey * ey + ez * ez)
    if length < 1e-9:
        ex, ey, ez, length = 1.0, 0.0, 0.0, 1.0
    ex, ey, ez = ex / length, ey / length, ez / length
    return ex, ey, ez, uy * ez - uz * ey, uz * ex - ux * ez, ux * ey - uy * ex


@kernel
def _lay_level(place: Floats1, frame: Frame, direction: MutableFloats2) -> None:
    """East and north at a place as the first two rows."""
    ex, ey, ez, nx, ny, nz = level_axes(place[0], place[1], place[2], frame)
    direction[0, 0], direction[0, 1], direction[0, 2] = ex, ey, ez
    direction[1, 0], direction[1, 1], direction[1, 2] = nx, ny, nz
    for i in range(2):
        for j in range(3, 6):
            direction[i, j] = 0.0


@kernel
def lay_rows(
    plots: Plots,
    p: int,
    sensors: Sensors,
    frame: Frame,
    assumed_slant: float,
    assumed_height: float,
    height_variance: float,
    rows: Rows,
    k: int,
) -> None:
    """Write the rows of plot `p` to place `k` of `rows`.

    Args:
        plots: the batch. p: the plot's place in it.
        sensors: the sensor table. frame: the centre's frame.
        assumed_slant: slant range to assume of a plot that needs one, m.
        assumed_height: height to assume of a plot that needs one, m.
        height_variance: of the assumed height, m²; what the bend of the slant range makes of it
            is added to the variance of the range.
        rows: written to. k: where.
    """
    s = plots.sensor[p]
    height, height_sigma = plots.height[p], _sigma_or(plots.sigma_altitude[p], 30.0)
    if isnan(height):
        height = plots.altitude[p]
    count = 0
    rows.height[k] = height
    if not (isnan(plots.latitude[p]) or isnan(plots.longitude[p])):
        placed = assumed_height if isnan(height) else height
        _place_position(plots.latitude[p], plots.longitude[p], placed, frame, rows.place[k])
        sigma = _sigma_or(plots.sigma_position[p], sensors.sigma_position[s])
        _lay_level(rows.place[k], frame, rows.direction[k])
        for i in range(2):
            rows.value[k, i] = 0.0
            rows.variance[k, i] = sigma * sigma
        rows.slant[k] = 0.0
        count = 2
    else:
        site, axes = sensors.site[s], sensors.axes[s]
        azimuth, slant = plots.azimuth[p], plots.range[p]
        has_range = not isnan(slant)
        if not has_range:
            slant = assumed_slant
        elevation, has_elevation = plots.elevation[p], not isnan(plots.elevation[p])
        elevation_sigma = slant * _sigma_or(plots.sigma_elevation[p], sensors.sigma_elevation[s])
        seen = elevation
        if not isnan(height) and (not has_elevation or height_sigma <= elevation_sigma):
            seen = elevation_of_height(site, axes, slant, azimuth, height, frame)
        elif not has_elevation:
            seen = elevation_of_height(site, axes, slant, azimuth, assumed_height, frame)
        rows.slant[k] = slant
        x, y, z = point_seen(site, axes, slant, azimuth, seen)
        rows.place[k, 0], rows.place[k, 1], rows.place[k, 2] = x, y, z
        direction = rows.direction[k]
        cos_seen, sin_seen = cos(seen), sin(seen)
        cos_azimuth, sin_azimuth = cos(azimuth), sin(azimuth)
        if has_range:
            _lay_direction(axes, cos_seen * sin_azimuth, cos_seen * cos_azimuth, sin_seen, direction[count])
            sigma = _sigma_or(plots.sigma_range[p], sensors.sigma_range[s])
            bend = 0.0
            if isnan(height) and not has_elevation:
                bend = 0.5 * (height_variance / slant) ** 2
            rows.value[k, count] = 0.0
            rows.variance[k, count] = sigma * sigma + bend
            count += 1
        _lay_direction(axes, cos_azimuth, -sin_azimuth, 0.0, direction[count])
        sigma = slant * cos_seen * _sigma_or(plots.sigma_azimuth[p], sensors.sigma_azimuth[s])
        rows.value[k, count] = 0.0
        rows.variance[k, count] = max(sigma * sigma, 1.0)
        count += 1
        if has_elevation:
            _lay_direction(axes, -sin_seen * sin_azimuth, -sin_seen * cos_azimuth, cos_seen, direction[count])
            rows.value[k, count] = slant * (elevation - seen)
            rows.variance[k, count] = max(elevation_sigma * elevation_sigma, 1.0)
            count += 1
            if isnan(height):
                rows.height[k], _, _, _ = height_and_vertical(x, y, z, frame)
        if not isnan(plots.range_rate[p]):
            _lay_direction(axes, cos_seen * sin_azimuth, cos_seen * cos_azimuth, sin_seen, direction[count])
            for i in range(3):
                direction[count, 3 + i] = direction[count, i]
                direction[count, i] = 0.0
            sigma = _sigma_or(plots.sigma_range_rate[p], 5.0)
            rows.value[k, count] = plots.range_rate[p]
            rows.variance[k, count] = sigma * sigma
            count += 1
    if not isnan(height):
        place = rows.place[k]
        reached, ux, uy, uz = height_and_vertical(place[0], place[1], place[2], frame)
        direction = rows.direction[k]
        direction[count, 0], direction[count, 1], direction[count, 2] = ux, uy, uz
        direction[count, 3], direction[count, 4], direction[count, 5] = 0.0, 0.0, 0.0
        rows.value[k, count] = height - reached
        rows.variance[k, count] = height_sigma * height_sigma
        count += 1
    rows.count[k] = count


@kernel
def invert_symmetric(a: Floats2, inverse: MutableFloats2) -> bool:
    """The inverse of a symmetric positive definite (3, 3) matrix; False where it is not one."""
    c00 = a[1, 1] * a[2, 2] - a[1, 2] * a[1, 2]
    c01 = a[0, 2] * a[1, 2] - a[0, 1] * a[2, 2]
    c02 = a[0, 1] * a[1, 2] - a[0, 2] * a[1, 1]
    determinant = a[0, 0] * c00 + a[0, 1] * c01 + a[0, 2] * c02
    if not determinant > 0.0:
        return False
    inverse[0, 0] = c00 / determinant
    inverse[0, 1] = c01 / determinant
    inverse[0, 2] = c02 / determinant
    inverse[1, 0] = inverse[0, 1]
    inverse[1, 1] = (a[0, 0] * a[2, 2] - a[0, 2] * a[0, 2]) / determinant
    inverse[1, 2] = (a[0, 1] * a[0, 2] - a[0, 0] * a[1, 2]) / determinant
    inverse[2, 0] = inverse[0, 2]
    inverse[2, 1] = inverse[1, 2]
    inverse[2, 2] = (a[0, 0] * a[1, 1] - a[0, 1] * a[0, 1]) / determinant
    return True


@kernel
def place_covariance(rows: Rows, k: int, cov: MutableFloats2) -> bool:
    """The covariance (3, 3) of a place from its rows, m²; False where they do not determine it."""
    a = np.zeros((3, 3))
    for r in range(rows.count[k]):
        for i in range(3):
            for j in range(3):
                a[i, j] += rows.direction[k, r, i] * rows.direction[k, r, j] / rows.variance[k, r]
    return invert_symmetric(a, cov)
