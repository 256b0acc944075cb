"""Areas on the earth that files name: a box, a polygon, or a strip along a line."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, pi
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from skypact.core.arrays import Floats1, Floats2
from skypact.core.errors import BadInputError
from skypact.core.geodesy import SEMI_MAJOR_AXIS, ecef_from_geodetic
from skypact.core.jit import kernel
from skypact.core.units import DEGREE, KILOMETRE

HALF_TURN = pi
LONGEST_CHORD = 20_000.0  # m; such a chord runs at most 8 m below the earth's surface


@dataclass(frozen=True, slots=True)
class Box:
    """Between two parallels and two meridians, rad; `west` above `east` crosses the 180th meridian."""

    south: float
    west: float
    north: float
    east: float

    def contains(self, latitude: Floats1, longitude: Floats1) -> NDArray[np.bool_]:
        """(N,) whether each place (rad) lies in the area, its edge included."""
        width = (self.east - self.west) % (2.0 * HALF_TURN)
        if self.east - self.west >= 2.0 * HALF_TURN:
            width = 2.0 * HALF_TURN
        inside: NDArray[np.bool_] = (longitude - self.west) % (2.0 * HALF_TURN) <= width
        return inside & (latitude >= self.south) & (latitude <= self.north)


@dataclass(frozen=True, slots=True)
class Polygon:
    """Corners in order, rad; edges are straight in latitude and longitude and less than half a turn long."""

    latitude: tuple[float, ...]
    longitude: tuple[float, ...]

    def contains(self, latitude: Floats1, longitude: Floats1) -> NDArray[np.bool_]:
        """(N,) whether each place (rad) lies in the area: an odd number of edges east of it."""
        # Longitudes relative to the first corner, so that the 180th meridian is nothing special.
        x = _wrapped(longitude - self.longitude[0])
        corners_x = np.unwrap(np.array(self.longitude) - self.longitude[0])
        corners_y = np.array(self.latitude)
        inside = np.zeros(len(latitude), dtype=np.bool_)
        previous_x, previous_y = corners_x[-1], corners_y[-1]
        for corner_x, corner_y in zip(corners_x, corners_y, strict=True):
            crosses = (corner_y > latitude) != (previous_y > latitude)
            if previous_y != corner_y:
                at = corner_x + (latitude - corner_y) / (previous_y - corner_y) * (previous_x - corner_x)
                inside ^= crosses & (x < at)
            previous_x, previous_y = corner_x, corner_y
        return inside


@dataclass(frozen=True, slots=True)
class Strip:
    """Within a distance of a line, on both sides; its pieces are straight in latitude and longitude."""

    latitude: tuple[float, ...]  # of the line's corners, rad
    longitude: tuple[float, ...]  # rad
    within: float  # m

    def contains(self, latitude: Floats1, longitude: Floats1) -> NDArray[np.bool_]:
        """(N,) whether each place (rad) lies in the strip, its edge included."""
        line = _line_on_earth(self.latitude, self.longitude)
        inside: NDArray[np.bool_] = distances_to_line(latitude, longitude, line, self.within) <= self.within
        return inside


Area = Box | Polygon | Strip
EVERYWHERE = Box(-HALF_TURN / 2.0, -HALF_TURN, HALF_TURN / 2.0, HALF_TURN)
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]


class AreaConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A box, a polygon of [latitude, longitude] corners, or a strip along a line, in degrees."""

    south_deg: Latitude | None = None
    north_deg: Latitude | None = None
    west_deg: Longitude | None = None
    east_deg: Longitude | None = None
    polygon_deg: list[tuple[Latitude, Longitude]] | None = None
    line_deg: list[tuple[Latitude, Longitude]] | None = None
    within_km: Annotated[float, Meta(gt=0, le=2000)] | None = None


