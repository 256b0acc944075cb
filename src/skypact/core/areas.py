"""Areas on the earth that a user of the picture asks for: a box or a polygon."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1

HALF_TURN = np.pi


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


Area = Box | Polygon
EVERYWHERE = Box(-HALF_TURN / 2.0, -HALF_TURN, HALF_TURN / 2.0, HALF_TURN)


def _wrapped(angle: Floats1) -> Floats1:
    return (angle + HALF_TURN) % (2.0 * HALF_TURN) - HALF_TURN
