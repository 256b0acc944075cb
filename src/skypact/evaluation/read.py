"""Reads truth and tracks files for scoring."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1
from skypact.core.errors import BadInputError
from skypact.core.parquet import floats, integers, read_table, texts
from skypact.core.units import DEGREE, KILOMETRE
from skypact.evaluation.model import Tracks, Truth

GATE = 2.0 * KILOMETRE
DRONE_GATE = 50.0  # m
GRACE_SCANS = 2.0  # scan periods that a tracker has to start a track
UNKNOWN_SCAN = 10.0  # s; assumed of a reference that does not say how often it could be seen
_PLACE = ("latitude_deg", "longitude_deg")
_WHOLE = 1e-3  # s; how far from a whole second a picture's time may be


def read_truth(path: Path) -> Truth:
    """The truth of a file, with what counts for the scores.

    Without the column `covered`, every row counts as covered; without `scan`, a scan of 10 s is assumed.

    Raises:
        BadInputError: it can't be read, lacks a needed column or has no rows.
    """
    where = str(path)
    table = read_table(path, ("time", "target", *_PLACE))
    if table.num_rows == 0:
        raise BadInputError("no truth in it", where)
    time = floats(table, "time", where)
    target = integers(table, "target", -1, where)
    order = np.lexsort((target, time))
    names, number = np.unique(target[order], return_inverse=True)
    kind_of_row, kinds = texts(table, "kind")
    kind = np.full(len(names), -1, dtype=np.int64)
    kind[number] = kind_of_row[order]
    is_drone = np.array([name == "drone" for name in kinds] + [False])[kind]
    covered = integers(table, "covered", 0 if "covered" in table.column_names else 1, where)[order] > 0
    scan = floats(table, "scan", where)[order]
    scan = np.where(np.isnan(scan), UNKNOWN_SCAN, scan)
    latitude, longitude = _place(table, where)
    _check_places(latitude, longitude, time, where)
    return Truth(
        time=time[order],
        target=number.astype(np.int64),
        latitude=latitude[order],
        longitude=longitude[order],
        height=floats(table, "height", where)[order],
        east=floats(table, "vx", where)[order],
        north=floats(table, "vy", where)[order],
        is_counted=_counted(time[order], number, covered, scan, len(names)),
        is_covered=covered,
        scan=scan,
        names=names,
        kind=kind,
        kinds=kinds,
        gate=np.where(is_drone, DRONE_GATE, GATE),
    )


def _counted(
    time: Floats1, target: NDArray[np.intp], covered: NDArray[np.bool_], scan: Floats1, count: int
) -> NDArray[np.bool_]:
    """A truth counts while covered, from two of its scan periods after it was first covered."""
    ready = np.full(count, np.inf)
    first, rows = np.unique(target[covered], return_index=True)  # rows are by time, so these are the first
    ready[first] = time[covered][rows] + GRACE_SCANS * scan[covered][rows]
    return covered & (time >= ready[target])


def read_tracks(path: Path) -> Tracks:
    """The pictures of a file at whole seconds; others are left out.

    Raises:
        BadInputError: it can't be read or lacks a needed column.
    """
    where = str(path)
    table = read_table(path, ("time", "track", *_PLACE))
    time = floats(table, "time", where)
    track = integers(table, "track", -1, where)
    whole = np.round(time)
    rows = np.flatnonzero(np.abs(time - whole) <= _WHOLE)
    if table.num_rows and not len(rows):
        raise BadInputError("no picture at a whole second", where, "write pictures with --period 1")
    rows = rows[np.lexsort((track[rows], whole[rows]))]
    names, number = np.unique(track[rows], return_inverse=True)
    latitude, longitude = _place(table, where)
    _check_places(latitude, longitude, time, where)
    return Tracks(
        time=whole[rows],
        track=number.astype(np.int64),
        latitude=latitude[rows],
        longitude=longitude[rows],
        height=floats(table, "height", where)[rows],
        east=floats(table, "vx", where)[rows],
        north=floats(table, "vy", where)[rows],
        variance_east=floats(table, "sigma_x", where)[rows] ** 2,
        variance_north=floats(table, "sigma_y", where)[rows] ** 2,
        covariance=floats(table, "covariance_xy", where)[rows],
        names=names,
    )


def _place(table: object, where: str) -> tuple[Floats1, Floats1]:
    latitude, longitude = (floats(table, name, where) * DEGREE for name in _PLACE)
    return latitude, longitude


def _check_places(latitude: Floats1, longitude: Floats1, time: Floats1, where: str) -> None:
    bad = np.flatnonzero(~(np.isfinite(latitude) & np.isfinite(longitude) & np.isfinite(time)))
    if len(bad):
        raise BadInputError(f"{len(bad)} rows without time or position, first row {bad[0]}", where)