def area_from_config(area: AreaConfig | None, where: str) -> Area:
    """The area that a file describes; everywhere without one.

    Raises:
        BadInputError: it is not exactly one whole box, polygon or strip; `where` says the place.
    """
    if area is None:
        return EVERYWHERE
    sides = (area.south_deg, area.west_deg, area.north_deg, area.east_deg)
    is_box = any(side is not None for side in sides)
    is_strip = area.line_deg is not None or area.within_km is not None
    if is_box + is_strip + (area.polygon_deg is not None) > 1:
        raise BadInputError("more than one of a box, a polygon and a strip", where, "give one of them")
    if area.polygon_deg is not None:
        if len(area.polygon_deg) < 3:
            raise BadInputError("fewer than three corners", f"{where}.polygon_deg")
        return Polygon(*_radians(area.polygon_deg))
    if is_strip:
        if area.line_deg is None or area.within_km is None:
            raise BadInputError("a strip needs line_deg and within_km", where)
        if len(area.line_deg) < 2:
            raise BadInputError("fewer than two corners", f"{where}.line_deg")
        return Strip(*_radians(area.line_deg), within=area.within_km * KILOMETRE)
    south, west, north, east = (
        side * DEGREE if side is not None else default
        for side, default in zip(
            sides, (EVERYWHERE.south, EVERYWHERE.west, EVERYWHERE.north, EVERYWHERE.east), strict=True
        )
    )
    if south > north:
        raise BadInputError("south_deg is north of north_deg", where)
    return Box(south, west, north, east)


def _radians(corners: list[tuple[float, float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    latitude, longitude = zip(*corners, strict=True)
    return tuple(value * DEGREE for value in latitude), tuple(value * DEGREE for value in longitude)


@kernel
def distances_to_line(latitude: Floats1, longitude: Floats1, line: Floats2, limit: float) -> Floats1:
    """(N,) distance in m of places on the earth from a line; infinite where it is surely over `limit`.

    Args:
        latitude: (N,) rad. longitude: (N,) rad; a place that is NaN is infinitely far.
        line: (M, 3) earth-centred points on the line, m, near enough to be joined by chords.
        limit: m; a farther distance need not be known.
    """
    distances = np.full(len(latitude), np.inf)
    lowest, highest = np.full(3, np.inf), np.full(3, -np.inf)
    for m in range(len(line)):
        for axis in range(3):
            lowest[axis] = min(lowest[axis], line[m, axis] - limit)
            highest[axis] = max(highest[axis], line[m, axis] + limit)
    for n in range(len(latitude)):
        x, y, z = ecef_from_geodetic(latitude[n], longitude[n], 0.0)
        if not (lowest[0] <= x <= highest[0] and lowest[1] <= y <= highest[1]):
            continue
        if not lowest[2] <= z <= highest[2]:
            continue
        nearest = np.inf
        for m in range(len(line) - 1):
            ax, ay, az = line[m, 0], line[m, 1], line[m, 2]
            bx, by, bz = line[m + 1, 0] - ax, line[m + 1, 1] - ay, line[m + 1, 2] - az
            px, py, pz = x - ax, y - ay, z - az
            length = bx * bx + by * by + bz * bz
            along = 0.0
            if length > 0.0:
                along = min(1.0, max(0.0, (px * bx + py * by + pz * bz) / length))
            dx, dy, dz = px - along * bx, py - along * by, pz - along * bz
            nearest = min(nearest, dx * dx + dy * dy + dz * dz)
        distances[n] = np.sqrt(nearest)
    return distances


@lru_cache(maxsize=64)
def _line_on_earth(latitude: tuple[float, ...], longitude: tuple[float, ...]) -> Floats2:
    """(M, 3) earth-centred points on the line, at most `LONGEST_CHORD` apart, m."""
    # Each piece goes the short way round, also over the 180th meridian.
    unwrapped = np.unwrap(np.array(longitude))
    points = [ecef_from_geodetic(latitude[0], longitude[0], 0.0)]
    for n in range(1, len(latitude)):
        turn = np.hypot(latitude[n] - latitude[n - 1], unwrapped[n] - unwrapped[n - 1])
        pieces = max(1, ceil(turn * SEMI_MAJOR_AXIS / LONGEST_CHORD))
        for share in np.arange(1, pieces + 1) / pieces:
            points.append(
                ecef_from_geodetic(
                    latitude[n - 1] + share * (latitude[n] - latitude[n - 1]),
                    unwrapped[n - 1] + share * (unwrapped[n] - unwrapped[n - 1]),
                    0.0,
                )
            )
    return np.array(points)


def _wrapped(angle: Floats1) -> Floats1:
    return (angle + HALF_TURN) % (2.0 * HALF_TURN) - HALF_TURN
