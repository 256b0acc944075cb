"""Between the tracker's picture and the exchange: a picture as a report, and a fused report as a picture."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skypact.core.geodesy import enu_from_geodetic
from skypact.exchange.fusion import FusedReport, Source
from skypact.exchange.model import TrackReport
from skypact.exchange.numbers import JointNumbers
from skypact.tracks.model import PICTURE_COLUMNS, Picture

FIRST_FOREIGN_NUMBER = 32_768  # track numbers from here on are of tracks that only partners have
LAST_NUMBER = 65_535  # what I062/040 can hold
_FROM_REPORT = {column.name for column in fields(TrackReport)} - {"time", "sensor_names", "number"}


def report_of(picture: Picture) -> TrackReport:
    """The tracks of our own tracker's picture; under the numbers that the tracker gave."""
    count = len(picture)
    return TrackReport(
        time=picture.time,
        centre=picture.centre_names[0],
        centre_names=picture.centre_names,
        sensor_names=picture.sensor_names,
        uid=picture.uid,
        number_centre=picture.joint_centre,
        number=picture.joint_number,
        numbered=picture.born,
        latitude=picture.latitude,
        longitude=picture.longitude,
        height=picture.height,
        velocity=picture.velocity,
        covariance=picture.covariance,
        altitude=picture.altitude,
        existence=picture.existence,
        updated=picture.updated,
        is_coasting=picture.is_coasting,
        is_simulated=picture.is_simulated,
        is_reporter=np.ones(count, np.bool_),
        squawk=picture.squawk,
        address=picture.address,
        callsign=picture.callsign,
        identity=picture.identity,
        kind=picture.kind,
        sensors=picture.sensors,
    )


def with_numbers(report: TrackReport, numbers: JointNumbers) -> TrackReport:
    """Our own tracks under their joint numbers, as partners get them."""
    own = slice(0, len(report))
    return replace(
        report,
        centre_names=numbers.centre_names,
        number_centre=numbers.number_centre[own],
        number=numbers.number[own],
        numbered=numbers.numbered[own],
        is_reporter=numbers.reporter[own] == 0,
    )


def picture_of(report: TrackReport, own: Picture, sequence: int, number: NDArray[np.int32]) -> Picture:
    """A report as a picture of its own, at the time of `own`.

    Args:
        report: tracks as they leave, ordered by `number`; some may be older than the report's time.
        own: our picture.
        sequence: of the picture.
        number: (N,) by which the tracks are known in it.
    """
    count = len(report)
    reference = (own.reference.latitude, own.reference.longitude, own.reference.height)
    height = np.where(np.isnan(report.height), np.nan_to_num(report.altitude), report.height)
    names = list(dict.fromkeys([report.centre, *report.centre_names]))
    columns: dict[str, Any] = {
        name: getattr(report, name) for name in PICTURE_COLUMNS if name in _FROM_REPORT
    }
    columns |= {
        "number": number,
        "joint_centre": _places(report.centre_names, names)[report.number_centre],
        "joint_number": report.number,
        "centres": np.ones(count, np.uint64),
        "reporter": np.zeros(count, np.uint8),
        "report_age": np.full(count, np.nan),
        "position": enu_from_geodetic(report.latitude, report.longitude, height, reference),
        "altitude_time": np.full(count, np.nan),
        "vertical_rate": np.array(report.velocity[:, 2]),
        "movement": np.zeros((count, own.movement.shape[1])),
        "born": report.numbered,
    }
    return Picture(
        time=own.time,
        sequence=sequence,
        reference=own.reference,
        sensor_names=report.sensor_names,
        centre_names=tuple(names),
        **columns,
    )


class ForeignNumbers:
    """Gives tracks that only partners have a number of this centre; the one free for longest comes next."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._free: dict[int, None] = dict.fromkeys(range(FIRST_FOREIGN_NUMBER, LAST_NUMBER + 1))

    def update(self, uid: NDArray[np.uint64]) -> NDArray[np.int32]:
        """(N,) the number of each track, by its (N, 2) identifier; 0 when all are taken."""
        present = [row.tobytes() for row in np.ascontiguousarray(uid)]
        gone = self._numbers.keys() - set(present)
        for key in gone:
            self._free[self._numbers.pop(key)] = None
        for key in present:
            if key not in self._numbers and self._free:
                number = next(iter(self._free))
                del self._free[number]
                self._numbers[key] = number
        return np.array([self._numbers.get(key, 0) for key in present], np.int32)


def system_picture(own: Picture, fused: FusedReport, foreign: ForeignNumbers) -> Picture:
    """The picture that people see: own tracks with what partners know of them, and partners' own tracks.

    Args:
        own: our tracker's picture.
        fused: of the same time; its first rows are the tracks of `own`, in their order.
        foreign: numbers of the tracks that we don't have.
    """
    tracks = fused.tracks
    count, ours = len(fused), len(own)
    columns: dict[str, Any] = {}
    for name in PICTURE_COLUMNS:
        if name in _FROM_REPORT:
            columns[name] = getattr(tracks, name)
    columns["number"] = np.concatenate([own.number, foreign.update(tracks.uid[ours:])])
    reference = (own.reference.latitude, own.reference.longitude, own.reference.height)
    height = np.where(np.isnan(tracks.height), np.nan_to_num(tracks.altitude), tracks.height)
    moved = fused.source != Source.OWN
    position = np.empty((count, 3))
    position[:ours] = own.position
    position[moved] = enu_from_geodetic(
        tracks.latitude[moved], tracks.longitude[moved], height[moved], reference
    )
    theirs = np.full(count - ours, np.nan)
    names = list(dict.fromkeys([*own.centre_names, *fused.centres, *tracks.centre_names]))
    columns |= {
        "position": position,
        "altitude_time": np.concatenate([own.altitude_time, theirs]),
        "vertical_rate": np.array(tracks.velocity[:, 2]),
        "movement": np.concatenate([own.movement, np.zeros((count - ours, own.movement.shape[1]))]),
        "born": np.concatenate([own.born, tracks.numbered[ours:]]),
        "joint_centre": _places(tracks.centre_names, names)[tracks.number_centre],
        "joint_number": tracks.number,
        "centres": _moved_bits(fused.centre_bits, fused.centres, names),
        "reporter": _places(fused.centres, names)[fused.reporter],
        "report_age": fused.age,
    }
    # Partners' tracks come in any order, a picture's by number.
    order = np.argsort(columns["number"], kind="stable")
    return Picture(
        time=own.time,
        sequence=own.sequence,
        reference=own.reference,
        sensor_names=tracks.sensor_names,
        centre_names=tuple(names),
        **{name: column[order] for name, column in columns.items()},
    )


def _places(names: tuple[str, ...], among: list[str]) -> NDArray[np.uint8]:
    return np.array([among.index(name) for name in names], np.uint8)


def _moved_bits(bits: NDArray[np.uint64], names: tuple[str, ...], among: list[str]) -> NDArray[np.uint64]:
    moved = np.zeros_like(bits)
    for bit, name in enumerate(names):
        moved |= (bits >> np.uint64(bit) & np.uint64(1)) << np.uint64(among.index(name))
    return moved
