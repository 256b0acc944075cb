"""WGS-84 positions: geodetic, earth-centred (ECEF) and local east-north-up frames, as kernels.

Angles in radians, lengths in metres, `height` above the ellipsoid. Source of the constants:
NIMA TR8350.2, Department of Defense World Geodetic System 1984, third edition, 2000.
"""

from math import atan, atan2, cos, hypot, sin, sqrt
from typing import NamedTuple

import numpy as np

from skypact.core.arrays import Floats1, Floats2
from skypact.core.jit import kernel

SEMI_MAJOR_AXIS = 6_378_137.0  # m
FLATTENING = 1.0 / 298.257223563
SEMI_MINOR_AXIS = SEMI_MAJOR_AXIS * (1.0 - FLATTENING)
ECCENTRICITY_SQUARED = FLATTENING * (2.0 - FLATTENING)


class Geodetic(NamedTuple):
    """A point on or above the earth: latitude and longitude in rad, height above the ellipsoid in m."""

    latitude: float
    longitude: float
    height: float


@kernel
def ecef_from_geodetic(latitude: float, longitude: float, height: float) -> tuple[float, float, float]:
    """Earth-centred x, y, z in m of a geodetic position (rad, rad, m)."""
    sin_latitude = sin(latitude)
    normal = SEMI_MAJOR_AXIS / sqrt(1.0 - ECCENTRICITY_SQUARED * sin_latitude * sin_latitude)
    across = (normal + height) * cos(latitude)
    x = across * cos(longitude)
    y = across * sin(longitude)
    z = (normal * (1.0 - ECCENTRICITY_SQUARED) + height) * sin_latitude
    return x, y, z


@kernel
def geodetic_from_ecef(x: float, y: float, z: float) -> tuple[float, float, float]:
    """Latitude, longitude (rad) and height (m) of an earth-centred position in m.

    Bowring's formula, applied twice: below 1e-9 rad and 1e-5 m of error from 10 km below the
    ellipsoid to 1,000 km above it. At the earth's centre the latitude is of no meaning.

    Source: B. R. Bowring, Transformation from spatial to geographical coordinates, 1976.
    """
    longitude = atan2(y, x)
    across = hypot(x, y)
    if across < 1.0:  # within a metre of the axis
        latitude = np.pi / 2.0 if z >= 0.0 else -np.pi / 2.0
        return latitude, longitude, abs(z) - SEMI_MINOR_AXIS
    second = ECCENTRICITY_SQUARED / (1.0 - ECCENTRICITY_SQUARED)
    reduced = atan(z * SEMI_MAJOR_AXIS / (across * SEMI_MINOR_AXIS))
    latitude = 0.0
    for _ in range(2):
        sin_reduced, cos_reduced = sin(reduced), cos(reduced)
        latitude = atan2(
            z + second * SEMI_MINOR_AXIS * sin_reduced * sin_reduced * sin_reduced,
            across - ECCENTRICITY_SQUARED * SEMI_MAJOR_AXIS * cos_reduced * cos_reduced * cos_reduced,
        )
        reduced = atan2((1.0 - FLATTENING) * sin(latitude), cos(latitude))
    sin_latitude, cos_latitude = sin(latitude), cos(latitude)
    root = sqrt(1.0 - ECCENTRICITY_SQUARED * sin_latitude * sin_latitude)
    height = across * cos_latitude + z * sin_latitude - SEMI_MAJOR_AXIS * root
    return latitude, longitude, height


@kernel
def enu_rotation(latitude: float, longitude: float) -> Floats2:
    """(3, 3) rotation whose rows are east, north and up at a place, in earth-centred axes."""
    sin_latitude, cos_latitude = sin(latitude), cos(latitude)
    sin_longitude, cos_longitude = sin(longitude), cos(longitude)
    rotation = np.empty((3, 3))
    rotation[0, 0], rotation[0, 1], rotation[0, 2] = -sin_longitude, cos_longitude, 0.0
    rotation[1, 0] = -sin_latitude * cos_longitude
    rotation[1, 1] = -sin_latitude * sin_longitude
    rotation[1, 2] = cos_latitude
    rotation[2, 0] = cos_latitude * cos_longitude
    rotation[2, 1] = cos_latitude * sin_longitude
    rotation[2, 2] = sin_latitude
    return rotation


@kernel
def enu_from_geodetic(
    latitude: Floats1, longitude: Floats1, height: Floats1, reference: tuple[float, float, float]
) -> Floats2:
    """(N, 3) east, north, up in m of geodetic positions, in the local frame at `reference`.

    Args:
        latitude: (N,) rad. longitude: (N,) rad. height: (N,) above the ellipsoid, m.
        reference: latitude (rad), longitude (rad) and height (m) of the frame's origin.
    """
    rotation = enu_rotation(reference[0], reference[1])
    origin_x, origin_y, origin_z = ecef_from_geodetic(reference[0], reference[1], reference[2])
    enu = np.empty((len(latitude), 3))
    for n in range(len(latitude)):
        x, y, z = ecef_from_geodetic(latitude[n], longitude[n], height[n])
        dx, dy, dz = x - origin_x, y - origin_y, z - origin_z
        for axis in range(3):
            enu[n, axis] = rotation[axis, 0] * dx + rotation[axis, 1] * dy + rotation[axis, 2] * dz
    return enu


@kernel
def geodetic_from_enu(
    enu: Floats2, reference: tuple[float, float, float]
) -> tuple[Floats1, Floats1, Floats1]:
    """Latitude, longitude (rad) and height (m), each (N,), of (N, 3) positions in a local frame."""
    rotation = enu_rotation(reference[0], reference[1])
    origin_x, origin_y, origin_z = ecef_from_geodetic(reference[0], reference[1], reference[2])
    latitude = np.empty(len(enu))
    longitude = np.empty(len(enu))
    height = np.empty(len(enu))
    for n in range(len(enu)):
        east, north, up = enu[n, 0], enu[n, 1], enu[n, 2]
        x = origin_x + rotation[0, 0] * east + rotation[1, 0] * north + rotation[2, 0] * up
        y = origin_y + rotation[0, 1] * east + rotation[1, 1] * north + rotation[2, 1] * up
        z = origin_z + rotation[0, 2] * east + rotation[1, 2] * north + rotation[2, 2] * up
        latitude[n], longitude[n], height[n] = geodetic_from_ecef(x, y, z)
    return latitude, longitude, height
