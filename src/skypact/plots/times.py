"""Times of records: from times of day, and from the 16 bits of CAT001, to UTC seconds since 1970.

A record tells the time of day only, in 1/128 s since midnight UTC; the day is the one that brings
it nearest to a reference, the time of arrival. CAT001 tells the lowest 16 bits of that (I001/141),
which come round every 512 s: the rest comes from the latest CAT002 of the same radar.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skypact.asterix.model import MISSING, Datagrams, Decoded, RecordColumns, Recording
from skypact.core.arrays import Floats1
from skypact.core.units import DAY

# Items with the time of day of a detection, track or service message; the first that a record has.
TIME_ITEMS: dict[int, tuple[str, ...]] = {
    2: ("030",),
    10: ("140",),
    19: ("140",),
    20: ("140",),
    21: ("071", "073", "030", "075", "077"),  # 030 in editions before 1.0
    34: ("030",),
    48: ("140",),
    62: ("070",),
    63: ("030",),
    65: ("030",),
}
TRUNCATED_TIME_ITEM = "141"  # of CAT001
TRUNCATED_TURN = 512.0  # s
MINUTES_AHEAD = 60.0  # s; a time further off from those of its neighbours is no clock for a recording
_NEIGHBOURS = 31  # records to either side and itself, of which the median is taken
# A recorder's own clock is believed when records come this long after their time by it.
_RECORDER_LATENCY = (-2.0, 30.0)  # s


def has_field(columns: RecordColumns, name: str) -> bool:
    """Whether the records' edition and profile have a field."""
    return name in columns.names


def time_of_day(columns: RecordColumns) -> Floats1:
    """(R,) detection time of records in s since midnight UTC; NaN where they tell none in full."""
    time = np.full(len(columns), np.nan)
    for item in TIME_ITEMS.get(columns.category, ()):
        if has_field(columns, item):
            value = columns.value(item)
            time = np.where(np.isnan(time) & (value < DAY), value, time)
    return time


def nearest(time: Floats1, reference: Floats1, turn: float) -> Floats1:
    """`time`, which is known up to whole turns, in the turn that brings it nearest to `reference`; s."""
    # Rounded first: what is added is whole turns, so that the bits of the time are kept.
    shifted: Floats1 = time + np.round((reference - time) / turn) * turn
    return shifted


def source_of(columns: RecordColumns) -> NDArray[np.int64]:
    """(R,) SAC times 256 plus SIC of each record; -1 where it names no source."""
    sac, sic = columns.raw("010/SAC"), columns.raw("010/SIC")
    return np.where(sac == MISSING, -1, sac.astype(np.int64) * 256 + sic)


def _complete(truncated: Floats1, reference: Floats1) -> Floats1:
    """UTC s since 1970 of truncated times of day, as near to `reference` as they can be.

    A day is no whole number of turns, so the turns are counted from midnight, on the day of the
    reference and on those beside it.
    """
    best = np.full(len(truncated), np.nan)
    midnight = np.floor(reference / DAY) * DAY
    for day in (0.0, -DAY, DAY):
        within = np.clip(reference - midnight - day, 0.0, DAY)
        time = nearest(truncated, within, TRUNCATED_TURN)
        time = np.where(time < 0.0, time + TRUNCATED_TURN, time)
        time = np.where(time >= DAY, time - TRUNCATED_TURN, time) + midnight + day
        is_nearer = np.isnan(best) | (np.abs(time - reference) < np.abs(best - reference))
        best = np.where(is_nearer, time, best)
    return best


@dataclass(slots=True)
class TimeResolver:
    """Gives records their UTC time; remembers the latest CAT002 of each radar from call to call."""

    _service: dict[int, float] = field(default_factory=dict)  # source -> time of its latest CAT002, UTC s

    def resolve(self, records: list[RecordColumns], received: Floats1) -> list[Floats1]:
        """(R,) UTC s since 1970 for each of `records`; NaN where a record tells no time.

        Args:
            records: all that was decoded from some datagrams. received: (D,) their times of arrival.
        """
        times = [
            nearest(time_of_day(columns), received[columns.datagram], DAY)
            if columns.category != 1
            else np.empty(0)
            for columns in records
        ]
        services = [
            (columns, time) for columns, time in zip(records, times, strict=True) if columns.category == 2
        ]
        for place, columns in enumerate(records):
            if columns.category == 1:
                times[place] = self._rebuild(columns, received[columns.datagram], services)
        for columns, time in services:
            known = ~np.isnan(time)
            self._service.update(zip(source_of(columns)[known].tolist(), time[known].tolist(), strict=True))
        return times

    def _rebuild(
        self, columns: RecordColumns, received: Floats1, services: list[tuple[RecordColumns, Floats1]]
    ) -> Floats1:
        """Times of CAT001 records, near the CAT002 that came last before each, else near its arrival."""
        reference = received.copy()
        source = source_of(columns)
        for number in np.unique(source).tolist():
            rows = np.flatnonzero(source == number)
            datagram, time = _of_source(services, number)
            latest = np.searchsorted(datagram, columns.datagram[rows], side="right") - 1
            before = self._service.get(number, np.nan)
            known = np.append(time, before)[latest]  # -1: none in this call
            reference[rows] = np.where(np.isnan(known), received[rows], known)
        return _complete(columns.value(TRUNCATED_TIME_ITEM), reference)


