"""The sensor table: what is known of each sensor, as an operator writes it and as kernels read it."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from skypact.core.errors import BadInputError
from skypact.core.geodesy import Geodetic
from skypact.core.units import DEGREE, KILOMETRE


class SensorKind(IntEnum):
    """What a sensor is; the names in lower case are the words of sensor tables and files."""

    PSR = 0
    SSR = 1
    MODE_S = 2
    RADAR = 3
    RADAR_3D = 4
    ADSB = 5
    MLAT = 6
    LIDAR = 7
    DIRECTION_FINDER = 8
    ACOUSTIC = 9
    CAMERA = 10
    REMOTE_ID = 11


@dataclass(frozen=True, slots=True)
class KindDefaults:
    """What is assumed of a sensor kind where the table is silent."""

    rotation_period_s: float | None
    range_max_km: float
    sigma_range_m: float
    sigma_azimuth_deg: float
    sigma_elevation_deg: float
    sigma_position_m: float
    detection_probability: float
    clutter_per_scan: float


_EN_ROUTE = KindDefaults(None, 450.0, 70.0, 0.08, 1.0, 50.0, 0.95, 5.0)
_SHORT = KindDefaults(None, 10.0, 5.0, 0.5, 0.5, 10.0, 0.9, 5.0)
DEFAULTS: dict[SensorKind, KindDefaults] = {
    SensorKind.PSR: KindDefaults(4.0, 150.0, 120.0, 0.15, 1.0, 50.0, 0.9, 20.0),
    SensorKind.SSR: KindDefaults(8.0, 450.0, 70.0, 0.08, 1.0, 50.0, 0.95, 5.0),
    SensorKind.MODE_S: KindDefaults(8.0, 450.0, 50.0, 0.07, 1.0, 50.0, 0.97, 2.0),
    SensorKind.RADAR: KindDefaults(8.0, 450.0, 70.0, 0.08, 1.0, 50.0, 0.95, 5.0),
    SensorKind.RADAR_3D: KindDefaults(4.0, 300.0, 50.0, 0.15, 0.3, 50.0, 0.9, 10.0),
    SensorKind.ADSB: KindDefaults(None, 450.0, 70.0, 0.08, 1.0, 30.0, 0.95, 0.0),
    SensorKind.MLAT: KindDefaults(None, 450.0, 70.0, 0.08, 1.0, 50.0, 0.95, 0.0),
    SensorKind.LIDAR: _SHORT,
    SensorKind.DIRECTION_FINDER: KindDefaults(None, 20.0, 5.0, 2.0, 2.0, 10.0, 0.8, 1.0),
    SensorKind.ACOUSTIC: KindDefaults(None, 1.0, 5.0, 5.0, 5.0, 10.0, 0.7, 1.0),
    SensorKind.CAMERA: KindDefaults(None, 5.0, 5.0, 0.2, 0.2, 10.0, 0.8, 1.0),
    SensorKind.REMOTE_ID: KindDefaults(None, 10.0, 5.0, 0.5, 0.5, 10.0, 0.9, 0.0),
}
FASTEST_UPDATE = 1.0  # s; the update interval assumed of a sensor that does not rotate


class Sensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One sensor as an operator describes it in `sensors.toml`; what is unknown is left out."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: str = "radar"
    sac: Annotated[int, Meta(ge=0, le=255)] | None = None
    sic: Annotated[int, Meta(ge=0, le=255)] | None = None
    latitude_deg: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude_deg: Annotated[float, Meta(ge=-180, le=180)] | None = None
    height_m: Annotated[float, Meta(ge=-500, le=20_000)] = 0.0
    rotation_period_s: Annotated[float, Meta(gt=0)] | None = None
    range_max_km: Annotated[float, Meta(gt=0)] | None = None
    sigma_range_m: Annotated[float, Meta(gt=0)] | None = None
    sigma_azimuth_deg: Annotated[float, Meta(gt=0)] | None = None
    sigma_elevation_deg: Annotated[float, Meta(gt=0)] | None = None
    detection_probability: Annotated[float, Meta(gt=0, lt=1)] | None = None
    clutter_per_scan: Annotated[float, Meta(ge=0)] | None = None
    edition: dict[str, str] = {}  # category -> ASTERIX edition, as in {"021" = "0.26"}

    @property
    def sensor_kind(self) -> SensorKind:
        """The kind as a constant."""
        return SensorKind[self.kind.upper()]

    @property
    def has_site(self) -> bool:
        """Whether the sensor's position is known; sensors that send ready positions need none."""
        return self.latitude_deg is not None and self.longitude_deg is not None


class ReferencePoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The origin of the centre's local frame."""

    latitude_deg: Annotated[float, Meta(ge=-90, le=90)]
    longitude_deg: Annotated[float, Meta(ge=-180, le=180)]
    height_m: float = 0.0


class _SensorFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    sensor: list[Sensor]
    centre: ReferencePoint | None = None


@dataclass(frozen=True)
class SensorTable:
    """All sensors of a centre, in the order of the table, and the origin of its local frame."""

    sensors: tuple[Sensor, ...]
    reference: Geodetic  # origin of the centre's local east-north-up frame

    def __len__(self) -> int:
        return len(self.sensors)

    @cached_property
    def names(self) -> list[str]:
        """Names in table order."""
        return [sensor.name for sensor in self.sensors]

    @cached_property
    def by_source(self) -> dict[tuple[int, int], int]:
        """Row of each ASTERIX source, by (SAC, SIC)."""
        return {
            (sensor.sac, sensor.sic): row
            for row, sensor in enumerate(self.sensors)
            if sensor.sac is not None and sensor.sic is not None
        }

    @cached_property
    def editions(self) -> dict[tuple[int, int], dict[int, str]]:
        """The ASTERIX edition of each category, of the sources for which the table chooses one."""
        return {
            (sensor.sac, sensor.sic): {int(category): name for category, name in sensor.edition.items()}
            for sensor in self.sensors
            if sensor.edition and sensor.sac is not None and sensor.sic is not None
        }

    @cached_property
    def kind(self) -> NDArray[np.int64]:
        """(S,) `SensorKind` of each sensor."""
        return np.array([sensor.sensor_kind for sensor in self.sensors], dtype=np.int64)

    @cached_property
    def latitude(self) -> NDArray[np.float64]:
        """(S,) rad; NaN where the site is not known."""
        return self._column("latitude_deg", DEGREE)

    @cached_property
    def longitude(self) -> NDArray[np.float64]:
        """(S,) rad; NaN where the site is not known."""
        return self._column("longitude_deg", DEGREE)

    @cached_property
    def height(self) -> NDArray[np.float64]:
        """(S,) of the antenna above the ellipsoid, m."""
        return self._column("height_m")

    @cached_property
    def rotation_period(self) -> NDArray[np.float64]:
        """(S,) s; NaN for a sensor that does not rotate."""
        return self._column("rotation_period_s")

    @cached_property
    def range_max(self) -> NDArray[np.float64]:
        """(S,) m."""
        return self._column("range_max_km", KILOMETRE)

    @cached_property
    def sigma_range(self) -> NDArray[np.float64]:
        """(S,) m."""
        return self._column("sigma_range_m")

    @cached_property
    def sigma_azimuth(self) -> NDArray[np.float64]:
        """(S,) rad."""
        return self._column("sigma_azimuth_deg", DEGREE)

    @cached_property
    def sigma_elevation(self) -> NDArray[np.float64]:
        """(S,) rad."""
        return self._column("sigma_elevation_deg", DEGREE)

    @cached_property
    def sigma_position(self) -> NDArray[np.float64]:
        """(S,) of ready positions, each horizontal axis, m."""
        return np.array([DEFAULTS[s.sensor_kind].sigma_position_m for s in self.sensors])

    @cached_property
    def detection_probability(self) -> NDArray[np.float64]:
        """(S,) that a target in cover is detected in one scan."""
        return self._column("detection_probability")

    @cached_property
    def clutter_per_scan(self) -> NDArray[np.float64]:
        """(S,) false plots expected in one scan, before any was seen."""
        return self._column("clutter_per_scan")

    def _column(self, name: str, unit: float = 1.0) -> NDArray[np.float64]:
        def value(sensor: Sensor) -> float:
            chosen = getattr(sensor, name)
            if chosen is None:
                chosen = getattr(DEFAULTS[sensor.sensor_kind], name, None)
            return np.nan if chosen is None else float(chosen) * unit

        return np.array([value(sensor) for sensor in self.sensors], dtype=np.float64)


