"""UDP out: the air picture as CAT062 (system tracks) and CAT065 (service status) for existing systems.

Editions CAT062 1.21 and CAT065 1.6. A user gets, each of its periods: blocks of CAT062 with the
tracks in its area and height band and the ends of those that left them, then one block of CAT065 with
the state of the service and the end of the batch. Positions are I062/105 (WGS-84) alone: I062/100
would need every user to hold the same plane. I062/185 is east and north at the track. I062/130 is sent
for tracks that a 3D radar feeds, since only then the height is measured. I062/135 is the last pressure
altitude carried on with the vertical rate, on 1013.25 hPa. I062/200 says how a track turns and climbs;
whether it gains speed is never determined, since no acceleration along the path is estimated.
I062/510 is the joint track number: the unit of the centre that numbered the aircraft first, and the
number that it gave. I062/080 AMA is set where tracks of several centres are in it, STP where another
centre reports the aircraft than the one that numbered it.
"""

import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skypact.asterix.encode import encode_records
from skypact.asterix.model import Datagrams
from skypact.centre.ages import TECHNOLOGIES, SourceAges
from skypact.centre.settings import OutputUser
from skypact.core.arrays import Floats1, Floats2
from skypact.core.units import DAY, DEGREE, FLIGHT_LEVEL, FOOT, FOOT_PER_MINUTE
from skypact.sensors.model import SensorKind, SensorTable
from skypact.tracks.model import Picture

log = logging.getLogger(__name__)

MAX_LENGTH = 1400  # octets of a datagram; fits an Ethernet frame with tunnels around it
MULTICAST_HOPS = 16
LONGEST_WAIT = 0.05  # s for room in the send buffer; a datagram leaves a 10 Mbit/s line in 1 ms
STATUS, END_OF_BATCH = 1, 2  # I065/000
NO_SOURCE, SOURCE_3D_RADAR = 0, 2  # I062/080 SRC
PRIMARY_AND_SECONDARY, PRIMARY_ONLY, NOT_DEFINED = 0, 2, 3  # I062/080 SDS
EMERGENCIES = {0o7500: 5, 0o7600: 4, 0o7700: 1}  # I062/080 EMS by Mode 3/A code
UNDETERMINED = 3  # I062/200; else 0 straight or level, 1 right or climb, 2 left or descent
SURE_MOVEMENT = 0.6  # probability from which a way of moving is told
LEVEL_FLIGHT = 300.0 * FOOT_PER_MINUTE  # m/s; slower climbs and descents are level
LONGEST_AGE = 24.0  # s; two turns of a slow radar: what is older is an old update, I062/080
BATCH = 0  # I065/020: a picture is one batch, and batches of a cycle count from 0
SMALLEST_SIGMA = 0.5  # m; one bit of I062/500, so that a sent accuracy is never zero

Columns = dict[str, NDArray[Any]]


@dataclass(slots=True)
class _UserState:
    """What one user was sent last."""

    user: OutputUser
    service: int  # I062/015 and I065/015
    sent: dict[int, tuple[int, int]]  # uid by track number
    last_period: int | None = None
    datagrams: int = 0
    lost: int = 0