def _of_source(
    services: list[tuple[RecordColumns, Floats1]], number: int
) -> tuple[NDArray[np.int32], Floats1]:
    """Datagram and time of the timed CAT002 records of a source, by datagram."""
    datagrams, times = [np.empty(0, dtype=np.int32)], [np.empty(0)]
    for columns, time in services:
        chosen = (source_of(columns) == number) & ~np.isnan(time)
        datagrams.append(columns.datagram[chosen])
        times.append(time[chosen])
    datagram, time = np.concatenate(datagrams), np.concatenate(times)
    order = np.argsort(datagram, kind="stable")
    return datagram[order], time[order]


def date_datagrams(recording: Recording, decoded: Decoded, first_day: float = 0.0) -> Datagrams:
    """The recording's datagrams with a time of arrival for each.

    The file's own times of arrival where it has them. Else, on `first_day` and the days after it, those of
    the recorder's clock, where that agrees with the records; else the latest detection time seen so
    far in the file. A record whose time is far off from its neighbours' is not followed.

    Args:
        recording, decoded: a file and what it held.
        first_day: the midnight before the first record, UTC s since 1970.
    """
    datagrams = recording.datagrams
    received = datagrams.received
    if np.isnan(received).any():
        if np.isnan(received).all():
            received = _arrival(recording, decoded, first_day)
        received = _fill_forward(received, first_day)
    return Datagrams(datagrams.buffer, datagrams.offset, datagrams.length, received)


def _arrival(recording: Recording, decoded: Decoded, first_day: float) -> Floats1:
    datagram, time = _detections(decoded)
    count = len(recording.datagrams)
    if len(time) == 0:
        return _truncated_arrival(decoded, count, first_day)
    time = _unwrap(time, DAY) + first_day
    clock = recording.time_of_day[datagram]
    delay = nearest(clock, time, DAY) - time
    if not np.isnan(delay).all():
        typical = float(np.nanmedian(delay))
        if _RECORDER_LATENCY[0] <= typical <= _RECORDER_LATENCY[1]:
            near = _per_datagram(datagram, time, count)
            return nearest(recording.time_of_day, _fill_forward(near, first_day), DAY)
    return np.maximum.accumulate(np.fmax(_per_datagram(datagram, time, count), -np.inf))


def _detections(decoded: Decoded) -> tuple[NDArray[np.int32], Floats1]:
    """Datagram and time of day of every record with a credible one, in the order of the file."""
    datagrams = [columns.datagram for columns in decoded.records]
    times = [time_of_day(columns) for columns in decoded.records]
    offsets = [columns.offset for columns in decoded.records]
    if not any(not np.isnan(time).all() for time in times):
        return np.empty(0, dtype=np.int32), np.empty(0)
    datagram, time, offset = np.concatenate(datagrams), np.concatenate(times), np.concatenate(offsets)
    known = ~np.isnan(time)
    datagram, time, offset = datagram[known], time[known], offset[known]
    order = np.lexsort((offset, datagram))
    datagram, time = datagram[order], time[order]
    credible = np.abs(_unwrap(time, DAY) - _local_median(_unwrap(time, DAY))) <= MINUTES_AHEAD
    return datagram[credible], time[credible]


def _truncated_arrival(decoded: Decoded, count: int, first_day: float) -> Floats1:
    """Times of arrival of a recording with nothing but truncated times, counted from their first turn."""
    received = np.full(count, np.nan)
    for columns in decoded.records:
        if columns.category == 1:
            time = columns.value(TRUNCATED_TIME_ITEM)
            known = ~np.isnan(time)
            order = np.argsort(columns.datagram[known], kind="stable")
            time = _unwrap(time[known][order], TRUNCATED_TURN) + first_day
            received = np.fmax(received, _per_datagram(columns.datagram[known][order], time, count))
    return np.maximum.accumulate(np.fmax(received, -np.inf))


def _unwrap(time: Floats1, turn: float) -> Floats1:
    """Times in order, each in the turn that brings it nearest to the one before."""
    if len(time) == 0:
        return time
    steps = np.diff(time)
    turns = -np.round(steps / turn)
    unwrapped: Floats1 = time + np.concatenate(([0.0], np.cumsum(turns))) * turn
    return unwrapped


def _local_median(time: Floats1) -> Floats1:
    """(N,) median of each time and its neighbours; beyond the ends the times are taken as going on evenly."""
    half = _NEIGHBOURS // 2
    padded = (
        np.pad(time, half, mode="reflect", reflect_type="odd")
        if len(time) > 1
        else np.repeat(time, _NEIGHBOURS)
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS)
    median: Floats1 = np.median(windows, axis=1)
    return median


def _per_datagram(datagram: NDArray[np.int32], time: Floats1, count: int) -> Floats1:
    """(count,) latest time in each datagram; NaN where it has none."""
    latest = np.full(count, -np.inf)
    np.maximum.at(latest, datagram, time)
    return np.where(np.isinf(latest), np.nan, latest)


def _fill_forward(time: Floats1, otherwise: float) -> Floats1:
    """Unknown times are the latest known so far; before the first, that one; `otherwise` when none is."""
    known = np.isfinite(time)
    if not known.any():
        return np.full(len(time), otherwise)
    last = np.maximum.accumulate(np.where(known, np.arange(len(time)), -1))
    filled: Floats1 = time[np.where(last < 0, int(np.argmax(known)), last)]
    return filled
