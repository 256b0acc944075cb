"""Factors from the field's units to SI: `value_in_unit * UNIT` is the value in SI."""

from math import pi
from typing import Final

FOOT: Final = 0.3048  # m
FLIGHT_LEVEL: Final = 100.0 * FOOT  # m; 30.48
NAUTICAL_MILE: Final = 1852.0  # m
KILOMETRE: Final = 1000.0  # m
KNOT: Final = NAUTICAL_MILE / 3600.0  # m/s
FOOT_PER_MINUTE: Final = FOOT / 60.0  # m/s
DEGREE: Final = pi / 180.0  # rad
STANDARD_GRAVITY: Final = 9.80665  # m/s²
DAY: Final = 86_400.0  # s
