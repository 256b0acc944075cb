"""The round earth as seen from the centre's frame: height and vertical of a point, and where a plot lies."""

from math import atan2, cos, hypot, sin, sqrt
from typing import NamedTuple

import numpy as np

from skypact.core.arrays import Floats1, Floats2
from skypact.core.geodesy import SEMI_MAJOR_AXIS, SEMI_MINOR_AXIS, Geodetic, ecef_from_geodetic, enu_rotation
from skypact.core.jit import kernel

_PER_MAJOR_SQUARED = 1.0 / SEMI_MAJOR_AXIS**2
_PER_MINOR_SQUARED = 1.0 / SEMI_MINOR_AXIS**2


class Frame(NamedTuple):
    """The centre's local frame in earth-centred axes."""

    rotation: Floats2  # (3, 3) rows: east, north, up
    origin: Floats1  # (3,) earth-centred, m


def make_frame(reference: Geodetic) -> Frame:
    """The frame with its origin at `reference`."""
    return Frame(
        enu_rotation(reference.latitude, reference.longitude),
        np.array(ecef_from_geodetic(reference.latitude, reference.longitude, reference.height)),
    )


@kernel
def height_and_vertical(x: float, y: float, z: float, frame: Frame) -> tuple[float, float, float, float]:
    """Height above the ellipsoid (m) of a point of the centre's frame, and the unit vector up there.

    The foot of the perpendicular is taken where the line to the earth's centre meets the
    ellipsoid: wrong by less than 40 m along the ground at 12 km, so by less than 1 mm of height.
    """
    rotation, origin = frame.rotation, frame.origin
    ex = origin[0] + rotation[0, 0] * x + rotation[1, 0] * y + rotation[2, 0] * z
    ey = origin[1] + rotation[0, 1] * x + rotation[1, 1] * y + rotation[2, 1] * z
    ez = origin[2] + rotation[0, 2] * x + rotation[1, 2] * y + rotation[2, 2] * z
    nx, ny, nz = ex * _PER_MAJOR_SQUARED, ey * _PER_MAJOR_SQUARED, ez * _PER_MINOR_SQUARED
    scale = sqrt(ex * nx + ey * ny + ez * nz)
    length = sqrt(nx * nx + ny * ny + nz * nz)
    if scale < 0.1 or length == 0.0:  # deep inside the earth nothing has a height
        return -SEMI_MINOR_AXIS, 0.0, 0.0, 1.0
    nx, ny, nz = nx / length, ny / length, nz / length
    height = (1.0 - 1.0 / scale) * (ex * nx + ey * ny + ez * nz)
    up_x = rotation[0, 0] * nx + rotation[0, 1] * ny + rotation[0, 2] * nz
    up_y = rotation[1, 0] * nx + rotation[1, 1] * ny + rotation[1, 2] * nz
    up_z = rotation[2, 0] * nx + rotation[2, 1] * ny + rotation[2, 2] * nz
    return height, up_x, up_y, up_z


@kernel
def point_seen(
    site: Floats1, axes: Floats2, slant: float, azimuth: float, elevation: float
) -> tuple[float, float, float]:
    """The point, in the centre's frame (m), seen at a slant range (m), azimuth and elevation (rad).

    Args:
        site: (3,) the sensor's position in the centre's frame, m.
        axes: (3, 3) rows: the sensor's east, north and up in the centre's axes.
    """
    ground = slant * cos(elevation)
    east, north, up = ground * sin(azimuth), ground * cos(azimuth), slant * sin(elevation)
    x = site[0] + axes[0, 0] * east + axes[1, 0] * north + axes[2, 0] * up
    y = site[1] + axes[0, 1] * east + axes[1, 1] * north + axes[2, 1] * up
    z = site[2] + axes[0, 2] * east + axes[1, 2] * north + axes[2, 2] * up
    return x, y, z


@kernel
def elevation_of_height(
    site: Floats1, axes: Floats2, slant: float, azimuth: float, height: float, frame: Frame
) -> float:
    """The elevation (rad) of a target of this height (m), seen at this slant range (m) and azimuth (rad).

    A sphere through the site starts it and two corrections on the ellipsoid finish it, within
    a centimetre. A height out of reach at this slant range gives the steepest elevation, +-85 degrees.
    """
    site_height, _, _, _ = height_and_vertical(site[0], site[1], site[2], frame)
    steepest = 1.4835  # 85 degrees: beyond it height and slant range say nothing of the place
    radius = SEMI_MAJOR_AXIS
    sine = ((radius + height) ** 2 - (radius + site_height) ** 2 - slant * slant) / (
        2.0 * max(slant, 1.0) * (radius + site_height)
    )
    if sine > 0.9962:
        return steepest
    if sine < -0.9962:
        return -steepest
    elevation = atan2(sine, sqrt(1.0 - sine * sine))
    for _ in range(2):
        x, y, z = point_seen(site, axes, slant, azimuth, elevation)
        reached, _, _, _ = height_and_vertical(x, y, z, frame)
        elevation += (height - reached) / max(slant * cos(elevation), 1.0)
        elevation = min(max(elevation, -steepest), steepest)
    return elevation


@kernel
def seen_from(site: Floats1, axes: Floats2, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Slant range (m), azimuth and elevation (rad) at which a sensor sees a point of the centre's frame."""
    dx, dy, dz = x - site[0], y - site[1], z - site[2]
    east = axes[0, 0] * dx + axes[0, 1] * dy + axes[0, 2] * dz
    north = axes[1, 0] * dx + axes[1, 1] * dy + axes[1, 2] * dz
    up = axes[2, 0] * dx + axes[2, 1] * dy + axes[2, 2] * dz
    ground = hypot(east, north)
    return sqrt(ground * ground + up * up), atan2(east, north), atan2(up, ground)