def make_sensor_table(
    sensors: list[Sensor], reference: ReferencePoint | None = None, where: str = "sensor table"
) -> SensorTable:
    """A checked table; without a reference point, its origin is the mean of the sites at height 0.

    Raises:
        BadInputError: no sensors, an unknown kind, two sensors of one name or source, or no
            reference point and no sensor with a site.
    """
    if not sensors:
        raise BadInputError("no [[sensor]]", where, "add one table for each sensor")
    words = ", ".join(kind.name.lower() for kind in SensorKind)
    seen: dict[Any, str] = {}
    for sensor in sensors:
        if sensor.kind.upper() not in SensorKind.__members__ or sensor.kind != sensor.kind.lower():
            raise BadInputError(f"unknown kind {sensor.kind!r} of {sensor.name}", where, f"one of {words}")
        for category in sensor.edition:
            if not category.isdecimal():
                raise BadInputError(
                    f"edition of {sensor.name} for {category!r}", where, 'write "021" = "0.26"'
                )
        keys: list[Any] = [sensor.name]
        if sensor.sac is not None or sensor.sic is not None:
            keys.append((sensor.sac, sensor.sic))
        for key in keys:
            if key in seen:
                raise BadInputError(f"{sensor.name} repeats {key!r} of {seen[key]}", where)
            seen[key] = sensor.name
    if reference is not None:
        origin = Geodetic(
            reference.latitude_deg * DEGREE, reference.longitude_deg * DEGREE, reference.height_m
        )
    else:
        origin = _mean_site([sensor for sensor in sensors if sensor.has_site], where)
    return SensorTable(tuple(sensors), origin)


def read_sensor_table(path: Path) -> SensorTable:
    """The sensor table in a `sensors.toml`.

    Raises:
        BadInputError: the file can't be read or does not describe sensors.
    """
    try:
        content = msgspec.toml.decode(path.read_bytes(), type=_SensorFile)
    except OSError as error:
        raise BadInputError(error.strerror or "can't be read", str(path)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInputError(str(error), str(path)) from None
    return make_sensor_table(content.sensor, content.centre, str(path))


def _mean_site(sited: list[Sensor], where: str) -> Geodetic:
    if not sited:
        raise BadInputError(
            "no sensor has a site", where, "give latitude_deg and longitude_deg, or a [centre]"
        )
    latitude = np.array([sensor.latitude_deg for sensor in sited], dtype=np.float64) * DEGREE
    longitude = np.array([sensor.longitude_deg for sensor in sited], dtype=np.float64) * DEGREE
    # The mean of directions, so that sites on both sides of 180 degrees do not average to 0.
    x, y = (np.cos(latitude) * np.cos(longitude)).mean(), (np.cos(latitude) * np.sin(longitude)).mean()
    z = np.sin(latitude).mean()
    return Geodetic(float(np.arctan2(z, np.hypot(x, y))), float(np.arctan2(y, x)), 0.0)


class SensorState(StrEnum):
    """How alive a sensor is: fresh, stale (it missed what was expected), or silent."""

    FRESH = "fresh"
    STALE = "stale"
    SILENT = "silent"


class SensorHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one sensor does now; numbers are of the last minute unless they say total."""

    name: str
    kind: str
    state: SensorState
    last_received: float | None  # UTC s since 1970; None when nothing ever came
    plots_per_second: float
    plots_total: int
    errors_total: int
    errors: dict[str, int]  # by kind, total
    rotation_period: float | None  # measured from north marks or sectors, s
    clock_offset: float | None  # median of arrival minus detection time, s
    outcomes: dict[str, int] = {}  # what became of its plots, by `plots.model.Outcome`, total
    reasons: dict[str, int] = {}  # why plots fed no track, total; most frequent first
    used_share: float | None = None  # of the plots settled lately, those that fed a track
    refused_share: float | None = None  # those that were filtered, late or malformed; copies left out
