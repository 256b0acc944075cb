"""Plots in Parquet files: SI units, angles in radians unless the name says `_deg`."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skypact.core.errors import BadInputError
from skypact.core.parquet import floats, integers, masked, named, read_table, texts
from skypact.core.text import callsign_from_text, callsigns_to_text
from skypact.core.units import DEGREE
from skypact.plots.model import NO_ADDRESS, NO_CALLSIGN, NO_SQUAWK, PlotBatch, PlotFlag, make_plots
from skypact.sensors.model import SensorKind, SensorTable

SIGMAS = ("range", "azimuth", "elevation", "range_rate", "altitude", "position")
_PLAIN = ("time", "received", "range", "azimuth", "elevation", "range_rate", "altitude", "height")
SIGMA_RANGE_RATE = 1.0  # m/s; of radars that measure it, when nothing else is known
SIGMA_ALTITUDE = 10.0  # m; Mode C is coded in steps of 100 ft, Mode S in steps of 25 ft


def plots_table(plots: PlotBatch, sensors: SensorTable) -> pa.Table:
    """The plots as an Arrow table with the columns of plots files."""
    kinds = [kind.name.lower() for kind in SensorKind]
    columns: dict[str, Any] = {name: getattr(plots, name) for name in _PLAIN}
    columns["latitude_deg"] = plots.latitude / DEGREE
    columns["longitude_deg"] = plots.longitude / DEGREE
    columns |= {f"sigma_{name}": getattr(plots, f"sigma_{name}") for name in SIGMAS}
    columns["sensor"] = named(plots.sensor, sensors.names)
    columns["kind"] = named(sensors.kind[plots.sensor], kinds)
    columns["squawk"] = masked(plots.squawk, NO_SQUAWK, pa.int16())
    columns["address"] = masked(plots.address, NO_ADDRESS, pa.int32())
    columns["callsign"] = pa.array(callsigns_to_text(plots.callsign), type=pa.string())
    columns["flags"] = _flag_words(plots.flags)
    return pa.table(columns)


def write_plots(path: Path, plots: PlotBatch, sensors: SensorTable) -> None:
    """Write a plots file; the plots keep their order."""
    pq.write_table(plots_table(plots, sensors), path)


def read_plots(path: Path, sensors: SensorTable) -> PlotBatch:
    """The plots of a file, in order of arrival.

    A plot without time of arrival arrives at the latest detection time seen so far. Sigmas that
    the file does not hold are the sensor's own.

    Raises:
        BadInputError: no such file or column, or a sensor that the table does not know.
    """
    table = read_table(path, ("time", "sensor"))
    where = str(path)
    codes, names = texts(table, "sensor")
    unknown = sorted(set(names) - set(sensors.names))
    if unknown or (codes < 0).any():
        what = f"sensor {unknown[0]!r}" if unknown else "a plot without sensor"
        raise BadInputError(f"{what} is not in the sensor table", where, "add it to sensors.toml")
    rows = np.array([sensors.names.index(name) for name in names], dtype=np.int32)
    time = floats(table, "time", where)
    received = floats(table, "received", where)
    received = np.where(np.isnan(received), np.maximum.accumulate(time), received)
    if np.isnan(received).any():
        raise BadInputError("a plot has no time", where)
    columns: dict[str, Any] = {name: floats(table, name, where) for name in _PLAIN}
    columns |= {f"sigma_{name}": floats(table, f"sigma_{name}", where) for name in SIGMAS}
    columns |= {"time": time, "received": received, "sensor": rows[codes]}
    columns["latitude"] = floats(table, "latitude_deg", where) * DEGREE
    columns["longitude"] = floats(table, "longitude_deg", where) * DEGREE
    columns["squawk"] = integers(table, "squawk", NO_SQUAWK, where)
    columns["address"] = integers(table, "address", NO_ADDRESS, where)
    callsign_codes, callsigns = texts(table, "callsign")
    packed = np.array([callsign_from_text(text) for text in callsigns] + [NO_CALLSIGN], dtype=np.int64)
    columns["callsign"] = packed[callsign_codes]
    flag_codes, flag_texts = texts(table, "flags")
    flags = np.array([_flag_bits(text, where) for text in flag_texts] + [0], dtype=np.uint16)
    columns["flags"] = flags[flag_codes]
    plots = make_plots(table.num_rows, **columns)
    if (np.diff(received) < 0).any():
        plots = plots.take(np.argsort(received, kind="stable"))
    return fill_sigmas(plots, sensors)


def fill_sigmas(plots: PlotBatch, sensors: SensorTable) -> PlotBatch:
    """The plots with the sensor's own sigma for each measurement that came without one."""
    own: dict[str, tuple[NDArray[Any], NDArray[Any] | float]] = {
        "sigma_range": (plots.range, sensors.sigma_range[plots.sensor]),
        "sigma_azimuth": (plots.azimuth, sensors.sigma_azimuth[plots.sensor]),
        "sigma_elevation": (plots.elevation, sensors.sigma_elevation[plots.sensor]),
        "sigma_range_rate": (plots.range_rate, SIGMA_RANGE_RATE),
        "sigma_altitude": (np.where(np.isnan(plots.altitude), plots.height, plots.altitude), SIGMA_ALTITUDE),
        "sigma_position": (plots.latitude, sensors.sigma_position[plots.sensor]),
    }
    columns: dict[str, NDArray[Any]] = {name: getattr(plots, name) for name in PlotBatch.__slots__}
    for name, (measured, sigma) in own.items():
        lacking = np.isnan(columns[name]) & ~np.isnan(measured)
        columns[name] = np.where(lacking, sigma, columns[name])
    return PlotBatch(**columns)


def _flag_words(flags: NDArray[np.uint16]) -> pa.Array:
    distinct, codes = np.unique(flags, return_inverse=True)
    words = [
        ",".join(flag.name.lower() for flag in PlotFlag if flag.name and value & flag) for value in distinct
    ]
    return named(np.where(distinct[codes] == 0, -1, codes), words)


def _flag_bits(text: str, where: str) -> int:
    bits = 0
    for word in filter(None, text.split(",")):
        if word.strip().upper() not in PlotFlag.__members__:
            known = ", ".join(flag.lower() for flag in PlotFlag.__members__)
            raise BadInputError(f"unknown plot flag {word!r}", where, f"known: {known}")
        bits |= PlotFlag[word.strip().upper()]
    return bits
