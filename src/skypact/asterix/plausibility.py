"""Values that no source can mean: the net that catches a block read with the wrong edition.

An edition is not on the wire, and bytes of another one often read without a fault; but then positions and
times fall anywhere.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from skypact.asterix.model import MISSING, RecordColumns
from skypact.core.units import DAY

_LATITUDE_LIMIT = 90.0  # degrees
_LONGITUDE_LIMIT = 180.0  # degrees
_RANGE_LIMITS = {"NM": 500.0, "m": 926_000.0}  # beyond the line of sight of any ground radar


def implausible_records(records: RecordColumns) -> dict[str, NDArray[np.intp]]:
    """Rows of the records with an impossible latitude, longitude, time of day or range, by that name."""
    found: dict[str, NDArray[np.intp]] = {}
    for row, (name, unit, scale) in enumerate(
        zip(records.names, records.unit, records.scale.tolist(), strict=True)
    ):
        gate = _gate(name, unit, scale)
        if gate is None:
            continue
        what, limit, may_be_negative = gate
        raw = records.values[row]
        is_bad = raw > int(limit / scale)
        if may_be_negative:
            is_bad |= (raw < -int(limit / scale)) & (raw != MISSING)
        if is_bad.any():
            rows = np.flatnonzero(is_bad)
            found[what] = np.union1d(found[what], rows) if what in found else rows
    return found


@lru_cache(maxsize=4096)
def _gate(name: str, unit: str, scale: float) -> tuple[str, float, bool] | None:
    """What is tested, the largest value that passes, and whether negative ones are tested too."""
    part = name.rpartition("/")[2]
    if unit == "°" and part in ("LAT", "LON"):
        return ("latitude", _LATITUDE_LIMIT, True) if part == "LAT" else ("longitude", _LONGITUDE_LIMIT, True)
    if is_time_of_day(unit, scale):
        return "time of day", DAY - scale, False
    if part == "RHO" and unit in _RANGE_LIMITS:
        return "range", _RANGE_LIMITS[unit], False
    return None


def is_time_of_day(unit: str, scale: float) -> bool:
    """Whether a field with this unit and bit value counts seconds since midnight."""
    return unit == "s" and scale == 1 / 128
