"""Decoded ASTERIX to plots: finds each record's sensor, gives it its time, drops what is no plot.

Nothing is dropped in silence: what is no plot is counted by source and reason.
"""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skypact.asterix.model import Datagrams, Decoded, RecordColumns
from skypact.core.arrays import Bools1, Floats1
from skypact.plots.model import PlotBatch, make_plots
from skypact.plots.parquet import fill_sigmas
from skypact.plots.records import READERS, Reports, read_reports
from skypact.plots.times import TimeResolver, source_of
from skypact.sensors.model import SensorTable

# The same report on a second line or network comes within this time; s. A radar without time in its
# reports may see a target at the same place again no sooner than after a turn.
DUPLICATE_WINDOW = 1.0
_SLACK = 5.0  # sigmas by which a range may exceed the sensor's

_IDENTITY = (
    "range",
    "azimuth",
    "latitude",
    "longitude",
    "altitude",
    "height",
    "squawk",
    "address",
    "callsign",
)


class PlotAssembler:
    """Turns records into plots, live and offline alike: the plots do not depend on how records are cut."""

    def __init__(self, sensors: SensorTable) -> None:
        """Args: `sensors` whose plots are wanted; records of other sources are counted only."""
        self.sensors = sensors
        self.filtered: Counter[tuple[str, str]] = Counter()  # (SAC/SIC, reason) -> records so far
        # Only a range that the table states is a limit: the default of a kind is a guess.
        stated = np.array([sensor.range_max_km is not None for sensor in sensors.sensors])
        self._range_limit = np.where(stated, sensors.range_max + _SLACK * sensors.sigma_range, np.inf)
        self._resolver = TimeResolver()
        self._row = np.full(65_537, -1, dtype=np.int64)  # of each source in the table; the last: no source
        for (sac, sic), row in sensors.by_source.items():
            self._row[sac * 256 + sic] = row
        self._recent_hash = np.empty(0, dtype=np.uint64)
        self._recent_received = np.empty(0)
        self._recent_datagram = np.empty(0, dtype=np.int64)
        self._datagrams = 0  # taken so far
        self._latest = -np.inf  # latest time of arrival so far, s

    def assemble(self, decoded: Decoded, datagrams: Datagrams) -> PlotBatch:
        """The plots of some datagrams, in order of arrival.

        Args:
            decoded: what the datagrams held. datagrams: all with a known time of arrival.
        """
        times = self._resolver.resolve(decoded.records, datagrams.received)
        parts: list[_Part] = []
        for columns, time in zip(decoded.records, times, strict=True):
            if columns.category in READERS:
                parts.append(self._take(columns, time, datagrams.received[columns.datagram]))
        if not parts:
            return make_plots(0)
        datagram = np.concatenate([part.datagram for part in parts])
        offset = np.concatenate([part.offset for part in parts])
        order = np.lexsort((offset, datagram))
        plots = make_plots(
            len(order),
            **{name: np.concatenate([part.plots[name] for part in parts])[order] for name in parts[0].plots},
        )
        plots.received[:] = np.maximum(np.maximum.accumulate(plots.received), self._latest)
        if len(plots):
            self._latest = float(plots.received[-1])
        plots = self._drop_duplicates(plots, self._datagrams + datagram[order])
        self._datagrams += len(datagrams)
        # A detection without a time counts as made when it arrived.
        plots.time[:] = np.where(np.isnan(plots.time), plots.received, plots.time)
        return fill_sigmas(plots, self.sensors)

    def _take(self, columns: RecordColumns, time: Floats1, received: Floats1) -> "_Part":
        """The records that are plots, as plot columns."""
        source = source_of(columns)
        sensor = self._row[source]
        reports = read_reports(columns, sensor, self.sensors)
        keep = np.ones(len(columns), dtype=np.bool_)
        for reason, is_refused in self._refusals(reports, source, sensor):
            self._count(reason, source[keep & is_refused])
            keep &= ~is_refused
        chosen = {name: values[keep] for name, values in _all_columns(reports, len(columns)).items()}
        chosen |= {"sensor": sensor[keep], "time": time[keep], "received": received[keep]}
        return _Part(chosen, columns.datagram[keep], columns.offset[keep])

    def _refusals(
        self, reports: Reports, source: NDArray[np.int64], sensor: NDArray[np.int64]
    ) -> list[tuple[str, Bools1]]:
        """Why records are no plots; the first reason that fits a record counts."""
        plots = reports.columns
        nothing = np.full(len(source), np.nan)
        slant = plots.get("range", nothing)
        has_position = ~np.isnan(slant) | ~np.isnan(plots.get("latitude", nothing))
        return [
            ("no source", source < 0),
            ("unknown source", sensor < 0),
            *reports.refused.items(),
            ("no position", ~has_position),
            ("beyond the sensor's range", slant > self._range_limit[sensor]),
        ]

    def _count(self, reason: str, source: NDArray[np.int64]) -> None:
        numbers, counts = np.unique(source, return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            name = "?" if number < 0 else f"{number >> 8}/{number & 255}"
            self.filtered[name, reason] += count

    def _drop_duplicates(self, plots: PlotBatch, datagram: NDArray[np.int64]) -> PlotBatch:
        """The plots without those whose equal came shortly before in another datagram, in any call."""
        if len(plots) == 0:
            return plots
        hashes = np.concatenate([self._recent_hash, _identity_hash(plots)])
        received = np.concatenate([self._recent_received, plots.received])
        datagram = np.concatenate([self._recent_datagram, datagram])
        order = np.argsort(hashes, kind="stable")  # equal ones stay in order of arrival
        is_copy = np.zeros(len(hashes), dtype=np.bool_)
        is_same = np.diff(hashes[order]) == 0
        is_same &= (np.diff(received[order]) <= DUPLICATE_WINDOW) & (np.diff(datagram[order]) != 0)
        is_copy[order[1:]] = is_same
        is_recent = received >= received[-1] - DUPLICATE_WINDOW
        is_copy = is_copy[len(self._recent_hash) :]
        self._recent_hash, self._recent_received = hashes[is_recent], received[is_recent]
        self._recent_datagram = datagram[is_recent]
        if not is_copy.any():
            return plots
        rows, counts = np.unique(plots.sensor[is_copy], return_counts=True)
        for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
            sensor = self.sensors.sensors[row]
            self.filtered[f"{sensor.sac}/{sensor.sic}", "duplicate"] += count
        return plots.take(~is_copy)


class _Part:
    """Plots of one category, and where in the datagrams each came from."""

    def __init__(
        self, plots: dict[str, NDArray[Any]], datagram: NDArray[np.int32], offset: NDArray[np.int64]
    ) -> None:
        self.plots = plots
        self.datagram = datagram
        self.offset = offset


_COLUMNS = (
    *("range", "azimuth", "elevation", "range_rate", "altitude", "height", "latitude", "longitude"),
    *("sigma_position", "squawk", "address", "callsign", "flags"),
)


def _all_columns(reports: Reports, count: int) -> dict[str, NDArray[Any]]:
    """Every column that some category has, so that categories can be joined."""
    nothing = np.full(count, np.nan)
    return {name: reports.columns.get(name, nothing) for name in _COLUMNS}


def _identity_hash(plots: PlotBatch) -> NDArray[np.uint64]:
    """(P,) a number for all that makes a detection what it is; equal for copies."""
    mixed = plots.sensor.astype(np.uint64)
    for name in ("time", *_IDENTITY):
        values = getattr(plots, name)
        bits = values if values.dtype == np.float64 else values.astype(np.int64)
        mixed = (mixed ^ np.ascontiguousarray(bits).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed
