"""ASTERIX target reports of each category as columns of plots: their items in SI units.

Each reader takes records and gives columns of `PlotBatch` with a row per record, NaN where a
record has no value, and the rows that are no detection at all. Sources: EUROCONTROL ASTERIX
parts 2a (CAT001), 4 (CAT048), 7 (CAT010), 12 (CAT021) and 14 (CAT020).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skypact.asterix.model import MISSING, RecordColumns
from skypact.core.arrays import Bools1, Floats1, Ints1
from skypact.core.geodesy import ECCENTRICITY_SQUARED, SEMI_MAJOR_AXIS, geodetic_from_enu
from skypact.core.units import DEGREE, FLIGHT_LEVEL, FOOT, NAUTICAL_MILE
from skypact.plots.model import NO_ADDRESS, NO_CALLSIGN, NO_SQUAWK, PlotFlag
from skypact.sensors.model import SensorKind, SensorTable

NO_SITE = "x and y around a sensor without a site"
EMERGENCY_SQUAWKS = (0o7500, 0o7600, 0o7700)
BLANK_CALLSIGN = sum(32 << shift for shift in range(0, 48, 6))
_NO_ADDRESSES = (0, 0xFFFFFF)  # never given to an aircraft (ICAO Annex 10 volume III)
# Kinds whose reports are positions already, whatever else they say.
_POSITION_KINDS = (SensorKind.ADSB, SensorKind.MLAT, SensorKind.REMOTE_ID)
# Radius that holds the position with 95 %, by NACp (ED-102A table 2-70), m; over 2.45 it is the sigma of
# each axis of a round two-dimensional normal distribution.
_POSITION_RADIUS = np.array(
    [np.nan, 18_520, 7_408, 3_704, 1_852, 926, 555.6, 185.2, 92.6, 30, 10, 3, np.nan, np.nan, np.nan, np.nan]
)
_RADIUS_IN_SIGMAS = 2.4477


@dataclass(slots=True)
class Reports:
    """Target reports on their way to plots."""

    columns: dict[str, NDArray[Any]]  # columns of PlotBatch, (R,) each
    refused: dict[str, Bools1] = field(default_factory=dict)  # reason -> (R,) which rows are no plot for it


def read_reports(columns: RecordColumns, sensor: NDArray[np.int64], sensors: SensorTable) -> Reports:
    """The target reports of a category that `READERS` has.

    Args:
        columns: records. sensor: (R,) row of each record's source in the table, -1 for none.
    """
    return READERS[columns.category](columns, sensor, sensors)


def _read_048(columns: RecordColumns, sensor: NDArray[np.int64], sensors: SensorTable) -> Reports:
    plots = _polar(columns, "040/RHO", "040/THETA", NAUTICAL_MILE)
    plots |= _cartesian_as_polar(columns, plots, "042/X", "042/Y", NAUTICAL_MILE)
    plots |= _codes(columns, code="070", level="090", height="FL", address="220", callsign="240")
    plots["elevation"] = _elevation(
        plots["range"], plots["azimuth"], _value(columns, "110/3DH") * FOOT, sensor, sensors
    )
    is_doubtful = _is_set(columns, "120/CAL/D")
    plots["range_rate"] = np.where(is_doubtful, np.nan, _value(columns, "120/CAL/CAL"))
    plots["flags"] |= _report_flags(columns, "020/SIM", "020/TST", "020/RAB", "020/SPI", "020/ME")
    return Reports(plots, {"no detection": _equals(columns, "020/TYP", 0)})


def _read_001(columns: RecordColumns, sensor: NDArray[np.int64], sensors: SensorTable) -> Reports:
    plots = _polar(columns, "040/RHO", "040/THETA", NAUTICAL_MILE)
    plots |= _cartesian_as_polar(columns, plots, "042/X", "042/Y", NAUTICAL_MILE)
    plots |= _codes(columns, code="070", level="090", height="HGT")
    plots["range_rate"] = _value(columns, "120") * NAUTICAL_MILE
    plots["flags"] |= _report_flags(columns, "020/SIM", "020/TST", "020/RAB", "020/SPI", "020/ME")
    plots["flags"] |= np.where(
        np.isin(_raw(columns, "020/DS1DS2"), (1, 2, 3)), np.uint16(PlotFlag.EMERGENCY), np.uint16(0)
    )
    return Reports(plots, {"no detection": _equals(columns, "020/SSRPSR", 0)})


def _read_010(columns: RecordColumns, sensor: NDArray[np.int64], sensors: SensorTable) -> Reports:
    polar = _polar(columns, "040/RHO", "040/TH", 1.0)
    position = _position(columns, (("041/LAT", "041/LON"),), ("042/X", "042/Y"), sensor, sensors)
    is_polar = ~np.isnan(polar["range"]) & ~np.isin(sensors.kind[sensor], _POSITION_KINDS)
    plots = {name: np.where(is_polar, values, np.nan) for name, values in polar.items()}
    plots |= {name: np.where(is_polar, np.nan, values) for name, values in position.items()}
    plots |= _codes(columns, code="060", level="090", height="FL", address="220", callsign="245/CHR")
    plots["sigma_position"] = _mean_sigma(_value(columns, "500/DEVX"), _value(columns, "500/DEVY"))
    plots["flags"] |= _report_flags(columns, "020/SIM", "020/TST", "020/RAB", "020/SPI")
    extrapolated = np.isin(_raw(columns, "170/CST"), (1, 2, 3))
    is_other = ~_equals(columns, "000", 1) & (_raw(columns, "000") != MISSING)
    lost = _lacks_site(columns, "042/X", plots)
    return Reports(plots, {"no target report": is_other, "extrapolated": extrapolated, NO_SITE: lost})


def _read_020(columns: RecordColumns, sensor: NDArray[np.int64], sensors: SensorTable) -> Reports:
    plots = _position(columns, (("041/LAT", "041/LON"),), ("042/X", "042/Y"), sensor, sensors)
    plots |= _codes(columns, code="070", level="090", height="FL", address="220", callsign="245/CHR")
    plots["height"] = _value(columns, "105") * FOOT
    plots["sigma_position"] = _mean_sigma(_value(columns, "500/SDP/X"), _value(columns, "500/SDP/Y"))
    plots["flags"] |= _report_flags(columns, "020/SIM", "020/TST", "020/RAB", "020/SPI")
    lost = _lacks_site(columns, "042/X", plots)
    return Reports(plots, {"extrapolated": _equals(columns, "170/CST", 1), NO_SITE: lost})


def _read_021(columns: RecordColumns, sensor: NDArray[np.int64], sensors: SensorTable) -> Reports:
    places = (("131/LAT", "131/LON"), ("130/LAT", "130/LON"))
    plots = _position(columns, places, None, sensor, sensors)
    plots |= _codes(columns, code="070", level="145", height="", address="080", callsign="170")
    plots["height"] = _value(columns, "140") * FOOT
    accuracy = _raw(columns, "090/NACP")
    plots["sigma_position"] = _POSITION_RADIUS[np.clip(accuracy, 0, 15)] / _RADIUS_IN_SIGMAS
    plots["flags"] |= _report_flags(columns, "040/SIM", "040/TST", "040/RAB", "040/SPI")
    # The words of editions before 1.0 and since: 3 is SPI and 5 unlawful interference only since.
    status = _raw(columns, "200/PS" if "200/PS" in columns.names else "200")
    plots["flags"] |= np.where(np.isin(status, (1, 4, 5)), np.uint16(PlotFlag.EMERGENCY), np.uint16(0))
    return Reports(plots)


Reader = Callable[[RecordColumns, NDArray[np.int64], SensorTable], Reports]
READERS: dict[int, Reader] = {1: _read_001, 10: _read_010, 20: _read_020, 21: _read_021, 48: _read_048}


def _raw(columns: RecordColumns, name: str) -> NDArray[np.int32]:
    """(R,) raw values, MISSING throughout where the edition has no such field."""
    if name in columns.names:
        return columns.raw(name)
    return np.full(len(columns), MISSING, dtype=np.int32)


def _value(columns: RecordColumns, name: str) -> Floats1:
    """(R,) scaled values, NaN throughout where the edition has no such field."""
    return columns.value(name) if name in columns.names else np.full(len(columns), np.nan)


def _equals(columns: RecordColumns, name: str, value: int) -> Bools1:
    is_equal: Bools1 = _raw(columns, name) == value
    return is_equal


def _is_set(columns: RecordColumns, name: str) -> Bools1:
    return _equals(columns, name, 1)


def _polar(columns: RecordColumns, range_: str, azimuth: str, unit: float) -> dict[str, NDArray[Any]]:
    return {"range": _value(columns, range_) * unit, "azimuth": _value(columns, azimuth) * DEGREE}


def _cartesian_as_polar(
    columns: RecordColumns, polar: dict[str, NDArray[Any]], x: str, y: str, unit: float
) -> dict[str, NDArray[Any]]:
    """Range and azimuth of reports that tell only x and y around the radar, as its own tracker has them."""
    east, north = _value(columns, x) * unit, _value(columns, y) * unit
    is_lacking = np.isnan(polar["range"])
    return {
        "range": np.where(is_lacking, np.hypot(east, north), polar["range"]),
        "azimuth": np.where(is_lacking, np.arctan2(east, north) % (2.0 * np.pi), polar["azimuth"]),
    }


def _position(
    columns: RecordColumns,
    places: tuple[tuple[str, str], ...],
    local: tuple[str, str] | None,
    sensor: NDArray[np.int64],
    sensors: SensorTable,
) -> dict[str, NDArray[Any]]:
    """Latitude and longitude, rad, of the first place told; else of x and y in m around the sensor's site."""
    latitude, longitude = np.full(len(columns), np.nan), np.full(len(columns), np.nan)
    for latitude_name, longitude_name in places:
        is_lacking = np.isnan(latitude)
        latitude = np.where(is_lacking, _value(columns, latitude_name) * DEGREE, latitude)
        longitude = np.where(is_lacking, _value(columns, longitude_name) * DEGREE, longitude)
    if local is not None:
        x, y = _value(columns, local[0]), _value(columns, local[1])
        can_use = np.isnan(latitude) & ~np.isnan(x) & ~np.isnan(y) & (sensor >= 0)
        can_use &= ~np.isnan(sensors.latitude[sensor])
        for number in np.unique(sensor[can_use]).tolist():
            rows = np.flatnonzero(can_use & (sensor == number))
            site = (
                float(sensors.latitude[number]),
                float(sensors.longitude[number]),
                float(sensors.height[number]),
            )
            enu = np.stack([x[rows], y[rows], np.zeros(len(rows))], axis=1)
            latitude[rows], longitude[rows], _ = geodetic_from_enu(enu, site)
    return {"latitude": latitude, "longitude": longitude}


def _lacks_site(columns: RecordColumns, x: str, plots: dict[str, NDArray[Any]]) -> Bools1:
    """(R,) which reports tell x and y only, around a site that the table does not have."""
    slant = plots.get("range", np.full(len(columns), np.nan))
    has_place = ~np.isnan(plots["latitude"]) | ~np.isnan(slant)
    lacking: Bools1 = ~has_place & ~np.isnan(_value(columns, x))
    return lacking


def _codes(
    columns: RecordColumns, code: str, level: str, height: str, address: str = "", callsign: str = ""
) -> dict[str, NDArray[Any]]:
    """Squawk, pressure altitude, Mode S address, callsign, and the flags that go with them.

    A garbled or not validated code or level keeps its value and flags the plot.
    """
    count = len(columns)
    squawk = _raw(columns, f"{code}/MODE3A")
    altitude = _value(columns, f"{level}/{height}" if height else level) * FLIGHT_LEVEL
    has_squawk, has_altitude = squawk != MISSING, ~np.isnan(altitude)
    is_garbled = has_squawk & (_is_set(columns, f"{code}/V") | _is_set(columns, f"{code}/G"))
    is_garbled |= has_altitude & (_is_set(columns, f"{level}/V") | _is_set(columns, f"{level}/G"))
    is_emergency = np.isin(squawk, EMERGENCY_SQUAWKS) & ~is_garbled
    flags = np.where(is_garbled, np.uint16(PlotFlag.GARBLED), np.uint16(0))
    flags |= np.where(is_emergency, np.uint16(PlotFlag.EMERGENCY), np.uint16(0))
    found = _raw(columns, address) if address else np.full(count, MISSING, dtype=np.int32)
    has_address = (found != MISSING) & ~np.isin(found, _NO_ADDRESSES)
    name: Ints1 = np.full(count, NO_CALLSIGN, dtype=np.int64)
    if callsign and f"{callsign}/high" in columns.names:
        name = columns.packed(callsign)
    return {
        "squawk": np.where(has_squawk, squawk, NO_SQUAWK),
        "altitude": altitude,
        "address": np.where(has_address, found, NO_ADDRESS),
        "callsign": np.where(name == BLANK_CALLSIGN, NO_CALLSIGN, name),
        "flags": flags,
    }


def _report_flags(
    columns: RecordColumns, simulated: str, test: str, fixed: str, spi: str, emergency: str = ""
) -> NDArray[np.uint16]:
    """Flags of target reports; a fixed transponder on the ground counts as a test target."""
    flags = np.zeros(len(columns), dtype=np.uint16)
    for name, flag in (
        (simulated, PlotFlag.SIMULATED),
        (test, PlotFlag.TEST),
        (fixed, PlotFlag.TEST),
        (spi, PlotFlag.SPI),
        (emergency, PlotFlag.EMERGENCY),
    ):
        if name:
            flags |= np.where(_is_set(columns, name), np.uint16(flag), np.uint16(0))
    return flags


def _mean_sigma(x: Floats1, y: Floats1) -> Floats1:
    """(R,) sigma of each axis that gives the same area; NaN where it is not told or 0."""
    sigma: Floats1 = np.sqrt((x * x + y * y) / 2.0)
    return np.where(sigma > 0.0, sigma, np.nan)


def _elevation(
    slant: Floats1, azimuth: Floats1, height: Floats1, sensor: NDArray[np.int64], sensors: SensorTable
) -> Floats1:
    """Elevation angles, rad, that a 3D radar measured to report a height.

    The radar's own error is one of angle, so that the height is turned back into it. The earth is
    the sphere that touches the ellipsoid in the direction of sight; NaN where the geometry is impossible.

    Args:
        slant: (R,) m. azimuth: (R,) rad. height: (R,) of the target above the ellipsoid, m.
        sensor: (R,) row in the table, -1 for none.

    Source: Euler's theorem for the radius of curvature; law of cosines.
    """
    elevation = np.full(len(slant), np.nan)
    rows = np.flatnonzero(~np.isnan(slant) & ~np.isnan(azimuth) & ~np.isnan(height) & (sensor >= 0))
    if len(rows) == 0:
        return elevation
    place = sensor[rows]
    latitude = np.nan_to_num(sensors.latitude[place])
    shrink = 1.0 - ECCENTRICITY_SQUARED * np.sin(latitude) ** 2
    meridian = SEMI_MAJOR_AXIS * (1.0 - ECCENTRICITY_SQUARED) / shrink**1.5
    across = SEMI_MAJOR_AXIS / np.sqrt(shrink)
    radius = 1.0 / (np.cos(azimuth[rows]) ** 2 / meridian + np.sin(azimuth[rows]) ** 2 / across)
    r, site = slant[rows], radius + sensors.height[place]
    target = radius + height[rows]
    sine = (target * target - site * site - r * r) / np.where(r > 0.0, 2.0 * r * site, np.nan)
    elevation[rows] = np.arcsin(np.where(np.abs(sine) <= 1.0, sine, np.nan))
    return elevation