class PictureSender:
    """Sends pictures to users, each at its own period; a user who can't be reached holds up nobody."""

    def __init__(
        self,
        users: tuple[OutputUser, ...],
        sensors: SensorTable,
        ages: SourceAges | None = None,
        units: Mapping[str, int] | None = None,
    ) -> None:
        """Begin to send.

        Args:
            users: who get the pictures. sensors: of the pictures.
            ages: of their tracks, which are left out without it.
            units: system unit of each centre by its name; joint numbers of others are left out.
        """
        self._ages = ages
        self._units = units or {}
        self._states = [_UserState(user, place + 1, {}) for place, user in enumerate(users)]
        self._sockets = [_open(user) for user in users]
        self._measures_height = _sensor_bits(sensors, SensorKind.RADAR_3D)

    def add_sensors(self, sensors: SensorTable) -> None:
        """Go on with a longer table that begins with the present sensors."""
        self._measures_height = _sensor_bits(sensors, SensorKind.RADAR_3D)

    @property
    def datagrams(self) -> dict[str, int]:
        """Datagrams sent to each user."""
        return {state.user.name: state.datagrams for state in self._states}

    @property
    def lost(self) -> dict[str, int]:
        """Datagrams that could not be sent to each user."""
        return {state.user.name: state.lost for state in self._states}

    def send(self, picture: Picture) -> None:
        """Send the picture to the users whose period has ended."""
        for state, opened in zip(self._states, self._sockets, strict=True):
            # Half a millisecond of tolerance: picture times are multiples of the period in floats.
            period = int(np.floor((picture.time + 5e-4) / state.user.period))
            if state.last_period is not None and period <= state.last_period:
                continue
            state.last_period = period
            for datagrams in encode_for_user(picture, state, self._measures_height, self._units, self._ages):
                self._send_datagrams(state, opened, datagrams)

    def close(self) -> None:
        """Close the sockets."""
        for opened in self._sockets:
            opened.close()

    def _send_datagrams(self, state: _UserState, opened: socket.socket, datagrams: Datagrams) -> None:
        content = memoryview(np.ascontiguousarray(datagrams.buffer).data)
        target = (state.user.address, state.user.port)
        for place, (begin, length) in enumerate(
            zip(datagrams.offset.tolist(), datagrams.length.tolist(), strict=True)
        ):
            try:
                opened.sendto(content[begin : begin + length], target)
                state.datagrams += 1
            except TimeoutError:
                # The network is slower than the picture: what is left would hold up tracking.
                if state.lost == 0:
                    log.warning("network too slow for output", extra={"user": state.user.name})
                state.lost += len(datagrams) - place
                return
            except OSError as error:
                # Not sent again: the next period brings a newer picture.
                if state.lost == 0:
                    log.warning(
                        "output not sent",
                        extra={"user": state.user.name, "error": error.strerror or str(error)},
                    )
                state.lost += 1


def encode_for_user(
    picture: Picture,
    state: _UserState,
    measures_height: NDArray[np.uint64],
    units: Mapping[str, int],
    ages: SourceAges | None = None,
) -> list[Datagrams]:
    """The picture as one user gets it: CAT062, then CAT065; notes in `state` what was sent."""
    user = state.user
    rows = np.flatnonzero(_is_wanted(picture, user))
    uids = {
        number: (high, low)
        for number, (high, low) in zip(picture.number[rows].tolist(), picture.uid[rows].tolist(), strict=True)
    }
    is_first = np.array([state.sent.get(number) != uid for number, uid in uids.items()], dtype=np.float64)
    ended = np.array([n for n, uid in state.sent.items() if uids.get(n) != uid], dtype=np.float64)
    state.sent = uids
    time_of_day = picture.time % DAY
    source = {"010/SAC": user.sac, "010/SIC": user.sic, "015": state.service}
    datagrams = []
    if len(ended):
        columns = {"040": ended, "080/TSE": np.ones(len(ended)), "070": np.full(len(ended), time_of_day)}
        datagrams.append(_encode(62, columns, source))
    if len(rows):
        columns = track_columns(picture, rows, is_first, measures_height) | number_columns(
            picture, rows, units
        )
        if ages is not None:
            table = ages.ages(picture, rows)
            columns |= {f"290/{name}": table[:, place] for place, name in enumerate(TECHNOLOGIES)}
            columns |= source_columns(table)
        datagrams.append(_encode(62, columns, source))
    status = {
        "000": np.array([float(STATUS), float(END_OF_BATCH)]),
        "020": np.array([np.nan, float(BATCH)]),
        "030": np.full(2, time_of_day),
        # Operational, not overloaded, time source valid.
        "040/NOGO": np.array([0.0, np.nan]),
        "040/OVL": np.array([0.0, np.nan]),
        "040/TSV": np.array([0.0, np.nan]),
    }
    datagrams.append(_encode(65, status, source))
    return datagrams


