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
    Floats1,
    Floats2,
    Floats3,
    Ints2,
    MutableFloats1,
    MutableFloats2,
    MutableFloats3,
    MutableInts1,
)
from skypact.core.geodesy import ecef_from_geodetic
from skypact.core.jit import inner_kernel, kernel
from skypact.tracks.earth import Frame, elevation_of_height, height_and_vertical, point_seen

ROWS_MOST = 5  # rows of one plot: range, azimuth, elevation, height, range rate
NO_PLACE, COMPLETE, NEEDS_HEIGHT, NEEDS_RANGE = 0, 1, 2, 3  # what a plot's measurements determine


# Columns of `Sensors.real`.
S_PERIOD = 0  # from one look at a target to the next, s
S_REACH = 1  # greatest slant range, m
S_DETECTION = 2  # probability of detection in one look
S_SIGMA_RANGE = 3  # m
S_SIGMA_AZIMUTH = 4  # rad
S_SIGMA_ELEVATION = 5  # rad
S_SIGMA_POSITION = 6  # m
S_SPEED_SIGMA = 7  # of a new target's velocity, each horizontal axis, m/s
S_HEIGHT_GUESS = 8  # of a new target without height, m
S_HEIGHT_SIGMA = 9  # of that guess, m
S_HAS_SITE = 10  # 1 or 0
S_ASKS = 11  # 1: finds only targets that answer or report by themselves
S_REALS = 12
# Columns of `Plots.real`: as in `plots.model.PlotBatch`.
P_TIME, P_RANGE, P_AZIMUTH, P_ELEVATION, P_RANGE_RATE, P_ALTITUDE, P_HEIGHT = 0, 1, 2, 3, 4, 5, 6
P_LATITUDE, P_LONGITUDE, P_SIGMA_RANGE, P_SIGMA_AZIMUTH, P_SIGMA_ELEVATION = 7, 8, 9, 10, 11
P_SIGMA_RANGE_RATE, P_SIGMA_ALTITUDE, P_SIGMA_POSITION, P_RECEIVED = 12, 13, 14, 15
PLOT_REALS = (
    *("time", "range", "azimuth", "elevation", "range_rate", "altitude", "height"),
    *("latitude", "longitude", "sigma_range", "sigma_azimuth", "sigma_elevation"),
    *("sigma_range_rate", "sigma_altitude", "sigma_position", "received"),
)
# Columns of `Plots.codes`.
P_SENSOR, P_SQUAWK, P_ADDRESS, P_CALLSIGN, P_FLAGS = 0, 1, 2, 3, 4
PLOT_CODES = ("sensor", "squawk", "address", "callsign", "flags")


class Sensors(NamedTuple):
    """The sensor table as kernels read it; one row per sensor."""

    site: Floats2  # (S, 3) in the centre's frame, m
    axes: Floats3  # (S, 3, 3) rows east, north, up at the sensor, in the centre's axes
    real: Floats2  # (S, S_REALS)


class Plots(NamedTuple):
    """A plot batch as kernels read it."""

    real: Floats2  # (P, 16)
    codes: Ints2  # (P, 5)


class Rows(NamedTuple):
    """Linear measurements of K plots, or of K pairs of a track and a plot."""

    used: MutableInts1  # (K,) how many rows
    direction: MutableFloats3  # (K, 5, 6) in position and velocity; unit length
    value: MutableFloats3  # (K, 5, 2) measured minus what `place` at rest would give, m or m/s; and variance
    place: (
        MutableFloats2  # (K, 5) in the centre's frame, m; height if a row measures it, else NaN; slant range
    )


def make_rows(count: int) -> Rows:
    """Room for the rows of `count` plots."""
    return Rows(
        np.zeros(count, np.int64),
        np.zeros((count, ROWS_MOST, 6)),
        np.zeros((count, ROWS_MOST, 2)),
        np.zeros((count, 5)),
    )


@inner_kernel
def plot_form(plots: Plots, p: int, sensors: Sensors) -> int:
    """What plot `p` determines: COMPLETE, NEEDS_HEIGHT, NEEDS_RANGE or, when it is of no use, NO_PLACE."""
    has_height = not (isnan(plots.real[p, P_ALTITUDE]) and isnan(plots.real[p, P_HEIGHT]))
    if not (isnan(plots.real[p, P_LATITUDE]) or isnan(plots.real[p, P_LONGITUDE])):
        if abs(plots.real[p, P_LATITUDE]) > 1.5708 or abs(plots.real[p, P_LONGITUDE]) > 6.2832:
            return NO_PLACE
        return COMPLETE if has_height else NEEDS_HEIGHT
    s = plots.codes[p, P_SENSOR]
    if sensors.real[s, S_HAS_SITE] == 0.0 or isnan(plots.real[p, P_AZIMUTH]):
        return NO_PLACE
    if isnan(plots.real[p, P_RANGE]):
        return NEEDS_RANGE
    if not 0.0 < plots.real[p, P_RANGE] <= 2.0 * sensors.real[s, S_REACH]:
        return NO_PLACE
    return COMPLETE if has_height or not isnan(plots.real[p, P_ELEVATION]) else NEEDS_HEIGHT


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


