"""What the tracker hands on: the air picture, and the outcome of each plot."""

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1, Floats2, Floats3
from skypact.core.geodesy import Geodetic


class Identity(IntEnum):
    """Standard identity of a track; the names, blanks for underscores, are the words that people read."""

    PENDING = 0  # nobody has looked yet
    UNKNOWN = 1
    ASSUMED_FRIEND = 2
    FRIEND = 3
    NEUTRAL = 4
    SUSPECT = 5
    HOSTILE = 6


class TargetKind(IntEnum):
    """What a track is of."""

    UNKNOWN = 0
    AIRLINER = 1
    JET = 2
    LIGHT = 3
    HELICOPTER = 4
    DRONE = 5
    BALLOON = 6
    BIRD = 7


@dataclass(frozen=True, slots=True)
class Picture:
    """All confirmed tracks at one time of applicability, immutable; one row per track, by number."""

    time: float  # of applicability, UTC s since 1970
    sequence: int  # rises by one for each picture of a centre
    reference: Geodetic  # origin of the centre's local frame
    sensor_names: tuple[str, ...]  # of the sensor table, in its order
    centre_names: tuple[str, ...]  # this centre first, then its partners
    number: NDArray[np.int32]  # (N,) track number in this centre; 1 to 32767 from its own tracker
    joint_centre: NDArray[np.uint8]  # (N,) of the joint track number: place in `centre_names`
    joint_number: NDArray[np.int32]  # (N,) of the joint track number, 1 to 32767
    centres: NDArray[np.uint64]  # (N,) bit c: a track of centre c is in it
    reporter: NDArray[np.uint8]  # (N,) who holds reporting responsibility: place in `centre_names`
    report_age: Floats1  # (N,) of the oldest partner's report in the state, s; NaN for none
    uid: NDArray[np.uint64]  # (N, 2) high and low half of the 128-bit identifier that is never reused
    position: Floats2  # (N, 3) in the centre's frame, m
    latitude: Floats1  # (N,) rad
    longitude: Floats1  # (N,) rad
    height: Floats1  # (N,) above the ellipsoid, m
    velocity: Floats2  # (N, 3) east, north, up at the target, m/s
    covariance: Floats3  # (N, 4, 4) of position and velocity, each east and north at the target, m and m/s
    altitude: Floats1  # (N,) last pressure altitude, m; NaN when none is known
    altitude_time: Floats1  # (N,) when it was detected, UTC s since 1970; NaN when none is known
    vertical_rate: Floats1  # (N,) m/s; NaN when not known
    movement: Floats2  # (N, 3) probability of straight flight, right turn, left turn; the rest is open
    existence: Floats1  # (N,) probability that there is a target
    is_coasting: NDArray[np.bool_]  # (N,) predicted, for lack of plots that were expected
    is_simulated: NDArray[np.bool_]  # (N,) from its birth on; fed by simulated plots alone, others by none
    updated: Floats1  # (N,) detection time of the last plot, UTC s since 1970
    born: Floats1  # (N,) detection time of the first plot, UTC s since 1970
    squawk: NDArray[np.int16]  # (N,) -1 for none
    address: NDArray[np.int32]  # (N,) -1 for none
    callsign: NDArray[np.int64]  # (N,) packed as in plots; 0 for none
    identity: NDArray[np.uint8]  # (N,) Identity
    kind: NDArray[np.uint8]  # (N,) TargetKind
    sensors: NDArray[np.uint64]  # (N, W) bit s % 64 of word s // 64: sensor s fed the track lately

    def __len__(self) -> int:
        return len(self.number)


PICTURE_COLUMNS: tuple[str, ...] = tuple(
    column.name
    for column in fields(Picture)
    if column.name not in {"time", "sequence", "reference", "sensor_names", "centre_names"}
)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of plots; one row per plot whose fate is settled.

    The fate of a plot that fed a tentative track is settled when the track is confirmed or dropped.
    """

    plot: NDArray[np.int64]  # (K,) place of the plot in the order in which the tracker was given them, from 0
    outcome: NDArray[np.uint8]  # (K,) Outcome
    number: NDArray[np.int32]  # (K,) track that it updated or started; -1 for none
    uid: NDArray[np.uint64]  # (K, 2) its identifier; 0 for none
    reason: NDArray[np.uint8]  # (K,) OutcomeReason


class OutcomeReason(IntEnum):
    """Why a plot had its outcome; the names are the words in files."""

    NONE = 0  # it updated or started a track
    NO_SECOND_PLOT = 1  # clutter: nothing came after it that could be of the same target
    TRACK_NOT_CONFIRMED = 2  # clutter: the track that it fed never became probable
    NEAR_TRACK = 3  # clutter: a track in whose gate it lay took another plot, or took this one already
    TEST_TARGET = 4  # filtered
    NO_POSITION = 5  # malformed: its measurements don't say where it is
    OUT_OF_RANGE = 6  # malformed: a measurement is out of its sensor's range
    UNKNOWN_SENSOR = 7  # malformed: no row of the sensor table
    NO_TIME = 8  # malformed: no finite time
    HEIGHT_NEEDED = 9  # clutter: above a sensor, where a plot without height is a ring
    OLDER_THAN_TRACK = 10  # late: the tracks that it fits are too far ahead of it
    OLDER_THAN_SENSOR = 11  # late: its sensor has sent plots from long after it
    NO_ROOM = 12  # clutter: the tracker was full
    STILL_OPEN = 13  # clutter: the recording ended before it was decided
    TIME_AHEAD = 14  # malformed: a time long after its arrival, by a clock that runs ahead