def track_columns(
    picture: Picture,
    rows: NDArray[np.intp],
    is_first: NDArray[np.float64],
    measures_height: NDArray[np.uint64],
) -> Columns:
    """The fields of CAT062 for some rows of a picture, in the units of the specification.

    Args:
        picture: with the tracks.
        rows: (R,) of the picture.
        is_first: (R,) 1 for a track that this user gets for the first time, else 0.
        measures_height: (W,) bits of the sensors that measure height, as in the picture's `sensors`.
    """
    squawk = np.where(picture.squawk[rows] >= 0, picture.squawk[rows], np.nan)
    address = np.where(picture.address[rows] >= 0, picture.address[rows], np.nan)
    altitude = picture.altitude[rows]
    sensors = np.bitwise_count(picture.sensors[rows]).sum(axis=1)
    # A partner's sensors that only its tracker uses come after those of the table.
    width = min(picture.sensors.shape[1], len(measures_height))
    has_height: NDArray[np.bool_] = np.any(picture.sensors[rows, :width] & measures_height[:width], axis=1)
    variance = picture.covariance[rows]
    sigma_x = np.sqrt(np.maximum(variance[:, 0, 0], SMALLEST_SIGMA**2))
    sigma_y = np.sqrt(np.maximum(variance[:, 1, 1], SMALLEST_SIGMA**2))
    covariance = variance[:, 0, 1]
    barometric = _barometric_altitude(picture, rows)
    transversal, vertical = _movement(picture, rows, has_height)
    return {
        "070": np.full(len(rows), picture.time % DAY),
        "105/LAT": picture.latitude[rows] / DEGREE,
        "105/LON": picture.longitude[rows] / DEGREE,
        "185/VX": picture.velocity[rows, 0],
        "185/VY": picture.velocity[rows, 1],
        "060/MODE3A": squawk,
        "380/ADR": address,
        "380/ID": picture.callsign[rows],
        "040": picture.number[rows].astype(np.float64),
        "080/MON": (sensors == 1).astype(np.float64),
        "080/MRH": (has_height & np.isnan(altitude)).astype(np.float64),
        "080/SRC": np.where(has_height, SOURCE_3D_RADAR, NO_SOURCE),
        "080/SIM": picture.is_simulated[rows].astype(np.float64),
        "080/TSB": is_first,
        "080/CST": picture.is_coasting[rows].astype(np.float64),
        "080/SDS": np.full(len(rows), float(NOT_DEFINED)),
        "080/EMS": np.select(
            [picture.squawk[rows] == code for code in EMERGENCIES],
            [float(value) for value in EMERGENCIES.values()],
            0.0,
        ),
        "290/TRK": np.maximum(picture.time - picture.born[rows], 0.0),
        "136": altitude / FLIGHT_LEVEL,
        "135/QNH": np.where(np.isnan(barometric), np.nan, 0.0),
        "135/CTB": barometric / FLIGHT_LEVEL,
        "130": np.where(has_height, picture.height[rows], np.nan) / FOOT,
        "200/TRANS": transversal,
        "200/LONG": np.full(len(rows), float(UNDETERMINED)),
        "200/VERT": vertical,
        "220": picture.vertical_rate[rows] / FOOT_PER_MINUTE,
        "500/APC/X": sigma_x,
        "500/APC/Y": sigma_y,
        # The root of the covariance with its sign, in m.
        "500/COV": np.sign(covariance) * np.sqrt(np.abs(covariance)),
    }


def number_columns(picture: Picture, rows: NDArray[np.intp], units: Mapping[str, int]) -> Columns:
    """The fields of CAT062 on the joint number of tracks, and on whose tracks they are of.

    Args:
        picture: with the tracks. rows: (R,) of the picture.
        units: system unit of each centre by its name; I062/510 is left out where it is unknown.
    """
    numbered_by = picture.joint_centre[rows]
    unit = np.array([units.get(name, np.nan) for name in picture.centre_names])[numbered_by]
    number = np.where(picture.joint_number[rows] > 0, picture.joint_number[rows], np.nan)
    return {
        "080/STP": (picture.reporter[rows] != numbered_by).astype(np.float64),
        "080/AMA": (np.bitwise_count(picture.centres[rows]) > 1).astype(np.float64),
        "510/IDENT": np.where(np.isnan(number), np.nan, unit),
        "510/TRACK": np.where(np.isnan(unit), np.nan, number),
    }


