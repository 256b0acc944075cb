"""The plot batch: detections of any sensors as a struct of arrays, and what becomes of each plot."""

from dataclasses import dataclass, fields
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1


class PlotFlag(IntFlag):
    """What a sensor said of a plot besides its measurements; the names are the words in files."""

    SIMULATED = 1
    TEST = 2
    GARBLED = 4
    EMERGENCY = 8
    SPI = 16


class Outcome(IntEnum):
    """What became of a plot: each ends in exactly one; the names are the words in files."""

    UPDATED = 0
    STARTED = 1
    CLUTTER = 2
    FILTERED = 3
    LATE = 4
    MALFORMED = 5
    QUARANTINED = 6


NO_SQUAWK = -1
NO_ADDRESS = -1
NO_CALLSIGN = 0


@dataclass(frozen=True, slots=True)
class PlotBatch:
    """Plots that arrived together, in order of arrival; one row per plot.

    A plot is a set of scalar measurements: NaN where not measured. A sigma is NaN only where
    its measurement is; readers fill in the sensor's own where the source gives none.
    """

    sensor: NDArray[np.int32]  # (P,) row in the centre's sensor table
    time: Floats1  # (P,) detection time, UTC s since 1970
    received: Floats1  # (P,) arrival time, UTC s since 1970; never decreases
    range: Floats1  # (P,) slant range, m
    azimuth: Floats1  # (P,) clockwise from true north at the sensor, rad
    elevation: Floats1  # (P,) above the sensor's horizontal plane, rad
    range_rate: Floats1  # (P,) of slant range, positive away from the sensor, m/s
    altitude: Floats1  # (P,) pressure altitude, m
    height: Floats1  # (P,) above the WGS-84 ellipsoid, m
    latitude: Floats1  # (P,) of a ready position, rad
    longitude: Floats1  # (P,) of a ready position, rad
    sigma_range: Floats1  # (P,) m
    sigma_azimuth: Floats1  # (P,) rad
    sigma_elevation: Floats1  # (P,) rad
    sigma_range_rate: Floats1  # (P,) m/s
    sigma_altitude: Floats1  # (P,) of altitude and of height, m
    sigma_position: Floats1  # (P,) of a ready position, each horizontal axis, m
    squawk: NDArray[np.int16]  # (P,) Mode 3/A code 0 to 4095; -1 when not reported
    address: NDArray[np.int32]  # (P,) Mode S address, 24 bits; -1 when not reported
    callsign: NDArray[np.int64]  # (P,) eight 6-bit ICAO characters, first in the highest bits; 0 none
    flags: NDArray[np.uint16]  # (P,) PlotFlag bits

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: "NDArray[np.intp] | NDArray[np.bool_] | slice") -> "PlotBatch":
        """The chosen rows, in the order given."""
        return PlotBatch(*(getattr(self, name)[rows] for name in COLUMNS))

    @property
    def is_simulated(self) -> NDArray[np.bool_]:
        """(P,) which plots are of no real target, as their sensor says."""
        return np.asarray((self.flags & np.uint16(PlotFlag.SIMULATED)) != 0)


COLUMNS: tuple[str, ...] = tuple(column.name for column in fields(PlotBatch))
_EMPTY_VALUES = {"squawk": NO_SQUAWK, "address": NO_ADDRESS, "callsign": NO_CALLSIGN, "flags": 0, "sensor": 0}
_DTYPES = {
    "squawk": np.int16,
    "address": np.int32,
    "callsign": np.int64,
    "flags": np.uint16,
    "sensor": np.int32,
}


def make_plots(count: int, **columns: object) -> PlotBatch:
    """A batch of `count` plots with the given columns; the others hold "no value".

    Scalars are repeated for each plot. Raises TypeError for a name that is no column.
    """
    unknown = set(columns) - set(COLUMNS)
    if unknown:
        raise TypeError(f"no plot column {sorted(unknown)}")
    arrays = []
    for name in COLUMNS:
        value = columns.get(name, _EMPTY_VALUES.get(name, np.nan))
        array = np.empty(count, dtype=_DTYPES.get(name, np.float64))
        array[:] = value
        arrays.append(array)
    return PlotBatch(*arrays)


def join_plots(batches: list[PlotBatch]) -> PlotBatch:
    """All plots of the batches, one after the other."""
    if not batches:
        return make_plots(0)
    return PlotBatch(*(np.concatenate([getattr(batch, name) for batch in batches]) for name in COLUMNS))
