"""What the radars send: target reports (CAT048) and service messages (CAT034), sector by sector.

Editions: CAT048 1.32 and CAT034 1.29, the newest of the tables. A radar sends the plots of a
sector when its beam has left it, and the mark of the next sector with them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skypact.asterix.encode import encode_records
from skypact.asterix.model import Datagrams
from skypact.core.arrays import Bytes1, Ints1
from skypact.core.geodesy import geodetic_from_enu
from skypact.core.units import DAY, DEGREE, FLIGHT_LEVEL, FOOT, NAUTICAL_MILE
from skypact.plots.model import NO_ADDRESS, NO_CALLSIGN, NO_SQUAWK, PlotBatch, PlotFlag
from skypact.sensors.model import SensorKind, SensorTable
from skypact.simulation.kernels import pack_blocks
from skypact.simulation.model import SECTORS, Simulation

LONGEST_DATAGRAM = 1400  # octets; fits an Ethernet frame
_ALONE = 4  # octets; a block no longer than this holds one record whatever its length
_PSR, _SSR, _COMBINED, _ROLL_CALL = 1, 2, 3, 5  # I048/020 TYP
_NORTH, _SECTOR = 1, 2  # I034/000
_FIRST_BIT = 360.0 / 256  # degrees; of a sector number


@dataclass(frozen=True, slots=True)
class RadarMessages:
    """All datagrams of all radars, in order of arrival."""

    datagrams: Datagrams
    sensor: NDArray[np.int64]  # (D,) row of the radar in the sensor table


def radar_messages(simulation: Simulation) -> RadarMessages:
    """The ASTERIX datagrams of a simulation, with their times of arrival."""
    plots, marks = simulation.plots, simulation.marks
    reports = encode_records(48, _target_reports(plots, simulation.sensors), max_length=_ALONE)
    buffer, offset, length, first = _pack(reports, simulation.plot_group)
    service = encode_records(34, _service_messages(simulation), max_length=_ALONE)
    received = np.concatenate([plots.received[first], marks.received])
    sensor = np.concatenate([plots.sensor[first], marks.sensor]).astype(np.int64)
    is_mark = np.concatenate([np.zeros(len(first)), np.ones(len(marks.time))])
    order = np.lexsort((is_mark, sensor, received))
    datagrams = Datagrams(
        buffer=np.concatenate([buffer, service.buffer]),
        offset=np.concatenate([offset, service.offset + len(buffer)])[order],
        length=np.concatenate([length, service.length])[order],
        received=received[order],
    )
    return RadarMessages(datagrams, sensor[order])


def _pack(records: Datagrams, group: NDArray[np.int64]) -> tuple[Bytes1, Ints1, Ints1, Ints1]:
    """Common blocks of records that left their radar together: octets, offset, length, first record."""
    packed = np.empty(len(records.buffer), dtype=np.uint8)
    blocks = np.empty((len(records), 3), dtype=np.int64)
    count = pack_blocks(
        records.buffer, records.offset, records.length, group, LONGEST_DATAGRAM, packed, blocks
    )
    blocks = blocks[:count]
    end = int(blocks[-1, 0] + blocks[-1, 1]) if count else 0
    offset, length, first = (np.ascontiguousarray(blocks[:, column]) for column in range(3))
    return packed[:end], offset, length, first


def _sources(sensors: SensorTable, rows: NDArray[np.int32]) -> dict[str, NDArray[np.float64]]:
    sac = np.array([sensor.sac for sensor in sensors.sensors], dtype=np.float64)
    sic = np.array([sensor.sic for sensor in sensors.sensors], dtype=np.float64)
    return {"010/SAC": sac[rows], "010/SIC": sic[rows]}


def _target_reports(plots: PlotBatch, sensors: SensorTable) -> dict[str, NDArray]:
    """Columns of CAT048; I048/110 stands for elevation, the sea's level being that of the ellipsoid."""
    kind = sensors.kind[plots.sensor]
    has_squawk, has_address = plots.squawk != NO_SQUAWK, plots.address != NO_ADDRESS
    type_of_report = np.select(
        [
            (kind == SensorKind.PSR) | (kind == SensorKind.RADAR_3D),
            kind == SensorKind.RADAR,
            has_address,
        ],
        [_PSR, np.where(has_squawk, _COMBINED, _PSR), _ROLL_CALL],
        default=_SSR,
    )
    is_garbled = (plots.flags & int(PlotFlag.GARBLED)) != 0
    has_altitude = ~np.isnan(plots.altitude)
    return {
        **_sources(sensors, plots.sensor),
        "140": plots.time % DAY,
        "020/TYP": type_of_report.astype(np.float64),
        "020/SIM": plots.is_simulated.astype(np.float64),
        "040/RHO": plots.range / NAUTICAL_MILE,
        "040/THETA": plots.azimuth / DEGREE,
        "070/V": np.where(has_squawk, 0.0, np.nan),
        "070/G": np.where(has_squawk, is_garbled, np.nan),
        "070/MODE3A": np.where(has_squawk, plots.squawk, np.nan),
        "090/V": np.where(has_altitude, 0.0, np.nan),
        "090/FL": plots.altitude / FLIGHT_LEVEL,
        "110/3DH": _measured_height(plots, sensors) / FOOT,
        "220": np.where(has_address, plots.address, np.nan),
        "240": np.where(plots.callsign != NO_CALLSIGN, plots.callsign, 0),
    }


def _measured_height(plots: PlotBatch, sensors: SensorTable) -> NDArray[np.float64]:
    """(P,) height above the ellipsoid of the measured point, m; NaN without an elevation."""
    height = np.full(len(plots), np.nan)
    rows = np.flatnonzero(~np.isnan(plots.elevation))
    for sensor in np.unique(plots.sensor[rows]).tolist():
        mine = rows[plots.sensor[rows] == sensor]
        reference = (sensors.latitude[sensor], sensors.longitude[sensor], sensors.height[sensor])
        across = plots.range[mine] * np.cos(plots.elevation[mine])
        enu = np.stack(
            [
                across * np.sin(plots.azimuth[mine]),
                across * np.cos(plots.azimuth[mine]),
                plots.range[mine] * np.sin(plots.elevation[mine]),
            ],
            axis=1,
        )
        height[mine] = geodetic_from_enu(enu, reference)[2]
    return height


def _service_messages(simulation: Simulation) -> dict[str, NDArray]:
    """Columns of CAT034: a north mark with the rotation period, or the number of the sector that begins."""
    marks = simulation.marks
    is_north = marks.sector == 0
    return {
        **_sources(simulation.sensors, marks.sensor),
        "000": np.where(is_north, _NORTH, _SECTOR).astype(np.float64),
        "030": marks.time % DAY,
        "020": np.where(is_north, np.nan, marks.sector * (256 / SECTORS) * _FIRST_BIT),
        "041": np.where(is_north, marks.period, np.nan),
    }