def source_columns(ages: Floats2) -> Columns:
    """The fields of I062/080 on what feeds tracks, from the ages (R, 5) of each technology's updates, s.

    A combined plot counts as its secondary part, so that a track without primary plots may still be
    seen by both: its SDS is not defined.
    """
    is_old = ~(ages <= LONGEST_AGE)  # also where it never fed the track
    is_primary = np.array([name == "PSR" for name in TECHNOLOGIES])
    primary, answers = ~is_old[:, is_primary].all(axis=1), ~is_old[:, ~is_primary].all(axis=1)
    told = {"PSR": "PSR", "SSR": "SSR", "MDS": "MDS", "ES": "ADS", "MLT": "MLAT"}
    return {
        **{
            f"080/{told[name]}": is_old[:, place].astype(np.float64)
            for place, name in enumerate(TECHNOLOGIES)
        },
        "080/SDS": np.select(
            [primary & answers, primary],
            [float(PRIMARY_AND_SECONDARY), float(PRIMARY_ONLY)],
            float(NOT_DEFINED),
        ),
    }


def _barometric_altitude(picture: Picture, rows: NDArray[np.intp]) -> Floats1:
    """(R,) pressure altitude now, m: the last one carried on; NaN where it is unknown or too old for that."""
    age = picture.time - picture.altitude_time[rows]
    climbed = np.nan_to_num(picture.vertical_rate[rows]) * age
    return np.where(age <= LONGEST_AGE, picture.altitude[rows] + climbed, np.nan)


def _movement(
    picture: Picture, rows: NDArray[np.intp], has_height: NDArray[np.bool_]
) -> tuple[Floats1, Floats1]:
    """(R,) transversal and vertical movement as I062/200 codes them; of a coasting track nothing is sure."""
    is_coasting = picture.is_coasting[rows]
    movement = np.nan_to_num(picture.movement[rows])
    is_sure = (movement.max(axis=1) >= SURE_MOVEMENT) & ~is_coasting
    transversal = np.where(is_sure, movement.argmax(axis=1), UNDETERMINED)
    rate = picture.vertical_rate[rows]
    knows_height = has_height | np.isfinite(picture.altitude[rows])
    vertical = np.select(
        [is_coasting | ~knows_height | np.isnan(rate), rate > LEVEL_FLIGHT, rate < -LEVEL_FLIGHT],
        [UNDETERMINED, 1, 2],
        0,
    )
    return transversal.astype(np.float64), vertical.astype(np.float64)


def _encode(category: int, columns: Mapping[str, NDArray[Any]], source: dict[str, int]) -> Datagrams:
    count = len(next(iter(columns.values())))
    fixed = {name: np.full(count, float(value)) for name, value in source.items()}
    return encode_records(category, {**fixed, **columns}, max_length=MAX_LENGTH)


def _is_wanted(picture: Picture, user: OutputUser) -> NDArray[np.bool_]:
    """(N,) whether each track lies in the user's area and height band; one of unknown height does."""
    level = np.where(np.isnan(picture.altitude), picture.height, picture.altitude)
    outside = (level < user.floor) | (level > user.ceiling)
    return user.area.contains(picture.latitude, picture.longitude) & ~outside


def _sensor_bits(sensors: SensorTable, kind: SensorKind) -> NDArray[np.uint64]:
    """(W,) bits of the sensors of one kind: sensor s is bit s % 64 of word s // 64."""
    bits = np.zeros((len(sensors) + 63) // 64, dtype=np.uint64)
    for sensor in np.flatnonzero(sensors.kind == kind).tolist():
        bits[sensor // 64] |= np.uint64(1 << sensor % 64)
    return bits


def _open(user: OutputUser) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(LONGEST_WAIT)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, MULTICAST_HOPS)
    if user.interface:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(user.interface))
    return opened
