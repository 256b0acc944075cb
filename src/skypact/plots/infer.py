"""A sensor table from what a recording itself tells: its sources, their kinds, sites and rotation periods."""

import numpy as np

from skypact.asterix.model import MISSING, Datagrams, Decoded, RecordColumns
from skypact.core.arrays import Floats1
from skypact.plots.records import READERS
from skypact.plots.times import TimeResolver, source_of
from skypact.sensors.model import Sensor

NORTH_MARK = 1  # I034/000 and I002/000
_SERVICE = (34, 2)
_PRIMARY_SURFACE_RADAR = 3  # I010/020 TYP


def infer_sensors(decoded: Decoded, datagrams: Datagrams) -> list[Sensor]:
    """The sources of target reports and service messages as sensors, named SAC/SIC, in that order.

    A site is the one that CAT034 tells (I034/120), checked by nobody; a rotation period is the one
    it tells (I034/041) or the median time between north marks.

    Args:
        decoded: what the datagrams held. datagrams: all with a known time of arrival.
    """
    times = TimeResolver().resolve(decoded.records, datagrams.received)
    records = [
        (columns, time)
        for columns, time in zip(decoded.records, times, strict=True)
        if columns.category in READERS or columns.category in _SERVICE
    ]
    sources = {number for columns, _ in records for number in np.unique(source_of(columns)).tolist()} - {-1}
    return [_infer_one(number, records) for number in sorted(sources)]


def _infer_one(number: int, records: list[tuple[RecordColumns, Floats1]]) -> Sensor:
    mine = [(columns, time, source_of(columns) == number) for columns, time in records]
    mine = [(columns, time, rows) for columns, time, rows in mine if rows.any()]
    latitude, longitude, height = None, None, 0.0
    period: float | None = None
    for columns, time, rows in mine:
        if columns.category not in _SERVICE:
            continue
        period = period or _rotation_period(columns, time, rows)
        if columns.category == 34:
            place = [columns.value(f"120/{name}")[rows] for name in ("LAT", "LON", "HGT")]
            if not np.isnan(place[0]).all() and not np.isnan(place[1]).all():
                latitude, longitude = float(np.nanmedian(place[0])), float(np.nanmedian(place[1]))
                height = 0.0 if np.isnan(place[2]).all() else float(np.nanmedian(place[2]))
    return Sensor(
        name=f"{number >> 8}/{number & 255}",
        kind=_kind([(columns, rows) for columns, _, rows in mine]),
        sac=number >> 8,
        sic=number & 255,
        latitude_deg=latitude,
        longitude_deg=longitude,
        height_m=height,
        rotation_period_s=period,
    )


def _kind(mine: "list[tuple[RecordColumns, np.ndarray]]") -> str:
    for columns, rows in mine:
        if columns.category == 21:
            return "adsb"
        if columns.category == 20:
            return "mlat"
        if columns.category == 10:
            types = columns.raw("020/TYP")[rows]
            types = types[types != MISSING]
            return "psr" if len(types) and np.mean(types == _PRIMARY_SURFACE_RADAR) > 0.5 else "mlat"
        if columns.category == 48:
            if (columns.raw("110/3DH")[rows] != MISSING).mean() > 0.5:
                return "radar_3d"
            return "mode_s" if (columns.raw("220")[rows] != MISSING).any() else "radar"
    return "radar"


def _rotation_period(columns: RecordColumns, time: Floats1, rows: "np.ndarray") -> float | None:
    """Seconds a turn as the messages tell it, else between north marks; None where neither is there."""
    told = columns.value("041")[rows]
    told = told[told > 0.0]
    if len(told):
        return float(np.median(told))
    marks = np.sort(time[rows & (columns.raw("000") == NORTH_MARK) & ~np.isnan(time)])
    turns = np.diff(marks)
    turns = turns[turns > 0.5]  # closer ones are copies on a second line
    return float(np.median(turns)) if len(turns) else None