@inner_kernel
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
    s = plots.codes[p, P_SENSOR]
    height, height_sigma = plots.real[p, P_HEIGHT], _sigma_or(plots.real[p, P_SIGMA_ALTITUDE], 30.0)
    if isnan(height):
        height = plots.real[p, P_ALTITUDE]
    count = 0
    rows.place[k, 3] = height
    if not (isnan(plots.real[p, P_LATITUDE]) or isnan(plots.real[p, P_LONGITUDE])):
        placed = assumed_height if isnan(height) else height
        _place_position(plots.real[p, P_LATITUDE], plots.real[p, P_LONGITUDE], placed, frame, rows.place[k])
        sigma = _sigma_or(plots.real[p, P_SIGMA_POSITION], sensors.real[s, S_SIGMA_POSITION])
        _lay_level(rows.place[k], frame, rows.direction[k])
        for i in range(2):
            rows.value[k, i, 0] = 0.0
            rows.value[k, i, 1] = sigma * sigma
        rows.place[k, 4] = 0.0
        count = 2
    else:
        site, axes = sensors.site[s], sensors.axes[s]
        azimuth, slant = plots.real[p, P_AZIMUTH], plots.real[p, P_RANGE]
        has_range = not isnan(slant)
        if not has_range:
            slant = assumed_slant
        elevation, has_elevation = plots.real[p, P_ELEVATION], not isnan(plots.real[p, P_ELEVATION])
        elevation_sigma = slant * _sigma_or(
            plots.real[p, P_SIGMA_ELEVATION], sensors.real[s, S_SIGMA_ELEVATION]
        )
        seen = elevation
        if not isnan(height) and (not has_elevation or height_sigma <= elevation_sigma):
            seen = elevation_of_height(site, axes, slant, azimuth, height, frame)
        elif not has_elevation:
            seen = elevation_of_height(site, axes, slant, azimuth, assumed_height, frame)
        rows.place[k, 4] = slant
        x, y, z = point_seen(site, axes, slant, azimuth, seen)
        rows.place[k, 0], rows.place[k, 1], rows.place[k, 2] = x, y, z
        direction = rows.direction[k]
        cos_seen, sin_seen = cos(seen), sin(seen)
        cos_azimuth, sin_azimuth = cos(azimuth), sin(azimuth)
        if has_range:
            _lay_direction(axes, cos_seen * sin_azimuth, cos_seen * cos_azimuth, sin_seen, direction[count])
            sigma = _sigma_or(plots.real[p, P_SIGMA_RANGE], sensors.real[s, S_SIGMA_RANGE])
            bend = 0.0
            if isnan(height) and not has_elevation:
                bend = 0.5 * (height_variance / slant) ** 2
            rows.value[k, count, 0] = 0.0
            rows.value[k, count, 1] = sigma * sigma + bend
            count += 1
        _lay_direction(axes, cos_azimuth, -sin_azimuth, 0.0, direction[count])
        sigma = slant * cos_seen * _sigma_or(plots.real[p, P_SIGMA_AZIMUTH], sensors.real[s, S_SIGMA_AZIMUTH])
        rows.value[k, count, 0] = 0.0
        rows.value[k, count, 1] = max(sigma * sigma, 1.0)
        count += 1
        if has_elevation:
            _lay_direction(axes, -sin_seen * sin_azimuth, -sin_seen * cos_azimuth, cos_seen, direction[count])
            rows.value[k, count, 0] = slant * (elevation - seen)
            rows.value[k, count, 1] = max(elevation_sigma * elevation_sigma, 1.0)
            count += 1
            if isnan(height):
                rows.place[k, 3], _, _, _ = height_and_vertical(x, y, z, frame)
        if not isnan(plots.real[p, P_RANGE_RATE]):
            _lay_direction(axes, cos_seen * sin_azimuth, cos_seen * cos_azimuth, sin_seen, direction[count])
            for i in range(3):
                direction[count, 3 + i] = direction[count, i]
                direction[count, i] = 0.0
            sigma = _sigma_or(plots.real[p, P_SIGMA_RANGE_RATE], 5.0)
            rows.value[k, count, 0] = plots.real[p, P_RANGE_RATE]
            rows.value[k, count, 1] = sigma * sigma
            count += 1
    if not isnan(height):
        place = rows.place[k]
        reached, ux, uy, uz = height_and_vertical(place[0], place[1], place[2], frame)
        direction = rows.direction[k]
        direction[count, 0], direction[count, 1], direction[count, 2] = ux, uy, uz
        direction[count, 3], direction[count, 4], direction[count, 5] = 0.0, 0.0, 0.0
        rows.value[k, count, 0] = height - reached
        rows.value[k, count, 1] = height_sigma * height_sigma
        count += 1
    rows.used[k] = count


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


@inner_kernel
def place_covariance(rows: Rows, k: int, cov: MutableFloats2) -> bool:
    """The covariance (3, 3) of a place from its rows, m²; False where they do not determine it."""
    a = np.zeros((3, 3))
    for r in range(rows.used[k]):
        for i in range(3):
            for j in range(3):
                a[i, j] += rows.direction[k, r, i] * rows.direction[k, r, j] / rows.value[k, r, 1]
    return invert_symmetric(a, cov)
